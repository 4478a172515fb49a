# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A snapshot is taken."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ...client import Session
from ...errors import InvalidChange
from ...plan import Later, Plan
from ...refs import Objects, Record
from ...vms import NOT_COPIED
from . import refusals
from .cost import Cost
from .disks import Disk, disks_of, image_of, named
from .refusals import DISK, MEMORY, METHODS


@dataclass(frozen=True)
class Taking:
    """What the task says of a snapshot that is not there yet. vm: the reference, label: the name of the VM."""

    session: Session
    objects: Objects
    params: Record
    vm: str
    label: str

    @property
    def record(self) -> Record:
        return self.objects.get("VM", self.vm)

    @property
    def kind(self) -> str:
        return str(self.params.get("kind") or DISK)

    def inherited(self) -> dict[str, t.Any]:
        """What a snapshot has from its VM."""
        vm = self.record
        return {**vm, "other_config": {k: v for k, v in vm["other_config"].items() if k not in NOT_COPIED}}

    def _ignored(self) -> list[Disk]:
        texts = self.params.get("ignore_disks") or []
        if texts and self.kind != DISK:
            raise InvalidChange(f"Only kind: disk can leave disks out, the task says kind: {self.kind}.")
        return named(disks_of(self.objects, self.record), texts, f"VM {self.label!r}")

    def plan(self, plan: Plan, name: str, *, template: bool) -> Later:
        """The call, once nothing speaks against it. template: a clone follows."""
        vm, ignored = self.record, self._ignored()
        disks = disks_of(self.objects, vm)
        taken = [disk for disk in disks if disk not in ignored]
        image = image_of(self.objects, vm) if self.kind == MEMORY else None
        refusals.check_kind(vm, self.label, self.kind)
        refusals.check_disks(self.objects, vm, self.label, taken, disks)
        refusals.check_allowed(self.session, self.vm, vm, self.label, self.kind)
        what = f"A snapshot of VM {self.label!r}"
        refusals.check_chains(plan, self.objects, taken, what)
        self._check_space(plan, what, [*taken, *([image] if image else [])], template=template)
        extra = ([disk.vdi for disk in ignored],) if ignored else ()  # older releases do not know the parameter
        what = f"take the snapshot {name!r} of VM {self.label!r}"
        return plan.add(f"VM.{METHODS[self.kind]}", self.vm, name, *extra, what=what, slow=True)

    def _check_space(self, plan: Plan, what: str, disks: list[Disk], *, template: bool) -> None:
        cost = Cost(self.objects)
        cost.copies(disks)
        if self.kind == MEMORY and self.record["power_state"] == "Running":
            cost.memory(self.record)
        if template:
            cost.copies(disk for disk in disks if disk.record["type"] != "suspend")
        cost.check(plan, what, strict=self.params["check_space"])
        plan.facts["cost"] = cost.told()
