# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which operations a VM allows (xen-api: ocaml/xapi/xapi_vm_lifecycle.ml). Tables: data/allowed_operations.json."""

from __future__ import annotations

import typing as t

from .errors import Fault
from .modeltypes import NULL
from .operations import pool_of, rules, upgrading

if t.TYPE_CHECKING:
    from .database import Database, Record

MOVES = frozenset({"suspend", "checkpoint", "pool_migrate", "migrate_send"})
KEEPS_DISKS = frozenset({"suspend", "checkpoint", "snapshot"})
LONG_COPIES = frozenset({"clone", "copy"})
CLONE_SUSPENDED = "allow_clone_suspended_vm"  # pool.other_config
TEMPLATE_KEY = "default_template"
LIVE = ("Running", "Paused")


class Asking(t.NamedTuple):
    """A question: may this VM do that? ``strict``: as for allowed_operations, not as for a forced call."""

    db: Database
    vm: str
    record: Record
    operation: str
    strict: bool

    def refuse(self, code: str, *params: str) -> Fault:
        """An error about the VM."""
        return Fault(code, self.vm, *params)


def is_default_template(record: Record) -> bool:
    """Whether a template came with the product."""
    return bool(record["is_default_template"]) or record["other_config"].get(TEMPLATE_KEY) == "true"


def refusal(db: Database, vm: str, operation: str, *, strict: bool = True) -> Fault | None:
    """Why the VM does not allow it now, or None; checks in xapi's order."""
    asking = Asking(db, vm, db.get("VM", vm), operation, strict)
    return next((fault for check in _CHECKS if (fault := check(asking)) is not None), None)


def check(db: Database, vm: str, operation: str, *, strict: bool = True) -> None:
    """Raises why the VM does not allow the operation."""
    fault = refusal(db, vm, operation, strict=strict)
    if fault:
        raise fault


def assert_power_state(db: Database, vm: str, expected: str) -> None:
    """Raises VM_BAD_POWER_STATE [vm, expected, actual]."""
    actual = db.get("VM", vm)["power_state"]
    if actual != expected:
        raise Fault("VM_BAD_POWER_STATE", vm, expected.lower(), actual.lower())


def named(operation: str) -> str:
    """An operation as errors spell it."""
    return str(rules("VM")["names_in_errors"].get(operation, operation))


# who, when -----------------------------------------------------------------------------------------------------------
def _blocked(a: Asking) -> Fault | None:
    blocked = a.record["blocked_operations"]
    return a.refuse("OPERATION_BLOCKED", blocked[a.operation]) if a.operation in blocked else None


def power_states(a: Asking) -> list[str]:
    """The states the operation needs, in the order errors list them."""
    table = rules("VM")["power_states"]
    states = list(table["_all"]) if table[a.operation] == "_all" else list(table[a.operation])
    if a.operation in LONG_COPIES and (a.record["is_a_snapshot"] or pool_of(a.db)[1]["other_config"].get(CLONE_SUSPENDED) == "true"):
        states.append("Suspended")
    if a.operation == "changing_memory_limits" and a.record["is_control_domain"]:
        states.append("Running")
    return states


def _wrong_power_state(a: Asking) -> Fault | None:
    needed, actual = power_states(a), a.record["power_state"]
    return None if actual in needed else a.refuse("VM_BAD_POWER_STATE", ", ".join(needed).lower(), actual.lower())


def _busy(a: Asking) -> Fault | None:
    running = a.record["current_operations"]
    if not running or _fits_beside(a.operation, list(running.values())):
        return None
    if len(running) == 1:
        return Fault("OTHER_OPERATION_IN_PROGRESS", "VM", a.vm, next(iter(running.values())), next(iter(running)))
    return Fault("OTHER_OPERATION_IN_PROGRESS", "VM", a.vm, f"{{{','.join(running.values())}}}", f"{{{','.join(running)}}}")


def _fits_beside(operation: str, running: list[str]) -> bool:
    if operation == "hard_shutdown":
        return "hard_shutdown" not in running
    if operation == "hard_reboot":
        return not {"hard_shutdown", "hard_reboot"} & set(running)
    if running == ["migrate_send"] and operation in ("metadata_export", "clean_shutdown", "clean_reboot"):
        return True
    if running == ["snapshot_with_quiesce"] and operation == "snapshot":
        return True
    return set(running) <= set(rules("VM")["parallel_ok"].get(operation, ()))


# what the VM is ------------------------------------------------------------------------------------------------------
def _template(a: Asking) -> Fault | None:
    if not a.record["is_a_template"] or a.record["is_a_snapshot"]:
        return None
    fine = a.operation in rules("VM")["template_ok"]
    own = a.operation in rules("VM")["template_ok_if_not_default"] and not is_default_template(a.record)
    return None if fine or own else a.refuse("VM_IS_TEMPLATE", named(a.operation))


def _snapshot(a: Asking) -> Fault | None:
    if a.record["is_a_snapshot"]:
        return None if a.operation in rules("VM")["snapshot_ok"] else a.refuse("VM_IS_SNAPSHOT", named(a.operation))
    return Fault("REVERT_ONLY_ALLOWED_ON_SNAPSHOT") if a.operation == "revert" else None


def _provision(a: Asking) -> Fault | None:
    return Fault("PROVISION_ONLY_ALLOWED_ON_TEMPLATE") if a.operation == "provision" and not a.record["is_a_template"] else None


def _immobile(a: Asking) -> Fault | None:
    """What the domain was started with counts, else what the next one will be."""
    nested, fixed = (_in_effect(a, flag, key) for flag, key in (("nested_virt", "nested-virt"), ("nomigrate", "nomigrate")))
    if a.operation in MOVES and a.strict and (nested or fixed):
        return a.refuse("VM_IS_IMMOBILE")
    return a.refuse("VM_IS_USING_NESTED_VIRT") if a.operation == "changing_dynamic_range" and nested else None


def _in_effect(a: Asking, flag: str, key: str) -> bool:
    if a.record["power_state"] in LIVE and a.db.exists("VM_metrics", a.record["metrics"]):
        return bool(a.db.get("VM_metrics", a.record["metrics"])[flag])
    return bool(a.record["platform"].get(key) == "true")


def _control_domain(a: Asking) -> Fault | None:
    if not a.record["is_control_domain"]:
        return None
    first = any(host["control_domain"] == a.vm for host in a.db.all("host").values())
    allowed = a.operation in rules("VM")["control_domain_ok"] and not (first and a.operation in rules("VM")["dom0_never"])
    return None if allowed else Fault("OPERATION_NOT_ALLOWED", "This operation is not allowed on a control domain")


# what the guest says -------------------------------------------------------------------------------------------------
def guest_metrics(db: Database, record: Record) -> Record | None:
    """What the guest reports, if there is a record of it."""
    return db.get("VM_guest_metrics", record["guest_metrics"]) if db.exists("VM_guest_metrics", record["guest_metrics"]) else None


def has_pv_drivers(db: Database, record: Record) -> bool:
    """Whether the guest's drivers showed themselves."""
    metrics = guest_metrics(db, record)
    return metrics is not None and bool(metrics["PV_drivers_detected"])


def runs_hvm(record: Record) -> bool:
    """Whether the guest needs drivers of its own for what PV guests do by nature."""
    return record["domain_type"] not in ("pv", "pv_in_pvh", "pvh")


def _guest_features(a: Asking) -> Fault | None:
    needed = rules("VM")["guest_feature_needed"].get(a.operation)
    if not needed or a.record["power_state"] not in LIVE:
        return None
    metrics = guest_metrics(a.db, a.record)
    reported = metrics["other"] if metrics else {}
    if a.operation in MOVES and "data-cant-suspend-reason" in reported:
        return a.refuse("VM_NON_SUSPENDABLE", reported["data-cant-suspend-reason"])
    implied = not runs_hvm(a.record) or has_pv_drivers(a.db, a.record)
    lacking = a.strict and not implied and not any(reported.get(feature) == "1" for feature in needed)
    return a.refuse("VM_LACKS_FEATURE") if lacking else None


def _quiesce(a: Asking) -> Fault | None:
    return a.refuse("VM_SNAPSHOT_WITH_QUIESCE_NOT_SUPPORTED") if a.operation == "snapshot_with_quiesce" else None


# what belongs to it --------------------------------------------------------------------------------------------------
def _disks(a: Asking) -> Fault | None:
    vdis = [a.db.get("VDI", vdi) for vbd in a.record["VBDs"] if a.db.exists("VDI", vdi := a.db.get("VBD", vbd)["VDI"])]
    reset = [vdi for vdi in vdis if vdi["on_boot"] == "reset"]
    if a.operation == "pool_migrate":
        reset = [vdi for vdi in reset if vdi["allow_caching"]]
    matters = a.operation in KEEPS_DISKS or a.operation == "pool_migrate"
    return Fault("VDI_ON_BOOT_MODE_INCOMPATIBLE_WITH_OPERATION") if matters and reset else None


def _devices(a: Asking) -> Fault | None:
    if a.operation in MOVES and a.record["attached_PCIs"]:
        return a.refuse("VM_HAS_PCI_ATTACHED")
    state = a.record["power_state"]
    at_rest = (a.operation == "migrate_send" and state == "Halted") or (a.operation == "checkpoint" and state == "Suspended")
    if a.operation in MOVES and a.record["VGPUs"] and not at_rest:
        return a.refuse("VM_HAS_VGPU")
    return a.refuse("VM_HAS_VUSBS") if a.operation in MOVES | {"snapshot"} and a.record["VUSBs"] else None


def _memberships(a: Asking) -> Fault | None:
    if a.operation != "make_into_template":
        return None
    fields = (
        ("appliance", "VM_appliance", "VM_IS_PART_OF_AN_APPLIANCE"),
        ("protection_policy", "VMPP", "VM_ASSIGNED_TO_PROTECTION_POLICY"),
        ("snapshot_schedule", "VMSS", "VM_ASSIGNED_TO_SNAPSHOT_SCHEDULE"),
    )
    found = ((code, a.record[field]) for field, cls, code in fields if a.record[field] != NULL and a.db.exists(cls, a.record[field]))
    return next((a.refuse(code, ref) for code, ref in found), None)


def _system_domain(a: Asking) -> Fault | None:
    special = a.record["other_config"].get("is_system_domain") == "true"
    return a.refuse("NOT_SYSTEM_DOMAIN") if a.operation == "query_services" and not special else None


def _upgrading(a: Asking) -> Fault | None:
    waits = a.operation not in rules("VM")["rolling_upgrade_ok"] and upgrading(a.db)
    return Fault("NOT_SUPPORTED_DURING_UPGRADE") if waits else None


def _vtpm(a: Asking) -> Fault | None:
    there = len(a.record["VTPMs"])
    return Fault("VTPM_MAX_AMOUNT_REACHED", str(there)) if a.operation == "create_vtpm" and there else None


_CHECKS: tuple[t.Callable[[Asking], Fault | None], ...] = (
    _blocked, _wrong_power_state, _busy, _template, _snapshot, _provision, _immobile, _control_domain, _guest_features, _quiesce,
    _disks, _devices, _memberships, _system_domain, _upgrading, _vtpm,
)  # fmt: skip
