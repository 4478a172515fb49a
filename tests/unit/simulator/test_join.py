# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every reason why a host can not join a pool, in xapi's order."""

from __future__ import annotations

import pytest

from ansible_collections.domzero.xen.tests.simulator.world import World

from . import obstacles
from .conversation import COORDINATOR, Asked, build, join, joined, settle


@pytest.fixture
def world() -> World:
    return build(2)


@pytest.fixture
def pool(world: World) -> Asked:
    return Asked(world.machines["xcp00"])


@pytest.fixture
def joiner(world: World) -> Asked:
    return Asked(world.machines["xcp01"])


def refused(joiner: Asked, *, force: bool = False) -> list[str]:
    return joiner.refused("pool.join_force" if force else "pool.join", COORDINATOR, "root", "xapi-test")


# reaching the coordinator --------------------------------------------------------------------------------------------
def test_an_address_where_nobody_answers(joiner: Asked, pool: Asked) -> None:
    assert joiner.refused("pool.join", "127.77.0.99", "root", "xapi-test") == ["JOINING_HOST_CONNECTION_FAILED"]
    pool.machine.go_down()
    assert refused(joiner) == ["JOINING_HOST_CONNECTION_FAILED"]


def test_a_wrong_password(joiner: Asked) -> None:
    assert joiner.refused("pool.join", COORDINATOR, "root", "wrong")[:2] == ["SESSION_AUTHENTICATION_FAILED", "root"]


def test_a_members_address() -> None:
    world = build(3)
    first, second, third = (Asked(machine) for machine in world.machines.values())
    join(second)
    settle(world)
    assert third.refused("pool.join", "127.77.0.2", "root", "xapi-test") == ["HOST_IS_SLAVE", COORDINATOR]
    assert len(first.db.all("host")) == 2


def test_a_member_says_who_its_coordinator_is(joiner: Asked) -> None:
    joined(joiner)
    with pytest.raises(Exception, match="HOST_IS_SLAVE"):
        Asked(joiner.machine)


# the checks ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("obstacle", obstacles.ALL, ids=lambda f: f.__name__)
def test_each_obstacle_is_named_and_nothing_is_changed(joiner: Asked, pool: Asked, obstacle: obstacles.Obstacle) -> None:
    wanted = obstacle(joiner, pool)
    before = set(pool.db.all("host")), set(pool.db.all("SR")), set(pool.db.all("network"))
    assert refused(joiner) == wanted
    assert (set(pool.db.all("host")), set(pool.db.all("SR")), set(pool.db.all("network"))) == before
    assert not joiner.machine.world.agenda


@pytest.mark.parametrize("obstacle", [obstacles.build, obstacles.cpus], ids=["build", "cpus"])
def test_force_takes_other_builds_and_processors(joiner: Asked, pool: Asked, obstacle: obstacles.Obstacle) -> None:
    obstacle(joiner, pool)
    join(joiner, force=True)
    assert len(pool.db.all("host")) == 2


@pytest.mark.parametrize("obstacle", [obstacles.platform, obstacles.shared_sr, obstacles.vlan], ids=["platform", "shared SR", "VLAN"])
def test_force_takes_nothing_else(joiner: Asked, pool: Asked, obstacle: obstacles.Obstacle) -> None:
    wanted = obstacle(joiner, pool)
    assert refused(joiner, force=True) == wanted


def test_the_first_obstacle_in_order_is_the_one_named(joiner: Asked, pool: Asked) -> None:
    """Brought about from the last to the first, each new one comes before those there are."""
    for obstacle in obstacles.LAST_FIRST:
        wanted = obstacle(joiner, pool)
        assert refused(joiner) == wanted


def test_a_host_does_not_join_itself(pool: Asked) -> None:
    assert pool.refused("pool.join", COORDINATOR, "root", "xapi-test") == ["OPERATION_NOT_ALLOWED", "Host cannot become slave of itself"]


def test_a_coordinator_does_not_join_its_own_pool(joiner: Asked) -> None:
    coordinator = joined(joiner)
    answer = coordinator.refused("pool.join", COORDINATOR, "root", "xapi-test")
    assert answer == ["OPERATION_NOT_ALLOWED", "Host is already part of a pool"]
