# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which operations an appliance allows (xen-api: ocaml/xapi/xapi_vm_appliance_lifecycle.ml)."""

from __future__ import annotations

import typing as t

from .errors import Fault

if t.TYPE_CHECKING:
    from .database import Database

# operation -> the states one of its VMs must be in, and what is said when none is
NEEDS: dict[str, tuple[tuple[str, ...], str]] = {
    "start": (("Halted",), "There are no halted VMs in this appliance."),
    "clean_shutdown": (("Running",), "There are no running VMs in this appliance."),
    "hard_shutdown": (("Running", "Paused", "Suspended"), "All VMs in this appliance are halted."),
    "shutdown": (("Running", "Paused", "Suspended"), "All VMs in this appliance are halted."),
}


def refusal(db: Database, appliance: str, operation: str) -> Fault | None:
    """Why the appliance does not allow it now, or None."""
    record = db.get("VM_appliance", appliance)
    for task, running in record["current_operations"].items():
        return Fault("OTHER_OPERATION_IN_PROGRESS", "VM_appliance", appliance, running, task)
    if not record["VMs"]:
        return Fault("OPERATION_NOT_ALLOWED", "Appliance has no VMs.")
    states, otherwise = NEEDS[operation]
    fits = any(db.get("VM", vm)["power_state"] in states for vm in record["VMs"])
    return None if fits else Fault("OPERATION_NOT_ALLOWED", otherwise)


def refresh(db: Database, appliance: str) -> None:
    """allowed_operations anew, if there is such an appliance."""
    if db.exists("VM_appliance", appliance):
        db.set("VM_appliance", appliance, allowed_operations=[op for op in NEEDS if refusal(db, appliance, op) is None])
