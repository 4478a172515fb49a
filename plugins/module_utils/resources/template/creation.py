# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A template that is made: a copy of another, of a snapshot, or a VM that becomes one.

Copies are made as VMs are (resources/vm/creation.py): under a working name, whole, and named last.
"""

from __future__ import annotations

import typing as t

from ...errors import InvalidChange
from ...hosts import pool_of
from ...plan import Plan
from ...refs import NULL, Record
from ...storage import Storage
from ...vms import is_default, is_guest, is_template
from ..vm.creation import BASE, PROVISION, Creation, working_name
from ..vm.creation import OPTIONS as OF_VMS
from ..vm.part import Subject

if t.TYPE_CHECKING:
    from .resource import Template

OPTIONS: dict[str, dict[str, t.Any]] = {
    "source": {"type": "str"},
    **{option: spec for option, spec in OF_VMS.items() if option != "template"},
}
WAYS = "Give source, from_vm, from_snapshot, image or xva."
# what a VM belongs to and a template cannot (xen-api: xapi_vm_lifecycle.ml, make_into_template)
GROUPS = {"appliance": "an appliance", "protection_policy": "a protection policy", "snapshot_schedule": "a snapshot schedule"}


class Copying(Creation):
    """A copy of a template, or of a snapshot: to XenAPI that is a template, too."""

    def source(self) -> str:
        """Raises NotFound, Ambiguous, InvalidChange when the task names nothing."""
        if self.params.get("from_snapshot"):
            return super().source()
        wanted = self.params.get("source") or self.base()
        if not wanted:
            raise InvalidChange(f"There is no template {self.vm.label!r}, and the task does not say what to make it from.", hint=WAYS)
        return self.objects.resolve("VM", wanted, is_template, what="template")

    def base(self) -> str:
        """What it is made from when the task does not say so."""
        return ""

    def _cloned(self, source: Record) -> dict[str, t.Any]:
        """Unlike a VM it still says which disks its VMs get."""
        record = super()._cloned(source)
        kept = {key: value for key, value in source["other_config"].items() if key in PROVISION}
        return {**record, "other_config": {**record["other_config"], **kept}, "is_a_template": True}

    def fits(self, begun: Record) -> bool:
        """Whether what an interrupted run has made is a copy of the same thing."""
        return bool(self._cloned(self.objects.get("VM", self.source()))["other_config"].get(BASE) == begun["other_config"].get(BASE))

    def make(self, plan: Plan, subject: Subject) -> None:
        if not subject.new:
            return
        self._refuse_state(subject)
        method, *more = ("VM.copy", subject.sr or NULL) if subject.full else ("VM.clone",)
        plan.warnings += Storage(self.objects).room(self._needs(subject))
        what = f"make template {self.vm.label!r}"
        subject.ref = plan.add(method, self.source(), working_name(self.vm.label), *more, what=what, slow=True)
        self._tell(plan, subject)

    def _needs(self, subject: Subject) -> t.Iterator[tuple[str, int]]:
        """Bytes that full copies of its disks take, by SR."""
        for vdi in self._disks(subject.vbds) if subject.full else ():
            record = self.objects.get("VDI", vdi)
            sr = subject.sr or record["SR"]
            yield sr, int(record["virtual_size" if Storage(self.objects).is_thick(sr) else "physical_utilisation"])


class Conversion:
    """A halted VM becomes a template, and is none any more."""

    def __init__(self, template: Template):
        self.template, self.params, self.objects = template, template.params, template.objects

    @property
    def wanted(self) -> bool:
        return bool(self.params.get("from_vm")) and not self.params.get("from_snapshot")

    def subject(self) -> Subject:
        """The VM; or the template that an interrupted run has made of it, which only lacks its name."""
        text, label = self.params["from_vm"], self.template.label
        ready = self.objects.named("VM", text, lambda r: is_template(r) and not is_default(r))
        if ready and not self.objects.named("VM", text, is_guest):
            return self._subject(self.objects.resolve("VM", text, lambda r: is_template(r) and not is_default(r)))
        subject = self._subject(self.objects.resolve("VM", text, is_guest))
        record = subject.record
        if record["power_state"] != "Halted":
            raise InvalidChange(
                f"VM {record['name_label']!r} is {record['power_state'].lower()}: only a halted one becomes template {label!r}.",
                hint="Shut it down first, or take a snapshot and give from_snapshot.",
            )
        member = next((words for field, words in GROUPS.items() if record.get(field, NULL) in self._known(field)), "")
        if member:
            raise InvalidChange(f"VM {record['name_label']!r} is part of {member} and cannot become a template.", hint="Take it out first.")
        if record["ha_restart_priority"] == "restart" and pool_of(self.objects)[1]["ha_enabled"]:
            raise InvalidChange(
                f"VM {record['name_label']!r} is kept running by high availability and cannot become a template.",
                hint="Set ha_restart_priority to nothing first.",
            )
        return subject

    def _known(self, field: str) -> t.Collection[str]:
        return self.objects.all({"appliance": "VM_appliance", "protection_policy": "VMPP", "snapshot_schedule": "VMSS"}[field])

    def _subject(self, ref: str) -> Subject:
        record = self.objects.get("VM", ref)
        return Subject(ref, record, self.template.devices("VBD", record), self.template.devices("VIF", record))

    def make(self, plan: Plan, subject: Subject) -> None:
        """After the changes, before the name: while the VM is looked for under its own name, a run that breaks off can go on."""
        if not subject.record["is_a_template"]:
            name = subject.record["name_label"]
            gone = f"turn VM {name!r} into a template: there is no VM {name!r} any more"
            plan.add("VM.set_is_a_template", subject.ref, True, what=f"make VM {name!r} a template", disruptive=gone)
