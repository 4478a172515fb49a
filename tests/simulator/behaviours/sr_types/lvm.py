# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VHDs in logical volumes: on local disks (lvm), on LUNs behind adapters (lvmohba, lvmofcoe); on iSCSI LUNs see iscsi.py."""

from __future__ import annotations

from ...sm_errors import backend
from ...sm_xml import hba_devices, srs
from ...storage import Disk, Place
from .base import Context
from .disks import check_devices, device_place, refuse_devices_in_use
from .vhd import EXTENT, VhdDriver, full, metadata, round_up


class Lvm(VhdDriver):
    """Thick unless sm_config says allocation=thin; names of the disks are kept in a volume of their own."""

    types: tuple[str, ...] = ("lvm",)
    keeps_names = True
    unit = EXTENT

    def empty(self, ctx: Context, virtual_size: int) -> int:
        """Whole extents."""
        return round_up(metadata(virtual_size), EXTENT)

    def writable(self, ctx: Context, virtual_size: int) -> int:
        """A thick disk has all its space from the beginning."""
        thin = ctx.sm_config.get("allocation") == "thin"
        return self.empty(ctx, virtual_size) if thin else round_up(full(virtual_size), EXTENT)

    def describe(self, wanted: Disk) -> dict[str, str]:
        """The format is noted; raw disks are read by the driver aio."""
        return {**wanted.sm_config, "vdi_type": "aio" if wanted.sm_config.get("type") == "raw" else "vhd"}

    def place(self, ctx: Context) -> Place:
        """The first device."""
        return device_place(ctx)

    def refuse_in_use(self, ctx: Context) -> None:
        """SR_DEVICE_IN_USE when the pool uses the medium already."""
        refuse_devices_in_use(ctx)

    def serial(self, ctx: Context) -> str:
        """What is noted as devserial."""
        return ",".join(f"scsi-{p.path.rpartition('/')[2]}" for p in check_devices(ctx))

    def create(self, ctx: Context) -> None:
        """A new volume group; what was on the medium is gone."""
        place = self.place(ctx)
        self.refuse_in_use(ctx)
        place.repositories.clear()
        super().create(ctx)
        allocation = ctx.device_config.get("allocation") or ctx.sm_config.get("allocation", "thick")
        ctx.set_sm_config(allocation=allocation, use_vhd="true", devserial=self.serial(ctx))

    def probe(self, ctx: Context) -> str:
        """The SR in a volume group of this kind on the medium (all of them share a prefix), its names with sm_config metadata=true."""
        place = self.place(ctx)
        wanted = ctx.sm_config.get("metadata") == "true"
        found = [r for r in place.repositories.values() if r.type.startswith("lv")]
        return srs(found, device=self.shown(place), size=place.size, metadata=wanted)

    def shown(self, place: Place) -> str:
        """How a probe names the medium."""
        return place.path


class LunLvm(Lvm):
    """On one LUN, named by its SCSI id, that every host of the pool can see."""

    types: tuple[str, ...] = ("lvmohba", "lvmofcoe")

    def place(self, ctx: Context) -> Place:
        """107 with the list of LUNs when none is named, 19 for one the host does not see."""
        luns = ctx.storage.hba_luns(ctx.machine.name)
        if not ctx.device_config.get("SCSIid"):
            raise backend(107, output=hba_devices(free_luns(ctx, luns)))
        return pick(ctx, luns)

    def refuse_in_use(self, ctx: Context) -> None:
        """By SCSI id."""
        refuse_lun_in_use(ctx)

    def serial(self, ctx: Context) -> str:
        """By SCSI id."""
        return f"scsi-{ctx.device_config['SCSIid']}"

    def create(self, ctx: Context) -> None:
        """A LUN may be reached by several paths."""
        super().create(ctx)
        ctx.set_sm_config(multipathable="true")

    def shown(self, place: Place) -> str:
        """By its link."""
        return f"/dev/disk/by-id/scsi-{place.path}"


def pick(ctx: Context, luns: list[Place]) -> Place:
    """The LUN device_config names; 19 when it is not among them."""
    wanted = ctx.device_config["SCSIid"]
    for lun in luns:
        if lun.path == wanted:
            return lun
    raise backend(19, f"LUN {wanted} was not found")


def used_luns(ctx: Context) -> set[str]:
    """SCSI ids the pool's other SRs are on."""
    return {
        pbd["device_config"].get("SCSIid", "")
        for pbd in ctx.db.all("PBD").values()
        if pbd["SR"] != ctx.sr_ref and ctx.db.exists("SR", pbd["SR"])
    } - {""}


def free_luns(ctx: Context, luns: list[Place]) -> list[Place]:
    """Without those the pool uses."""
    used = used_luns(ctx)
    return [lun for lun in luns if lun.path not in used]


def refuse_lun_in_use(ctx: Context) -> None:
    """SR_DEVICE_IN_USE."""
    if ctx.device_config["SCSIid"] in used_luns(ctx):
        raise backend(16)
