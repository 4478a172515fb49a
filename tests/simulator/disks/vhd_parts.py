# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of a VHD file that are not data (Microsoft: Virtual Hard Disk Image Format Specification, 1.0; all numbers big-endian)."""

from __future__ import annotations

import struct
import time
import typing as t
import uuid

from .node import BLOCK

SECTOR = 512
LARGEST = 2040 << 30
NOWHERE = 0xFFFFFFFF  # in the table: the block is not in the file
DYNAMIC, DIFFERENCING = 3, 4
EPOCH_2000 = 946684800
FOOTER = struct.Struct(">8sIIQI4sI4sQQHBBII16sB427x")
HEADER = struct.Struct(">8sQQIIII16sI4x512s192s256x")
FOOTER_SUM, HEADER_SUM = 64, 36  # where the checksums are


class NoVhd(Exception):
    """Something else than a VHD file, or a kind nobody streams."""


def _sum(part: bytes, place: int) -> int:
    """One's complement of the sum of all bytes but those of the checksum."""
    return ~(sum(part) - sum(part[place : place + 4])) & 0xFFFFFFFF


def _summed(part: bytes, place: int) -> bytes:
    return part[:place] + struct.pack(">I", _sum(part, place)) + part[place + 4 :]


def geometry(size: int) -> tuple[int, int, int]:
    """Cylinders, heads, sectors per track (appendix of the specification)."""
    sectors = min(size // SECTOR, 65535 * 16 * 255)
    if sectors >= 65535 * 16 * 63:
        return sectors // 255 // 16, 16, 255
    per_track, tracks = 17, sectors // 17
    heads = max(4, (tracks + 1023) // 1024)
    if tracks >= heads * 1024 or heads > 16:
        per_track, heads, tracks = 31, 16, sectors // 31
    if tracks >= heads * 1024:
        per_track, heads, tracks = 63, 16, sectors // 63
    return tracks // heads, heads, per_track


def footer(size: int, name: str, *, differencing: bool) -> bytes:
    """Stands at both ends."""
    kind, stamp = (DIFFERENCING if differencing else DYNAMIC), int(time.time()) - EPOCH_2000
    plain = FOOTER.pack(
        b"conectix", 2, 0x10000, SECTOR, stamp, b"tap\0", 0x10003, b"\0\0\0\0", size, size, *geometry(size), kind, 0,
        uuid.UUID(name).bytes, 0,
    )  # fmt: skip
    return _summed(plain, FOOTER_SUM)


def header(entries: int, parent: str) -> bytes:
    """``parent``: uuid of the disk this one differs from, "" for none."""
    named = f"{parent}.vhd".encode("utf-16-be") if parent else b""
    known = uuid.UUID(parent).bytes if parent else bytes(16)
    plain = HEADER.pack(b"cxsparse", 2**64 - 1, SECTOR + HEADER.size, 0x10000, entries, BLOCK, 0, known, 0, named, b"")
    return _summed(plain, HEADER_SUM)


class Footer(t.NamedTuple):
    """What matters of one."""

    header_at: int
    size: int
    kind: int


class Header(t.NamedTuple):
    """What matters of one."""

    table_at: int
    entries: int
    block: int


def read_footer(part: bytes) -> Footer:
    """Raises NoVhd."""
    fields = FOOTER.unpack(part)
    if fields[0] != b"conectix" or _sum(part, FOOTER_SUM) != fields[14]:
        raise NoVhd("no VHD footer at the beginning")
    found = Footer(fields[3], fields[9], fields[13])
    if found.kind not in (DYNAMIC, DIFFERENCING) or found.header_at < SECTOR or found.size > LARGEST:
        raise NoVhd(f"a VHD of kind {found.kind} with {found.size} bytes")
    return found


def read_header(part: bytes) -> Header:
    """Raises NoVhd."""
    fields = HEADER.unpack(part)
    if fields[0] != b"cxsparse" or _sum(part, HEADER_SUM) != fields[6]:
        raise NoVhd("no dynamic disk header")
    found = Header(fields[2], fields[4], fields[5])
    if found.block % (SECTOR * 8) or not SECTOR * 8 <= found.block <= 8 * BLOCK or found.entries > LARGEST // found.block:
        raise NoVhd(f"{found.entries} blocks of {found.block} bytes")
    return found
