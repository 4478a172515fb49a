# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hosts are upgraded by a method: all of a list at once, the coordinator before its members."""

from __future__ import annotations

import time
import typing as t

from .. import hosts
from ..client import LAST_CALLS, Session
from ..errors import ApiError, InvalidChange, Timeout, XenError
from ..fields import Table
from ..host_return import PENDING
from ..plan import Operation, Plan
from ..refs import Objects, Record
from ..resource import Found, Resource, achieve, predict
from . import journal, methods
from .at_once import at_once
from .host_upgrade_one import HostUpgrade

Result = dict[str, t.Any]
NOTHING: Result = {"operations": [], "changed": False}
VERSIONS = ("product_version", "platform_version", "xapi_build", "xen", "linux")
ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "hosts": {"type": "list", "elements": "str", "required": True},
    **methods.ARGUMENTS,
    "wait_timeout": {"type": "int"},
    "run": {"type": "str"},
}


class OfPool(Resource):
    """What a method does for the pool as a whole."""

    table = Table("pool", ())
    states = ()
    by_name = False

    def find(self) -> Found:
        return Found(*hosts.pool_of(self.objects))

    def observe(self, found: Found) -> dict[str, t.Any]:
        return {}

    def __init__(self, session: Session, params: Record):
        super().__init__(session, params)
        self.method = methods.of(params["method"], params, session, self.objects)


class Preparation(OfPool):
    """What is needed once, before any host."""

    def plan(self, found: Found | None) -> Plan:
        plan = Plan({}, {})
        self.method.prepare(plan)
        return plan

    def call(self, operation: Operation, params: t.Sequence[t.Any]) -> t.Any:
        try:
            return super().call(operation, params)
        except ApiError as e:
            return self.method.refused(operation, params, e)


class Tidying(OfPool):
    """What is not needed any more. params: done, the hosts that are finished."""

    def plan(self, found: Found | None) -> Plan:
        plan = Plan({}, {})
        self.method.tidy(plan, self.params["done"])
        return plan


def upgrade(session: Session, params: Record, check: bool) -> Result:
    """What a task does, or (check) would do. Raises XenError where nothing was begun."""
    objects = Objects(session)
    journal.must_own(objects, params.get("run"))
    refs = list(dict.fromkeys(hosts.resolve(objects, text) for text in params["hosts"]))
    prepared = (predict if check else achieve)(Preparation(session, params))
    if prepared["changed"] and not check:
        objects.forget()
    method = methods.of(params["method"], params, session, objects)
    _refuse_order(objects, method, refs)
    if not refs:
        _test(session, method, objects)
    rows = _rehearse(session, params, objects, refs)
    if not check:
        rows = _carry_out(session, params, objects, rows)
        if not _answers(session):  # the coordinator did not come back
            return _told(objects, prepared, rows, NOTHING)
        _see_after(session, params, objects, rows)
    done = {ref for ref, row in rows.items() if not row.get("failed")}
    tidied = (predict if check else achieve)(Tidying(session, {**params, "done": done})) if refs else NOTHING
    return {**_told(objects, prepared, rows, tidied), "vms": waiting(objects)}


def _answers(session: Session) -> bool:
    try:
        return bool(session.call("pool.get_all", timeout=LAST_CALLS))
    except XenError:
        return False


def _see_after(session: Session, params: Record, objects: Objects, rows: t.Mapping[str, Result]) -> None:
    """The hosts as they are now. A session that went with the coordinator has been replaced: others see by it that the run lives."""
    if hosts.coordinator(objects) in rows:
        journal.renew(session, params.get("run"))
    objects.forget()
    for ref, row in rows.items():
        row["after"] = versions(objects.get("host", ref))


def _refuse_order(objects: Objects, method: methods.Method, refs: t.Sequence[str]) -> None:
    """A member whose toolstack is newer than its coordinator's cannot come back."""
    chief = hosts.coordinator(objects)
    if not method.ordered or not refs or chief in refs:
        return
    if method.due([chief]):
        raise InvalidChange(
            f"Host {hosts.name_of(objects, chief)!r} is the coordinator and has to be upgraded first.",
            hint="Name it, too: it is done before the others.",
            code="HOST_XAPI_VERSION_HIGHER_THAN_COORDINATOR",
        )


def _of_host(session: Session, params: Record, objects: Objects, ref: str, *, check: bool) -> Result:
    """The task of one host; a failure is told, not raised."""
    record, began = objects.get("host", ref), time.monotonic()
    name = hosts.name_of(objects, ref)
    row: Result = {"name": name, "uuid": record["uuid"], "changed": False, "operations": []}
    one: HostUpgrade | None = None
    try:
        one = HostUpgrade(session, {**params, "uuid": record["uuid"], "patient": not check})
        done = (predict if check else achieve)(one)
        row |= {key: done[key] for key in ("changed", "operations", "diff")}
        row["warnings"] = done.get("warnings", [])
        row |= {"why": done["diff"]["before"]["due"], "packages": done["diff"]["before"]["packages"]}
        row["left"] = done["diff"]["after"]["due"]
    except XenError as e:
        if isinstance(e, Timeout):
            e.hint = e.hint or "When it is back run the task again: it goes on from there."
        row |= {"failed": True, "msg": str(e), "error_code": e.code, "error": e, "changed": bool(e.done), "operations": e.done}
    reboots = row["operations"] if one is None or check else [*row["operations"], *one.done]
    row["rebooted"], row["restarted"] = "host.reboot" in reboots, "host.restart_agent" in reboots
    row["plugged"] = one.back.plugged if one else []
    row["before"], row["minutes"] = versions(record), round((time.monotonic() - began) / 60, 1)
    return row


def versions(record: Record) -> dict[str, str]:
    return {key: record["software_version"][key] for key in VERSIONS if key in record["software_version"]}


def _rehearse(session: Session, params: Record, objects: Objects, refs: t.Sequence[str]) -> dict[str, Result]:
    """What would be done on each. Raises XenError with all that is wrong, before anything is begun."""
    names = {ref: hosts.name_of(objects, ref) for ref in refs}
    rows = at_once(session, names, lambda side, ref: _of_host(side, params, objects, ref, check=True))
    _raise([row["error"] for row in rows.values() if "error" in row])
    return rows


def _test(session: Session, method: methods.Method, objects: Objects) -> None:
    """Every host that is due is asked whether it can be upgraded. Raises as _rehearse."""
    due = {ref: one for ref, one in method.due().items() if one.install} if method.tests else {}

    def test(side: Session, ref: str) -> XenError | None:
        try:
            method.test(side, ref, due[ref])
        except XenError as e:
            return e
        return None

    answers = at_once(session, {ref: hosts.name_of(objects, ref) for ref in due}, test)
    _raise([error for error in answers.values() if error])


def _raise(errors: t.Sequence[XenError]) -> None:
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise InvalidChange(" ".join(str(error) for error in errors), code=errors[0].code)


def _carry_out(session: Session, params: Record, objects: Objects, rows: dict[str, Result]) -> dict[str, Result]:
    """The coordinator first, for methods that want it; when it fails its members are not begun."""
    chief = hosts.coordinator(objects)
    ordered = methods.METHODS[params["method"]].ordered
    groups = [[ref for ref in rows if ref == chief], [ref for ref in rows if ref != chief]] if ordered else [list(rows)]
    out: dict[str, Result] = {}
    for group in groups:
        if any(row.get("failed") for row in out.values()):
            left = "Not begun, since the coordinator was not upgraded."
            out |= {ref: {**rows[ref], "changed": False, "operations": [], "failed": True, "msg": left} for ref in group}
            continue
        names = {ref: rows[ref]["name"] for ref in group}
        out |= at_once(session, names, lambda side, ref: _of_host(side, params, objects, ref, check=False))
    return out


def waiting(objects: Objects) -> dict[str, list[str]]:
    """VMs that run and are not yet what updates of their hosts ask for: name -> what they need. A migration restarts the device model."""
    out: dict[str, list[str]] = {}
    for ref, vm in objects.all("VM").items():
        if vm["is_control_domain"] or vm["power_state"] != "Running":
            continue
        words = {word for field in (*PENDING, "pending_guidances_full") for word in vm.get(field, ())}
        if vm.get("requires_reboot"):
            words.add("restart_vm")
        if words:
            out[objects.label("VM", ref)] = sorted(words)
    return out


def _told(objects: Objects, prepared: Result, rows: dict[str, Result], tidied: Result) -> Result:
    """What a task says of it; as a failure where a host failed."""
    warnings = [warning for row in rows.values() for warning in row.pop("warnings", [])]
    failed = [f"Host {row['name']!r}: {row['msg']}" for row in rows.values() if row.get("failed")]
    diffs = [{**row.pop("diff"), "before_header": row["name"], "after_header": row["name"]} for row in rows.values() if "diff" in row]
    for row in rows.values():
        row.pop("error", None)
    told: Result = {
        "changed": any(one["changed"] for one in (prepared, *rows.values(), tidied)),
        "hosts": list(rows.values()),
        "operations": [operation for one in (prepared, *rows.values(), tidied) for operation in one["operations"]],
        "diff": diffs,
        **({"warnings": warnings} if warnings else {}),
    }
    return {**told, "failed": True, "msg": objects.readable(" ".join(failed))} if failed else told
