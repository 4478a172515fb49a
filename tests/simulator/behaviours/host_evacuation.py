# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Emptying a host, and its memory. Rules: xen-api ocaml/xapi/xapi_host.ml."""

from __future__ import annotations

import typing as t
from dataclasses import replace

from .. import evacuation, leaving, memory, migration, operations, tasks
from ..errors import Fault
from ..hosts import at_host
from ..modeltypes import NULL, Type
from . import message

if t.TYPE_CHECKING:
    from ..dispatch import Call

BATCH = 10  # migrations at a time (xapi.conf: evacuation-batch-size)
LOOK = 0.05  # real seconds at most between looks at the tasks


@message("host.get_vms_which_prevent_evacuation")
def get_vms_which_prevent_evacuation(call: Call, self: str) -> dict[str, list[str]]:
    """Each VM that can't leave, with the error it would have."""
    return {vm: fate.description for vm, fate in leaving.make_plan(call, self).items() if isinstance(fate, Fault)}


@message("host.assert_can_evacuate")
def assert_can_evacuate(call: Call, host: str) -> None:
    """Raises CANNOT_EVACUATE_HOST with all errors in one string."""
    faults = [fate for fate in leaving.make_plan(call, host).values() if isinstance(fate, Fault)]
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
        plan = leaving.make_plan(call, host)
        for fate in plan.values():
            if isinstance(fate, Fault):
                raise fate
        targets = {vm: str(fate) for vm, fate in plan.items()}
        if network != NULL:
            for target in sorted(set(targets.values())):
                migration.check_network(call, network, target)
        _move(call, targets, network, evacuate_batch_size if evacuate_batch_size > 0 else BATCH)
        if evacuation.guests(call.db, host):
            raise Fault("INTERNAL_ERROR", "VMs still resident on the host")


def _move(call: Call, targets: dict[str, str], network: str, most: int) -> None:
    """So many at a time, the next when one has ended. Raises the first error; what is on its way then goes on."""
    waiting, moving, ended = list(targets.items()), t.cast("list[str]", []), 0
    while waiting or moving:
        while waiting and len(moving) < most:
            moving.append(_start(call, *waiting.pop(0), network))
        done = [task for task in moving if call.db.get("task", task)["status"] != tasks.PENDING]
        if not done:
            call.world.changed.wait(LOOK)
            continue
        for task in done:
            moving.remove(task)
            _judge(call, task)
        ended += len(done)
        call.progress(ended / len(targets))


def _start(call: Call, vm: str, target: str, network: str) -> str:
    """The task of its migration."""
    options = {"live": "true", **({"network": network} if network != NULL else {})}
    own = replace(call, method="VM.pool_migrate", task=None)
    return tasks.start(own, lambda: own.call("VM.pool_migrate", vm, target, options), Type("void"))[0]


def _judge(call: Call, task: str) -> None:
    """A guest that was shut down meanwhile is no reason to stop. The task goes."""
    record = call.db.get("task", task)
    status, error = record["status"], record["error_info"]
    call.db.destroy("task", task)
    if status != "success" and error[:1] != ["VM_BAD_POWER_STATE"]:
        raise Fault(*(error or ["TASK_CANCELLED", task]))


@message("host.retrieve_wlb_evacuate_recommendations")
def retrieve_wlb_evacuate_recommendations(call: Call, self: str) -> dict[str, list[str]]:
    """Raises WLB_NOT_INITIALIZED or WLB_DISABLED: there is no server."""
    call.db.get("host", self)
    raise Fault("WLB_DISABLED" if call.pool.pool["wlb_url"] else "WLB_NOT_INITIALIZED")


@message("host.compute_free_memory")
def compute_free_memory(call: Call, host: str) -> int:
    """Bytes left for guests."""
    call.db.get("host", host)
    return memory.free(call.db, host)


@message("host.compute_memory_overhead")
def compute_memory_overhead(call: Call, host: str) -> int:
    """Bytes the hypervisor takes."""
    return int(call.db.get("host", host)["memory_overhead"])
