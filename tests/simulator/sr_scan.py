# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a driver finds on its medium becomes VDI records and sizes of the SR (xen-api: ocaml/xapi/xapi_sr.ml)."""

from __future__ import annotations

import typing as t

from . import vdi_operations
from .modeltypes import NULL

if t.TYPE_CHECKING:
    from .behaviours.sr_types import Context, Driver
    from .database import Database
    from .storage import Disk
    from .world import Machine


def scan(machine: Machine, sr: str, driver: Driver, ctx: Context) -> None:
    """Records of disks that are gone go, new disks get one, sizes follow."""
    db = machine.pool.db
    found = driver.scan(ctx)
    if found is not None:
        here = {disk.location for disk in found}
        for vdi in list(db.get("SR", sr)["VDIs"]):
            if db.get("VDI", vdi)["location"] not in here:
                db.destroy("VDI", vdi)
        for disk in sorted(found, key=lambda d: d.is_a_snapshot):  # what they are snapshots of comes first
            put(db, sr, disk)
    update_sizes(db, sr, driver, ctx)
    if "dirty" in db.get("SR", sr)["other_config"]:
        db.remove_from_map("SR", sr, "other_config", "dirty")


def follow(db: Database, sr: str, driver: Driver, ctx: Context) -> None:
    """Base copies that are gone lose their record, disks that took over their data show it; sizes follow."""
    held = {disk.location: disk for disk in driver.scan(ctx) or []}
    for vdi in list(db.get("SR", sr)["VDIs"]):
        record = db.get("VDI", vdi)
        if record["location"] in held:
            put(db, sr, held[record["location"]])
        elif not record["managed"]:
            db.destroy("VDI", vdi)
    update_sizes(db, sr, driver, ctx)


def update_sizes(db: Database, sr: str, driver: Driver, ctx: Context) -> None:
    """Size and use as the driver says, allocation as the sum of the disks."""
    size, used = driver.sizes(ctx)
    allocated = sum(db.get("VDI", vdi)["virtual_size"] for vdi in db.get("SR", sr)["VDIs"])
    db.set("SR", sr, physical_size=size, physical_utilisation=used, virtual_allocation=allocated)


def record_at(db: Database, sr: str, location: str) -> str | None:
    """The VDI of that location."""
    return next((vdi for vdi in db.get("SR", sr)["VDIs"] if db.get("VDI", vdi)["location"] == location), None)


def put(db: Database, sr: str, disk: Disk) -> str:
    """The VDI record of a disk, made or brought up to date. Names come from the medium only when the record is made."""
    fields: dict[str, t.Any] = {
        "virtual_size": disk.virtual_size, "physical_utilisation": disk.physical_utilisation, "managed": disk.managed,
        "sm_config": disk.sm_config, "is_tools_iso": disk.sm_config.get("xs-tools") == "true",
    }  # fmt: skip
    vdi = record_at(db, sr, disk.location)
    if vdi is None:
        given = {"uuid": disk.uuid} if disk.uuid else {}
        vdi = db.create("VDI", SR=sr, location=disk.location, **given, **fields, **_identity(db, disk))
    else:
        db.set("VDI", vdi, **{name: value for name, value in fields.items() if db.get("VDI", vdi)[name] != value})
    vdi_operations.refresh(db, vdi)
    return vdi


def _identity(db: Database, disk: Disk) -> dict[str, t.Any]:
    of = db.find("VDI", uuid=disk.snapshot_of) if disk.snapshot_of else []
    return {
        "name_label": disk.name_label, "name_description": disk.name_description, "type": disk.type, "sharable": disk.sharable,
        "read_only": disk.read_only,
        "is_a_snapshot": disk.is_a_snapshot, "snapshot_of": of[0] if of else NULL, "snapshot_time": disk.snapshot_time,
    }  # fmt: skip
