# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever hosts do, in whatever order: join, leave, reboot, take over, get networks. Every pool stays in one piece."""

from __future__ import annotations

import contextlib
import typing as t

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.domzero.xen.tests.simulator import invariants
from ansible_collections.domzero.xen.tests.simulator.errors import Fault
from ansible_collections.domzero.xen.tests.simulator.world import Machine, World

from .conversation import Asked, build, settle

ACTIONS = ("join", "eject", "reboot", "designate", "network", "vlan", "bond", "unbond", "manage")
STEPS = st.lists(st.tuples(st.sampled_from(ACTIONS), st.integers(0, 2), st.integers(0, 9)), max_size=14)


def _pick(asked: Asked, cls: str, number: int, **where: t.Any) -> str:
    found = asked.db.find(cls, **where)
    return found[number % len(found)] if found else "OpaqueRef:NULL"


def _join(world: World, machine: Machine, number: int) -> None:
    target = list(world.machines.values())[number % len(world.machines)]
    Asked(machine)("pool.join", target.address, "root", "xapi-test")


def _do(world: World, action: str, machine: Machine, number: int) -> None:
    if action == "join":
        _join(world, machine, number)
        return
    ask, host = Asked(machine.pool.coordinator), machine.host_ref
    cards = ask.db.find("PIF", host=host, physical=True)
    if action == "eject":
        ask("pool.eject", host)
    elif action == "reboot":
        ask("host.disable", host)
        ask("host.reboot", host)
    elif action == "designate":
        ask("pool.designate_new_master", host)
    elif action == "network":
        ask.network()
    elif action == "vlan":
        ask("pool.create_VLAN_from_PIF", _pick(ask, "PIF", number, host=host), ask.network(), number)
    elif action == "bond":
        ask("Bond.create", _pick(ask, "network", number), [cards[number % len(cards)], cards[0]], "")
    elif action == "unbond":
        ask("Bond.destroy", _pick(ask, "Bond", number))
    elif action == "manage":
        ask("host.management_reconfigure", _pick(ask, "PIF", number, host=host))


def _holds(world: World) -> None:
    with world.lock:
        assert invariants.check(world) == []


@settings(max_examples=10, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(STEPS)
def test_pools_stay_in_one_piece(steps: list[tuple[str, int, int]]) -> None:
    _live(steps)


@pytest.mark.slow
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(STEPS)
def test_pools_stay_in_one_piece_in_many_orders(steps: list[tuple[str, int, int]]) -> None:
    _live(steps)


def _live(steps: list[tuple[str, int, int]]) -> None:
    world = build(3, nics=3)
    machines = list(world.machines.values())
    _join(world, machines[1], 0)
    settle(world)
    for action, which, number in steps:
        with contextlib.suppress(Fault):  # refused: nothing may have changed for the worse
            _do(world, action, machines[which], number)
        _holds(world)
        settle(world)
        _holds(world)
    assert sum(len(pool.machines) for pool in world.pools) == len(machines)
    world.stop()
