# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether many backups can be made at all: the repository, room in it, the commands that are needed."""

from __future__ import annotations

import os
import shutil
import typing as t
from pathlib import Path

from .backup.repository import Repository
from .backup.subject import Subject
from .client import Session
from .errors import InvalidChange
from .formats.sizes import readable_size
from .many import Entry
from .refs import Objects, Record
from .resources.backup.age import is_due
from .storage import Storage
from .vms import guests

SHARE = 10  # of a VM of which no increment is known yet, a tenth is taken to have changed
TYPICAL = {"pool": 16 << 20, "host": 4 << 30}  # bytes, where there is none to go by


class Room(t.NamedTuple):
    """Bytes. needed: what is known to be needed; most: with the whole of disks on thick storage, where nobody tells how much is data."""

    needed: int
    most: int
    free: int

    @property
    def warnings(self) -> list[str]:
        if self.most <= self.free or self.needed == self.most:
            return []
        most, free = readable_size(self.most), readable_size(self.free)
        return [f"The backups may need up to {most}, and {free} are free. How much of disks on thick storage is data is not known."]


def look(session: Session, root: str, entries: t.Sequence[Entry], *, refuse: bool) -> Room:
    """refuse: whether too little room is refused. Raises InvalidChange."""
    _refuse_unwritable(Path(root))
    _refuse_missing_commands(entries)
    estimate = _Estimate(session, Repository(root))
    sizes = [estimate.of(entry) for entry in entries if not entry.problem]
    room = Room(sum(known for known, _most in sizes), sum(most for _known, most in sizes), shutil.disk_usage(root).free)
    if refuse and room.needed > room.free:
        raise InvalidChange(
            f"The backups need about {readable_size(room.needed)}, and {root} has {readable_size(room.free)} free.",
            hint="Make room (xen_backup_prune), choose fewer, or set check_room: false if they will be smaller.",
        )
    return room


def _refuse_unwritable(root: Path) -> None:
    if not root.is_dir():
        raise InvalidChange(
            f"The repository {root} is {'no folder' if root.exists() else 'not there'}.",
            hint="Make the folder on the machine where the task runs, or mount it there.",
        )
    if not os.access(root, os.R_OK | os.W_OK | os.X_OK):
        raise InvalidChange(f"The repository {root} is not writable for the user the task runs as.")


def _refuse_missing_commands(entries: t.Sequence[Entry]) -> None:
    wanted = [entry.options.get("encryption") for entry in entries]
    tools = {str(encryption["tool"]) for encryption in wanted if isinstance(encryption, dict) and encryption.get("tool")}
    for tool in sorted(tools):
        if not shutil.which(tool):
            raise InvalidChange(
                f"The command {tool}, which encryption needs, is not there.", hint="Install it on the machine where the task runs."
            )


class _Estimate:
    """How large a backup will be: as the one before it, or as the VM's disks are."""

    def __init__(self, session: Session, repository: Repository):
        self.objects = Objects(session)
        (self._pool,) = self.objects.all("pool").values()
        # of other pools it need not know anything
        rows = repository.subjects(pool=self._pool["uuid"]) if repository.id else []
        self._subjects = {subject.who.uuid: subject for subject in rows}

    def of(self, entry: Entry) -> tuple[int, int]:
        """Bytes that are known to be needed, and at most."""
        kind = str(entry.options.get("kind") or "vm")
        subject = self._subjects.get(self._uuid(kind, entry.options))
        newest = subject.newest() if subject else None
        if newest and newest.manifest and not is_due(newest.manifest.created, entry.options.get("if_older_than")):
            return 0, 0
        if kind != "vm":
            size = newest.manifest.size if newest and newest.manifest else TYPICAL.get(kind, 0)
            return size, size
        if subject and entry.options.get("mode", "incremental") == "incremental" and (known := _increment(subject)):
            return known, known
        return self._whole(entry.options)

    def _uuid(self, kind: str, options: Record) -> str:
        if kind == "pool":
            return str(self._pool["uuid"])
        if options.get("uuid"):
            return str(options["uuid"])
        cls = "VM" if kind == "vm" else "host"
        found = self.objects.named(cls, str(options.get("name") or ""))
        return str(self.objects.get(cls, found[0])["uuid"]) if found else ""

    def _whole(self, options: Record) -> tuple[int, int]:
        """What the VM's disks hold; they are as large as that at most, compressed or not."""
        uuid = self._uuid("vm", options)
        vm = next((vm for vm in guests(self.objects).values() if vm["uuid"] == uuid), None)
        if vm is None:
            return 0, 0
        vbds, vdis, storage = self.objects.all("VBD"), self.objects.all("VDI"), Storage(self.objects)
        disks = [vdis[vbds[ref]["VDI"]] for ref in vm["VBDs"] if ref in vbds and vbds[ref]["type"] == "Disk" and vbds[ref]["VDI"] in vdis]
        sizes = [(min(int(vdi["virtual_size"]), self._held(vdi)), storage.is_thick(vdi["SR"])) for vdi in disks]
        return sum(size for size, thick in sizes if not thick), sum(size for size, _thick in sizes)

    def _held(self, vdi: Record) -> int:
        """Bytes of a disk's data, of the images below it too."""
        held, seen, rows = int(vdi["physical_utilisation"]), {vdi["uuid"]}, {r["uuid"]: r for r in self.objects.all("VDI").values()}
        while (parent := rows.get(vdi["sm_config"].get("vhd-parent", ""))) and parent["uuid"] not in seen:
            seen.add(parent["uuid"])
            held, vdi = held + int(parent["physical_utilisation"]), parent
        return held


def _increment(subject: Subject) -> int:
    """The size of the last increment; a share of the whole where there is none; 0 if the next one is whole."""
    good = [backup.manifest for backup in subject.good() if backup.manifest and backup.manifest.form == "vhd"]
    if not good:
        return 0
    increments = [manifest.size for manifest in good if manifest.parent]
    return increments[-1] if increments else max(1, good[-1].size // SHARE)
