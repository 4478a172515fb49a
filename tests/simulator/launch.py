# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts the simulator of this checkout, with the checkout's own Python where this one lacks what it needs. Standard library only."""

from __future__ import annotations

import importlib
import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

NEEDED = ("aiohttp", "cryptography", "xxhash", "yaml", "zstandard")
HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parents[1]
OWN_PYTHON = CHECKOUT / ".venv/bin/python"
RESTARTED = "XAPI_SIM_RESTARTED"  # in the environment of the second Python, so that there is no third


def main() -> NoReturn:
    """Runs the command line, or hands over to the Python that can."""
    sys.path[:] = [p for p in sys.path if not p or Path(p).resolve() != HERE]  # our site.py is not Python's
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing or sys.version_info < (3, 11):
        hand_over(missing)
    sys.path.insert(0, str(CHECKOUT / "tests"))
    status = int(importlib.import_module("simulator.cli").main())
    sys.stdout.flush()
    os._exit(status)  # calls that are still under way hold threads, and nobody waits for their answers any more


def hand_over(missing: list[str]) -> NoReturn:
    """The checkout's own Python goes on; exit status 2 where that can't be."""
    if os.environ.get(RESTARTED):
        print(f"xapi-sim: {OWN_PYTHON} lacks {', '.join(missing)}; remove .venv and run 'make .venv'", file=sys.stderr)
        sys.exit(2)
    if not OWN_PYTHON.exists() and subprocess.call(["make", "-C", str(CHECKOUT), ".venv"], stdout=sys.stderr):
        sys.exit(2)
    os.environ[RESTARTED] = "1"
    os.execv(OWN_PYTHON, [str(OWN_PYTHON), str(Path(__file__).resolve()), *sys.argv[1:]])


if __name__ == "__main__":
    main()
