# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One layer of a disk: the blocks that were written to it, in a sparse file, and a map of which those are.

A block that is in the map stands over the layers below even where it holds zeros. Nothing is kept in memory: whoever opens
the files sees what was written, after a kill too. A layer nobody wrote to has no files.
"""

from __future__ import annotations

import os
import re
import typing as t
from pathlib import Path
from urllib.parse import quote

BLOCK = 2 << 20  # bytes; that of a VHD
ZEROS = bytes(BLOCK)
_RUN = re.compile(rb"\x01+")


def is_zero(data: bytes | memoryview) -> bool:
    """Whether there is nothing but zeros."""
    return data == ZEROS if len(data) == BLOCK else not any(data[:64]) and all(_zero_parts(data))


def _zero_parts(data: bytes | memoryview) -> t.Iterator[bool]:
    for at in range(0, len(data), BLOCK):
        part = data[at : at + BLOCK]
        yield part == memoryview(ZEROS)[: len(part)]


class Node:
    """A layer; ``name`` is unique in its folder."""

    def __init__(self, folder: Path, name: str) -> None:
        plain = quote(name, safe="")
        self.name = name
        self.data, self.map = folder / f"{plain}.data", folder / f"{plain}.map"
        self._files: tuple[int, int] | None = None

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Lets go of the files; they are opened again when needed."""
        files, self._files = self._files, None
        for file in files or ():
            os.close(file)

    def open(self, *, create: bool = False) -> tuple[int, int] | None:
        """The files of data and map; None where there are none. Whoever has them open may read on when they are removed."""
        if self._files is None:
            flags = os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if create else 0)
            if create:
                self.data.parent.mkdir(exist_ok=True)
            try:
                data = os.open(self.data, flags, 0o600)
            except FileNotFoundError:
                return None
            self._files = data, os.open(self.map, flags | os.O_CREAT, 0o600)
        return self._files

    # reading ---------------------------------------------------------------------------------------------------------
    def blocks(self) -> bytes:
        """A byte for each block up to the last one there is: 1 where it is in this layer."""
        files = self.open()
        return os.pread(files[1], os.fstat(files[1]).st_size, 0) if files else b""

    def count(self) -> int:
        """How many blocks it has."""
        return self.blocks().count(1)

    def runs(self) -> list[tuple[int, int]]:
        """First block and number of blocks of each stretch."""
        return [(found.start(), len(found[0])) for found in _RUN.finditer(self.blocks())]

    def has(self, block: int) -> bool:
        """Whether the block was written here."""
        files = self.open()
        return files is not None and os.pread(files[1], 1, block) == b"\x01"

    def read(self, offset: int, length: int) -> bytes:
        """Bytes as they lie in this layer."""
        files = self.open()
        found = os.pread(files[0], length, offset) if files else b""
        return found if len(found) == length else found + bytes(length - len(found))

    # writing ---------------------------------------------------------------------------------------------------------
    def write(self, offset: int, data: bytes | memoryview, *, fresh: bool = False) -> None:
        """Bytes within blocks; zeros take no room where nothing was before (``fresh``). The map is the caller's business."""
        files = self.open(create=True)
        if files is None:
            raise FileNotFoundError(self.data)
        if (fresh or offset >= os.fstat(files[0]).st_size) and is_zero(data):
            return
        while data:
            done = os.pwrite(files[0], data, offset)
            data, offset = data[done:], offset + done

    def mark(self, first: int, count: int = 1) -> None:
        """These blocks are in this layer from now on."""
        files = self.open(create=True)
        if files is None:
            raise FileNotFoundError(self.map)
        os.pwrite(files[1], b"\x01" * count, first)

    def remove(self) -> None:
        """The files go."""
        self.close()
        self.data.unlink(missing_ok=True)
        self.map.unlink(missing_ok=True)

    def become(self, name: str) -> None:
        """The files get another name, over what had it."""
        other = Node(self.data.parent, name)
        self.close()
        other.remove()
        if self.data.exists():
            self.map.rename(other.map)
            self.data.rename(other.data)

    def take(self, other: Node) -> None:
        """All blocks of the other layer that this one does not have."""
        own = self.blocks()
        for first, count in other.runs():
            for block in range(first, first + count):
                if own[block : block + 1] != b"\x01":
                    self.write(block * BLOCK, other.read(block * BLOCK, BLOCK), fresh=True)
                    self.mark(block)

    def cover(self, other: Node) -> None:
        """All blocks of the other layer, over those that are here."""
        for first, count in other.runs():
            for block in range(first, first + count):
                self.write(block * BLOCK, other.read(block * BLOCK, BLOCK))
                self.mark(block)
