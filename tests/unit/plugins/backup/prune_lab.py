# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backups of a VM with real disks, whose content is known, and what prunes them."""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import itertools
import random
import typing as t
import uuid
from pathlib import Path

from ansible_collections.domzero.xen.plugins.module_utils.backup import prune, sealing
from ansible_collections.domzero.xen.plugins.module_utils.backup.manifest import Disk, Manifest, Stored, Who
from ansible_collections.domzero.xen.plugins.module_utils.backup.repository import Repository
from ansible_collections.domzero.xen.plugins.module_utils.backup.retention import UTC, Rules
from ansible_collections.domzero.xen.plugins.module_utils.backup.stored import Backup
from ansible_collections.domzero.xen.plugins.module_utils.backup.subject import Subject
from ansible_collections.domzero.xen.plugins.module_utils.formats import vhd_read, vhd_write
from ansible_collections.domzero.xen.plugins.module_utils.formats.vhd import SECTOR

from . import chain_lab, shelf

DAY = 86400
START = 1_577_880_000.0  # noon of the first day of 2020: the past, wherever tests run
NOW = dt.datetime.fromtimestamp(START, UTC) + dt.timedelta(days=100)
SIZE = 40 * SECTOR  # of a disk, in one block
Content = dict[str, str]  # SHA-256 by device


class Lab:
    """web01 with two disks, which is written to before each backup. contents: what each backup is to read, by stamp."""

    def __init__(
        self,
        root: Path,
        *,
        encryption: t.Mapping[str, t.Any] | None = None,
        identity: str = "",
        who: Who = shelf.VM,
        size: int = SIZE,
        devices: str = "01",
    ):
        self.root, self.who, self.size = root, who, size
        self.encryption, self.identity = dict(encryption or {}), identity
        self.random = random.Random(who.uuid)
        self.disks = {device: bytes(size) for device in devices}
        self.contents: dict[str, Content] = {}
        self._raw: dict[str, dict[str, bytes]] = {}

    @property
    def subject(self) -> Subject:
        return shelf.vm(self.root, self.who)

    def backs_up(
        self, count: int = 1, *, parent: Backup | None = None, whole: bool = False, days: int | None = None, **more: t.Any
    ) -> list[Backup]:
        """So many, a day after another; each builds on the one before, unless whole or there is none."""
        subject = self.subject
        with subject.lock("backup"):
            made: list[Backup] = []
            for _number in range(count):
                backups = subject.backups()
                below = None if whole else parent or (backups[-1] if backups else None)
                now = START + DAY * (len(backups) if days is None else days)
                made.append(self._one(subject, below, now, more))
                parent = None
        return made

    def _one(self, subject: Subject, below: Backup | None, now: float, more: dict[str, t.Any]) -> Backup:
        with subject.begin(now) as draft:
            made = [self._disk(draft.path, device, below) for device in sorted(self.disks)]
            self._raw[draft.stamp] = dict(self.disks)
            self.contents[draft.stamp] = {device: _digest(disk) for device, disk in self.disks.items()}
            fields = {"disks": tuple(disk for disk, _file in made), "encryption": self.encryption, **more}
            return draft.commit(shelf.described(draft, [file for _disk, file in made], parent=below, now=now, **fields))

    def _disk(self, folder: Path, device: str, below: Backup | None) -> tuple[Disk, Stored]:
        sectors = self.size // SECTOR
        writes = [
            chain_lab.Piece(self.random.randrange(sectors), self.random.randint(1, 9), self.random.randint(0, 255)) for _n in range(3)
        ]
        under = next((disk for disk in below.manifest.disks if disk.device == device), None) if below and below.manifest else None
        before = self._raw[below.stamp][device] if below and under else self.disks[device]  # the guest was reverted to that, maybe
        self.disks[device] = chain_lab.laid_out(self.size, writes, before)
        parent = vhd_write.Parent(under.vhd, f"../{below.stamp}/{sealing.plain_name(under.file)}") if below and under else None
        held = writes if parent else [chain_lab.Piece(0, sectors, 0)]
        name, number = sealing.named(f"disk{device}.vhd", self.encryption), self.random.getrandbits(31)
        with sealing.landing(folder / name, self.encryption) as file:
            file.write(chain_lab.packed(self.disks[device], held, number, parent))
            file.finish()
        sr, vdi, above = Who(str(uuid.UUID(int=7)), "Local"), str(uuid.UUID(int=int(device) + 1)), parent.uuid if parent else ""
        fields = (device, vdi, f"disk {device}", sr, self.size, name, chain_lab.uuid_of(number), above, self.size)
        return Disk(*fields, "delta" if parent else "full", ""), Stored(name, file.size, file.sha256)

    def read(self, backup: Backup) -> Content:
        """What would be restored."""
        found = {}
        for disk in _manifest(backup).disks:
            with contextlib.ExitStack() as stack:
                paths = []
                vhd = disk.vhd
                for one in backup.chain():
                    layer = next((d for d in _manifest(one).disks if d.vhd == vhd), None)
                    if layer is None:
                        break
                    stored = next(f for f in _manifest(one).files if f.name == layer.file)
                    assert hashlib.sha256(one.file(stored).read_bytes()).hexdigest() == stored.sha256
                    paths.append(stack.enter_context(sealing.unsealed(one, stored, self.identity)))
                    vhd = layer.parent_vhd
                with vhd_read.Chain(paths) as chain:
                    found[disk.device] = _digest(chain.read(0, chain.size))
                    assert layer is not None
                    self.look_at_names(backup, paths)
        return found

    def look_at_names(self, backup: Backup, paths: list[Path]) -> None:
        """A header names its parent's file, for readers that go by that; they have to find it."""
        if self.encryption:
            return
        for path, parent in itertools.pairwise(paths):
            with vhd_read.Vhd(path) as file:
                assert file.header
                named = (path.parent / file.header.parent_name).resolve()
            assert named == parent.resolve() or not self.settled(backup)

    def settled(self, backup: Backup) -> bool:
        return not any(".merged" in f.name for one in backup.chain() for f in _manifest(one).files)

    def all_is_well(self, stamps: t.Iterable[str]) -> None:
        """These are there, can be used, and read as they did; nothing else lies there."""
        backups = self.subject.backups()
        assert [backup.stamp for backup in backups] == list(stamps)
        for backup in backups:
            assert backup.problem == ""
            assert self.read(backup) == self.contents[backup.stamp]
        assert self.subject.leftovers() == []
        assert self.subject.foreign() == []

    def prunes(self, *, check: bool = False, now: dt.datetime = NOW, identity: str | None = None, **rules: t.Any) -> dict[str, t.Any]:
        asked = prune.Asked(Rules(**rules), UTC, now, self.identity if identity is None else identity)
        return prune.prune(Repository(self.root), asked, check=check)


def _manifest(backup: Backup) -> Manifest:
    assert backup.manifest
    return backup.manifest


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def files(root: Path) -> dict[str, int]:
    """What lies there, but for locks."""
    return {str(path.relative_to(root)): path.stat().st_size for path in sorted(root.rglob("*")) if path.is_file() and path.name != ".lock"}


def disk_bytes(root: Path) -> int:
    return sum(size for name, size in files(root).items() if not name.endswith(".json"))
