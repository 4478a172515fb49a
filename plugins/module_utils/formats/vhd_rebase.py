# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A VHD on its way to a file: its structure is looked at as it passes, and a differencing one is told the file it builds on.

A host names the disk it compared with as parent, which means nothing to a folder of files. Offsets are those of the dynamic disk
header in the "Virtual Hard Disk Image Format Specification", version 1.0.
"""

from __future__ import annotations

import struct
import typing as t
import uuid as uuids

from .compression import Damaged
from .vhd import DIFFERENCING, SECTOR, UNUSED, Footer, Header, bitmap_size, with_checksum
from .vhd_write import Parent

HEADER = 2 * SECTOR
HEAD_LIMIT = 64 << 20  # bytes before the data; a VHD of 2040 GiB needs 4 MiB
_UUID, _TIME, _NAME, _LOCATORS, _RESERVED = 40, 56, 64, 576, 768
_CHECKSUM = 36


class Rebase:
    """Pass on what is written. parent: the file a differencing one is to name.

    After finish: footer, header, data (bytes of the disk in it). length: bytes of the file, 0 until it is known.
    """

    def __init__(self, write: t.Callable[[memoryview], None], parent: Parent | None = None):
        self._write, self._parent = write, parent
        self._head = bytearray()
        self._passing = False
        self._tail = b""
        self._written = 0
        self.length = self.data = 0
        self.footer: Footer | None = None
        self.header: Header | None = None

    @property
    def differencing(self) -> bool:
        return self.footer is not None and self.footer.type == DIFFERENCING

    def write(self, piece: memoryview | bytes) -> None:
        """The next bytes of the file. Raises Damaged, and what the function it passes them to raises."""
        if self._passing:
            self._pass(memoryview(piece))
            return
        self._head += piece
        if self._is_whole():
            self._passing = True
            self._pass(memoryview(self._patched()))
            self._head = bytearray()

    def _pass(self, piece: memoryview) -> None:
        self._tail = (self._tail + bytes(piece[-SECTOR:]))[-SECTOR:]
        self._written += len(piece)
        self._write(piece)

    def _is_whole(self) -> bool:
        """Whether footer, header and block table are there."""
        if self.footer is None:
            if len(self._head) < SECTOR:
                return False
            self.footer = Footer.unpack(bytes(self._head[:SECTOR]))
        at = self.footer.header_at
        if at > HEAD_LIMIT:
            raise Damaged("The VHD's header lies where none can be.")
        if self.header is None:
            if len(self._head) < at + HEADER:
                return False
            self.header = Header.unpack(bytes(self._head[at : at + HEADER]))
        end = self.header.table_at + 4 * self.header.entries
        if end > HEAD_LIMIT:
            raise Damaged("The VHD's block table lies where none can be.")
        return len(self._head) >= max(end, at + HEADER)

    def _patched(self) -> bytearray:
        footer, header = t.cast("Footer", self.footer), t.cast("Header", self.header)
        table = struct.unpack_from(f">{header.entries}I", self._head, header.table_at)
        used = [entry for entry in table if entry != UNUSED]
        self.data = len(used) * header.block_size
        last = (max(used) * SECTOR + bitmap_size(header.block_size) + header.block_size) if used else 0
        self.length = max(last, -(-(header.table_at + 4 * header.entries) // SECTOR) * SECTOR) + SECTOR
        if not self.differencing:
            return self._head
        if self._parent is None:
            raise Damaged("The host sent a VHD of changes where the whole disk was asked for.")
        start = footer.header_at
        self._head[start : start + HEADER] = rebased(bytes(self._head[start : start + HEADER]), self._parent)
        self.header = header._replace(parent_uuid=self._parent.uuid, parent_name=self._parent.name)
        return self._head

    def finish(self) -> None:
        """All has come: is it whole? Raises Damaged."""
        if not self._passing:
            raise Damaged(f"The VHD ends after {len(self._head)} bytes, before its data.")
        if Footer.unpack(self._tail) != self.footer:
            raise Damaged("The VHD's footer and the copy of it at the beginning differ.")
        if self._written < self.length:
            raise Damaged(f"The VHD ends after {self._written} of {self.length} bytes.")


def rebased(header: bytes, parent: Parent) -> bytes:
    """A dynamic disk header (1024 bytes) with another parent. Its locators, which lead to the old one, go."""
    out = bytearray(header)
    out[_UUID:_TIME] = uuids.UUID(parent.uuid).bytes
    out[_TIME : _TIME + 4] = struct.pack(">I", parent.timestamp)
    out[_NAME:_LOCATORS] = parent.name.encode("utf-16-be")[: _LOCATORS - _NAME - 2].ljust(_LOCATORS - _NAME, b"\0")
    out[_LOCATORS:_RESERVED] = bytes(_RESERVED - _LOCATORS)
    return with_checksum(bytes(out), _CHECKSUM)
