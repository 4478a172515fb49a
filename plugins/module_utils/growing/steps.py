# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The commands that give a file system the room its disk has. Pure: what there is goes in, commands come out."""

from __future__ import annotations

import typing as t

from ..errors import InvalidChange
from ..formats.sizes import readable_size
from .kinds import KINDS
from .stack import SLACK, Carrier, Disk, LogicalVolume, Partition, Stack, Step

MBR_LIMIT = 2**32  # sectors


class Wanted(t.NamedTuple):
    """What the task says: the disk and the size it has or is to get, the size of the logical volume; "" and None for nothing."""

    disk: str = ""
    disk_size: int | None = None
    lv_size: int | None = None


class Growth(t.NamedTuple):
    """Steps in order, and the size the file system has then."""

    steps: list[Step]
    size: int
    warnings: list[str]


def plan(stack: Stack, wanted: Wanted) -> Growth:
    """Raises InvalidChange for what cannot be, in one sentence that names it."""
    sizes = _disk_sizes(stack, wanted)
    steps: list[Step] = []
    warnings: list[str] = []
    carried: list[tuple[Carrier, int]] = []
    for carrier in stack.carriers:
        size = sizes[carrier.disk.path]
        if carrier.partition:
            _refuse_stuck(stack, carrier.disk, carrier.partition, size)
            warnings += _too_far(carrier.disk, carrier.partition, size)
            size = _partition(steps, carrier.disk, carrier.partition, size)
        carried.append((carrier, size))
    room = carried[0][1]
    if stack.logical:
        room = _logical(steps, stack.logical, carried, wanted.lv_size)
    elif wanted.lv_size is not None:
        raise InvalidChange(f"{stack.file_system.mount} is not on a logical volume.", hint="Leave lv_size out.")
    return Growth(steps, _file_system(steps, stack, room), warnings)


def the_disk(stack: Stack, wanted: Wanted) -> Disk | None:
    """The disk the task is about; None if it says nothing of one and there are several. Raises InvalidChange."""
    told = ", ".join(sorted(stack.disks))
    if wanted.disk:
        if wanted.disk not in stack.disks:
            raise InvalidChange(f"{stack.file_system.mount} is not on {wanted.disk}.", hint=f"It is on {told}.")
        return stack.disks[wanted.disk]
    if len(stack.disks) > 1:
        if wanted.disk_size is not None:
            raise InvalidChange(f"{stack.file_system.mount} is on several disks: {told}.", hint="Name the one that grows as disk.")
        return None
    return next(iter(stack.disks.values()))


def _disk_sizes(stack: Stack, wanted: Wanted) -> dict[str, int]:
    sizes = {path: disk.size for path, disk in stack.disks.items()}
    chosen = the_disk(stack, wanted)
    if chosen and wanted.disk_size is not None:
        if chosen.size - wanted.disk_size >= SLACK:
            have, want = readable_size(chosen.size), readable_size(wanted.disk_size)
            raise InvalidChange(f"{chosen.path} is {have} large, and does not shrink to {want}.", hint="Give its size, or more.")
        sizes[chosen.path] = max(chosen.size, wanted.disk_size)
    return sizes


# partitions ----------------------------------------------------------------------
def _refuse_stuck(stack: Stack, disk: Disk, partition: Partition, size: int) -> None:
    """Raises InvalidChange where the disk has room at its end, and something lies between."""
    others = [c.partition for c in stack.carriers if c.disk == disk and c.partition]
    if any(not other.behind for other in others) or (partition.limit(disk, size) - partition.free_from) * disk.sector < SLACK:
        return
    raise InvalidChange(
        f"Partition {partition.path} cannot grow: {partition.behind} lies between it and the free room at the end of {disk.path}.",
        hint="Move or remove that partition, or give the VM one more disk.",
    )


def _too_far(disk: Disk, partition: Partition, size: int) -> list[str]:
    if partition.label != "dos" or partition.behind or size // disk.sector <= MBR_LIMIT:
        return []
    reach = readable_size(MBR_LIMIT * disk.sector)
    return [f"{disk.path} has an MBR partition table, which reaches to {reach} only: the rest stays unused."]


def _partition(steps: list[Step], disk: Disk, partition: Partition, disk_size: int) -> int:
    """The kernel is told apart from the table: a run that was cut between them is finished so."""
    limit, length = partition.limit(disk, disk_size), partition.length
    if not partition.behind and (limit - partition.end) * disk.sector >= SLACK:
        length = limit - partition.start
        before, after = partition.length * disk.sector, length * disk.sector
        if partition.container and partition.container_end < limit:
            steps.append(_in_table(disk, partition.container, f"{disk.path} (extended)", partition.container_end, limit))
        steps.append(_in_table(disk, partition.number, partition.path, before, after))
    if partition.known != length * disk.sector:
        tell = ("partx", "--update", "--nr", str(partition.number), disk.path)
        steps.append(Step(tell, partition.path, partition.known, length * disk.sector))
    return length * disk.sector


def _in_table(disk: Disk, number: int, device: str, before: int, after: int) -> Step:
    """sfdisk moves the backup of a GPT to the end of the disk as it writes; ",+" is: begin as it does, reach as far as it can."""
    return Step(("sfdisk", "--quiet", "--no-reread", "--no-tell-kernel", "-N", str(number), disk.path), device, before, after, ",+\n")


# LVM -----------------------------------------------------------------------------
def _logical(steps: list[Step], logical: LogicalVolume, carried: list[tuple[Carrier, int]], wanted: int | None) -> int:
    free = logical.free
    for carrier, size in carried:
        volume = carrier.volume
        extents = max(0, size - volume.start) // logical.extent if volume else 0
        if volume and extents > volume.extents:
            before, after = (count * logical.extent for count in (volume.extents, extents))
            steps.append(Step(("pvresize", volume.path), volume.path, before, after))
            free += extents - volume.extents
    most = logical.size + free * logical.extent
    after = most if wanted is None else -(-wanted // logical.extent) * logical.extent
    if after < logical.size:
        told = f"Logical volume {logical.name} is {readable_size(logical.size)} large"
        raise InvalidChange(f"{told}, and does not shrink to {readable_size(after)}.", hint="Give its size, or more.")
    if after > most:
        want = readable_size(after)
        raise InvalidChange(f"Logical volume {logical.name} cannot be {want} large: its group has room for {readable_size(most)}.")
    if after > logical.size:
        much = ("-l", "+100%FREE") if wanted is None else ("-L", f"{after}b")
        steps.append(Step(("lvextend", *much, logical.name), logical.name, logical.size, after))
    return after


# the file system ------------------------------------------------------------------
def _file_system(steps: list[Step], stack: Stack, room: int) -> int:
    fs = stack.file_system
    if room - fs.size < SLACK:
        return fs.size
    after = room // fs.block * fs.block
    steps.append(Step(KINDS[fs.type].grow(fs), fs.mount, fs.size, after))
    return after
