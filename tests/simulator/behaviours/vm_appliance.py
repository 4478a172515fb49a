# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VMs that are started and stopped together, in their order. Rules: xen-api ocaml/xapi/xapi_vm_appliance.ml."""

from __future__ import annotations

import contextlib
import itertools
import typing as t

from .. import appliance_operations as operations
from .. import vm_running
from ..database import new_ref
from ..errors import Fault
from . import message

if t.TYPE_CHECKING:
    from ..dispatch import Call


@message("VM.set_appliance")
def set_appliance(call: Call, self: str, value: str) -> None:
    """Out of one appliance, into another. Raises OPERATION_NOT_ALLOWED for what is no ordinary VM."""
    record = call.db.get("VM", self)
    before = record["appliance"]
    if record["is_control_domain"] or record["is_a_template"] or record["is_a_snapshot"]:
        raise Fault("OPERATION_NOT_ALLOWED", "Control domains, templates and snapshots cannot be assigned to appliances.")
    call.db.set("VM", self, appliance=value)
    vm_running.refresh(call.db, self)
    operations.refresh(call.db, before)


@contextlib.contextmanager
def _running(call: Call, appliance: str, operation: str) -> t.Iterator[None]:
    fault = operations.refusal(call.db, appliance, operation)
    if fault:
        raise fault
    task = call.task or new_ref()
    call.db.add_to_map("VM_appliance", appliance, "current_operations", task, operation)
    operations.refresh(call.db, appliance)
    try:
        yield
    finally:
        if call.db.exists("VM_appliance", appliance):
            call.db.remove_from_map("VM_appliance", appliance, "current_operations", task)
            operations.refresh(call.db, appliance)


def _perform(call: Call, appliance: str, operation: str, goal: str, method: str, *arguments: bool, upwards: bool = False) -> None:
    """On every VM that is not there yet, one order after the other.

    Raises OPERATION_PARTIALLY_FAILED [operation, vm ...] with those that did not get there.
    """
    db = call.db

    def order(vm: str) -> int:
        return int(db.get("VM", vm)["order"])

    with _running(call, appliance, operation):
        targets = [vm for vm in db.get("VM_appliance", appliance)["VMs"] if db.get("VM", vm)["power_state"] != goal]
        for _order, group in itertools.groupby(sorted(targets, key=order, reverse=not upwards), key=order):
            for vm in group:
                with contextlib.suppress(Fault):
                    call.call(method, vm, *arguments)
        failed = [vm for vm in targets if db.get("VM", vm)["power_state"] != goal]
        if failed:
            raise Fault("OPERATION_PARTIALLY_FAILED", f"VM_appliance.{operation}", *failed)


@message("VM_appliance.start")
def start(call: Call, self: str, paused: bool) -> None:
    """Lowest order first."""
    _perform(call, self, "start", "Paused" if paused else "Running", "VM.start", paused, False, upwards=True)


@message("VM_appliance.clean_shutdown")
def clean_shutdown(call: Call, self: str) -> None:
    """Highest order first; every guest is asked."""
    _perform(call, self, "clean_shutdown", "Halted", "VM.clean_shutdown")


@message("VM_appliance.hard_shutdown")
def hard_shutdown(call: Call, self: str) -> None:
    """Highest order first, by force."""
    _perform(call, self, "hard_shutdown", "Halted", "VM.hard_shutdown")


@message("VM_appliance.shutdown")
def shutdown(call: Call, self: str) -> None:
    """The same as by force."""
    _perform(call, self, "shutdown", "Halted", "VM.hard_shutdown")
