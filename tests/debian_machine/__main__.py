# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a command on such a machine: python -m ...tests.debian_machine [--folder FOLDER | --boot FOLDER] COMMAND...

With a folder it is the machine of that folder, which stays; --boot boots it first.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from .machine import Machine

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        kept = sys.argv[1] in ("--folder", "--boot")
        machine = Machine(Path(sys.argv[2]) if kept else Path(temporary))
        if sys.argv[1] == "--boot":
            machine.reboot()
        sys.exit(subprocess.run(machine.command(sys.argv[3 if kept else 1 :]), env=machine.env, check=False).returncode)
