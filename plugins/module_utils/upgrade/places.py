# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which hosts a VM may be moved to, by its storage, networks and CPU, and why to none where that is so."""

from __future__ import annotations

import re
import typing as t

from .. import hosts as hosts_of_pool
from .. import movable
from ..errors import ApiError
from ..reasons import Reason, name
from ..refs import NULL, Objects, Record
from ..vms import domain_type

# what holds for a moment only, or what a plan itself takes care of: memory, versions, hosts that are enabled once they are upgraded
PASSING = ("HOST_NOT_LIVE", "HOST_DISABLED", "OTHER_OPERATION_IN_PROGRESS", "NOT_SUPPORTED_DURING_UPGRADE")
# codes with which xapi tells of other things than the VM itself (xen-api: ocaml/xapi/xapi_host.ml, compute_evacuation_plan_no_wlb)
NOT_ITSELF = (*PASSING, "HOST_NOT_ENOUGH_FREE_MEMORY", "HOST_EVACUATE_VM_NOT_HA_PROTECTED", "NO_HOSTS_AVAILABLE")
HOST_DOWN, DETACHED = "HOST_NOT_LIVE", "SR_NOT_ATTACHED"
WAITING = (HOST_DOWN, DETACHED)  # what will pass, so no reason to stop a VM
REMEDIES = {
    "VM_LACKS_FEATURE": "Install the guest tools, or shut it down.",
    "VM_REQUIRES_SR": "Attach the SR there, move the disk to shared storage (xen_vm_migrate with sr), or shut the VM down.",
    "VM_REQUIRES_NETWORK": "Connect it there (xen_network), or shut the VM down.",
    "VM_BAD_POWER_STATE": "Unpause it first.",
}
EJECT = "Eject it, or let eject be true."


class Places:
    """hosts: references of those that are up, by name. network: that carries the migrations, or NULL; eject: whether discs do not count;
    closed: names of hosts that are and will be in maintenance.

    What VMs need is compared with what hosts have once for all VMs that are alike.
    """

    def __init__(
        self, objects: Objects, hosts: t.Mapping[str, str], *, network: str = NULL, eject: bool = True, closed: t.Collection[str] = ()
    ):
        self.objects, self.eject, self.closed = objects, eject, closed
        self.hosts = dict(sorted(hosts.items()))
        carriers = {host: movable.cannot_carry(objects, ref, network) for host, ref in self.hosts.items()} if network != NULL else {}
        self.unreachable = {host: reasons for host, reasons in carriers.items() if reasons}
        self._known: dict[t.Any, frozenset[str]] = {}
        self._every = {ref: hosts_of_pool.name_of(objects, ref) for ref in objects.all("host")}
        self._storage: dict[str, set[str]] = {}  # the SRs of each host, attached or not
        for pbd in objects.all("PBD").values():
            self._storage.setdefault(pbd["host"], set()).add(pbd["SR"])

    def of(self, ref: str) -> frozenset[str]:
        """Names of the hosts that could run it, memory and versions aside."""
        vm = self.objects.get("VM", ref)
        key = ref if is_odd(self.objects, vm) else self._likeness(vm)
        if key not in self._known:
            self._known[key] = frozenset(host for host in self.hosts if host not in self.closed and not self.against(ref, host))
        return self._known[key]

    def _likeness(self, vm: Record) -> t.Hashable:
        """What `against` looks at."""
        flags = vm["last_boot_CPU_flags"]
        networks = frozenset(self.objects.get("VIF", vif)["network"] for vif in vm["VIFs"])
        cpu = (flags.get("vendor"), flags.get("features"), vm["VCPUs_at_startup"], vm["platform"].get("vcpu-unrestricted"))
        return self._srs(vm), networks, cpu, domain_type(vm), vm.get("hardware_platform_version")

    def _srs(self, vm: Record) -> frozenset[str]:
        vdis = self.objects.all("VDI")
        drives = [self.objects.get("VBD", ref) for ref in vm["VBDs"]]
        return frozenset(vdis[row["VDI"]]["SR"] for row in drives if row["VDI"] in vdis and not (self.eject and row["type"] == "CD"))

    def against(self, ref: str, host: str) -> list[Reason]:
        """What keeps it from a host."""
        found = [
            *self.unreachable.get(host, ()),
            *movable.refuses(self.objects, self.hosts[host], self.objects.get("VM", ref), with_memory=False),
            *movable.lacks(self.objects, ref, self.hosts[host], ejects=self.eject),
        ]
        lasting = [reason for reason in found if reason.code not in PASSING]
        return lasting or self._asked(ref, host)

    def _asked(self, ref: str, host: str) -> list[Reason]:
        """What xapi says about a VM that the records do not tell enough of."""
        vm = self.objects.get("VM", ref)
        if not is_odd(self.objects, vm) or vm["resident_on"] == self.hosts[host]:
            return []
        try:
            self.objects.session.call("VM.assert_can_boot_here", ref, self.hosts[host])
        except ApiError as e:
            if e.code in NOT_ITSELF:
                return []
            return [_in_words(self.objects, ref, e.code, e.params)]
        return []

    def keeps(self, ref: str, here: str) -> list[Reason]:
        """Why a VM cannot leave its host, with what to do; nothing if it can. Of hosts that refuse it alike, the first is told."""
        if reasons := [reason for reason in movable.stays(self.objects, ref) if reason.code not in PASSING]:
            return [_with_remedy(reason) for reason in reasons]
        if self.of(ref) - {here}:
            return []
        others = [host for host in self.hosts if host != here and host not in self.closed]
        first: dict[str, Reason] = {}
        if not others:
            text = f"{name(self.objects.get('VM', ref))} has no other host that is up and could take it."
            first["NO_HOSTS_AVAILABLE"] = Reason("NO_HOSTS_AVAILABLE", text, "Add a host, or shut the VM down.")
        for reason in (*self._at_home(ref, here), *(reason for host in others for reason in self.against(ref, host))):
            first.setdefault(reason.code, _with_remedy(reason))
        for reason in self._waits(ref, here):
            first.setdefault(reason.code, reason)
        return list(first.values())

    def _waits(self, ref: str, here: str) -> t.Iterator[Reason]:
        """Hosts that will take it when they are up again, or have attached what is theirs."""
        needed = self._srs(self.objects.get("VM", ref))
        for host, label in self._every.items():
            if label == here or label in self.closed or not needed <= self._storage.get(host, set()):
                continue
            if label not in self.hosts:
                yield Reason(HOST_DOWN, f"Host {label!r}, which could take it, is down.", "Switch it on.")
            elif all(reason.code == "VM_REQUIRES_SR" for reason in self.against(ref, label)):
                yield Reason(DETACHED, f"Host {label!r} has storage detached that is its own.", "Attach it there (xen_sr).")

    def _at_home(self, ref: str, here: str) -> t.Iterator[Reason]:
        """Disks in storage that no other host has."""
        vm, vdis = self.objects.get("VM", ref), self.objects.all("VDI")
        for vbd in movable.drives(self.objects, vm).values():
            sr = vdis[vbd["VDI"]]["SR"] if vbd["VDI"] in vdis and vbd["type"] != "CD" else ""
            if sr and not any(sr in srs for host, srs in self._storage.items() if host != self.hosts[here]):
                shown = self.objects.get("SR", sr)["name_label"]
                text = f"Disk {vbd['userdevice']} of {name(vm)} is in SR {shown!r}, which no host has but {here!r}."
                yield Reason("VM_REQUIRES_SR", text, "")


def _with_remedy(reason: Reason) -> Reason:
    """What can be done about it without moving the VM as a task of its own does."""
    return reason._replace(remedy=EJECT if reason.cd else REMEDIES.get(reason.code, reason.remedy))


def told_by_xapi(objects: Objects, doubtful: t.Mapping[str, t.Collection[str]]) -> dict[str, Reason]:
    """Why VMs do not move, of which the records tell no more than that they do not. doubtful: VMs, by the host they are on.

    Each of these hosts is asked once (host.get_vms_which_prevent_evacuation).
    """
    found: dict[str, Reason] = {}
    for host, refs in doubtful.items():
        answer = objects.session.call("host.get_vms_which_prevent_evacuation", host)
        for ref in refs:
            code, *params = answer.get(ref) or [""]
            if code and code not in NOT_ITSELF:
                found[ref] = _in_words(objects, ref, code, params)
    return found


def _in_words(objects: Objects, ref: str, code: str, params: t.Iterable[str]) -> Reason:
    more = objects.readable(" ".join(param for param in params if param not in (ref, "")))
    text = f"{name(objects.get('VM', ref))} cannot be moved: {code}{f' ({more})' if more else ''}."
    return Reason(code, text, REMEDIES.get(code, "Shut it down."))


def is_odd(objects: Objects, vm: Record) -> bool:
    """Whether only xapi knows which hosts could run it: parts of graphics and network cards are given out on each host, and limits that
    are out of order do not stop a VM that runs, but its arrival (xen-api: ocaml/xapi/xapi_vm_helpers.ml, validate_basic_parameters)."""
    if vm.get("VGPUs"):
        return True
    limits = [int(vm[f"memory_{limit}"]) for limit in ("static_min", "dynamic_min", "dynamic_max", "static_max")]
    least = re.search(r'field="memory-static-min"\s+min="(\d+)"', vm["recommendations"])
    if limits != sorted(limits) or (least and limits[0] < int(least[1])) or int(vm["VCPUs_at_startup"]) > int(vm["VCPUs_max"]):
        return True
    pifs = objects.all("PIF")
    networks = (objects.get("network", objects.get("VIF", vif)["network"]) for vif in vm["VIFs"])
    return any(pifs[pif].get("sriov_logical_PIF_of") for network in networks for pif in network["PIFs"] if pif in pifs)


def is_doubtful(vm: Record) -> bool:
    """Whether xapi does not let it move, now, and nothing under way explains that."""
    return vm["power_state"] == "Running" and movable.POOL_MIGRATE not in vm["allowed_operations"] and not vm["current_operations"]
