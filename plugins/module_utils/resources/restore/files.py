# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files of a backup that a restore reads: plain ones as they lie there, encrypted ones through what opens them."""

from __future__ import annotations

import contextlib
import typing as t
from pathlib import Path

from ...backup.manifest import Disk, Stored
from ...formats.compression import Damaged
from ...formats.vhd_read import Chain

if t.TYPE_CHECKING:
    from ...backup.subject import Backup

METADATA, WHOLE = "metadata.xva", "vm.xva"  # a VM's description; the VM with its disks. Encrypted they have one more suffix
Part = tuple["Backup", Stored]


def named(backup: Backup, name: str) -> Stored | None:
    """The file of that name, encrypted or not."""
    found = backup.manifest.files if backup.manifest else ()
    return next((stored for stored in found if stored.name == name or stored.name.startswith(f"{name}.")), None)


def needed(backup: Backup, name: str) -> Part:
    """Raises Damaged."""
    if (stored := named(backup, name)) is None:
        raise Damaged(f"{backup.path} holds no {name}.")
    return backup, stored


def parts_of(backup: Backup, disk: Disk) -> list[Part]:
    """The files that hold a disk, the nearest first. Raises Damaged where one of them is missing."""
    found: list[Part] = []
    for one in backup.chain():
        known = disk if not found else _below(one, found, disk)
        if known is None:
            continue
        found.append(needed(one, known.file))
        disk = known
        if not known.parent_vhd:
            return found
    raise Damaged(f"{backup.path}: what disk {disk.device} ({disk.name!r}) builds on is missing.")


def _below(backup: Backup, _found: list[Part], child: Disk) -> Disk | None:
    disks = backup.manifest.disks if backup.manifest else ()
    return next((disk for disk in disks if disk.file and disk.vhd == child.parent_vhd), None)


@contextlib.contextmanager
def plain(part: Part, identity: str) -> t.Iterator[Path]:
    """The file to be read. Raises XenError where it cannot be opened with that identity."""
    backup, stored = part
    if not (backup.manifest and backup.manifest.encryption):
        yield backup.file(stored)
        return
    from ...backup.sealing import unsealed

    with unsealed(backup, stored, identity) as path:
        yield path


@contextlib.contextmanager
def chain(parts: t.Sequence[Part], identity: str) -> t.Iterator[Chain]:
    """A disk. Raises Damaged, XenError."""
    with contextlib.ExitStack() as stack:
        paths = [stack.enter_context(plain(part, identity)) for part in parts]
        try:
            yield stack.enter_context(Chain(paths))
        except OSError as e:
            raise Damaged(f"{e.filename or paths[0]} cannot be read: {e.strerror}.") from e
