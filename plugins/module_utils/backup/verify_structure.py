# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the files of a backup hold, each by its format, and whether that fits together and with the manifest."""

from __future__ import annotations

import contextlib
import typing as t
from pathlib import Path

from ..formats import db_dump, xva
from ..formats.compression import compression_of, unpacked
from ..formats.ova import NULL, Ova, rows_of
from .findings import Findings
from .manifest import Disk, Manifest, Stored
from .names import MANIFEST
from .sealing import unsealed
from .stored import Backup
from .verify_tar import check_tar
from .verify_vhd import VhdCheck, Wanted, same_size

METADATA, WHOLE = "metadata.xva", "vm.xva"  # a VM's description; the VM with its disks. Encrypted they have one more suffix


class Structure:
    """look_at() every file, then finish()."""

    def __init__(self, backup: Backup, manifest: Manifest, parent: Backup | None, findings: Findings, identity: str):
        self._backup, self._manifest, self._findings, self._identity = backup, manifest, findings, identity
        self._parent = parent.manifest if parent else None
        self._disks = {disk.file: disk for disk in manifest.disks if disk.file}
        self._described: Ova | None = None

    def look_at(self, stored: Stored) -> str:
        """Its SHA-256 if it was read on the way, else ""."""
        with self._findings.of(stored.name), self._plain(stored) as path:
            digest = self._one(stored, path)
            return "" if self._manifest.encryption else digest
        return ""

    def _plain(self, stored: Stored) -> t.ContextManager[Path]:
        if not self._manifest.encryption:
            return contextlib.nullcontext(self._backup.file(stored))
        return unsealed(self._backup, stored, self._identity)

    def _one(self, stored: Stored, path: Path) -> str:
        name = stored.name
        if name in self._disks:
            self._vhd(self._disks[name], path)
        elif name.startswith((METADATA, WHOLE)):
            return self._xva(name, path)
        elif self._manifest.form == "dump":
            self._dump(name, path)
        elif self._manifest.form == "archive":
            self._archive(path)
        return ""

    # disks ------------------------------------------------------------------------------
    def _vhd(self, disk: Disk, path: Path) -> None:
        checked = VhdCheck(path, disk.file, Wanted(disk.virtual_size, disk.vhd, disk.parent_vhd), self._findings)
        checked.check()

    def _xva(self, name: str, path: Path) -> str:
        with self._findings.of(name, path=str(path)):
            found = xva.verify(path)
            if name.startswith(METADATA):
                self._described = found.ova
            else:
                self._whole(name, found)
            return found.sha256
        return ""

    def _whole(self, name: str, found: xva.Contents) -> None:
        if found.metadata_only:
            self._findings.add(name, "", "it describes the VM only: the data of its disks is missing")
        said = self._manifest.details.get("compression", found.compression)
        if found.compression != said:
            self._findings.add(name, "beginning", f"its compression is {found.compression}, the manifest says {said}")
        self._compare(name, found.ova, by_uuid=False)

    # the manifest -----------------------------------------------------------------------
    def finish(self) -> None:
        """What no file can tell by itself."""
        if self._manifest.kind == "vm" and not any(file.name.startswith(METADATA) for file in self._manifest.files):
            self._findings.add(MANIFEST, "files", f"there is no {METADATA}: the VM cannot be made again")
        if self._described:
            self._compare(METADATA, self._described, by_uuid=True)
        self._chain()

    def _compare(self, name: str, ova: Ova, *, by_uuid: bool) -> None:
        """The disks of the VM in a description, and those of the manifest."""
        vms = [ref for ref in ova.vms() if not ova.get("VM", ref).get("is_a_snapshot")] or ova.vms()
        if not vms:
            self._findings.add(name, "ova.xml", "it holds no VM")
            return
        there = {vbd["userdevice"]: ova.get("VDI", vbd["VDI"]) for vbd in rows_of(ova, "VBD", vms[0], "userdevice") if _is_disk(vbd)}
        for disk in self._manifest.disks:
            vdi = there.pop(disk.device, None)
            if vdi is None:
                self._findings.add(name, "ova.xml", f"it knows no disk {disk.device} ({disk.name!r}), which the manifest has")
            elif by_uuid and vdi.get("uuid") != disk.vdi:
                self._findings.add(name, "ova.xml", f"its disk {disk.device} is {vdi.get('uuid')}, the manifest's is {disk.vdi}")
            elif not same_size(int(vdi.get("virtual_size") or 0), disk.virtual_size):
                told = f"its disk {disk.device} has {vdi.get('virtual_size')} bytes, the manifest's {disk.virtual_size}"
                self._findings.add(name, "ova.xml", told)
        for device in sorted(set(there) - {row.get("device", "") for row in self._manifest.left_out}):
            self._findings.add(name, "ova.xml", f"its disk {device} is neither in the manifest nor among the disks left out")

    def _chain(self) -> None:
        """Every disk that builds on another finds it in the parent."""
        parent = self._parent
        for disk in self._manifest.disks:
            if not disk.parent_vhd:
                continue
            below = [d for d in parent.disks if d.vhd == disk.parent_vhd] if parent else []
            if parent and not below:
                told = f"it builds on the VHD {disk.parent_vhd}, which the backup {self._manifest.parent} does not have"
                self._findings.add(MANIFEST, f"disk {disk.device}", told)
            elif not self._manifest.parent:
                self._findings.add(MANIFEST, f"disk {disk.device}", "it builds on another, and the backup on none")

    # pool and host ------------------------------------------------------------------------
    def _dump(self, name: str, path: Path) -> None:
        """A pool's database. Raises Damaged, OSError."""
        told, wanted = db_dump.read(path).pool.get("uuid"), self._manifest.pool.uuid
        if told != wanted:
            self._findings.add(name, "table pool", f"it is of the pool {told}, the manifest says {wanted}")

    @staticmethod
    def _archive(path: Path) -> None:
        """A host's archive (tar, packed or not) is read to its end. Raises Damaged, OSError."""
        with open(path, "rb", buffering=0) as file:
            compression = compression_of(file.read(4))
            file.seek(0)
            with unpacked(file, compression) as read:
                check_tar(read)


def _is_disk(vbd: t.Mapping[str, t.Any]) -> bool:
    return vbd.get("type") != "CD" and vbd.get("VDI", NULL) != NULL
