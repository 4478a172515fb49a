# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What XenAPI would refuse of any module's plan, told before the first call: operations that somebody blocked for a VM, disks of an SR
that no host has attached, and a start where no host can see what the VM needs.

Rules: xen-api ocaml/xapi/xapi_vm_lifecycle.ml, xapi_vm_helpers.ml (assert_can_see_SRs, assert_can_see_networks), sm.ml.
"""

from __future__ import annotations

import re
import typing as t

from . import hosts, movable
from .errors import InvalidChange
from .plan import Later, Operation, Plan
from .refs import Objects, Record
from .storage import Storage

# what VM.allowed_operations calls a message, where it is not called so itself
OPERATIONS = {
    "set_is_a_template": "make_into_template",
    "set_memory_limits": "changing_memory_limits",
    "set_memory_dynamic_range": "changing_dynamic_range",
    "set_memory_static_range": "changing_static_range",
    "set_VCPUs_max": "changing_VCPUs",
    "set_VCPUs_at_startup": "changing_VCPUs",
    "set_VCPUs_number_live": "changing_VCPUs_live",
    "add_to_VCPUs_params_live": "changing_VCPUs_live",
    **{
        verb: verb
        for verb in (
            "start", "start_on", "pause", "unpause", "clean_shutdown", "clean_reboot", "hard_shutdown", "hard_reboot", "suspend", "resume",
            "resume_on", "pool_migrate", "migrate_send", "snapshot", "checkpoint", "snapshot_with_quiesce", "clone", "copy", "provision",
            "destroy",
        )
    },
}  # fmt: skip
CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
COPIES = ("VM.clone", "VM.copy", "VM.snapshot", "VM.checkpoint", "VM.snapshot_with_quiesce", "VM.migrate_send", "VM.revert")
STARTS = ("VM.start", "VM.start_on", "VM.resume", "VM.resume_on")
ON_DISKS = tuple(f"VDI.{verb}" for verb in ("resize", "resize_online", "destroy", "snapshot", "clone", "copy", "pool_migrate"))
# after these the VM's drives (VBD) or cards (VIF) are not those of its record
AWAY = {
    "VBD.destroy": "VBD", "VBD.eject": "VBD", "VBD.insert": "VBD", "VDI.pool_migrate": "VBD", "VDI.destroy": "VBD",
    "VIF.destroy": "VIF", "VIF.move": "VIF",
}  # fmt: skip
LARGEST = 1 << 63  # XenAPI's integers have 64 bits
STREAMS = ("http/get_export", "http/get_export_raw_vdi", "http/put_import_raw_vdi")  # of a VM with its disks, of a disk, to one


def refuse_refused(plan: Plan, objects: Objects) -> None:
    """Raises InvalidChange. Steps about objects that the plan makes itself are left to XenAPI."""
    walk = _Walk(objects)
    for index, operation in enumerate(plan.steps):
        if isinstance(operation, Operation):
            _refuse_values(operation, operation.params)
            walk.step(operation)
            walk.note(operation, Later(index))


def _refuse_values(operation: Operation, value: object) -> None:
    """XenAPI keeps texts as XML, which has no control characters but tab and the ends of lines (xen-api: encodings.ml)."""
    if isinstance(value, str) and (found := CONTROL.search(value)):
        raise InvalidChange(
            f"Cannot {operation.what or operation.method}: {value[:80]!r} holds {found.group()!r}, which XenAPI does not take.",
            hint="Leave control characters out.",
        )
    if isinstance(value, int) and not -LARGEST <= value < LARGEST:
        raise InvalidChange(f"Cannot {operation.what or operation.method}: {value} is more than XenAPI can hold.", hint="Give less.")
    for part in (*value.keys(), *value.values()) if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ():
        _refuse_values(operation, part)


def refuse_blocked(vm: Record, name: str, what: str) -> None:
    """Raises InvalidChange when an operation is blocked for a VM. what: what the task wants to do, after "Cannot"."""
    why = vm["blocked_operations"].get(name)
    if why is None:
        return
    told = "" if why in ("", "true") else f" ({why})"
    raise InvalidChange(
        f"Cannot {what}: {name} is blocked for VM {vm['name_label']!r}{told}.",
        hint="Take it out of its blocked_operations.",
        code="OPERATION_BLOCKED",
    )


class _Walk:
    """The plan from the first step on: what it has changed by then counts."""

    def __init__(self, objects: Objects):
        self.objects, self.storage = objects, Storage(objects)
        self.blocked: dict[str, t.Mapping[str, str]] = {}  # as the plan sets them
        self.vcpus: dict[object, int] = {}  # at the start
        self.born: dict[object, tuple[str, bool]] = {}  # what the plan makes a VM of, and whether its disks stay in their SRs
        self.members: dict[str, object] = {}  # the appliance of VMs, as the plan sets it
        self.halted = False  # whether the plan has changed the power state of a VM
        self.moved: set[str] = set()  # whether drives (VBD) and cards (VIF) of a VM are gone, or elsewhere, by now

    def step(self, operation: Operation) -> None:
        cls, _dot, verb = operation.method.partition(".")
        ref = operation.params[0] if operation.params else None
        if cls == "VM_appliance":
            self._appliance(operation, verb, ref)
        elif isinstance(ref, str) and cls == "VM" and ref in self.objects.all("VM"):
            self._vm(operation, verb, ref)
        elif isinstance(ref, str) and operation.method in ON_DISKS and ref in self.objects.all("VDI"):
            self._attached(operation, [ref])
            if verb == "pool_migrate":
                self._move(operation, ref)
        elif operation.method in STREAMS and isinstance(ref, str):
            self._attached(operation, self._disks(ref) if ref in self.objects.all("VM") else [ref])
        elif cls == "VM" and operation.method in STARTS and ref in self.born:
            self._refuse_start(operation, self.born[ref][0], ref)

    def note(self, operation: Operation, made: Later) -> None:
        """What the step changes for those that follow. made: its result."""
        ref = operation.params[0] if operation.params else None
        if operation.method in ("VM.clone", "VM.copy"):
            self.born[made] = (str(ref), operation.method == "VM.clone")
        if operation.method == "VM.set_VCPUs_at_startup":
            self.vcpus[ref] = int(operation.params[1])
        if operation.method in AWAY:
            self.moved.add(AWAY[operation.method])

    # VMs ------------------------------------------------------------------------
    def _vm(self, operation: Operation, verb: str, ref: str) -> None:
        if verb == "set_blocked_operations":
            self.blocked[ref] = operation.params[1]
        if verb == "set_appliance":
            self.members[ref] = operation.params[1]
        if verb == "revert":
            self._revert(operation, ref)
        # where another call can take the place of the first, it is enough that one is not blocked
        elif not operation.instead or self._why(ref, operation.instead.partition(".")[2]) is not None:
            self._refuse_blocked(operation, ref, OPERATIONS.get(verb, ""))
        if operation.method in COPIES:
            left_out = operation.params[2] if verb == "snapshot" and len(operation.params) > 2 else ()
            self._attached(operation, [vdi for vdi in self._disks(ref) if vdi not in left_out])
        self.halted = self.halted or operation.method in (*STARTS, "VM.clean_shutdown", "VM.hard_shutdown")
        if operation.method in STARTS:
            self._refuse_start(operation, ref, ref)

    def _why(self, ref: str, name: str) -> str | None:
        """The reason given for blocking an operation; None where it is not."""
        return self._blocked(ref).get(name)

    def _blocked(self, ref: str) -> t.Mapping[str, str]:
        known: t.Mapping[str, str] = self.objects.get("VM", ref)["blocked_operations"]
        return self.blocked.get(ref, known)

    def _refuse_blocked(self, operation: Operation, ref: str, name: str) -> None:
        record = {**self.objects.get("VM", ref), "blocked_operations": self._blocked(ref)}
        refuse_blocked(record, name, operation.what or operation.method)

    def _move(self, operation: Operation, vdi: str) -> None:
        """A disk moves as its VM does (xapi_vm_migrate.ml: vdi_pool_migrate)."""
        vms, refs = self.objects.all("VM"), self.storage.vbds(vdi).values()
        for vm in [vbd["VM"] for vbd in refs if not vms[vbd["VM"]]["is_a_snapshot"]][:1]:
            self._refuse_blocked(operation, vm, movable.MIGRATE_SEND)
            reasons = [] if self.halted else movable.stays(self.objects, vm, movable.MIGRATE_SEND)
            if reasons:
                raise InvalidChange(
                    f"Cannot {operation.what or operation.method}: {reasons[0].text}", hint=reasons[0].remedy, code=reasons[0].code
                )

    def _revert(self, operation: Operation, snapshot: str) -> None:
        """A VM that is not halted is switched off by force (xapi_vm_snapshot.ml)."""
        vm = self.objects.get("VM", snapshot)["snapshot_of"]
        if vm in self.objects.all("VM"):
            for name in ("reverting", *(["hard_shutdown"] if self.objects.get("VM", vm)["power_state"] != "Halted" else [])):
                self._refuse_blocked(operation, vm, name)

    def _appliance(self, operation: Operation, verb: str, appliance: object) -> None:
        """Its VMs are dealt with one by one, and it fails when one of them does."""
        if verb not in ("start", "clean_shutdown", "hard_shutdown"):
            return
        for ref, vm in self.objects.all("VM").items():
            is_at = vm["power_state"] == ("Halted" if verb == "start" else "Running")
            if self.members.get(ref, vm.get("appliance")) != appliance or not is_at or vm["is_a_snapshot"]:
                continue
            self._refuse_blocked(operation, ref, verb)
            if verb == "start":
                self._refuse_start(operation, ref, ref)

    # what they need -------------------------------------------------------------
    def _disks(self, vm: str, kinds: t.Container[str] = ("Disk",)) -> list[str]:
        vbds, vdis = self.objects.all("VBD"), self.objects.all("VDI")
        rows = [vbds[ref] for ref in self.objects.get("VM", vm)["VBDs"] if ref in vbds]
        return [vbd["VDI"] for vbd in rows if vbd["type"] in kinds and vbd["VDI"] in vdis]

    def _attached(self, operation: Operation, vdis: t.Iterable[str]) -> None:
        for vdi in vdis:
            record = self.objects.get("VDI", vdi)
            if not self.storage.hosts_of(record["SR"]):
                raise InvalidChange(
                    f"Cannot {operation.what or operation.method}: disk {record['name_label']!r} is in SR "
                    f"{self.storage.name(record['SR'])!r}, which is not attached to any host.",
                    hint="Attach it first (xen_sr).",
                )

    def _refuse_start(self, operation: Operation, ref: str, handle: object) -> None:
        """ref: the VM, or what it is made of; handle: what the plan calls it."""
        vm, host = self.objects.get("VM", ref), operation.params[1] if operation.method.endswith("_on") else ""
        drives = [] if "VBD" in self.moved or not self.born.get(handle, (ref, True))[1] else ["Disk", "CD"]
        self._attached(operation, self._disks(ref, drives[:1]))
        live = [other for other, row in self.objects.all("host").items() if row["enabled"] and hosts.is_live(self.objects, other)]
        vcpus = self.vcpus.get(handle, int(vm["VCPUs_at_startup"]))
        lacking = [self._lacks(ref, other, vcpus, drives) for other in ([host] if host else live)]
        if lacking and all(lacking):
            raise InvalidChange(
                f"Cannot {operation.what or operation.method}: {'; '.join(lacking)}.",
                hint="Start it where all is there, connect the host (xen_sr, xen_network), move disks, eject the CD, or give fewer vCPUs.",
            )

    def _lacks(self, ref: str, host: str, vcpus: int, drives: list[str]) -> str:
        """What a host does not have of what a VM needs; "" if it has all."""
        vm, label = self.objects.get("VM", ref), f"host {hosts.name_of(self.objects, host)!r}"
        cpus = int(self.objects.get("host", host)["cpu_info"].get("cpu_count", 0))
        if 0 < cpus < vcpus and vm["platform"].get("vcpu-unrestricted") != "true" and vm["power_state"] == "Halted":
            return f"{label} has {cpus} CPUs, fewer than {vcpus} vCPUs"
        vdis = [*self._disks(ref, drives), *([vm["suspend_VDI"]] if vm["suspend_VDI"] in self.objects.all("VDI") else [])]
        for vdi in vdis:
            record = self.objects.get("VDI", vdi)
            if host not in self.storage.hosts_of(record["SR"]):
                return f"{label} has not attached SR {self.storage.name(record['SR'])!r}, where {record['name_label']!r} is"
        vifs, pifs = {} if "VIF" in self.moved else self.objects.all("VIF"), self.objects.all("PIF")
        for network in {vifs[vif]["network"] for vif in vm["VIFs"] if vif in vifs} & set(self.objects.all("network")):
            here = self.objects.get("network", network)["PIFs"]
            if here and not any(pifs[pif]["host"] == host for pif in here if pif in pifs):
                return f"{label} is not connected to network {self.objects.label('network', network)!r}"
        return ""
