# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drives of VMs. Rules: xen-api ocaml/xapi/xapi_vbd.ml, xapi_vbd_helpers.ml."""

from __future__ import annotations

import typing as t

from .. import device_operations, vdi_operations, vm_operations, vm_running
from ..cloning import drop_device
from ..device_places import AUTODETECT, VBD_PLACES, place_of
from ..errors import Fault
from ..modeltypes import NULL
from ..operations import rules
from ..power_states import device_name
from . import message

if t.TYPE_CHECKING:
    from ..database import Record
    from ..dispatch import Call

PLUG = 0.5  # virtual seconds a hotplug takes


def _refuse_record(call: Call, record: Record) -> None:
    """Raises what is wrong with drive and medium together."""
    vdi = None if record["empty"] else call.db.get("VDI", record["VDI"])
    if vdi and vdi["type"] not in rules("VBD")["vdi_types_ok"]:
        raise Fault("VDI_INCOMPATIBLE_TYPE", record["VDI"], vdi_operations.type_name(vdi["type"]))
    if record["type"] == "CD" and record["mode"] != "RO":
        raise Fault("VBD_CDS_MUST_BE_READONLY")
    if record["type"] != "CD" and record["empty"]:
        raise Fault("VBD_NOT_REMOVABLE_MEDIA", "in constructor")
    if vdi and record["mode"] == "RW" and vdi["read_only"]:
        raise Fault("VDI_READONLY", record["VDI"])


def _refuse_moment(call: Call, vm: str) -> None:
    """Raises OTHER_OPERATION_IN_PROGRESS ["VM", vm, operation, task] while the VM moves."""
    for task, running in call.db.get("VM", vm)["current_operations"].items():
        if running in ("migrate_send", "pool_migrate"):
            raise Fault("OTHER_OPERATION_IN_PROGRESS", "VM", vm, running, task)


def _refuse_tie(call: Call, vm: str, vdi: str) -> None:
    """Raises HA_OPERATION_WOULD_BREAK_FAILOVER_PLAN for a disk that would keep a protected VM on one host."""
    pool, record = call.pool.pool, call.db.get("VM", vm)
    protected = pool["ha_enabled"] and record["ha_always_run"] and record["ha_restart_priority"] == "restart"
    tied = call.db.exists("VDI", vdi) and not call.db.get("SR", call.db.get("VDI", vdi)["SR"])["shared"]
    if protected and tied and not pool["ha_allow_overcommit"]:
        raise Fault("HA_OPERATION_WOULD_BREAK_FAILOVER_PLAN")


def _place(call: Call, vm: str, userdevice: str, kind: str) -> str:
    """The place to take. Raises INVALID_DEVICE [device], DEVICE_ALREADY_EXISTS [device]."""
    taken = {place_of(call.db.get("VBD", vbd)["userdevice"]) for vbd in call.db.get("VM", vm)["VBDs"]}
    if userdevice == AUTODETECT:
        return str(next(n for n in VBD_PLACES if n not in taken))
    place = place_of(userdevice)
    if place is None:
        raise Fault("INVALID_DEVICE", userdevice)
    if isinstance(place, str) and not vm_operations.runs_hvm(call.db.get("VM", vm)):
        raise Fault("NOT_IMPLEMENTED", "Floppy drives are only for HVM guests")
    if place in taken:
        raise Fault("DEVICE_ALREADY_EXISTS", userdevice)
    return userdevice


@message("VBD.create")
def create(call: Call, record: Record) -> str:
    """The VM may run; then the drive waits to be plugged."""
    db = call.db
    vm = db.get("VM", record["VM"])
    _refuse_record(call, record)
    _refuse_moment(call, record["VM"])
    place = _place(call, record["VM"], record["userdevice"], record["type"])
    _refuse_tie(call, record["VM"], NULL if record["empty"] else record["VDI"])
    kept = {"currently_attached": record["currently_attached"], "device": record["device"]}
    given = kept if vm["power_state"] == "Suspended" else {"currently_attached": False, "device": ""}
    vdi = NULL if record["empty"] else record["VDI"]
    vbd = db.create("VBD", **{**record, **given, "userdevice": place, "VDI": vdi}, metrics=db.create("VBD_metrics"))
    vm_running.refresh(db, record["VM"])
    return vbd


@message("VBD.destroy")
def destroy(call: Call, self: str) -> None:
    """Not while the VM uses it."""
    db, record = call.db, call.db.get("VBD", self)
    if record["currently_attached"]:
        vm = db.get("VM", record["VM"])
        raise Fault("OPERATION_NOT_ALLOWED", f"VBD '{record['uuid']}' still attached to '{vm['uuid']}'")
    vdi, vm_ref = record["VDI"], record["VM"]
    drop_device(call, "VBD", self)
    if db.exists("VDI", vdi):
        vdi_operations.refresh(db, vdi)
    vm_running.refresh(db, vm_ref)


# plugging ------------------------------------------------------------------------------------------------------------
def _raise_sharing(call: Call, vbd: str, vdi: str | None = None) -> None:
    fault = device_operations.sharing_refusal(call.db, vbd, vdi)
    if fault:
        raise fault


def _refuse_read_only_disk(call: Call, vbd: str) -> None:
    """Raises DISK_VBD_MUST_BE_READWRITE_FOR_HVM [vbd]."""
    record = call.db.get("VBD", vbd)
    hvm = vm_operations.runs_hvm(call.db.get("VM", record["VM"]))
    if hvm and record["type"] == "Disk" and record["mode"] == "RO":
        raise Fault("DISK_VBD_MUST_BE_READWRITE_FOR_HVM", vbd)


@message("VBD.plug")
def plug(call: Call, self: str) -> None:
    """Into a running VM."""
    with device_operations.running(call, "VBD", self, "plug"):
        _raise_sharing(call, self)
        _refuse_read_only_disk(call, self)
        _refuse_unseen(call, self)
        call.sleep(PLUG)
        call.db.set("VBD", self, currently_attached=True, device=device_name(call.db.get("VBD", self)["userdevice"]))
    vm_running.refresh(call.db, call.db.get("VBD", self)["VM"])


def _refuse_unseen(call: Call, vbd: str) -> None:
    """Raises VM_REQUIRES_SR [vm, sr] where the VM's host has not attached the storage."""
    record = call.db.get("VBD", vbd)
    if call.db.exists("VDI", record["VDI"]):
        sr, host = call.db.get("VDI", record["VDI"])["SR"], call.db.get("VM", record["VM"])["resident_on"]
        if not call.db.find("PBD", SR=sr, host=host, currently_attached=True):
            raise Fault("VM_REQUIRES_SR", record["VM"], sr)


def _unplug(call: Call, vbd: str, operation: str) -> None:
    with device_operations.running(call, "VBD", vbd, operation):
        call.sleep(PLUG)
        call.db.set("VBD", vbd, currently_attached=False)
    vm_running.refresh(call.db, call.db.get("VBD", vbd)["VM"])


@message("VBD.unplug")
def unplug(call: Call, self: str) -> None:
    """Out of a running VM."""
    _unplug(call, self, "unplug")


@message("VBD.unplug_force")
def unplug_force(call: Call, self: str) -> None:
    """Whether the guest agrees or not."""
    _unplug(call, self, "unplug_force")


# media ---------------------------------------------------------------------------------------------------------------
@message("VBD.insert")
def insert(call: Call, vbd: str, vdi: str) -> None:
    """Any disk can be laid into a CD drive."""
    call.db.get("VDI", vdi)
    with device_operations.running(call, "VBD", vbd, "insert"):
        _raise_sharing(call, vbd, vdi)
        _refuse_tie(call, call.db.get("VBD", vbd)["VM"], vdi)
        call.db.set("VBD", vbd, VDI=vdi, empty=False)
    vm_running.refresh(call.db, call.db.get("VBD", vbd)["VM"])


@message("VBD.eject")
def eject(call: Call, vbd: str) -> None:
    """The drive is empty then."""
    disc = call.db.get("VBD", vbd)["VDI"]
    with device_operations.running(call, "VBD", vbd, "eject"):
        call.db.set("VBD", vbd, VDI=NULL, empty=True)
    if call.db.exists("VDI", disc):
        vdi_operations.refresh(call.db, disc)
    vm_running.refresh(call.db, call.db.get("VBD", vbd)["VM"])


@message("VBD.set_mode")
def set_mode(call: Call, self: str, value: str) -> None:
    """Of a halted VM's; what fits the disk is looked at when it is plugged."""
    vm_operations.assert_power_state(call.db, call.db.get("VBD", self)["VM"], "Halted")
    call.db.set("VBD", self, mode=value)


@message("VBD.assert_attachable")
def assert_attachable(call: Call, self: str) -> None:
    """Raises why the disk can't be used beside what uses it."""
    device_operations.check(call.db, "VBD", self, "attach")
    _raise_sharing(call, self)
