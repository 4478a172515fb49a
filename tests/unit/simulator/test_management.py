# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The management interface of a simulated host, and the cluster that depends on interfaces staying as they are."""

from __future__ import annotations

import pytest

from ansible_collections.domzero.xen.tests.simulator.running import InProcess
from ansible_collections.domzero.xen.tests.simulator.world import World

from .conversation import Asked, build, settle, until


@pytest.fixture
def world() -> World:
    return build(2, joined=True)


@pytest.fixture
def pool(world: World) -> Asked:
    return Asked(world.machines["xcp00"])


def test_management_moves_to_an_interface_with_an_address(pool: Asked, world: World) -> None:
    eth0, eth1 = pool.pif("eth0"), pool.pif("eth1")
    assert pool("host.get_management_interface", pool.host) == eth0
    assert pool.refused("host.management_reconfigure", eth1) == ["PIF_HAS_NO_NETWORK_CONFIGURATION", eth1]
    pool("PIF.reconfigure_ip", eth1, "Static", "127.77.1.1", "255.255.255.0", "", "")
    pool("host.management_reconfigure", eth1)
    assert pool("host.get_management_interface", pool.host) == eth1
    assert (pool.record("PIF", eth1)["currently_attached"], pool.record("PIF", eth0)["management"]) == (True, False)
    settle(world)
    assert pool.machine.address == pool.record("host", pool.host)["address"] == "127.77.1.1"


def test_a_bond_member_does_not_carry_the_management(pool: Asked) -> None:
    pool("Bond.create", pool.network(), [pool.pif("eth2"), pool.pif("eth3")], "")
    assert pool.refused("host.management_reconfigure", pool.pif("eth2")) == ["CANNOT_PLUG_BOND_SLAVE", pool.pif("eth2")]


def test_an_address_of_another_network_is_shown_and_the_host_listens_where_it_was(pool: Asked, world: World) -> None:
    pool("PIF.reconfigure_ip", pool.pif("eth1"), "Static", "172.16.0.9", "255.255.255.0", "", "")
    pool("host.management_reconfigure", pool.pif("eth1"))
    settle(world)
    assert pool.record("host", pool.host)["address"] == "172.16.0.9"
    assert pool.machine.address == "127.77.0.1"


def test_the_endpoint_really_moves() -> None:
    import socket

    world = build(1)
    with InProcess(world) as simulator:
        asked = Asked(next(iter(world.machines.values())))
        port = simulator.hosts[0].port
        assert asked("host.get_server_certificate", asked.host).startswith("-----BEGIN CERTIFICATE-----")
        asked("PIF.reconfigure_ip", asked.pif("eth1"), "Static", "127.77.3.3", "255.255.255.0", "", "")
        asked("host.management_reconfigure", asked.pif("eth1"))

        def answers(address: str) -> bool:
            with socket.socket() as probe:
                probe.settimeout(1)
                return probe.connect_ex((address, port)) == 0

        until(world, lambda: answers("127.77.3.3"))
        until(world, lambda: not answers("127.77.0.1"))


def test_a_member_keeps_its_management_interface(world: World, pool: Asked) -> None:
    from ansible_collections.domzero.xen.tests.simulator.dispatch import dispatch

    member = world.machines["xcp01"]
    session = dispatch(member, "session.slave_local_login_with_password", ["root", "xapi-test"])
    with pytest.raises(Exception, match="SLAVE_REQUIRES_MANAGEMENT_INTERFACE"):
        dispatch(member, "host.management_disable", [session])
    with pytest.raises(Exception, match="NOT_IN_EMERGENCY_MODE"):
        dispatch(member, "host.local_management_reconfigure", [session, "xenbr1"])
    pool("host.management_disable")
    assert not pool.record("PIF", pool.pif("eth0"))["management"]


# clusters ------------------------------------------------------------------------------------------------------------
def test_a_cluster_needs_fixed_interfaces(pool: Asked) -> None:
    network = pool.record("PIF", pool.pif("eth1"))["network"]
    assert pool.refused("Cluster.pool_create", network, "corosync") == ["INTERFACE_HAS_NO_IP", pool.pif("eth1")]
    for n, host in enumerate(pool.db.all("host")):
        pool("PIF.reconfigure_ip", pool.pif("eth1", host), "Static", f"172.16.0.{1 + n}", "255.255.255.0", "", "")
        pool("PIF.plug", pool.pif("eth1", host))
    assert pool.refused("Cluster.pool_create", network, "corosync") == ["PIF_ALLOWS_UNPLUG", pool.pif("eth1")]
    for host in pool.db.all("host"):
        pool("PIF.set_disallow_unplug", pool.pif("eth1", host), True)
    assert pool.refused("Cluster.create", pool.pif("eth1"), "other", True) == ["INVALID_CLUSTER_STACK", "other"]
    cluster = pool("Cluster.pool_create", network, "corosync")
    record = pool.record("Cluster", cluster)
    assert (record["live_hosts"], record["quorum"], record["is_quorate"]) == (2, 2, True)
    assert pool("Cluster.get_network", cluster) == network
    assert pool.refused("Cluster.create", pool.pif("eth1"), "corosync", True) == ["CLUSTER_ALREADY_EXISTS"]
    [mine] = [m for m in record["cluster_hosts"] if pool.record("Cluster_host", m)["host"] == pool.host]
    for call in (("PIF.set_disallow_unplug", False), ("PIF.reconfigure_ip", "DHCP", "", "", "", "")):
        assert pool.refused(call[0], pool.pif("eth1"), *call[1:]) == ["CLUSTERING_ENABLED", mine]
    pool("Cluster_host.disable", mine)
    assert pool.refused("Cluster_host.destroy", mine) == ["CLUSTERING_DISABLED", mine]
    assert not pool.record("Cluster", cluster)["is_quorate"]
    pool("Cluster_host.enable", mine)
    pool("Cluster_host.destroy", mine)
    pool("Cluster.pool_destroy", cluster)
    assert not pool.db.all("Cluster_host")
