# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VHD files on CephFS, GlusterFS, MooseFS, and volumes of a LINSTOR group (xcp-ng/sm drivers)."""

from __future__ import annotations

from ...sm_errors import backend
from ...sm_xml import srs
from ...storage import Place
from .base import Context
from .vhd import VhdDriver

MOUNT_FAILED = "mount failed with return code 32"


class ClusterFilesystem(VhdDriver):
    """Where server and path stand differs."""

    types: tuple[str, ...] = ("cephfs", "moosefs")
    KEYS = {"cephfs": ("server", "serverpath"), "moosefs": ("masterhost", "rootpath")}

    def where(self, ctx: Context) -> tuple[str, str]:
        """Server and path; 102 and 101 when one is missing."""
        server, path = self.KEYS[ctx.type]
        return ctx.option(server, 102), ctx.option(path, 101)

    def place(self, ctx: Context) -> Place:
        """202 when it cannot be mounted."""
        name, path = self.where(ctx)
        place = ctx.server(name.split(",")[0], 202).place(ctx.type, path)
        if place is None:
            raise backend(202, MOUNT_FAILED)
        return place

    def probe(self, ctx: Context) -> str:
        """SRs there."""
        return srs(self.place(ctx).repositories.values())


class Gluster(ClusterFilesystem):
    """server:/volume in one key."""

    types: tuple[str, ...] = ("glusterfs",)

    def where(self, ctx: Context) -> tuple[str, str]:
        """102 when it is missing or has no volume."""
        server, _colon, volume = ctx.option("server", 102).partition(":")
        if not volume:
            raise backend(102)
        return server, volume.lstrip("/")


class Linstor(VhdDriver):
    """A resource group that every host sees."""

    types: tuple[str, ...] = ("linstor",)

    def place(self, ctx: Context) -> Place:
        """Errors in order: 5004, 5005, 5006."""
        group = ctx.option("group-name", 5004)
        ctx.option("redundancy", 5005)
        for place in ctx.storage.shared:
            if place.kind == "linstor" and place.path == group:
                return place
        raise backend(5006, f"no group {group}")

    def create(self, ctx: Context) -> None:
        """Thin unless asked otherwise."""
        super().create(ctx)
        ctx.set_sm_config(provisioning=ctx.device_config.get("provisioning", "thin"))

    def probe(self, ctx: Context) -> str:
        """Always empty."""
        return ""
