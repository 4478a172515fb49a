# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Emptying a host, and its memory. Rules: xen-api ocaml/xapi/xapi_host.ml."""

from __future__ import annotations

import typing as t

from .. import evacuation, memory, migration, operations
from ..errors import Fault
from ..hosts import at_host
from ..modeltypes import NULL
from . import message

if t.TYPE_CHECKING:
    from ..dispatch import Call


@message("host.get_vms_which_prevent_evacuation")
def get_vms_which_prevent_evacuation(call: Call, self: str) -> dict[str, list[str]]:
    """Each VM that can't leave, with the error it would have."""
    return {vm: fate.description for vm, fate in evacuation.make_plan(call, self).items() if isinstance(fate, Fault)}


@message("host.assert_can_evacuate")
def assert_can_evacuate(call: Call, host: str) -> None:
    """Raises CANNOT_EVACUATE_HOST with all errors in one string."""
    faults = [fate for fate in evacuation.make_plan(call, host).values() if isinstance(fate, Fault)]
    if faults:
        raise Fault("CANNOT_EVACUATE_HOST", "|".join(",".join(fault.description) for fault in faults))


@message("host.get_uncooperative_resident_VMs")
def get_uncooperative_resident_vms(call: Call, self: str) -> list[str]:
    """Always empty."""
    call.db.get("host", self)
    return []


@message("host.evacuate")
def evacuate(call: Call, host: str, network: str, evacuate_batch_size: int) -> None:
    """The guests move; the host stays as enabled as it was."""
    at_host(call, host)
    with operations.running_on_host(call, host, "evacuate"):
        plan = evacuation.make_plan(call, host)
        for fate in plan.values():
            if isinstance(fate, Fault):
                raise fate
        targets = {vm: str(fate) for vm, fate in plan.items()}
        if network != NULL:
            for target in sorted(set(targets.values())):
                migration.check_network(call, network, target)
        for done, (vm, target) in enumerate(targets.items(), 1):
            _migrate(call, vm, target, network)
            call.progress(done / len(targets))
        if evacuation.guests(call.db, host):
            raise Fault("INTERNAL_ERROR", "VMs still resident on the host")


def _migrate(call: Call, vm: str, target: str, network: str) -> None:
    """A guest that was shut down meanwhile is no reason to stop."""
    options = {"live": "true", **({"network": network} if network != NULL else {})}
    try:
        call.call("VM.pool_migrate", vm, target, options)
    except Fault as fault:
        if fault.code != "VM_BAD_POWER_STATE":
            raise


@message("host.compute_free_memory")
def compute_free_memory(call: Call, host: str) -> int:
    """Bytes left for guests."""
    call.db.get("host", host)
    return memory.free(call.db, host)


@message("host.compute_memory_overhead")
def compute_memory_overhead(call: Call, host: str) -> int:
    """Bytes the hypervisor takes."""
    return int(call.db.get("host", host)["memory_overhead"])
