# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A backup takes in those it builds on, so that they can go.

New files beside the old ones, then one rename of the manifest, which now tells of the new files and of an older parent or none: killed at
any moment, it is either the backup it was or the one it becomes, and both read the same. In the end the files have the names they had,
since what builds on them names them in its header.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import time
import typing as t
from dataclasses import replace
from pathlib import Path

from ..errors import XenError
from ..formats.compression import Damaged
from ..formats.files import PIECE
from . import sealing
from .durable import gone, synced
from .manifest import Disk, Manifest, Stored
from .merge import Merged, length_of
from .names import iso
from .stored import Backup
from .verdict import Verdict
from .verify import from_disk

_NEW = re.compile(r"(?P<stem>[^.]+)\.merged(?P<rest>\..*)?")
Layer = tuple[Backup, Disk]


class Part(t.NamedTuple):
    """A disk of the backup that takes in; layers: its file, then those it builds on which go."""

    disk: Disk
    layers: list[Layer]
    above: str  # footer uuid of what the new file builds on, "" = whole


def manifest_of(backup: Backup) -> Manifest:
    """Raises Damaged."""
    if backup.manifest is None:
        raise Damaged(f"{backup.path} cannot be merged. {backup.problem}")
    return backup.manifest


def parts_of(child: Backup, run: t.Sequence[Backup]) -> list[Part]:
    """The disks of which something is in the backups that go (the nearest first). Raises Damaged where one is not to be found."""
    found = [_part(child, disk, run) for disk in manifest_of(child).disks if disk.parent_vhd]
    return [part for part in found if len(part.layers) > 1]


def _part(child: Backup, disk: Disk, run: t.Sequence[Backup]) -> Part:
    layers, above = [(child, disk)], disk.parent_vhd
    for backup in run:
        if not above:
            break
        below = next((one for one in manifest_of(backup).disks if one.vhd == above), None)
        if below is None:
            raise Damaged(f"{child.path} cannot be merged: {backup.stamp} does not have what disk {disk.device} builds on.")
        layers.append((backup, below))
        above = below.parent_vhd
    return Part(disk, layers, above)


def _stored(layer: Layer) -> Stored:
    backup, disk = layer
    return next(file for file in manifest_of(backup).files if file.name == disk.file)


# before -------------------------------------------------------------------------------
def grown(child: Backup, run: t.Sequence[Backup], identity: str) -> int:
    """By how many bytes its files will grow; of encrypted ones an estimate, since what encryption adds may vary.

    Reads where the data lies, not the data. Raises Damaged, InvalidChange (a key is missing), OSError.
    """
    return sum(_length(part, identity) - _stored(part.layers[0]).size for part in parts_of(child, run))


def _length(part: Part, identity: str) -> int:
    if not any(manifest_of(backup).encryption for backup, _disk in part.layers):
        with Merged([backup.file(disk.file) for backup, disk in part.layers]) as merged:
            return merged.length
    with contextlib.ExitStack() as stack:
        heads = [stack.enter_context(_opened(layer, identity)) for layer in part.layers]
        own, together = length_of(heads)
    child = part.layers[0]
    return sealing.size_of(together, own, _stored(child).size, manifest_of(child[0]).encryption)


def _opened(layer: Layer, identity: str) -> t.ContextManager[t.Any]:
    backup, disk = layer
    return sealing.opened(backup.file(disk.file), manifest_of(backup).encryption, identity)


# the work -----------------------------------------------------------------------------
def absorb(child: Backup, run: t.Sequence[Backup], parent: str, identity: str = "") -> None:
    """child takes in the backups of run, the nearest first. parent: stamp of what it builds on then, if on anything.

    Needs the lock. Every file is read and compared with its checksum before: what is damaged is not passed on, but gets its verdict.
    Raises Damaged, InvalidChange (a key is missing), XenError (disk full).
    """
    parts = parts_of(child, run)
    for part in parts:
        for layer in part.layers:
            _refuse_changed(layer)
    written = {part.disk.file: _written(child, part, identity) for part in parts}
    manifest = manifest_of(child)
    disks = tuple(written[disk.file][0] if disk.file in written else disk for disk in manifest.disks)
    files = tuple(written[file.name][1] if file.name in written else file for file in manifest.files)
    builds_on = parent if any(disk.parent_vhd for disk in disks) else ""
    child.replace(replace(manifest, parent=builds_on, disks=disks, files=files))
    settle(child)


def _read_back(path: Path) -> str:
    """The SHA-256 of what is on the disk. Raises XenError."""
    try:
        with open(path, "rb", buffering=0) as file:
            return from_disk(file.fileno())
    except OSError as e:
        raise XenError(f"{path} cannot be read: {e.strerror}.", hint="Nothing was merged.") from e


def _refuse_changed(layer: Layer) -> None:
    backup, disk = layer
    stored, path = _stored(layer), backup.file(disk.file)
    found = _read_back(path)
    if found != stored.sha256:
        problem = f"{stored.name}: its SHA-256 is {found}, not {stored.sha256}: it was changed"
        backup.judge(Verdict(iso(time.time()), "checksum", False, problem))
        hint = "It is not merged into others, and no longer counts as a good backup. Restore the file from another copy."
        raise Damaged(f"{path} is damaged: its SHA-256 is not that of its manifest.", hint=hint)


def _written(child: Backup, part: Part, identity: str) -> tuple[Disk, Stored]:
    """The new file, beside the old one."""
    with contextlib.ExitStack() as stack:
        paths = [stack.enter_context(sealing.unsealed(b, _stored((b, disk)), identity)) for b, disk in part.layers]
        merged = stack.enter_context(_named(part, paths))
        _refuse_without_room(child.path, merged.length)
        target = child.path / _new_name(part.disk.file)
        with sealing.landing(target, manifest_of(child).encryption) as file:
            for piece in merged.pieces():
                file.write(piece)
            file.finish()
    _refuse_bad_copy(target, file.sha256, "Nothing was merged.")  # before what it was made of goes
    how = part.disk.how if part.above else "full"
    disk = replace(part.disk, file=target.name, parent_vhd=part.above, data=merged.data, how=how)
    return disk, Stored(target.name, file.size, file.sha256)


def _refuse_bad_copy(target: Path, sha256: str, hint: str) -> None:
    """Raises XenError; then it is gone."""
    if _read_back(target) != sha256:
        gone(target)
        raise XenError(f"{target} is not what was written into it: the disk it lies on is bad.", hint=hint)


def _named(part: Part, paths: list[Path]) -> Merged:
    merged = Merged(paths)
    if merged.parent_vhd != part.above:
        merged.close()
        raise Damaged(f"{paths[-1]} builds on {merged.parent_vhd or 'nothing'}, not on {part.above or 'nothing'} as its manifest says.")
    return merged


def _refuse_without_room(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed + PIECE:
        raise XenError(
            f"There is no room in {folder} to merge: {needed} bytes are needed for a while, {free} are free.",
            hint="Make room, or let fewer backups go that others build on.",
        )


def _new_name(name: str) -> str:
    stem, dot, rest = name.partition(".")
    return f"{stem}.merged{dot}{rest}"


# names --------------------------------------------------------------------------------
def _settled(name: str) -> str:
    """The name a file had before it was merged."""
    found = _NEW.fullmatch(name)
    return f"{found['stem']}{found['rest'] or ''}" if found else name


def is_unsettled(backup: Backup) -> bool:
    """Whether a merge was interrupted after it counted: all is well with it but the names."""
    return backup.usable() and any(_NEW.fullmatch(file.name) for file in manifest_of(backup).files)


def settle(backup: Backup) -> None:
    """Merged files get the names they had. At every moment the manifest names files that are there. Needs the lock."""
    manifest = manifest_of(backup)
    new = [file for file in manifest.files if _NEW.fullmatch(file.name)]
    if not new:
        return
    for file in new:
        gone(backup.path / _settled(file.name))
        _doubled(backup.file(file), backup.path / _settled(file.name), file)
    disks = tuple(replace(disk, file=_settled(disk.file)) for disk in manifest.disks)
    files = tuple(replace(file, name=_settled(file.name)) for file in manifest.files)
    backup.replace(replace(manifest, disks=disks, files=files))
    for file in new:
        gone(backup.file(file))


def _doubled(source: Path, target: Path, stored: Stored) -> None:
    """A second name for a file; a copy where the file system has no such thing. Raises XenError, OSError."""
    try:
        os.link(source, target)
        synced(target.parent)
    except OSError:
        _refuse_without_room(target.parent, stored.size)
        with open(source, "rb", buffering=0) as file, sealing.landing(target, {}) as copy:
            buffer = memoryview(bytearray(PIECE))
            while count := file.readinto(buffer):
                copy.write(buffer[:count])
            copy.finish()
        _refuse_bad_copy(target, stored.sha256, "Its backup has been merged and is complete; the next run gives the file its name.")
