# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A repository with something of every form, and bits of it that flip."""

from __future__ import annotations

import contextlib
import dataclasses
import gzip
import hashlib
import io
import random
import tarfile
import typing as t
from pathlib import Path

from ansible_collections.domzero.xen.plugins.module_utils.backup import verify
from ansible_collections.domzero.xen.plugins.module_utils.backup.manifest import Disk, Stored, Who
from ansible_collections.domzero.xen.plugins.module_utils.backup.repository import Repository
from ansible_collections.domzero.xen.plugins.module_utils.backup.stored import Backup
from ansible_collections.domzero.xen.plugins.module_utils.backup.subject import Subject
from ansible_collections.domzero.xen.plugins.module_utils.backup.verify import Report
from ansible_collections.domzero.xen.plugins.module_utils.formats.vhd_write import Parent

from ..formats import exports
from . import shelf
from .chain_lab import BLOCK, SECTOR, Piece, laid_out, uuid_of, write
from .shelf import POOL, VM

SIZE = 5 * BLOCK // 2  # two blocks, the second one half used
LAYERS = ([Piece(0, 40, 1), Piece(BLOCK // SECTOR + 5, 7, 2)], [Piece(8, 3, 3)], [Piece(BLOCK // SECTOR, 100, 4), Piece(9, 1, 5)])
OTHER = Who("1f7e0a52-0000-4000-8000-000000000003", "db01")
HOST = Who("1f7e0a52-0000-4000-8000-000000000004", "xcp00")
SR = Who("1f7e0a52-0000-4000-8000-000000000007", "Local")
COMPRESSIONS = ("none", "gzip", "zstd")
DUMP = f"""<?xml version="1.0" encoding="UTF-8"?>
<database>
  <manifest>
    <pair key="schema_major_vsn" value="5"/>
    <pair key="schema_minor_vsn" value="602"/>
    <pair key="generation_count" value="4711"/>
  </manifest>
  <table name="pool"><row ref="OpaqueRef:1" _ref="OpaqueRef:1" uuid="{POOL.uuid}" name__label="lab" master="OpaqueRef:2"/></table>
  <table name="host"><row ref="OpaqueRef:2" _ref="OpaqueRef:2" uuid="{HOST.uuid}" name__label="xcp00"/></table>
</database>
""".encode()


def noise(seed: str, length: int) -> bytes:
    return random.Random(seed).randbytes(length)


def disk_row(device: str, number: int, parent: int | None, **more: t.Any) -> Disk:
    base = uuid_of(parent) if parent is not None else ""
    fields: dict[str, t.Any] = {
        "device": device, "vdi": f"vdi-{device}", "name": f"disk {device}", "sr": SR, "virtual_size": SIZE, "file": f"disk{device}.vhd",
        "vhd": uuid_of(number), "parent_vhd": base, "data": 0, "how": "delta" if base else "full", "snapshot": "",
    }  # fmt: skip
    return Disk(**{**fields, **more})


def metadata(disks: int = 1) -> bytes:
    return exports.tarred([("ova.xml", exports.ova({f"Ref:{n + 9}": SIZE for n in range(disks)}))])


def add_vhds(subject: Subject) -> list[Backup]:
    """A whole backup and two increments."""
    made: list[Backup] = []
    disk = b""
    with subject.lock("backup"):
        for number, parts in enumerate(LAYERS):
            disk = laid_out(SIZE, parts, disk)
            above = made[-1] if made else None
            with subject.begin(shelf.NOON + number) as draft:
                parent = Parent(uuid_of(number - 1), f"../{above.stamp}/disk0.vhd", number - 1) if above else None
                file = write(draft.path / "disk0.vhd", disk, parts, number, parent)
                files = [shelf.put(draft.path, "disk0.vhd", file.read_bytes()), shelf.put(draft.path, "metadata.xva", metadata())]
                row = disk_row("0", number, number - 1 if above else None)
                made.append(draft.commit(shelf.described(draft, files, parent=above, now=shelf.NOON + number, disks=(row,))))
    return subject.backups()


def xva(compression: str) -> bytes:
    """One disk of two MiB blocks with noise and a rest."""
    data = (noise("xva", 1 << 20) + bytes(1 << 20) + noise("end", 1 << 19)).ljust(SIZE, b"\0")
    return exports.packed(exports.export({"Ref:9": data}), compression)


def add_xva(subject: Subject, compression: str) -> Backup:
    with subject.lock("backup"), subject.begin(shelf.NOON + COMPRESSIONS.index(compression)) as draft:
        files = [shelf.put(draft.path, "metadata.xva", metadata()), shelf.put(draft.path, "vm.xva", xva(compression))]
        row = disk_row("0", 0, None, file="", vhd="")
        return draft.commit(shelf.described(draft, files, form="xva", disks=(row,), details={"compression": compression}))


def archive() -> bytes:
    """A host's: a few files, packed."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name in ("etc/xensource-inventory", "var/lib/xcp/state.db", "boot/vmlinuz"):
            data = noise(name, 20_000)
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return gzip.compress(out.getvalue(), mtime=0)


def add_plain(subject: Subject, name: str, data: bytes, form: str) -> Backup:
    """Of a pool or a host."""
    with subject.lock("backup"), subject.begin(shelf.NOON) as draft:
        return draft.commit(shelf.described(draft, [shelf.put(draft.path, name, data)], form=form, disks=()))


def build(root: Path) -> Repository:
    """web01 in VHDs, db01 as .xva in three ways, the pool's database, a host's archive."""
    root.mkdir()
    repository = Repository(root)
    repository.establish()
    add_vhds(repository.subject("vm", POOL, VM))
    for compression in COMPRESSIONS:
        add_xva(repository.subject("vm", POOL, OTHER), compression)
    add_plain(repository.subject("pool", POOL, POOL), "pool.xml", DUMP, "dump")
    add_plain(repository.subject("host", POOL, HOST), "host.tar.gz", archive(), "archive")
    return repository


def look(backup: Backup, level: str) -> Report:
    return verify.check(backup, level, {one.stamp: one for one in backup.subject.backups()})


@contextlib.contextmanager
def flipped(path: Path, offset: int, bit: int = 0) -> t.Iterator[None]:
    """One bit of a file is another for a while; offset counts from the end if it is negative."""
    with path.open("r+b") as file:
        file.seek(offset, 2 if offset < 0 else 0)
        place, was = file.tell(), file.read(1)
        file.seek(place)
        file.write(bytes([was[0] ^ (1 << bit)]))
        file.flush()
        try:
            yield
        finally:
            file.seek(place)
            file.write(was)


@contextlib.contextmanager
def replaced(path: Path, data: bytes | None) -> t.Iterator[None]:
    """Another content, or (None) no file, for a while."""
    was = path.read_bytes()
    try:
        if data is None:
            path.unlink()
        else:
            path.write_bytes(data)
        yield
    finally:
        path.write_bytes(was)


def resealed(backup: Backup, file: str) -> None:
    """The manifest says what the file is now: as if it had come like that."""
    manifest = t.cast("t.Any", backup.manifest)
    data = (backup.path / file).read_bytes()
    stored = Stored(file, len(data), hashlib.sha256(data).hexdigest())
    files = tuple(stored if one.name == file else one for one in manifest.files)
    with backup.subject.lock("backup"):
        backup.replace(dataclasses.replace(manifest, files=files))
