# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What lies below a file system, as a value: disks, partitions, LVM. Sizes are bytes unless it says otherwise."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

# A rest of this size is not worth growing for, and some file systems cannot use it: ext4 leaves out a last group that would
# hold little more than its own tables, XFS a last group of less than 64 blocks.
SLACK = 16 * 2**20


@dataclass(frozen=True)
class Disk:
    """sector: logical block size."""

    path: str
    size: int
    sector: int = 512


@dataclass(frozen=True)
class Partition:
    """start, length, free_from: in sectors, as the partition table has them; known: bytes, as the kernel has it.

    label: gpt or dos; behind: the partition next to it towards the end, "" if it is the last; free_from: where the last partition of
    the disk ends; container, container_end: number of the extended partition it lies in, and where that ends.
    """

    path: str
    number: int
    start: int
    length: int
    known: int
    label: str
    behind: str = ""
    free_from: int = 0
    container: int = 0
    container_end: int = 0

    @property
    def end(self) -> int:
        return self.start + self.length

    def limit(self, disk: Disk, disk_size: int) -> int:
        """The sector it may not reach: the backup of a GPT (128 entries and a header) lies there, or numbers of 32 bits end."""
        sectors = disk_size // disk.sector
        if self.label == "gpt":
            return sectors - 1 - -(-128 * 128 // disk.sector)
        return min(sectors, 2**32)


@dataclass(frozen=True)
class PhysicalVolume:
    """extents: how many it has; start: where they begin."""

    path: str
    extents: int
    start: int


@dataclass(frozen=True)
class Carrier:
    """A disk, or its partition, that holds the file system or a part of its volume group."""

    disk: Disk
    partition: Partition | None = None
    volume: PhysicalVolume | None = None


@dataclass(frozen=True)
class LogicalVolume:
    """name: GROUP/NAME; extent: bytes of an extent of the group; free: extents nobody has."""

    name: str
    size: int
    extent: int
    free: int


@dataclass(frozen=True)
class FileSystem:
    """size: without what is too small for a block."""

    type: str
    mount: str
    device: str
    size: int
    block: int


@dataclass(frozen=True)
class Stack:
    """A file system and what is below it; several carriers only with a logical volume."""

    file_system: FileSystem
    carriers: tuple[Carrier, ...]
    logical: LogicalVolume | None = None

    @property
    def disks(self) -> dict[str, Disk]:
        return {carrier.disk.path: carrier.disk for carrier in self.carriers}


class Step(t.NamedTuple):
    """A command, with what it is written on its standard input; device: what it makes larger, from before to after."""

    command: tuple[str, ...]
    device: str
    before: int
    after: int
    stdin: str = ""
