# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of each guest of a host that is emptied: its next host, or why it can't leave. Rules: xen-api ocaml/xapi/xapi_host.ml."""

from __future__ import annotations

import typing as t

from . import evacuation, evacuation_plan, memory, placement, vm_operations
from .errors import Fault

if t.TYPE_CHECKING:
    from .database import Database
    from .dispatch import Call

Plan = dict[str, "str | Fault"]


def make_plan(call: Call, host: str, *, with_ha: bool = True) -> Plan:
    """For each guest the host it can go to, or the fault that keeps it here; guests HA does not protect may be overlooked."""
    db = call.db
    leaving = evacuation.guests(db, host)
    targets = [h for h, record in db.all("host").items() if h != host and record["enabled"] and not evacuation.is_older(db, h, host)]
    if not targets:
        return {vm: Fault("NO_HOSTS_AVAILABLE", vm) for vm in leaving}
    plan: Plan = {}
    for vm in leaving:
        fault = (_unprotected(db, vm) if with_ha else None) or next(
            (f for h in targets if (f := placement.refusal(db, vm, h, with_memory=False))), None
        )
        fault = _cannot_migrate(call, vm) or fault
        if fault:
            plan[vm] = fault
    sizes = {vm: memory.need(db, vm) for vm in leaving if vm not in plan}
    found = evacuation_plan.make(sizes, {h: memory.free(db, h) for h in targets}, groups(db, sizes, targets), len(db.all("host")))
    return plan | {vm: found.get(vm) or Fault("HOST_NOT_ENOUGH_FREE_MEMORY", vm) for vm in sizes}


def groups(db: Database, leaving: t.Iterable[str], targets: t.Iterable[str]) -> evacuation_plan.Grouped:
    """Guests in anti-affinity groups, where the licence allows these."""
    if next(iter(db.all("pool").values()))["restrictions"].get("restrict_vm_groups") != "false":
        return evacuation_plan.Grouped({}, {})
    groups = {ref: record for ref, record in db.all("VM_group").items() if record["placement"] == "anti_affinity"}
    group_of = {vm: group for vm in leaving for group in db.get("VM", vm)["groups"][:1] if group in groups}
    present = {
        group: {host: sum(host in _places(db, vm) for vm in groups[group]["VMs"]) for host in targets} for group in set(group_of.values())
    }
    return evacuation_plan.Grouped(group_of, present)


def _places(db: Database, vm: str) -> tuple[str, str]:
    record = db.get("VM", vm)
    return record["resident_on"], record["scheduled_to_be_resident_on"]


def _unprotected(db: Database, vm: str) -> Fault | None:
    pool = next(iter(db.all("pool").values()))
    protected = db.get("VM", vm)["ha_restart_priority"] == "restart"
    return Fault("HOST_EVACUATE_VM_NOT_HA_PROTECTED", vm) if pool["ha_enabled"] and not protected else None


def _cannot_migrate(call: Call, vm: str) -> Fault | None:
    return vm_operations.refusal(call.db, vm, "pool_migrate")
