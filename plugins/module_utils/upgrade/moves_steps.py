# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What one action on a VM takes: the calls, from the VM as it is; or that it is done already, or that the VM is not as was thought."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .. import capacity, hosts, movable
from ..formats.sizes import readable_size
from ..plan import Plan
from ..reasons import Reason, name
from ..refs import NULL, Objects, Record
from . import marks

MIGRATE, SHUTDOWN, SUSPEND, START, RESUME = "migrate", "shutdown", "suspend", "start", "resume"
ACTIONS = (MIGRATE, SHUTDOWN, SUSPEND, START, RESUME)
STOPS, STARTS = (SHUTDOWN, SUSPEND), (START, RESUME)
CLEAN, HARD, CLEAN_THEN_HARD = "clean", "hard", "clean_then_hard"
LIVE = ("Running", "Paused")
BUSY = "OTHER_OPERATION_IN_PROGRESS"
CLOSED = ("HOST_NOT_LIVE", "HOST_DISABLED")
# what a VM will be when an operation that is under way has ended (xen-api: ocaml/idl/datamodel_vm.ml, operations)
BECOMES = {
    "pool_migrate": "Running", "start": "Running", "start_on": "Running", "resume": "Running", "resume_on": "Running",
    "clean_shutdown": "Halted", "hard_shutdown": "Halted", "shutdown": "Halted", "suspend": "Suspended",
}  # fmt: skip


@dataclass(frozen=True)
class Wish:
    """An action asked for. label: what the task calls the VM; vm, host, source: references, "" for none; memory: bytes, 0 for not told."""

    action: str
    label: str
    vm: str = ""
    uuid: str = ""
    host: str = ""
    source: str = ""
    memory: int = 0


@dataclass(frozen=True)
class Rules:
    """network: carries migrations, or NULL; remember: the host a VM leaves; eject: discs the target cannot see. Times in seconds.

    opens: a host that will be up and enabled before any action begins; insert: whether ejected discs return to a VM that comes home.
    """

    network: str = NULL
    remember: bool = False
    eject: bool = True
    stop: str = CLEAN_THEN_HARD
    shutdown_timeout: float = 300.0
    wait_timeout: float = 7200.0
    opens: str = ""
    insert: bool = False


@dataclass
class Verdict:
    """plan: the calls; surprise: why the VM is left alone; reason: why it cannot be done; after: the VM's record then."""

    plan: Plan
    after: Record
    surprise: str = ""
    reason: Reason | None = None


def expected(vm: Record) -> Record:
    """The VM once what is under way has ended."""
    state = next((BECOMES[op] for op in vm["current_operations"].values() if op in BECOMES), vm["power_state"])
    goes = vm["scheduled_to_be_resident_on"]
    if state not in LIVE:
        return {**vm, "power_state": state, "resident_on": NULL}
    return {**vm, "power_state": state, "resident_on": goes if goes != NULL else vm["resident_on"]}


def is_done(wish: Wish, vm: Record) -> bool:
    """Whether the VM is as the action leaves it."""
    state = vm["power_state"]
    if wish.action == MIGRATE:
        return bool(state == "Running" and vm["resident_on"] == wish.host)
    if wish.action in STOPS:
        return state not in LIVE
    return state in LIVE


class Steps:
    """Looks at the pool as the objects are."""

    def __init__(self, objects: Objects, rules: Rules):
        self.objects, self.rules = objects, rules

    def verdict(self, wish: Wish, vm: Record) -> Verdict:
        """What the action takes of a VM with this record."""
        found = Verdict(Plan({}, {}), dict(vm))
        if is_done(wish, vm):
            self._tidy(found, wish, vm)
            return found
        found.surprise = self._surprise(wish, vm)
        if not found.surprise:
            {MIGRATE: self._migrate, SHUTDOWN: self._stop, SUSPEND: self._stop}.get(wish.action, self._start)(found, wish, vm)
        if found.reason:
            what = next(operation.what for operation in found.plan.operations if operation.slow)
            found.reason = found.reason._replace(text=f"Could not {what}: {found.reason.text}")
            found.plan = Plan({}, {})
        return found

    def _surprise(self, wish: Wish, vm: Record) -> str:
        told, state, needed = name(vm), vm["power_state"], capacity.memory_needed(vm)
        if wish.action == MIGRATE and state != "Running":
            return f"{told} is {state.lower()}."
        if wish.action in STOPS and state == "Paused":
            return f"{told} is paused."
        here = wish.source or (wish.host if wish.action in STOPS else "")
        if wish.action not in STARTS and here and vm["resident_on"] != here:
            at, was = hosts.name_of(self.objects, vm["resident_on"]), hosts.name_of(self.objects, here)
            return f"{told} is on host {at!r} now, not on {was!r}."
        if wish.memory and needed > wish.memory and wish.action not in STOPS:
            return f"{told} has grown from {readable_size(wish.memory)} to {readable_size(needed)}."
        return ""

    # the actions -----------------------------------------------------------------------------------------------------
    def _migrate(self, found: Verdict, wish: Wish, vm: Record) -> None:
        objects, rules, told = self.objects, self.rules, name(vm)
        found.reason = next(self._obstacles(wish, vm), None)
        here, there = hosts.name_of(objects, vm["resident_on"]), hosts.name_of(objects, wish.host)
        if rules.remember and not marks.home(vm):
            uuid = objects.get("host", vm["resident_on"])["uuid"]
            marks.write(found.plan, "VM", wish.vm, vm, marks.HOME, uuid, label=told)
            found.after = {**found.after, "other_config": {**vm["other_config"], marks.HOME: uuid}}
        self._eject(found.plan, wish, vm)
        options = {"live": "true", **({"network": rules.network} if rules.network != NULL else {})}
        what = f"move {told} from host {here!r} to host {there!r}"
        found.plan.add("VM.pool_migrate", wish.vm, wish.host, options, what=what, slow=True, timeout=rules.wait_timeout)
        found.after = {**found.after, "resident_on": wish.host}
        self._tidy(found, wish, found.after)

    def _obstacles(self, wish: Wish, vm: Record) -> t.Iterator[Reason]:
        """All but memory, which is counted while the moves go on."""
        objects, host, network = self.objects, wish.host, self.rules.network
        yield from (reason for reason in movable.stays(objects, wish.vm) if reason.code != BUSY)
        yield from self._refuses(host, vm)
        yield from (reason for reason in movable.lacks(objects, wish.vm, host, ejects=self.rules.eject) if self._counts(reason, host))
        if network != NULL:
            yield from movable.cannot_carry(objects, host, network)

    def _refuses(self, host: str, vm: Record) -> t.Iterator[Reason]:
        passing = CLOSED if host == self.rules.opens else ()
        yield from (reason for reason in movable.refuses(self.objects, host, vm, with_memory=False) if reason.code not in passing)

    def _counts(self, reason: Reason, host: str) -> bool:
        """A host that is down attaches its storage when it comes up."""
        return reason.code != "VM_REQUIRES_SR" or hosts.is_live(self.objects, host)

    def _sees(self, sr: str, host: str) -> bool:
        if hosts.is_live(self.objects, host):
            return movable.plugged(self.objects, sr, host)
        return any(pbd["SR"] == sr and pbd["host"] == host for pbd in self.objects.all("PBD").values())

    def _eject(self, plan: Plan, wish: Wish, vm: Record) -> None:
        vdis = self.objects.all("VDI")
        for ref, vbd in movable.drives(self.objects, vm).items():
            disc = vdis.get(vbd["VDI"])
            if vbd["type"] == "CD" and disc and not self._sees(disc["SR"], wish.host):
                marks.write(plan, "VBD", ref, vbd, marks.DISC, disc["uuid"], label=f"the drive of {name(vm)}")
                plan.add("VBD.eject", ref, what=f"eject {disc['name_label']!r} from {name(vm)}")

    def _stop(self, found: Verdict, wish: Wish, vm: Record) -> None:
        plan, rules, told = found.plan, self.rules, name(vm)
        mark = f"{marks.SUSPEND if wish.action == SUSPEND else marks.SHUTDOWN} {self.objects.get('host', vm['resident_on'])['uuid']}"
        marks.write(plan, "VM", wish.vm, vm, marks.STOPPED, mark, label=told)
        if wish.action == SUSPEND:
            found.reason = self._not_allowed(vm, "suspend")
            plan.add("VM.suspend", wish.vm, what=f"suspend {told}", slow=True, timeout=rules.wait_timeout)
        elif rules.stop == HARD or (rules.stop == CLEAN_THEN_HARD and self._not_allowed(vm, "clean_shutdown")):
            found.reason = self._not_allowed(vm, "hard_shutdown")
            plan.add("VM.hard_shutdown", wish.vm, what=f"switch {told} off", slow=True, timeout=rules.wait_timeout)
        else:
            found.reason = self._not_allowed(vm, "clean_shutdown")
            hard = "VM.hard_shutdown" if rules.stop == CLEAN_THEN_HARD else ""
            plan.add("VM.clean_shutdown", wish.vm, what=f"shut {told} down", slow=True, timeout=rules.shutdown_timeout, instead=hard)
        state = "Suspended" if wish.action == SUSPEND else "Halted"
        config = {**vm["other_config"], marks.STOPPED: mark}
        found.after = {**vm, "power_state": state, "resident_on": NULL, "other_config": config}

    def _not_allowed(self, vm: Record, operation: str) -> Reason | None:
        if operation in vm["blocked_operations"]:
            told = f"{name(vm)} has {operation} blocked."
            return Reason("OPERATION_BLOCKED", told, f"Take {operation} out of its blocked_operations.")
        if operation in vm["allowed_operations"] or vm["current_operations"]:
            return None
        text = f"{name(vm)} does not allow {operation} now; its guest tools may not be running."
        return Reason("VM_LACKS_FEATURE", text, "Stop it from inside, or let stop be hard." if "shutdown" in operation else "")

    def _start(self, found: Verdict, wish: Wish, vm: Record) -> None:
        told, host = name(vm), hosts.name_of(self.objects, wish.host)
        reasons = [*self._refuses(wish.host, vm), *movable.lacks(self.objects, wish.vm, wish.host)]
        kept = (reason for reason in reasons if reason.code != "NOT_SUPPORTED_DURING_UPGRADE" and self._counts(reason, wish.host))
        found.reason = next(kept, None)
        call, word = ("VM.resume_on", "resume") if vm["power_state"] == "Suspended" else ("VM.start_on", "start")
        params = (wish.vm, wish.host, False, False)
        found.plan.add(call, *params, what=f"{word} {told} on host {host!r}", slow=True, timeout=self.rules.wait_timeout)
        found.after = {**vm, "power_state": "Running", "resident_on": wish.host}
        self._tidy(found, wish, vm)

    def _tidy(self, found: Verdict, wish: Wish, vm: Record) -> None:
        """Marks that have served go: a VM that was stopped runs again, or has come home."""
        key = ""
        if wish.action in STARTS:
            key = marks.STOPPED
        elif wish.action == MIGRATE and marks.home(vm) == self.objects.get("host", wish.host)["uuid"]:
            key = marks.HOME
        if key == marks.HOME and self.rules.insert:
            self._insert(found.plan, wish, vm)
        if key:
            marks.take_off(found.plan, "VM", wish.vm, vm, key, label=name(vm))
            found.after = {**found.after, "other_config": {k: v for k, v in found.after["other_config"].items() if k != key}}

    def _insert(self, plan: Plan, wish: Wish, vm: Record) -> None:
        vdis = {vdi["uuid"]: ref for ref, vdi in self.objects.all("VDI").items()}
        for ref, vbd in movable.drives(self.objects, vm).items():
            disc = vdis.get(marks.disc(vbd), "")
            if vbd["empty"] and disc:
                record = self.objects.get("VDI", disc)
                if not self._sees(record["SR"], wish.host):
                    continue
                plan.add("VBD.insert", ref, disc, what=f"insert {record['name_label']!r} into {name(vm)} again")
            marks.take_off(plan, "VBD", ref, vbd, marks.DISC, label=f"the drive of {name(vm)}")
