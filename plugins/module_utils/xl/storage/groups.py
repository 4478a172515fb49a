# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Volume groups of LVM with their thin pools: what there is, what is wanted, the commands between."""

from __future__ import annotations

import json
import os
import re
import typing as t
from dataclasses import dataclass

from ...errors import InvalidChange, NotFound
from ...formats.sizes import readable_size, size
from ..step import Step

NAME = re.compile(r"[A-Za-z0-9+_.][A-Za-z0-9+_.-]*")  # lvm(8), VALID NAMES
EXTENT = 4 << 20


@dataclass(frozen=True)
class PhysicalVolume:
    """group is "" for one that is in none. Sizes in bytes; of its device as well. start: where on the device its extents begin, which is
    at 1 MiB, and later on a device that prefers larger transfers (iSCSI)."""

    path: str
    group: str
    size: int
    device_size: int
    start: int


@dataclass(frozen=True)
class Volume:
    name: str
    size: int
    thin_pool: bool


@dataclass(frozen=True)
class Group:
    name: str
    size: int
    free: int
    extent: int
    volumes: tuple[Volume, ...] = ()


@dataclass(frozen=True)
class Device:
    """A block device by its real path. holds: what is on it, in words, "" for nothing; used: who uses it now."""

    path: str
    size: int
    holds: str = ""
    used: str = ""


@dataclass(frozen=True)
class Lvm:
    """What LVM knows of a host."""

    physical: tuple[PhysicalVolume, ...] = ()
    group: Group | None = None

    def on(self, path: str) -> PhysicalVolume | None:
        """By its real path; LVM may know the device by a link (/dev/mapper)."""
        return next((one for one in self.physical if path in (one.path, os.path.realpath(one.path))), None)

    def of(self, group: str) -> list[PhysicalVolume]:
        return [one for one in self.physical if one.group == group]


@dataclass(frozen=True)
class Pool:
    """A thin pool as it is wanted. size in bytes, or percent of what is free when it is made."""

    name: str
    size: int = 0
    percent: int = 0


@dataclass(frozen=True)
class Wanted:
    name: str
    devices: tuple[Device, ...] = ()
    pools: tuple[Pool, ...] = ()
    force: bool = False
    absent: bool = False


def report(text: str, key: str) -> list[dict[str, str]]:
    """The rows of "--reportformat json"."""
    return [dict(row) for part in json.loads(text or "{}").get("report", ()) for row in part.get(key, ())]


def lvm(pvs: str, vgs: str, lvs: str, name: str) -> Lvm:
    """Args: pvs (of pv_name,vg_name,pv_size,dev_size,pe_start), vgs (of vg_name,vg_size,vg_free,vg_extent_size), lvs (of
    vg_name,lv_name,lv_size,lv_attr)."""
    physical = tuple(
        PhysicalVolume(row["pv_name"], row["vg_name"], *(number(row[key]) for key in ("pv_size", "dev_size", "pe_start")))
        for row in report(pvs, "pv")
    )
    volumes = tuple(
        Volume(row["lv_name"], number(row["lv_size"]), row["lv_attr"].startswith("t"))
        for row in report(lvs, "lv")
        if row["vg_name"] == name
    )
    found = [row for row in report(vgs, "vg") if row["vg_name"] == name]
    if not found:
        return Lvm(physical)
    row = found[0]
    return Lvm(physical, Group(name, number(row["vg_size"]), number(row["vg_free"]), number(row["vg_extent_size"]), volumes))


def number(text: str) -> int:
    return int(float(text or 0))


def named(text: str, what: str) -> str:
    """Raises InvalidChange for what LVM does not take."""
    if not NAME.fullmatch(text) or text in (".", "..") or len(text) > 127:
        raise InvalidChange(
            f"{text!r} is no name for a {what}.", hint="Letters, digits, +, _, . and - make a name; it does not begin with -."
        )
    return text


def pool(options: t.Mapping[str, t.Any]) -> Pool:
    """Raises InvalidChange."""
    name, told = named(options["name"], "thin pool"), str(options["size"]).strip()
    if told.endswith("%"):
        if not told[:-1].isdigit() or not 1 <= int(told[:-1]) <= 100:
            raise InvalidChange(f"Thin pool {name}: {told} is no share of what is free.", hint="1% to 100%.")
        return Pool(name, percent=int(told[:-1]))
    bytes_ = size(told)
    if bytes_ < EXTENT:
        raise InvalidChange(f"Thin pool {name}: {told} is too small.", hint="A pool has some MiB at least.")
    return Pool(name, bytes_)


def plan(wanted: Wanted, there: Lvm) -> list[Step]:
    """Raises InvalidChange for what would destroy something, NotFound for what is missing."""
    if wanted.absent:
        return removal(wanted, there)
    fresh = [one for one in wanted.devices if not mine(one, wanted, there)]
    if not there.group and not wanted.devices:
        raise NotFound(f"There is no volume group {wanted.name}.", hint="Name the devices it is to be made of.")
    steps: list[Step] = []
    for device in fresh:
        steps += prepared(device, wanted, there)
    paths = tuple(one.path for one in fresh)
    if not there.group:
        steps.append(Step(("vgcreate", wanted.name, *paths), f"make volume group {wanted.name}"))
    elif paths:
        steps.append(Step(("vgextend", wanted.name, *paths), f"add {', '.join(paths)} to volume group {wanted.name}"))
    extent = there.group.extent if there.group else EXTENT
    for volume in there.of(wanted.name):
        if volume.device_size - volume.start - volume.size >= 2 * extent:
            steps.append(Step(("pvresize", volume.path), f"use all of {volume.path}"))
    for one in wanted.pools:
        steps += of_pool(one, wanted, there.group)
    return steps


def mine(device: Device, wanted: Wanted, there: Lvm) -> bool:
    """Whether it is in the group already. Raises InvalidChange for one that is in another."""
    volume = there.on(device.path)
    if volume and volume.group and volume.group != wanted.name:
        raise InvalidChange(
            f"{device.path} belongs to volume group {volume.group}.", hint="Take it out of there first (vgreduce), or choose another disk."
        )
    return bool(volume and volume.group == wanted.name)


def prepared(device: Device, wanted: Wanted, there: Lvm) -> list[Step]:
    """A physical volume is made of it, unless it is one."""
    if there.on(device.path):
        return []
    if device.used:
        raise InvalidChange(f"{device.path} is in use: {device.used}.", hint="Choose another disk.")
    make = Step(("pvcreate", "--yes", device.path), f"make a physical volume of {device.path}")
    if not device.holds:
        return [make]
    if not wanted.force:
        raise InvalidChange(f"{device.path} holds {device.holds}.", hint="If nothing on it is needed any more, set force: true.")
    return [Step(("wipefs", "--all", device.path), f"forget what {device.path} holds"), make]


def of_pool(pool: Pool, wanted: Wanted, group: Group | None) -> list[Step]:
    found = next((one for one in group.volumes if one.name == pool.name), None) if group else None
    place = f"{wanted.name}/{pool.name}"
    if found and not found.thin_pool:
        raise InvalidChange(f"{place} is a volume, and no thin pool.", hint="Choose another name.")
    if not found:
        how = ("--extents", f"{pool.percent}%FREE") if pool.percent else ("--size", f"{pool.size}b")
        return [Step(("lvcreate", "--yes", "--type", "thin-pool", *how, "--name", pool.name, wanted.name), f"make thin pool {place}")]
    extent = group.extent if group else EXTENT
    goal = -(-pool.size // extent) * extent
    if pool.percent or goal == found.size:
        return []
    if goal < found.size:
        raise InvalidChange(
            f"Thin pool {place} has {readable_size(found.size)} and cannot become smaller ({readable_size(pool.size)}).",
            hint="LVM has no way to shrink one.",
        )
    return [Step(("lvextend", "--size", f"{goal}b", place), f"grow thin pool {place}")]


def removal(wanted: Wanted, there: Lvm) -> list[Step]:
    if not there.group:
        return []
    if there.group.volumes:
        names = ", ".join(one.name for one in there.group.volumes)
        raise InvalidChange(f"Volume group {wanted.name} has volumes: {names}.", hint="Remove them first; a group that is not empty stays.")
    paths = [one.path for one in there.of(wanted.name)]
    gone = Step(("vgremove", wanted.name), f"remove volume group {wanted.name}")
    return [gone, *(Step(("pvremove", path), f"give {path} back") for path in paths)]
