# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the guests of a host can go. Rules: xen-api ocaml/xapi/xapi_host.ml, xapi_vm_helpers.ml."""

from __future__ import annotations

import re
import typing as t

from . import evacuation_plan, memory, passthrough, vm_operations
from . import networking as net
from .errors import Fault
from .hosts import is_live

if t.TYPE_CHECKING:
    from .database import Database, Record
    from .dispatch import Call

VERSIONED = ("platform_version", "xapi_build", "xen")
Plan = dict[str, "str | Fault"]


def guests(db: Database, host: str) -> list[str]:
    """VMs on the host, control domains left out."""
    return [vm for vm in db.get("host", host)["resident_VMs"] if not db.get("VM", vm)["is_control_domain"]]


def make_plan(call: Call, host: str, *, with_ha: bool = True) -> Plan:
    """For each guest the host it can go to, or the fault that keeps it here; guests HA does not protect may be overlooked."""
    db = call.db
    leaving = guests(db, host)
    targets = [h for h, record in db.all("host").items() if h != host and record["enabled"] and not is_older(db, h, host)]
    if not targets:
        return {vm: Fault("NO_HOSTS_AVAILABLE", vm) for vm in leaving}
    plan: Plan = {}
    for vm in leaving:
        fault = (_unprotected(db, vm) if with_ha else None) or next((f for h in targets if (f := cannot_boot(db, vm, h))), None)
        fault = _cannot_migrate(call, vm) or fault
        if fault:
            plan[vm] = fault
    sizes = {vm: memory.need(db, vm) for vm in leaving if vm not in plan}
    found = evacuation_plan.make(sizes, {h: memory.free(db, h) for h in targets}, _groups(db, sizes, targets), len(db.all("host")))
    return plan | {vm: found.get(vm) or Fault("HOST_NOT_ENOUGH_FREE_MEMORY", vm) for vm in sizes}


def _groups(db: Database, leaving: t.Iterable[str], targets: t.Iterable[str]) -> evacuation_plan.Grouped:
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


def as_numbers(text: str) -> list[int]:
    """The numbers of a version."""
    return [int(part) for part in re.findall(r"\d+", text)]


def is_older(db: Database, host: str, than: str) -> bool:
    """Whether a host's software is older in any of the compared versions."""
    return older(db.get("host", host)["software_version"], db.get("host", than)["software_version"])


def is_newest(db: Database, host: str) -> bool:
    """Whether no host of the pool has newer software."""
    return not any(is_older(db, host, other) for other in db.all("host"))


def older(left: t.Mapping[str, str], right: t.Mapping[str, str]) -> bool:
    """Whether one software_version is older than another in any of the compared versions."""
    return any(as_numbers(left.get(key, "")) < as_numbers(right.get(key, "")) for key in VERSIONED)


def _unprotected(db: Database, vm: str) -> Fault | None:
    pool = next(iter(db.all("pool").values()))
    protected = db.get("VM", vm)["ha_restart_priority"] == "restart"
    return Fault("HOST_EVACUATE_VM_NOT_HA_PROTECTED", vm) if pool["ha_enabled"] and not protected else None


def _cannot_migrate(call: Call, vm: str) -> Fault | None:
    return vm_operations.refusal(call.db, vm, "pool_migrate")


def cannot_boot(db: Database, vm: str, host: str, *, with_storage: bool = True, with_features: bool = True) -> Fault | None:
    """Why the VM can't run on the host, memory left out; None if it can."""
    if not is_live(db, host):
        return Fault("HOST_NOT_LIVE")
    record = db.get("host", host)
    if not record["enabled"] and db.get("VM", vm)["resident_on"] != host:
        return Fault("HOST_DISABLED", host)
    fault = lacks_platform(db.get("VM", vm), vm, record, host)
    if not fault and with_features:
        fault = lacks_features(db.get("VM", vm), vm, record, host)
    if not fault and with_storage:
        fault = _lacks_storage(db, vm, host)
    return fault or _lacks_network(db, vm, host) or passthrough.refusal(db, vm, host)


def lacks_platform(vm_record: Record, vm: str, record: Record, host: str) -> Fault | None:
    """The virtual hardware must be one the host knows."""
    version, known = vm_record["hardware_platform_version"], record["virtual_hardware_platform_versions"]
    if version in known:
        return None
    listed = f"[{'; '.join(map(str, known))}]"
    return Fault("VM_HOST_INCOMPATIBLE_VIRTUAL_HARDWARE_PLATFORM_VERSION", host, listed, vm, str(version))


def lacks_features(vm_record: Record, vm: str, record: Record, host: str) -> Fault | None:
    """A running or suspended VM keeps the CPU features it was booted with."""
    if vm_record["power_state"] == "Halted":
        return None
    wanted = vm_record["last_boot_CPU_flags"].get("features", "")
    offered = record["cpu_info"].get("features_hvm", "")
    pairs = zip(wanted.split("-"), offered.split("-")) if wanted and offered else ()
    if any(int(w, 16) & ~int(o, 16) for w, o in pairs):
        return Fault("VM_INCOMPATIBLE_WITH_THIS_HOST", vm, host, "VM last booted on a CPU with features this host's CPU does not have.")
    return None


def _lacks_storage(db: Database, vm: str, host: str) -> Fault | None:
    """The SRs of its disks, inserted discs and suspend image."""
    record = db.get("VM", vm)
    for vdi in (*(db.get("VBD", vbd)["VDI"] for vbd in record["VBDs"]), record["suspend_VDI"]):
        if db.exists("VDI", vdi):
            sr = db.get("VDI", vdi)["SR"]
            if not db.find("PBD", SR=sr, host=host, currently_attached=True):
                return Fault("VM_REQUIRES_SR", vm, sr)
    return None


def _lacks_network(db: Database, vm: str, host: str) -> Fault | None:
    for vif in db.get("VM", vm)["VIFs"]:
        network = db.get("VIF", vif)["network"]
        record = db.get("network", network)
        pif = net.pif_on(db, host, network)
        if pif and net.is_member(db, db.get("PIF", pif)):
            return Fault("HOST_CANNOT_ATTACH_NETWORK", host, network)
        if record["PIFs"] and not pif:
            return Fault("VM_REQUIRES_NETWORK", vm, network)
        if not record["PIFs"] and record["other_config"].get("assume_network_is_shared") != "true" and _in_use_elsewhere(db, network, host):
            return Fault("VM_REQUIRES_NETWORK", vm, network)
    return None


def _in_use_elsewhere(db: Database, network: str, host: str) -> bool:
    """An internal network is tied to the host whose running VMs use it."""
    for vif in db.get("network", network)["VIFs"]:
        record = db.get("VIF", vif)
        if record["currently_attached"] and db.exists("VM", record["VM"]):
            resident = db.get("VM", record["VM"])["resident_on"]
            if db.exists("host", resident) and resident != host:
                return True
    return False
