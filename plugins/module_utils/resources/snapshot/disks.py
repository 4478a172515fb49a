# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The disks of a VM or of a snapshot, and how a task names them."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ...errors import InvalidChange
from ...refs import NULL, Objects, Record
from ...wiring import quoted


@dataclass(frozen=True)
class Disk:
    """One drive with a virtual disk in it; vdi, sr: references; device: as the guest may see it, such as xvda."""

    device: str
    vdi: str
    record: Record = field(compare=False)
    sr: str = field(compare=False)
    sr_record: Record = field(compare=False)

    @property
    def size(self) -> int:
        return int(self.record["virtual_size"])

    @property
    def name(self) -> str:
        return str(self.record["name_label"]) or str(self.record["uuid"])

    def __str__(self) -> str:
        return f"{self.name!r} ({self.device})"


def device_of(vbd: Record) -> str:
    """xvda for position 0 of a drive that was never attached."""
    place = str(vbd["userdevice"])
    return str(vbd["device"] or (f"xvd{chr(ord('a') + int(place))}" if place.isdigit() and int(place) < 26 else place))


def disk_of(objects: Objects, vdi: str, device: str) -> Disk | None:
    record = objects.all("VDI").get(vdi)
    sr_record = objects.all("SR").get(record["SR"]) if record else None
    return Disk(device, vdi, record, record["SR"], sr_record) if record and sr_record else None


def disks_of(objects: Objects, vm: Record) -> list[Disk]:
    """In the order of their places; CDs are not disks."""
    vbds = objects.all("VBD")
    here = [vbds[ref] for ref in vm["VBDs"] if ref in vbds]
    found = [disk_of(objects, vbd["VDI"], device_of(vbd)) for vbd in here if vbd["type"] != "CD" and not vbd["empty"]]
    return sorted((disk for disk in found if disk), key=lambda disk: (len(disk.device), disk.device))


def image_of(objects: Objects, vm: Record) -> Disk | None:
    """The memory of a suspended VM or of a snapshot with memory."""
    return disk_of(objects, vm["suspend_VDI"], "memory") if vm["suspend_VDI"] != NULL else None


def everything(objects: Objects, vm: Record) -> list[Disk]:
    image = image_of(objects, vm)
    return [*disks_of(objects, vm), *([image] if image else [])]


def alone(objects: Objects, disks: t.Iterable[Disk], owner: str) -> list[Disk]:
    """Those that no other VM uses. owner: reference of the VM or snapshot whose disks they are."""
    vbds = objects.all("VBD")
    return [d for d in disks if not [v for v in d.record["VBDs"] if v in vbds and vbds[v]["VM"] not in (owner, NULL)]]


def named(disks: t.Sequence[Disk], texts: t.Iterable[str], where: str) -> list[Disk]:
    """The disks meant by name, device (xvdb), position (1) or uuid. Raises InvalidChange for one that is not there or not the only one."""
    out: list[Disk] = []
    for text in texts:
        by_place = [d for d in disks if str(text) in (d.device, d.record["uuid"]) or _place(d.device) == str(text)]
        found = by_place or [d for d in disks if d.record["name_label"] == str(text)]
        known = f"It has {', '.join(map(str, disks))}." if disks else "It has none."
        if not found:
            raise InvalidChange(f"{where} has no disk {str(text)!r}.", hint=known)
        if len(found) > 1:
            raise InvalidChange(f"{where} has {len(found)} disks named {str(text)!r}.", hint=f"Give the device. {known}")
        out += [d for d in found if d not in out]
    return out


def _place(device: str) -> str:
    """The position of xvdb, hdb or sdb is 1."""
    return str(ord(device[-1]) - ord("a")) if len(device) in (3, 4) and device[:-1] in ("xvd", "hd", "sd") else ""


def listed(disks: t.Iterable[Disk]) -> str:
    return quoted(d.name for d in disks)
