# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Libraries of CD images: an NFS export, an SMB share or a local directory (xapi-project/sm ISOSR.py)."""

from __future__ import annotations

import re
from dataclasses import replace

from ...sm_errors import backend
from ...storage import Disk, Place
from .base import Context, Driver, new_uuid
from .nfs import check_version
from .smb import share_of, split

IMAGE = re.compile(r"\.(iso|img)$", re.I)
SMB_VERSIONS = ("1.0", "3.0")
DENIED = "mount error(13): Permission denied"


class Iso(Driver):
    """The files are the VDIs; the SR itself leaves no trace on the medium."""

    types: tuple[str, ...] = ("iso",)

    def place(self, ctx: Context) -> Place:
        """Errors in order: 94, then by kind 226; 225, 202, 140, 108, 222; 225, 140, 227, 222."""
        location = ctx.option("location", 94)
        if "legacy_mode" in ctx.device_config:
            found = ctx.storage.local_place(ctx.machine.name, "directory", location.rstrip("/") or "/")
            if found is None:
                raise backend(226)
            return found
        return self._share(ctx, location) if self._is_smb(ctx, location) else self._export(ctx, location)

    def _is_smb(self, ctx: Context, location: str) -> bool:
        return ctx.device_config["type"] == "cifs" if "type" in ctx.device_config else ":/" not in location

    def _export(self, ctx: Context, location: str) -> Place:
        name, colon, path = location.partition(":")
        if not colon:
            raise backend(225)
        check_version(ctx)
        server = ctx.server(name, 108)
        if not server.of_kind("nfs"):
            raise backend(108)
        place = server.place("nfs", path)
        if place is None:
            raise backend(222, "mount failed with return code 32")
        return place

    def _share(self, ctx: Context, location: str) -> Place:
        if not split(location)[0]:
            raise backend(225)
        version = ctx.device_config.get("vers", "3.0")
        if version not in SMB_VERSIONS:
            raise backend(227)
        return share_of(ctx, location, ctx.device_config.get("username", ""), ctx.secret("cifspassword"), 222, DENIED)

    # SRs -------------------------------------------------------------------------------------------------------------
    def create(self, ctx: Context) -> None:
        """Mounts once; the kind is noted."""
        self.attach(ctx)
        if "type" in ctx.device_config:
            ctx.set_sm_config(iso_type=ctx.device_config["type"])

    def attach(self, ctx: Context) -> None:
        """The SMB version that worked is noted in the PBD."""
        place = self.place(ctx)
        if place.kind == "smb" and "vers" not in ctx.device_config:
            ctx.set_device_config(vers="3.0")

    def delete(self, ctx: Context) -> None:
        """The images stay."""

    def rename(self, ctx: Context, **names: str) -> None:
        """There is nowhere to write it."""

    # images ----------------------------------------------------------------------------------------------------------
    def _inside(self, ctx: Context) -> str:
        path = ctx.device_config.get("iso_path", "").strip("/")
        return f"{path}/" if path else ""

    def scan(self, ctx: Context) -> list[Disk]:
        """Files ending in .iso or .img, not those of subdirectories."""
        prefix = self._inside(ctx)
        names = [name.removeprefix(prefix) for name in self.place(ctx).images if name.startswith(prefix)]
        return [self._disk(ctx, name) for name in names if IMAGE.search(name) and "/" not in name]

    def _disk(self, ctx: Context, name: str) -> Disk:
        size = self.place(ctx).images[self._inside(ctx) + name]
        created = [
            vdi["sm_config"]["created"]
            for vdi in ctx.db.all("VDI").values()
            if vdi["SR"] == ctx.sr_ref and vdi["location"] == name and "created" in vdi["sm_config"]
        ]
        disk = Disk("", name, size, size, name, read_only=not created, sm_config={"created": created[0]} if created else {})
        if ctx.db.get("SR", ctx.sr_ref)["is_tools_sr"]:
            disk.sm_config |= {"xs-tools": "true", "xs-tools-version": "", "xs-tools-build": "0"}
        return disk

    def sizes(self, ctx: Context) -> tuple[int, int]:
        """Of the filesystem; the tools SR is as large as its image."""
        place = self.place(ctx)
        tools = ctx.db.get("SR", ctx.sr_ref)["is_tools_sr"]
        return (place.used, place.used) if tools else (place.size, place.used)

    def vdi_create(self, ctx: Context, wanted: Disk) -> Disk:
        """A sparse file; sm_config path gives its name."""
        name = wanted.sm_config.get("path", f"{wanted.uuid}.img")
        if not re.match(r"[a-z0-9.-]+\.(iso|img)", name, re.I):
            raise backend(78, f'Invalid path "{name}"')
        place = self.place(ctx)
        if self._inside(ctx) + name in place.images:
            raise backend(78, "the file is there already")
        place.images[self._inside(ctx) + name] = wanted.virtual_size
        place.contents[self._inside(ctx) + name] = new_uuid()
        stamp = {"created": ctx.machine.world.clock.iso()}
        return replace(wanted, location=name, physical_utilisation=0, read_only=False, sm_config={**wanted.sm_config, **stamp})

    def vdi_delete(self, ctx: Context, location: str) -> None:
        """The file goes."""
        place, name = self.place(ctx), self._inside(ctx) + location
        place.images.pop(name, None)
        ctx.shelf.drop(place.contents.pop(name, ""))

    def layers(self, ctx: Context, location: str) -> list[str]:
        """What was written to an image that was made here; what others are is not known."""
        name = self.place(ctx).contents.get(self._inside(ctx) + location)
        return [name] if name else []

    def vdi_set(self, ctx: Context, location: str, **values: object) -> None:
        """A file has no other names."""
