# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The shape every managed XenAPI class takes, and the one road from parameters to result."""

from __future__ import annotations

import contextlib
import typing as t
from dataclasses import dataclass

from . import tasks
from .client import Session
from .errors import HINTS, ApiError, InvalidChange, NotFound, OutcomeUnknown, XenError
from .fields import Table
from .plan import Find, Later, Operation, Plan, Wait
from .refs import Objects, Record
from .refused import refuse_refused

TASK = 3600.0  # seconds that a slow call may take, more if the task's wait_timeout is more
ANSWERS = 600.0  # seconds until a pool whose coordinator restarted must answer
REPLANS = 3  # how often a task reads and plans anew when the outcome of a call is unknown and nothing has come of it


@dataclass(frozen=True)
class Found:
    ref: str
    record: Record


class Resource:
    """One object that a task manages. Subclass it for a class whose lookup, creation or change is not the plain one.

    table: the plain fields; options: further options (argument_spec); rules: required_if and the like;
    by_name: name says which object is meant, unless uuid does; plural, filters: the key of the info module's list and its options.
    """

    table: t.ClassVar[Table]
    options: t.ClassVar[dict[str, dict[str, t.Any]]] = {}
    rules: t.ClassVar[dict[str, t.Any]] = {}
    states: t.ClassVar[tuple[str, ...]] = ("present", "absent")
    plural: t.ClassVar[str] = ""
    by_name: t.ClassVar[bool] = True
    filters: t.ClassVar[dict[str, dict[str, t.Any]]] = {"name": {"type": "str"}, "uuid": {"type": "str"}}

    def __init__(self, session: Session, params: Record):
        self.session, self.params, self.objects = session, params, Objects(session)

    @classmethod
    def arguments(cls) -> dict[str, dict[str, t.Any]]:
        """The managing module's argument_spec, without the connection."""
        own: dict[str, dict[str, t.Any]] = {"uuid": {"type": "str"}}
        if cls.states:
            own["state"] = {"type": "str", "choices": list(cls.states), "default": cls.states[0]}
        return {**own, **cls.table.arguments(), **cls.options}

    @classmethod
    def key(cls) -> str:
        """What the object is called in a result."""
        return cls.table.cls.lower()

    @property
    def label(self) -> str:
        return str(self.params.get("name") or self.params.get("uuid") or "")

    # the steps, in order --------------------------------------------------------
    def candidates(self) -> dict[str, Record]:
        """The records the module may manage or list."""
        return self.objects.all(self.table.cls)

    def find(self) -> Found | None:
        """By uuid if given, else by name. Raises Ambiguous, NotFound for a uuid that should be there."""
        rows = self.candidates()
        text = self.params.get("uuid") or self.params["name"]
        if not self.objects.named(self.table.cls, text, lambda r: r["uuid"] in {x["uuid"] for x in rows.values()}):
            if self.params.get("uuid") and self.params.get("state") != "absent":
                raise NotFound(f"No {self.table.cls} has the uuid {text}.", hint="Check it, and that hostname is of the pool that has it.")
            return None
        ref = self.objects.resolve(self.table.cls, text, lambda r: r in rows.values())
        return Found(ref, rows[ref])

    def observe(self, found: Found) -> dict[str, t.Any]:
        """The object in the words of the options."""
        return self.table.observe(found.record, self.objects)

    def desire(self, before: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
        """What it is to be. Bad input is refused here or in update/create/destroy, always before the first call."""
        return self.table.desire(before, self.params, self.objects)

    def plan(self, found: Found | None) -> Plan:
        before = self.observe(found) if found else {}
        if self.params.get("state") == "absent":
            plan = Plan(before, {})
            if found:
                self.destroy(plan, found)
            return plan
        plan = Plan(before, self.desire(before))
        if found:
            self.update(plan, found)
        else:
            self.create(plan)
        return plan

    def create(self, plan: Plan) -> Later:
        return plan.add(
            f"{self.table.cls}.create", self.table.record(plan.after, self.objects), what=f"create {self.table.cls} {self.label!r}"
        )

    def update(self, plan: Plan, found: Found) -> None:
        self.table.changes(plan, found.ref, self.objects, found.record, self.label)

    def destroy(self, plan: Plan, found: Found) -> None:
        plan.add(f"{self.table.cls}.destroy", found.ref, what=f"destroy {self.table.cls} {self.label!r}")

    def order(self, found: Found) -> tuple[t.Any, ...]:
        """What the info module's list is sorted by."""
        return (str(found.record.get("name_label", "")), found.record["uuid"])

    def facts(self, found: Found) -> dict[str, t.Any]:
        """What the info module tells beside the options: read only."""
        return {}

    def result(self, found: Found | None, plan: Plan) -> dict[str, t.Any]:
        """The object after the task; in check mode as it would be. What the host's release does not have (None) is left out."""
        known = {option: value for option, value in plan.after.items() if value is not None}
        return {**known, **({"uuid": found.record["uuid"]} if found and known else {})}

    # carrying out ---------------------------------------------------------------
    def alone(self) -> t.ContextManager[object]:
        """What a task holds while it looks, plans and works, so that no other does the same. In check mode nobody is kept out."""
        return contextlib.nullcontext()

    def session_on(self, host: str) -> Session:
        """A session on another host than the coordinator, for one operation that must be sent there; it ends with it."""
        raise NotImplementedError(f"{type(self).__name__} sends nothing to {host}")

    def call(self, operation: Operation, params: t.Sequence[t.Any]) -> t.Any:
        if operation.run:
            return operation.run(*params)
        session = self.session_on(operation.on) if operation.on else self.session
        try:
            if operation.slow:
                timeout = operation.timeout or max(TASK, float(self.params.get("wait_timeout") or 0))
                return tasks.run(session, operation.method, params, timeout=timeout)
            return session.call(operation.method, *params)
        finally:
            if operation.on:
                session.log_out()

    def wait(self, step: Wait, params: t.Sequence[t.Any]) -> None:
        tasks.wait_until(step.what, lambda: step.ready(*params), timeout=step.timeout)

    def look_up(self, step: Find, where: dict[str, t.Any]) -> t.Any:
        """Raises NotFound unless there is exactly one."""
        query = " and ".join(f'field "{name}" = "{value}"' for name, value in where.items()) or "true"
        rows = self.session.call(f"{step.cls}.get_all_records_where", query)
        if len(rows) != 1:
            told = ", ".join(f"{name} {value}" for name, value in where.items())
            raise NotFound(self.objects.readable(f"{len(rows)} objects of class {step.cls} have {told}; one was to be there."))
        ((ref, record),) = rows.items()
        return record[step.take] if step.take else ref

    def answers(self) -> bool:
        """Whether the pool can be asked again after a connection broke."""
        return bool(self.session.call("pool.get_all"))


def refuse_blank(resource: Resource) -> None:
    """What is found by its name needs one."""
    name = resource.params.get("name")
    if resource.by_name and name is not None and not name.strip() and not resource.params.get("uuid"):
        raise InvalidChange(f"The name of the {resource.table.cls} is empty.", hint="Give name.")


def refuse_disruption(plan: Plan, params: Record) -> None:
    """A plan that interrupts somebody needs the task's word for it, before the first call."""
    if plan.disruptions and not params.get("allow_disruption"):
        raise InvalidChange(f"This would {'; '.join(plan.disruptions)}.", hint="Set allow_disruption: true if that is meant.")


def refuse_forbidden(plan: Plan, session: Session) -> None:
    """A user whose role lacks one of the calls learns it before the first, in check mode too."""
    here = [o for o in plan.operations if not o.on and not o.run]
    if not here:
        return
    try:
        me = session.call("session.get_record", session.handle)
    except ApiError:
        return  # the calls will tell
    granted = {permission.partition("/")[0].lower() for permission in me["rbac_permissions"]}
    lacking = next((o for o in here if o.method.lower() not in granted), None)
    if me["is_local_superuser"] or not granted or not lacking:
        return
    code, user = "RBAC_PERMISSION_DENIED", me["auth_user_name"]
    raise InvalidChange(
        f"Could not {lacking.what or 'do this'}: the role of user {user!r} does not allow {lacking.method}.",
        hint=HINTS[code], code=code, params=[lacking.method.lower()],
    )  # fmt: skip


def converge(resource: Resource, *, check_mode: bool) -> dict[str, t.Any]:
    """The only place that knows check mode and diff."""
    try:
        refuse_blank(resource)
        with contextlib.nullcontext() if check_mode else resource.alone():
            return _converged(resource, check_mode)
    except ApiError as e:
        e.message = resource.objects.readable(e.message)
        raise


def _converged(resource: Resource, check_mode: bool) -> dict[str, t.Any]:
    found = resource.find()
    plan = resource.plan(found)
    refuse_disruption(plan, resource.params)
    refuse_refused(plan, resource.objects)
    refuse_forbidden(plan, resource.session)
    after = plan.after
    # a plan of nothing but waits finishes what an interrupted task began
    if plan.steps and not check_mode:
        _carry_out(resource, plan)
        if not plan.silent:
            resource.objects.forget()
            found = resource.find()
            after = resource.observe(found) if found else {}
    shown = Plan(plan.before, after)
    return {
        "changed": plan.changed,
        resource.key(): resource.result(found, shown),
        "operations": [o.method for o in plan.operations],
        "diff": {"before": plan.before, "after": after},
        **plan.facts,
        **({"warnings": plan.warnings} if plan.warnings else {}),
    }


def predict(resource: Resource) -> dict[str, t.Any]:
    """What achieve would do. Raises XenError."""
    return converge(resource, check_mode=True)


def achieve(resource: Resource) -> dict[str, t.Any]:
    """The object is as it should be. Raises XenError."""
    return converge(resource, check_mode=False)


def _carry_out(resource: Resource, plan: Plan) -> None:
    """Apply; when a call's outcome is unknown, read and plan again what is still to do."""
    done: list[str] = []
    left = REPLANS
    while True:
        try:
            return plan.apply(resource)
        except OutcomeUnknown as e:
            done += e.done
            e.done = list(done)
            if not left:
                raise
            tasks.wait_until("the pool to answer again", resource.answers, timeout=float(resource.params.get("wait_timeout") or ANSWERS))
            resource.objects.forget()
            rest = resource.plan(resource.find())
            refuse_disruption(rest, resource.params)
            # however often the connection breaks, a plan that becomes shorter comes to its end
            left = REPLANS if len(rest.operations) < len(plan.operations) else left - 1
            plan = rest
        except XenError as e:
            e.done = done + e.done
            raise
