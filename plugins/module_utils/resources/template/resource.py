# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Templates as a resource: found, listed, changed, and handed to what makes and removes them."""

from __future__ import annotations

import typing as t

from ...client import Session
from ...errors import InvalidChange
from ...fields import Table
from ...plan import Plan
from ...refs import Record
from ...resource import Found
from ...vms import is_default, is_guest, is_template
from ..vm import Vm
from ..vm.boot import REPOSITORY, Boot
from ..vm.cpus import Cpus
from ..vm.fields import FIELDS, NAME
from ..vm.labels import Labels
from ..vm.memory import Memory
from ..vm.part import Part, Subject
from ..vm_import import MARK as IMPORTED
from . import creation, imaging, importing, removal
from .creation import Conversion
from .devices import devices
from .imaging import MARK, Imaging
from .importing import Importing
from .limits import Limits
from .wishes import METHODS, Install, Provision

# in the order in which their calls are made
PARTS: tuple[type[Part], ...] = (Labels, Memory, Cpus, Boot, Limits, Provision, Install)
# of a VM's plain fields those that mean something before there is a VM
PLAIN = ("description", "tags", "affinity", "actions_after_shutdown", "actions_after_reboot", "actions_after_crash", "xenstore_data")
ROWS = tuple(field for field in FIELDS if field.option in PLAIN)


def _options() -> dict[str, dict[str, t.Any]]:
    out: dict[str, dict[str, t.Any]] = {}
    for part in PARTS:
        out.update(part.options)
    switches = {name: {"type": "bool", "default": False} for name in ("allow_default", "allow_disruption")}
    return {**out, **creation.OPTIONS, **imaging.OPTIONS, **importing.OPTIONS, **switches}


class Template(Vm):
    table = Table("VM", (NAME, *ROWS))
    plain = Table("VM", ROWS)
    plural = "templates"
    options = _options()
    filters: t.ClassVar[dict[str, dict[str, t.Any]]] = {"name": {"type": "str"}, "uuid": {"type": "str"}, "default": {"type": "bool"}}
    rules: t.ClassVar[dict[str, t.Any]] = {
        "required_one_of": [["name", "uuid"]],
        "mutually_exclusive": [["source", "from_vm"], ["source", "from_snapshot"], ["image", "from_vm"], ["image", "from_snapshot"]]
        + [["xva", other] for other in ("source", "from_vm", "from_snapshot", "image")],
        "required_by": {"sha256": ["image"], "disk_size": ["image"], "networks": ["xva"]},
    }
    claimed = frozenset({REPOSITORY, METHODS, MARK, IMPORTED})

    def __init__(self, session: Session, params: Record):
        super().__init__(session, params)
        self.parts = [part(self) for part in PARTS]
        self.making = self.creation = Imaging(self)
        self.conversion = Conversion(self)
        self.importing = Importing(self)

    @classmethod
    def key(cls) -> str:
        return "template"

    # finding --------------------------------------------------------------------------
    def candidates(self) -> dict[str, Record]:
        """All but snapshots, which are marked as templates too; default: only stock ones, or none of them."""
        wanted = self.params.get("default")
        return {ref: r for ref, r in self.objects.all("VM").items() if is_template(r) and wanted in (None, is_default(r))}

    # observing ------------------------------------------------------------------------
    def look(self, subject: Subject) -> dict[str, t.Any]:
        seen = self.table.observe(subject.record, self.objects)
        for part in self.parts:
            seen.update(part.observe(subject))
        return seen

    def facts(self, found: Found) -> dict[str, t.Any]:
        """Whether it is a stock one, what it was made from, and the devices its VMs get copies of."""
        record = found.record
        made_from = record["other_config"].get("base_template_name", "")
        image = {"image": record["other_config"][MARK]} if MARK in record["other_config"] else {}
        return {"default": is_default(record), "made_from": made_from, **image, **devices(self.objects, self.subject_of(found))}

    # planning -------------------------------------------------------------------------
    def plan(self, found: Found | None) -> Plan:
        if self.params["state"] == "absent":
            return self._absent(found)
        old = None
        if found and self.making.wanted and not self.making.holds(found.record):
            old = found if self._replaces(found) else None
        plan = self._kept(found) if found and not old else self._made(old)
        if found and not old and self.making.wanted and not self.making.holds(found.record):
            plan.warnings.append(
                f"Template {self.label!r} was not made from the image {self.params['image']!r}, and stays as it is. "
                "Set replace: true to make it anew."
            )
        return plan

    def _kept(self, found: Found) -> Plan:
        """One that is there."""
        subject = self.subject_of(found)
        plan = Plan(self.look(subject), {})
        plan.after = self._wanted(plan.before, subject)
        self._refuse_name(plan, subject)
        self._change(plan, subject)
        self._name(plan, subject)
        if self.importing.wanted:
            self.importing.finish(plan, subject)
        if is_default(subject.record) and plan.steps and not self.params["allow_default"]:
            raise InvalidChange(
                f"{self.label!r} is a stock template: what it is may be relied on elsewhere, and an update of the host makes it anew.",
                hint="Copy it (source) under a name of your own, or set allow_default: true.",
            )
        return plan

    def _made(self, old: Found | None) -> Plan:
        """One that is not, or that takes the place of an old one. It is named when it is whole and the old one is gone."""
        if not self.params.get("name"):
            raise InvalidChange("A template that is not there yet needs a name.")
        begun, stale = self._begun()
        subject, plan = self._started(begun, stale)
        plan.before = self.look(subject)
        plan.after = self._wanted(plan.before, subject)
        if self.making.wanted:
            plan.warnings += self.making.check(subject)
            plan.after.update(self.making.implied(plan.after))
        self._refuse_name(plan, subject)
        for ref, record in stale.items():
            removal.plan(plan, self.objects, self.subject_of(Found(ref, record)), record["name_label"])
        way = next((way for way in (self.conversion, self.importing) if way.wanted), None)
        if not way:
            self.making.make(plan, subject)
        self._change(plan, subject)
        if way:
            way.make(plan, subject)
        if old:
            removal.plan(plan, self.objects, self.subject_of(old), self.label)
        self._name(plan, subject)
        if self.importing.wanted:
            self.importing.finish(plan, subject)
        plan.before = self.observe(old) if old else {}
        return plan

    def _started(self, begun: dict[str, Record], stale: dict[str, Record]) -> tuple[Subject, Plan]:
        """What becomes the template, and the plan so far. What an interrupted import has made is taken out of what is stale."""
        if self.importing.wanted:
            subject = self.importing.subject()
            stale.pop(str(subject.ref), None)
            return subject, self.importing.begin(subject)
        return self.conversion.subject() if self.conversion.wanted else self.making.subject(begun), Plan({}, {})

    def _begun(self) -> tuple[dict[str, Record], dict[str, Record]]:
        """What an interrupted run has made of this template, and what it has made of another one."""
        rows = self.unfinished()
        good = (
            [] if self.conversion.wanted or self.importing.wanted else [ref for ref, record in rows.items() if self.making.fits(record)][:1]
        )
        return {ref: rows[ref] for ref in good}, {ref: r for ref, r in rows.items() if ref not in good}

    def _replaces(self, found: Found) -> bool:
        """Whether an old template is to be replaced by one from the image of the task."""
        if not self.params["replace"]:
            return False
        removal.refuse(self.objects, self.subject_of(found), self.label)
        if self.params.get("uuid"):
            raise InvalidChange(f"Template {self.label!r} is replaced by one with another uuid.", hint="Give its name only.")
        return True

    def unfinished(self) -> dict[str, Record]:
        return {ref: record for ref, record in super().unfinished().items() if record["is_a_template"]}

    def _wanted(self, have: t.Mapping[str, t.Any], subject: Subject) -> dict[str, t.Any]:
        want = self.table.desire(have, self.params, self.objects)
        for part in self.parts:
            want.update(part.desire({option: have.get(option) for option in part.options}, subject))
        return want

    def _refuse_name(self, plan: Plan, subject: Subject) -> None:
        """A VM of the same name would be taken for it by those who go by names."""
        name = plan.after["name"]
        others = self.objects.named("VM", name, lambda r: is_guest(r) and r["name_label"] == name)
        if name != plan.before["name"] and [ref for ref in others if ref != subject.ref]:
            raise InvalidChange(f"A VM is named {name!r} already, so a template cannot be.", hint="Give the template another name.")

    def _change(self, plan: Plan, subject: Subject) -> None:
        self.plain.changes(plan, subject.ref, self.objects, subject.record, self.label)
        for part in self.parts:
            part.change(plan, subject)

    def _name(self, plan: Plan, subject: Subject) -> None:
        Table("VM", (NAME,)).changes(plan, subject.ref, self.objects, subject.record, self.label)

    def _absent(self, found: Found | None) -> Plan:
        plan = Plan(self.observe(found) if found else {}, {})
        gone = [found] if found else []
        if self.params.get("name"):
            gone += [Found(ref, record) for ref, record in self.unfinished().items()]
        for one in gone:
            removal.plan(plan, self.objects, self.subject_of(one), self.label)
        self.making.clear(plan)
        return plan
