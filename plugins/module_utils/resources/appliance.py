# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Appliances: VMs that are started and shut down together, in their order. Rules: xen-api ocaml/xapi/xapi_vm_appliance.ml."""

from __future__ import annotations

import typing as t

from .. import tasks
from ..client import Session
from ..errors import ApiError, InvalidChange, Timeout
from ..fields import Field, Table
from ..members import Members
from ..plan import Later, Plan
from ..refs import NULL, Record
from ..resource import Found, Resource
from ..wiring import quoted

STEPS = ("order", "start_delay", "shutdown_delay")
STATES = {"running": "Running", "halted": "Halted", "paused": "Paused"}
SINCE = "XenServer 6.0"


class Appliance(Resource):
    plural = "appliances"
    table = Table("VM_appliance", (Field("name_label", "name"), Field("name_description", "description", default="")))
    options: t.ClassVar[dict[str, dict[str, t.Any]]] = {
        "vms": {
            "type": "list",
            "elements": "dict",
            "options": {"vm": {"type": "str", "required": True}, **{step: {"type": "int"} for step in STEPS}},
        },
        "take_over": {"type": "bool", "default": False},
        "power_state": {"type": "str", "choices": list(STATES)},
        "force": {"type": "bool", "default": False},
        "shutdown_timeout": {"type": "int", "default": 600},
        "allow_disruption": {"type": "bool", "default": False},
    }
    rules: t.ClassVar[dict[str, t.Any]] = {"required_one_of": [["name", "uuid"]]}

    def __init__(self, session: Session, params: Record):
        super().__init__(session, params)
        self.members = Members(self.objects, "VM_appliance", "appliance", "appliance")

    @classmethod
    def key(cls) -> str:
        return "appliance"

    def candidates(self) -> dict[str, Record]:
        return self.members.owners(SINCE)

    # what is and what is to be ------------------------------------------------------
    def observe(self, found: Found) -> dict[str, t.Any]:
        vms = [self._told(self.members.vms.resolve(vm)) for vm in self.members.of(found.record)]
        return {**super().observe(found), "vms": _in_order(vms), "power_state": self._state(vms)}

    def _told(self, ref: str) -> dict[str, t.Any]:
        record = self.objects.get("VM", ref)
        return {"vm": self.members.vms.label(ref), **{step: int(record[step]) for step in STEPS}}

    def _record(self, vm: str) -> Record:
        return self.objects.get("VM", self.members.vms.resolve(vm))

    def _state(self, vms: t.Iterable[t.Mapping[str, t.Any]]) -> str | None:
        """None while they differ, or when there are none."""
        states = {self._record(vm["vm"])["power_state"] for vm in vms}
        return next((word for word, state in STATES.items() if states == {state}), None)

    def desire(self, before: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
        given = self.params.get("vms")
        vms = before.get("vms", []) if given is None else self._wanted(given)
        state = self.params.get("power_state") if vms else None
        return {**super().desire(before), "vms": vms, "power_state": state or self._state(vms)}

    def _wanted(self, given: t.Iterable[Record]) -> list[dict[str, t.Any]]:
        vms: dict[str, dict[str, t.Any]] = {}
        for wish in given:
            told = self._told(self.members.vms.resolve(wish["vm"]))
            if told["vm"] in vms:
                raise InvalidChange(f"VM {told['vm']!r} is named twice.")
            negative = [step for step in STEPS if (wish.get(step) or 0) < 0]
            if negative:
                raise InvalidChange(f"{negative[0]} of VM {told['vm']!r} is negative.", hint="Give 0 or more; delays are in seconds.")
            vms[told["vm"]] = {**told, **{step: wish[step] for step in STEPS if wish.get(step) is not None}}
        return _in_order(vms.values())

    def facts(self, found: Found) -> dict[str, t.Any]:
        return {"power_states": {vm: self._record(vm)["power_state"].lower() for vm in self.members.of(found.record)}}

    # changing -------------------------------------------------------------------------
    def create(self, plan: Plan) -> Later:
        ref = super().create(plan)
        self._members(plan, ref)
        return ref

    def update(self, plan: Plan, found: Found) -> None:
        super().update(plan, found)
        self._members(plan, found.ref)

    def destroy(self, plan: Plan, found: Found) -> None:
        """The VMs leave first: xapi would leave them with a reference to nothing."""
        for ref in sorted(ref for ref, vm in self.objects.all("VM").items() if vm["appliance"] == found.ref):
            what = f"take VM {self.members.vms.label(ref)!r} out of appliance {self.label!r}"
            plan.add("VM.set_appliance", ref, NULL, what=what)
        super().destroy(plan, found)

    def _members(self, plan: Plan, ref: str | Later) -> None:
        before = [vm["vm"] for vm in plan.before.get("vms", [])]
        after = {vm["vm"]: vm for vm in plan.after["vms"]}
        self.members.plan_leaving(plan, before, after, self.label)
        for vm, wish in after.items():
            have = self._told(self.members.vms.resolve(vm))
            for step in STEPS:
                if have[step] != wish[step]:
                    plan.add(f"VM.set_{step}", self.members.vms.resolve(vm), wish[step], what=f"set {step} of VM {vm!r}")
        self.members.plan_joining(plan, ref, set(after) - set(before), self.label, take_over=self.params["take_over"])
        if self.params.get("power_state") and after:
            self._power(plan, ref, STATES[self.params["power_state"]], list(after))

    def _power(self, plan: Plan, ref: str | Later, want: str, vms: list[str]) -> None:
        states: dict[str, list[str]] = {}
        for vm in vms:
            states.setdefault(self._record(vm)["power_state"], []).append(vm)
        if want == "Halted":
            self._halt(plan, ref, states)
            return
        # start would fail on those that are not halted
        verbs = {"Running": {"Suspended": "resume", "Paused": "unpause"}, "Paused": {"Suspended": "resume", "Running": "pause"}}[want]
        for state, verb in verbs.items():
            for vm in states.get(state, []):
                params = (want == "Paused", False) if verb == "resume" else ()
                plan.add(f"VM.{verb}", self.members.vms.resolve(vm), *params, what=f"{verb} VM {vm!r}", slow=True)
        if states.get("Halted"):
            plan.add("VM_appliance.start", ref, want == "Paused", what=f"start appliance {self.label!r}", slow=True)

    def _halt(self, plan: Plan, ref: str | Later, states: t.Mapping[str, list[str]]) -> None:
        running, force = states.get("Running", []), self.params["force"]
        for state, loss in (("Paused", "switch VM {0!r} off, which is paused"), ("Suspended", "throw away what VM {0!r} had in memory")):
            for vm in states.get(state, []):
                params = {"what": f"switch VM {vm!r} off", "slow": True, "disruptive": loss.format(vm)}
                plan.add("VM.hard_shutdown", self.members.vms.resolve(vm), **params)
        stubborn = [vm for vm in running if "clean_shutdown" not in self._record(vm)["allowed_operations"]]
        if stubborn and not force:
            raise InvalidChange(
                f"These VMs cannot be shut down cleanly, since their guest tools do not run: {quoted(stubborn)}.",
                hint="Shut them down from inside, or set force: true to switch them off.",
            )
        if running:
            refs = [self.members.vms.resolve(vm) for vm in running]
            what = f"shut appliance {self.label!r} down"
            plan.add("VM_appliance.clean_shutdown", ref, what=what, run=lambda appliance: self._shut_down(appliance, refs))

    def _shut_down(self, appliance: str, vms: t.Iterable[str]) -> None:
        """Cleanly; what does not hear in time is switched off where the task allows it, VM by VM: the appliance is busy still."""
        try:
            tasks.run(self.session, "VM_appliance.clean_shutdown", (appliance,), timeout=float(self.params["shutdown_timeout"]))
        except (ApiError, Timeout):
            if not self.params["force"]:
                raise
            for vm in vms:
                if self.session.call("VM.get_power_state", vm) != "Halted":
                    tasks.run(self.session, "VM.hard_shutdown", (vm,), timeout=600)


def _in_order(vms: t.Iterable[dict[str, t.Any]]) -> list[dict[str, t.Any]]:
    return sorted(vms, key=lambda vm: (vm["order"], vm["vm"]))
