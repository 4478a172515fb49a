# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One disk of a backup as it is sent to a disk of the pool: as a VHD that is made on the way, or as a tar where it is too large for one."""

from __future__ import annotations

import contextlib
import typing as t

from ...backup.manifest import Disk
from ...backup.merge import Merged
from ...errors import InvalidChange
from ...formats import vhd, vhd_write, xva, xva_read, xva_write
from ...formats.compression import Damaged
from ...formats.files import Pieces, Readable
from ...formats.ova_edit import Description
from . import description, files
from .files import METADATA, WHOLE, Part

if t.TYPE_CHECKING:
    from ...backup.subject import Backup

FULL = (1 << (vhd.BLOCK // vhd.SECTOR)) - 1  # the bitmap of a block of which all sectors are there


class Sent(t.NamedTuple):
    """What goes over the wire: its length in bytes, and as what."""

    source: Readable
    size: int
    format: str


def parts(backup: Backup, disk: Disk) -> list[Part]:
    """The files that are read for it. Raises Damaged."""
    return files.parts_of(backup, disk) if disk.file else [files.needed(backup, METADATA), files.needed(backup, WHOLE)]


def refuse_broken(backup: Backup, disk: Disk) -> None:
    """Raises Damaged for files whose structure is not right. Those that are encrypted show that only when they are read."""
    found = parts(backup, disk)
    if backup.manifest and backup.manifest.encryption:
        return
    if disk.file:
        with files.chain(found, ""):
            return
    xva.look_into(found[-1][0].file(found[-1][1]))


@contextlib.contextmanager
def opened(backup: Backup, disk: Disk, identity: str) -> t.Iterator[Sent]:
    """Raises Damaged, XenError."""
    with _of_vhds(backup, disk, identity) if disk.file else _of_xva(backup, disk, identity) as sent:
        yield sent


@contextlib.contextmanager
def _of_vhds(backup: Backup, disk: Disk, identity: str) -> t.Iterator[Sent]:
    with contextlib.ExitStack() as stack:
        paths = [stack.enter_context(files.plain(part, identity)) for part in files.parts_of(backup, disk)]
        try:
            merged = stack.enter_context(Merged(paths))
        except OSError as e:
            raise Damaged(f"{e.filename or paths[0]} cannot be read: {e.strerror}.") from e
        if merged.parent_vhd:
            raise Damaged(f"{paths[-1]} holds changes only; what it builds on is missing.")
        yield Sent(Pieces(merged.pieces()), merged.length, "vhd")


@contextlib.contextmanager
def _of_xva(backup: Backup, disk: Disk, identity: str) -> t.Iterator[Sent]:
    with contextlib.ExitStack() as stack:
        path = stack.enter_context(files.plain(files.needed(backup, WHOLE), identity))
        ref = description.devices(Description(xva.description_of(path))).get(disk.device, "")
        found = xva_read.extents(path)
        if ref not in found:  # a disk without a block has none but zeros, and is there nevertheless
            raise Damaged(f"{path} does not hold disk {disk.device} ({disk.name!r}).")
        data = stack.enter_context(xva_read.disk(path, ref))
        size, extents = disk.virtual_size, found[ref]
        yield (_as_tar if size > vhd.BIGGEST else _as_vhd)(size, extents, data)


def _blocks(extents: t.Iterable[tuple[int, int]]) -> dict[int, int]:
    numbers = {number for at, size in extents for number in range(at // vhd.BLOCK, -(-(at + size) // vhd.BLOCK))}
    return dict.fromkeys(sorted(numbers), FULL)


def _as_vhd(size: int, extents: t.Iterable[vhd_write.Extent], data: xva_read.Disk) -> Sent:
    plan = vhd_write.Plan(-(-size // vhd.SECTOR) * vhd.SECTOR, _blocks(extents))
    return Sent(Pieces(plan.pieces(data.read)), plan.length, "vhd")


def _as_tar(size: int, extents: t.Iterable[vhd_write.Extent], data: xva_read.Disk) -> Sent:
    tar = xva_write.Plan(b"", (xva_write.content(xva_write.ALONE, size, extents, data.read),))
    return Sent(Pieces(tar.pieces()), tar.length, "tar")


def refuse_none(disks: t.Sequence[Disk], told: str) -> None:
    """Raises InvalidChange where there is nothing to restore."""
    if not disks:
        raise InvalidChange(f"No disk of the {told} is to be restored.", hint="It has none, or disks names none.")
