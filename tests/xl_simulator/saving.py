# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A domain's memory goes into a file, and comes back from it."""

from __future__ import annotations

import json
import struct
import typing as t
from pathlib import Path

from .commands import command, read, the_domain
from .creating import begin, no_bridge
from .errors import Failed, NotSimulated
from .life import remove, say
from .listing import GHOST, RETRIEVE, long_form
from .state import Host

Json = dict[str, t.Any]
MAGIC = b"Xen saved domain, xl format\n \0 \r"


def kind(config: Json) -> str:
    return "PV" if config["c_info"]["type"] == "pv" else "HVM"


def portrait(domain: Json) -> Json:
    """What a save file or a migration carries; libxl's own warnings about devices that were detached come with it."""
    for _ghost in range(domain.get("ghosts", 0)):
        say(f"libxl: warning: libxl_domain.c:2603:retrieve_domain_configuration_end: Domain {domain['domid']}:{GHOST}")
    kept: Json = {key: domain[key] for key in ("memkb", "vcpus", "restored", "checkpointed", "frames") if key in domain}
    return {"config": long_form(domain), **kept}


def told_while_saving(domain: Json) -> None:
    config = domain["config"]
    say(f"xc: info: Saving domain {domain['domid']}, type x86 {kind(config)}")
    if kind(config) == "PV":
        frames = domain.get("frames", config["b_info"]["max_memkb"] // 4)
        step = -(-frames // 20480) * 1024  # a line for each twentieth, in batches of 1024
        for done in [*range(step, frames, step), frames]:
            say(f"xc: progress: Frames: {done}/{frames} {done * 100 // frames:>4}%")
        say("xc: progress: End of stream: 0/0    0%")


@command("save", changing=True)
def save(host: Host, words: list[str]) -> int:
    options, rest = read(words, "c p")
    name, path = rest[0], Path(rest[1])
    with host.locked() as state:
        domain = the_domain(state, name)
        known(domain)
        kept = portrait(domain)
        if not path.parent.is_dir():
            raise Failed(1, f"Failed to open temp file {path} for writing")
        say(f"Saving to {path} new xl format (info 0x3/0x0/{length(kept)})")
        told_while_saving(domain)
        if "c" in options:
            domain["checkpointed"] = True
            kept["checkpointed"] = True
        path.write_bytes(filed(kept))
        if "p" in options:
            domain["paused"] = True
        elif "c" not in options:
            for nic in domain["config"].get("nics", []):
                if nic.get("bridge", "xenbr0") not in state["bridges"]:
                    for line in no_bridge(domain["domid"], nic["bridge"])[3:]:
                        say(line)
            remove(state, domain)
    return 0


def known(domain: Json) -> None:
    if domain.get("half"):
        raise Failed(1, f"{RETRIEVE}: Domain {domain['domid']}:Fail to get domain configuration", "unable to retrieve domain configuration")


def length(kept: Json) -> int:
    """Of the configuration in the file's head, with its own length before it and a zero after it."""
    return len(json.dumps(kept["config"])) + 5


def filed(kept: Json) -> bytes:
    """The head of a real save file (save_file_header of tools/xl/xl.h), its configuration, and in place of memory what is needed here."""
    config = json.dumps(kept["config"]).encode()
    head = MAGIC + struct.pack("<4I", 0x01234567, 3, 0, length(kept)) + struct.pack("<I", len(config) + 1)
    return head + config + b"\0" + json.dumps(kept).encode()


@command("restore", changing=True)
def restore(host: Host, words: list[str]) -> int:
    options, rest = read(words, "p d e F V A", "")
    if len(rest) != 1:
        raise NotSimulated("restore with a configuration")
    try:
        content = Path(rest[0]).read_bytes()
    except FileNotFoundError:
        raise Failed(1, "Can't open restore file: No such file or directory") from None
    if not content.startswith(MAGIC):
        raise Failed(1, "File has wrong magic number - corrupt or for a different tool?")
    kept = json.loads(content.rpartition(b"\0")[2])
    say(f"Loading new save file {rest[0]} (new xl fmt info 0x3/0x0/{length(kept)})")
    told_of_the_head()
    with host.locked() as state:
        come_back(state, kept, paused="p" in options)
    return 0


def told_of_the_head() -> None:
    say(" Savefile contains xl domain config in JSON format")
    say("Parsing config from <saved>")


def come_back(state: Json, kept: Json, *, paused: bool) -> Json:
    config = kept["config"]
    memory = told_while_restoring(config)
    try:
        domain = begin(state, config, paused=paused)
    except Failed as e:
        stale = any("Could not find bridge device" in line for line in e.lines)  # seen of a vif that a failed network-attach left
        raise Failed(1, *(memory if stale else []), *e.lines) from None
    for line in memory:
        say(line)
    domain |= {
        "memkb": kept["memkb"],
        "vcpus": kept["vcpus"],
        "restored": True,
        "checkpointed": kept.get("checkpointed", False),
        "frames": kept["frames"],
    }
    state["domains"][str(domain["domid"])] = domain
    return domain


def told_while_restoring(config: Json) -> list[str]:
    pages = ("0x124ee4", "0x124ee3") if kind(config) == "PV" else ("0xfeffc", "0xfefff")
    return [
        f"xc: info: Found x86 {kind(config)} domain from Xen 4.17", "xc: info: Restoring domain", "xc: info: Restore successful",
        f"xc: info: XenStore: mfn {pages[0]}, dom 0, evt 1", f"xc: info: Console: mfn {pages[1]}, dom 0, evt 2",
    ]  # fmt: skip


def renamed(state: Json, domain: Json, name: str) -> None:
    domain["config"]["c_info"]["name"] = name
