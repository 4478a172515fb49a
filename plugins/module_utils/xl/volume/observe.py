# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Looks at everything a plan needs. Nothing is changed."""

from __future__ import annotations

import os
from dataclasses import replace

from ...errors import InvalidChange, NotFound
from .content import is_device, measured, read_content
from .host import Host
from .image import format_read, info, overlays
from .lvm import read_group
from .usage import logical_uses, uses_of
from .wanted import Wanted, devices, split_device
from .what import PARTIAL, Content, Now, Source, Use

MAKERS = {
    "ext4": (("mkfs.ext4", "e2fsck", "resize2fs"), "e2fsprogs", "ext4"),
    "xfs": (("mkfs.xfs",), "xfsprogs", "xfs"),
    "swap": (("mkswap",), "util-linux", "swap"),
}  # fmt: skip


def observe(host: Host, wanted: Wanted) -> Now:
    """Raises NotFound, InvalidChange for what cannot be looked at as asked, XenError where a program fails."""
    now = _logical(host, wanted) if wanted.lvm else _image(host, wanted)
    if wanted.absent:
        return now
    if wanted.fs:
        host.need(*MAKERS[wanted.fs])
    source = _source(host, wanted.source or _origin(wanted, now), wanted.source_format)
    return replace(now, source=source, backing=_source(host, wanted.backing, wanted.backing_format))


def _origin(wanted: Wanted, now: Now) -> str:
    return "" if wanted.lvm or now.image else wanted.snapshot_of


# logical volumes ------------------------------------------------------------------
def _logical(host: Host, wanted: Wanted) -> Now:
    group, volumes = read_group(host, wanted.group)
    own = volumes.get(wanted.name)
    now = Now(group=group, volumes=volumes)
    if not own or own.kind in ("pool", "other"):
        return replace(now, uses=logical_uses(host, own, volumes) if own else ())
    uses = logical_uses(host, own, volumes)
    if wanted.absent or own.lost or not own.active or not os.path.exists(own.path):
        return replace(now, content=Content(), uses=uses)
    return replace(now, content=_content(host, wanted, own.path, "raw", own.virtual), uses=uses)


def _content(host: Host, wanted: Wanted, path: str, kind: str, size: int) -> Content:
    found = read_content(host, path, kind, size)
    return measured(host, found, path, kind) if wanted.shrink and wanted.size is not None and wanted.size < size else found


# images ---------------------------------------------------------------------------
def _image(host: Host, wanted: Wanted) -> Now:
    path = wanted.path
    folder = os.path.dirname(path)
    if not os.path.isdir(folder):
        if wanted.absent:
            return Now(folder=False)
        raise NotFound(f"There is no folder {folder} for {path}.", hint="Make it first, with the ansible.builtin.file module.")
    left = tuple(name for name in (f"{path}{PARTIAL}", f"{path}{PARTIAL}.raw") if os.path.exists(name))
    at_work = tuple(use for name in left for use in uses_of(host, name))
    told = os.statvfs(folder)
    now = Now(leftovers=left, leftover_uses=at_work, room=told.f_bavail * told.f_frsize)
    if not os.path.lexists(path):
        return now
    if not os.path.isfile(path):
        what = "a block device that is no logical volume" if is_device(path) else "no file"
        raise InvalidChange(f"{path} is {what}.", hint="Give the path of an image file, or /dev/GROUP/NAME.")
    if wanted.absent and not wanted.snapshot:
        return replace(now, image=info(host, path, format_read(path, wanted.format)), uses=_uses(host, path))
    image = info(host, path, format_read(path, wanted.format))
    content = _content(host, wanted, path, image.format, image.virtual)
    return replace(now, image=image, content=content, uses=_uses(host, path))


def _uses(host: Host, path: str) -> tuple[Use, ...]:
    above = tuple(Use("overlay", name, f"image {name} has it as its backing file") for name in overlays(path))
    return (*uses_of(host, path), *above)


# what is copied -------------------------------------------------------------------
def _source(host: Host, path: str, told: str | None) -> Source | None:
    """Raises NotFound, InvalidChange."""
    if not path:
        return None
    found = None if path.startswith("/") else split_device(path)
    real = f"{devices()}/{found[0]}/{found[1]}" if found else path
    if not real.startswith("/"):
        raise InvalidChange(f"{path} is not an absolute path.", hint="Give the whole path, or GROUP/NAME of a logical volume.")
    if not os.path.exists(real):
        raise NotFound(f"There is no {real} to copy from.")
    if not os.path.isfile(real) and not is_device(real):
        raise InvalidChange(f"{real} is neither an image file nor a block device.")
    kind = format_read(real, told)
    image = info(host, real, kind)
    folder = host.answer("stat", "--file-system", "--format=%T", real).strip()
    uses = uses_of(host, real)
    return Source(real, kind, image.virtual, image.allocated, read_content(host, real, kind, image.virtual), uses, folder)
