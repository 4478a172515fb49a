# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plan for an image file. Pure: what there is goes in, commands come out.

A new image, and one that is made over, is made beside its place and takes it in the end: a file of that name is always whole.
"""

from __future__ import annotations

import typing as t
from dataclasses import replace

from ...errors import InvalidChange, NotFound
from ...formats.sizes import readable_size
from ..step import Step
from .content import shown
from .copying import converted, options_of, refuse_written
from .filling import Place, filled, shrunk
from .image import QEMU
from .plan_lvm import refuse_shrink, seen
from .usage import busy, told
from .wanted import SECTOR, VHD_MOST, Wanted, format_of
from .what import BLANK, PARTIAL, Content, Image, Now, Planned, Source

REFLINKS = ("btrfs", "xfs", "ocfs2", "bcachefs")  # whose files can share what is in them; the names of stat --file-system


def plan_image(now: Now, wanted: Wanted) -> Planned:
    """Raises InvalidChange, NotFound."""
    if now.leftover_uses:
        raise InvalidChange(f"{wanted.told} is just being made: {told(now.leftover_uses)}.", hint="Wait until that has ended.")
    if wanted.absent:
        return _removed(now, wanted)
    planned = _changed(now.image, now, wanted) if now.image else _created(now, wanted)
    used = {word for step in planned.steps for word in step.argv}
    stale = [name for name in now.leftovers if name not in used]
    cleared = (Step(("rm", "-f", *stale), "remove what an interrupted run left"),) if stale else ()
    return replace(planned, steps=(*cleared, *planned.steps))


def rounded(size: int) -> int:
    """As qemu-img rounds: up to whole sectors."""
    return -(-size // SECTOR) * SECTOR


def describe(image: Image, content: Content) -> dict[str, t.Any]:
    return {
        "path": image.path, "format": image.format, "size": image.virtual, "backing": image.backing, "snapshots": list(image.snapshots),
        **shown(content),
    }  # fmt: skip


def _removed(now: Now, wanted: Wanted) -> Planned:
    image = now.image
    if not image:
        left = (Step(("rm", "-f", *now.leftovers), "remove what an interrupted run left"),) if now.leftovers else ()
        return Planned(left, {}, {})
    old = describe(image, now.content)
    if wanted.snapshot:
        if wanted.snapshot not in image.snapshots:
            return Planned((), old, old)
        _refuse_busy(now, wanted, "loses no snapshot")
        step = Step(
            ("qemu-img", "snapshot", "-q", "-d", wanted.snapshot, image.path), f"remove snapshot {wanted.snapshot}", wanted.copy_timeout
        )
        return Planned((step,), old, {**old, "snapshots": [name for name in image.snapshots if name != wanted.snapshot]})
    if now.uses:
        raise InvalidChange(f"{wanted.told} is not removed: {told(now.uses)}.", hint="Shut down, unmount or remove that first.")
    if image.snapshots:
        names = ", ".join(image.snapshots)
        raise InvalidChange(
            f"{wanted.told} is not removed: it has snapshots ({names}).", hint="Remove each first, with snapshot and state: absent."
        )
    return Planned((Step(("rm", "-f", image.path, *now.leftovers), f"remove {image.path}"),), old, {})


def _refuse_busy(now: Now, wanted: Wanted, what: str) -> None:
    if busy(now.uses):
        raise InvalidChange(f"{wanted.told} {what} now: {told(busy(now.uses))}.", hint="Do it when nobody uses it.")


# made -----------------------------------------------------------------------------
def _created(now: Now, wanted: Wanted) -> Planned:
    kind = format_of(wanted)
    if kind == "lvm":
        raise InvalidChange(f"{wanted.told} is an image file, which cannot have format lvm.")
    if wanted.snapshot:
        raise NotFound(f"There is no {wanted.told} to take a snapshot of.")
    if wanted.backing and kind != "qcow2":
        raise InvalidChange(f"{wanted.told} cannot lie on a backing file: {kind} has none.", hint="Give format: qcow2.")
    size = _size(now, wanted, kind)
    warnings = _room(now, wanted, size)
    partial = f"{wanted.path}{PARTIAL}"
    content = now.source.content if now.source else now.backing.content if now.backing else BLANK
    work = partial if kind == "raw" else f"{partial}.raw"
    done = filled(Place(work, wanted.told, (), wanted.copy_timeout), content, size, wanted)
    if wanted.backing and done.steps:
        raise InvalidChange(
            f"{wanted.told} lies on a backing file: what is on it is not changed here.",
            hint="Leave fs, label and resize_fs out, or use source.",
        )
    if done.steps and kind != "raw":
        first = _start(now, wanted, "raw", work, size, sparse=True)
        steps = [*first, *done.steps, *_over(work, partial, kind, wanted)]
    else:
        steps = [*_start(now, wanted, kind, partial, size, sparse=wanted.sparse), *done.steps]
    steps += _in_place(partial, kind, size, wanted)
    image = Image(wanted.path, kind, size, backing=now.backing.path if now.backing else "")
    return Planned(tuple(steps), {}, describe(image, done.content), (*warnings, *done.warnings))


def _in_place(partial: str, kind: str, size: int, wanted: Wanted) -> list[Step]:
    room = Step(("fallocate", "--length", str(size), partial), f"take the room of {partial}", wanted.copy_timeout)
    # which qemu-img does by itself for the other formats
    taken = [room] if kind == "vhd" and not wanted.sparse else []
    return [*taken, Step(("mv", "-f", "-T", partial, wanted.path), f"{wanted.told} is complete")]


def _over(work: str, partial: str, kind: str, wanted: Wanted) -> list[Step]:
    return [converted(work, "raw", partial, kind, wanted, sparse=wanted.sparse), Step(("rm", "-f", work), "remove what it was made of")]


def _start(now: Now, wanted: Wanted, kind: str, path: str, size: int, *, sparse: bool) -> list[Step]:
    """An image of this size and format, with what it is to hold."""
    source, slow = now.source, wanted.copy_timeout
    if wanted.snapshot_of and source:
        how = ("--reflink=always",) if _sharing(source) else ("--reflink=auto", "--sparse=always")
        return [Step(("cp", *how, source.path, path), f"copy {source.path}", slow)]
    if not source:
        back = ("-b", now.backing.path, "-F", QEMU[now.backing.format]) if now.backing else ()
        options = () if back else options_of(kind, sparse)
        return [Step(("qemu-img", "create", "-q", "-f", QEMU[kind], *back, *options, path, str(size)), f"make {path}", slow)]
    refuse_written(source, wanted)
    if size == source.size:
        return [converted(source.path, source.format, path, kind, wanted, sparse=sparse)]
    if kind == "vhd":  # which qemu-img does not resize
        between = f"{wanted.path}{PARTIAL}.raw"
        return [
            converted(source.path, source.format, between, "raw", wanted), resized(between, "raw", size, wanted),
            *_over(between, path, kind, wanted),
        ]  # fmt: skip
    return [converted(source.path, source.format, path, kind, wanted, sparse=sparse), resized(path, kind, size, wanted)]


def _sharing(source: Source) -> bool:
    """Whether somebody may write to it meanwhile. Raises InvalidChange where a copy would not be of one moment."""
    if not busy(source.uses):
        return False
    if source.file_system not in REFLINKS:
        raise InvalidChange(
            f"No snapshot of {source.path} can be taken now: {told(busy(source.uses))}.",
            hint=f"Its folder is on {source.file_system}; images in use are copied in one moment on btrfs and xfs, or as logical volumes.",
        )  # fmt: skip
    return True


def resized(path: str, kind: str, size: int, wanted: Wanted, *more: str) -> Step:
    kept = () if wanted.sparse or "--shrink" in more else ("--preallocation=falloc",)
    return Step(("qemu-img", "resize", "-q", "-f", QEMU[kind], *kept, *more, path, str(size)), f"resize {path}", wanted.copy_timeout)


def _size(now: Now, wanted: Wanted, kind: str) -> int:
    source = now.source or now.backing
    if wanted.snapshot_of and source and (source.format, kind) != ("raw", "raw"):
        raise InvalidChange(
            f"{wanted.told} cannot be a snapshot of {source.path}: that is for raw images, which are copied.",
            hint="A qcow2 image keeps snapshots in itself (snapshot), or is left alone below a new one (backing).",
        )  # fmt: skip
    if wanted.size is None and not source:
        raise InvalidChange(f"The size of {wanted.told} is missing: there is nothing to take it from.", hint="Give size.")
    size = rounded(wanted.size if wanted.size is not None else source.size if source else 0)
    if source and size < source.size:
        raise InvalidChange(
            f"{wanted.told} is to have {readable_size(size)}, less than the {readable_size(source.size)} of {source.path}.",
            hint="Give at least that.",
        )  # fmt: skip
    if source and wanted.snapshot_of and size != source.size:
        raise InvalidChange(
            f"{wanted.told} is a snapshot, as large as {source.path}: {readable_size(source.size)}.", hint="Leave size out."
        )
    _refuse_too_large(wanted, kind, size)
    return size


def _refuse_too_large(wanted: Wanted, kind: str, size: int) -> None:
    if kind == "vhd" and size > VHD_MOST:
        raise InvalidChange(
            f"{wanted.told} cannot be {readable_size(size)} large: a VHD has at most {readable_size(VHD_MOST)}.", hint="Use qcow2."
        )


def _room(now: Now, wanted: Wanted, size: int) -> list[str]:
    """Raises InvalidChange where it surely does not fit."""
    needed = size if not wanted.sparse else now.source.allocated if now.source else 0
    if needed > now.room:
        raise InvalidChange(
            f"There is no room for {wanted.told}: {readable_size(needed)} are needed, and {readable_size(now.room)} are free.",
            hint="Remove files there, or choose another folder.",
        )  # fmt: skip
    if size > now.room:
        return [f"{wanted.told} can become {readable_size(size)} large, and {readable_size(now.room)} are free where it lies."]
    return []


# changed --------------------------------------------------------------------------
def _changed(image: Image, now: Now, wanted: Wanted) -> Planned:
    if wanted.format not in (None, image.format):
        raise InvalidChange(f"{wanted.told} is {image.format}, not {wanted.format}.", hint="Make a new image, with this one as source.")
    if now.backing and now.backing.path != image.backing:
        has = f"lies on {image.backing}" if image.backing else "has no backing file"
        raise InvalidChange(f"{wanted.told} {has}, not {now.backing.path}.", hint="Choose another path, or remove it first.")
    size = image.virtual if wanted.size is None else rounded(wanted.size)
    _refuse_too_large(wanted, image.format, size)
    steps, new = _snapshot(image, now, wanted)
    if size != image.virtual:
        if size < image.virtual:
            refuse_shrink(wanted, image.virtual, size)
        if size < image.virtual or not loops(image, now):
            _refuse_busy(now, wanted, "is not resized")
        _refuse_overlays(now, wanted)
    more, content, warnings = _made_over(image, now, wanted, size)
    old = describe(image, now.content)
    return Planned((*steps, *more), old, {**old, **new, "size": size, **shown(content)}, tuple(warnings))


def loops(image: Image, now: Now) -> list[str]:
    """The loop devices by which domains have a raw image, if nobody else has it: these can be told that it grew, as qemu cannot."""
    users = busy(now.uses)
    devices = [use.name for use in users if use.kind == "device" and use.name.startswith("/dev/loop")]
    others = [use for use in users if use.kind not in ("domain", "reader") and use.name not in devices]
    return devices if image.format == "raw" and not others and any(use.kind in ("domain", "reader") for use in users) else []


def _refuse_overlays(now: Now, wanted: Wanted) -> None:
    above = [use for use in now.uses if use.kind == "overlay"]
    if above:
        raise InvalidChange(f"{wanted.told} is not resized: {told(above)}.", hint="What lies on it would no longer fit it.")


def _snapshot(image: Image, now: Now, wanted: Wanted) -> tuple[list[Step], dict[str, t.Any]]:
    if not wanted.snapshot or wanted.snapshot in image.snapshots:
        return [], {}
    if image.format != "qcow2":
        raise InvalidChange(f"{wanted.told} keeps no snapshots: it is {image.format}.", hint="Copy it, with snapshot_of, or use qcow2.")
    _refuse_busy(now, wanted, "gets no snapshot")
    step = Step(("qemu-img", "snapshot", "-q", "-c", wanted.snapshot, image.path), f"take snapshot {wanted.snapshot}", wanted.copy_timeout)
    return [step], {"snapshots": [*image.snapshots, wanted.snapshot]}


def _made_over(image: Image, now: Now, wanted: Wanted, size: int) -> tuple[list[Step], Content, list[str]]:
    """Resized, and with what is to be on it."""
    partial = f"{image.path}{PARTIAL}"
    direct = image.format == "raw"
    place = Place(image.path if direct else f"{partial}.raw", wanted.told, now.uses, wanted.copy_timeout)
    before, content = shrunk(place, now.content, size) if size < image.virtual else ([], now.content)
    done = filled(place, content, size, wanted)
    touched = bool(before or done.steps)
    if touched:
        _refuse_overlays(now, wanted)
    if not direct and (touched or (size != image.virtual and image.format == "vhd")):
        _refuse_layers(image, wanted)
        _room_for_copies(image, now, wanted)
        cut = [resized(place.path, "raw", size, wanted, *_shrinking(size, image))] if size != image.virtual else []
        start = converted(image.path, image.format, place.path, "raw", wanted)
        again = _over(place.path, partial, image.format, wanted)
        like = Step(("cp", "--attributes-only", "--preserve=mode,ownership", image.path, partial), f"{partial} is whose {image.path} is")
        return (
            [start, *before, *cut, *done.steps, *again, like, *_in_place(partial, image.format, size, wanted)],
            done.content,
            done.warnings,
        )
    cut = [resized(image.path, image.format, size, wanted, *_shrinking(size, image))] if size != image.virtual else []
    warnings = _room(now, wanted, size - image.virtual) if size > image.virtual else []
    if size > image.virtual:
        cut += [Step(("losetup", "--set-capacity", device), f"tell {device}") for device in loops(image, now)]
        warnings += [seen(use.name, wanted.told) for use in now.uses if use.kind == "domain"]
    return [*before, *cut, *done.steps], done.content, [*warnings, *done.warnings]


def _shrinking(size: int, image: Image) -> tuple[str, ...]:
    return ("--shrink",) if size < image.virtual else ()


def _refuse_layers(image: Image, wanted: Wanted) -> None:
    if image.snapshots or image.backing:
        what = f"a backing file ({image.backing})" if image.backing else f"snapshots ({', '.join(image.snapshots)})"
        raise InvalidChange(f"{wanted.told} has {what}: it is not made over, which they would not survive.", hint="Remove them first.")
    if image.target:
        raise InvalidChange(f"{wanted.told} is a link to {image.target}; made over, it would be a file of its own.", hint="Name that file.")


def _room_for_copies(image: Image, now: Now, wanted: Wanted) -> None:
    needed = 2 * image.allocated
    if needed > now.room:
        raise InvalidChange(
            f"{wanted.told} is made over in a copy: {readable_size(needed)} are needed, and {readable_size(now.room)} are free.",
            hint="Remove files there.",
        )  # fmt: skip
