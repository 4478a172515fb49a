# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Let ansible-test make its virtual environments where only package registries can be reached.

ansible-test puts pip into them with a script it downloads once into its cache. Where that is not there yet, a script takes
its place that uses Python's own ensurepip and then the package registry pip is configured for.
"""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

STAND_IN = """\
import subprocess, sys
subprocess.check_call([sys.executable, "-m", "ensurepip", "--upgrade"])
wanted = [a for a in sys.argv[1:] if a not in ("--no-setuptools", "--no-wheel")]
sys.exit(subprocess.call([sys.executable, "-m", "pip", "install", *wanted]))
"""


def pip_versions() -> set[str]:
    """The versions of pip that the installed ansible-test asks for."""
    source = files("ansible_test") / "_internal/python_requirements.py"
    return set(re.findall(r"pip='([0-9.]+)'", source.read_text()))


if __name__ == "__main__":
    cache = Path.home() / ".ansible/test/cache"
    cache.mkdir(parents=True, exist_ok=True)
    for script in (cache / f"get_pip_{version.replace('.', '_')}.py" for version in pip_versions()):
        if not script.exists():
            script.write_text(STAND_IN)
