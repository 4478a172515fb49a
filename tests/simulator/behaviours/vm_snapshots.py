# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Snapshots, checkpoints, reverting. Rules: xen-api ocaml/xapi/xapi_vm_snapshot.ml, message_forwarding.ml."""

from __future__ import annotations

import typing as t

from .. import guest_power, snapshots, sr_operations
from ..errors import Fault
from ..vm_running import running
from . import message

if t.TYPE_CHECKING:
    from ..dispatch import Call

SAID_AS_THEY_ARE = ("SR_BACKEND_FAILURE_44", "SR_BACKEND_FAILURE_109", "VDI_INCOMPATIBLE_TYPE")  # no space, chain too long, wrong type


@message("VM.snapshot")
def snapshot(call: Call, vm: str, new_name: str, ignore_vdis: list[str]) -> str:
    """The disks as they are now; some may be left out."""
    state = call.db.get("VM", vm)["power_state"]
    with running(call, vm, "snapshot"):
        made = snapshots.take(call, vm, new_name, ignored=ignore_vdis)
    snapshots.note_kind(call, made, state)
    guest_power.tell(call, vm, "VM_SNAPSHOTTED", f"snapshotted, snapshot name: {new_name}")
    return made


@message("VM.checkpoint")
def checkpoint(call: Call, vm: str, new_name: str) -> str:
    """Disks and memory; a running guest is away for as long as that takes."""
    state = call.db.get("VM", vm)["power_state"]
    with running(call, vm, "checkpoint") as task:
        _refuse_checkpoint(call, vm)
        host = call.db.get("VM", vm)["resident_on"]
        if state == "Running":
            guest_power.sleep_to_disk(call, vm, task)
        try:
            made = snapshots.take(call, vm, new_name, image=state in ("Running", "Suspended"))
        finally:
            if state == "Running":
                guest_power.wake(call, vm, host, paused=False)
    snapshots.note_kind(call, made, state)
    guest_power.tell(call, vm, "VM_CHECKPOINTED", f"checkpointed, snapshot name: {new_name}")
    return made


def _refuse_checkpoint(call: Call, vm: str) -> None:
    """Raises LICENCE_RESTRICTION, SR_OPERATION_NOT_SUPPORTED [vm] where a disk's storage makes no snapshots."""
    db = call.db
    if call.pool.pool["restrictions"].get("restrict_checkpoint") == "true":
        raise Fault("LICENCE_RESTRICTION", "Checkpoint")
    for vbd in db.get("VM", vm)["VBDs"]:
        record = db.get("VBD", vbd)
        if record["type"] != "CD" and db.exists("VDI", record["VDI"]):
            type_ = db.get("SR", db.get("VDI", record["VDI"])["SR"])["type"]
            if "VDI_SNAPSHOT" not in sr_operations.features(db, type_):
                raise Fault("SR_OPERATION_NOT_SUPPORTED", vm)


@message("VM.revert")
def revert(call: Call, snapshot: str) -> None:
    """The VM is what it was; a running one is shut down by force first, one that is gone comes back.

    Raises VM_REVERT_FAILED [snapshot, vm], the VM halted then.
    """
    db = call.db
    vm = db.get("VM", snapshot)["snapshot_of"]
    if not db.exists("VM", vm):
        vm = snapshots.bring_back(call, snapshot)
    with running(call, snapshot, "revert"), running(call, vm, "reverting"):
        try:
            if db.get("VM", vm)["power_state"] != "Halted":
                call.call("VM.hard_shutdown", vm)
            snapshots.put_back(call, snapshot, vm)
        except Fault as fault:
            if fault.code in SAID_AS_THEY_ARE:
                raise
            raise Fault("VM_REVERT_FAILED", snapshot, vm) from fault
    record = db.get("VM", snapshot)
    guest_power.tell(call, vm, "VM_SNAPSHOT_REVERTED", f"reverted to snapshot: {record['name_label']} (uuid {record['uuid']})")
