# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Marking the operation a VM is in, and allowed_operations of all that belongs to it.

Rules: xen-api ocaml/xapi/message_forwarding.ml (with_vm_operation, retry), xapi_vm.ml (update_allowed_operations).
"""

from __future__ import annotations

import contextlib
import typing as t

from . import appliance_operations, device_operations, vdi_operations
from .database import new_ref
from .operations import rules
from .vm_operations import refusal

if t.TYPE_CHECKING:
    from .database import Database
    from .dispatch import Call

PATIENCE = 120  # virtual seconds another operation is waited for
PAUSE = 2
BREATH = 0.005  # real seconds at each look: where time does not count, the other operation still has to come to its end
VTPM_NEEDS = "Halted"


def refresh(db: Database, vm: str) -> None:
    """allowed_operations of the VM, its devices, their disks and its TPM anew."""
    record = db.get("VM", vm)
    for vbd in record["VBDs"]:
        device_operations.refresh(db, "VBD", vbd)
        vdi = db.get("VBD", vbd)["VDI"]
        if db.exists("VDI", vdi):
            vdi_operations.refresh(db, vdi)
    for vif in record["VIFs"]:
        device_operations.refresh(db, "VIF", vif)
    for vtpm in record["VTPMs"]:
        db.set("VTPM", vtpm, allowed_operations=["destroy"] if record["power_state"] == VTPM_NEEDS else [])
    refresh_vm(db, vm)


def refresh_vm(db: Database, vm: str) -> None:
    """The VM's own and its appliance's."""
    appliance_operations.refresh(db, db.get("VM", vm)["appliance"])
    hidden = rules("VM")["never_in_allowed_operations"]
    known = db.schema.enums["vm_operations"]
    db.set("VM", vm, allowed_operations=[op for op in known if op not in hidden and refusal(db, vm, op) is None])


def await_turn(call: Call, vm: str, operation: str, *, strict: bool = True) -> None:
    """Waits while another operation is in the way; raises why the VM does not allow this one."""
    waited = 0
    while fault := refusal(call.db, vm, operation, strict=strict):
        if fault.code != "OTHER_OPERATION_IN_PROGRESS" or waited >= PATIENCE:
            raise fault
        call.sleep(PAUSE)
        call.world.pause(BREATH)
        waited += PAUSE


@contextlib.contextmanager
def running(call: Call, vm: str, operation: str, *, strict: bool = True) -> t.Iterator[str]:
    """Checks, then lists the operation while the block runs; gives the key it is listed under."""
    db = call.db
    await_turn(call, vm, operation, strict=strict)
    task = call.task or new_ref()
    db.add_to_map("VM", vm, "current_operations", task, operation)
    refresh(db, vm)
    try:
        yield task
    finally:
        if db.exists("VM", vm):
            db.remove_from_map("VM", vm, "current_operations", task)
            refresh(db, vm)
