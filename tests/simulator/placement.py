# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a VM can start (xen-api: ocaml/xapi/xapi_vm_helpers.ml: validate_basic_parameters, assert_can_boot_here, choose_host_for_vm)."""

from __future__ import annotations

import re
import typing as t

from . import evacuation, memory, operations
from .errors import Fault
from .modeltypes import NULL

if t.TYPE_CHECKING:
    from .database import Database, Record

CRASH_ACTIONS = ("destroy", "coredump_and_destroy", "restart", "coredump_and_restart", "preserve", "rename_restart")


def wrong_parameters(db: Database, vm: str) -> Fault | None:
    """What no host would start: vCPU numbers, the order of the memory limits, the shadow multiplier."""
    record = db.get("VM", vm)
    return _wrong_vcpus(record) or _wrong_memory(record) or _wrong_shadow(record)


def _wrong_vcpus(record: Record) -> Fault | None:
    most, first = record["VCPUs_max"], record["VCPUs_at_startup"]
    if most < 1:
        return Fault("INVALID_VALUE", "VCPUs_max", str(most))
    if first < 1:
        return Fault("INVALID_VALUE", "VCPUs-at-startup", str(first))
    return Fault("VALUE_NOT_SUPPORTED", "VCPUs-at-startup", str(first), "value greater than VCPUs-max") if first > most else None


def _wrong_memory(record: Record) -> Fault | None:
    limits = [record[f"memory_{name}"] for name in ("static_min", "dynamic_min", "dynamic_max", "static_max")]
    least = re.search(r'field="memory-static-min"\s+min="(\d+)"', record["recommendations"])
    in_order = limits == sorted(limits) and (not least or limits[0] >= int(least[1]))
    return None if in_order else Fault("MEMORY_CONSTRAINT_VIOLATION")


def _wrong_shadow(record: Record) -> Fault | None:
    value = record["HVM_shadow_multiplier"]
    return Fault("INVALID_VALUE", "HVM_shadow_multiplier", memory.told(value)) if value < 1 else None


def refusal(
    db: Database, vm: str, host: str, *, with_memory: bool = True, with_storage: bool = True, with_features: bool = True
) -> Fault | None:
    """Why the VM can't run on the host, or None; checks in xapi's order."""
    record = db.get("VM", vm)
    fault = wrong_parameters(db, vm) or evacuation.cannot_boot(db, vm, host, with_storage=with_storage, with_features=with_features)
    return fault or _too_small(db, vm, record, host, with_memory)


def _too_small(db: Database, vm: str, record: Record, host: str, with_memory: bool) -> Fault | None:
    here = host in (record["resident_on"], record["scheduled_to_be_resident_on"])
    if with_memory and not here:
        needed, available = memory.need(db, vm), memory.free(db, host)
        if needed > available:
            return Fault("HOST_NOT_ENOUGH_FREE_MEMORY", str(needed), str(available))
    cpus = int(db.get("host", host)["cpu_info"].get("cpu_count", "0"))
    crowded = record["VCPUs_at_startup"] > cpus and record["platform"].get("vcpu-unrestricted") != "true"
    return Fault("HOST_NOT_ENOUGH_PCPUS", str(record["VCPUs_at_startup"]), str(cpus)) if crowded and cpus else None


def possible_hosts(db: Database, vm: str, *, with_memory: bool = True) -> list[str]:
    """Hosts the VM can run on."""
    return [host for host in db.all("host") if refusal(db, vm, host, with_memory=with_memory) is None]


def _welcomes(db: Database, host: str) -> bool:
    """Whether the host may be chosen for a new guest: not while it is emptied, nor during an upgrade while others are newer."""
    if "evacuate" in db.get("host", host)["current_operations"].values():
        return False
    return not operations.upgrading(db) or evacuation.is_newest(db, host)


def neighbours(db: Database, vm: str, host: str) -> int:
    """How many VMs of its anti-affinity groups the host has already."""
    groups = [db.get("VM_group", group) for group in db.get("VM", vm)["groups"] if db.exists("VM_group", group)]
    others = {other for group in groups if group["placement"] == "anti_affinity" for other in group["VMs"]} - {vm}
    return sum(host in (db.get("VM", other)["resident_on"], db.get("VM", other)["scheduled_to_be_resident_on"]) for other in others)


def choose(db: Database, vm: str) -> str:
    """The host to start on: with fewest VMs of its anti-affinity group, the affine one, those with most free memory, the coordinator last.

    Raises NO_HOSTS_AVAILABLE, or with one host in the pool what that one says.
    """
    fault = wrong_parameters(db, vm)
    if fault:
        raise fault
    fitting = [host for host in possible_hosts(db, vm) if _welcomes(db, host)]
    if not fitting:
        if len(db.all("host")) == 1:
            raise refusal(db, vm, next(iter(db.all("host")))) or Fault("NO_HOSTS_AVAILABLE")
        raise Fault("NO_HOSTS_AVAILABLE")
    affinity, pool = db.get("VM", vm)["affinity"], next(iter(db.all("pool").values()))

    def rank(host: str) -> tuple[int, bool, bool, int]:
        shunned = bool(pool["coordinator_bias"]) and host == pool["master"]
        return -neighbours(db, vm, host), affinity != NULL and host == affinity, not shunned, memory.free(db, host)

    return max(fitting, key=rank)
