# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who uses a volume: running domains, mounts, swap, device-mapper, processes, and what was made from it."""

from __future__ import annotations

import glob
import json
import os
import shutil
import stat
import time
import typing as t

from ...errors import XenError
from ...growing.reading import mounts
from ..tool import PLACES
from .host import Host, read_text
from .what import Logical, Use


def uses_of(host: Host, path: str) -> tuple[Use, ...]:
    """Of a device or a file, by whatever name it is used. Raises XenError where xl cannot be asked on a host that runs Xen."""
    place = identity(path)
    if not place:
        return ()
    found = [*_domains(host, path), *_file_systems(place), *_swap(path), *_holders(path), *_processes(place)]
    for loop in _loops(path):
        inner = uses_of(host, loop)
        found += inner or [Use("device", loop, f"loop device {loop} is set up on it")]
    return tuple(dict.fromkeys(found))


def identity(path: str) -> tuple[str, int, int] | None:
    """What makes two names the same device or file; None where there is nothing."""
    try:
        told = os.stat(path)
    except OSError:
        return None
    if stat.S_ISBLK(told.st_mode):
        return ("device", os.major(told.st_rdev), os.minor(told.st_rdev))
    return ("file", told.st_dev, told.st_ino)


def _domains(host: Host, path: str) -> list[Use]:
    if not shutil.which("xl") and not shutil.which("xl", path=os.pathsep.join(PLACES)):
        return []
    for _try in range(5):
        status, out, err = host.run("xl", "list", "-l")
        if "Fail to get domain configuration" not in err:
            break
        time.sleep(1)  # it leaves out a domain that is being built, whatever its status says
    if status:
        if not os.path.exists("/proc/xen/capabilities"):
            return []  # booted without Xen: nothing can run
        raise XenError(f"The running domains cannot be learnt: {' '.join(err.split())}", hint="Does xl list work on this host?")
    return domains_with(out, path)


def domains_with(text: str, path: str) -> list[Use]:
    """The domains of `xl list -l` that have it as a disk; read-only ones are told apart by mode."""
    found, own = [], identity(path)
    for domain in json.loads(text or "[]"):
        config = domain["config"]
        name = config["c_info"].get("name", str(domain["domid"]))
        for disk in config.get("disks", ()):
            place = disk.get("pdev_path") or ""
            if place == path or (place.startswith("/") and own and identity(place) == own):
                kind = "domain" if disk.get("readwrite") else "reader"  # xl leaves out what is 0
                found.append(Use(kind, name, f"domain {name} has it as {disk.get('vdev', 'a disk')}"))
    return found


def _file_systems(place: tuple[str, int, int]) -> list[Use]:
    if place[0] != "device":
        return []
    number = f"{place[1]}:{place[2]}"
    points = [mount.point for mount in mounts(read_text("/proc/self/mountinfo")) if number in (mount.number, _number(mount.source))]
    return [Use("mount", point, f"it is mounted at {point}") for point in points]


def _number(path: str) -> str:
    place = identity(path) if path.startswith("/") else None
    return f"{place[1]}:{place[2]}" if place and place[0] == "device" else ""


def _swap(path: str) -> list[Use]:
    own = identity(path)
    lines = read_text("/proc/swaps").splitlines()[1:]
    return [Use("swap", path, "this host swaps onto it") for line in lines if line.split() and identity(line.split()[0]) == own]


def _holders(path: str) -> list[Use]:
    """What device-mapper or md made of the device, or of its partitions; not the other half of LVM's own snapshots."""
    place = identity(path)
    if not place or place[0] != "device":
        return []
    found = []
    for entry in glob.glob(f"/sys/dev/block/{place[1]}:{place[2]}/holders/*"):
        name = read_text(f"{entry}/dm/name").strip() or os.path.basename(entry)
        found.append(Use("device", name, f"the device {name} lies on it"))
    return found


def _loops(path: str) -> list[str]:
    own, found = identity(path), []
    for entry in glob.glob("/sys/block/loop*/loop/backing_file"):
        if identity(read_text(entry).rstrip("\n")) == own:
            found.append(f"/dev/{entry.split('/')[3]}")
    return found


def _processes(place: tuple[str, int, int]) -> list[Use]:
    """Those that have it open, but this one."""
    found: dict[str, Use] = {}
    for entry in glob.iglob("/proc/[0-9]*/fd/*"):
        number = entry.split("/")[2]
        if number not in found and int(number) != os.getpid() and identity(entry) == place:
            name = read_text(f"/proc/{number}/comm").strip() or "a process"
            found[number] = Use("process", name, f"process {name} ({number}) has it open")
    return list(found.values())


def logical_uses(host: Host, own: Logical, volumes: t.Mapping[str, Logical]) -> tuple[Use, ...]:
    """Of a logical volume. Thin snapshots live on without what they were taken of, the others do not."""
    found = [] if own.kind == "pool" else list(uses_of(host, own.path))
    for other in volumes.values():
        if other.kind == "snapshot" and other.origin == own.name:
            found.append(Use("snapshot", other.name, f"snapshot {own.group}/{other.name} was taken of it"))
        if own.kind == "pool" and other.pool == own.name:
            found.append(Use("thin", other.name, f"thin volume {own.group}/{other.name} lies in it"))
    if own.open and not [use for use in found if use.kind != "snapshot"]:
        found.append(Use("open", own.path, "the kernel has it open"))
    return tuple(found)


def busy(uses: t.Iterable[Use]) -> list[Use]:
    """Those in whose way it would be to write to the volume; not what was made from it."""
    return [use for use in uses if use.kind not in ("snapshot", "overlay", "thin")]


def told(uses: t.Iterable[Use]) -> str:
    return ", ".join(use.text for use in uses)
