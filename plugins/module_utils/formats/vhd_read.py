# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads VHD files and chains of them: fixed, dynamic, differencing. Every structure is checked before it is trusted."""

from __future__ import annotations

import itertools
import os
import struct
import typing as t
from pathlib import Path

from .compression import Damaged
from .files import PIECE, Landing
from .vhd import DIFFERENCING, FIXED, SECTOR, UNUSED, Footer, Header, bitmap_size

Extent = tuple[int, int]  # offset and length in bytes


class Vhd:
    """One VHD file. Opening checks footer, header and block table; raises Damaged, OSError."""

    def __init__(self, path: Path | str):
        self.path = Path(path)
        self._fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self.length = os.fstat(self._fd).st_size
            self.footer = self._footer()
            self.header = None if self.footer.type == FIXED else Header.unpack(self._at(self.footer.header_at, 2 * SECTOR, "header"))
            self.table = self._table()
        except Damaged as e:
            self.close()
            e.message = f"{self.path}: {e.message}"
            raise

    def __enter__(self) -> Vhd:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1

    @property
    def size(self) -> int:
        """In bytes, as a guest sees it."""
        return self.footer.size

    @property
    def differencing(self) -> bool:
        return self.footer.type == DIFFERENCING

    # structure ------------------------------------------------------------------
    def _at(self, offset: int, count: int, what: str) -> bytes:
        data = os.pread(self._fd, count, offset) if offset + count <= self.length else b""
        if len(data) < count:
            raise Damaged(f"The VHD's {what} lies beyond the end of the file: it is cut off.")
        return data

    def _footer(self) -> Footer:
        footer = Footer.unpack(self._at(max(0, self.length - SECTOR), SECTOR, "footer"))
        if footer.type == FIXED:
            if footer.size > self.length - SECTOR:
                raise Damaged(f"The VHD holds {self.length - SECTOR} of {footer.size} bytes: it is cut off.")
        elif Footer.unpack(self._at(0, SECTOR, "copy of its footer")) != footer:
            raise Damaged("The VHD's footer and the copy of it at the beginning differ.")
        return footer

    def _table(self) -> tuple[int, ...]:
        """Sectors at which the blocks lie; UNUSED for one that is not there."""
        if self.header is None:
            return ()
        count = -(-self.size // self.header.block_size)
        if self.header.entries < count:
            raise Damaged(f"The VHD's table has {self.header.entries} entries, its size needs {count}.")
        table = struct.unpack(f">{count}I", self._at(self.header.table_at, 4 * count, "block table"))
        taken = bitmap_size(self.header.block_size) + self.header.block_size
        blocks = [(entry * SECTOR, entry * SECTOR + taken) for entry in table if entry != UNUSED]
        places = sorted([(0, 3 * SECTOR), (self.header.table_at, self.header.table_at + 4 * count), *blocks])
        for (_start, before), (start, end) in itertools.pairwise(places):
            if start < before or end > self.length - SECTOR:
                raise Damaged(f"What lies at {start} of the VHD overlaps with something else, or is cut off.")
        return table

    # contents -------------------------------------------------------------------
    def extents(self, begin: int = 0, end: int | None = None) -> t.Iterator[Extent]:
        """What this file itself holds between two places, in order; elsewhere are zeros, or what the parent has."""
        end = self.size if end is None else min(end, self.size)
        for offset, length in self._extents(begin, end):
            start, stop = max(offset, begin), min(offset + length, end)
            if start < stop:
                yield start, stop - start

    def _extents(self, begin: int, end: int) -> t.Iterator[Extent]:
        """Of all blocks that have a part there."""
        if self.header is None:
            yield 0, self.size
            return
        size = self.header.block_size
        for number in range(begin // size, -(-end // size)):
            if self.table[number] != UNUSED:
                for offset, length in self._present(self.table[number]):
                    yield number * size + offset, length

    def _present(self, entry: int) -> t.Iterator[Extent]:
        """The runs of sectors that a block's bitmap says are there."""
        block_size = t.cast("Header", self.header).block_size
        count = block_size // SECTOR
        bitmap = self._at(entry * SECTOR, count // 8, "bitmap")
        if bitmap == b"\xff" * len(bitmap):
            yield 0, block_size
            return
        bits = f"{int.from_bytes(bitmap, 'big'):0{count}b}"
        end = 0
        while (start := bits.find("1", end)) >= 0:
            end = bits.find("0", start)
            end = count if end < 0 else end
            yield start * SECTOR, (end - start) * SECTOR

    def read(self, offset: int, length: int) -> bytes:
        """Data of one extent, or a part of it."""
        if self.header is None:
            return self._at(offset, length, "data")
        pieces = []
        while length:
            number, within = divmod(offset, self.header.block_size)
            count = min(length, self.header.block_size - within)
            place = self.table[number] * SECTOR + bitmap_size(self.header.block_size) + within
            pieces.append(self._at(place, count, "data"))
            offset, length = offset + count, length - count
        return b"".join(pieces)


class Chain:
    """A VHD with its parents, the disk itself first. Raises Damaged when one is not the parent of the one before.

    belongs: asked of a file and the next where they do not say so themselves; some hosts write other uuids each time.
    whole: whether the last one has to have no parent; what is read of a part of a chain are zeros where it has nothing.
    """

    def __init__(
        self,
        paths: t.Sequence[Path | str],
        belongs: t.Callable[[Path, Path], bool] = lambda _child, _parent: False,
        *,
        whole: bool = True,
    ):
        self.files: list[Vhd] = []
        self._belongs, self._whole = belongs, whole
        try:
            for path in paths:
                self.files.append(Vhd(path))
            self._check()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Chain:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        for file in self.files:
            file.close()

    @property
    def size(self) -> int:
        return self.files[0].size

    def _check(self) -> None:
        for child, parent in zip(self.files, self.files[1:]):
            if self._belongs(child.path, parent.path):
                continue
            if not child.differencing or child.header is None:
                raise Damaged(f"{child.path} is whole by itself, {parent.path} cannot be its parent.", hint="Leave the files after it out.")
            if child.header.parent_uuid != parent.footer.uuid:
                raise Damaged(
                    f"{child.path} has another parent than {parent.path}: {child.header.parent_uuid}, not {parent.footer.uuid}.",
                    hint="Name the files in order, the one that holds the newest changes first.",
                )
        last = self.files[-1]
        if self._whole and last.differencing and last.header:
            told = f" ({last.header.parent_name})" if last.header.parent_name else ""
            raise Damaged(
                f"{last.path} holds changes only; its parent {last.header.parent_uuid}{told} is missing.",
                hint="Name the files it builds on as well (parents), the nearest first.",
            )

    def check(self) -> None:
        """Read what says where the data is, too. Raises Damaged. A VHD has no checksums of its data."""
        for _extent in self.extents():
            pass

    def extents(self) -> t.Iterator[Extent]:
        """Where one of the files has something, file by file."""
        for file in self.files:
            yield from file.extents(0, self.size)

    def read(self, offset: int, length: int) -> bytes:
        """The disk there."""
        layers: list[tuple[Vhd, list[Extent]]] = []
        for file in self.files:
            layers.append((file, list(file.extents(offset, min(offset + length, self.size)))))
            if layers[-1][1] == [(offset, length)]:  # what is below is hidden
                if len(layers) == 1:
                    return file.read(offset, length)
                break
        out = bytearray(length)
        for file, extents in reversed(layers):
            for start, count in extents:
                out[start - offset : start - offset + count] = file.read(start, count)
        return bytes(out)

    def pieces(self) -> t.Iterator[tuple[int, bytes]]:
        """Offsets and data, the parents' first: laid over each other they are the disk, with zeros elsewhere."""
        for file in reversed(self.files):
            for offset, length in file.extents(0, self.size):
                for at in range(offset, offset + length, PIECE):
                    yield at, file.read(at, min(PIECE, offset + length - at))


def verify(path: Path | str) -> Vhd:
    """Read all bitmaps of one file too. The closed Vhd; raises Damaged, OSError."""
    with Vhd(path) as file:
        for _extent in file.extents():
            pass
    return file


def to_raw(paths: t.Sequence[Path | str], target: Path | str) -> int:
    """The disk of a chain as a raw file with holes. Its size in bytes; raises Damaged, XenError (disk full)."""
    with Chain(paths) as chain, Landing(target, sparse=True) as file:
        for offset, data in chain.pieces():
            file.place(offset, data)
        file.finish(chain.size)
        return chain.size
