# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Balancing a pool on paper: what must hold for any pool, and a few that can be seen at a glance."""

from __future__ import annotations

import random
import typing as t
from collections import Counter
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.domzero.xen.plugins.module_utils.planner.balance import (
    Host,
    Move,
    Vm,
    Weights,
    batches,
    imbalance,
    loads,
    plan,
)

NAMES = "abcd"
Pool = tuple[list[Host], list[Vm], Weights]


@st.composite
def pools(draw: st.DrawFn) -> Pool:
    """Two to four hosts, VMs where they fit, some tied, some to be kept apart."""
    names = NAMES[: draw(st.integers(2, 4))]
    hosts = [Host(name, draw(st.integers(8, 64)), draw(st.integers(2, 16))) for name in names]
    left = {host.name: host.memory for host in hosts}
    vms: list[Vm] = []
    for n in range(draw(st.integers(0, 12))):
        name, memory = draw(st.sampled_from(names)), draw(st.integers(1, 12))
        if memory > left[name]:
            continue
        left[name] -= memory
        targets = frozenset(draw(st.sets(st.sampled_from(names))))
        apart = frozenset(draw(st.sets(st.sampled_from(["g", "h"]), max_size=1)))
        vms.append(Vm(f"vm{n}", name, memory, draw(st.integers(1, 4)), targets, apart))
    weights = draw(st.sampled_from([Weights(), Weights(0, 1), Weights(1, 1)]))
    return hosts, vms, weights


def scores(pool: Pool) -> list[float]:
    return [load.score for load in loads(*pool).values()]


def moved(pool: Pool, moves: t.Iterable[Move]) -> Pool:
    hosts, vms, weights = pool
    where = {move.vm: move.target for move in moves}
    return hosts, [replace(vm, host=where.get(vm.name, vm.host)) for vm in vms], weights


def crowded(vms: t.Iterable[Vm]) -> int:
    """Pairs that are to be apart and are not."""
    together = Counter((group, vm.host) for vm in vms for group in vm.apart)
    return sum(n * (n - 1) // 2 for n in together.values())


@given(pools(), st.integers(0, 6), st.sampled_from([0.0, 5.0, 20.0]))
def test_any_plan_is_valid_step_by_step_and_no_pool_is_worse_for_it(pool: Pool, limit: int, threshold: float) -> None:
    hosts, vms, _weights = pool
    moves = plan(*pool, threshold=threshold, max_moves=limit)
    assert len(moves) <= limit
    assert imbalance(scores(moved(pool, moves))) <= imbalance(scores(pool)) + 1e-6
    capacity, now = {host.name: host.memory for host in hosts}, {vm.name: vm for vm in vms}
    for move in moves:
        vm, pairs = now[move.vm], crowded(now.values())
        assert vm.host == move.source != move.target
        assert move.target in vm.targets
        now[move.vm] = replace(vm, host=move.target)
        assert sum(other.memory for other in now.values() if other.host == move.target) <= capacity[move.target]
        assert crowded(now.values()) <= pairs


@given(pools(), st.randoms(use_true_random=False))
def test_the_order_of_the_input_does_not_matter_and_a_balanced_pool_is_left_alone(pool: Pool, rnd: random.Random) -> None:
    hosts, vms, weights = pool
    moves = plan(*pool, threshold=5, max_moves=100)
    assert plan(rnd.sample(hosts, len(hosts)), rnd.sample(vms, len(vms)), weights, threshold=5, max_moves=100) == moves
    assert plan(*moved(pool, moves), threshold=5, max_moves=100) == []


@given(pools(), st.integers(1, 4))
def test_moves_side_by_side_need_no_room_that_is_not_there_yet(pool: Pool, at_once: int) -> None:
    hosts, vms, _weights = pool
    moves = plan(*pool, threshold=0, max_moves=100)
    groups = batches(moves, at_once)
    assert [move for group in groups for move in group] == moves
    capacity, where = {host.name: host.memory for host in hosts}, {vm.name: vm.host for vm in vms}
    memory = {vm.name: vm.memory for vm in vms}
    for group in groups:
        assert len(group) <= at_once
        coming = Counter[str]()
        for move in group:
            coming[move.target] += memory[move.vm]
        for host, size in coming.items():
            assert size + sum(memory[vm] for vm, at in where.items() if at == host) <= capacity[host]
        where |= {move.vm: move.target for move in group}


def anywhere(name: str, host: str, memory: int, **more: t.Any) -> Vm:
    return Vm(name, host, memory, 1, frozenset(NAMES), **more)


def test_one_full_host_gives_to_one_that_is_empty() -> None:
    hosts = [Host("a", 100, 8), Host("b", 100, 8)]
    vms = [anywhere(f"vm{n}", "a", 10) for n in range(4)]
    assert plan(hosts, vms, Weights(), threshold=10, max_moves=10) == [Move("vm0", "a", "b"), Move("vm1", "a", "b")]
    assert plan(hosts, vms, Weights(), threshold=50, max_moves=10) == []
    assert plan(hosts, vms, Weights(), threshold=10, max_moves=1) == [Move("vm0", "a", "b")]


def test_a_bigger_host_takes_more() -> None:
    hosts = [Host("a", 100, 8), Host("b", 300, 8)]
    moves = plan(hosts, [anywhere(f"vm{n}", "a", 10) for n in range(8)], Weights(), threshold=1, max_moves=10)
    assert len(moves) == 6


def test_members_of_a_group_are_not_brought_together() -> None:
    hosts = [Host("a", 100, 8), Host("b", 100, 8)]
    group = frozenset({"db"})
    vms = [anywhere("db1", "a", 40, apart=group), anywhere("db2", "b", 5, apart=group)]
    assert plan(hosts, vms, Weights(), threshold=1, max_moves=10) == []


def test_vcpus_count_when_they_are_asked_for() -> None:
    hosts = [Host("a", 100, 8), Host("b", 100, 8)]
    vms = [Vm("vm1", "a", 10, 6, frozenset(NAMES)), Vm("vm2", "a", 10, 6, frozenset(NAMES)), Vm("vm3", "b", 20, 1)]
    assert plan(hosts, vms, Weights(1, 0), threshold=5, max_moves=10) == []
    assert plan(hosts, vms, Weights(0, 1), threshold=5, max_moves=10) == [Move("vm1", "a", "b")]


def test_a_pool_without_hosts_is_balanced() -> None:
    assert plan([], [], Weights(), threshold=1, max_moves=10) == []
