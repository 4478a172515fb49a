# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Virtual machines: made from templates, changed, started, removed.

Vm is the frame; what belongs together is a part (part.py), one file each. A plan is made from the VM as it is, or for a new
one from what its clone will be: the parts do not tell the two apart.
"""

from __future__ import annotations

import typing as t

from ...client import Session
from ...errors import InvalidChange
from ...fields import Table
from ...plan import Plan
from ...refs import Record
from ...resource import Found, Resource
from ...vms import is_default, is_guest
from .boot import REPOSITORY, Boot
from .cd import Cd
from .cloud_init import CloudInit
from .cpus import Cpus
from .creation import OPTIONS as CREATION
from .creation import Creation, working_name
from .devices import PCI, Devices
from .disks import Disks
from .fields import FIELDS, NAME, Plain
from .labels import Labels
from .limits import Recommended
from .memory import Memory
from .nics import Nics
from .part import Part, Subject
from .power import RESTARTING, STATES, Power
from .snapshots import Snapshots
from .waiting import Waiting

# in the order in which their calls are made
PARTS: tuple[type[Part], ...] = (Labels, Memory, Cpus, Boot, Devices, Snapshots, Disks, Cd, CloudInit, Nics, Recommended, Waiting)


def _options() -> dict[str, dict[str, t.Any]]:
    out = {**CREATION, **Power.options}
    for part in PARTS:
        out.update(part.options)
    return {**out, "allow_disruption": {"type": "bool", "default": False}, "wait_timeout": {"type": "int", "default": 600}}


class Vm(Resource):
    table: t.ClassVar[Table] = Plain("VM", (NAME, *FIELDS))
    options = _options()
    plural = "vms"
    rules: t.ClassVar[dict[str, t.Any]] = {
        "required_one_of": [["name", "uuid"]],
        "mutually_exclusive": [["template", "from_vm"], ["template", "from_snapshot"]],
    }
    plain = Table("VM", FIELDS)
    claimed: t.ClassVar[frozenset[str]] = frozenset({REPOSITORY, PCI, RESTARTING})  # keys of other_config that a part looks after

    def __init__(self, session: Session, params: Record):
        super().__init__(session, params)
        self.power = Power(self)
        self.parts = [part(self) for part in PARTS]
        self.creation = Creation(self)

    # finding --------------------------------------------------------------------------
    def candidates(self) -> dict[str, Record]:
        return {ref: r for ref, r in self.objects.all("VM").items() if is_guest(r)}

    def unfinished(self) -> dict[str, Record]:
        """What an interrupted run has made of a VM that is not there yet."""
        name = working_name(self.params.get("name") or "")
        return {
            ref: r for ref, r in self.objects.all("VM").items() if r["name_label"] == name and not r["is_a_snapshot"] and not is_default(r)
        }

    def devices(self, cls: str, record: Record) -> dict[str, Record]:
        """The VBDs or VIFs of a VM, by reference."""
        rows = self.objects.all(cls)
        return {ref: rows[ref] for ref in record[f"{cls}s"] if ref in rows}

    def subject_of(self, found: Found) -> Subject:
        record = found.record
        return Subject(found.ref, record, self.devices("VBD", record), self.devices("VIF", record), at=record["power_state"])

    # observing ------------------------------------------------------------------------
    def observe(self, found: Found) -> dict[str, t.Any]:
        return self.look(self.subject_of(found))

    def look(self, subject: Subject) -> dict[str, t.Any]:
        seen = self.table.observe(subject.record, self.objects)
        for part in (self.power, *self.parts):
            seen.update(part.observe(subject))
        return seen

    def facts(self, found: Found) -> dict[str, t.Any]:
        subject, out = self.subject_of(found), {}
        for part in (self.power, *self.parts):
            out.update(part.facts(subject))
        return out

    # planning -------------------------------------------------------------------------
    def plan(self, found: Found | None) -> Plan:
        if self.params["state"] == "absent":
            return self._remove(found)
        self.power.noted = False
        subject = self.subject_of(found) if found else self._new()
        plan = Plan(self.look(subject), {})
        plan.after = self._wanted(plan.before, subject)
        reasons = [reason for part in self.parts for reason in part.needs_halt(plan.before, plan.after, subject)]
        self.power.prepare(plan, subject, reasons)
        if subject.making:
            self.creation.make(plan, subject)
        self.plain.changes(plan, subject.ref, self.objects, subject.record, self.label)
        for part in self.parts:
            part.change(plan, subject)
        Table("VM", (NAME,)).changes(plan, subject.ref, self.objects, subject.record, self.label)
        self.power.change(plan, subject)
        for part in self.parts:
            part.ready(plan, subject)
        if not found:
            plan.before = {}
        return plan

    def _new(self) -> Subject:
        if not self.params.get("name"):
            raise InvalidChange("A VM that is not there yet needs a name.")
        return self.creation.subject(self.unfinished())

    def _wanted(self, have: t.Mapping[str, t.Any], subject: Subject) -> dict[str, t.Any]:
        want = self.table.desire(have, self.params, self.objects)
        if self._from_template(subject) and self.params.get("description") is None:
            want["description"] = ""  # the template's tells of the template
        for part in (self.power, *self.parts):
            want.update(part.desire({option: have.get(option) for option in part.options}, subject))
        return want

    def _from_template(self, subject: Subject) -> bool:
        source = subject.source
        return bool(source and source["is_a_template"] and not source["is_a_snapshot"])

    def set_key(self, plan: Plan, subject: Subject, field: str, key: str, value: str | None, *, there: bool) -> None:
        """One key of a map: set, replaced, or removed (None). there: it has a value now."""
        what = f"{'set' if value is not None else 'remove'} {key} in {field} of VM {self.label!r}"
        if there:
            plan.add(f"VM.remove_from_{field}", subject.ref, key, what=what)
        if value is not None:
            plan.add(f"VM.add_to_{field}", subject.ref, key, value, what=what)

    # removing -------------------------------------------------------------------------
    def _remove(self, found: Found | None) -> Plan:
        plan = Plan(self.observe(found) if found else {}, {})
        gone = [found] if found else []
        if self.params.get("name"):
            gone += [Found(ref, record) for ref, record in self.unfinished().items()]
        for one in gone:
            subject = self.subject_of(one)
            if subject.at != "Halted":
                self.power.halt(plan, subject, f"switch VM {self.label!r} off and delete it")
            for part in self.parts:
                part.remove(plan, subject)
            plan.add("VM.destroy", one.ref, what=f"delete VM {self.label!r}", slow=True)
        return plan


__all__ = ["PARTS", "STATES", "Part", "Subject", "Vm", "is_guest"]
