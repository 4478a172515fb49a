# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One host is upgraded: emptied of its last guest it was before, it gets what it lacks, starts anew, and takes guests again.

What is to be done follows from the state of the host alone, so a run that was cut is continued by the next one: what is installed
already is not installed again, a host that boots is waited for.
"""

from __future__ import annotations

import time
import typing as t

from .. import hosts, tasks
from ..client import Session
from ..errors import HINTS, ApiError, ConnectionFailed, InvalidChange, OutcomeUnknown
from ..fields import Table
from ..host_return import AGENT, BOOT, Leaving, has_left, leaving
from ..plan import Operation, Plan
from ..refs import Objects, Record
from ..resource import Found, Resource
from . import journal, methods
from .host_upgrade_back import Back, away, missing_storage
from .methods import Due

STARTS = {"host.reboot": BOOT, "host.restart_agent": AGENT}
LEAVES = 2.0  # seconds in which a host is seen to go that was told so without an answer
SETTLES = 60.0  # seconds after which a host that came back is what it should be, or never will be


class HostUpgrade(Resource):
    """params: uuid, the options of the method, wait_timeout (seconds), patient (whether a host that is away is waited for)."""

    table = Table("host", ())
    states = ()
    by_name = False

    def __init__(self, session: Session, params: Record):
        super().__init__(session, params)
        self.method = methods.of(params["method"], params, session, self.objects)
        self.due: Due | None = None
        self.then: Leaving | None = None  # what it was before its last start
        self.back = Back(session)
        self.away = ""  # why it cannot be looked at
        self._starts_left = 0  # of the plan that is carried out
        self.done: list[str] = []  # starts that were asked for
        self._end = time.monotonic() + self.timeout

    @property
    def timeout(self) -> float:
        return float(self.params.get("wait_timeout") or self.method.patience)

    def left(self) -> float:
        return max(0.0, self._end - time.monotonic())

    # looking ----------------------------------------------------------------------
    def find(self) -> Found:
        """Raises NotFound, Timeout for one that does not come back."""
        ref = self.objects.resolve("host", self.params["uuid"])
        self.away = away(self.session, self.objects, ref)
        if self.away and self.params.get("patient"):
            label = hosts.name_of(self.objects, ref)
            tasks.wait_until(
                f"host {label!r} to come back", lambda: away(self.session, Objects(self.session), ref) or True, timeout=self.left()
            )
            self.objects.forget()
            self.away = ""
        return Found(ref, self.objects.get("host", ref))

    def observe(self, found: Found) -> dict[str, t.Any]:
        self.due = due = None if self.away else self.method.due([found.ref]).get(found.ref)
        return {"due": due.why if due else "", "packages": due.packages if due else [], "enabled": found.record["enabled"]}

    # planning ---------------------------------------------------------------------
    def plan(self, found: Found | None) -> Plan:
        found = t.cast(Found, found)
        before = self.observe(found)
        plan = Plan(before, {"due": "", "packages": [], "enabled": not self._stays_disabled(found)})
        if self.away:  # only a look ahead comes here
            label = hosts.name_of(self.objects, found.ref)
            plan.after = before
            plan.warnings.append(f"What is to be done on host {label!r} is seen when it is back: {self.away}.")
            return plan
        self._starts_left, label = 0, hosts.name_of(self.objects, found.ref)
        if self.due:
            self._work(plan, found, self.due, label)
        elif self.then:
            plan.wait(f"host {label!r} to come back", self.back.ready(lambda: self.then), timeout=self.left())
        for pbd, sr in missing_storage(self.objects, found.ref).items() if not self._starts_left else ():
            plan.add("PBD.plug", pbd, what=f"attach SR {sr!r} to host {label!r}", slow=True)
        self._last(plan, found, label)
        if plan.operations and hosts.pool_of(self.objects)[1]["ha_enabled"]:
            told = f"High availability is on, so host {label!r} cannot be upgraded."
            raise InvalidChange(told, hint=HINTS["HA_IS_ENABLED"], code="HA_IS_ENABLED")
        return plan

    def _stays_disabled(self, found: Found) -> bool:
        """One that was in maintenance when the upgrade began is left there."""
        note = journal.read(self.objects)
        return bool(note) and found.record["uuid"] in t.cast(journal.Note, note).disabled

    def _work(self, plan: Plan, found: Found, due: Due, label: str) -> None:
        empty = due.reboot or due.first == methods.REBOOT or (due.evacuate and self.method.installs)
        if empty and (guests := hosts.guests(self.objects, found.ref)):
            told = f"VMs run on host {label!r}: {', '.join(guests)}."
            raise InvalidChange(told, hint="Move them away or stop them before it is upgraded.", code="HOST_IN_USE")
        if empty and found.record["enabled"]:
            plan.add("host.disable", found.ref, what=f"put host {label!r} into maintenance")
        if due.first:
            self._start(plan, found, due.first, label)
            if empty:
                plan.add("host.disable", found.ref, what=f"put host {label!r} into maintenance")
        if due.install:
            self.method.install(plan, found.ref, due)
        if due.reboot or due.restart:
            self._start(plan, found, methods.REBOOT if due.reboot else methods.RESTART, label)
            plan.wait(f"host {label!r} to be what it should be", self.method.check, found.ref, due, timeout=SETTLES)

    def _start(self, plan: Plan, found: Found, how: str, label: str) -> None:
        if found.ref == hosts.coordinator(self.objects) and not self.session.renewable:
            raise InvalidChange(
                f"Host {label!r} is the coordinator; a session that was handed over ends with its restart.",
                hint="Give username and password beside session.",
            )
        self._starts_left += 1
        if how == methods.REBOOT:
            plan.add("host.reboot", found.ref, what=f"reboot host {label!r}")
        else:
            plan.add("host.restart_agent", found.ref, what=f"restart the toolstack of host {label!r}")
        plan.wait(f"host {label!r} to come back", self.back.ready(lambda: self.then), timeout=self.timeout)

    def _last(self, plan: Plan, found: Found, label: str) -> None:
        """A host enables itself at the end of its start-up, unless something keeps it from that."""
        began = bool(self._starts_left or self.then)
        disabled = any(operation.method == "host.disable" for operation in plan.operations)
        if self.method.keeps_disabled(found.ref, self.due):
            plan.after["enabled"] = False
            plan.warnings.append(f"Host {label!r} stays in maintenance until it is rebooted: its updates ask for that.")
        elif not plan.after["enabled"]:
            if began or found.record["enabled"]:
                plan.add("host.disable", found.ref, what=f"keep host {label!r} in maintenance")
        elif began or disabled or not found.record["enabled"]:
            plan.add("host.enable", found.ref, what=f"let host {label!r} take guests")
        if self.due or self.then:
            self.method.finish(plan, found.ref)
            plan.wait("its end", self._finished, found.ref, timeout=0)

    # carrying out -----------------------------------------------------------------
    def call(self, operation: Operation, params: t.Sequence[t.Any]) -> t.Any:
        if operation.method in STARTS:
            return self._leave(operation, params)
        if operation.method == "host.enable":
            return tasks.wait_until("its start-up to end", lambda: self._enable(params), timeout=self.timeout)
        try:
            answer = super().call(operation, params)
        except ApiError as e:
            return self.method.refused(operation, params, e)
        self.method.answered(operation, answer)
        return answer

    def _leave(self, operation: Operation, params: t.Sequence[t.Any]) -> None:
        """An answer that was lost is as good as one, if the host is seen to go."""
        now = leaving(Objects(self.session), params[0], STARTS[operation.method])
        self.then = now._replace(attached=tuple({*now.attached, *(self.then.attached if self.then else ())}))
        try:
            super().call(operation, params)
        except OutcomeUnknown:
            if not self._goes(params[0], self.then):
                raise
        self._starts_left -= 1
        self.done.append(operation.method)
        if not self._starts_left:
            self.method.finished.add(params[0])

    def _finished(self, ref: str) -> bool:
        self.method.finished.add(ref)
        return True

    def _goes(self, ref: str, then: Leaving) -> bool:
        """Whether a host that was told to start anew is seen to do so."""
        chief = ref == hosts.coordinator(self.objects)
        end = time.monotonic() + LEAVES
        while time.monotonic() < end:
            try:
                record = self.session.call("host.get_record", ref, timeout=LEAVES)
                if has_left(record, then) or not self.session.call("host_metrics.get_live", record["metrics"], timeout=LEAVES):
                    return True
            except (ConnectionFailed, ApiError):
                return chief  # it does not answer any more; of a member nobody can tell then
            time.sleep(0.1)
        return False

    def _enable(self, params: t.Sequence[t.Any]) -> bool:
        self.session.call("host.enable", *params)
        return True
