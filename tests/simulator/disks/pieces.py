# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bytes that come in pieces of any size, taken in pieces of a wanted size."""

from __future__ import annotations

import typing as t


class Pieces:
    """What is left of a stream; holds no more than what is being taken."""

    def __init__(self, source: t.Iterator[bytes]) -> None:
        self._source, self._left = source, memoryview(b"")
        self.taken = 0  # bytes so far

    def upto(self, count: int) -> memoryview | bytes:
        """The next bytes, fewer only at the end."""
        parts, missing = [], count
        while missing:
            if not self._left:
                piece = next(self._source, b"")
                if not piece:
                    break
                self._left = memoryview(piece)
            part = self._left[:missing]
            self._left = self._left[len(part) :]
            parts.append(part)
            missing -= len(part)
        self.taken += count - missing
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def some(self) -> bytes:
        """As much as there is at once; nothing only at the end."""
        found = bytes(self._left) or next(self._source, b"")
        self._left = memoryview(b"")
        self.taken += len(found)
        return found

    def take(self, count: int) -> memoryview | bytes:
        """The next bytes, all of them. Raises EOFError."""
        found = self.upto(count)
        if len(found) < count:
            raise EOFError(f"{count} bytes were to come, {len(found)} came")
        return found

    def skip(self, count: int) -> None:
        """Takes bytes nobody wants; ValueError for what is behind already. Raises EOFError."""
        if count < 0:
            raise ValueError("something in the stream overlaps")
        while count:
            count -= len(self.take(min(count, 1 << 20)))

    def every(self, size: int) -> t.Iterator[memoryview | bytes]:
        """All that is left in equal pieces, the last may be shorter."""
        while piece := self.upto(size):
            yield piece
