# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rolling upgrades on paper: what holds for any pool, by a checker that knows nothing of the planner; every way through small ones."""

from __future__ import annotations

import random
import typing as t
from collections import deque
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.domzero.xen.plugins.module_utils.planner.clock import Limits, Speed, course
from ansible_collections.domzero.xen.plugins.module_utils.planner.model import Action, Known, NoPlan, Plan, Pool
from ansible_collections.domzero.xen.plugins.module_utils.planner.stages import stages
from ansible_collections.domzero.xen.plugins.module_utils.planner.upgrade import plan
from ansible_collections.domzero.xen.plugins.module_utils.upgrade.waves import in_waves
from ansible_collections.domzero.xen.tests.bench.upgrades.checker import Broken, Outcome, check
from ansible_collections.domzero.xen.tests.bench.upgrades.formats import policy_of, pool_of, written
from ansible_collections.domzero.xen.tests.bench.upgrades.instances import FAMILIES, Instance, instance, loads, snug, tight

OLD, NEW = "8.2.1", "8.3.0"
GIB = 1024


@st.composite
def pools(draw: st.DrawFn, *, plain: bool = False, most: int = 12) -> Instance:
    """Two to five hosts, some upgraded already or not enabled; VMs where they fit, some fixed, tied to hosts or kept apart."""
    count = draw(st.integers(2, 5))
    names = [f"h{n}" for n in range(count)]
    done = 0 if plain else draw(st.integers(0, count - 1))  # the first ones, the coordinator among them
    hosts = []
    for n, name in enumerate(names):
        host: dict[str, t.Any] = {"id": name, "memory": draw(st.integers(4, 16)) * GIB, "version": NEW if n < done else OLD}
        if not plain:
            host["usable"] = draw(st.integers(0, 5)) > 0
            host["evacuate"] = draw(st.integers(0, 5)) > 0
            if draw(st.integers(0, 5)) == 0:
                host["due"] = draw(st.booleans())
        hosts.append(host)
    policy = {"unmovable": draw(st.sampled_from(["shutdown", "suspend", "skip"])), "anti_affinity": draw(st.sampled_from(["hard", "soft"]))}
    out = {"target": NEW, "coordinator": "h0", "hosts": hosts, "vms": [], "policy": policy}
    free = {host["id"]: host["memory"] for host in hosts}
    for n in range(draw(st.integers(0, most))):
        name, size = draw(st.sampled_from(names)), draw(st.integers(1, 6)) * GIB
        if size <= free[name]:
            free[name] -= size
            out["vms"].append({"id": f"vm{n}", "host": name, "memory": size - 64, "overhead": 64, **(TIED if plain else draw(ties(names)))})
    return out


TIED = {"movable": True, "reason": "", "group": None, "allowed": None, "affinity": None}


@st.composite
def ties(draw: st.DrawFn, names: list[str]) -> dict[str, t.Any]:
    return {
        "movable": draw(st.integers(0, 7)) > 0,
        "reason": "VM_HAS_PCI_ATTACHED",
        "group": draw(st.sampled_from([None, None, None, "g", "i"])),
        "allowed": draw(st.none() | st.none() | st.sets(st.sampled_from(names), min_size=1).map(sorted)),
        "affinity": draw(st.none() | st.sampled_from(names)),
        "home": draw(st.none() | st.none() | st.sampled_from(names)),
    }


def made(given: Instance, goal: str = "moves", down: int = 1) -> Plan | None:
    try:
        return plan(pool_of(given), policy_of(given, goal, down))
    except NoPlan:
        return None


def checked(given: Instance, found: Plan) -> Outcome:
    hard = given["policy"]["anti_affinity"] == "hard"
    return check(given, written([found.actions]), hard=hard, done=not found.skipped)


@settings(max_examples=100, deadline=None)
@given(pools(), st.sampled_from(["moves", "home", "affinity"]), st.integers(1, 3))
def test_any_plan_is_valid_step_by_step_costs_what_it_says_and_no_less_than_the_bound(pool: Instance, goal: str, down: int) -> None:
    found = made(pool, goal, down)
    if found is None:
        return
    outcome = checked(pool, found)
    assert (outcome.moved, outcome.moves, outcome.most, outcome.breaches) == (found.moved, found.moves, found.most_moved, found.breaches)
    assert found.bound.memory <= found.moved
    assert found.bound.moves <= found.moves
    assert sorted(action.host for action in found.actions if action.op == "upgrade") == sorted(h for wave in found.waves for h in wave)
    assert all(len(wave) <= down or not evacuated(pool, wave) for wave in found.waves)
    if goal == "home":  # but for what was where it may not be
        assert set(outcome.away) == set(found.away)


@settings(max_examples=100, deadline=None)
@given(pools(), st.sampled_from(["moves", "home"]), st.integers(1, 3), st.integers(0, 30))
def test_a_plan_is_gone_on_with_from_wherever_it_was_interrupted(given: Instance, goal: str, down: int, done: int) -> None:
    found, policy = made(given, goal, down), policy_of(given, goal, down)
    if found is None or found.away or found.skipped:
        return
    waves = in_waves(found)
    rest = Known([(w.hosts, [(a.vm, a.host) for a in w.moves]) for w in waves.waves], [(a.vm, a.host) for a in waves.home])
    plain = [action for action in found.actions if action.op in ("migrate", "upgrade")]
    moved = [action.vm for action in plain[:done] if action.op == "migrate"]
    again = plan(after(pool_of(given), plain[:done]), policy, rest)
    if len(set(moved)) == len(moved):  # of a VM that has come back already it cannot be seen that it was away
        assert [action for action in again.actions if action.op in ("migrate", "upgrade")] == plain[done:]


def after(pool: Pool, actions: t.Sequence[Action]) -> Pool:
    """The pool when these have been carried out."""
    at = {vm.id: vm.host for vm in pool.vms} | {a.vm: a.host for a in actions if a.op == "migrate"}
    up = {a.host for a in actions if a.op == "upgrade"}
    hosts = tuple(replace(h, version=max(h.version, pool.target), due=False, usable=True) if h.id in up else h for h in pool.hosts)
    return replace(pool, hosts=hosts, vms=tuple(replace(vm, host=at[vm.id], home=vm.home or vm.host) for vm in pool.vms))


def evacuated(pool: Instance, wave: t.Collection[str]) -> bool:
    return any(host["id"] in wave and host.get("evacuate", True) for host in pool["hosts"])


@settings(max_examples=60, deadline=None)
@given(pools(), st.sampled_from(["moves", "home"]), st.integers(1, 3), st.booleans(), st.randoms(use_true_random=False))
def test_the_actions_of_a_stage_may_run_in_any_order_and_at_once(
    pool: Instance, goal: str, down: int, overlap: bool, chance: random.Random
) -> None:
    found = made(pool, goal, down)
    if found is None:
        return
    apart = stages(pool_of(pool), found.actions, down, overlap=overlap)
    hard = pool["policy"]["anti_affinity"] == "hard"
    check(pool, written([chance.sample(stage, len(stage)) for stage in apart]), hard=hard, done=not found.skipped)
    assert sorted(action for stage in apart for action in stage) == sorted(found.actions)
    kept = {host["id"] for host in pool["hosts"] if not host.get("evacuate", True)}
    assert all(sum(action.op == "upgrade" and action.host not in kept for action in stage) <= down for stage in apart)
    minutes = course(pool_of(pool), apart, Speed(), Limits(down)).minutes
    alone = course(pool_of(pool), [[action] for action in found.actions], Speed(), Limits(down)).minutes
    assert minutes <= alone + 1e-6


@settings(max_examples=40, deadline=None)
@given(pools(), st.sampled_from(["moves", "home"]), st.integers(1, 3))
def test_the_same_pool_gives_the_same_plan_and_no_clock_gets_stuck(pool: Instance, goal: str, down: int) -> None:
    found = made(pool, goal, down)
    assert found == made(pool, goal, down)
    if found is not None:
        times = course(pool_of(pool), [found.actions], Speed(), Limits(down))
        assert times.minutes >= max(times.began, default=0)
        assert set(times.down) == {action.vm for action in found.actions if action.op == "stop"}


def everywhere(pool: Instance, most: int = 400_000) -> int | None:
    """The fewest MiB of any plan, found by trying everything; None if there is none. For movable VMs without ties."""
    hosts = [host["id"] for host in pool["hosts"]]
    memory, sizes = [host["memory"] for host in pool["hosts"]], [vm["memory"] + vm["overhead"] for vm in pool["vms"]]
    start = tuple(hosts.index(vm["host"]) for vm in pool["vms"]), 0
    least: dict[t.Any, int] = {start: 0}
    queue = deque([start])
    best: int | None = None
    while queue:
        at, done = queue.popleft()
        cost = least[at, done]
        if done == 2 ** len(hosts) - 1:
            best = cost if best is None else min(best, cost)
            continue
        after: list[tuple[t.Any, int]] = []
        for h in range(len(hosts)):
            if h not in at and not done >> h & 1 and (h == 0 or done & 1):
                after.append(((at, done | 1 << h), cost))
        for v, source in enumerate(at):
            for h in range(len(hosts)):
                room = memory[h] - sum(size for other, size in zip(at, sizes) if other == h)
                if h != source and room >= sizes[v] and (done >> h & 1) >= (done >> source & 1):
                    after.append((((*at[:v], h, *at[v + 1 :]), done), cost + sizes[v]))
        for state, then in after:
            if then < least.get(state, then + 1):
                least[state] = then
                queue.append(state)
        assert len(least) < most
    return best


@settings(max_examples=60, deadline=None)
@given(pools(plain=True, most=6))
def test_a_small_pool_has_a_plan_exactly_if_any_way_leads_through_and_hardly_a_dearer_one(pool: Instance) -> None:
    if len(pool["hosts"]) > 4:
        return
    best, found = everywhere(pool), made(pool)
    assert (found is None) == (best is None)
    if found is not None and best is not None:
        assert found.bound.memory <= best <= found.moved
        assert found.moved <= max(best * 1.03, best + 64)


@pytest.mark.parametrize("seed", range(25))
@pytest.mark.parametrize(("hosts", "vms", "load"), [(3, 6, 0.55), (4, 6, 0.65)])
def test_a_tight_pool_has_a_plan_exactly_if_any_way_leads_through(hosts: int, vms: int, load: float, seed: int) -> None:
    pool = tight(hosts, vms, load, seed)
    best, found = everywhere(pool), made(pool)
    assert (found is None) == (best is None)
    if found is not None:
        assert checked(pool, found).moved == found.moved == best


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("hosts", [3, 8])
def test_plans_of_every_family_are_next_to_the_bound_and_move_no_vm_more_than_twice(family: str, hosts: int) -> None:
    ratios, ratios_with_hole = [], []
    for load in loads(hosts):
        pool = instance(family, hosts, 10, load, 1)
        for down in (1, 4):
            found = made(pool, "moves", down)
            if found is None:
                continue
            assert checked(pool, found).most <= 2
            ratios.append(found.moved / (found.bound.memory - found.bound.hole))
            ratios_with_hole.append(found.moved / found.bound.memory)
    assert sum(ratios_with_hole) / len(ratios_with_hole) < 1.002
    assert max(ratios) < 1.03


@pytest.mark.parametrize("family", FAMILIES)
def test_every_vm_is_home_in_the_end_if_that_is_asked_for(family: str) -> None:
    for down in (1, 4):
        pool = instance(family, 8, 10, 0.75, 1)
        found = made(pool, "home", down)
        assert found is not None
        assert checked(pool, found).away == found.away == []
        assert found.moved / found.bound.memory < 1.03


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("down", [1, 4])
def test_vms_go_home_at_the_price_of_two_moves_each_where_hosts_are_full(family: str, down: int) -> None:
    pool = instance(family, 16, 10, 0.85, 11)
    found = made(pool, "home", down)
    assert found is not None
    assert checked(pool, found).away == []
    assert found.moved <= found.bound.memory * 1.01


@pytest.mark.parametrize("vms", [4, 8])
@pytest.mark.parametrize("flavours", [False, True])
def test_a_pool_with_just_enough_room_is_upgraded(vms: int, flavours: bool) -> None:
    for seed in range(3):
        pool = snug(8, vms, 0.1, seed, flavours=flavours)
        found = made(pool)
        assert found is not None
        checked(pool, found)


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("hosts", [3, 8, 16, 32])
def test_all_families_over_many_seeds(family: str, hosts: int) -> None:
    ratios = []
    for load in loads(hosts):
        for vms in (10, 30):
            for seed in range(3):
                pool = instance(family, hosts, vms, load, seed)
                for down in (1, 4):
                    found = made(pool, "moves", down)
                    if found is not None:
                        assert checked(pool, found).most <= 2
                        ratios.append(found.moved / found.bound.memory)
    assert sum(ratios) / len(ratios) < 1.002
    assert max(ratios) < 1.03


def test_the_checker_finds_what_is_wrong() -> None:
    pool = instance("homog", 3, 4, 0.4, 1)
    found = made(pool)
    assert found is not None
    good = written([found.actions])["actions"]
    for bad in (good[1:], [good[-1], *good[:-1]], [*good[:1], *good], good[:-1]):
        with pytest.raises(Broken):
            check(pool, {"actions": bad})
