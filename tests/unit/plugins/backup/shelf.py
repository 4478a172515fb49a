# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backups made of nothing, for tests of the repository."""

from __future__ import annotations

import hashlib
import typing as t
import uuid
from pathlib import Path

from ansible_collections.domzero.xen.plugins.module_utils.backup.manifest import Disk, Manifest, Stored, Who
from ansible_collections.domzero.xen.plugins.module_utils.backup.names import iso
from ansible_collections.domzero.xen.plugins.module_utils.backup.repository import Repository
from ansible_collections.domzero.xen.plugins.module_utils.backup.stored import Backup
from ansible_collections.domzero.xen.plugins.module_utils.backup.subject import Draft, Subject
from ansible_collections.domzero.xen.plugins.module_utils.formats.files import Landing

POOL = Who("1f7e0a52-0000-4000-8000-000000000001", "lab")
VM = Who("1f7e0a52-0000-4000-8000-000000000002", "web01")
NOON = 1_795_000_000.0


def put(folder: Path, name: str, data: bytes) -> Stored:
    with Landing(folder / name) as file:
        file.write(data)
        file.finish()
    return Stored(name, len(data), hashlib.sha256(data).hexdigest())


def disk(number: int, parent: int = 0) -> Disk:
    """number: of the backup; parent: that of the one it builds on."""
    sr, vdi = Who(str(uuid.UUID(int=7)), "Local"), str(uuid.UUID(int=8))
    base = str(uuid.UUID(int=parent)) if parent else ""
    how = "delta" if parent else "full"
    return Disk("0", vdi, "root", sr, 1 << 20, "disk0.vhd", str(uuid.UUID(int=number)), base, 4096, how, str(uuid.UUID(int=9)))


def described(draft: Draft, files: t.Iterable[Stored], *, parent: Backup | None = None, now: float = NOON, **more: t.Any) -> Manifest:
    above = parent.manifest.number if parent and parent.manifest else 0
    fields: dict[str, t.Any] = {
        "kind": draft.subject.kind,
        "id": str(uuid.uuid4()),
        "number": draft.number,
        "stamp": draft.stamp,
        "created": iso(now),
        "finished": iso(now),
        "pool": draft.subject.pool,
        "subject": draft.subject.who,
        "release": {"product_version": "8.2.1"},
        "form": "vhd",
        "parent": parent.stamp if parent else "",
        "files": tuple(files),
        "disks": (disk(draft.number, above),),
    }
    return Manifest(**{**fields, **more})


def add(subject: Subject, *, parent: Backup | None = None, now: float = NOON, data: bytes = b"data", **more: t.Any) -> Backup:
    """A backup; needs the lock."""
    with subject.begin(now) as draft:
        file = put(draft.path, "disk0.vhd", data)
        return draft.commit(described(draft, [file], parent=parent, now=now, **more))


def vm(root: Path, who: Who = VM, pool: Who = POOL) -> Subject:
    return Repository(root).subject("vm", pool, who)


def chain(subject: Subject, length: int, *, whole: int = 0, now: float = NOON) -> list[Backup]:
    """So many, a second after another; each builds on the one before, each `whole`-th (0: the first alone) is whole."""
    made: list[Backup] = []
    with subject.lock("backup"):
        for n in range(length):
            begins = n == 0 or (whole and n % whole == 0)
            made.append(add(subject, parent=None if begins else made[-1], now=now + n))
    return subject.backups()
