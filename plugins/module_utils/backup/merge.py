# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Several VHD files that build on each other become one, which reads the same: how a backup in the middle of a chain can go.

Nothing is changed in place. The new file is written from its beginning to its end, block by block, whatever the size of the disk.
"""

from __future__ import annotations

import struct
import typing as t
from collections.abc import Mapping
from pathlib import Path

from ..formats.compression import Damaged
from ..formats.files import Readable
from ..formats.vhd import BLOCK, SECTOR, UNUSED, Footer, Header
from ..formats.vhd_read import Chain, Vhd
from ..formats.vhd_write import Parent, Plan

MOST = 64 << 20  # bytes before the data; those of the largest disk take 4 MiB


class Merged:
    """What stands in for files of one chain, the newest first; its parent is that of the oldest of them.

    It keeps the uuid of the newest one, so that what builds on it still does. length: of the new file in bytes, known before anything
    but tables is read; data: bytes of the disk in it, known when all pieces were taken; parent_vhd: uuid of its parent, "" = whole.
    Raises Damaged, OSError.
    """

    def __init__(self, paths: t.Sequence[Path | str]):
        self._chain = Chain(paths, whole=False)
        newest, oldest = self._chain.files[0], self._chain.files[-1]
        parent = None
        if oldest.differencing and oldest.header:
            parent = Parent(oldest.header.parent_uuid, oldest.header.parent_name, oldest.header.parent_timestamp)
        self.parent_vhd = parent.uuid if parent else ""
        self._sectors = _Sectors(self._chain)
        self._plan = Plan(newest.size, self._sectors, parent, newest.footer.uuid, newest.footer.timestamp)

    def __enter__(self) -> Merged:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        self._chain.close()

    @property
    def length(self) -> int:
        return self._plan.length

    @property
    def data(self) -> int:
        return self._sectors.present * SECTOR

    def pieces(self) -> t.Iterator[bytes]:
        """The new file from its beginning to its end. Raises Damaged."""
        self._sectors.present = 0
        return self._plan.pieces(self._chain.read)


class _Sectors(Mapping[int, int]):
    """Which blocks any of the files has, and which sectors of them; the latter are read when they are asked for."""

    def __init__(self, chain: Chain):
        self._chain, self.present = chain, 0
        self._blocks = _blocks_of(chain.size, chain.files)
        self._count = sum(self._blocks)

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> t.Iterator[int]:
        return (number for number, there in enumerate(self._blocks) if there)

    def __getitem__(self, number: int) -> int:
        bitmap, sectors = 0, BLOCK // SECTOR
        for file in self._chain.files:
            for offset, length in file.extents(number * BLOCK, min((number + 1) * BLOCK, self._chain.size)):
                first, count = (offset - number * BLOCK) // SECTOR, -(-length // SECTOR)
                bitmap |= ((1 << count) - 1) << (sectors - first - count)
        self.present += f"{bitmap:b}".count("1")
        return bitmap


class Head(t.NamedTuple):
    """The beginning of a VHD that is not fixed: what says where its data lies."""

    size: int
    header: Header | None
    table: tuple[int, ...]


def _blocks_of(size: int, files: t.Iterable[Vhd | Head]) -> bytearray:
    """Of which of our blocks any of the files has something: one byte each, as a large disk has a million."""
    blocks = bytearray(-(-size // BLOCK))
    for file in files:
        for first, end in _ranges_of(file):
            blocks[first:end] = b"\1" * len(blocks[first:end])
    return blocks


def _ranges_of(file: Vhd | Head) -> t.Iterator[tuple[int, int]]:
    if file.header is None:
        yield 0, -(-file.size // BLOCK)
        return
    size = file.header.block_size
    for number, entry in enumerate(file.table):
        if entry != UNUSED:
            yield number * size // BLOCK, -(-(number + 1) * size // BLOCK)


def length_of(files: t.Sequence[Readable]) -> tuple[int, int]:
    """Of files of a chain that can only be read from their beginning, the newest first: the length of that one written anew, and
    that of what they become together. Raises Damaged.
    """
    heads = [_head(file) for file in files]
    own, together = (sum(_blocks_of(heads[0].size, some)) for some in (heads[:1], heads))
    return tuple(Plan(heads[0].size, dict.fromkeys(range(count), 0)).length for count in (own, together))  # type: ignore[return-value]


def _head(file: Readable) -> Head:
    """Reads what lies before the data, in order."""
    data = _read(file, b"", SECTOR)
    footer = Footer.unpack(data)
    data = _read(file, data, footer.header_at + 2 * SECTOR)
    header = Header.unpack(data[footer.header_at :])
    count = -(-footer.size // header.block_size)
    data = _read(file, data, header.table_at + 4 * count)
    return Head(footer.size, header, struct.unpack_from(f">{count}I", data, header.table_at))


def _read(file: Readable, data: bytes, end: int) -> bytes:
    """What is there already, and the next, up to a place."""
    if end > MOST:
        raise Damaged("The VHD has its structures in places where none are written.")
    out = bytearray(data)
    buffer = memoryview(bytearray(SECTOR))
    while len(out) < end:
        count = file.readinto(buffer[: min(SECTOR, end - len(out))])
        if not count:
            raise Damaged("The VHD is cut off.")
        out += buffer[:count]
    return bytes(out)
