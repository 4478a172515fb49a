# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks in VHD format, in files or in logical volumes: rounding, chains of snapshots, what they take on the medium.

Rules: xapi-project/sm libs/sm vhdutil.py, lvhdutil.py, FileSR.py, LVHDSR.py, cleanup.py.
"""

from __future__ import annotations

import typing as t
from dataclasses import replace

from ...sm_errors import backend
from ...storage import Disk, Repository
from .base import Context, new_uuid
from .tracked import Tracking

MIB = 1 << 20
BLOCK = 2 * MIB
EXTENT = 4 * MIB
LARGEST = 2040 << 30
LONGEST_CHAIN = 30
PARENT = "vhd-parent"


def round_up(size: int, unit: int) -> int:
    """The next multiple."""
    return -(-size // unit) * unit


def metadata(virtual_size: int) -> int:
    """Bytes of an empty VHD: header, footers, block table, bitmap of it."""
    blocks = virtual_size // BLOCK
    table = round_up(3 * 1024 + 4 * blocks, 512)
    return round_up(table + blocks // 8, 4096)


def full(virtual_size: int) -> int:
    """Bytes of a VHD whose every block is written."""
    return virtual_size + metadata(LARGEST) + round_up(virtual_size, BLOCK) // BLOCK * 4096


def written(virtual_size: int, blocks: int) -> int:
    """Bytes of a VHD with so many blocks."""
    return metadata(virtual_size) + blocks * (BLOCK + 4096)


class VhdDriver(Tracking):
    """Creates, snapshots, resizes; a subclass says where and how much a disk takes."""

    unit = 1  # bytes the medium gives at a time

    def empty(self, ctx: Context, virtual_size: int) -> int:
        """What a disk without data takes."""
        return metadata(virtual_size)

    def writable(self, ctx: Context, virtual_size: int) -> int:
        """What a new disk takes that a guest may write to."""
        return self.empty(ctx, virtual_size)

    def _round(self, size: int) -> int:
        if not 0 <= size <= LARGEST:
            raise backend(79, f"VDI size must be between 1 MB and {LARGEST // MIB} MB")
        return max(BLOCK, round_up(size, BLOCK))

    def _need(self, ctx: Context, size: int) -> None:
        if size > self.place(ctx).free:
            raise backend(44)

    def _disk(self, ctx: Context, location: str) -> tuple[Repository, Disk]:
        repository = self.repository(ctx)
        if location not in repository.disks:
            raise backend(46, f"no disk {location}")
        return repository, repository.disks[location]

    def _new(self, **fields: t.Any) -> Disk:
        uuid = new_uuid()
        return Disk(uuid, uuid, **fields)

    def delete(self, ctx: Context) -> None:
        """SR_NOT_EMPTY while disks are left on the medium, even if the pool has no record of them."""
        held = self.repository(ctx).disks
        if any(disk.managed for disk in held.values()):
            raise backend(39)
        super().delete(ctx)
        for location in held:
            ctx.shelf.drop(location)

    # disks -----------------------------------------------------------------------------------------------------------
    def vdi_create(self, ctx: Context, wanted: Disk) -> Disk:
        """Size rounded up to 2 MiB; 79 for a size that cannot be, 44 when there is no space."""
        repository = self.repository(ctx)
        size = self._round(wanted.virtual_size)
        taken = self.writable(ctx, size)
        self._need(ctx, taken)
        uuid = new_uuid()
        disk = replace(wanted, uuid=uuid, location=uuid, virtual_size=size, physical_utilisation=taken, sm_config=self.describe(wanted))
        repository.disks[uuid] = self.kept(disk)
        return disk

    def kept(self, disk: Disk) -> Disk:
        """A file has no room for names, type and what it is a snapshot of; a volume group has."""
        if self.keeps_names:
            return disk
        return Disk(disk.uuid, disk.location, disk.virtual_size, disk.physical_utilisation, sm_config=dict(disk.sm_config))

    def describe(self, wanted: Disk) -> dict[str, str]:
        """sm_config of a new disk."""
        return dict(wanted.sm_config)

    def vdi_delete(self, ctx: Context, location: str) -> None:
        """Base copies nobody needs any more go later."""
        repository, disk = self._disk(ctx, location)
        del repository.disks[location]
        ctx.shelf.drop(location)
        self._pass_on(ctx, repository, disk)

    def vdi_data_destroy(self, ctx: Context, location: str) -> None:
        """The disk stands on nothing any more."""
        _repository, disk = self._disk(ctx, location)
        ctx.shelf.drop(location)
        disk.type, disk.physical_utilisation = "cbt_metadata", 0
        disk.sm_config = {key: value for key, value in disk.sm_config.items() if key != PARENT}

    def garbage(self, ctx: Context) -> tuple[Disk, list[Disk]] | None:
        """A hidden base copy with less than two children, and those."""
        disks = self.repository(ctx).disks.values()
        children: dict[str | None, list[Disk]] = {}
        for disk in disks:
            children.setdefault(disk.sm_config.get(PARENT), []).append(disk)
        found = (base for base in disks if not base.managed and len(children.get(base.uuid, ())) < 2)
        return next(((base, children.get(base.uuid, [])) for base in found), None)

    def coalesce(self, ctx: Context) -> int | None:
        """A base copy with one child left melts into it, with none it goes."""
        found = self.garbage(ctx)
        return self._melt(ctx, self.repository(ctx), *found) if found else None

    def _melt(self, ctx: Context, repository: Repository, base: Disk, children: list[Disk]) -> int:
        blocks = ctx.shelf.node(base.location).count()
        del repository.disks[base.location]
        above = base.sm_config.get(PARENT)
        for child in children:
            ctx.shelf.merge(child.location, base.location)
            held = self.taken(child, ctx.shelf.node(child.location).count())
            child.physical_utilisation = max(child.physical_utilisation, base.physical_utilisation, held)
            child.sm_config = {k: v for k, v in child.sm_config.items() if k != PARENT} | ({PARENT: above} if above else {})
        if not children:
            ctx.shelf.drop(base.location)
        return blocks * BLOCK if children else 0

    def vdi_resize(self, ctx: Context, location: str, size: int) -> Disk:
        """79 when the disk would shrink."""
        _repository, disk = self._disk(ctx, location)
        size = self._round(size)
        if size < disk.virtual_size:
            raise backend(79, "shrinking not allowed")
        taken = self.writable(ctx, size) - self.writable(ctx, disk.virtual_size)
        self._need(ctx, taken)
        disk.physical_utilisation += taken
        disk.virtual_size = size
        return disk

    def vdi_snapshot(self, ctx: Context, location: str, wanted: Disk) -> Disk:
        """What is not written to needs no more than an empty disk."""
        return self._branch(ctx, location, wanted, self.empty)

    def vdi_clone(self, ctx: Context, location: str, wanted: Disk) -> Disk:
        """A snapshot that is as large as a disk in use."""
        return self._branch(ctx, location, wanted, self.writable)

    def _branch(self, ctx: Context, location: str, wanted: Disk, size: t.Callable[[Context, int], int]) -> Disk:
        """The data becomes a hidden base copy, disk and copy stand on it; 109 when the disk's chain has as many images as it may have."""
        repository, disk = self._disk(ctx, location)
        if self._depth(repository, disk) >= LONGEST_CHAIN:
            raise backend(109)
        left, taken = self._deflated(ctx, disk), size(ctx, disk.virtual_size)
        # nobody writes to a snapshot, so that it stays as small as it was (LVHDSR.py: issnap)
        leaf = (self.empty if disk.is_a_snapshot else self.writable)(ctx, disk.virtual_size)
        self._need(ctx, left + leaf + taken - disk.physical_utilisation)
        base = self._new(
            virtual_size=disk.virtual_size, physical_utilisation=left, name_label="base copy",
            read_only=True, managed=False, type=disk.type, sm_config=dict(disk.sm_config),
        )  # fmt: skip
        ctx.shelf.split(location, base.location)
        disk.sm_config = {**disk.sm_config, PARENT: base.uuid}
        disk.physical_utilisation = leaf
        uuid = new_uuid()
        copy = replace(wanted, uuid=uuid, location=uuid, virtual_size=disk.virtual_size, physical_utilisation=taken)
        copy.sm_config = {**self.describe(copy), PARENT: base.uuid}
        repository.disks |= {base.location: base, uuid: self.kept(copy)}
        if wanted.is_a_snapshot:
            self._hand_over(ctx, disk, repository.disks[uuid])
        return copy

    def _deflated(self, ctx: Context, disk: Disk) -> int:
        """What a disk takes that nobody will write to any more: a thick one gives back what holds no data."""
        thick = self.writable(ctx, disk.virtual_size) > self.empty(ctx, disk.virtual_size)
        return self.taken(disk, ctx.shelf.node(disk.location).count()) if thick else disk.physical_utilisation

    def layers(self, ctx: Context, location: str) -> list[str]:
        """The disk and the base copies it stands on."""
        repository, disk = self._disk(ctx, location)
        found = [location]
        while (parent := disk.sm_config.get(PARENT)) in repository.disks:
            disk = repository.disks[parent]
            found.append(disk.location)
        return found

    def grow(self, ctx: Context, location: str, blocks: int) -> None:
        """A thick disk has its space already."""
        _repository, disk = self._disk(ctx, location)
        wanted = self.taken(disk, ctx.shelf.node(location).count() + blocks)
        if wanted > disk.physical_utilisation:
            self._need(ctx, wanted - disk.physical_utilisation)
            disk.physical_utilisation = wanted

    def taken(self, disk: Disk, blocks: int) -> int:
        """What a disk with so many blocks takes at least."""
        return round_up(written(disk.virtual_size, blocks), self.unit)

    def _depth(self, repository: Repository, disk: Disk) -> int:
        """Images in the chain, the disk's own too (xapi-project/blktap vhd/lib/libvhd.c, vhd_chain_depth)."""
        depth, parent = 1, disk.sm_config.get(PARENT)
        while parent in repository.disks:
            depth, parent = depth + 1, repository.disks[parent].sm_config.get(PARENT)
        return depth
