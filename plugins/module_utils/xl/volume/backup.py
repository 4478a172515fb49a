# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A copy of a volume of one moment, while a domain uses it: a snapshot that is copied and removed again."""

from __future__ import annotations

import os
import typing as t
from dataclasses import dataclass, replace

from ...errors import InvalidChange, NotFound, XenError
from ...formats.sizes import readable_size
from ...formats.sizes import size as bytes_of
from ..step import Step
from ..tool import Tool
from .host import Host
from .image import QEMU, format_read, info
from .lvm import read_group
from .plan_image import REFLINKS
from .plan_lvm import cow_most, removal
from .usage import busy, logical_uses, told, uses_of
from .wanted import SUFFIXES, Wanted, placed
from .what import BACKUP_TAG, PARTIAL, PARTIAL_TAG, Group, Image, Logical, Planned, Use

BEHIND = ".backup"  # the name of what is copied, of a logical volume, which is known by its tag
COPY = ".xl_volume_backup"  # the same of an image, where a name that nobody else gives is all there is to know it by


@dataclass(frozen=True)
class Ask:
    """What a task asks for: a volume, where its copy goes and how."""

    volume: Wanted
    dest: str
    format: str
    room: int | None
    compress: bool
    verify: bool
    force: bool
    slow: float


@dataclass(frozen=True)
class Found:
    """What there is.

    group, own, volumes: of a logical volume; image, uses, file_system: of an image; stale: who uses what an earlier run left; left: a
    copy that it left; there: the wanted copy; there_uses: who has it; free: bytes where that lies.
    """

    group: Group | None = None
    own: Logical | None = None
    volumes: tuple[Logical, ...] = ()
    image: Image | None = None
    uses: tuple[Use, ...] = ()
    file_system: str = ""
    stale: tuple[Use, ...] = ()
    left: bool = False
    there: bool = False
    there_uses: tuple[Use, ...] = ()
    free: int = 0


def of_params(params: t.Mapping[str, t.Any]) -> Ask:
    """Raises InvalidChange."""
    volume, dest = placed(Wanted(), params), os.path.normpath(params["dest"])
    kind = params["format"] or SUFFIXES.get(os.path.splitext(dest)[1].lower(), "qcow2")
    if not dest.startswith("/"):
        raise InvalidChange(f"{dest} is not an absolute path.", hint="Give the whole path of the copy.")
    if dest in (volume.path, f"{volume.path}{COPY}"):
        raise InvalidChange(f"{dest} is the volume itself, or what is made of it meanwhile.", hint="Give another path as dest.")
    if params["compress"] and kind != "qcow2":
        raise InvalidChange(f"{dest} cannot be compressed: it is {kind}.", hint="Give format: qcow2.")
    room = None if params["snapshot_size"] is None else bytes_of(params["snapshot_size"])
    return Ask(volume, dest, kind, room, params["compress"], params["verify"], params["force"], params["copy_timeout"])


def observe(host: Host, ask: Ask) -> Found:
    """Raises NotFound, InvalidChange for what cannot be copied so, XenError where a program fails."""
    folder = os.path.dirname(ask.dest)
    if not os.path.isdir(folder):
        raise NotFound(f"There is no folder {folder} for {ask.dest}.", hint="Make it first.")
    if os.path.lexists(ask.dest) and not os.path.isfile(ask.dest):
        raise InvalidChange(f"{ask.dest} is no file.", hint="Give the path of a file as dest.")
    host.need(("qemu-img",), "qemu-utils", "copies")
    room = os.statvfs(folder)
    found = Found(there=os.path.exists(ask.dest), free=room.f_bavail * room.f_frsize, stale=uses_of(host, f"{ask.dest}{PARTIAL}"))
    if found.there and ask.force:
        found = replace(found, there_uses=uses_of(host, ask.dest))
    return _logical(host, ask, found) if ask.volume.lvm else _image(host, ask, found)


def _logical(host: Host, ask: Ask, found: Found) -> Found:
    group, volumes = read_group(host, ask.volume.group)
    own = volumes.get(ask.volume.name)
    if not own:
        raise NotFound(f"There is no logical volume {ask.volume.told}.")
    stale = [use for old in _stale(own, volumes.values()) for use in logical_uses(host, old, volumes)]
    return replace(found, group=group, own=own, volumes=tuple(volumes.values()), stale=(*found.stale, *stale))


def _stale(own: Logical, volumes: t.Iterable[Logical]) -> list[Logical]:
    return [lv for lv in volumes if lv.origin == own.name and BACKUP_TAG in lv.tags]


def _image(host: Host, ask: Ask, found: Found) -> Found:
    path = ask.volume.path
    image = info(host, path, format_read(path, ask.volume.format))
    copy = f"{path}{COPY}"
    system = host.answer("stat", "--file-system", "--format=%T", path).strip()
    stale = (*found.stale, *uses_of(host, copy))
    return replace(found, image=image, uses=uses_of(host, path), file_system=system, left=os.path.exists(copy), stale=stale)


# the plan ---------------------------------------------------------------------------
def plan(found: Found, ask: Ask) -> Planned:
    """Raises InvalidChange. What an earlier run left is removed first, whether the copy is there or not."""
    if found.stale:
        raise InvalidChange(f"{ask.volume.told} is just being copied: {told(found.stale)}.", hint="Wait until that has ended.")
    clear = _clearing(found, ask)
    shown = {"path": ask.dest, "format": ask.format}
    if found.there and not ask.force:
        return Planned(tuple(clear), shown, shown)
    if found.there_uses:
        raise InvalidChange(f"{ask.dest} is not replaced: {told(found.there_uses)}.", hint="Give the copy another name.")
    before, source, kind, after = _held(found, ask)
    partial = f"{ask.dest}{PARTIAL}"
    copy = [_copied(source, kind, partial, ask), *([_compared(source, kind, partial, ask)] if ask.verify else [])]
    done = Step(("mv", "-f", "-T", partial, ask.dest), f"{ask.dest} is complete")
    size = found.own.virtual if found.own else found.image.virtual if found.image else 0
    few = (
        (f"{ask.dest} can become {readable_size(size)} large, and {readable_size(found.free)} are free where it lies.",)
        if size > found.free
        else ()
    )
    return Planned((*clear, *before, *copy, done, *after), shown if found.there else {}, {**shown, "size": size}, few)


def _clearing(found: Found, ask: Ask) -> list[Step]:
    left = [removal(lv, "the snapshot an interrupted run left") for lv in (_stale(found.own, found.volumes) if found.own else ())]
    return [*left, *([Step(("rm", "-f", f"{ask.volume.path}{COPY}"), "remove what an interrupted run left")] if found.left else [])]


def _copied(source: str, kind: str, partial: str, ask: Ask) -> Step:
    command = ("qemu-img", "convert", "-q", *(("-c",) if ask.compress else ()), "-t", "writeback", "-f", QEMU[kind], "-O", QEMU[ask.format])
    options = ("-o", "force_size=on") if ask.format == "vhd" else ()
    return Step((*command, *options, source, partial), f"copy {ask.volume.told}", ask.slow)


def _compared(source: str, kind: str, partial: str, ask: Ask) -> Step:
    command = ("qemu-img", "compare", "-q", "-f", QEMU[kind], "-F", QEMU[ask.format], source, partial)

    def run() -> None:
        done = Tool(timeout=ask.slow).command(command, check=False)
        if done.status:
            said = " ".join(done.err.split()) or "they differ"
            raise XenError(
                f"The copy of {ask.volume.told} was read again, and is not like it: {said}.", hint="Is the disk below it healthy?"
            )

    return Step(command, f"compare the copy of {ask.volume.told}", ask.slow, run)


def _held(found: Found, ask: Ask) -> tuple[list[Step], str, str, list[Step]]:
    """What makes it stand still, what is read, its format, and what lets go of it."""
    if found.image:
        return _held_image(found.image, found, ask)
    own, group = found.own, found.group
    if not own or not group:
        raise NotFound(f"There is no logical volume {ask.volume.told}.")
    if own.kind in ("pool", "other") or own.lost or not own.active or PARTIAL_TAG in own.tags:
        raise InvalidChange(f"{ask.volume.told} cannot be copied: it {_why(own)}.")
    if own.kind == "snapshot":
        return [], own.path, "raw", []
    name = f"{own.name}{BEHIND}"
    if any(lv.name == name and BACKUP_TAG not in lv.tags for lv in found.volumes):
        raise InvalidChange(
            f"{own.group}/{name} is in the way of a snapshot of {own.name}, and not made by this module.", hint="Rename or remove it."
        )
    size = () if own.pool else ("--size", f"{_room(found, own, group, ask)}b")
    more = ("--setactivationskip", "n") if own.pool else ()
    make = ("lvcreate", "--yes", "--addtag", BACKUP_TAG, "--snapshot", *size, *more, "--name", name, f"{own.group}/{own.name}")
    taken = Logical(own.group, name, f"{group.devices}/{own.group}/{name}", 0)
    return [Step(make, f"take a snapshot of {ask.volume.told}")], taken.path, "raw", [removal(taken, "the snapshot")]


def _why(own: Logical) -> str:
    if PARTIAL_TAG in own.tags:
        return "is not complete"
    return "ran out of room" if own.lost else "is not active" if not own.active else f"is a {own.kind}"


def _room(found: Found, own: Logical, group: Group, ask: Ask) -> int:
    """Of a snapshot, for what is written meanwhile. A fifth of the volume if the task says nothing, or what is free."""
    free = group.free + sum(lv.size for lv in _stale(own, found.volumes))
    wanted = own.size // 5 if ask.room is None else ask.room
    size = min(max(group.rounded(wanted), group.extent), cow_most(own.size, group.extent))
    if size > free and (ask.room is not None or free < max(group.extent, group.rounded(own.size // 50))):
        raise InvalidChange(
            f"{group.name} has no room for a snapshot of {own.name}: {readable_size(size)} needed, {readable_size(free)} free.",
            hint="Give a smaller snapshot_size, or make room in the group.",
        )  # fmt: skip
    return min(size, free)


def _held_image(image: Image, found: Found, ask: Ask) -> tuple[list[Step], str, str, list[Step]]:
    users = [use for use in busy(found.uses) if use.kind != "reader"]
    if not users:
        return [], image.path, image.format, []
    if image.format != "raw" or found.file_system not in REFLINKS:
        raise InvalidChange(
            f"{image.path} cannot be copied now: {told(users)}.",
            hint="Volumes in use are copied if they are logical volumes, or raw images on btrfs or xfs. Shut its domain down first.",
        )  # fmt: skip
    copy = f"{image.path}{COPY}"
    make = Step(("cp", "--reflink=always", image.path, copy), f"keep {image.path} as it is now", ask.slow)
    return [make], copy, "raw", [Step(("rm", "-f", copy), "let go of it")]


# the task ---------------------------------------------------------------------------
def manage(
    tool: Tool, params: t.Mapping[str, t.Any], carry_out: t.Callable[[t.Sequence[Step]], list[str]], check: bool
) -> dict[str, t.Any]:
    """What the module returns. Raises XenError; the snapshot is removed then too."""
    os.umask(0o077)
    ask, host = of_params(params), Host(tool)
    planned = plan(observe(host, ask), ask)
    try:
        commands = carry_out(planned.steps)
    except BaseException:
        if not check:
            _let_go(tool, host, ask)
        raise
    backup = dict(planned.after)
    if not check or not planned.steps:
        image = info(host, ask.dest, format_read(ask.dest, ask.format))
        backup = {**backup, "size": image.virtual, "allocated": image.allocated}
    return {
        "changed": bool(commands), "backup": backup, "commands": commands, "diff": {"before": planned.before, "after": planned.after},
        "warnings": list(planned.warnings),
    }  # fmt: skip


def _let_go(tool: Tool, host: Host, ask: Ask) -> None:
    """After a failure. What cannot be removed now is removed by the next run."""
    for name in (f"{ask.dest}{PARTIAL}", *([] if ask.volume.lvm else [f"{ask.volume.path}{COPY}"])):
        if os.path.exists(name) and not uses_of(host, name):
            os.unlink(name)
    if ask.volume.lvm:
        volumes = read_group(host, ask.volume.group)[1]
        for lv in _stale(volumes[ask.volume.name], volumes.values()):
            tool.command(removal(lv).argv, check=False)


OPTIONS: dict[str, dict[str, t.Any]] = {
    "vg": {"type": "str"},
    "name": {"type": "str"},
    "path": {"type": "path"},
    "dest": {"type": "path", "required": True},
    "format": {"type": "str", "choices": ["raw", "qcow2", "vhd"]},
    "snapshot_size": {"type": "str"},
    "compress": {"type": "bool", "default": False},
    "verify": {"type": "bool", "default": False},
    "force": {"type": "bool", "default": False},
    "copy_timeout": {"type": "float", "default": 14400.0},
}
