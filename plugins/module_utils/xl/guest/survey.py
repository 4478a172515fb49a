# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""All guests of a list are looked at before the first of them is touched."""

from __future__ import annotations

import json
import os
import re
import typing as t
from dataclasses import dataclass, field

from ...errors import XenError
from ...formats.sizes import readable_size, size
from ...growing.stack import SLACK
from .described import PVGRUB, Given, Guest, Options, Volume, described
from .initrd import initrd_of, too_little
from .look import FOLDER, Journal, Seen, length, where_root
from .machine import Machine
from .room import known_size
from .system import plan
from .wanted import order

EXTENT = 4 << 20  # where the volume group does not tell another
VIFS = "/sys/class/net"
CONFIGS = "/etc/xen"


@dataclass
class Host:
    """What Dom0 has. running: the disks of each domain that runs, by its name; free, total: bytes of memory (0 if xl does not tell)."""

    running: dict[str, list[str]] = field(default_factory=dict)
    memory: dict[str, int] = field(default_factory=dict)
    free: int = 0
    total: int = 0
    ballooning: bool = False
    answers: bool = False


def host_of(machine: Machine) -> Host:
    host = Host()
    status, out = machine.ask("xl", "list", "-l")
    if status == 0:
        host.answers = True
        for domain in json.loads(out or "[]"):
            config = domain.get("config", {})
            name = config.get("c_info", {}).get("name", "")
            host.running[name] = [os.path.realpath(disk["pdev_path"]) for disk in config.get("disks", []) if disk.get("pdev_path")]
    _status, info = machine.ask("xl", "info")
    rows = dict(re.findall(r"^(\w+)\s*: ?(.*)$", info, re.MULTILINE))
    host.free, host.total = (int(rows.get(key, 0) or 0) << 20 for key in ("free_memory", "total_memory"))
    host.ballooning = balloons(rows.get("xen_commandline", ""))
    return host


def balloons(command_line: str) -> bool:
    """Whether Dom0 gives memory away for new domains: xl.conf(5), autoballoon."""
    try:
        with open(f"{CONFIGS}/xl.conf", encoding="utf-8", errors="replace") as file:
            told = re.findall(r"^\s*autoballoon\s*=\s*[\"']?(\w+)", file.read(), re.MULTILINE)
    except OSError:
        told = []
    setting = told[-1] if told else "auto"
    return setting in ("on", "1") or (setting == "auto" and "dom0_mem=" not in command_line)


@dataclass
class Survey:
    """What was found: problems are sentences; rows go to the role, one a guest."""

    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    rows: list[Options] = field(default_factory=list)


def survey(guests: t.Sequence[Given], defaults: Given, machine: Machine, folder: str = FOLDER) -> Survey:
    found, host = Survey(), host_of(machine)
    asked: list[Guest] = []
    for own in guests:
        try:
            asked.append(described(defaults, own))
        except XenError as e:
            found.problems.append(str(e))
    found.problems += twice(asked)
    for guest in asked:
        try:
            found.rows.append(row(guest, host, machine, folder, found))
        except XenError as e:
            found.problems.append(str(e))
        finally:
            machine.unmounted()
    staying = [guest for guest in asked if guest.state != "absent"]
    found.problems += space([v for guest in staying for v in guest.volumes], machine)
    memory(staying, host, found)
    return found


def twice(guests: t.Sequence[Guest]) -> list[str]:
    """Names, addresses, MAC addresses and volumes that two of them have."""
    problems = []
    kinds: dict[str, t.Callable[[Guest], list[str]]] = {
        "name": lambda guest: [guest.name],
        "address": lambda guest: [guest.address] if guest.address else [],
        "MAC address": lambda guest: [str(vif["mac"]).lower() for vif in guest.domain["vif"] if isinstance(vif, dict) and "mac" in vif],
        "volume": lambda guest: [volume.path for volume in guest.volumes],
    }
    for kind, values in kinds.items():
        owners: dict[str, list[str]] = {}
        for guest in guests:
            for value in values(guest):
                owners.setdefault(value, []).append(guest.name)
        problems += [f"The {kind} {value} is used twice: by {' and '.join(names)}." for value, names in owners.items() if len(names) > 1]
    return problems


def row(guest: Guest, host: Host, machine: Machine, folder: str, found: Survey) -> Options:
    """What the role needs of one guest. Raises XenError for what cannot be."""
    root = guest.volumes[0]
    running = guest.name in host.running
    if running and os.path.realpath(root.path) not in host.running[guest.name]:
        raise XenError(
            f"Guest {guest.name}: a domain of that name runs already, without the disk {root.path}.", hint="Is it another guest's name?"
        )
    if guest.state == "absent":
        return told(guest, None, running, [])
    found.problems += missing(guest)
    found.problems += [problem for one in guest.volumes for problem in shrunk(guest, one, machine)]
    seen, journal = None, Journal(guest.name, folder)
    if guest.os:
        seen, _steps = plan(order(guest.os, size), machine, journal)
    elif not os.path.exists(root.path):
        raise XenError(
            f"Guest {guest.name}: there is no {root.path}, and nothing to install.", hint="install says how its system comes there."
        )
    if guest.state == "running" and not running:
        found.problems += too_little(guest, initrd_of(guest, seen, journal), machine)
    return told(guest, seen, running, [one for one in guest.volumes if grows(one, machine)])


def missing(guest: Guest) -> list[str]:
    """Bridges and files that its domain needs."""
    problems = []
    for bridge in dict.fromkeys(guest.bridges):
        if not os.path.exists(f"{VIFS}/{bridge}"):
            problems.append(f"Guest {guest.name}: Dom0 has no bridge {bridge}.")
    for key in ("kernel", "ramdisk"):
        path = guest.domain.get(key)
        if path and path.startswith("/") and not os.path.exists(path):
            package = " It is in the package grub-xen-host." if path in PVGRUB.values() else ""
            problems.append(f"Guest {guest.name}: there is no {key} {path} on Dom0.{package}")
    return problems


def shrunk(guest: Guest, one: Volume, machine: Machine) -> list[str]:
    """A volume that is larger than it is to be, by more than rounding."""
    if not one.options or not os.path.exists(one.path):
        return []
    there = length(one.path)
    if there - one.bytes < EXTENT * 8:
        return []
    sizes = f"{one.path} has {readable_size(there)}, and would shrink to {readable_size(one.bytes)}."
    return [f"Guest {guest.name}: {sizes} Give it the size it has; xl_volume shrinks where that is meant."]


def grows(one: Volume, machine: Machine) -> bool:
    """Whether what lies on it is smaller than the volume is to be."""
    if not os.path.exists(one.path):
        return False
    part = where_root(machine, one.path, 1) if one.partitioned else None
    start = part.start if part else 0
    known = known_size(one.path, start)
    return bool(known) and max(one.bytes, length(one.path)) - start - known > SLACK


def told(guest: Guest, seen: Seen | None, running: bool, growing: t.Sequence[Volume]) -> Options:
    halted = [one for one in growing if not running and offline(one)]
    return {
        "name": guest.name, "state": guest.state, "running": running, "found": seen.state if seen else "", "os": guest.os,
        "domain": guest.domain, "wait": guest.wait, "address": guest.address, "remove_volumes": guest.remove_volumes,
        "volumes": [{**one.options, "role": one.role, "resize_fs": one in halted} for one in guest.volumes if one.options],
        "grow": [growth(one) for one in growing if one not in halted],
    }  # fmt: skip


def growth(one: Volume) -> Options:
    device = f"/dev/{one.device}"
    size = max(one.bytes, length(one.path))
    return {"role": one.role, "path": f"{device}1" if one.partitioned else device, "disk": device, "size": str(size)}


def offline(one: Volume) -> bool:
    return not one.partitioned and one.filesystem in ("ext4", "xfs")


def space(volumes: t.Sequence[Volume], machine: Machine) -> list[str]:
    """Volume groups and folders that have not enough room, or are not there."""
    groups: dict[str, int] = {}
    folders: dict[str, int] = {}
    for one in volumes:
        if not one.options:
            continue
        more = one.bytes - (length(one.path) if os.path.exists(one.path) else 0)
        group = one.options["vg"]
        place, key = (groups, group) if group else (folders, os.path.dirname(one.path))
        place[key] = place.get(key, 0) + (max(more, 0) if not one.options["pool"] else 0)
    return [*lvm(groups, machine), *images(folders)]


def lvm(groups: t.Mapping[str, int], machine: Machine) -> list[str]:
    if not groups:
        return []
    status, out = machine.ask("vgs", "--noheadings", "--units", "b", "--nosuffix", "--separator", " ", "--options", "vg_name,vg_free")
    if status:
        return ["Dom0's volume groups cannot be listed (vgs). Is lvm2 installed there?"]
    free = {name: int(rest) for name, rest in (line.split() for line in out.splitlines() if line.strip())}
    problems = []
    for name, need in groups.items():
        if name not in free:
            problems.append(f"Dom0 has no volume group {name}. It has {', '.join(sorted(free)) or 'none'}.")
        elif need > free[name]:
            problems.append(f"The volume group {name} has {readable_size(free[name])} free, and {readable_size(need)} are needed.")
    return problems


def images(folders: t.Mapping[str, int]) -> list[str]:
    problems = []
    for name, need in folders.items():
        if not os.path.isdir(name):
            problems.append(f"Dom0 has no folder {name} for images.")
            continue
        told = os.statvfs(name)
        if need > told.f_bavail * told.f_frsize:
            problems.append(f"{name} has {readable_size(told.f_bavail * told.f_frsize)} free, and {readable_size(need)} may be needed.")
    return problems


def memory(guests: t.Sequence[Guest], host: Host, found: Survey) -> None:
    if not host.total:
        return
    starting = [guest for guest in guests if guest.state == "running" and guest.name not in host.running]
    need = sum(guest.memory for guest in starting)
    names = ", ".join(guest.name for guest in starting)
    if need > host.total:
        found.problems.append(f"{names} need {readable_size(need)} of memory together, and the host has {readable_size(host.total)}.")
    elif need > host.free and not host.ballooning:
        found.problems.append(f"{names} need {readable_size(need)} of memory together, and {readable_size(host.free)} are free.")
