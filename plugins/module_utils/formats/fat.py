# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A small FAT12 file system with a few files in its root folder, made in memory. The same files make the same bytes.

Format: Microsoft Extensible Firmware Initiative FAT32 File System Specification 1.03 (FAT12, long names).
"""

from __future__ import annotations

import re
import struct
import typing as t
import zlib

from ..errors import InvalidChange

SECTOR = 512
CLUSTER = 4 * SECTOR
ROOT_ENTRIES = 512
ENTRY = 32
MOST_CLUSTERS = 0xFF0 - 2  # the numbers from 0xFF0 on are reserved, and with many more it would be a FAT16
SMALLEST = 1 << 20
DATE = 0x21  # 1 January 1980
LONG_NAME, ARCHIVE, VOLUME = 0x0F, 0x20, 0x08
LAST = 0x40  # of the entries of a long name
FULL = 0xFFF  # the end of a file's clusters
HEAD = "<3s8sHBHBHHBHHHIIBBBI11s8s"


def image(label: str, files: t.Mapping[str, bytes]) -> bytes:
    """A volume of that label (11 characters at most) with these files. Raises InvalidChange for more than 8 MiB."""
    needed = sum(_clusters(data) for data in files.values())
    if needed > MOST_CLUSTERS:
        size = sum(map(len, files.values()))
        raise InvalidChange(f"{size} bytes in {', '.join(sorted(files))} are more than a small disk holds (8 MiB).")
    clusters = max(needed, SMALLEST // CLUSTER)
    fat_sectors = -(-((clusters + 2) * 3 // 2 + 1) // SECTOR)
    table, root, data = _laid_out(label, files)
    fat = _packed(table, fat_sectors * SECTOR)
    sectors = 1 + 2 * fat_sectors + ROOT_ENTRIES * ENTRY // SECTOR + clusters * CLUSTER // SECTOR
    boot = _boot_sector(label, sectors, fat_sectors, zlib.crc32(root + data))
    return boot + fat + fat + root.ljust(ROOT_ENTRIES * ENTRY, b"\0") + data.ljust(clusters * CLUSTER, b"\0")


def _clusters(data: bytes) -> int:
    return -(-len(data) // CLUSTER)


def _boot_sector(label: str, sectors: int, fat_sectors: int, serial: int) -> bytes:
    head = struct.pack(
        HEAD, b"\xeb\x3c\x90", b"MSWIN4.1", SECTOR, CLUSTER // SECTOR, 1, 2, ROOT_ENTRIES, sectors, 0xF8, fat_sectors, 32, 64, 0, 0,
        0x80, 0, 0x29, serial, label.encode("ascii").ljust(11), b"FAT12   ",
    )  # fmt: skip
    return head.ljust(SECTOR - 2, b"\0") + b"\x55\xaa"


def _laid_out(label: str, files: t.Mapping[str, bytes]) -> tuple[list[int], bytes, bytes]:
    """The allocation table, the root folder, and the clusters; each file in one piece."""
    table, root, data = [0xFF8, FULL], _entry(label.encode("ascii").ljust(11), VOLUME, 0, 0), b""
    for number, (name, content) in enumerate(files.items(), 1):
        count, first = _clusters(content), len(table)
        root += _named(name, number, first if count else 0, len(content))
        table += [*range(first + 1, first + count), *([FULL] if count else [])]
        data += content.ljust(count * CLUSTER, b"\0")
    return table, root, data


def _packed(table: t.Sequence[int], size: int) -> bytes:
    """Two entries of 12 bits in three bytes."""
    even = [*table, 0] if len(table) % 2 else list(table)
    pairs = (even[n] | even[n + 1] << 12 for n in range(0, len(even), 2))
    return b"".join(pair.to_bytes(3, "little") for pair in pairs).ljust(size, b"\0")


def _entry(short: bytes, attribute: int, cluster: int, size: int) -> bytes:
    return struct.pack("<11sBBBHHHHHHHI", short, attribute, 0, 0, 0, DATE, DATE, 0, 0, DATE, cluster, size)


def _named(name: str, number: int, cluster: int, size: int) -> bytes:
    """The entries of a file: its long name from the end on, then the short one."""
    short = f"{re.sub('[^A-Z0-9]', '', name.upper())[:6]}~{number}".encode("ascii").ljust(11)
    checksum = 0
    for byte in short:
        checksum = ((checksum >> 1 | checksum << 7) + byte) & 0xFF
    units = name.encode("utf-16-le") + b"\0\0"
    parts = [units[at : at + 26].ljust(26, b"\xff") for at in range(0, len(units), 26) if units[at : at + 26] != b"\0\0" or not at]
    out = b""
    for order in range(len(parts), 0, -1):
        part = parts[order - 1]
        flag = order | (LAST if order == len(parts) else 0)
        out += struct.pack("<B10sBBB12sH4s", flag, part[:10], LONG_NAME, 0, checksum, part[10:22], 0, part[22:])
    return out + _entry(short, ARCHIVE, cluster, size)
