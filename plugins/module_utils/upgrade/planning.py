# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the modules that plan have in common: their options, and a plan for a survey, or why there is none, as a result."""

from __future__ import annotations

import typing as t

from .. import hosts, movable, tasks
from ..errors import InvalidChange
from ..planner.clock import Speed
from ..planner.evacuation import evacuation
from ..planner.model import MIGRATE, STOP, Known, NoPlan, Plan, Policy
from ..planner.upgrade import plan
from ..refs import NULL, Objects, Record
from ..vms import guests
from . import aside_discs, table
from .marks import SHUTDOWN, SUSPEND
from .survey import Survey
from .told import NOTHING, Words
from .waves import Wave, Waves, in_waves, timed

Result = dict[str, t.Any]
SPEEDS = ("nic", "stream", "setup", "upgrade", "restart", "stop", "start")
POLICY: dict[str, dict[str, t.Any]] = {
    "unmovable": {"type": "str", "choices": ["fail", "skip_host", "shutdown", "suspend"], "default": "fail"},
    "anti_affinity": {"type": "str", "choices": ["hard", "soft"], "default": "hard"},
    "max_parallel_migrations": {"type": "int"},
    "network": {"type": "str"},
    "eject": {"type": "bool", "default": True},
    "speed": {"type": "dict", "options": {name: {"type": "float"} for name in SPEEDS}},
    "wait_timeout": {"type": "int", "default": 7200},
}
UNDER_WAY = {*movable.MOVING, "start", "start_on", "resume", "resume_on", "shutdown", "clean_shutdown", "hard_shutdown", "suspend"}
STOPS = {SUSPEND: ({"suspend"}, "suspended"), SHUTDOWN: ({"clean_shutdown", "hard_shutdown"}, "shut down")}


def checked(params: Record) -> None:
    """Raises InvalidChange."""
    for option in ("max_hosts_down", "max_parallel_migrations"):
        if params.get(option) is not None and params[option] < 1:
            raise InvalidChange(f"{option} cannot be {params[option]}.", hint="Give 1 or more.")
    for name, value in (params["speed"] or {}).items():
        if value is not None and (value < 0 or (name in ("nic", "stream") and not value)):
            raise InvalidChange(f"{name} of speed cannot be {value:g}.", hint="Give more than 0.")


def speed(params: Record) -> Speed:
    return Speed(**{name: value for name, value in (params["speed"] or {}).items() if value is not None})


def rested(objects: Objects, timeout: float) -> None:
    """Returns when no VM is on its way any more: until then nobody can tell where VMs will be. Raises Timeout."""

    def rests() -> object:
        busy = sorted(vm["name_label"] for vm in guests(objects).values() if UNDER_WAY & set(vm["current_operations"].values()))
        if busy:
            objects.forget()
        return f"still under way: {', '.join(busy)}" if busy else True

    tasks.wait_until("migrations, starts and stops of VMs that are under way to end", rests, timeout=timeout)


def network_of(objects: Objects, text: str | None) -> str:
    """Reference of the network that carries the migrations. Raises NotFound, Ambiguous."""
    return objects.resolve("network", text) if text else NULL


def known(survey: Survey, told: Record | None) -> Known | None:
    """A plan as a result told it. VMs and hosts that are not there any more stay out. Raises InvalidChange."""
    names = {survey.uuid_of_vm(vm): vm for vm in survey.vms}

    def moves(rows: t.Iterable[Record]) -> list[tuple[str, str]]:
        return [(names[row["uuid"]], row["to"]) for row in rows if row["uuid"] in names]

    if not told:
        return None
    try:
        return Known([(list(wave["hosts"]), moves(wave["moves"])) for wave in told["waves"]], moves(told["home"]))
    except (KeyError, TypeError):
        raise InvalidChange("follow is not a plan as this module returns it.", hint="Hand over the value of plan as it is.") from None


def upgraded(survey: Survey, policy: Policy, rates: Speed, due: Result, follow: Known | None = None) -> Result:
    """The result of a plan for an upgrade. due: hosts, as they are told; follow: an earlier plan."""
    words, coordinator = Words(survey, policy.unmovable), hosts.name_of(survey.objects, hosts.coordinator(survey.objects))
    found, problems = _solved(survey, policy, lambda: plan(survey.pool, policy, follow))
    discs = aside_discs.told(survey.objects, aside_discs.in_the_way(survey.objects)) if survey.ejects else []
    result: Result = {
        "changed": False,
        "due": due,
        "discs": discs,
        "skipped": {},
        "left": survey.left,
        "problems": problems,
        "blockers": _blockers(survey),
    }
    if found is None:
        result |= {"plan": {"waves": [], "home": []}, "cost": None, "next": NOTHING, "done": False}
        return {**result, "table": table.upgrade(result, coordinator), "failed": True, "msg": _refusal(survey, policy, problems)}
    way = timed(in_waves(found), survey.pool, policy, rates)
    result |= {
        "skipped": found.skipped,
        "plan": words.plan(way),
        "cost": words.cost(found, way),
        "left": [*survey.left, *_away(survey, found, policy)],
    }
    result |= {"next": words.next(way), "done": _done(words, way)}
    return {**result, "table": table.upgrade(result, coordinator)}


def emptied(survey: Survey, host: str, policy: Policy, rates: Speed, *, passing: bool = False) -> Result:
    """The result of a plan to empty one host. host: its name; passing: whether it may be one that the host must be enabled for."""
    words = Words(survey, policy.unmovable)
    found, problems = _solved(survey, policy, lambda: evacuation(survey.pool, host, policy))
    if passing and found is None:
        found, problems = _solved(survey, policy, lambda: evacuation(survey.pool, host, policy, passing=True))
    result: Result = {"changed": False, "problems": problems, "blockers": _blockers(survey), "passed": False}
    if found is None:
        result |= {"moves": [], "stops": [], "cost": None, "actions": []}
        return {**result, "table": table.evacuation(result, host), "failed": True, "msg": _refusal(survey, policy, problems)}
    moves, stops = ([action for action in found.actions if action.op == op] for op in (MIGRATE, STOP))
    wave = Wave([], moves, stops)
    way = timed(Waves([wave], []), survey.pool, policy, rates)
    told, result["passed"] = words.plan(way)["waves"][0], any(action.host == host for action in moves)
    result |= {"moves": told["moves"], "stops": told["stops"], "cost": words.cost(found, way), "actions": words.actions(wave)}
    return {**result, "table": table.evacuation(result, host)}


def _solved(survey: Survey, policy: Policy, solve: t.Callable[[], Plan]) -> tuple[Plan | None, list[str]]:
    """The plan, or why there is none."""
    problems = _stuck(survey, policy)
    try:
        return (None if problems else solve()), problems
    except NoPlan as e:
        return None, [str(e)]


def _refusal(survey: Survey, policy: Policy, problems: list[str]) -> str:
    others = " Or let unmovable say what becomes of such VMs." if survey.blockers and policy.unmovable == "fail" else ""
    return f"There is no plan: {' '.join(problems)}{others}"


def _blockers(survey: Survey) -> list[Result]:
    return [
        {"vm": one.vm, "uuid": one.uuid, "host": one.host, "code": one.reasons[0].code, "why": one.why, "remedy": one.remedy}
        for one in survey.blockers
    ]


def _stuck(survey: Survey, policy: Policy) -> list[str]:
    """What the policy has no answer to."""
    if policy.unmovable == "fail":
        return [str(one) for one in survey.blockers]
    if policy.unmovable in STOPS and any(one.waits for one in survey.blockers):
        return [str(one) for one in survey.blockers if one.waits]
    ways, word = STOPS.get(policy.unmovable, (set(), ""))
    allowed = {one.vm: survey.objects.get("VM", survey.vms[one.vm])["allowed_operations"] for one in survey.blockers if ways}
    return [f"{one.why} It cannot be {word} either. {one.remedy}" for one in survey.blockers if ways and not ways & set(allowed[one.vm])]


def _away(survey: Survey, found: Plan, policy: Policy) -> list[str]:
    homes = {vm.id: vm.affinity if policy.return_home == "affinity" else vm.home or vm.host for vm in survey.pool.vms}
    return [f"VM {vm!r} cannot be brought back to {homes[vm]!r}: it does not fit or may not run there." for vm in found.away]


def _done(words: Words, way: Waves) -> bool:
    return not way.waves and not words.next(way)["actions"]
