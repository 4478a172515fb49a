# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fields of a VDI and changed block tracking. Rules: xen-api ocaml/xapi/xapi_vdi.ml."""

from __future__ import annotations

import typing as t

from .. import sr_cleaning, sr_operations, vdi_operations
from ..errors import Fault, NotSimulated
from . import message
from .sr_types.vhd import PARENT
from .vdi import driver, working

if t.TYPE_CHECKING:
    from ..dispatch import Call


METADATA = "cbt_metadata"
DRIVES_GO = 4.0  # seconds
TURNS = 40


def _set(call: Call, vdi: str, **fields: t.Any) -> None:
    """The driver keeps it too if its medium can; needs a plugged PBD."""
    record = call.db.get("VDI", vdi)
    found, ctx = driver(call, record["SR"])
    if found.keeps_names:
        found.vdi_set(ctx, record["location"], **fields)
    call.db.set("VDI", vdi, **fields)


@message("VDI.set_name_label")
def set_name_label(call: Call, self: str, value: str) -> None:
    """Passed on to the driver."""
    _set(call, self, name_label=value)


@message("VDI.set_name_description")
def set_name_description(call: Call, self: str, value: str) -> None:
    """Passed on to the driver."""
    _set(call, self, name_description=value)


@message("VDI.set_read_only")
def set_read_only(call: Call, self: str, value: bool) -> None:
    """For the storage drivers only."""
    raise Fault("PERMISSION_DENIED", "")


@message("VDI.set_sharable")
def set_sharable(call: Call, self: str, value: bool) -> None:
    """For the storage drivers only; say it when creating the disk."""
    raise Fault("PERMISSION_DENIED", "")


@message("VDI.set_on_boot")
def set_on_boot(call: Call, self: str, value: str) -> None:
    """Needs a driver that can reset, and guests that are halted."""
    _refuse_running(call, self)
    sr_operations.check(call.db, call.db.get("VDI", self)["SR"], "vdi_set_on_boot")
    vdi_operations.check(call.db, self, "set_on_boot")
    call.db.set("VDI", self, on_boot=value)
    vdi_operations.refresh(call.db, self)


def _refuse_running(call: Call, vdi: str) -> None:
    """Raises VM_BAD_POWER_STATE [vm, "halted", actual]."""
    for vbd in call.db.get("VDI", vdi)["VBDs"]:
        guest = call.db.get("VBD", vbd)["VM"]
        state = call.db.get("VM", guest)["power_state"]
        if state != "Halted":
            raise Fault("VM_BAD_POWER_STATE", guest, "halted", state.lower())


@message("VDI.set_allow_caching")
def set_allow_caching(call: Call, self: str, value: bool) -> None:
    """Only while its guests are halted."""
    _refuse_running(call, self)
    call.db.set("VDI", self, allow_caching=value)


def _track(call: Call, vdi: str, operation: str, enabled: bool) -> None:
    record = call.db.get("VDI", vdi)
    with working(call, record["SR"], f"vdi_{operation}", vdi, operation) as (found, ctx):
        found.vdi_track(ctx, record["location"], enabled)
        call.db.set("VDI", vdi, cbt_enabled=enabled)


@message("VDI.enable_cbt")
def enable_cbt(call: Call, self: str) -> None:
    """A second time is fine."""
    _track(call, self, "enable_cbt", True)


@message("VDI.disable_cbt")
def disable_cbt(call: Call, self: str) -> None:
    """A second time is fine."""
    _track(call, self, "disable_cbt", False)


@message("VDI.data_destroy")
def data_destroy(call: Call, self: str) -> None:
    """The snapshot's data goes, what changed since stays known. A second time is fine."""
    record = dict(call.db.get("VDI", self))
    with working(call, record["SR"], "vdi_data_destroy", self, "data_destroy") as (found, ctx):
        if record["type"] == METADATA:
            return
        call.db.set("VDI", self, type=METADATA)  # nobody may begin to use it
        try:
            _wait_for_drives_to_go(call, self)
            found.vdi_data_destroy(ctx, record["location"])
        except Fault:
            call.db.set("VDI", self, type=record["type"])
            raise
        sm_config = {key: value for key, value in record["sm_config"].items() if key != PARENT}
        call.db.set("VDI", self, physical_utilisation=0, sm_config=sm_config)
        sr_cleaning.kick(found, ctx)


def _wait_for_drives_to_go(call: Call, vdi: str) -> None:
    """Those of a snapshot, too, and of one that reads it over NBD. Raises VDI_IN_USE [vdi, data_destroy] after four seconds."""
    for _turn in range(TURNS):
        if not call.db.get("VDI", vdi)["VBDs"]:
            return
        call.sleep(DRIVES_GO / TURNS)
        if not call.world.clock.speed:  # who is about to let go of it needs time nevertheless
            call.world.pause(0.01)
    raise Fault("VDI_IN_USE", vdi, "data_destroy")


@message("VDI.list_changed_blocks")
def list_changed_blocks(call: Call, vdi_from: str, vdi_to: str) -> str:
    """A bit for each 64 KiB, in base64."""
    record, later = call.db.get("VDI", vdi_from), call.db.get("VDI", vdi_to)
    vdi_operations.check(call.db, vdi_from, "list_changed_blocks")
    with working(call, record["SR"], "vdi_list_changed_blocks", vdi_to, "list_changed_blocks") as (found, ctx):
        return found.vdi_changed(ctx, record["location"], later["location"])


@message("VDI.revert")
def revert(call: Call, snapshot: str) -> None:
    """In place, where a driver can do that; none here does. Raises SR_OPERATION_NOT_SUPPORTED [sr]."""
    sr_operations.check(call.db, call.db.get("VDI", snapshot)["SR"], "vdi_revert")
    raise NotSimulated("VDI.revert")
