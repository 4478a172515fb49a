# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""community.general, to compare with. PyPI has it as part of the package ansible; it is kept in .cache/bench."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

from ansible_collections.domzero.xen.tests.tools.checkout import CHECKOUT

CACHE = CHECKOUT / ".cache/bench"
COLLECTION = "ansible_collections/community/general/"
# what one module of it needs; the whole has thousands of files
NEEDED = ("MANIFEST.json", "FILES.json", "COPYING", "meta/", "plugins/modules/xenserver", "plugins/module_utils/xenserver", "plugins/doc_")


def collections() -> Path:
    """A folder with ansible_collections/community/general; downloads it the first time."""
    if not (CACHE / COLLECTION / "MANIFEST.json").exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        if not list(CACHE.glob("ansible-*.whl")):
            command = [
                sys.executable,
                "-m",
                "pip",
                "download",
                "--quiet",
                "--no-deps",
                "--only-binary",
                ":all:",
                "--dest",
                str(CACHE),
                "ansible",
            ]
            subprocess.run(command, check=True, stdout=sys.stderr)
        (wheel,) = CACHE.glob("ansible-*.whl")
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(CACHE, [n for n in archive.namelist() if n.startswith(tuple(COLLECTION + part for part in NEEDED))])
    return CACHE
