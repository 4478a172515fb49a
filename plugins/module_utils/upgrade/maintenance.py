# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host is emptied by a plan of its own, also where one of its VMs fits nowhere before others make way; and gets back what left it."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .. import capacity, hosts
from ..client import Session
from ..errors import InvalidChange, OutcomeUnknown, XenError
from ..formats.sizes import readable_size
from ..plan import Operation, Plan
from ..planner.clock import Speed
from ..planner.model import Policy
from ..reasons import name
from ..refs import NULL, Objects, Record
from ..vms import guests
from . import marks, planning
from .moves import Moves
from .moves_room import Limits
from .moves_steps import LIVE, MIGRATE, RESUME, START, Rules, Wish, expected
from .moves_told import sentence, told_of, wishes_of
from .survey import survey

NO_ROOM = "HOST_NOT_ENOUGH_FREE_MEMORY"


@dataclass(frozen=True)
class Empty:
    """What is wanted of the host."""

    evacuate: bool = True


class Maintenance:
    """params: remember, bring_back, unmovable, network, wait_timeout."""

    def __init__(self, session: Session, params: Record):
        self.session, self.params = session, params
        self._after: dict[str, Record] = {}  # VMs as they will be once the host is empty

    # leaving -------------------------------------------------------------------------------------------------------
    def leave(self, plan: Plan, objects: Objects, host: str) -> None:
        """All VMs leave the host. Raises InvalidChange with all reasons why that cannot be."""
        planning.rested(objects, self._timeout)
        if not hosts.guests(objects, host):
            return
        label, network = hosts.name_of(objects, host), planning.network_of(objects, self.params.get("network"))
        seen = survey(objects, {host: Empty()}, network=network)
        found = planning.emptied(seen, label, Policy(unmovable=self.params.get("unmovable") or "fail"), Speed())
        if found.get("failed"):
            code = found["blockers"][0]["code"] if found["blockers"] else NO_ROOM
            raise InvalidChange(f"Host {label!r} cannot be emptied: {' '.join(found['problems'])}", code=code)
        moves = Moves(self.session, wishes_of(objects, found["actions"]), self._rules(network), Limits())
        moves.predict()
        self._after = moves.vms
        told = told_of(moves)
        refuse(told, f"Host {label!r} cannot be emptied: ")
        add(plan, moves)
        plan.facts["moved"] = [*plan.facts.get("moved", []), *told["moved"]]
        plan.facts["stopped"] = told["stopped"]

    def remember(self, plan: Plan, objects: Objects, host: str) -> None:
        """The VMs of the host note it as their home, where the plan is made by somebody else."""
        if self._remembers:
            for ref, vm in guests(objects).items():
                if vm["resident_on"] == host and not marks.home(vm):
                    marks.write(plan, "VM", ref, vm, marks.HOME, objects.get("host", host)["uuid"], label=name(vm))

    # coming back ---------------------------------------------------------------------------------------------------
    def bring_back(self, plan: Plan, objects: Objects, host: str) -> None:
        """VMs that left the host come back, those that were stopped are started, as far as there is room; others that made way go home."""
        if not self.params.get("bring_back"):
            return
        planning.rested(objects, self._timeout)
        vms = {ref: self._after.get(ref) or expected(vm) for ref, vm in guests(objects).items()}
        network = planning.network_of(objects, self.params.get("network"))
        wishes, left = _homeward(objects, vms, host)
        moves = Moves(self.session, wishes, self._rules(network, opens=host), Limits())
        moves.predict(vms)
        for wish, told in zip(wishes, moves.told):
            if told.error or told.surprise:
                left.append(f"{name(vms[wish.vm])} cannot be brought back: {told.error or told.surprise}")
                told.planned, told.operations = [], []
        plan.warnings += left
        told_ = told_of(moves)
        add(plan, moves)
        plan.facts["moved"] = [*plan.facts.get("moved", []), *told_["moved"]]
        plan.facts["started"] = told_["started"]

    @property
    def _remembers(self) -> bool:
        return bool(self.params.get("remember") or self.params.get("bring_back"))

    @property
    def _timeout(self) -> float:
        return max(3600.0, float(self.params.get("wait_timeout") or 0))

    def _rules(self, network: str, opens: str = "") -> Rules:
        return Rules(network=network, remember=self._remembers and not opens, wait_timeout=self._timeout, opens=opens, insert=bool(opens))


def refuse(told: t.Mapping[str, t.Any], words: str) -> None:
    """Raises InvalidChange for what could not be carried out."""
    if told["failed_actions"]:
        raise InvalidChange(words + sentence(told), code=told["failed_actions"][0]["error_code"])
    if told["surprises"]:
        raise InvalidChange(words + " ".join(row["msg"] for row in told["surprises"]))


def add(plan: Plan, moves: Moves) -> None:
    """The calls of the moves as steps of a plan: the first of them carries out all, as much at once as may be."""
    batch = _Batch(moves)
    for told in moves.told:
        for one in told.planned:
            plan.steps.append(Operation(one.method, one.params, run=batch))  # what fails is told in its own words


class _Batch:
    def __init__(self, moves: Moves):
        self.moves, self.begun = moves, False

    def __call__(self, *_params: t.Any) -> None:
        """Raises XenError for what failed, OutcomeUnknown when something is not as it was planned: then it is planned anew."""
        if self.begun:
            return
        self.begun = True
        self.moves.carry_out()
        told = told_of(self.moves)
        if told["failed_actions"]:
            raise XenError(sentence(told), code=told["failed_actions"][0]["error_code"])
        if told["surprises"]:
            raise OutcomeUnknown(" ".join(row["msg"] for row in told["surprises"]))


def _homeward(objects: Objects, vms: t.Mapping[str, Record], host: str) -> tuple[list[Wish], list[str]]:
    """Who comes home, in an order in which there is room for each; and why some do not."""
    by_uuid = {row["uuid"]: ref for ref, row in objects.all("host").items()}
    free = {
        ref: capacity.memory_capacity(objects, ref) - sum(capacity.memory_held(vm) for vm in vms.values() if vm["resident_on"] == ref)
        for ref in by_uuid.values()
    }
    wishes = [*_stopped(vms, host, by_uuid)]
    free[host] -= sum(capacity.memory_needed(vms[wish.vm]) for wish in wishes if vms[wish.vm]["power_state"] not in LIVE)
    away = {ref: home for ref, vm in vms.items() if (home := _home(objects, vm, host, by_uuid))}
    while here := [ref for ref, home in away.items() if free[home] >= capacity.memory_needed(vms[ref]) or vms[ref]["resident_on"] == home]:
        for ref in here:
            vm, home = vms[ref], away[ref]
            if vm["resident_on"] != home and free[home] < capacity.memory_needed(vm):
                continue  # one of those before took the room
            if vm["resident_on"] != home:
                free[home] -= capacity.memory_needed(vm)
                free[vm["resident_on"]] += capacity.memory_held(vm)
            wishes.append(Wish(MIGRATE, vm["name_label"], ref, vm["uuid"], home))
            del away[ref]
    left = [
        f"{name(vms[ref])} stays on host {hosts.name_of(objects, vms[ref]['resident_on'])!r}: host {hosts.name_of(objects, home)!r} has "
        f"{readable_size(max(0, free[home]))} of memory free, it needs {readable_size(capacity.memory_needed(vms[ref]))}."
        for ref, home in away.items()
    ]
    return wishes, left


def _stopped(vms: t.Mapping[str, Record], host: str, by_uuid: t.Mapping[str, str]) -> t.Iterator[Wish]:
    for ref, vm in vms.items():
        mark = marks.stopped(vm)
        if mark and by_uuid.get(mark.host) == host:
            yield Wish(RESUME if vm["power_state"] == "Suspended" else START, vm["name_label"], ref, vm["uuid"], host)


def _home(objects: Objects, vm: Record, host: str, by_uuid: t.Mapping[str, str]) -> str:
    """The host to bring a VM to; "" for none, or one that takes no guests."""
    home = by_uuid.get(marks.home(vm), "")
    if vm["power_state"] != "Running" or vm["resident_on"] == NULL or not home:
        return ""
    open_ = home == host or (objects.get("host", home)["enabled"] and hosts.is_live(objects, home))
    return home if open_ else ""
