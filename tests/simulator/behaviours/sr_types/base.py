# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a storage driver is asked, and what it is told. A new type is one class with ``types`` in a file of this folder."""

from __future__ import annotations

import typing as t
import uuid
from dataclasses import dataclass

from ...modeltypes import NULL
from ...reach import reaches
from ...secrets_of import value_of
from ...sm_errors import backend
from ...storage import Disk, Place, Repository, Server

if t.TYPE_CHECKING:
    from ...database import Database
    from ...disks.shelf import Shelf
    from ...disks.tracking import Log
    from ...storage import Storage
    from ...world import Machine


@dataclass
class Context:
    """One call of a driver: on which machine, for which SR (none while probing), with which configuration."""

    machine: Machine
    type: str
    device_config: dict[str, str]
    sm_config: dict[str, str]
    sr_ref: str = NULL
    pbd: str = NULL

    @property
    def db(self) -> Database:
        """The pool's objects."""
        return self.machine.pool.db

    @property
    def storage(self) -> Storage:
        """The world's storage."""
        return self.machine.world.storage

    @property
    def shelf(self) -> Shelf:
        """What is on the world's disks."""
        return self.machine.world.shelf

    @property
    def sr_uuid(self) -> str:
        """The SR's uuid."""
        return str(self.db.get("SR", self.sr_ref)["uuid"])

    def option(self, key: str, missing: int) -> str:
        """A key of device_config that must be there; the driver's error code if it is not."""
        found = self.device_config.get(key, "")
        if not found:
            raise backend(missing)
        return found

    def secret(self, key: str) -> str:
        """A password, plain or from its secret; "" if there is none."""
        if f"{key}_secret" in self.device_config:
            if not self.db.find("secret", uuid=self.device_config[f"{key}_secret"]):
                raise backend(20)
            return value_of(self.db, self.device_config[f"{key}_secret"])
        return self.device_config.get(key, "")

    def server(self, where: str, unreachable: int) -> Server:
        """The storage server of that name or address: a name nobody knows is a DNS error, one out of reach the driver's own."""
        found = self.storage.server_at(where)
        if found is None and not where.replace(".", "").isdigit():
            raise backend(140)
        if found is None or not reaches(self.machine, found):
            raise backend(unreachable)
        return found

    def set_sm_config(self, **values: str) -> None:
        """Keys the driver notes in the SR."""
        self.sm_config |= values
        self.db.set("SR", self.sr_ref, sm_config=self.sm_config)

    def set_device_config(self, **values: str) -> None:
        """Keys the driver notes in the PBD."""
        self.device_config |= values
        if self.db.exists("PBD", self.pbd):
            self.db.set("PBD", self.pbd, device_config={**self.db.get("PBD", self.pbd)["device_config"], **values})


def new_uuid() -> str:
    """Random."""
    return str(uuid.uuid4())


class Driver:
    """The calls of SMAPIv1. The defaults suit a type that holds its SRs in a ``Place``; every method may raise SR_BACKEND_FAILURE_..."""

    types: tuple[str, ...] = ()
    keeps_names = False  # names of VDIs are on the medium too

    # SRs -------------------------------------------------------------------------------------------------------------
    def place(self, ctx: Context) -> Place:
        """Checks the configuration and finds where the SR is or is to be."""
        raise NotImplementedError

    def key(self, ctx: Context) -> str:
        """Under which name the SR lies in its place."""
        return ctx.sr_uuid

    def create(self, ctx: Context) -> None:
        """Writes an empty SR."""
        record = ctx.db.get("SR", ctx.sr_ref)
        place = self.place(ctx)
        if not place.writable:
            raise backend(461, "remote filesystem is read-only error is 30")
        place.repositories[self.key(ctx)] = Repository(ctx.sr_uuid, ctx.type, record["name_label"], record["name_description"])

    def attach(self, ctx: Context) -> None:
        """Finds the SR again."""
        self.repository(ctx)

    def repository(self, ctx: Context) -> Repository:
        """The SR on its medium; 47 (SR not available) when it is not there."""
        found = self.place(ctx).repositories.get(self.key(ctx))
        if found is None:
            raise backend(47, f"no SR {ctx.sr_uuid} there")
        return found

    def delete(self, ctx: Context) -> None:
        """Removes the SR with everything in it."""
        self.place(ctx).repositories.pop(self.key(ctx), None)

    def probe(self, ctx: Context) -> str:
        """What is on the medium, as XML."""
        raise backend(38)

    def rename(self, ctx: Context, **names: str) -> None:
        """name_label or name_description of the SR changed."""
        if self.keeps_names:
            for name, value in names.items():
                setattr(self.repository(ctx), name, value)

    # their contents --------------------------------------------------------------------------------------------------
    def scan(self, ctx: Context) -> list[Disk] | None:
        """All disks; None when the driver has no state of its own."""
        return list(self.repository(ctx).disks.values())

    def sizes(self, ctx: Context) -> tuple[int, int]:
        """Size and use of the medium in bytes."""
        place = self.place(ctx)
        return place.size, place.used

    def vdi_create(self, ctx: Context, wanted: Disk) -> Disk:
        """A new disk; the size may be rounded up."""
        raise backend(38)

    def vdi_delete(self, ctx: Context, location: str) -> None:
        """The disk goes."""
        raise backend(38)

    def vdi_resize(self, ctx: Context, location: str, size: int) -> Disk:
        """The disk grows."""
        raise backend(38)

    def vdi_snapshot(self, ctx: Context, location: str, wanted: Disk) -> Disk:
        """A copy that shares what did not change; ``wanted`` has its names."""
        raise backend(38)

    def vdi_clone(self, ctx: Context, location: str, wanted: Disk) -> Disk:
        """As a snapshot, but to be written to."""
        return self.vdi_snapshot(ctx, location, wanted)

    def vdi_track(self, ctx: Context, location: str, on: bool) -> None:
        """What changes is noted, or is not."""
        raise backend(38)

    def vdi_changed(self, ctx: Context, start: str, end: str) -> str:
        """What changed from one disk to a later one."""
        raise backend(38)

    def vdi_data_destroy(self, ctx: Context, location: str) -> None:
        """The data goes, what changed stays known."""
        raise backend(38)

    def log(self, ctx: Context, location: str) -> Log | None:
        """What changes of a disk are noted in, if they are."""
        return None

    def vdi_introduce(self, ctx: Context, location: str, wanted: Disk) -> Disk:
        """A disk that is there already gets a record."""
        raise backend(38)

    def garbage(self, ctx: Context) -> t.Any:
        """What deleted disks left and nobody needs, if anything."""
        return None

    def coalesce(self, ctx: Context) -> int | None:
        """One step of cleaning up what deleted disks left: how many bytes had to be moved, None when there is nothing to do."""
        return None

    def layers(self, ctx: Context, location: str) -> list[str]:
        """Which layers of data a disk consists of, the newest first; none for one that is read as zeros."""
        return [location]

    def grow(self, ctx: Context, location: str, blocks: int) -> None:
        """So many blocks are about to be written for the first time; 44 when there is no space for them."""

    def vdi_set(self, ctx: Context, location: str, **values: t.Any) -> None:
        """Names and flags the medium keeps."""
        held = self.scan(ctx)
        for disk in held or []:
            if disk.location == location:
                for name, value in values.items():
                    setattr(disk, name, value)
