# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which disks of a VM are backed up, and which are left out and why."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ...client import Session
from ...errors import InvalidChange, XenError
from ...formats.sizes import readable_size
from ...formats.vhd import BIGGEST
from ...refs import NULL, Objects, Record
from ...resource import Found
from ..snapshot.disks import Disk, device_of, disk_of, named
from ..vm_export import disks_of

NO_BACKUP = "domzero.xen:no-backup"  # other_config of a disk; any value but false
NOBAK = "[NOBAK]"  # in the name of a disk, as Xen Orchestra has it


@dataclass(frozen=True)
class Drive:
    """place: the VBD's userdevice."""

    place: str
    disk: Disk

    @property
    def uuid(self) -> str:
        return str(self.disk.record["uuid"])

    @property
    def size(self) -> int:
        return self.disk.size

    def __str__(self) -> str:
        return str(self.disk)


class Drives(t.NamedTuple):
    """taken: those that are backed up; left_out as the manifest has it; all in the order of their places."""

    every: list[Drive]
    taken: list[Drive]
    left_out: list[dict[str, str]]

    @property
    def skipped(self) -> list[Drive]:
        return [drive for drive in self.every if drive not in self.taken]


def of(objects: Objects, vm: Found, ignored: t.Sequence[str]) -> Drives:
    """CDs are no disks. Raises InvalidChange for one to be ignored that is not there."""
    found = [(str(vbd["userdevice"]), disk_of(objects, vbd["VDI"], device_of(vbd))) for vbd in disks_of(objects, vm.record)]
    every = [Drive(place, disk) for place, disk in found if disk]
    disks = [drive.disk for drive in every]
    out = named(disks, ignored, f"VM {vm.record['name_label']!r}")
    taken: list[Drive] = []
    left_out: list[dict[str, str]] = []
    for drive in every:
        why = "the task ignores it" if drive.disk in out else _marked(drive.disk.record)
        if why:
            left_out.append({"device": drive.place, "name": str(drive.disk.record["name_label"]), "vdi": drive.uuid, "why": why})
        else:
            taken.append(drive)
    return Drives(every, taken, left_out)


def refuse_too_large(chosen: Drives, label: str) -> None:
    """Raises InvalidChange for a disk that no VHD can hold."""
    for drive in chosen.taken:
        if drive.size > BIGGEST:
            raise InvalidChange(
                f"Disk {drive} of VM {label!r} is too large for a VHD ({readable_size(drive.size)}).",
                hint=f"A VHD holds {readable_size(BIGGEST)}: set mode: full, or leave the disk out with ignore_disks.",
            )


def refuse_other(drive: Drive, now: Record, label: str) -> None:
    """now: of the snapshot's disk. Raises XenError where that is not of the disk that the backup was planned for, or has another size."""
    if now.get("snapshot_of") != drive.disk.vdi or int(now["virtual_size"]) != drive.size:
        raise XenError(f"Disk {drive} of VM {label!r} was replaced or resized while its backup began.", hint="Run the task again.")


def refuse_others(session: Session, vm: str, chosen: Drives, label: str) -> None:
    """The same for all disks. vm: reference of the snapshot, or of the VM itself."""
    objects = Objects(session)
    vbds = [row for row in objects.all("VBD").values() if row["VM"] == vm]
    there = {row["userdevice"]: row["VDI"] for row in vbds}
    for drive in chosen.taken:
        ref = there.get(drive.place, NULL)
        now = objects.all("VDI").get(ref, {})
        refuse_other(drive, {**now, "snapshot_of": ref} if ref == drive.disk.vdi else now, label)


def _marked(vdi: Record) -> str:
    if str(vdi["other_config"].get(NO_BACKUP, "false")).lower() not in ("false", "no", "0", ""):
        return f"its other_config has {NO_BACKUP}"
    return f"its name has {NOBAK}" if NOBAK in vdi["name_label"] else ""
