# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Virtual disks: making, growing, snapshots, removing. Rules: xen-api ocaml/xapi/xapi_vdi.ml."""

from __future__ import annotations

import contextlib
import re
import typing as t

from .. import sr_cleaning, sr_operations, sr_scan, storage_attach, vdi_operations
from ..cloning import drop_device
from ..errors import Fault
from ..modeltypes import NULL
from ..storage import Disk
from . import message
from .sr_types import Context, Driver, driver_of
from .sr_types.base import new_uuid

if t.TYPE_CHECKING:
    from ..dispatch import Call

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.I)
OWN = ("sharable", "other_config", "xenstore_data", "tags")  # kept by xapi, not by the drivers
INHERITED = ("name_label", "name_description", "type")
COPIED = ("sharable", "other_config", "xenstore_data", "on_boot", "tags")


def driver(call: Call, sr: str) -> tuple[Driver, Context]:
    """The SR's driver on a host that has it attached. Raises SR_HAS_NO_PBDS."""
    machine, pbd = storage_attach.working_machine(call.machine, sr)
    working = storage_attach.context(machine, pbd)
    return driver_of(call.db, working.type), working


@contextlib.contextmanager
def working(call: Call, sr: str, sr_operation: str, vdi: str = "", operation: str = "") -> t.Iterator[tuple[Driver, Context]]:
    """The driver while SR and VDI list their operations, checked in this order; sizes are brought up to date afterwards."""
    with contextlib.ExitStack() as marks:
        marks.enter_context(sr_operations.running(call, sr, sr_operation))
        if vdi:
            marks.enter_context(vdi_operations.running(call, vdi, operation))
        found, ctx = driver(call, sr)
        yield found, ctx
        sr_scan.update_sizes(call.db, sr, found, ctx)


@message("VDI.create")
def create(call: Call, record: dict[str, t.Any]) -> str:
    """The driver may round the size up."""
    if record["type"] == "cbt_metadata":
        raise Fault("VDI_INCOMPATIBLE_TYPE", NULL, vdi_operations.type_name(record["type"]))
    sr = record["SR"]
    wanted = Disk(new_uuid(), "", record["virtual_size"], 0, **{name: record[name] for name in INHERITED}, read_only=record["read_only"])
    wanted.sm_config = dict(record["sm_config"])
    with working(call, sr, "vdi_create") as (found, ctx):
        vdi = sr_scan.put(call.db, sr, found.vdi_create(ctx, wanted))
        fields = {name: record[name] for name in OWN}
        call.db.set("VDI", vdi, **fields, **{name: record[name] for name in INHERITED}, metadata_of_pool="")
        found.vdi_set(ctx, call.db.get("VDI", vdi)["location"], sharable=record["sharable"])
    vdi_operations.refresh(call.db, vdi)
    return vdi


@message("VDI.destroy")
def destroy(call: Call, self: str) -> None:
    """The disk goes from its storage, its drives go with it, and a VM whose memory was there has none."""
    record = call.db.get("VDI", self)
    drives = list(record["VBDs"])
    with working(call, record["SR"], "vdi_destroy", self, "destroy") as (found, ctx):
        found.vdi_delete(ctx, record["location"])
        call.db.destroy("VDI", self)
        for vbd in drives:
            drop_device(call, "VBD", vbd)
        for vm in call.db.find("VM", suspend_VDI=self):
            call.db.set("VM", vm, suspend_VDI=NULL)
        sr_cleaning.kick(found, ctx)


def _resize(call: Call, vdi: str, size: int, operation: str) -> None:
    record = call.db.get("VDI", vdi)
    with working(call, record["SR"], "vdi_resize", vdi, operation) as (found, ctx):
        disk = found.vdi_resize(ctx, record["location"], size)
        call.db.set("VDI", vdi, virtual_size=disk.virtual_size, physical_utilisation=disk.physical_utilisation)


@message("VDI.resize")
def resize(call: Call, vdi: str, size: int) -> None:
    """Not while a VM uses the disk; whether it may shrink is the driver's decision."""
    _resize(call, vdi, size, "resize")


@message("VDI.resize_online")
def resize_online(call: Call, vdi: str, size: int) -> None:
    """Few drivers can."""
    _resize(call, vdi, size, "resize_online")


# copies --------------------------------------------------------------------------------------------------------------
def _wanted(call: Call, vdi: str) -> Disk:
    record = call.db.get("VDI", vdi)
    named = {name: record[name] for name in INHERITED}
    return Disk(new_uuid(), "", record["virtual_size"], 0, read_only=record["read_only"], sharable=record["sharable"], **named)


def _finish(call: Call, vdi: str, copy: str, found: Driver, ctx: Context) -> str:
    """Fields both kinds of copies inherit; the source may stand on a base copy now."""
    record = call.db.get("VDI", vdi)
    call.db.set("VDI", copy, **{name: record[name] for name in COPIED})
    for disk in found.scan(ctx) or []:
        if disk.location == record["location"]:
            sr_scan.put(call.db, record["SR"], disk)
    vdi_operations.refresh(call.db, copy)
    return copy


@message("VDI.snapshot")
def snapshot(call: Call, vdi: str, driver_params: dict[str, str]) -> str:
    """The new VDI is in the same SR and knows what it is a snapshot of."""
    record = call.db.get("VDI", vdi)
    now = call.world.clock.iso()
    with working(call, record["SR"], "vdi_snapshot", vdi, "snapshot") as (found, ctx):
        wanted = _wanted(call, vdi)
        wanted.is_a_snapshot, wanted.snapshot_of, wanted.snapshot_time = True, record["uuid"], now
        copy = sr_scan.put(call.db, record["SR"], found.vdi_snapshot(ctx, record["location"], wanted))
        call.db.set("VDI", copy, cbt_enabled=record["cbt_enabled"])
        return _finish(call, vdi, copy, found, ctx)


@message("VDI.clone")
def clone(call: Call, vdi: str, driver_params: dict[str, str]) -> str:
    """An independent disk that shares its data with the source."""
    record = call.db.get("VDI", vdi)
    with working(call, record["SR"], "vdi_clone", vdi, "clone") as (found, ctx):
        wanted = _wanted(call, vdi)
        wanted.read_only = False
        copy = sr_scan.put(call.db, record["SR"], found.vdi_clone(ctx, record["location"], wanted))
        return _finish(call, vdi, copy, found, ctx)


# records -------------------------------------------------------------------------------------------------------------
@message("VDI.update")
def update(call: Call, vdi: str) -> None:
    """Size and use anew."""
    record = call.db.get("VDI", vdi)
    with vdi_operations.running(call, vdi, "update"):
        found, ctx = driver(call, record["SR"])
        for disk in found.scan(ctx) or []:
            if disk.location == record["location"]:
                sr_scan.put(call.db, record["SR"], disk)


@message("VDI.forget")
def forget(call: Call, vdi: str) -> None:
    """Only the record; the next scan finds the disk again."""
    vdi_operations.check(call.db, vdi, "forget")
    call.db.destroy("VDI", vdi)


@message("VDI.introduce")
def introduce(
    call: Call, uuid: str, name_label: str, name_description: str, sr: str, type_: str, sharable: bool, read_only: bool,
    other_config: dict[str, str], location: str, xenstore_data: dict[str, str], sm_config: dict[str, str], *_ignored: object,
) -> str:  # fmt: skip
    """A record for a disk that is there; only drivers of devices and LUNs can."""
    with working(call, sr, "vdi_introduce") as (found, ctx):
        if sr_scan.record_at(call.db, sr, location):
            raise Fault("LOCATION_NOT_UNIQUE", sr, location)
        if not UUID.fullmatch(uuid):
            raise Fault("UUID_INVALID", "VDI", uuid)
        wanted = Disk(uuid, location, 0, 0, name_label, name_description, type_, read_only, sharable, sm_config=dict(sm_config))
        disk = found.vdi_introduce(ctx, location, wanted)
        disk.uuid = uuid
        vdi = sr_scan.put(call.db, sr, disk)
        named = {k: v for k, v in (("name_label", name_label), ("name_description", name_description)) if v}
        call.db.set("VDI", vdi, type=type_, sharable=sharable, other_config=other_config, xenstore_data=xenstore_data, **named)
    vdi_operations.refresh(call.db, vdi)
    return vdi
