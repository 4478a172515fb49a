# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writes VHD files as a stream: nothing is gone back to, and the length is known before the first byte."""

from __future__ import annotations

import errno
import os
import struct
import typing as t
import uuid as uuids
from dataclasses import dataclass, field
from pathlib import Path

from .files import PIECE, Landing, is_zero
from .vhd import BLOCK, DIFFERENCING, DYNAMIC, SECTOR, UNUSED, Footer, Header, bitmap_size, refuse_bad_size, timestamp

Extent = tuple[int, int]  # offset and length in bytes
ReadAt = t.Callable[[int, int], bytes]  # offset, length: the data, less at the end of the source only
_TABLE_AT = 3 * SECTOR


class Parent(t.NamedTuple):
    """What a differencing VHD builds on."""

    uuid: str
    name: str = ""
    timestamp: int = 0


@dataclass(frozen=True)
class Plan:
    """A VHD that is to be written. size: of the disk in bytes, made a multiple of 512; sectors: which are in it, by block."""

    size: int
    sectors: t.Mapping[int, int]  # number of the block -> bitmap of its sectors, the first one the highest bit; each is asked for once
    parent: Parent | None = None
    uuid: str = field(default_factory=lambda: str(uuids.uuid4()))
    time: int = field(default_factory=timestamp)

    @property
    def entries(self) -> int:
        return -(-self.size // BLOCK)

    @property
    def table_size(self) -> int:
        return -(-4 * self.entries // SECTOR) * SECTOR

    @property
    def length(self) -> int:
        """Of the file, in bytes."""
        return _TABLE_AT + self.table_size + len(self.sectors) * (bitmap_size(BLOCK) + BLOCK) + SECTOR

    def pieces(self, read: ReadAt) -> t.Iterator[bytes]:
        """The file from its beginning to its end."""
        footer = Footer(self.size, DIFFERENCING if self.parent else DYNAMIC, self.uuid, self.time, SECTOR).pack()
        header = Header(_TABLE_AT, self.entries, BLOCK)
        if self.parent:
            header = header._replace(
                parent_uuid=self.parent.uuid, parent_name=self.parent.name, parent_timestamp=self.parent.timestamp
            )  # fmt: skip
        yield footer + header.pack()
        yield self._table()
        for number in sorted(self.sectors):
            yield self.sectors[number].to_bytes(BLOCK // SECTOR // 8, "big").ljust(bitmap_size(BLOCK), b"\0")
            for at in range(number * BLOCK, (number + 1) * BLOCK, PIECE):
                count = max(0, min(PIECE, self.size - at))
                yield (read(at, count) if count else b"").ljust(PIECE, b"\0")
        yield footer

    def _table(self) -> bytes:
        table = [UNUSED] * self.entries
        first = (_TABLE_AT + self.table_size) // SECTOR
        for place, number in enumerate(sorted(self.sectors)):
            table[number] = first + place * (bitmap_size(BLOCK) + BLOCK) // SECTOR
        return struct.pack(f">{self.entries}I", *table).ljust(self.table_size, b"\xff")


def plan(size: int, extents: t.Iterable[Extent], parent: Parent | None = None, **more: t.Any) -> Plan:
    """A VHD of that size that holds these parts of the disk; more: uuid, time. Raises InvalidChange for a size that cannot be."""
    refuse_bad_size(size)
    rounded = -(-size // SECTOR) * SECTOR
    sectors: dict[int, int] = {}
    for offset, length in extents:
        first, end = offset // SECTOR, -(-(offset + length) // SECTOR)
        while first < end:
            number, within = divmod(first, BLOCK // SECTOR)
            count = min(end - first, BLOCK // SECTOR - within)
            run = ((1 << count) - 1) << (BLOCK // SECTOR - within - count)
            sectors[number] = sectors.get(number, 0) | run
            first += count
    return Plan(rounded, sectors, parent, **more)


def data_of(fd: int, size: int) -> t.Iterator[Extent]:
    """The parts of a raw file that are not holes."""
    at = 0
    while at < size:
        try:
            start = os.lseek(fd, at, os.SEEK_DATA)
        except OSError as e:
            if e.errno == errno.ENXIO:  # nothing but a hole from here
                return
            yield at, size - at  # a file system that knows no holes
            return
        at = min(os.lseek(fd, start, os.SEEK_HOLE), size)
        yield start, at - start


def without_zeros(read: ReadAt, extents: t.Iterable[Extent]) -> t.Iterator[Extent]:
    """Whole blocks of zeros are left out: images are often written without holes."""
    for offset, length in extents:
        end = offset + length
        while offset < end:
            count = min(BLOCK - offset % BLOCK, end - offset)
            if not is_zero(read(offset, count)):
                yield offset, count
            offset += count


def from_raw(source: Path | str, target: Path | str) -> int:
    """A raw file as a dynamic VHD. The length of the new file; raises InvalidChange, XenError (disk full), OSError."""
    fd = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
    try:
        size = os.fstat(fd).st_size

        def read(offset: int, length: int) -> bytes:
            return os.pread(fd, length, offset)

        wanted = plan(size, without_zeros(read, data_of(fd, size)))
        with Landing(target) as file:
            for piece in wanted.pieces(read):
                file.write(piece)
            file.finish()
        return wanted.length
    finally:
        os.close(fd)
