# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A disk as its reader sees it: layers over one another. Who has one open goes on seeing it while snapshots are taken or go."""

from __future__ import annotations

import hashlib
import re
import threading
import typing as t

from .node import BLOCK, ZEROS, Node, is_zero

STEP = 4 << 20  # bytes read at a time
_STRETCH = re.compile(rb"(.)\1*", re.DOTALL)


class Chain:
    """``layers``: the newest first; it alone is written to. ``size`` in bytes. ``lock`` keeps writers and mergers apart."""

    def __init__(self, layers: t.Sequence[Node], size: int, lock: threading.RLock) -> None:
        self.layers, self.size, self._lock = list(layers), size, lock
        with lock:
            for layer in self.layers:
                layer.open()
        self._owners: bytes | None = None

    @property
    def blocks(self) -> int:
        """How many blocks its size takes."""
        return -(-self.size // BLOCK)

    def close(self) -> None:
        """Lets go of the files."""
        for layer in self.layers:
            layer.close()

    # reading ---------------------------------------------------------------------------------------------------------
    def owners(self, above: int | None = None) -> bytes:
        """For each block 1 + the number of the layer that has it, 0 for none; ``above``: only of that many layers from the top."""
        found = bytearray(self.blocks)
        for number, layer in reversed(list(enumerate(self.layers[:above], 1))):
            for first, count in layer.runs():
                count = min(count, len(found) - first)
                if count > 0:
                    found[first : first + count] = bytes((number,)) * count
        return bytes(found)

    def read(self, offset: int, length: int) -> bytes:
        """Bytes inside of the disk."""
        return b"".join(bytes(count) if data is None else data for count, data in self.pieces(offset, length))

    def pieces(self, offset: int = 0, length: int | None = None, step: int = STEP) -> t.Iterator[tuple[int, bytes | None]]:
        """The bytes from one place on, in pieces: how many and which, ``step`` at most; or None for zeros nobody wrote, however many."""
        end = self.size if length is None else offset + length
        for found in _STRETCH.finditer(self.owners(), offset // BLOCK, -(-end // BLOCK)):
            owner, limit = found[0][0], min(end, found.end() * BLOCK)
            while offset < limit:
                count = min(limit - offset, step) if owner else limit - offset
                yield count, self.layers[owner - 1].read(offset, count) if owner else None
                offset += count

    def digest(self) -> str:
        """SHA-256 of all bytes."""
        found = hashlib.sha256()
        for count, data in self.pieces():
            if data is not None:
                found.update(data)
            else:
                for at in range(0, count, BLOCK):
                    found.update(memoryview(ZEROS)[: min(BLOCK, count - at)])
        return found.hexdigest()

    # writing ---------------------------------------------------------------------------------------------------------
    def fresh(self, offset: int, length: int) -> int:
        """How many blocks the newest layer would gain by writing there."""
        return sum(not self.layers[0].has(block) for block in range(offset // BLOCK, -(-(offset + length) // BLOCK)))

    def write(self, offset: int, data: bytes | memoryview) -> None:
        """Bytes inside of the disk; of a block that is new in the newest layer the rest comes from those below."""
        left = memoryview(data)
        with self._lock:
            while left:
                part = left[: BLOCK - offset % BLOCK]
                self._write_in_block(offset, part)
                left, offset = left[len(part) :], offset + len(part)

    def _write_in_block(self, offset: int, part: memoryview) -> None:
        block, leaf = offset // BLOCK, self.layers[0]
        if not leaf.has(block):
            below = next((layer for layer in self.layers[1:] if layer.has(block)), None)
            copied = below is not None and len(part) < BLOCK
            if below is not None and copied:
                leaf.write(block * BLOCK, below.read(block * BLOCK, BLOCK), fresh=True)
            leaf.write(offset, part, fresh=not copied)
            leaf.mark(block)
        else:
            leaf.write(offset, part)

    def is_zero(self, offset: int, length: int) -> bool:
        """Whether nothing but zeros is there."""
        return all(data is None or is_zero(data) for _count, data in self.pieces(offset, length))
