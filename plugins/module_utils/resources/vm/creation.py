# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A VM is made from a template, another VM or a snapshot: under a working name, whole, and named last.

A run that breaks off leaves "NAME (unfinished)", which the next one finishes.
"""

from __future__ import annotations

import typing as t

from ...chains import LIMIT, NEAR, WAYS_OUT, Chains
from ...errors import Ambiguous, InvalidChange
from ...plan import Plan
from ...refs import NULL, Record
from ...storage import Storage
from ...vms import NOT_COPIED, is_guest, is_template
from .part import Subject

if t.TYPE_CHECKING:
    from . import Vm

OPTIONS: dict[str, dict[str, t.Any]] = {
    "template": {"type": "str"},
    "from_vm": {"type": "str"},
    "from_snapshot": {"type": "str"},
    "clone": {"type": "str", "choices": ["auto", "fast", "full"], "default": "auto"},
    "sr": {"type": "str"},
}
UNFINISHED = " (unfinished)"
PROVISION = ("disks", "postinstall")  # keys of other_config that VM.provision acts on (xen-api: xapi_templates.ml)
BASE = "base_template_name"


def working_name(name: str) -> str:
    return f"{name}{UNFINISHED}"


class Creation:
    """What a VM that is not there yet is made of, and how. ways, from_snapshot: how the module calls them."""

    ways, from_snapshot = "Give template, from_vm or from_snapshot.", "from_snapshot"

    def __init__(self, vm: Vm):
        self.vm, self.params, self.objects = vm, vm.params, vm.objects
        self.chains = Chains(vm.objects)

    # what it is made of -----------------------------------------------------------
    def source(self) -> str:
        """Raises NotFound, Ambiguous, InvalidChange when the task names nothing."""
        snapshot, vm, template = (self.params.get(option) for option in ("from_snapshot", "from_vm", "template"))
        if snapshot:
            of = self.objects.resolve("VM", vm, is_guest) if vm else ""
            return self.objects.resolve("VM", snapshot, lambda r: r["is_a_snapshot"] and of in ("", r["snapshot_of"]), what="snapshot")
        if vm:
            return self.objects.resolve("VM", vm, is_guest)
        if template:
            return self.objects.resolve("VM", template, is_template, what="template")
        raise InvalidChange(
            f"VM {self.vm.label!r} is not there, and the task does not say what to make it from.",
            hint=self.ways,
        )

    def subject(self, unfinished: t.Mapping[str, Record]) -> Subject:
        """The new VM as it will be; or what an interrupted run has made of it. unfinished: what has the working name."""
        source = self.source()
        record = self.objects.get("VM", source)
        if unfinished:
            ref, begun = self._only(unfinished)
            return Subject(ref, begun, self.vm.devices("VBD", begun), self.vm.devices("VIF", begun), source=record)
        vbds = self.vm.devices("VBD", record)
        return Subject(NULL, self._cloned(record), vbds, self.vm.devices("VIF", record), new=True, source=record, **self._mode(vbds))

    def _only(self, unfinished: t.Mapping[str, Record]) -> tuple[str, Record]:
        """Raises Ambiguous: which of several an interrupted run has made, nobody knows."""
        if len(unfinished) > 1:
            name, uuids = working_name(self.vm.label), ", ".join(sorted(r["uuid"] for r in unfinished.values()))
            raise Ambiguous(
                f"{len(unfinished)} VMs are named {name!r}, as one that an interrupted task has begun: {uuids}.",
                hint="Rename or delete those that are not to become this VM.",
            )
        return next(iter(unfinished.items()))

    def _cloned(self, source: Record) -> dict[str, t.Any]:
        """The record of a clone (the table in xapi_vm_clone.ml), provisioned."""
        other = {k: v for k, v in source["other_config"].items() if k not in (*NOT_COPIED, *PROVISION)}
        if source["is_a_template"]:
            other.setdefault(BASE, source["name_label"])
        gone = {"appliance": NULL, "protection_policy": NULL, "snapshot_schedule": NULL, "suspend_SR": NULL, "groups": []}
        counters = {"order": 0, "start_delay": 0, "shutdown_delay": 0, "ha_restart_priority": "", "ha_always_run": False}
        known = {k: v for k, v in {**gone, **counters}.items() if k in source}
        return {
            **source, **known, "other_config": other, "blocked_operations": {}, "name_label": working_name(self.vm.label),
            "power_state": "Halted", "resident_on": NULL, "snapshots": [], "parent": NULL, "snapshot_of": NULL, "is_a_snapshot": False,
            "is_default_template": False, "current_operations": {}, "guest_metrics": NULL, "VUSBs": [],
        }  # fmt: skip

    # how ----------------------------------------------------------------------------
    def _disks(self, vbds: t.Mapping[str, Record]) -> list[str]:
        return [vbd["VDI"] for vbd in vbds.values() if vbd["type"] == "Disk" and vbd["VDI"] in self.objects.all("VDI")]

    def _mode(self, vbds: t.Mapping[str, Record]) -> dict[str, t.Any]:
        """Fast or full, and the SR that all disks go to ("": each stays in its own)."""
        disks = self._disks(vbds)
        wanted = Storage(self.objects).for_disks(self.params["sr"]) if self.params.get("sr") and disks else ""
        mode = self.params.get("clone") or "auto"
        elsewhere = [d for d in disks if wanted and self.objects.get("VDI", d)["SR"] != wanted]
        if mode == "fast" and elsewhere:
            raise InvalidChange(
                f"VM {self.vm.label!r} cannot be a fast clone in SR {self.params['sr']!r}: the disks of its source are in another SR.",
                hint="Set clone: full (or auto), or leave sr out.",
            )
        full = bool(disks) and (mode == "full" or bool(elsewhere) or (mode == "auto" and self.chains.longest(disks) >= NEAR))
        self._refuse_full_chain(disks, full=full)
        return {"full": full, "sr": wanted if full else ""}

    def _refuse_full_chain(self, disks: t.Sequence[str], *, full: bool) -> None:
        if not full and self.chains.longest(disks) >= LIMIT:
            raise InvalidChange(
                f"A disk of the source of VM {self.vm.label!r} has a chain of {LIMIT} images already: it cannot be cloned fast.",
                hint=WAYS_OUT,
            )

    def make(self, plan: Plan, subject: Subject) -> None:
        """The first calls: something with the working name that is no template any more and has no disks but the source's."""
        source, label = self.source(), self.vm.label
        if subject.new:
            self._refuse_state(subject)
            method, *more = ("VM.copy", subject.sr or NULL) if subject.full else ("VM.clone",)
            subject.ref = plan.add(method, source, working_name(label), *more, what=f"make VM {label!r}", slow=True)
            self._tell(plan, subject)
        made_of = t.cast("Record", subject.source)
        for key in PROVISION:
            if key in (made_of if subject.new else subject.record)["other_config"]:
                plan.add("VM.remove_from_other_config", subject.ref, key, what=f"leave the disks of VM {label!r} to this task")
        if (made_of if subject.new else subject.record)["is_a_template"]:
            plan.add("VM.provision", subject.ref, what=f"make a VM of {label!r}", slow=True)

    def _refuse_state(self, subject: Subject) -> None:
        source = t.cast("Record", subject.source)
        if source["power_state"] != "Halted" and not source["is_a_snapshot"]:
            raise InvalidChange(
                f"VM {self.vm.label!r} cannot be made from VM {source['name_label']!r} while that is {source['power_state'].lower()}.",
                hint=f"Halt it, or take a snapshot and give {self.from_snapshot}.",
            )

    def _tell(self, plan: Plan, subject: Subject) -> None:
        disks = self._disks(subject.vbds)
        length = 1 if subject.full else self.chains.longest(disks) + 1
        plan.facts.update({"clone": "full" if subject.full else "fast", "chain_length": length} if disks else {})
        if disks and length >= NEAR:
            plan.warnings.append(f"The disks of VM {self.vm.label!r} have a chain of {length} images, {LIMIT} are the limit. {WAYS_OUT}")
