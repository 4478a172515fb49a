# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""SRs whose VDIs are whole LUNs; creating a VDI binds a free LUN that is large enough (xapi-project/sm LUNperVDI.py)."""

from __future__ import annotations

import uuid
from dataclasses import replace

from ...sm_errors import backend
from ...sm_xml import hba_devices, srs
from ...storage import Disk, Place
from .base import Context, Driver

NAMESPACE = uuid.UUID("6ba7b812-9dad-11d1-80b4-00c04fd430c8")


class LunDriver(Driver):
    """Nothing is written to say that the SR is there: it is where its LUNs are."""

    def luns(self, ctx: Context) -> list[Place]:
        """The LUNs the SR consists of."""
        raise NotImplementedError

    def create(self, ctx: Context) -> None:
        """19 without any LUN."""
        if not self.luns(ctx):
            raise backend(19, f"No such HBA Device detected [{ctx.device_config.get('type', 'any')}]")
        ctx.set_sm_config(disktype="Raw", multipathable="true")

    def attach(self, ctx: Context) -> None:
        """The LUNs are in sight."""
        self.luns(ctx)

    def delete(self, ctx: Context) -> None:
        """The LUNs stay as they are."""

    def probe(self, ctx: Context) -> str:
        """The LUNs."""
        return hba_devices(self.luns(ctx))

    def rename(self, ctx: Context, **names: str) -> None:
        """There is nowhere to write it."""

    def scan(self, ctx: Context) -> list[Disk]:
        """One disk per LUN; those nobody bound are unmanaged."""
        held = {vdi["location"]: vdi for vdi in ctx.db.all("VDI").values() if vdi["SR"] == ctx.sr_ref}
        return [self._disk(lun, held.get(lun.path)) for lun in self.luns(ctx)]

    def _disk(self, lun: Place, record: dict[str, object] | None) -> Disk:
        disk = Disk(str(uuid.uuid5(NAMESPACE, lun.path)), lun.path, lun.size, lun.size, managed=bool(record and record["managed"]))
        disk.sm_config = {"SCSIid": lun.path, "LUNid": str(lun.lun)}
        return disk

    def sizes(self, ctx: Context) -> tuple[int, int]:
        """Everything is taken."""
        total = sum(lun.size for lun in self.luns(ctx))
        return total, total

    def vdi_create(self, ctx: Context, wanted: Disk) -> Disk:
        """78 when no free LUN is large enough."""
        fitting = [disk for disk in self.scan(ctx) if not disk.managed and disk.virtual_size >= wanted.virtual_size]
        if not fitting:
            raise backend(78, "no free LUN is large enough")
        found = min(fitting, key=lambda disk: disk.virtual_size)
        return replace(found, managed=True, name_label=wanted.name_label, name_description=wanted.name_description, type=wanted.type)

    def vdi_delete(self, ctx: Context, location: str) -> None:
        """The LUN is free again."""

    def vdi_introduce(self, ctx: Context, location: str, wanted: Disk) -> Disk:
        """46 for a LUN that is not there."""
        for disk in self.scan(ctx):
            if disk.location == location:
                return replace(disk, managed=True)
        raise backend(46, f"no LUN {location}")


class Hba(LunDriver):
    """LUNs behind the host's adapters."""

    types: tuple[str, ...] = ("hba",)

    def luns(self, ctx: Context) -> list[Place]:
        """All it sees."""
        return ctx.storage.hba_luns(ctx.machine.name)

    def probe(self, ctx: Context) -> str:
        """SRs of this kind in the pool."""
        if ctx.sm_config.get("datatype"):
            return srs([])
        return super().probe(ctx)
