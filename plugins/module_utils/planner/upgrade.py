# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A plan for the rolling upgrade of a pool: which VM goes where, and which hosts are upgraded when.

The coordinator comes first; a VM never goes to a host of a lower version; hosts are empty of VMs that can be moved when they are
upgraded, and those that cannot be moved are stopped and started as the policy says. Several orders of the hosts are tried, and the
cheapest plan is taken. The same pool gives the same plan.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import random
import typing as t
from collections import Counter
from dataclasses import dataclass, replace

from . import bound, reasons, search
from .board import Board, Step
from .buffering import keep_a_buffer
from .caterpillar import Stuck, Waves, walk
from .following import follow
from .homeward import send_home, stay_until_done, there_and_back
from .model import MIGRATE, START, STOP, UPGRADE, Action, Bound, Known, NoPlan, Plan, Policy, Pool
from .orders import LEVEL, LEVELS, USUAL, attempts, neighbour
from .scope import scope
from .straightening import straightened

SMALL = 16  # VMs: pools that are searched for a plan that is cheaper still
MOST_MOVES = 60_000  # on the board, for a better plan than the one there is
VARIATIONS, PATIENCE = 200, 40  # of the best order, for a better one; so many in vain end it, where the plan is
NEAR, ENOUGH = 1.1, 1.0002  # times the bound; not worth a search
EFFORT = 2_000_000  # VMs times hosts times attempts: bounds what is spent on better plans
Way = t.Callable[[Board, t.Sequence[int], float, int, random.Random], Waves]


class _Try(t.NamedTuple):
    """luck: the seed of what is left to luck."""

    order: list[int]
    level: float
    way: Way
    luck: int = 0


@dataclass
class _Found:
    """A way that was found: what was done on the board, in order."""

    how: _Try
    cost: float
    steps: list[Step]
    waves: Waves
    moved: int
    most: int
    away: list[int]


def plan(pool: Pool, policy: Policy, known: Known | None = None) -> Plan:
    """known: a plan that was made before, which is gone on with if it is still valid. Raises NoPlan."""
    found = scope(pool, policy)
    number = {host.id: n for n, host in enumerate(pool.hosts)}
    board = Board(pool, strict=True, in_place=[number[name] for name in found.in_place])
    todo = [number[name] for name in found.evacuated]
    _wishes(board, policy)
    result = (_softly if policy.anti_affinity == "soft" else _planned)(board, todo, policy, known)
    result.skipped = found.skipped
    return result


def _wishes(board: Board, policy: Policy) -> None:
    for v, vm in enumerate(board.pool.vms):
        host = board.number.get(vm.affinity or "", -1)
        allowed = board.allowed[v]
        if policy.return_home == "affinity" and vm.movable and host >= 0 and (allowed is None or host in allowed):
            board.wish[v] = host


def _softly(board: Board, todo: list[int], policy: Policy, known: Known | None) -> Plan:
    """Groups are kept apart where that costs neither memory nor time."""
    board.strict = False
    loose = _planned(board, todo, policy, known)
    if not loose.breaches:
        return loose
    board.strict = True
    try:
        firm = _planned(board, todo, policy, known)
    except NoPlan:
        return loose
    costs = firm.moved <= loose.moved and len(firm.waves) <= len(loose.waves) and len(firm.away) <= len(loose.away)
    return firm if costs else loose


def _planned(board: Board, todo: list[int], policy: Policy, known: Known | None) -> Plan:
    why = reasons.impossible(board, todo)
    if why:
        raise NoPlan(why)
    least = bound.least(board, todo, home=policy.return_home == "always")
    found = _again(board, todo, policy, known) or _cheapest(board, todo, least, policy)
    if found.away:  # not what the bound for all of them is about
        least = bound.least(board, todo, home=False)
    return _written(board, todo, found, least)


def _again(board: Board, todo: list[int], policy: Policy, known: Known | None) -> _Found | None:
    if known is None:
        return None
    try:
        found = _tried(board, _Try(todo, 1.0, functools.partial(follow, known)), policy)
    except Stuck:
        return None
    return None if found.away else found


def _cheapest(board: Board, todo: list[int], least: Bound, policy: Policy) -> _Found:
    best: _Found | None = None
    stuck: Stuck | None = None
    for number, (order, level) in enumerate(itertools.islice(attempts(board, todo), len(LEVELS) * USUAL)):
        if best is not None and board.work > MOST_MOVES:
            break
        for n, way in enumerate(_ways(policy)):
            if n and best is not None and best.moved <= least.memory:
                break
            try:
                found = _tried(board, _Try(order, level, way, number), policy)
            except Stuck as e:
                stuck = e
                continue
            best = found if best is None or found.cost < best.cost else best
    if best is None:
        best = _last_resort(board, todo, stuck, policy)
    if best.moved <= least.memory:
        return best
    best = _shorter(board, _varied(board, best, least, policy))
    return _cheaper(board, todo, best, policy) if len(board.at) <= SMALL and policy.return_home == "never" else best


def _varied(board: Board, best: _Found, least: Bound, policy: Policy) -> _Found:
    """The order of the hosts is changed a little, as long as that helps and takes but a moment."""
    chance, vain = random.Random(0), 0
    most = min(VARIATIONS, EFFORT // max(1, len(board.at) * len(board.free)))
    for number in range(most):
        if best.moved <= least.memory * ENOUGH or board.work > MOST_MOVES:
            break
        if vain >= PATIENCE and best.moved <= least.memory * NEAR:
            break
        way = (_ways(policy)[1:2] or [best.how.way])[0]
        how = best.how._replace(order=neighbour(best.how.order, board.coordinator, chance), way=way, luck=number)
        vain += 1
        with contextlib.suppress(Stuck):
            found = _tried(board, how, policy)
            vain = 0 if found.moved < best.moved else vain
            best = found if found.cost <= best.cost else best
    return best


def _last_resort(board: Board, todo: list[int], stuck: Stuck | None, policy: Policy) -> _Found:
    """Raises NoPlan."""
    best: _Found | None = None
    hard: list[Way] = [functools.partial(walk, hard=True), functools.partial(keep_a_buffer, lazily=True), keep_a_buffer]
    for number, (order, _level) in enumerate(itertools.islice(attempts(board, todo), 0, len(LEVELS) * USUAL, len(LEVELS))):
        for way in hard:
            try:
                found = _tried(board, _Try(order, 1.0, way, number), policy)
                best = found if best is None or found.cost < best.cost else best
            except Stuck as e:
                stuck = e
    if best is not None:
        return best
    try:
        return _tried(board, _Try(next(attempts(board, todo))[0], 1.0, search.thoroughly), policy)
    except search.Exhausted as e:
        host = e.host if e.certain or stuck is None else stuck.host
        raise NoPlan(reasons.not_found(board, host, certain=e.certain)) from e


def _cheaper(board: Board, todo: list[int], found: _Found, policy: Policy) -> _Found:
    def way(board: Board, todo: t.Sequence[int], level: float, at_once: int, chance: random.Random) -> Waves:
        del level, at_once, chance
        return search.cheaper(board, todo, found.moved)

    try:
        return _tried(board, _Try(next(attempts(board, todo))[0], 1.0, way), policy)
    except Stuck:
        return found


def _shorter(board: Board, found: _Found) -> _Found:
    """Without detours."""
    steps = straightened(board, found.steps)
    moved = sum(board.size[step.vm] for step in steps if step.vm >= 0)
    times = Counter(step.vm for step in steps if step.vm >= 0)
    return replace(found, steps=steps, moved=moved, most=max(times.values(), default=0))


def _ways(policy: Policy) -> list[Way]:
    return [there_and_back, keep_a_buffer, stay_until_done, walk] if policy.return_home == "always" else [walk]


def _tried(board: Board, how: _Try, policy: Policy) -> _Found:
    """The board is as it was before. Raises Stuck."""
    try:
        if board.coordinator not in how.order:
            board.upgrade_in_place()
        waves = how.way(board, how.order, how.level, max(1, policy.max_hosts_down), random.Random(how.luck))
        homes = _homes(board, policy)
        away = send_home(board, homes) if any(h >= 0 for h in homes) else []
        cost = _cost(board, how.order, waves, policy) + 100 * len(away)
        return _Found(how, cost, list(board.steps), [list(wave) for wave in waves], board.moved(), max(board.times, default=0), away)
    finally:
        board.back(0)


def _homes(board: Board, policy: Policy) -> list[int]:
    """Where VMs have to end, -1 for anywhere."""
    if policy.return_home == "always":
        return list(board.home)
    return [board.wish.get(v, -1) for v in range(len(board.at))]


def _cost(board: Board, todo: t.Sequence[int], waves: Waves, policy: Policy) -> float:
    """Memory moved first, then VMs that are moved often, waves where hosts may be down together, how even hosts are loaded in the end."""
    must = sum(board.size[v] for v, h in enumerate(board.start) if h in todo and board.pool.vms[v].movable) or 1
    shares = [board.load(h) / board.capacity[h] for h in board.hosts() if board.usable[h] and board.capacity[h] > 0]
    mean = sum(shares) / len(shares) if shares else 0
    uneven = max(0.0, max(shares) / mean - LEVEL) if mean else 0.0
    often = max(0, max(board.times, default=0) - 2)
    hurry = 2.0 if policy.max_hosts_down > 1 else 0.1
    return 40 * board.moved() / must + 2 * often + hurry * len(waves) / max(1, len(todo)) + 0.3 * uneven


def _written(board: Board, todo: t.Sequence[int], found: _Found, least: Bound) -> Plan:
    """The steps by name, with the VMs that are stopped and started around the upgrade of their host. board: at the start."""
    hosts, vms = board.pool.hosts, board.pool.vms
    fixed: dict[str, list[str]] = {}
    for v, vm in enumerate(vms):
        if not vm.movable and board.start[v] in todo:
            fixed.setdefault(vm.host, []).append(vm.id)
    actions: list[Action] = []
    breaches = 0
    for step in found.steps:
        name = hosts[step.target].id
        if step.vm >= 0:
            breaches += bool(board.in_the_way(step.vm, step.target))
            board.move(step.vm, step.target)
            actions.append(Action(MIGRATE, name, vms[step.vm].id, hosts[step.source].id))
        else:
            actions.append(Action(UPGRADE, name))
    board.back(0)
    actions = _with_stops(actions, fixed)
    moves = sum(step.vm >= 0 for step in found.steps)
    waves = [[hosts[h].id for h in wave] for wave in _with_in_place(board, found.waves)]
    away = [vms[v].id for v in found.away]
    return Plan(actions, waves, least, {}, found.moved, moves, found.most, breaches, away)


def _with_stops(actions: list[Action], fixed: dict[str, list[str]]) -> list[Action]:
    """fixed: VMs that are down while their host is upgraded. Hosts that are upgraded together are stopped and started together."""
    out: list[Action] = []
    for op, run in itertools.groupby(actions, key=lambda action: action.op):
        group = list(run)
        here = [Action(STOP, a.host, vm) for a in group if op == UPGRADE for vm in fixed.get(a.host, ())]
        out += [*here, *group, *(Action(START, a.host, a.vm) for a in here)]
    return out


def _with_in_place(board: Board, waves: Waves) -> Waves:
    """Hosts that keep their VMs come right after the coordinator, and before all others if it is not upgraded or is one of them."""
    place = 1 if waves and board.coordinator in waves[0] else 0
    first = [[h] for h in board.in_place if h == board.coordinator]
    rest = [h for h in board.in_place if h != board.coordinator]
    return [*waves[:place], *first, *([rest] if rest else []), *waves[place:]]
