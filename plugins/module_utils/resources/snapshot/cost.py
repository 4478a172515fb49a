# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a snapshot takes of its storage, known before it is taken.

On thick storage the new image of a disk gets its full size at once, and the data written so far stays beside it (sm: LVHDSR.py,
_snapshot and _calcExtraSpace there; lvhdutil.py, vhdutil.py for the sizes of images). How much was written xapi does not tell, so
the bound is what can be needed at most.
"""

from __future__ import annotations

import typing as t

from ...errors import InvalidChange
from ...formats.sizes import readable_size
from ...hosts import pool_of
from ...plan import Plan
from ...refs import NULL, Objects, Record
from ...storage import Storage
from .disks import Disk

MIB = 1 << 20
BLOCK = 2 * MIB  # of a VHD
EXTENT = 4 * MIB  # of a volume group
LARGEST = 2040 << 30  # bytes a VHD can be grown to; room for its block table is kept from the beginning
ON_VOLUMES = ("lvm", "lvmoiscsi", "lvmohba", "lvmofcoe", "lvhd", "lvhdoiscsi", "lvhdohba", "lvhdofcoe")
IN_FILES = ("ext", "nfs", "smb", "cephfs", "glusterfs", "moosefs", "xfs", "largeblock", "file", "zfs")
NEARLY_FULL = 0.1  # of a thin SR is free


def _up(size: int, unit: int) -> int:
    return -(-size // unit) * unit


def empty(size: int) -> int:
    """Bytes of a VHD of that virtual size without data: headers, block table, bitmap of it."""
    blocks = size // BLOCK
    return _up(_up(3 * 1024 + 4 * blocks, 512) + blocks // 8, 4096)


def full(size: int) -> int:
    """Bytes of a volume for a VHD whose every block may be written."""
    return _up(size + empty(LARGEST) + _up(size, BLOCK) // BLOCK * 4096, EXTENT)


def of_copy(type_: str, size: int, *, thick: bool) -> int:
    """A snapshot or clone of a disk of that size: the image the guest goes on with, and the one that keeps still."""
    if type_ in ON_VOLUMES:
        return (full(size) if thick else _up(empty(size), EXTENT)) + _up(empty(size), EXTENT)
    return 2 * empty(size) if type_ in IN_FILES else size if thick else 0


def memory_image(vm: Record) -> int:
    """Virtual size in bytes of the disk that a running VM's memory is written to (xen-api: xapi_xenops.ml)."""
    return int(int(vm["memory_static_max"]) * 1.2 * 1.05) + 100 * MIB


class Cost:
    """Bytes by SR (reference)."""

    def __init__(self, objects: Objects):
        self.objects, self.storage = objects, Storage(objects)
        self.bytes: dict[str, int] = {}

    def add(self, sr: str, size: int) -> None:
        self.bytes[sr] = self.bytes.get(sr, 0) + size

    def copies(self, disks: t.Iterable[Disk]) -> None:
        for disk in disks:
            self.add(disk.sr, self._copy(disk.sr, disk.size))

    def _copy(self, sr: str, size: int) -> int:
        return of_copy(self.objects.get("SR", sr)["type"], size, thick=self.storage.is_thick(sr))

    def memory(self, vm: Record) -> None:
        """A running VM's memory: written to an image, of which the snapshot is made, before the VM's own goes again."""
        sr = suspend_sr(self.objects, vm)
        if not sr:
            raise InvalidChange(
                f"VM {vm['name_label']!r} has no SR for an image of its memory.", hint="Give the pool one (xen_pool with suspend_image_sr)."
            )
        size = memory_image(vm)
        self.add(sr, full(size) + self._copy(sr, size) if self.storage.is_thick(sr) else int(vm["memory_static_max"]))

    def told(self) -> dict[str, int]:
        return {self.objects.label("SR", sr): size for sr, size in self.bytes.items()}

    def check(self, plan: Plan, what: str, *, strict: bool) -> None:
        """Raises InvalidChange when it does not fit; a warning if it is not to be strict, or where little is left."""
        for sr, needed in self.bytes.items():
            record, left, is_thick = self.objects.get("SR", sr), self.storage.free(sr), self.storage.is_thick(sr)
            if left is None:
                continue
            where = f"SR {self.objects.label('SR', sr)!r}"
            thick = "Each disk may grow to its full size there once more, since the storage is thick. " if is_thick else ""
            if needed > left:
                sentence = f"{what} needs up to {readable_size(needed)} in {where}, where {readable_size(left)} are free."
                if strict:
                    ways = "Leave disks out (ignore_disks), delete old snapshots, or set check_space: false if little was written."
                    raise InvalidChange(sentence, hint=thick + ways)
                plan.warnings.append(f"{sentence} {thick}".rstrip())
            elif left - needed < NEARLY_FULL * int(record["physical_size"]) and not is_thick:
                plan.warnings.append(
                    f"{where} is nearly full ({readable_size(left)} free): what its VMs write from now on takes space of its own."
                )


def suspend_sr(objects: Objects, vm: Record) -> str:
    """Where the memory goes (xen-api: xapi_vm_helpers.ml, choose_suspend_sr): the VM's own SR, the pool's, the host's; "" for none."""
    pool = pool_of(objects)[1]
    host = objects.all("host").get(vm["resident_on"], {})
    places = (vm.get("suspend_SR", NULL), pool["suspend_image_SR"], host.get("suspend_image_sr", NULL))
    return next((str(sr) for sr in places if sr in objects.all("SR")), "")
