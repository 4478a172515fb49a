# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Live migration: `xl migrate` here and `xl migrate-receive` there talk through ssh's pipe, step by step, as the real ones do.

What the real stream carries in one go waits here for a line back, so that the lines of both come in the order that was recorded.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t

from .commands import command, name_of, read, the_domain
from .creating import given_up
from .errors import Failed, NotSimulated
from .life import remove, say
from .saving import come_back, known, length, portrait, renamed, told_of_the_head, told_while_restoring, told_while_saving
from .state import Host, domain_named

Json = dict[str, t.Any]
TRUNCATED = "libxl: error: libxl_utils.c:505:libxl_read_exactly: file/stream truncated reading banner from migration receiver stream"
EXITED = "libxl: info: libxl_exec.c:117:libxl_report_child_exitstatus: migration transport process [2836] exited with error status"


class Pipe:
    def __init__(self, host: str, ssh: str):
        receive = f"exec {ssh} {host} xl migrate-receive" if ssh else host  # with an empty -s it is the command itself
        self.process = subprocess.Popen(["sh", "-c", receive], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def hear(self) -> str:
        return str(self.process.stdout.readline().strip()) if self.process.stdout else ""

    def tell(self, line: str) -> None:
        if self.process.stdin:
            try:
                print(line, file=self.process.stdin, flush=True)
            except BrokenPipeError:
                return

    def end(self) -> int:
        if self.process.stdin:
            self.process.stdin.close()
        return self.process.wait()


@command("migrate", changing=True)
def migrate(host: Host, words: list[str]) -> int:
    options, rest = read(words, "e p live debug", "C s max_iters max_factor")
    name, target = rest
    with host.locked() as state:
        known(the_domain(state, name))
    pipe = Pipe(target, options.get("s", "ssh"))
    if pipe.hear() != "ready":
        status = pipe.end()
        say(TRUNCATED)
        say(f"{EXITED} {status}")
        return 1
    with host.locked() as state:
        domain = the_domain(state, name)
        kept = portrait(domain)
        name, virt_caps = name_of(domain), state["info"]["virt_caps"].split()
    say(f"Saving to migration stream new xl format (info 0x3/0x0/{length(kept)})")
    pipe.tell(json.dumps(kept))
    if pipe.hear() != "parsed":
        pipe.end()
        raise NotSimulated("a receiver that cannot read the configuration")
    if domain["config"]["c_info"]["type"] == "pv" and "shadow" not in virt_caps:
        return no_shadow(pipe, domain["domid"])
    told_while_saving(domain)
    halt(host, "transfer")
    pipe.tell("memory")
    if pipe.hear() != "transferred":
        pipe.end()
        raise NotSimulated("a receiver that cannot build the domain")
    say("migration sender: Target has acknowledged transfer.")
    with host.locked() as state:
        domain = the_domain(state, name)
        renamed(state, domain, f"{name}--migratedaway")
        domain["paused"], domain["reason"] = False, 2
    halt(host, "permission")
    say("migration sender: Giving target permission to start.")
    pipe.tell("go")
    if pipe.hear() != "started":
        pipe.end()
        raise NotSimulated("a receiver that cannot start the domain")
    halt(host, "started")
    say("migration sender: Target reports successful startup.")
    with host.locked() as state:
        gone = domain_named(state, str(domain["domid"]))
        if gone:
            remove(state, gone)
    pipe.end()
    say("Migration successful.")
    return 0


def no_shadow(pipe: Pipe, domid: int) -> int:
    say(f"xc: info: Saving domain {domid}, type x86 PV")
    say("xc: error: Failed to enable logdirty: 95,22,0 (22 = Invalid argument): Internal error")
    say("xc: error: Save failed (22 = Invalid argument): Internal error")
    stream = f"Domain {domid}:saving domain: domain did not respond to suspend request: Invalid argument"
    say(f"libxl: error: libxl_stream_write.c:347:libxl__xc_domain_save_done: {stream}")
    say("migration sender: libxl_domain_suspend failed (rc=-8)")
    say(f"{EXITED.replace('2836', '4189')} {pipe.end()}")
    say("Migration failed, failed to suspend at sender.")
    return 1


def halt(host: Host, stage: str) -> None:
    """A test may have the sender die at a stage: a file of that name in the folder of the host."""
    mark = host.folder / f"migration-dies-at-{stage}"
    if mark.exists():
        mark.unlink()
        os._exit(1)


@command("migrate-receive", changing=True)
def receive(host: Host, words: list[str]) -> int:
    _options, _rest = read(words, "e d p", "")
    say("migration target: Ready to receive domain.")
    print("ready", flush=True)
    kept = json.loads(sys.stdin.readline() or "null")
    if kept is None:
        raise Failed(1)
    name = kept["config"]["c_info"]["name"]
    kept["config"]["c_info"]["name"] = f"{name}--incoming"
    say(f"Loading new save file <incoming migration stream> (new xl fmt info 0x3/0x0/{length(kept) - len('--incoming')})")
    told_of_the_head()
    print("parsed", flush=True)
    if sys.stdin.readline().strip() != "memory":
        raise cut_off(host, kept["config"])
    with host.locked() as state:
        domid = come_back(state, kept, paused=True)["domid"]
    say("migration target: Transfer complete, requesting permission to start domain.")
    print("transferred", flush=True)
    if sys.stdin.readline().strip() != "go":
        with host.locked() as state:
            remove(state, the_domain(state, str(domid)))
        raise Failed(1, "migration target: Failure, destroying our copy.")
    say("migration target: Got permission, starting domain.")
    with host.locked() as state:
        domain = the_domain(state, str(domid))
        renamed(state, domain, name)
        domain["paused"], domain["restored"] = False, False
    say("migration target: Domain started successsfully.")
    print("started", flush=True)
    return 0


def cut_off(host: Host, config: Json) -> Failed:
    """The sender went away before the memory had come."""
    with host.locked() as state:
        domid = state["next_domid"]
        state["next_domid"] = domid + 1
    for line in told_while_restoring(config)[:2]:
        say(line)
    lines = given_up(domid, f"libxl: error: libxl_create.c:1640:domcreate_rebuild_done: Domain {domid}:cannot (re-)build domain: -3").lines
    return Failed(
        1, "xc: error: Failed to read Record Header from stream (0 = Success): Internal error",
        "xc: error: Restore failed (0 = Success): Internal error",
        "libxl: error: libxl_stream_read.c:850:libxl__xc_domain_restore_done: restoring domain: Success", *lines,
        "migration target: Domain creation failed (code -3).",
    )  # fmt: skip
