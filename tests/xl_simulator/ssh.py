# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`ssh` between simulated hosts: the command runs here, with the state of the other host and its folders where they are there."""

from __future__ import annotations

import os
import subprocess

from .errors import Failed
from .state import Host

VALUED = "BbcDEeFIiJLlmOoPpQRSWw"


def run(host: Host, words: list[str]) -> int:
    target, command = read(words)
    name = target.rpartition("@")[2]
    other = host.beside(name)
    if other is None:
        raise Failed(255, f"ssh: Could not resolve hostname {name}: Name or service not known")
    with other.locked() as state:
        if state.get("ssh_refuses"):
            raise Failed(255, str(state["ssh_refuses"]))
        mounts = state["mounts"]
    environment = {**os.environ, "XL_SIM_STATE": str(other.folder), "XL_SIM_OVER_SSH": name}
    binds = "".join(f"mount --bind '{source}' '{place}' && " for place, source in mounts.items())
    if binds and other is not host:
        argv = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--user", "--map-root-user"]), "sh", "-c", f"{binds}{{ {command}\n}}"]
    else:
        argv = ["sh", "-c", command]
    return subprocess.run(argv, env=environment, check=False).returncode


def read(words: list[str]) -> tuple[str, str]:
    """The host, and the command as the shell there gets it: the words with blanks between."""
    words = list(words)
    while words and words[0].startswith("-"):
        word = words.pop(0)
        if word[-1] in VALUED and len(word) == 2:
            words.pop(0)
    if len(words) < 2:
        raise Failed(255, "xl-sim: ssh without a command is not simulated")
    return words[0], " ".join(words[1:])
