# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The structures of a VHD file: footer, dynamic header, and what lies where.

Source: "Virtual Hard Disk Image Format Specification", version 1.0 (Microsoft, published under the Open Specification Promise).
All numbers are big-endian. Reading is in vhd_read.py, writing in vhd_write.py.
"""

from __future__ import annotations

import struct
import time
import typing as t
import uuid as uuids

from ..errors import InvalidChange
from .compression import Damaged

SECTOR = 512
BLOCK = 2 << 20
UNUSED = 0xFFFFFFFF  # in the block allocation table
NOWHERE = 0xFFFFFFFFFFFFFFFF
FIXED, DYNAMIC, DIFFERENCING = 2, 3, 4
EPOCH = 946684800  # 2000-01-01, where a VHD's time begins
# XenServer's limit: 2 TiB less what the metadata of a full VHD takes
BIGGEST = 2040 << 30
CREATOR = b"tap\0"  # as blktap writes it: readers then take the size in bytes, not the one that follows from the geometry
_FOOTER = struct.Struct(">8sIIQI4sI4sQQHBBII16sB")
_HEADER = struct.Struct(">8sQQIIII16sII512s")


class Footer(t.NamedTuple):
    """The last sector of every VHD, and the first of one that is not fixed. size in bytes, as a guest sees it."""

    size: int
    type: int
    uuid: str
    timestamp: int
    header_at: int = NOWHERE

    def pack(self) -> bytes:
        cylinders, heads, sectors = geometry(self.size)
        fields = (
            b"conectix", 2, 0x10000, self.header_at, self.timestamp, CREATOR, 0x10003, b"\0\0\0\0", self.size, self.size,
            cylinders, heads, sectors, self.type, 0, uuids.UUID(self.uuid).bytes, 0,
        )  # fmt: skip
        return with_checksum(_FOOTER.pack(*fields).ljust(SECTOR, b"\0"), 64)

    @classmethod
    def unpack(cls, data: bytes) -> Footer:
        """Raises Damaged."""
        if len(data) < SECTOR or not data.startswith(b"conectix"):
            raise Damaged("A VHD's footer is missing: the file is cut off, or no VHD.")
        refuse_bad_checksum(data, 64, "footer")
        fields = _FOOTER.unpack_from(data)
        if fields[13] not in (FIXED, DYNAMIC, DIFFERENCING):
            raise Damaged(f"The VHD is of an unknown type ({fields[13]}).")
        return cls(fields[9], fields[13], str(uuids.UUID(bytes=fields[15])), fields[4], fields[3])


class Header(t.NamedTuple):
    """Where a VHD's blocks lie. block_size in bytes; parent: of a differencing one."""

    table_at: int
    entries: int
    block_size: int
    parent_uuid: str = str(uuids.UUID(int=0))
    parent_timestamp: int = 0
    parent_name: str = ""

    def pack(self) -> bytes:
        name = self.parent_name.encode("utf-16-be")[:510]
        fields = (
            b"cxsparse", NOWHERE, self.table_at, 0x10000, self.entries, self.block_size, 0,
            uuids.UUID(self.parent_uuid).bytes, self.parent_timestamp, 0, name,
        )  # fmt: skip
        return with_checksum(_HEADER.pack(*fields).ljust(2 * SECTOR, b"\0"), 36)

    @classmethod
    def unpack(cls, data: bytes) -> Header:
        """Raises Damaged."""
        if len(data) < 2 * SECTOR or not data.startswith(b"cxsparse"):
            raise Damaged("The VHD's header is missing.")
        refuse_bad_checksum(data, 36, "header")
        fields = _HEADER.unpack_from(data)
        block_size = fields[5]
        if block_size < SECTOR * 8 or block_size & (block_size - 1):
            raise Damaged(f"The VHD's blocks have {block_size} bytes, which cannot be.")
        name = fields[10].decode("utf-16-be", errors="replace").partition("\0")[0]
        return cls(fields[2], fields[4], block_size, str(uuids.UUID(bytes=fields[7])), fields[8], name)


def with_checksum(data: bytes, at: int) -> bytes:
    """The structure with its checksum at that offset: the one's complement of the sum of its other bytes."""
    return data[:at] + struct.pack(">I", checksum(data, at)) + data[at + 4 :]


def checksum(data: bytes, at: int) -> int:
    return ~(sum(data) - sum(data[at : at + 4])) & 0xFFFFFFFF


def refuse_bad_checksum(data: bytes, at: int, what: str) -> None:
    """Raises Damaged."""
    if struct.unpack_from(">I", data, at)[0] != checksum(data, at):
        raise Damaged(f"The VHD's {what} is not what its checksum says.")


def geometry(size: int) -> tuple[int, int, int]:
    """Cylinders, heads and sectors per track, as the specification's appendix computes them."""
    sectors = min(size // SECTOR, 65535 * 16 * 255)
    if sectors >= 65535 * 16 * 63:
        per_track, heads, tracks = 255, 16, sectors // 255
        return tracks // heads, heads, per_track
    per_track, tracks = 17, sectors // 17
    heads = max(4, (tracks + 1023) // 1024)
    if tracks >= heads * 1024 or heads > 16:
        per_track, heads, tracks = 31, 16, sectors // 31
    if tracks >= heads * 1024:
        per_track, heads, tracks = 63, 16, sectors // 63
    return tracks // heads, heads, per_track


def timestamp(seconds: float | None = None) -> int:
    """Seconds since the year 2000, of that POSIX time or of now."""
    return max(0, int(time.time() if seconds is None else seconds) - EPOCH)


def bitmap_size(block_size: int) -> int:
    """Bytes before a block's data that say which of its sectors are there; whole sectors."""
    return -(-(block_size // SECTOR // 8) // SECTOR) * SECTOR


def refuse_bad_size(size: int) -> None:
    """Raises InvalidChange for a disk a VHD cannot hold."""
    if size > BIGGEST:
        raise InvalidChange(f"A disk of {size} bytes is too large for a VHD.", hint=f"The limit is {BIGGEST} bytes (2040 GiB); use raw.")
    if size <= 0:
        raise InvalidChange("A disk of no size cannot be a VHD.")
