# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A template from an exported file (.xva): imported as a VM is (resources/vm_import), under the working name, then made a template."""

from __future__ import annotations

import functools
import typing as t

from ...errors import InvalidChange
from ...formats.ova import rows_of
from ...plan import Later, Operation, Plan
from ...refs import NULL, Record
from ...resource import Found
from ...vms import NOT_COPIED
from ..vm.creation import working_name
from ..vm.part import Subject
from ..vm_import import MARK, PUT, VmImport

if t.TYPE_CHECKING:
    from .resource import Template

OPTIONS: dict[str, dict[str, t.Any]] = {"xva": {"type": "path"}, "networks": {"type": "dict"}}


class Importing:
    def __init__(self, template: Template):
        self.template, self.params, self.objects = template, template.params, template.objects
        self._found: Found | None = None

    @property
    def wanted(self) -> bool:
        return bool(self.params.get("xva"))

    @functools.cached_property
    def _import(self) -> VmImport:
        name, networks = working_name(self.template.label), self.params.get("networks") or {}
        given = {"src": self.params["xva"], "name": name, "sr": self.params.get("sr"), "networks": networks}
        work = VmImport(self.template.session, {**given, "preserve": False, "verify": "before", "wait_timeout": 86400})
        work.objects = self.objects
        return work

    def subject(self) -> Subject:
        """What the file becomes; or what an interrupted run has made of it. Raises Damaged, InvalidChange."""
        self._found = self._import.find()
        if self._found:
            return self.template.subject_of(self._found)
        record = self._described()
        if record["power_state"] != "Halted" or record["suspend_VDI"] not in ("", NULL):
            raise InvalidChange(
                f"{self.params['xva']} holds a VM that was suspended, with its memory: that cannot become a template.",
                hint="Shut the VM down and export it again.",
            )
        return Subject(NULL, record, {}, {}, new=True)

    def _described(self) -> Record:
        """The record of the VM as it will be (xen-api: import.ml)."""
        source = self._import.source
        other = {key: value for key, value in source.vm["other_config"].items() if key not in (*NOT_COPIED, MARK)}
        host = source.ova.get("host", source.vm.get("affinity", NULL)).get("uuid", "")
        affinity = next((ref for ref, r in self.objects.all("host").items() if r["uuid"] == host), NULL)
        fixed = {"name_label": working_name(self.template.label), "other_config": other, "affinity": affinity, "is_default_template": False}
        return {**source.vm, **fixed, "VTPMs": [row["uuid"] for row in rows_of(source.ova, "VTPM", self._ref(), "uuid")]}

    def _ref(self) -> str:
        ova, vm = self._import.source.ova, self._import.source.vm
        return next(ref for ref in ova.vms() if ova.get("VM", ref) is vm)

    def begin(self, subject: Subject) -> Plan:
        """The plan of the import, which the rest is added to."""
        plan = self._import.plan(self._found)
        for index, step in enumerate(plan.steps):
            if isinstance(step, Operation) and step.method == PUT:
                subject.ref = Later(index)
        return plan

    def make(self, plan: Plan, subject: Subject) -> None:
        if not subject.record["is_a_template"]:
            plan.add("VM.set_is_a_template", subject.ref, True, what=f"make template {self.template.label!r} of the imported VM")

    def finish(self, plan: Plan, subject: Subject) -> None:
        """Clones get all of other_config: one of them must not be taken for what the next import of the file has made."""
        if subject.new or self._found or MARK in subject.record["other_config"]:
            plan.add("VM.remove_from_other_config", subject.ref, MARK, what=f"unmark template {self.template.label!r}")
