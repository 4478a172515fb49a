# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the guests of a host can go. Rules: xen-api ocaml/xapi/xapi_host.ml, xapi_vm_helpers.ml."""

from __future__ import annotations

import re
import typing as t

from . import networking as net
from . import passthrough
from .errors import Fault
from .hosts import is_live

if t.TYPE_CHECKING:
    from .database import Database, Record

VERSIONED = ("platform_version", "xapi_build", "xen")


def guests(db: Database, host: str) -> list[str]:
    """VMs on the host, control domains left out."""
    return [vm for vm in db.get("host", host)["resident_VMs"] if not db.get("VM", vm)["is_control_domain"]]


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
