# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A command from its words to its exit status: logged, and disturbed where the test wants it so."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import typing as t
from pathlib import Path

from . import attaching, life, listing, migration, saving, ssh, store, tables, tuning
from .commands import COMMANDS, changing
from .errors import Failed, NotSimulated
from .state import Host, here

Json = dict[str, t.Any]
PARTS = (attaching, life, listing, migration, saving, tables, tuning)  # each brings its commands
STORE = {"xenstore-ls": store.ls, "xenstore-list": store.children, "xenstore-read": store.read}


def another(folder: Path) -> int:
    with Host(folder).locked() as state:
        state["mounts"] = {"/etc/xen": str(folder / "xen"), "/proc/sys/kernel/random/boot_id": str(folder / "boot_id")}
    return 0


def main(program: str, words: list[str]) -> int:
    if program == "another":
        return another(Path(words[0]))
    host = here()
    fault = fault_for(host, program, words)
    disturb(host, fault, "before", program, words)
    if fault and fault.get("when") == "within" and words[:1] == ["create"]:
        life.make(host, words[1:], half=True)
        os.kill(os.getppid(), signal.SIGKILL)
        os._exit(0)
    try:
        status = run(host, program, words)
    except Failed as e:
        sys.stdout.flush()
        for line in e.lines:
            print(line, file=sys.stderr)
        status = e.status
    except NotSimulated as e:
        print(f"xl-sim: not simulated: {e} ({program} {' '.join(words)})", file=sys.stderr)
        status = 99
    sys.stdout.flush()
    sys.stderr.flush()
    log(host, program, words, status)
    disturb(host, fault, "after", program, words)
    return status


def run(host: Host, program: str, words: list[str]) -> int:
    if program == "ssh":
        return ssh.run(host, words)
    if program in STORE:
        return STORE[program](host, words)
    while words and words[0] in ("-v", "-vv", "-vvv", "-f", "-N", "-t", "-T"):
        words = words[1:]
    if words and words[0].startswith("-"):
        raise Failed(1, f"/usr/lib/xen-4.17/bin/xl: invalid option -- '{words[0][1]}'", "unknown global option")
    if not words:
        raise NotSimulated("xl without a command")
    command = COMMANDS.get(words[0])
    if not command:
        if words[0] in listing.KNOWN:
            raise NotSimulated(words[0])
        raise Failed(1, "command not implemented")
    return command.run(host, words[1:])


def log(host: Host, program: str, words: list[str], status: int) -> None:
    entry = {"argv": [program, *words], "changing": changing(program, words), "status": status}
    with (host.folder / "log").open("a") as file:
        file.write(json.dumps(entry) + "\n")


def fault_for(host: Host, program: str, words: list[str]) -> Json:
    """The fault that is to meet this command. Commands are counted, each by its name and the changing ones together."""
    path = host.folder / "faults.json"
    if not path.exists():
        return {}
    own = words[0] if program == "xl" and words else program
    names = [own, *(["changing"] if changing(program, words) else [])]
    with host.locked() as state:
        counts = state["counts"]
        for name in names:
            counts[name] = counts.get(name, 0) + 1
        for fault in json.loads(path.read_text()):
            if fault["command"] in names and counts[fault["command"]] == fault.get("nth", 1):
                return t.cast("Json", fault)
    return {}


def disturb(host: Host, fault: Json, when: str, program: str, words: list[str]) -> None:
    if not fault or fault.get("when", "before") != when:
        return
    does = fault["do"]
    if does in ("hang", "slow"):
        time.sleep(fault.get("seconds", 3600 if does == "hang" else 1))
    elif does == "fail":
        log(host, program, words, fault.get("status", 1))
        print(fault.get("message", "libxl: error: made to fail"), file=sys.stderr)
        sys.stderr.flush()
        os._exit(fault.get("status", 1))
    elif does == "kill":
        os.kill(os.getppid(), signal.SIGKILL)
        os._exit(0)
    else:
        raise SystemExit(f"xl-sim: {does}: faults are hang, slow, fail and kill")
