# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads what is on a volume: signatures by blkid, sizes out of the superblocks."""

from __future__ import annotations

import os
import re
import struct
import tempfile
import typing as t
from dataclasses import replace

from ...errors import XenError
from .host import Host
from .image import QEMU, end_of_data
from .what import Content

HEAD = 2**20
EXT = ("ext2", "ext3", "ext4")


def read_content(host: Host, path: str, kind: str, size: int) -> Content:
    """Of a device or an image of this format. Only its first mebibyte is looked at, and what blkid looks at."""
    host.need(("blkid",), "util-linux", "the look at what is on a volume")
    if kind == "raw":
        with open(path, "rb") as file:
            return _content(host, path, file.read(HEAD))
    with tempfile.TemporaryDirectory() as folder:
        part = os.path.join(folder, "head")
        host.answer("qemu-img", "dd", "--force-share", "-f", QEMU[kind], "-O", "raw", f"bs={HEAD}", "count=1", f"if={path}", f"of={part}")
        os.truncate(part, size)  # what lies beyond reads as zeros
        with open(part, "rb") as file:
            return _content(host, part, file.read(HEAD))


def _content(host: Host, path: str, head: bytes) -> Content:
    status, out, err = host.run("blkid", "--probe", "--output", "export", path)
    if status == 8:  # several signatures, blkid(8)
        return Content(type="ambiguous")
    if status not in (0, 2):
        raise XenError(f"What is on {path} cannot be learnt: {' '.join(err.split())}")
    found = {key: re.sub(r"\\(.)", r"\1", value) for key, sep, value in (line.partition("=") for line in out.splitlines()) if sep}
    empty = not found.get("TYPE") and not found.get("PTTYPE") and not head[:4096].strip(b"\0")
    own = Content(found.get("TYPE", ""), found.get("LABEL", ""), found.get("UUID", ""), found.get("PTTYPE", ""), empty)
    return _sized(replace(own, data=empty and not is_device(path) and bool(head.strip(b"\0"))), head)


def _sized(content: Content, head: bytes) -> Content:
    """With the size its superblock tells: ext4 (kernel's ext4/super.rst), XFS (xfs_format.h) and swap (swap.h)."""
    if content.type in EXT and len(head) >= 2048:
        low, free_low, log, features = (struct.unpack_from("<I", head, 1024 + at)[0] for at in (4, 12, 24, 96))
        high, free_high = (struct.unpack_from("<I", head, 1024 + at)[0] if features & 0x80 else 0 for at in (0x150, 0x158))
        block = 1024 << log
        blocks, free = low + (high << 32), free_low + (free_high << 32)
        return replace(content, size=blocks * block, block=block, least=(blocks - free) * block)
    if content.type == "xfs":
        block, blocks = struct.unpack_from(">IQ", head, 4)
        return replace(content, size=blocks * block, block=block)
    if content.type == "swap":
        last = struct.unpack_from("<I", head, 1028)[0]
        return replace(content, size=(last + 1) * 4096, block=4096)
    return content


def measured(host: Host, content: Content, path: str, kind: str) -> Content:
    """With what has to be known before it shrinks. The least of a file system within qcow2 and vhd is what its blocks in use take."""
    if content.type in EXT and kind == "raw":
        host.need(("resize2fs", "e2fsck"), "e2fsprogs", "a smaller file system")
        told = re.search(r"(\d+)\s*$", host.answer("resize2fs", "-P", path))
        return replace(content, least=int(told[1]) * content.block if told else content.least)
    if content.empty and not is_device(path):
        return replace(content, last=end_of_data(host, path, kind))
    return content


def is_device(path: str) -> bool:
    return os.path.exists(path) and os.stat(path).st_mode & 0o170000 == 0o060000


def shown(content: Content) -> dict[str, t.Any]:
    """As the result tells it."""
    named = content.type or (f"{content.partitions} partitions" if content.partitions else "")
    return {"fs": named, "label": content.label, "fs_size": content.size}
