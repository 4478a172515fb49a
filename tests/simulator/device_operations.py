# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which operations VBDs and VIFs allow (xen-api: ocaml/xapi/xapi_vbd_helpers.ml, xapi_vif_helpers.ml)."""

from __future__ import annotations

import contextlib
import typing as t

from .database import new_ref
from .errors import Fault
from .modeltypes import NULL
from .operations import rules
from .vm_operations import guest_metrics, has_pv_drivers, runs_hvm

if t.TYPE_CHECKING:
    from .database import Database, Record
    from .dispatch import Call

UNPLUGS = ("unplug", "unplug_force")
PLUGS = ("plug", *UNPLUGS)
PAUSES = ("pause", "unpause")
MEDIA = ("insert", "eject")
VM_LEAVES = ("clean_shutdown", "hard_shutdown", "suspend", "pause")
HOTPLUG = {"VBD": "can_use_hotplug_vbd", "VIF": "can_use_hotplug_vif"}


def refusal(db: Database, cls: str, ref: str, operation: str) -> Fault | None:
    """Why the VBD or VIF does not allow it now, or None; checks in xapi's order."""
    device = db.get(cls, ref)
    vm = db.get("VM", device["VM"])
    fault = _busy(cls, ref, device, operation)
    if fault is None and cls == "VBD":
        fault = _media(ref, device, operation)
    fault = fault or _plugged(cls, ref, device, vm, operation) or _hotplug(db, cls, device, vm, operation)
    return fault or (_disk(db, ref, device, vm, operation) if cls == "VBD" else _network(db, device, vm, operation))


def _busy(cls: str, ref: str, device: Record, operation: str) -> Fault | None:
    for task, running in device["current_operations"].items():
        if not (operation in PAUSES and running in PAUSES):
            return Fault("OTHER_OPERATION_IN_PROGRESS", cls, ref, running, task)
    return None


def _media(ref: str, device: Record, operation: str) -> Fault | None:
    if operation in UNPLUGS and not device["unpluggable"]:
        return Fault("VBD_NOT_UNPLUGGABLE", ref)
    if operation in MEDIA and device["type"] != "CD":
        return Fault("VBD_NOT_REMOVABLE_MEDIA", ref)
    if operation == "eject" and device["empty"]:
        return Fault("VBD_IS_EMPTY", ref)
    return Fault("VBD_NOT_EMPTY", ref) if operation == "insert" and not device["empty"] else None


def _plugged(cls: str, ref: str, device: Record, vm: Record, operation: str) -> Fault | None:
    state, there = vm["power_state"], device["currently_attached"]
    if operation in PAUSES and state not in ("Running", "Paused"):
        return Fault("VM_BAD_POWER_STATE", device["VM"], "running", state.lower())
    if operation not in PLUGS:
        return None
    if state != "Running":
        return Fault("VM_BAD_POWER_STATE", device["VM"], "running", state.lower())
    if operation == "plug" and there:
        return Fault("DEVICE_ALREADY_ATTACHED", ref)
    return Fault("DEVICE_ALREADY_DETACHED", ref) if operation in UNPLUGS and not there else None


def _hotplug(db: Database, cls: str, device: Record, vm: Record, operation: str) -> Fault | None:
    """Only a guest that plays along gets or loses a device while it runs."""
    if operation not in PLUGS:
        return None
    for running in vm["current_operations"].values():
        if running in VM_LEAVES:
            return Fault("OPERATION_NOT_ALLOWED", f"VM {vm['uuid']} is busy with {running}")
    if not runs_hvm(vm) or vm["is_control_domain"]:
        return None
    metrics = guest_metrics(db, vm)
    can = metrics[HOTPLUG[cls]] if metrics else "unspecified"
    if can == "no":
        return Fault("OPERATION_NOT_ALLOWED", f"VM states it does not support {cls} hotplug.")
    if can != "yes" and not has_pv_drivers(db, vm):
        return Fault("VM_MISSING_PV_DRIVERS", device["VM"])
    discs = "HVM CDROMs cannot be hotplugged/unplugged, only inserted or ejected"
    return Fault("OPERATION_NOT_ALLOWED", discs) if device.get("type") == "CD" else None


def _disk(db: Database, ref: str, device: Record, vm: Record, operation: str) -> Fault | None:
    if operation in MEDIA and vm["power_state"] == "Suspended":
        return Fault("VM_BAD_POWER_STATE", device["VM"], "halted, running", "suspended")
    if device["empty"] or not db.exists("VDI", device["VDI"]):
        return None
    vdi = db.get("VDI", device["VDI"])
    if not vdi["managed"]:
        return Fault("VDI_NOT_MANAGED", ref)
    if operation in ("attach", "plug", "insert"):
        for task, running in vdi["current_operations"].items():
            if running not in ("copy", "mirror"):
                return Fault("OTHER_OPERATION_IN_PROGRESS", "VDI", device["VDI"], running, task)
    return None


def _network(db: Database, device: Record, vm: Record, operation: str) -> Fault | None:
    if operation == "plug" and vm["is_control_domain"]:
        return Fault("OPERATION_NOT_ALLOWED", "A VIF of a control domain cannot be plugged")
    if operation not in PLUGS or not db.exists("network", device["network"]):
        return None
    pifs = db.get("network", device["network"])["PIFs"]
    on_sriov = any(db.get("PIF", pif)["sriov_logical_PIF_of"] for pif in pifs if db.exists("PIF", pif))
    return Fault("OPERATION_NOT_ALLOWED", "A VIF on an SR-IOV network cannot be hotplugged") if on_sriov else None


# acting --------------------------------------------------------------------------------------------------------------
def sharing_refusal(db: Database, ref: str, vdi: str | None = None) -> Fault | None:
    """Why the VBD may not use its disk (or ``vdi``) beside those that do; never shown in allowed_operations."""
    device = db.get("VBD", ref)
    target = device["VDI"] if vdi is None else vdi
    if target == NULL or not db.exists("VDI", target):
        return None
    disk, writes = db.get("VDI", target), device["mode"] == "RW"
    others = [db.get("VBD", other) for other in disk["VBDs"] if other != ref and _is_live(db, other)]
    if not disk["sharable"] and others and (writes or any(other["mode"] == "RW" for other in others)):
        return Fault("VDI_IN_USE", target)
    return Fault("VDI_READONLY", target) if writes and disk["read_only"] else None


def _is_live(db: Database, vbd: str) -> bool:
    record = db.get("VBD", vbd)
    if not (record["currently_attached"] or record.get("reserved")) or not db.exists("VM", record["VM"]):
        return False
    vm = db.get("VM", record["VM"])
    return bool(vm["power_state"] != "Suspended" and vm["other_config"].get("is_system_domain") != "true")


def refresh(db: Database, cls: str, ref: str) -> None:
    """allowed_operations anew."""
    if db.exists("VM", db.get(cls, ref)["VM"]):
        db.set(cls, ref, allowed_operations=[op for op in rules(cls)["operations"] if refusal(db, cls, ref, op) is None])


def check(db: Database, cls: str, ref: str, operation: str) -> None:
    """Raises why the device does not allow the operation."""
    fault = refusal(db, cls, ref, operation)
    if fault:
        raise fault


@contextlib.contextmanager
def running(call: Call, cls: str, ref: str, operation: str) -> t.Iterator[None]:
    """Checks, then lists the operation while the block runs."""
    db = call.db
    check(db, cls, ref, operation)
    task = call.task or new_ref()
    db.add_to_map(cls, ref, "current_operations", task, operation)
    refresh(db, cls, ref)
    try:
        yield
    finally:
        if db.exists(cls, ref):
            db.remove_from_map(cls, ref, "current_operations", task)
            refresh(db, cls, ref)
