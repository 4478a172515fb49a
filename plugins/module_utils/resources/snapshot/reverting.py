# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The way back: a VM becomes what it was. Rules: xen-api ocaml/xapi/xapi_vm_snapshot.ml."""

from __future__ import annotations

import typing as t

from ...plan import Later, Plan
from ...refs import Objects, Record
from ...resource import Found
from ...storage import Storage
from . import refusals
from .cost import Cost
from .disks import Disk, disks_of, everything, listed

NOTE = "domzero.xen:ran_before_revert"  # in the snapshot's other_config: the revert leaves that alone
LIVE = ("Running", "Paused")
START = {"Halted": "start", "Suspended": "resume"}


class Revert:
    """One way back. tried: the call was sent before in this run; done: it was answered."""

    def __init__(self, objects: Objects, params: Record):
        self.objects, self.params = objects, params
        self.tried = self.done = False

    def sent(self, method: str, answered: bool) -> None:
        if method == "VM.revert":
            self.tried, self.done = True, answered

    def plan(self, plan: Plan, found: Found, label: str) -> None:
        """label: of the VM, "" where it is gone and comes back."""
        name = found.record["name_label"]
        vm = self.objects.all("VM").get(found.record["snapshot_of"])
        runs = self._is_to_run(found.record, vm)
        if runs and self.params["power_state"] == "as_before" and NOTE not in found.record["other_config"]:
            plan.add("VM.add_to_other_config", found.ref, NOTE, "true", what=f"note that VM {label!r} runs")
        if not self.done:
            self._back(plan, found, vm, label)
        state = vm["power_state"] if vm and self.done else found.record["power_state"]
        if runs and state != "Running":
            self._start(plan, found, state, f"snapshot {name!r}")
            state = "Running"
        if self.params["power_state"] == "as_before" and (runs or NOTE in found.record["other_config"]):
            plan.add("VM.remove_from_other_config", found.ref, NOTE, what=f"forget the note in snapshot {name!r}")
        plan.facts["power_state"] = state.lower()

    def _is_to_run(self, snapshot: Record, vm: Record | None) -> bool:
        if self.params["power_state"] == "running":
            return True
        ran = NOTE in snapshot["other_config"] or bool(vm and vm["power_state"] == "Running")
        return self.params["power_state"] == "as_before" and ran

    def _back(self, plan: Plan, found: Found, vm: Record | None, label: str) -> None:
        snapshot = found.record
        name = snapshot["name_label"]
        cloned = [d for d in everything(self.objects, snapshot) if not self._in_place(d)]
        refusals.check_chains(plan, self.objects, cloned, f"Going back to snapshot {name!r}")
        cost = Cost(self.objects)
        cost.copies(cloned)
        cost.check(plan, f"Going back to snapshot {name!r}", strict=self.params["check_space"])
        plan.facts["cost"] = cost.told()
        detached = self._detached(snapshot, vm)
        if detached and not self.tried:
            plan.warnings.append(
                f"Snapshot {name!r} has no {listed(detached)} of VM {label!r}: that is detached only and keeps its data "
                f"({', '.join(d.record['uuid'] for d in detached)})."
            )
        plan.facts["detached"] = [_told(self.objects, d) for d in detached]
        what = f"take VM {label!r} back to snapshot {name!r}" if vm else f"bring the VM of snapshot {name!r} back"
        plan.add("VM.revert", found.ref, what=what, slow=True, disruptive=self._disruption(vm, label))

    def _in_place(self, disk: Disk) -> bool:
        """Newer drivers change the disk itself instead of putting a clone of its snapshot in its place."""
        return "VDI_REVERT" in Storage(self.objects).features(disk.sr)

    def _disruption(self, vm: Record | None, label: str) -> str:
        if self.tried or not vm or vm["power_state"] == "Halted":
            return ""  # who started it was asked
        state = vm["power_state"]
        return f"switch VM {label!r} off by force" if state in LIVE else f"discard the memory of the suspended VM {label!r}"

    def _detached(self, snapshot: Record, vm: Record | None) -> list[Disk]:
        """Disks the VM has now that are no part of the snapshot."""
        if not vm:
            return []
        covered = {disk.record["snapshot_of"] for disk in disks_of(self.objects, snapshot)}
        return [disk for disk in disks_of(self.objects, vm) if disk.vdi not in covered]

    def _start(self, plan: Plan, found: Found, state: str, of: str) -> None:
        vm: str | Later = found.record["snapshot_of"]
        if vm not in self.objects.all("VM"):
            vm = plan.find("VM", "snapshot_of", uuid=found.record["uuid"])
        message = START.get(state, "unpause")
        params: tuple[t.Any, ...] = (vm,) if message == "unpause" else (vm, False, False)
        plan.add(f"VM.{message}", *params, what=f"{message} the VM of {of}", slow=True)


def _told(objects: Objects, disk: Disk) -> dict[str, t.Any]:
    sr = objects.label("SR", disk.sr)
    return {"device": disk.device, "name": disk.record["name_label"], "vdi": disk.record["uuid"], "sr": sr, "size": disk.size}
