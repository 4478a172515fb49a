# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VHD files on an NFS export, in a directory named after the SR (xapi-project/sm NFSSR.py, nfs.py)."""

from __future__ import annotations

import typing as t

from ...sm_errors import backend
from ...sm_xml import exports, srs
from ...storage import Place
from .base import Context
from .vhd import VhdDriver

MOUNT_FAILED = "mount failed with return code 32"


def check_version(ctx: Context) -> None:
    """202 for a version that is none; only 3 and what begins with 4 are."""
    version = ctx.device_config.get("nfsversion") or "3"
    if version != "3" and not version.startswith("4"):
        raise backend(202, "Invalid nfsversion.")


class Nfs(VhdDriver):
    """Shared by all hosts that reach the server."""

    types: tuple[str, ...] = ("nfs",)

    def place(self, ctx: Context) -> Place:
        """Errors in order: 102, 202, 140, 108, 101 with the list of exports, 73."""
        name = ctx.option("server", 102)
        check_version(ctx)
        server = ctx.server(name, 108)
        if not server.of_kind("nfs"):
            raise backend(108)
        if not ctx.device_config.get("serverpath"):
            raise backend(101, output=exports(server))
        place = server.place("nfs", ctx.device_config["serverpath"])
        if place is None:
            raise backend(73, MOUNT_FAILED)
        return place

    def key(self, ctx: Context) -> str:
        """With sm_config nosubdir=true the export itself is the SR."""
        return "" if ctx.sm_config.get("nosubdir") == "true" else ctx.sr_uuid

    def attach(self, ctx: Context) -> None:
        """73 when the SR's directory is not there, 461 when it cannot be written to."""
        place = self.place(ctx)
        if self.key(ctx) not in place.repositories:
            raise backend(73, MOUNT_FAILED)
        if not place.writable:
            raise backend(461, "remote filesystem is read-only error is 30")

    def probe(self, ctx: Context) -> str:
        """SRs on the export; with probeversion the versions the server speaks."""
        place = self.place(ctx)
        versions: t.Sequence[str] = ("3", "4") if "probeversion" in ctx.device_config else ()
        return srs((r for key, r in place.repositories.items() if key), versions=versions)
