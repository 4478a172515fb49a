# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VHD files in a directory of a local disk's filesystem (ext, xfs, largeblock) or in a directory that is there (file, zfs)."""

from __future__ import annotations

from ...sm_errors import backend
from ...sm_xml import srs
from ...storage import Place
from .base import Context
from .disks import check_devices, device_place, refuse_devices_in_use
from .vhd import VhdDriver


class LocalFilesystem(VhdDriver):
    """A filesystem made on whole block devices: what was on them is gone."""

    types: tuple[str, ...] = ("ext", "xfs", "largeblock")

    def place(self, ctx: Context) -> Place:
        """The first device stands for all of them."""
        return device_place(ctx)

    def create(self, ctx: Context) -> None:
        """16 when a device belongs to another SR of the pool."""
        refuse_devices_in_use(ctx)
        for place in check_devices(ctx):
            place.repositories.clear()
        super().create(ctx)
        ctx.set_sm_config(devserial=",".join(f"scsi-{p.path.rpartition('/')[2]}" for p in check_devices(ctx)))

    def attach(self, ctx: Context) -> None:
        """52 when the volume is not on this host."""
        if self.key(ctx) not in self.place(ctx).repositories:
            raise backend(52, "Unable to activate LV. Errno is 5")

    def probe(self, ctx: Context) -> str:
        """The SR of this type on the device; each type has a prefix of its own for its volume group (EXTSR.py, XFSSR.py)."""
        place = self.place(ctx)
        return srs((r for r in place.repositories.values() if r.type == ctx.type), device=place.path, size=place.size)


class Directory(VhdDriver):
    """A directory of the host; it must be empty for a new SR."""

    types: tuple[str, ...] = ("file", "zfs")

    def place(self, ctx: Context) -> Place:
        """94 without location, 226 when there is no such directory."""
        path = ctx.option("location", 94)
        found = ctx.storage.local_place(ctx.machine.name, "directory", path.rstrip("/"))
        if found is None:
            raise backend(5000, f"no dataset at {path}") if ctx.type == "zfs" else backend(226)
        return found

    def key(self, ctx: Context) -> str:
        """The SR is the directory."""
        return ""

    def create(self, ctx: Context) -> None:
        """42 when something lies there."""
        place = self.place(ctx)
        if place.repositories or place.images:
            raise backend(42)
        super().create(ctx)

    def probe(self, ctx: Context) -> str:
        """The SR in the directory."""
        return srs(self.place(ctx).repositories.values())
