# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Snapshots of VMs: taken, gone back to, deleted, thinned out."""

from __future__ import annotations

import typing as t

from ... import tasks
from ...chains import Chains
from ...client import Session
from ...errors import Ambiguous, InvalidChange, NotFound
from ...fields import Field, Table, text_map
from ...plan import Later, Operation, Plan
from ...refs import Record
from ...resource import Found, Resource
from ...vms import Vms
from . import removal, telling
from .cost import Cost
from .disks import disks_of
from .refusals import METHODS, check_chains
from .reverting import NOTE, Revert
from .taking import Taking

FIELDS = (Field("name_label", "name"), Field("name_description", "description"), Field("tags", "tags", "tags"))
WORKING = ("snapshot", "snapshot_with_quiesce", "checkpoint", "revert", "reverting")


class Snapshot(Resource):
    plural = "snapshots"
    states = ("present", "absent", "reverted", "pruned")
    table = Table("VM", FIELDS)
    options: t.ClassVar[dict[str, dict[str, t.Any]]] = {
        "vm": {"type": "str"},
        "kind": {"type": "str", "choices": list(METHODS)},
        "ignore_disks": {"type": "list", "elements": "str"},
        "other_config": {"type": "dict"},
        "as_template": {"type": "str"},
        "check_space": {"type": "bool", "default": True},
        "power_state": {"type": "str", "choices": ["leave", "as_before", "running"], "default": "leave"},
        "keep": {"type": "int"},
        "matching": {"type": "str"},
        "tagged": {"type": "list", "elements": "str"},
        "allow_disruption": {"type": "bool", "default": False},
        "wait_timeout": {"type": "int", "default": 600},
    }
    rules: t.ClassVar[dict[str, t.Any]] = {
        "required_if": [
            ["state", "pruned", ["vm", "keep"]],
            *(["state", state, ["name", "uuid"], True] for state in ("present", "absent", "reverted")),
        ],
        "mutually_exclusive": [["keep", "name"], ["keep", "uuid"]],
    }
    filters: t.ClassVar[dict[str, dict[str, t.Any]]] = {option: {"type": "str"} for option in ("vm", "name", "uuid")}

    def __init__(self, session: Session, params: Record):
        super().__init__(session, params)
        self.vms = Vms(self.objects)
        self.chains = Chains(self.objects)
        self.revert = Revert(self.objects, params)
        self._meant = ""  # uuid of the snapshot to go back to: its VM may get another name with that
        self._sent = ""  # the last call, while its answer is not there

    @classmethod
    def key(cls) -> str:
        return "snapshot"

    # finding --------------------------------------------------------------------
    def candidates(self) -> dict[str, Record]:
        """Of the VM the task names, or of all; those of a VM that is gone too, as long as they tell its name or uuid."""
        self.vms.forget()
        rows = {ref: r for ref, r in self.objects.all("VM").items() if r["is_a_snapshot"]}
        text = self.params.get("vm")
        if not text:
            return rows
        vm = self.vms.found(text)
        if vm or (vm := self._turned_template(text)):
            return {ref: r for ref, r in rows.items() if r["snapshot_of"] == vm}
        told = (f"('uuid' '{text}')", f"('name__label' '{text}')")
        left = {ref: r for ref, r in rows.items() if r["snapshot_of"] not in self.objects.all("VM")}
        orphans = {ref: r for ref, r in left.items() if any(pair in r.get("snapshot_metadata", "") for pair in told)}
        if not orphans and self.params.get("state") != "absent":
            self.vms.resolve(text)  # says which VMs there are
        return orphans

    def _turned_template(self, text: str) -> str | None:
        return next((ref for ref, r in self.objects.all("VM").items() if r["uuid"] == text and not r["is_a_snapshot"]), None)

    def find(self) -> Found | None:
        if self.params.get("state") == "pruned":
            return None
        self._await_others()
        rows, uuid = self._rows(), self._meant or self.params.get("uuid")
        found = [Found(ref, r) for ref, r in rows.items() if (r["uuid"] == uuid if uuid else r["name_label"] == self.params["name"])]
        if len(found) > 1:
            shown = ", ".join(f"{f.record['uuid']} (VM {self._vm_label(f.record)!r}, {f.record['snapshot_time']})" for f in found)
            hint = "Give vm, or tell them apart with the uuid."
            raise Ambiguous(f"{len(found)} snapshots are named {self.params['name']!r}: {shown}.", hint=hint)
        if not found and (uuid or self.params["state"] == "reverted") and self.params["state"] != "absent":
            names = sorted({r["name_label"] for r in rows.values()})
            known = f"There are: {', '.join(names[:12])}{', ...' if len(names) > 12 else ''}." if names else "There is none."
            of = f"VM {self.params['vm']!r}" if self.params.get("vm") else "The pool"
            raise NotFound(f"{of} has no snapshot {self.label!r}.", hint=known)
        if found and self.params["state"] == "reverted":
            self._meant = found[0].record["uuid"]
        return found[0] if found else None

    def _rows(self) -> dict[str, Record]:
        self.vms.forget()
        return {ref: r for ref, r in self.objects.all("VM").items() if r["uuid"] == self._meant} if self._meant else self.candidates()

    def _await_others(self) -> None:
        """What somebody began, perhaps a run that lost its connection, may make or change the very snapshot."""
        text = self.params.get("vm")
        vm = self.vms.found(text) if text else None
        busy = vm and set(self.objects.get("VM", vm)["current_operations"].values()) & set(WORKING)
        if not vm or not (busy or self._sent):
            return

        def idle() -> bool | str:
            running = set(self.session.call("VM.get_current_operations", vm).values()) & set(WORKING)
            return f"{', '.join(sorted(running))} goes on" if running or self._pending() else True

        tasks.wait_until(f"VM {text!r} to finish what is under way", idle, timeout=self.params["wait_timeout"])
        self.objects.forget()

    def _pending(self) -> bool:
        """Whether a call of this run, whose answer was lost, may still be about to begin."""
        names = (self._sent, f"Async.{self._sent}")
        found = self.session.call("task.get_all_records").values() if self._sent else ()
        return any(task["status"] == "pending" and task["name_label"] in names for task in found)

    def _vm_label(self, snapshot: Record) -> str:
        return self.vms.label(snapshot["snapshot_of"])

    # what is and what is to be ------------------------------------------------------
    def observe(self, found: Found) -> dict[str, t.Any]:
        return {"vm": self._vm_label(found.record), "kind": telling.kind_of(found.record), **self._plain(found.record)}

    def _plain(self, record: Record) -> dict[str, t.Any]:
        other = {k: v for k, v in record["other_config"].items() if k != NOTE}
        return {**self.table.observe(record, self.objects), "other_config": other}

    def facts(self, found: Found) -> dict[str, t.Any]:
        return telling.facts(self.objects, found, self.chains)

    def order(self, found: Found) -> tuple[t.Any, ...]:
        """By VM, the oldest first; of two from the same second the one that the other stands on."""
        record, depth = found.record, len(telling.path(self.objects.all("VM"), found.ref))
        return (self._vm_label(record), str(record["snapshot_time"]), depth, record["uuid"])

    def desire(self, before: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
        given = text_map(self.params.get("other_config") or {})
        other = {k: v for k, v in {**before["other_config"], **given}.items() if v is not None}
        return {**{k: before[k] for k in ("vm", "kind")}, **super().desire(before), "other_config": other}

    # planning -----------------------------------------------------------------------
    def plan(self, found: Found | None) -> Plan:
        state = self.params["state"]
        if state == "pruned":
            plan = Plan({}, {})
            removal.prune(plan, self.objects, self.candidates(), self.params)
            return plan
        before = self.observe(found) if found else {}
        if state == "absent":
            plan = Plan(before, {})
            if found:
                removal.remove(plan, self.objects, found)
            return plan
        if state == "reverted":
            return self._back(t.cast(Found, found), before)
        return self._kept(found, before) if found else self._taken()

    def _back(self, found: Found, before: dict[str, t.Any]) -> Plan:
        plan = Plan(before, {**before, "vm": self._vm_to_be(found.record) or before["vm"]})
        self.revert.plan(plan, found, self._vm_label(found.record))
        return plan

    def _vm_to_be(self, snapshot: Record) -> str:
        """The name that the VM gets back, where it will be the only one of that name."""
        name = telling.name_then(snapshot)
        others = [r for ref, r in self.vms.all().items() if r["name_label"] == name and ref != snapshot["snapshot_of"]]
        return "" if others else name

    def _kept(self, found: Found, before: dict[str, t.Any]) -> Plan:
        kind = self.params.get("kind")
        if kind and kind != before["kind"]:
            raise InvalidChange(
                f"Snapshot {self.label!r} is of kind {before['kind']}, the task wants {kind}.",
                hint="Give another name, or delete it first.",
            )
        plan = Plan(before, self.desire(before))
        self._fields(plan, found.ref, found.record)
        if self._template_is_missing():
            disks = disks_of(self.objects, found.record)
            check_chains(plan, self.objects, disks, f"A template from snapshot {self.label!r}")
            cost = Cost(self.objects)
            cost.copies(disks)
            cost.check(plan, f"A template from snapshot {self.label!r}", strict=self.params["check_space"])
            plan.facts["cost"] = cost.told()
            self._make_template(plan, found.ref)
        return plan

    def _taken(self) -> Plan:
        if not self.params.get("vm"):
            raise InvalidChange(f"There is no snapshot {self.label!r}, and the task does not say of which VM to take it.", hint="Give vm.")
        vm = self.vms.resolve(self.params["vm"])
        taking = Taking(self.session, self.objects, self.params, vm, self.vms.label(vm))
        born = taking.inherited()
        plan = Plan({}, {})
        ref = taking.plan(plan, self.params["name"], template=self._template_is_missing())
        like = {"vm": self.vms.label(vm), "kind": taking.kind, **self._plain({**born, "name_label": self.params["name"]})}
        plan.before, plan.after = like, self.desire(like)
        self._fields(plan, ref, born)
        if self._template_is_missing():
            self._make_template(plan, ref)
        plan.before = {}
        return plan

    def _fields(self, plan: Plan, ref: str | Later, record: Record) -> None:
        self.table.changes(plan, ref, self.objects, record, self.label)
        if plan.before["other_config"] != plan.after["other_config"]:
            hidden = {k: v for k, v in record["other_config"].items() if k == NOTE}
            value = {**plan.after["other_config"], **hidden}
            plan.add("VM.set_other_config", ref, value, what=f"set other_config of snapshot {self.label!r}")

    def _template_is_missing(self) -> bool:
        name = self.params.get("as_template")
        return bool(name) and not self.objects.named("VM", str(name), lambda r: r["is_a_template"] and not r["is_a_snapshot"])

    def _make_template(self, plan: Plan, ref: str | Later) -> None:
        """A clone of a snapshot is a template as the snapshot is."""
        name = self.params["as_template"]
        plan.add("VM.clone", ref, name, what=f"make template {name!r} from snapshot {self.label!r}", slow=True)

    # carrying out ---------------------------------------------------------------------
    def call(self, operation: Operation, params: t.Sequence[t.Any]) -> t.Any:
        self.revert.sent(operation.method, answered=False)
        self._sent = operation.method
        result = super().call(operation, params)
        self._sent = ""
        self.revert.sent(operation.method, answered=True)
        return result
