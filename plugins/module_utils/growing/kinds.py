# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The file systems that grow while they are used: what tells their size, and what makes them larger."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

from .stack import FileSystem


@dataclass(frozen=True)
class Kind:
    """package: where its tools are from; ask, grow: the commands, of mount point and device; size: bytes and block out of the answer.

    size gives None for an answer that cannot be understood.
    """

    package: str
    tools: tuple[str, ...]
    ask: t.Callable[[str, str], tuple[str, ...]]
    size: t.Callable[[str], tuple[int, int] | None]
    grow: t.Callable[[FileSystem], tuple[str, ...]]


def _ext(answer: str) -> tuple[int, int] | None:
    count, block = (re.search(rf"^Block {what}:\s*(\d+)", answer, re.MULTILINE) for what in ("count", "size"))
    return (int(count[1]) * int(block[1]), int(block[1])) if count and block else None


def _xfs(answer: str) -> tuple[int, int] | None:
    found = re.search(r"^data\s*=\s*bsize=(\d+)\s+blocks=(\d+)", answer, re.MULTILINE)
    return (int(found[1]) * int(found[2]), int(found[1])) if found else None


def _btrfs(answer: str) -> tuple[int, int] | None:
    """None also where it has several devices: which of them grew it does not know."""
    found = re.findall(r"devid\s+\d+\s+size\s+(\d+)\s", answer)
    return (int(found[0]), 4096) if len(found) == 1 else None


EXT = Kind(
    "e2fsprogs", ("dumpe2fs", "resize2fs"), lambda _mount, device: ("dumpe2fs", "-h", device), _ext,
    lambda fs: ("resize2fs", fs.device),
)  # fmt: skip
XFS = Kind(
    "xfsprogs", ("xfs_info", "xfs_growfs"), lambda mount, _device: ("xfs_info", mount), _xfs,
    lambda fs: ("xfs_growfs", "-d", fs.mount),
)  # fmt: skip
BTRFS = Kind(
    "btrfs-progs", ("btrfs",), lambda mount, _device: ("btrfs", "filesystem", "show", "--raw", mount), _btrfs,
    lambda fs: ("btrfs", "filesystem", "resize", "max", fs.mount),
)  # fmt: skip
KINDS: dict[str, Kind] = {"ext2": EXT, "ext3": EXT, "ext4": EXT, "xfs": XFS, "btrfs": BTRFS}
