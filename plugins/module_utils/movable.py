# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Why a VM cannot go to a host, from records alone: all reasons at once, each a sentence with what to do.

The rules are those of xapi (xen-api: ocaml/xapi/xapi_vm_lifecycle.ml, xapi_vm_helpers.ml, memory_check.ml, cpuid_helpers.ml), which
itself tells the first one only.
"""

from __future__ import annotations

import itertools
import typing as t

from . import hosts
from .capacity import is_older, memory_free, memory_needed
from .formats.sizes import readable_size
from .reasons import Named, Reason, Reasons, name
from .refs import NULL, Objects, Record
from .vms import domain_type, guests

POOL_MIGRATE, MIGRATE_SEND = "pool_migrate", "migrate_send"
MOVING = (POOL_MIGRATE, MIGRATE_SEND)
POWER_STATES = {POOL_MIGRATE: ("Running",), MIGRATE_SEND: ("Running", "Halted", "Suspended")}
LIVE = ("Running", "Paused")
LEAVING = ("evacuate", "reboot", "shutdown")  # what a host does that excludes taking guests
LICENCES = {POOL_MIGRATE: ("restrict_xen_motion", "Xen_motion"), MIGRATE_SEND: ("restrict_storage_xen_motion", "Storage_motion")}
AGENT = "Install the guest tools, or set force: true when the guest is known to bear it."


# the VM -----------------------------------------------------------------------
def stays(objects: Objects, ref: str, operation: str = POOL_MIGRATE, *, force: bool = False) -> list[Reason]:
    """What keeps a VM from moving, wherever to. force: as xapi is told to (guest tools and nomigrate do not count)."""
    vm = objects.get("VM", ref)
    return [
        *_forbidden(objects, vm, operation),
        *_state(vm, operation),
        *_guest(objects, vm, force=force),
        *_devices(objects, vm, operation),
    ]


def _forbidden(objects: Objects, vm: Record, operation: str) -> Reasons:
    blocked = vm["blocked_operations"]
    if operation in blocked:
        why = f" ({blocked[operation]})" if blocked[operation] not in ("", "true") else ""
        yield Reason("OPERATION_BLOCKED", f"{name(vm)} has {operation} blocked{why}.", f"Take {operation} out of its blocked_operations.")
    restriction, feature = LICENCES[operation]
    if hosts.pool_of(objects)[1].get("restrictions", {}).get(restriction) == "true":
        yield Reason(
            "LICENCE_RESTRICTION", f"The licence of the pool does not include {feature}.", "Use another edition or move it halted."
        )


def _state(vm: Record, operation: str) -> Reasons:
    states, actual = POWER_STATES[operation], vm["power_state"]
    if actual not in states:
        text = f"{name(vm)} is {actual.lower()}; it can move while {' or '.join(states).lower()}."
        yield Reason("VM_BAD_POWER_STATE", text, {"Paused": "Unpause", "Suspended": "Resume"}.get(actual, "Start") + " it first.")
    if busy := sorted(set(vm["current_operations"].values())):
        remedy = "Run the task again when it has finished."
        yield Reason("OTHER_OPERATION_IN_PROGRESS", f"{name(vm)} is busy with {', '.join(busy)}.", remedy)


def _guest(objects: Objects, vm: Record, *, force: bool) -> Reasons:
    if vm["power_state"] not in LIVE:
        return
    metrics = objects.all("VM_metrics").get(vm["metrics"], {})
    report = objects.all("VM_guest_metrics").get(vm["guest_metrics"], {})
    says = report.get("other", {})
    for flag, key in (("nomigrate", "nomigrate"), ("nested_virt", "nested-virt")):
        if not force and metrics.get(flag, vm["platform"].get(key) == "true"):
            yield Reason("VM_IS_IMMOBILE", f"{name(vm)} runs with platform {key}=true, which pins it to its host.",
                         f"Stop it, remove {key} from its platform and start it.")  # fmt: skip
    if "data-cant-suspend-reason" in says:
        yield Reason("VM_NON_SUSPENDABLE", f"{name(vm)} says it cannot be suspended: {says['data-cant-suspend-reason']}.",
                     "Change that inside the guest.")  # fmt: skip
    elif not (force or domain_type(vm) != "hvm" or report.get("PV_drivers_detected") or says.get("feature-suspend") == "1"):
        yield Reason("VM_LACKS_FEATURE", f"{name(vm)} has no guest tools running.", AGENT)


def _devices(objects: Objects, vm: Record, operation: str) -> Reasons:
    vdis = objects.all("VDI")
    disks = [vdis[vbd["VDI"]] for vbd in drives(objects, vm).values() if vbd["VDI"] in vdis]
    if operation == POOL_MIGRATE and any(disk["on_boot"] == "reset" and disk["allow_caching"] for disk in disks):
        yield Reason("VDI_ON_BOOT_MODE_INCOMPATIBLE_WITH_OPERATION", f"{name(vm)} has a cached disk that is reset at each boot.",
                     "Stop it first.")  # fmt: skip
    # xapi knows the cards that bear it: then it allows the operation
    allowed = operation in vm["allowed_operations"]
    if vm["attached_PCIs"] and not allowed:
        yield Reason("VM_HAS_PCI_ATTACHED", f"{name(vm)} uses a PCI device of its host.", "Stop it and take the device away.")
    if vm.get("VGPUs") and not allowed and not (operation == MIGRATE_SEND and vm["power_state"] == "Halted"):
        yield Reason("VM_HAS_VGPU", f"{name(vm)} has a virtual GPU.", "Stop it first.")
    if vm.get("VUSBs"):
        yield Reason("VM_HAS_VUSBS", f"{name(vm)} has a USB device of its host.", "Take the device away from it first.")


def drives(objects: Objects, vm: Record) -> dict[str, Record]:
    """Its VBDs by reference, in the order of their places."""
    rows = {ref: objects.get("VBD", ref) for ref in vm["VBDs"]}
    return dict(sorted(rows.items(), key=lambda row: (len(row[1]["userdevice"]), row[1]["userdevice"])))


# the host ---------------------------------------------------------------------
def refuses(theirs: Objects, host: str, vm: Record, *, force: bool = False, with_memory: bool = True) -> list[Reason]:
    """Why a host, of any pool, cannot take the VM, storage and networks left out."""
    record, label = theirs.get("host", host), Named(theirs, "host", host)
    checks = [_down(theirs, host, record, label), _hardware(record, label, vm)]
    if not force:
        checks.append(_cpu(record, label, vm))
    if with_memory and host not in (vm["resident_on"], vm["scheduled_to_be_resident_on"]):
        checks.append(_memory(theirs, host, label, vm))
    return list(itertools.chain.from_iterable(checks))


def _down(theirs: Objects, host: str, record: Record, label: Named) -> Reasons:
    if not hosts.is_live(theirs, host):
        yield Reason("HOST_NOT_LIVE", f"Host {label} is down.", "Switch it on or choose another host.")
    elif not record["enabled"]:
        yield Reason("HOST_DISABLED", f"Host {label} is in maintenance.", "Enable it (xen_host with enabled: true) or choose another host.")
    leaving = sorted(set(record["current_operations"].values()) & set(LEAVING))
    if leaving:
        yield Reason(
            "OTHER_OPERATION_IN_PROGRESS", f"Host {label} is busy with {', '.join(leaving)}.", "Run the task again when it has finished."
        )


def _hardware(record: Record, label: Named, vm: Record) -> Reasons:
    version, known = vm.get("hardware_platform_version"), record.get("virtual_hardware_platform_versions")
    if known and version is not None and int(version) not in [int(v) for v in known]:
        yield Reason("VM_HOST_INCOMPATIBLE_VIRTUAL_HARDWARE_PLATFORM_VERSION",
                     f"Host {label} lacks the virtual hardware of version {version} that {name(vm)} has.", "Upgrade the host.")  # fmt: skip
    capabilities = [c for c in record["capabilities"] if c]
    if domain_type(vm) != "pv" and capabilities and not any(c.startswith("hvm") for c in capabilities):
        yield Reason(
            "VM_HVM_REQUIRED", f"Host {label} has no hardware virtualisation, which {name(vm)} needs.", "Turn it on in the firmware."
        )
    cpus, wanted = int(record["cpu_info"].get("cpu_count", 0)), int(vm["VCPUs_at_startup"])
    if cpus and wanted > cpus and vm["platform"].get("vcpu-unrestricted") != "true":
        yield Reason(
            "HOST_NOT_ENOUGH_PCPUS", f"Host {label} has {cpus} CPUs, {name(vm)} has {wanted}.", "Give the VM fewer or choose another host."
        )


def _cpu(record: Record, label: Named, vm: Record) -> Reasons:
    """A domain keeps the features it was booted with: 32-bit words in hexadecimal, missing ones are zero."""
    if vm["power_state"] == "Halted":
        return
    flags, offer = vm["last_boot_CPU_flags"], record["cpu_info"]
    remedy = "Move it while it is halted, or restart it after all hosts have joined the pool."
    if flags.get("vendor") and offer.get("vendor") and flags["vendor"] != offer["vendor"]:
        yield Reason("VM_INCOMPATIBLE_WITH_THIS_HOST",
                     f"Host {label} has CPUs of {offer['vendor']}, {name(vm)} was booted on one of {flags['vendor']}.", remedy)  # fmt: skip
        return
    wanted, offered = flags.get("features", ""), offer.get("features_pv" if domain_type(vm) == "pv" else "features_hvm", "")
    if not (wanted and offered):
        return
    words = itertools.zip_longest(wanted.split("-"), offered.split("-"), fillvalue="0")
    if any(int(want or "0", 16) & ~int(have or "0", 16) for want, have in words):
        yield Reason("VM_INCOMPATIBLE_WITH_THIS_HOST", f"Host {label} lacks CPU features that {name(vm)} was started with.", remedy)


def _memory(theirs: Objects, host: str, label: Named, vm: Record) -> Reasons:
    needed, free = memory_needed(vm), memory_free(theirs, host)
    if needed > free:
        yield Reason("HOST_NOT_ENOUGH_FREE_MEMORY",
                     f"Host {label} has {readable_size(free)} of memory free, {name(vm)} needs {readable_size(needed)}.",
                     "Make room there, lower the VM's memory or choose another host.")  # fmt: skip


# what connects the two --------------------------------------------------------
def lacks(objects: Objects, ref: str, host: str, *, moved: t.Collection[str] = (), ejects: bool = False) -> list[Reason]:
    """What a VM needs that a host of its pool does not have. moved: VDIs that go with it; ejects: xapi takes discs out by itself."""
    vm = objects.get("VM", ref)
    checks = [
        _versions(objects, vm, host),
        _storage(objects, vm, host, moved, ejects),
        _networks(objects, vm, host),
    ]
    return list(itertools.chain.from_iterable(checks))


def _versions(objects: Objects, vm: Record, host: str) -> Reasons:
    source = objects.all("host").get(vm["resident_on"])
    if source and is_older(objects.get("host", host), source):
        yield Reason("NOT_SUPPORTED_DURING_UPGRADE",
                     f"Host {hosts.name_of(objects, host)!r} runs an older release than {hosts.name_of(objects, vm['resident_on'])!r}.",
                     "VMs move to hosts of the same or a newer release; upgrade it first.")  # fmt: skip


def plugged(objects: Objects, sr: str, host: str) -> bool:
    """Whether a host has an SR attached."""
    pbds = objects.all("PBD")
    return any(pbds[ref]["SR"] == sr and pbds[ref]["currently_attached"] for ref in objects.get("host", host)["PBDs"] if ref in pbds)


def _storage(objects: Objects, vm: Record, host: str, moved: t.Collection[str], ejects: bool) -> Reasons:
    target, vdis = Named(objects, "host", host), objects.all("VDI")
    for ref, vbd in drives(objects, vm).items():
        if vbd["VDI"] not in vdis or vbd["VDI"] in moved or plugged(objects, sr := vdis[vbd["VDI"]]["SR"], host):
            continue
        label = Named(objects, "SR", sr)
        if vbd["type"] == "CD" and not ejects:
            disc = vdis[vbd["VDI"]]["name_label"]
            yield Reason("VM_REQUIRES_SR", f"The drive of {name(vm)} holds {disc!r} of SR {label}, which host {target} does not have.",
                         "Eject it, or set eject_cd: true.", ref)  # fmt: skip
        elif vbd["type"] != "CD":
            yield Reason("VM_REQUIRES_SR", f"Disk {vbd['userdevice']} of {name(vm)} is in SR {label}, which host {target} does not have.",
                         "Say with sr or disks where it is to go.")  # fmt: skip
    image = vdis.get(vm["suspend_VDI"])
    if vm["power_state"] == "Suspended" and image and not plugged(objects, image["SR"], host):
        yield Reason(
            "VM_REQUIRES_SR",
            f"The memory image of {name(vm)} is in SR {objects.label('SR', image['SR'])!r}, which host {target} does not have.",
            "Resume it first.",
        )


def _networks(objects: Objects, vm: Record, host: str) -> Reasons:
    label, pifs = Named(objects, "host", host), objects.all("PIF")
    for network in dict.fromkeys(objects.get("VIF", vif)["network"] for vif in vm["VIFs"]):
        record, shown = objects.get("network", network), Named(objects, "network", network)
        here = [pifs[pif] for pif in objects.get("host", host)["PIFs"] if pif in pifs and pifs[pif]["network"] == network]
        if any(pif["bond_slave_of"] != NULL for pif in here):
            yield Reason("HOST_CANNOT_ATTACH_NETWORK", f"Host {label} has its interface on network {shown} in a bond; {name(vm)} is on it.",
                         "Put the VM on the network of the bond.")  # fmt: skip
        elif record["PIFs"] and not here:
            yield Reason("VM_REQUIRES_NETWORK", f"Host {label} is not connected to network {shown}, which {name(vm)} is on.",
                         "Connect it (xen_network) or choose another host.")  # fmt: skip
        elif not record["PIFs"] and record["other_config"].get("assume_network_is_shared") != "true" and _used_off(objects, network, host):
            yield Reason("VM_REQUIRES_NETWORK", f"Network {shown} of {name(vm)} is internal and in use on another host.",
                         "Detach it, or set assume_network_is_shared=true in the network's other_config.")  # fmt: skip


def is_protected(vm: Record) -> bool:
    """Whether high availability restarts it."""
    return bool(vm["ha_always_run"]) and vm["ha_restart_priority"] == "restart"


def overcommits(objects: Objects, ref: str, host: str) -> Reasons:
    """What high availability has against a move: were that host to fail, the others would have to hold its protected VMs.

    Where this is broken already, xapi lets VMs move.
    """
    pool, vm = hosts.pool_of(objects)[1], objects.get("VM", ref)
    exempt = pool["ha_overcommitted"] or pool["ha_allow_overcommit"] or int(pool["ha_host_failures_to_tolerate"]) < 1
    if not pool["ha_enabled"] or exempt or not is_protected(vm) or vm["resident_on"] in (NULL, host):
        return
    protected = [other for other in guests(objects).values() if other["resident_on"] == host and is_protected(other)]
    needed = sum(memory_needed(one) for one in (*protected, vm))
    others = [ref for ref in objects.all("host") if ref != host and hosts.is_live(objects, ref)]
    free = sum(memory_free(objects, ref) for ref in others) + memory_needed(vm)
    if needed > free:
        yield Reason("HA_OPERATION_WOULD_BREAK_FAILOVER_PLAN",
                     f"If host {hosts.name_of(objects, host)!r} failed, the others could not hold its protected VMs and {name(vm)}: "
                     f"{readable_size(needed)} are needed, {readable_size(free)} free.",
                     "Choose another host, or lower ha_host_failures_to_tolerate.")  # fmt: skip


def _used_off(objects: Objects, network: str, host: str) -> bool:
    """Whether VMs on another host use an internal network."""
    vms = objects.all("VM")
    used = [objects.get("VIF", vif) for vif in objects.get("network", network)["VIFs"]]
    return any(vif["currently_attached"] and vms.get(vif["VM"], {}).get("resident_on", NULL) not in (NULL, host) for vif in used)


def cannot_carry(theirs: Objects, host: str, network: str) -> list[Reason]:
    """Why a migration to a host cannot go over a network of its pool."""
    label, shown, pifs = Named(theirs, "host", host), Named(theirs, "network", network), theirs.all("PIF")
    here = [pifs[pif] for pif in theirs.get("host", host)["PIFs"] if pif in pifs and pifs[pif]["network"] == network]
    code, told = "", ""
    if not here:
        code, told = "PIF_NOT_PRESENT", "is not connected to it"
    elif not here[0]["currently_attached"]:
        code, told = "REQUIRED_PIF_IS_UNPLUGGED", "has its interface unplugged"
    elif not (here[0]["IP"] or any(here[0].get("IPv6", ()))):
        code, told = "INTERFACE_HAS_NO_IP", "has no address there"
    return (
        [Reason(code, f"Network {shown} cannot carry the migration: Host {label} {told}.", "Give it an address (xen_pif).")] if code else []
    )
