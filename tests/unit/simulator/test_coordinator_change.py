# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Another host becomes the coordinator, by order or in an emergency."""

from __future__ import annotations

import pytest

from ansible_collections.domzero.xen.tests.simulator.dispatch import dispatch
from ansible_collections.domzero.xen.tests.simulator.errors import Fault
from ansible_collections.domzero.xen.tests.simulator.world import Machine, World

from .conversation import Asked, build, settle, until


@pytest.fixture
def world() -> World:
    return build(3, joined=True)


@pytest.fixture
def pool(world: World) -> Asked:
    return Asked(world.machines["xcp00"])


class Local:
    """A session that a member gives for emergencies."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.session = dispatch(machine, "session.slave_local_login_with_password", ["root", "xapi-test"])

    def __call__(self, method: str, *params: object) -> object:
        return dispatch(self.machine, method, [self.session, *params])


# by order ------------------------------------------------------------------------------------------------------------
def test_the_new_coordinator_answers_and_the_old_one_refers_to_it(pool: Asked, world: World) -> None:
    new = world.machines["xcp01"]
    pool("pool.designate_new_master", new.host_ref)
    settle(world)
    asked = Asked(new)
    assert asked.pool["master"] == new.host_ref
    assert asked.pool["last_update_sync"] == "19700101T00:00:00Z"
    assert all(host["enabled"] for host in asked.db.all("host").values())
    with pytest.raises(Fault) as refusal:
        Asked(world.machines["xcp00"])
    assert refusal.value.description == ["HOST_IS_SLAVE", new.address]


def test_every_session_ends(pool: Asked, world: World) -> None:
    pool("pool.designate_new_master", world.machines["xcp01"].host_ref)
    settle(world)
    assert pool.refused("pool.get_all") == ["SESSION_INVALID", pool.session]


def test_the_call_is_answered_before_the_toolstacks_restart() -> None:
    world = build(2, joined=True, speed=60)
    pool, new = Asked(world.machines["xcp00"]), world.machines["xcp01"]
    pool("pool.designate_new_master", new.host_ref)
    assert [machine.power for machine in world.machines.values()] == ["on", "on"]
    until(world, lambda: all(machine.power == "booting" for machine in world.machines.values()))
    until(world, lambda: new.host_record()["enabled"])


def test_naming_the_present_coordinator_changes_nothing(pool: Asked, world: World) -> None:
    pool("pool.designate_new_master", pool.host)
    assert not world.agenda
    assert pool("pool.get_all")


def test_not_under_ha(pool: Asked, world: World) -> None:
    pool.db.set("pool", pool.machine.pool.pool_ref, ha_enabled=True)
    assert pool.refused("pool.designate_new_master", world.machines["xcp01"].host_ref) == ["HA_IS_ENABLED"]


def test_a_host_that_is_away_keeps_things_as_they_are(pool: Asked, world: World) -> None:
    away = world.machines["xcp02"].host_ref
    pool.db.set("host_metrics", pool.record("host", away)["metrics"], live=False)
    assert pool.refused("pool.designate_new_master", world.machines["xcp01"].host_ref) == ["HOST_OFFLINE", away]
    assert pool.pool["master"] == pool.host
    assert pool.pool["current_operations"] == {}


def test_not_while_the_pool_does_something_else(pool: Asked, world: World) -> None:
    pool.db.set("pool", pool.machine.pool.pool_ref, current_operations={"OpaqueRef:t": "ha_enable"})
    assert pool.refused("pool.designate_new_master", world.machines["xcp01"].host_ref) == ["HA_ENABLE_IN_PROGRESS"]


# emergency -----------------------------------------------------------------------------------------------------------
@pytest.fixture
def orphan(pool: Asked, world: World) -> Machine:
    """A member that restarted while its coordinator was away."""
    member = world.machines["xcp01"]
    with world.lock:
        pool.machine.go_down()
        member.go_down()
        member.come_up()
    return member


def test_a_member_without_its_coordinator_answers_only_emergency_calls(orphan: Machine) -> None:
    for method, params in (("session.login_with_password", ["root", "xapi-test"]), ("pool.get_all", ["OpaqueRef:x"])):
        with pytest.raises(Fault) as refusal:
            dispatch(orphan, method, params)
        assert refusal.value.description == ["HOST_STILL_BOOTING"]
    assert Local(orphan).session


def test_it_may_take_over(orphan: Machine, world: World) -> None:
    Local(orphan)("pool.emergency_transition_to_master")
    settle(world)
    asked = Asked(orphan)
    assert asked.pool["master"] == orphan.host_ref
    assert asked.record("host", orphan.host_ref)["enabled"]


def test_the_other_members_are_told(orphan: Machine, world: World) -> None:
    third = world.machines["xcp02"]
    with world.lock:
        third.go_down()
        third.come_up()
    Local(orphan)("pool.emergency_transition_to_master")
    settle(world)
    asked = Asked(orphan)
    assert asked("pool.recover_slaves") == [third.host_ref]
    settle(world)
    assert asked.record("host", third.host_ref)["enabled"]


def test_a_healthy_pool_recovers_all_its_members(pool: Asked, world: World) -> None:
    assert set(pool("pool.recover_slaves")) == {world.machines[name].host_ref for name in ("xcp01", "xcp02")}
    assert not world.agenda


def test_only_in_an_emergency(pool: Asked, world: World) -> None:
    with pytest.raises(Fault) as refusal:
        Local(world.machines["xcp01"])("pool.emergency_transition_to_master")
    assert refusal.value.description == ["NOT_IN_EMERGENCY_MODE"]


def test_a_host_is_not_its_own_member(pool: Asked, world: World) -> None:
    member = world.machines["xcp01"]
    with pytest.raises(Fault) as refusal:
        Local(member)("pool.emergency_reset_master", member.address)
    assert refusal.value.description == ["HOST_ITS_OWN_SLAVE"]


def test_a_member_finds_its_coordinator_again(orphan: Machine, pool: Asked, world: World) -> None:
    with world.lock:
        pool.machine.come_up()
    Local(orphan)("pool.emergency_reset_master", pool.machine.address)
    settle(world)
    assert orphan.host_record()["enabled"]


def test_the_coordinators_return_ends_the_emergency(orphan: Machine, pool: Asked, world: World) -> None:
    from ansible_collections.domzero.xen.tests.simulator import agent

    with world.lock:
        orphan.pool.db.set("host_metrics", orphan.host_record()["metrics"], live=False)
        agent.power_on(pool.machine)
    settle(world)
    assert all(machine.host_record()["enabled"] for machine in (orphan, pool.machine))


# what every member must agree to -------------------------------------------------------------------------------------
def test_the_database_is_copied_on_demand(pool: Asked) -> None:
    pool("pool.sync_database")


def test_a_new_pool_secret_needs_every_host(pool: Asked, world: World) -> None:
    pool("pool.rotate_secret")
    away = world.machines["xcp02"].host_ref
    pool.db.set("host_metrics", pool.record("host", away)["metrics"], live=False)
    assert pool.refused("pool.rotate_secret") == ["HOST_OFFLINE", away]


# management ----------------------------------------------------------------------------------------------------------
def test_the_whole_pool_is_managed_over_another_network(pool: Asked, world: World) -> None:
    network = pool.record("PIF", pool.pif("eth1"))["network"]
    assert pool.refused("pool.management_reconfigure", network)[0] == "PIF_HAS_NO_NETWORK_CONFIGURATION"
    for n, machine in enumerate(world.machines.values()):
        address = ("Static", f"127.77.1.{1 + n}", "255.255.255.0", "", "")
        pool("PIF.reconfigure_ip", pool.pif("eth1", machine.host_ref), *address)
    pool("pool.management_reconfigure", network)
    settle(world)
    assert [machine.address for machine in world.machines.values()] == ["127.77.1.1", "127.77.1.2", "127.77.1.3"]
    for machine in world.machines.values():
        assert machine.host_record()["address"] == machine.address
        managed = [pif["device"] for pif in pool.db.all("PIF").values() if pif["host"] == machine.host_ref and pif["management"]]
        assert managed == ["eth1"]


def test_every_host_needs_an_interface_there(pool: Asked, world: World) -> None:
    network = pool.network()
    answer = pool.refused("pool.management_reconfigure", network)
    assert answer == ["PIF_NOT_PRESENT", pool.host, network]
