# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Devices that come and go on a host: CD drives, USB disks (xapi-project/sm udevSR.py). And images in shared memory (SHMSR.py)."""

from __future__ import annotations

from dataclasses import replace

from ...sm_errors import backend
from ...storage import Disk, Place
from .base import Context, Driver


class Udev(Driver):
    """Whatever is linked in a directory of the host."""

    types: tuple[str, ...] = ("udev", "shm")

    def place(self, ctx: Context) -> Place:
        """94 without location; a directory nobody described is empty."""
        return ctx.storage.directory(ctx.machine.name, ctx.option("location", 94))

    def create(self, ctx: Context) -> None:
        """Nothing to write."""
        self.place(ctx)

    def attach(self, ctx: Context) -> None:
        """Nothing to do."""
        self.place(ctx)

    def delete(self, ctx: Context) -> None:
        """The devices stay."""

    def rename(self, ctx: Context, **names: str) -> None:
        """There is nowhere to write it."""

    def scan(self, ctx: Context) -> list[Disk]:
        """One disk for each device; those of CD drives cannot be written to."""
        location = ctx.device_config["location"].rstrip("/")
        read_only = ctx.sm_config.get("type") == "cd" or ctx.type == "shm"
        return [Disk("", f"{location}/{name}", size, size, name, read_only=read_only) for name, size in self.place(ctx).images.items()]

    def sizes(self, ctx: Context) -> tuple[int, int]:
        """What the devices have."""
        total = self.place(ctx).used
        return total, total

    def vdi_introduce(self, ctx: Context, location: str, wanted: Disk) -> Disk:
        """46 for a device that is not there."""
        for disk in self.scan(ctx):
            if disk.location == location:
                return replace(disk, uuid=wanted.uuid)
        raise backend(46, f"no device {location}")

    def layers(self, ctx: Context, location: str) -> list[str]:
        """Nobody knows what is on them."""
        return []

    def vdi_set(self, ctx: Context, location: str, **values: object) -> None:
        """A device has no other names."""
