# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The commands that make, label, grow and shrink what is on a volume."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, replace

from ...errors import InvalidChange, XenError
from ...formats.sizes import readable_size
from ...growing.stack import SLACK
from ..step import Step
from ..tool import Tool, typed
from .content import EXT
from .usage import busy, told
from .wanted import Wanted
from .what import Content, Use

# in a mount namespace of its own, so that nothing stays mounted, whatever happens
GROW_XFS = 'mount -t xfs -o nosuid,nodev "$1" /mnt && xfs_growfs -d /mnt'


@dataclass(frozen=True)
class Place:
    """Where the content lies.

    path: a device or a raw file; name: as people know it; uses: who has it; slow: seconds a command may take; device: what is mounted from
    it grows where it is mounted.
    """

    path: str
    name: str
    uses: tuple[Use, ...]
    slow: float
    device: bool = False


class Filled(t.NamedTuple):
    steps: list[Step]
    content: Content
    warnings: list[str]


def filled(place: Place, content: Content, size: int, wanted: Wanted) -> Filled:
    """Makes what is asked for on a volume of this size that holds this content. Raises InvalidChange."""
    steps: list[Step] = []
    warnings: list[str] = []
    if wanted.fs and content.empty and not content.data:
        content = _made(steps, place, size, wanted)
    elif wanted.fs and not _same_type(wanted.fs, content.type):
        raise InvalidChange(
            f"{place.name} holds {content.told}, not {wanted.fs}.", hint="It is not overwritten; remove the volume first, or leave fs out.",
        )  # fmt: skip
    elif wanted.label is not None and wanted.label != content.label:
        content = _labelled(steps, place, content, wanted.label)
    if wanted.resize_fs:
        content = _grown(steps, warnings, place, content, size)
    return Filled(steps, content, warnings)


def _same_type(wanted: str, found: str) -> bool:
    return wanted == found


def _refuse_busy(place: Place, what: str) -> None:
    if busy(place.uses):
        raise InvalidChange(f"{place.name} cannot get {what} now: {told(busy(place.uses))}.", hint="Do it when nobody uses it.")


def _made(steps: list[Step], place: Place, size: int, wanted: Wanted) -> Content:
    _refuse_busy(place, f"a file system ({wanted.fs})")
    steps.append(Step(_maker(place.path, wanted), f"make {wanted.fs} on {place.name}", place.slow))
    return Content(wanted.fs or "", wanted.label or "", size=size)


def _maker(path: str, wanted: Wanted) -> tuple[str, ...]:
    label = ("-L", wanted.label) if wanted.label else ()
    start = {"ext4": ("mkfs.ext4", "-q", "-F"), "xfs": ("mkfs.xfs", "-q", "-f"), "swap": ("mkswap",)}[wanted.fs or ""]
    return (*start, *label, *wanted.fs_options, path)


def _labelled(steps: list[Step], place: Place, content: Content, label: str) -> Content:
    _refuse_busy(place, f"the label {label!r}")
    command = {
        "xfs": ("xfs_admin", "-L", label or "--", place.path), "swap": ("swaplabel", "-L", label, place.path),
    }.get(content.type, ("e2label", place.path, label))  # fmt: skip
    steps.append(Step(command, f"label {place.name}"))
    return replace(content, label=label)


# larger ----------------------------------------------------------------------------
def _grown(steps: list[Step], warnings: list[str], place: Place, content: Content, size: int) -> Content:
    if content.empty or (content.size and size - content.size < (SLACK if content.type != "swap" else 4096)):
        return content
    if content.type not in (*EXT, "xfs", "swap"):
        raise InvalidChange(
            f"{place.name} holds {content.told}: only ext2, ext3, ext4, xfs and swap are grown here.",
            hint="Leave resize_fs out; within the guest, domzero.xen.guest_fs_grow does it with partitions and LVM too.",
        )  # fmt: skip
    others = [use for use in busy(place.uses) if use.kind != "mount" or not place.device]
    if others or (content.type == "swap" and place.uses):
        warnings.append(
            f"The file system on {place.name} was left as large as it is: {told(busy(place.uses))}. Grow it there (guest_fs_grow)."
        )
        return content
    mounts = [use.name for use in place.uses if use.kind == "mount"]
    steps += _growing(place, content, mounts[0] if mounts else "")
    return replace(content, size=size // content.block * content.block)


def _growing(place: Place, content: Content, mount: str) -> list[Step]:
    what = f"grow the file system on {place.name}"
    if content.type == "swap":
        return [_swap_again(place, content)]
    if content.type == "xfs":
        command = ("xfs_growfs", "-d", mount) if mount else ("unshare", "--mount", "sh", "-c", GROW_XFS, "sh", place.path)
        return [Step(command, what, place.slow)]
    return [*([] if mount else [checked(place)]), Step(("resize2fs", place.path), what, place.slow)]


def _swap_again(place: Place, content: Content, size: int = 0) -> Step:
    """size: bytes, 0 for all there is."""
    names = (("-L", content.label) if content.label else ()) + (("-U", content.uuid) if content.uuid else ())
    return Step(("mkswap", *names, place.path, *([str(size // 1024)] if size else [])), f"make swap on {place.name} anew", place.slow)


def checked(place: Place) -> Step:
    """e2fsck, whose status 1 is: mended (e2fsck(8))."""
    command = ("e2fsck", "-f", "-p", place.path)

    def run() -> None:
        done = Tool(timeout=place.slow).command(command, check=False)
        if done.status not in (0, 1):
            said = " ".join((done.err or done.out).split())
            raise XenError(
                f"{typed(command)} failed: {said}", hint="The file system is damaged; nothing was resized. Mend it with e2fsck -f."
            )

    return Step(command, f"check the file system on {place.name}", place.slow, run)


# smaller ---------------------------------------------------------------------------
def shrunk(place: Place, content: Content, size: int) -> tuple[list[Step], Content]:
    """The commands before the volume is cut to this size. Raises InvalidChange for what does not shrink."""
    if busy(place.uses):
        raise InvalidChange(f"{place.name} cannot shrink: {told(busy(place.uses))}.", hint="Nothing that is in use shrinks.")
    readable = readable_size(size)
    if content.type in EXT:
        if content.least > size:
            raise InvalidChange(
                f"{place.name} cannot shrink to {readable}: its {content.type} needs {readable_size(content.least)} for what is in it.",
                hint="Give more, or remove files from it.",
            )  # fmt: skip
        before = [checked(place)]
        if content.size > size:
            unit = (f"{size // 1024}K",)
            before.append(Step(("resize2fs", place.path, *unit), f"shrink the file system on {place.name}", place.slow))
        return before, replace(content, size=min(content.size, size // content.block * content.block))
    if content.type == "swap":
        smaller = size // 4096 * 4096  # before the volume is, since newer releases of LVM look whether it would be cut
        return [_swap_again(place, content, smaller)], replace(content, size=smaller)
    if content.empty and content.last is not None and content.last <= size:
        return [], content
    raise InvalidChange(
        f"{place.name} does not shrink to {readable}: {_why(content)}.", hint="Copy what is in it to a new, smaller volume."
    )


def _why(content: Content) -> str:
    if content.empty:
        return "data lie beyond that" if content.last else "how much of it is in use is not known"
    return f"it holds {content.told}, which cannot be made smaller here"
