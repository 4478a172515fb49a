# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rolling upgrades of pools of 3 to 32 hosts: our plans, what others do, and the least that is possible, side by side, by family.

gib_over_bound, moves_over_bound: the mean over what the strategy solved; gib_worst: of one instance (gib_worst_hole: with what has to make
way for VMs that fit nowhere as part of the bound). Those that bring VMs back are held against twice what is on the hosts.
minutes: the mean over what all of them solved. away: the share of VMs that are not home, for those that bring them back.
Every plan, ours and theirs, is checked step by step and carried out by one simulator (upgrades/executor.py), which tells the minutes.

Then, one line each: pools with hardly any room (tight), whole upgrades in which each wave is planned anew (again), hosts that xapi's
host.evacuate and our plan empty on the collection's simulator (emptied), and the time that plans of large pools take.
"""

from __future__ import annotations

import time
import typing as t
from collections import defaultdict
from dataclasses import dataclass, field

from ansible_collections.domzero.xen.plugins.module_utils.planner import bound
from ansible_collections.domzero.xen.plugins.module_utils.planner.board import Board
from ansible_collections.domzero.xen.plugins.module_utils.planner.model import Bound, NoPlan
from ansible_collections.domzero.xen.plugins.module_utils.planner.stages import stages
from ansible_collections.domzero.xen.plugins.module_utils.planner.upgrade import plan

from .upgrades.checker import Outcome, check
from .upgrades.executor import minutes
from .upgrades.formats import policy_of, pool_of, written
from .upgrades.instances import FAMILIES, Instance, instance, loads
from .upgrades.peers import PEERS, GivesUp
from .upgrades.replanning import carried_out
from .upgrades.tight import TIGHT
from .upgrades.xapi import emptied

SIZES = ((3, 10), (3, 30), (8, 10), (8, 30), (16, 10), (32, 10))  # hosts, and VMs on each
TIGHT_SIZES, SEEDS = ((3, 4), (4, 5), (5, 8), (8, 6)), 3
SEED, LARGE = 1, (64, 47)
OURS = {"ours_k1": ("moves", 1), "ours_k4": ("moves", 4), "ours_home_k1": ("home", 1), "ours_home_k4": ("home", 4)}
BACK = ("xc_update", "xo_rpu", "ours_home_k1", "ours_home_k4")  # those that bring VMs back


@dataclass
class Solved:
    outcome: Outcome
    minutes: float
    staged: float  # minutes with a barrier between stages


@dataclass
class Case:
    """An instance, and what became of it, by strategy."""

    bounds: dict[bool, Bound]  # by whether VMs come back
    vms: int
    solved: dict[str, Solved] = field(default_factory=dict)
    impossible: bool = False  # for sure
    cpu: dict[str, float] = field(default_factory=dict)


def measure() -> t.Iterator[dict[str, t.Any]]:
    """One line for each family, one for each number of hosts, and one for the time a large pool takes."""
    by_hosts: dict[int, list[Case]] = defaultdict(list)
    for family in FAMILIES:
        cases = []
        for hosts, vms in SIZES:
            for load in loads(hosts):
                case = played(instance(family, hosts, vms, load, SEED))
                cases.append(case)
                by_hosts[hosts].append(case)
        yield {"family": family, **summary(cases)}
    for hosts, cases in by_hosts.items():
        yield {"hosts": hosts, **summary(cases)}
    for kind, make in TIGHT.items():
        cases = [played(make(hosts, vms, seed)) for hosts, vms in TIGHT_SIZES for seed in range(SEEDS)]
        yield {"tight": kind, **summary(cases), "surely_impossible": sum(case.impossible for case in cases)}
    for family in FAMILIES:
        yield {"again": family, **again([instance(family, 8, 10, load, 11) for load in loads(8)[-2:]])}
    for kind, make in TIGHT.items():
        if kind == "partly":  # the same for one host
            continue
        yield {"emptied": kind, **compared([make(hosts, vms, seed) for hosts, vms in TIGHT_SIZES[:2] for seed in range(3)])}
    yield large()


def again(given: list[Instance]) -> dict[str, t.Any]:
    """What an upgrade moves whose waves are planned one by one, over what one plan for all of them does, and over the bound."""
    out: dict[str, t.Any] = {"instances": len(given)}
    for name, (goal, down) in OURS.items():
        ratios, to_bound, most, lost = [], [], 0, 0
        for one in given:
            try:
                at_once = plan(pool_of(one), policy_of(one, goal, down))
            except NoPlan:
                continue
            try:
                outcome = check(one, written([carried_out(one, goal, down)]))
            except NoPlan:
                lost += 1
                continue
            ratios.append(outcome.moved / at_once.moved)
            to_bound.append(outcome.moved / (at_once.bound.memory - at_once.bound.hole))
            most = max(most, outcome.most)
        out[name] = {
            "carried_out": len(ratios), "without_plan_later": lost, "gib_over_plan": round(_mean(ratios), 4),
            "gib_over_plan_worst": round(max(ratios, default=0), 4), "gib_over_bound": round(_mean(to_bound), 4), "most_moved": most,
        }  # fmt: skip
    return out


def compared(given: list[Instance]) -> dict[str, t.Any]:
    """Hosts with VMs that can all be moved: how many xapi empties, and how many we do."""
    found = []
    for one in given:
        for vm in one["vms"]:
            vm["movable"] = True
        found.append(emptied(one, one["coordinator"]))
    return {
        "hosts": len(found),
        "xapi": sum(not both["xapi"] for both in found),
        "ours": sum(not both["ours"] for both in found),
        "only_xapi": sum(not both["xapi"] and bool(both["ours"]) for both in found),
        "why_xapi_refuses": sorted({both["xapi"] for both in found} - {""}),
    }


def large() -> dict[str, t.Any]:
    """What it takes to plan a pool as large as they get, on one core."""
    given = instance("mixed", *LARGE, 0.75, SEED)
    pool = pool_of(given)
    seconds = {}
    for name, (goal, down) in OURS.items():
        began = time.process_time()
        plan(pool, policy_of(given, goal, down))
        seconds[name] = round(time.process_time() - began, 2)
    return {"hosts": LARGE[0], "vms": len(pool.vms), "plan_seconds": seconds}


def played(given: Instance) -> Case:
    pool = pool_of(given)
    board = Board(pool)
    due = [host.id for host in pool.hosts if host.version < pool.target]
    todo = [board.number[name] for name in due]
    case = Case({home: bound.least(board, todo, home=home) for home in (False, True)}, len(pool.vms))
    for name, (goal, down) in OURS.items():
        began = time.process_time()
        try:
            actions = plan(pool, policy_of(given, goal, down)).actions
        except NoPlan as e:
            case.impossible = "No way was found" not in str(e)
            continue
        finally:
            case.cpu[name] = time.process_time() - began
        outcome = check(given, written([actions]))
        both = [actions], stages(pool, actions, down, overlap=False)
        case.solved[name] = Solved(outcome, *(minutes(given, written(apart), down) for apart in both))
    for name, peer in PEERS.items():
        try:
            their = peer(pool)
        except GivesUp:
            continue
        limits = {number: limit for number, limit in enumerate(their.limits) if limit is not None}
        lasts = minutes(given, written(their.actions, limits))
        case.solved[name] = Solved(check(given, written(their.actions), hard=False), lasts, lasts)
    return case


def summary(cases: list[Case]) -> dict[str, t.Any]:
    common = [case for case in cases if len(case.solved) == len(OURS) + len(PEERS)]
    out: dict[str, t.Any] = {
        "instances": len(cases),
        "feasible_by_any": sum(bool(case.solved) for case in cases),
        "solved_by_all": len(common),
    }
    for name in [*OURS, *PEERS]:
        out[name] = _row(name, [case for case in cases if name in case.solved], common)
    return out


def _row(name: str, solved: list[Case], common: list[Case]) -> dict[str, t.Any]:
    back = name in BACK
    least = [(case.solved[name].outcome, case.bounds[back]) for case in solved]
    gib = [outcome.moved / max(1, bound.memory - bound.hole) for outcome, bound in least]
    row: dict[str, t.Any] = {
        "solved": len(solved),
        "gib_over_bound": round(_mean(gib), 4),
        "gib_worst": round(max(gib, default=0), 4),
        "gib_worst_hole": round(max((outcome.moved / bound.memory for outcome, bound in least), default=0), 4),
        "moves_over_bound": round(_mean([outcome.moves / bound.moves for outcome, bound in least]), 4),
        "most_moved": max((outcome.most for outcome, _bound in least), default=0),
        "minutes": round(_mean([case.solved[name].minutes for case in common]), 1),
    }
    if back:
        row["away"] = round(_mean([len(case.solved[name].outcome.away) / case.vms for case in solved]), 4)
    if name in OURS:
        row["minutes_in_stages"] = round(_mean([case.solved[name].staged for case in common]), 1)
        both = [(case.solved[name], case.solved["xo_rpu"].minutes) for case in common]
        row["of_xo_minutes_worst"] = round(max((ours.minutes / xo for ours, xo in both), default=0), 3)
        row["of_xo_minutes_worst_in_stages"] = round(max((ours.staged / xo for ours, xo in both), default=0), 3)
        row["plan_seconds_worst"] = round(max((case.cpu[name] for case in solved), default=0), 2)
    return row


def _mean(values: t.Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
