# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plan for a logical volume. Pure: what there is goes in, commands come out."""

from __future__ import annotations

import typing as t

from ...errors import InvalidChange, NotFound
from ...formats.sizes import readable_size
from ..step import Step
from .content import shown
from .copying import copied
from .filling import Filled, Place, filled, shrunk
from .usage import busy, told
from .wanted import Wanted
from .what import BLANK, PARTIAL_TAG, Content, Group, Logical, Now, Planned

COW_CHUNK = 4096  # bytes of a chunk of a snapshot, lvcreate(8)
COW_ENTRIES = COW_CHUNK // 16  # exceptions in a metadata chunk (the kernel's dm-snap-persistent.c)


def plan_lvm(now: Now, wanted: Wanted) -> Planned:
    """Raises InvalidChange, NotFound."""
    own = now.volumes.get(wanted.name)
    if wanted.absent:
        return _removed(own, now, wanted)
    if own and PARTIAL_TAG in own.tags:
        if busy(now.uses):
            raise InvalidChange(f"{wanted.told} is just being made: {told(now.uses)}.", hint="Wait until that has ended.")
        given_back = own.size if not own.pool else 0
        return _created(now, wanted, [removal(own, "an unfinished volume")], given_back)
    return _changed(own, now, wanted) if own else _created(now, wanted, [], 0)


def removal(own: Logical, what: str = "") -> Step:
    name = f"{own.group}/{own.name}"
    return Step(("lvremove", "--yes", name), f"remove {what or name}")


def cow_most(origin: int, extent: int) -> int:
    """The room a snapshot can use at most: every chunk and where it is noted (lvm2's snapshot_manip.c, cow_max_extents)."""
    chunks = -(-origin // COW_CHUNK)
    whole = (chunks + chunks // COW_ENTRIES + 1 + 1) * COW_CHUNK
    return -(-whole // extent) * extent


def describe(own: Logical, content: Content) -> dict[str, t.Any]:
    return {
        "vg": own.group, "name": own.name, "format": "lvm", "size": own.size, "pool": own.pool, "snapshot_of": own.origin, **shown(content),
    }  # fmt: skip


def _group(now: Now) -> Group:
    if not now.group:
        raise NotFound("There is no such volume group.")
    return now.group


def _removed(own: Logical | None, now: Now, wanted: Wanted) -> Planned:
    if not own:
        return Planned((), {}, {})
    if now.uses:
        raise InvalidChange(f"{wanted.told} is not removed: {told(now.uses)}.", hint="Shut down, unmount or remove that first.")
    return Planned((removal(own),), describe(own, now.content), {})


# made -----------------------------------------------------------------------------
def _created(now: Now, wanted: Wanted, first: list[Step], given_back: int) -> Planned:
    group = _group(now)
    origin = _origin(now, wanted) if wanted.snapshot_of else None
    size = _size(now, wanted, group, origin)
    pool = origin.pool if origin else _pool(now, wanted)
    if not pool:
        _refuse_full(group, group.free + given_back, size, wanted)
    elif now.source:
        _refuse_full_pool(now.volumes[pool], now.source.allocated, wanted)
    path, content = f"{group.devices}/{wanted.group}/{wanted.name}", BLANK
    place, steps = Place(path, wanted.told, (), wanted.copy_timeout), []
    if now.source:
        steps.append(copied(now.source, path, "raw", wanted, zero=bool(pool) and now.volumes[pool].zeroed))
        content = now.source.content
    done = filled(place, content, size, wanted) if not origin else Filled([], now.content, [])
    steps += done.steps
    tag = ("--addtag", PARTIAL_TAG) if steps else ()
    steps = [*first, Step(("lvcreate", "--yes", *tag, *_kind(size, wanted, origin)), f"make {wanted.told}"), *steps]
    if tag:
        steps.append(Step(("lvchange", "--deltag", PARTIAL_TAG, wanted.told), f"{wanted.told} is complete"))
    made = Logical(group.name, wanted.name, path, size, pool=pool, origin=origin.name if origin else "")
    return Planned(tuple(steps), {}, describe(made, done.content), (*done.warnings, *_overbooked(now, pool)))


def _kind(size: int, wanted: Wanted, origin: Logical | None) -> tuple[str, ...]:
    named = ("--name", wanted.name)
    if origin and origin.pool:
        return ("--snapshot", "--setactivationskip", "n", *named, f"{origin.group}/{origin.name}")
    if origin:
        return ("--snapshot", "--size", f"{size}b", *named, f"{origin.group}/{origin.name}")
    if wanted.pool:
        return ("--type", "thin", "--virtualsize", f"{size}b", "--thinpool", wanted.pool, *named, wanted.group)
    return ("--size", f"{size}b", *named, wanted.group)


def _origin(now: Now, wanted: Wanted) -> Logical:
    group, _slash, name = wanted.snapshot_of.rpartition("/")
    if group.rpartition("/")[2] not in ("", wanted.group):
        raise InvalidChange(f"{wanted.told} cannot be a snapshot of {wanted.snapshot_of}: it lies in another volume group.")
    origin = now.volumes.get(name)
    if not origin or PARTIAL_TAG in origin.tags:
        raise NotFound(f"There is no logical volume {wanted.group}/{name} to take a snapshot of.")
    if origin.kind not in ("thick", "thin"):
        raise InvalidChange(f"{wanted.group}/{name} is a {origin.kind}: no snapshot is taken of it.", hint="Take it of the volume itself.")
    return origin


def _size(now: Now, wanted: Wanted, group: Group, origin: Logical | None) -> int:
    if origin and origin.pool:
        if wanted.size is not None and group.rounded(wanted.size) != origin.size:
            raise InvalidChange(
                f"{wanted.told} is a thin snapshot, as large as {origin.name}: {readable_size(origin.size)}.", hint="Leave size out."
            )
        return origin.size
    if wanted.size is None and not now.source:
        what = "how much may change until it is lost" if origin else "there is nothing to take it from"
        raise InvalidChange(f"The size of {wanted.told} is missing: {what}.", hint="Give size.")
    asked = wanted.size if wanted.size is not None else now.source.size if now.source else 0
    if now.source and asked < now.source.size:
        raise InvalidChange(
            f"{wanted.told} is to have {readable_size(asked)}, less than the {readable_size(now.source.size)} of {now.source.path}.",
            hint="Give at least that.",
        )  # fmt: skip
    size = group.rounded(asked)
    return min(size, cow_most(origin.size, group.extent)) if origin else size


def _pool(now: Now, wanted: Wanted) -> str:
    if not wanted.pool:
        return ""
    pool = now.volumes.get(wanted.pool)
    if not pool or pool.kind != "pool":
        there = sorted(lv.name for lv in now.volumes.values() if lv.kind == "pool")
        hint = f"There are: {', '.join(there)}." if there else "domzero.xen.xl_volume_group makes one."
        raise NotFound(f"There is no thin pool {wanted.group}/{wanted.pool}.", hint=hint)
    return pool.name


def _refuse_full(group: Group, free: int, more: int, wanted: Wanted) -> None:
    if more > free:
        raise InvalidChange(
            f"Volume group {group.name} has no room for {wanted.told}: {readable_size(more)} needed, {readable_size(free)} free.",
            hint="Remove volumes or snapshots, or add a disk to the group (vgextend).",
        )  # fmt: skip


def _refuse_full_pool(pool: Logical, more: int, wanted: Wanted) -> None:
    free = int(pool.size * (100 - pool.full) / 100)
    if more > free:
        raise InvalidChange(
            f"Thin pool {pool.group}/{pool.name} has no room for {wanted.told}: {readable_size(more)} needed, {readable_size(free)} free.",
            hint="Grow the pool (lvextend), or remove thin volumes.",
        )  # fmt: skip


def _overbooked(now: Now, name: str) -> tuple[str, ...]:
    pool = now.volumes.get(name)
    if not pool or pool.full < 90:
        return ()
    return (f"Thin pool {pool.group}/{name} is filled to {pool.full:g} %: volumes in it stop when it is full.",)


# changed --------------------------------------------------------------------------
def _changed(own: Logical, now: Now, wanted: Wanted) -> Planned:
    group = _group(now)
    _refuse_different(own, wanted)
    size = own.size if wanted.size is None else group.rounded(wanted.size)
    steps: list[Step] = []
    warnings: list[str] = []
    content, place = now.content, Place(own.path, wanted.told, now.uses, wanted.copy_timeout, device=True)
    if own.kind == "snapshot":
        size = min(size, max(cow_most(own.virtual, group.extent), own.size))
    if size != own.size and any(use.kind == "snapshot" for use in now.uses):
        raise InvalidChange(f"{wanted.told} cannot be resized: {told(now.uses)}.", hint="LVM cannot do that; remove the snapshot first.")
    if size > own.size:
        if not own.pool:
            _refuse_full(group, group.free, size - own.size, wanted)
        steps.append(Step(("lvextend", "--size", f"{size}b", wanted.told), f"grow {wanted.told}", wanted.copy_timeout))
        warnings += [seen(use.name, wanted.told) for use in now.uses if use.kind == "domain"]
    elif size < own.size:
        refuse_shrink(wanted, own.size, size)
        if own.kind == "snapshot":
            raise InvalidChange(f"The room of snapshot {wanted.told} is not made smaller.", hint="Give its size, or leave size out.")
        before, content = shrunk(place, content, size)
        cut = Step(("lvreduce", "--yes", "--force", "--size", f"{size}b", wanted.told), f"shrink {wanted.told}", wanted.copy_timeout)
        steps += [*before, cut]
    done = filled(place, content, size if own.kind != "snapshot" else own.virtual, wanted)
    old = describe(own, now.content)
    new = {**old, "size": size, **shown(done.content)}
    return Planned((*steps, *done.steps), old, new, (*warnings, *done.warnings))


def seen(domain: str, name: str) -> str:
    """As it was seen on Xen 4.17, with the guest's Linux 6.1 idle."""
    return f"The guest of domain {domain} sees the new size of {name} within seconds; what is on it grows there (guest_fs_grow)."


def refuse_shrink(wanted: Wanted, have: int, want: int) -> None:
    if not wanted.shrink:
        raise InvalidChange(
            f"{wanted.told} has {readable_size(have)}, and is not made smaller ({readable_size(want)}).",
            hint="Give its size, or allow it with shrink: true.",
        )  # fmt: skip


def _refuse_different(own: Logical, wanted: Wanted) -> None:
    """Raises InvalidChange for what a volume cannot become."""
    if own.kind in ("pool", "other"):
        what = "a thin pool" if own.kind == "pool" else "of a kind that is not managed here (raid, mirror, cache)"
        raise InvalidChange(f"{wanted.told} is {what}.", hint="Choose another name.")
    if own.lost:
        raise InvalidChange(
            f"Snapshot {wanted.told} ran out of room, and what was in it is lost.", hint="Remove it, and give a new one more size."
        )
    if not own.active:
        raise InvalidChange(f"{wanted.told} is not active.", hint=f"lvchange --activate y --ignoreactivationskip {wanted.told}")
    if wanted.pool is not None and wanted.pool != own.pool:
        there = f"lies in thin pool {own.pool}" if own.pool else "is not thin"
        raise InvalidChange(f"{wanted.told} {there}, and does not move.", hint="Make a new volume, with this one as source.")
    name = wanted.snapshot_of.rpartition("/")[2]
    if wanted.snapshot_of and name != own.origin:
        what = f"a snapshot of {own.origin}" if own.origin else "a volume of its own"
        raise InvalidChange(f"{wanted.told} is {what}, not a snapshot of {name}.", hint="Choose another name, or remove it first.")
