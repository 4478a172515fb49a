# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The structure of one VHD file, all that is wrong with it at once: formats/vhd_read.py, which is for reading, stops at the first.

Source: "Virtual Hard Disk Image Format Specification", version 1.0 (Microsoft).
"""

from __future__ import annotations

import os
import struct
import typing as t
import uuid as uuids
from array import array
from pathlib import Path

from ..formats.vhd import BLOCK, DIFFERENCING, FIXED, SECTOR, UNUSED, Footer, Header, bitmap_size
from .findings import Findings

MOST = 20  # places that are told of one table
TABLE_PIECE = 1 << 20  # bytes of the block table read at once
NO_UUID = str(uuids.UUID(int=0))


class Wanted(t.NamedTuple):
    """What the manifest says: uuids of footers ("" where it says nothing, and for a whole file), size of the disk in bytes."""

    size: int
    uuid: str
    parent: str


class VhdCheck:
    """check() tells what is wrong. Bitmaps and data may be anything: whether they are what was written, the file's checksum says."""

    def __init__(self, path: Path, name: str, wanted: Wanted, findings: Findings):
        self._path, self._name, self._wanted, self._findings = path, name, wanted, findings
        self._fd, self.length = -1, 0

    def check(self) -> None:
        with self._findings.of(self._name):
            self._fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                self.length = os.fstat(self._fd).st_size
                self._all()
            finally:
                os.close(self._fd)

    def _all(self) -> None:
        if self.length % SECTOR:
            self._wrong(self.length - self.length % SECTOR, "end", f"its {self.length} bytes are not whole sectors")
        end = max(0, self.length - SECTOR)
        footer = self._structure(end, SECTOR, "footer", Footer.unpack)
        if footer and footer.type == FIXED:
            self._fixed(footer)
            return
        copy = self._structure(0, SECTOR, "copy of the footer", Footer.unpack)
        if footer and copy and footer != copy:
            self._wrong(0, "copy of the footer", "it is another than the footer at the end")
        known = footer or copy
        if known:
            self._identity(known)
            self._dynamic(known)

    def _at(self, offset: int, count: int) -> bytes:
        return os.pread(self._fd, count, offset)

    def _wrong(self, offset: int, what: str, problem: str) -> None:
        self._findings.add(self._name, f"{what} at {offset}", problem)

    def _structure(self, offset: int, count: int, what: str, unpack: t.Callable[[bytes], t.Any]) -> t.Any:
        """None, and a finding, where it is damaged."""
        with self._findings.of(self._name, f"{what} at {offset}"):
            return unpack(self._at(offset, count))
        return None

    # who it is ------------------------------------------------------------------------
    def _identity(self, footer: Footer) -> None:
        wanted = self._wanted
        if wanted.uuid and footer.uuid != wanted.uuid:
            self._findings.add(self._name, "uuid in the footer", f"it is {footer.uuid}, the manifest says {wanted.uuid}")
        if not same_size(footer.size, wanted.size):
            self._findings.add(self._name, "size in the footer", f"it is {footer.size}, the manifest says {wanted.size}")
        if (footer.type == DIFFERENCING) != bool(wanted.parent):
            kind = "holds changes only" if footer.type == DIFFERENCING else "is whole by itself"
            said = f"builds on {wanted.parent}" if wanted.parent else "is whole"
            self._findings.add(self._name, "type in the footer", f"it {kind}, the manifest says that it {said}")

    def _fixed(self, footer: Footer) -> None:
        self._identity(footer)
        if footer.size > self.length - SECTOR:
            self._wrong(self.length - SECTOR, "end", f"it holds {self.length - SECTOR} of {footer.size} bytes: it is cut off")

    # where its blocks lie ---------------------------------------------------------------
    def _dynamic(self, footer: Footer) -> None:
        header = self._structure(footer.header_at, 2 * SECTOR, "header", Header.unpack)
        if header is None:
            return
        parent = header.parent_uuid if header.parent_uuid != NO_UUID else ""
        if footer.type == DIFFERENCING and parent != self._wanted.parent:
            self._wrong(
                footer.header_at, "header", f"its parent is {parent or 'nobody'}, the manifest says {self._wanted.parent or 'none'}"
            )
        count = -(-footer.size // header.block_size)
        if header.entries < count:
            self._wrong(footer.header_at, "header", f"its table has {header.entries} entries, its size needs {count}")
        self._blocks(footer, header, min(count, header.entries))

    def _blocks(self, footer: Footer, header: Header, count: int) -> None:
        if header.table_at + 4 * count > self.length - SECTOR:
            self._wrong(header.table_at, "block table", "it reaches beyond the end of the file: the file is cut off")
            return
        wrong = 0
        places = _Places(self.length, bitmap_size(header.block_size) + header.block_size)
        structures = [(0, SECTOR), (footer.header_at, 2 * SECTOR), (header.table_at, 4 * count)]
        for number, entry in self._table(header.table_at, count):
            problem = places.take(entry * SECTOR, number, structures)
            wrong += bool(problem)
            if problem and wrong <= MOST:
                self._wrong(header.table_at + 4 * number, f"block table, entry {number}", f"its place {entry * SECTOR} {problem}")
        if wrong > MOST:
            self._wrong(header.table_at, "block table", f"{wrong - MOST} more of its entries are wrong")

    def _table(self, at: int, count: int) -> t.Iterator[tuple[int, int]]:
        """Numbers and places, in sectors, of the blocks that are there."""
        for start in range(0, 4 * count, TABLE_PIECE):
            piece = self._at(at + start, min(TABLE_PIECE, 4 * count - start))
            for number, (entry,) in enumerate(struct.iter_unpack(">I", piece), start // 4):
                if entry != UNUSED:
                    yield number, entry


class _Places:
    """Where blocks of one length lie in a file; twelve bytes of memory for each that may be there."""

    def __init__(self, length: int, taken: int):
        self._end, self._taken = length - SECTOR, taken
        slots = length // taken + 2  # two blocks that overlap are in the same one, or beside each other
        self._starts, self._numbers = array("Q", bytes(8 * slots)), array("I", bytes(4 * slots))

    def take(self, start: int, number: int, structures: t.Iterable[tuple[int, int]]) -> str:
        """Why it cannot lie there; "" when it does from now on."""
        if start + self._taken > self._end:
            return "reaches beyond the end of the file"
        if any(start < at + count and at < start + self._taken for at, count in structures):
            return "lies where something else does"
        slot = start // self._taken
        for near in range(max(0, slot - 1), slot + 2):
            if self._starts[near] and abs(self._starts[near] - start) < self._taken:
                return f"overlaps with that of block {self._numbers[near]}"
        self._starts[slot], self._numbers[slot] = start, number
        return ""


def same_size(told: int, wanted: int) -> bool:
    """A VHD has whole sectors, and those of some hosts whole blocks."""
    return told in (wanted, -(-wanted // SECTOR) * SECTOR, -(-wanted // BLOCK) * BLOCK)
