# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an incremental backup can build on: the one before in the repository, and its snapshot on the pool. Or why it has to be whole."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ...backup import manifest
from ...refs import NULL, Objects, Record
from ...resource import Found
from . import changed, snapshots
from .drives import Drive

if t.TYPE_CHECKING:
    from ...backup.subject import Backup as Kept
    from ...backup.subject import Subject


MOST_FILES = 400  # of a chain; a restore has all of them open at once, of 1024 that a process may have


@dataclass(frozen=True)
class Base:
    """What one disk builds on. disk: of the backup before; vdi: reference of the snapshot's disk on the pool.

    otherwise: why what changed since cannot be read by changed blocks, but has to be found out from the data of both; "" where it can.
    """

    disk: manifest.Disk
    backup: Kept = field(compare=False)
    vdi: str
    record: Record = field(compare=False)
    otherwise: str = ""

    @property
    def stamp(self) -> str:
        return self.backup.stamp

    @property
    def empty(self) -> bool:
        """Its data is gone; only what changed since is known."""
        return bool(self.record["type"] == changed.METADATA)


@dataclass(frozen=True)
class Grounds:
    """parent: None for a whole backup, why: the reason then; bases: by the uuid of the VM's disk; those that are new have none.

    snapshot: the one on the pool that belongs to the newest backup that can be used, whatever this one will do; single: what is there
    of it instead, disks without data.
    """

    parent: Kept | None
    bases: dict[str, Base]
    why: str = ""
    snapshot: Found | None = None
    single: tuple[Found, ...] = ()


class Search:
    """For the VM with these disks (those that are backed up)."""

    def __init__(self, objects: Objects, subject: Subject, repository: str, vm: Found, disks: t.Sequence[Drive], params: Record):
        self.objects, self.subject, self.repository = objects, subject, repository
        self.vm, self.disks, self.params = vm, disks, params

    def grounds(self) -> Grounds:
        newest = self._newest()
        if newest is None:
            return Grounds(None, {}, "it is the first one")
        if not newest.usable() or newest.manifest is None:
            return Grounds(None, {}, f"backup {newest.stamp}, the one before, cannot be used: {newest.problem.rstrip('.')}")
        made = {snapshots.stamp_of(f.record, self.repository): f for f in snapshots.ours(self.objects, self.vm.ref, self.repository)}
        snapshot = made.get(newest.stamp)
        single = [found for stamp, found in changed.bases(self.objects, self.repository, self.vm.record["uuid"]) if stamp == newest.stamp]
        bases: dict[str, Base] = {}
        why = self._why_not(newest, newest.manifest, snapshot, single) or self._fill(newest, snapshot, single, bases)
        return Grounds(None if why else newest, {} if why else bases, why, snapshot, tuple(single))

    def _newest(self) -> Kept | None:
        """Of those that increments build on. One nobody can read may be of them."""
        rows = [b for b in self.subject.backups() if b.manifest is None or b.manifest.form == "vhd"]
        return rows[-1] if rows else None

    def _why_not(self, newest: Kept, told: manifest.Manifest, snapshot: Found | None, single: t.Sequence[Found]) -> str:
        if self.params["full_every"] and len(newest.chain()) >= self.params["full_every"]:
            return f"full_every is {self.params['full_every']}"
        if (self.params.get("encryption") or {}) != told.encryption:
            return "it is encrypted in another way than the one before"
        if not told.disks:
            return "the one before has no disks"
        if snapshot is None and not single:
            return f"the snapshot of backup {newest.stamp} is not on the pool any more"
        if snapshot and snapshot.record["snapshot_of"] != self.vm.ref:
            return f"the VM was made anew since backup {newest.stamp}"
        if snapshot and snapshot.ref not in self._line():
            return f"the VM was reverted to a state before backup {newest.stamp}"
        if len(newest.chain()) * len(told.disks) >= MOST_FILES:
            return f"what it would build on is of {MOST_FILES} files or more"
        return ""

    def _line(self) -> set[str]:
        """References of the snapshots that the VM has come through. One that was deleted hands its place on to the one before."""
        rows, line, ref = self.objects.all("VM"), set[str](), self.vm.record.get("parent", NULL)
        while ref in rows and ref not in line:
            line.add(ref)
            ref = rows[ref].get("parent", NULL)
        return line

    def _fill(self, newest: Kept, snapshot: Found | None, single: t.Sequence[Found], bases: dict[str, Base]) -> str:
        """What each disk builds on; or why one cannot."""
        disks = newest.manifest.disks if newest.manifest else ()
        before, places = {disk.vdi: disk for disk in disks}, {disk.device: disk for disk in disks}
        vdis, vbds = self.objects.all("VDI"), self.objects.all("VBD")
        inside = snapshot.record["VBDs"] if snapshot else []
        held = {vdis[v["VDI"]]["uuid"]: v["VDI"] for ref in inside if (v := vbds.get(ref)) and v["VDI"] in vdis}
        held |= {found.record["uuid"]: found.ref for found in single}
        for disk in self.disks:
            known = before.get(disk.uuid)
            if known is None:
                old = places.get(str(disk.place))
                if old is not None:
                    return f"disk {disk} has taken the place of {old.name!r}"
                continue
            if known.virtual_size != disk.size:
                return f"disk {disk} was resized"
            ref = held.get(known.snapshot, "")
            if not ref:
                return f"the snapshot of disk {disk} is not on the pool any more"
            if vdis[ref]["snapshot_of"] != disk.disk.vdi:
                return f"the snapshot of disk {disk} is of another disk"
            base = bases[disk.uuid] = Base(known, newest, ref, vdis[ref], self._otherwise(disk, known))
            if base.empty and base.otherwise:
                return f"what changed of disk {disk} is not to be had: {base.otherwise}"
        return ""

    def _otherwise(self, disk: Drive, known: manifest.Disk) -> str:
        return "cbt is never" if self.params["cbt"] == "never" else changed.refusal(self.objects, disk.disk.record, known.snapshot)
