# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A member leaves its pool."""

from __future__ import annotations

import pytest

from ansible_collections.domzero.xen.tests.simulator.modeltypes import NULL
from ansible_collections.domzero.xen.tests.simulator.world import World

from .conversation import Asked, build, settle, until


@pytest.fixture
def world() -> World:
    return build(2, joined=True)


@pytest.fixture
def pool(world: World) -> Asked:
    return Asked(world.machines["xcp00"])


@pytest.fixture
def member(world: World) -> str:
    return world.machines["xcp01"].host_ref


def test_the_coordinator_stays(pool: Asked) -> None:
    assert pool.refused("pool.eject", pool.host) == ["INTERNAL_ERROR", "Xapi_pool.Cannot_eject_master"]


def test_nobody_leaves_under_ha(pool: Asked, member: str) -> None:
    pool.db.set("pool", pool.machine.pool.pool_ref, ha_enabled=True)
    assert pool.refused("pool.eject", member) == ["HA_IS_ENABLED"]


def test_nobody_leaves_while_updates_are_applied(pool: Asked, member: str) -> None:
    pool.db.set("pool", pool.machine.pool.pool_ref, current_operations={"OpaqueRef:t": "apply_updates"})
    assert pool.refused("pool.eject", member) == ["NOT_SUPPORTED_DURING_UPGRADE"]


@pytest.mark.parametrize("state", ["Running", "Paused", "Suspended"])
def test_a_host_with_guests_stays(pool: Asked, member: str, state: str) -> None:
    pool.db.create("VM", power_state=state, resident_on=member)
    assert pool.refused("pool.eject", member) == ["OPERATION_NOT_ALLOWED", "VM resident on host"]


def test_a_host_that_is_away_is_not_asked(pool: Asked, member: str) -> None:
    pool.db.set("host_metrics", pool.record("host", member)["metrics"], live=False)
    assert pool.refused("pool.eject", member) == ["HOST_OFFLINE", member]


def test_what_was_the_members_is_gone_from_the_pool(pool: Asked, member: str) -> None:
    local = [pool.record("PBD", pbd)["SR"] for pbd in pool.record("host", member)["PBDs"]]
    own = [sr for sr in local if len(pool.record("SR", sr)["PBDs"]) == 1]
    vdi = pool.db.create("VDI", SR=own[-1], name_label="lost")
    vm = pool.db.create("VM", power_state="Halted")
    disk = pool.db.create("VBD", VM=vm, VDI=vdi, type="Disk", empty=False)
    drive = pool.db.create("VBD", VM=vm, VDI=vdi, type="CD", empty=False)
    shared = pool.db.one("SR", is_tools_sr=True)
    pool("pool.eject", member)
    assert not pool.db.exists("host", member)
    assert [pif["host"] for pif in pool.db.all("PIF").values()] == [pool.host] * 4
    assert [pbd["host"] for pbd in pool.db.all("PBD").values()] == [pool.host] * len(pool.db.all("PBD"))
    assert not [sr for sr in own if pool.db.exists("SR", sr)]
    assert not pool.db.exists("VDI", vdi)
    assert not pool.db.exists("VBD", disk)
    assert (pool.record("VBD", drive)["empty"], pool.record("VBD", drive)["VDI"]) == (True, NULL)
    assert len(pool.record("SR", shared)["PBDs"]) == 1
    assert len([vm for vm in pool.db.all("VM").values() if vm["is_control_domain"]]) == 1
    assert len(pool.db.all("host_metrics")) == 1
    assert pool.pool["cpu_info"]["cpu_count"] == "8"


def test_a_shared_network_of_the_pool_stays(pool: Asked, member: str) -> None:
    network = pool.network()
    pool("pool.create_VLAN_from_PIF", pool.pif("eth1"), network, 5)
    pool("pool.eject", member)
    assert [pool.record("PIF", pif)["host"] for pif in pool.record("network", network)["PIFs"]] == [pool.host]
    assert len(pool.db.all("VLAN")) == 1


def test_the_host_comes_back_as_a_pool_of_its_own(pool: Asked, member: str, world: World) -> None:
    machine = world.machines["xcp01"]
    pool("pool.eject", member)
    settle(world)
    alone = Asked(machine)
    assert alone.pool["master"] == alone.host
    assert len(alone.db.all("host")) == 1
    management = alone.record("PIF", alone.pif("eth0"))
    assert (management["management"], management["IP"]) == (True, machine.address)
    assert machine.host_record()["enabled"]
    assert [sr["name_label"] for sr in alone.db.all("SR").values()].count("Local storage") == 1


def test_eject_returns_before_the_reboot_is_over() -> None:
    world = build(2, joined=True, speed=600)
    pool, machine = Asked(world.machines["xcp00"]), world.machines["xcp01"]
    pool("pool.eject", machine.host_ref)
    assert machine.power == "on"
    until(world, lambda: machine.power == "booting")
    until(world, lambda: machine.power == "on")


def test_a_management_bond_leaves_with_its_first_card(pool: Asked, member: str, world: World) -> None:
    pool("Bond.create", pool.network(), [pool.pif("eth0", member), pool.pif("eth1", member)], "")
    pool("pool.eject", member)
    settle(world)
    alone = Asked(world.machines["xcp01"])
    assert not alone.db.all("Bond")
    assert alone.record("PIF", alone.pif("eth0"))["IP"] == alone.machine.address


def test_a_management_vlan_is_kept(pool: Asked, member: str, world: World) -> None:
    pif = pool.record("VLAN", pool("VLAN.create", pool.pif("eth0", member), 7, pool.network()))["untagged_PIF"]
    pool("PIF.reconfigure_ip", pif, "Static", world.machines["xcp01"].address, "255.255.255.0", "", "")
    pool("host.management_reconfigure", pif)
    pool("pool.eject", member)
    settle(world)
    alone = Asked(world.machines["xcp01"])
    management = alone.record("PIF", alone.pif("eth0", tag=7))
    assert (management["management"], management["IP"]) == (True, alone.machine.address)


def test_it_may_join_again(pool: Asked, member: str, world: World) -> None:
    pool("pool.eject", member)
    settle(world)
    Asked(world.machines["xcp01"])("pool.join", "127.77.0.1", "root", "xapi-test")
    settle(world)
    assert len(pool.db.all("host")) == 2
    assert all(host["enabled"] for host in pool.db.all("host").values())
