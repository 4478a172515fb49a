# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How large a file system believes its disk to be, read from its super block, also while a domain uses it.

ext4: Documentation/filesystems/ext4/super.rst; XFS: xfs_format.h (struct xfs_dsb); swap: include/linux/swap.h (union swap_header).
"""

from __future__ import annotations

import os
import struct
import typing as t

PAGE = 4096


def known_size(path: str, start: int = 0) -> int:
    """Bytes; 0 for what is not ext2/3/4, XFS or swap space."""
    with open(path, "rb") as file:
        file.seek(0, os.SEEK_END)
        if file.tell() < start + PAGE:
            return 0
        file.seek(start)
        head = file.read(PAGE)
    return next((found for found in (ext(head), xfs(head), swap(head)) if found), 0)


def ext(head: bytes) -> int:
    block = head[1024:2048]
    if block[0x38:0x3A] != b"\x53\xef":
        return 0
    low, shift = number("<I", block, 0x4), number("<I", block, 0x18)
    high = number("<I", block, 0x150) if number("<I", block, 0x60) & 0x80 else 0
    return ((high << 32) + low) * (1024 << shift)


def xfs(head: bytes) -> int:
    return number(">I", head, 4) * number(">Q", head, 8) if head[:4] == b"XFSB" else 0


def swap(head: bytes) -> int:
    return (number("<I", head, 1028) + 1) * PAGE if head[PAGE - 10 :] == b"SWAPSPACE2" else 0


def number(form: str, data: bytes, offset: int) -> int:
    return t.cast("int", struct.unpack_from(form, data, offset)[0])
