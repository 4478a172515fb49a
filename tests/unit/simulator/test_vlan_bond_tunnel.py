# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VLANs, bonds and tunnels of simulated hosts."""

from __future__ import annotations

import pytest

from .conversation import Asked, build

STATIC = ("Static", "10.9.0.5", "255.255.255.0", "10.9.0.1", "10.9.0.2")


@pytest.fixture
def ask() -> Asked:
    return Asked(next(iter(build(1).machines.values())))


@pytest.fixture
def pool() -> Asked:
    return Asked(next(iter(build(2, joined=True).machines.values())))


def _member(pool: Asked) -> str:
    return next(host for host in pool.db.all("host") if host != pool.host)


# VLANs ---------------------------------------------------------------------------------------------------------------
def test_a_vlan_is_an_attached_interface_of_its_own(ask: Asked) -> None:
    network = ask.network(MTU=9000)
    vlan = ask.record("VLAN", ask("VLAN.create", ask.pif("eth1"), 100, network))
    base, pif = ask.record("PIF", ask.pif("eth1")), ask.record("PIF", vlan["untagged_PIF"])
    assert (pif["device"], pif["VLAN"], pif["MAC"], pif["physical"]) == ("eth1", 100, "fe:ff:ff:ff:ff:ff", False)
    assert (pif["MTU"], pif["currently_attached"], pif["metrics"]) == (9000, True, base["metrics"])
    assert base["VLAN_slave_of"] == [pif["VLAN_master_of"]]
    assert ask.record("network", network)["PIFs"] == [vlan["untagged_PIF"]]


def test_vlan_create_says_what_is_wrong_in_its_order(ask: Asked) -> None:
    eth1, used, free = ask.pif("eth1"), ask.network("used"), ask.network("free")
    vlan = ask("VLAN.create", eth1, 7, used)
    untagged = ask.record("VLAN", vlan)["untagged_PIF"]
    unmanaged = ask.network("unmanaged", managed=False, bridge="lab0")
    ask("Bond.create", ask.network("bond"), [ask.pif("eth2"), ask.pif("eth3")], "")
    assert ask.refused("VLAN.create", eth1, 8, unmanaged) == ["NETWORK_UNMANAGED", unmanaged]
    assert ask.refused("VLAN.create", eth1, 9999, used) == ["NETWORK_ALREADY_CONNECTED", ask.host, untagged]
    assert ask.refused("VLAN.create", ask.pif("eth2"), 9999, free) == ["CANNOT_ADD_VLAN_TO_BOND_SLAVE", ask.pif("eth2")]
    assert ask.refused("VLAN.create", untagged, 9999, free) == ["PIF_IS_VLAN", untagged]
    assert ask.refused("VLAN.create", eth1, 4095, free) == ["VLAN_TAG_INVALID", "4095"]
    assert ask.refused("VLAN.create", eth1, -1, free) == ["VLAN_TAG_INVALID", "-1"]
    assert ask.refused("VLAN.create", eth1, 7, free) == ["PIF_VLAN_EXISTS", "eth1"]


def test_no_vlan_on_an_unmanaged_card(ask: Asked) -> None:
    ask("PIF.forget", ask.pif("eth2"))
    pif = ask("PIF.introduce", ask.host, "", "eth2", False)
    assert ask.refused("VLAN.create", pif, 7, ask.network()) == ["PIF_UNMANAGED", pif]


def test_destroying_a_vlan_keeps_its_network(ask: Asked) -> None:
    network = ask.network()
    vlan = ask("VLAN.create", ask.pif("eth1"), 0, network)
    ask("VLAN.destroy", vlan)
    assert ask.record("network", network)["PIFs"] == []
    assert ask.record("PIF", ask.pif("eth1"))["VLAN_slave_of"] == []
    assert ask.refused("VLAN.destroy", vlan) == ["HANDLE_INVALID", "VLAN", vlan]


def test_a_vlan_that_must_stay_plugged_is_kept(ask: Asked) -> None:
    vlan = ask("VLAN.create", ask.pif("eth1"), 7, ask.network())
    pif = ask.record("VLAN", vlan)["untagged_PIF"]
    ask("PIF.set_disallow_unplug", pif, True)
    assert ask.refused("VLAN.destroy", vlan) == ["PIF_DOES_NOT_ALLOW_UNPLUG", pif]


def test_the_old_calls_make_and_destroy_a_vlan_by_its_pif(ask: Asked) -> None:
    pif = ask("PIF.create_VLAN", "eth1", ask.network(), ask.host, 12)
    assert ask.record("PIF", pif)["VLAN"] == 12
    ask("PIF.destroy", pif)
    assert not ask.db.all("VLAN")
    assert ask.refused("PIF.destroy", ask.pif("eth1")) == ["PIF_IS_PHYSICAL"]
    assert ask.refused("PIF.create_VLAN", "eth9", ask.network(), ask.host, 12) == ["INVALID_VALUE", "device", "eth9"]


# VLANs of a pool -----------------------------------------------------------------------------------------------------
def test_a_pool_vlan_is_made_on_every_host(pool: Asked) -> None:
    network = pool.network()
    pifs = pool("pool.create_VLAN_from_PIF", pool.pif("eth1"), network, 50)
    assert {pool.record("PIF", pif)["host"] for pif in pifs} == set(pool.db.all("host"))
    assert set(pool.record("network", network)["PIFs"]) == set(pifs)


def test_a_pool_vlan_leaves_out_hosts_that_are_not_live(pool: Asked) -> None:
    member = _member(pool)
    pool.db.set("host_metrics", pool.record("host", member)["metrics"], live=False)
    [pif] = pool("pool.create_VLAN_from_PIF", pool.pif("eth1"), pool.network(), 50)
    assert pool.record("PIF", pif)["host"] == pool.host


@pytest.mark.parametrize("method", ["pool.create_VLAN_from_PIF", "pool.create_VLAN"])
def test_a_pool_vlan_that_fails_on_one_host_is_on_none(pool: Asked, method: str) -> None:
    taken = pool("VLAN.create", pool.pif("eth1", _member(pool)), 50, pool.network("taken"))
    network = pool.network()
    start = pool.pif("eth1") if method == "pool.create_VLAN_from_PIF" else "eth1"
    assert pool.refused(method, start, network, 50) == ["PIF_VLAN_EXISTS", "eth1"]
    assert list(pool.db.all("VLAN")) == [taken]
    assert pool.record("network", network)["PIFs"] == []


# bonds ---------------------------------------------------------------------------------------------------------------
def test_a_bond_takes_over_the_management_with_its_address(ask: Asked) -> None:
    eth0, eth1 = ask.pif("eth0"), ask.pif("eth1")
    before = ask.record("PIF", eth0)
    bond = ask.record("Bond", ask("Bond.create", ask.network(), [eth1, eth0], "", "active-backup", {}))
    master = ask.record("PIF", bond["master"])
    assert bond["primary_slave"] == eth0
    assert set(bond["slaves"]) == {eth0, eth1}
    assert (master["device"], master["MAC"], master["management"], master["currently_attached"]) == ("bond0", before["MAC"], True, True)
    assert (master["IP"], master["ip_configuration_mode"]) == (before["IP"], "Static")
    for pif in (eth0, eth1):
        record = ask.record("PIF", pif)
        assert (record["IP"], record["ip_configuration_mode"]) == ("", "None")
        assert (record["management"], record["currently_attached"]) == (False, False)
        assert record["bond_slave_of"] == master["bond_master_of"][0]


def test_unbonding_gives_everything_back_to_the_primary_member(ask: Asked) -> None:
    eth0, eth1 = ask.pif("eth0"), ask.pif("eth1")
    vlan_network, bond_network = ask.network("vlan"), ask.network("bond")
    ask("VLAN.create", eth1, 7, vlan_network)
    address = ask.record("PIF", eth0)["IP"]
    bond = ask("Bond.create", bond_network, [eth0, eth1], "")
    assert ask.record("PIF", ask.pif("bond0", tag=7))["network"] == vlan_network
    ask("Bond.destroy", bond)
    record = ask.record("PIF", eth0)
    assert (record["IP"], record["management"], record["currently_attached"]) == (address, True, True)
    assert ask.record("PIF", eth1)["currently_attached"]
    assert ask.record("PIF", ask.pif("eth0", tag=7))["network"] == vlan_network
    assert ask.record("network", bond_network)["PIFs"] == []
    assert ask.refused("Bond.destroy", bond) == ["HANDLE_INVALID", "Bond", bond]


def test_without_management_the_first_member_with_an_address_leads(ask: Asked) -> None:
    eth1, eth2 = ask.pif("eth1"), ask.pif("eth2")
    ask("PIF.reconfigure_ip", eth2, *STATIC)
    bond = ask.record("Bond", ask("Bond.create", ask.network(), [eth1, eth2], ""))
    assert bond["primary_slave"] == eth2
    assert ask.record("PIF", bond["master"])["IP"] == STATIC[1]


def test_disallow_unplug_moves_to_the_bond_and_back(ask: Asked) -> None:
    eth1, eth2 = ask.pif("eth1"), ask.pif("eth2")
    ask("PIF.set_disallow_unplug", eth2, True)
    bond = ask("Bond.create", ask.network(), [eth1, eth2], "")
    assert ask.record("PIF", ask.record("Bond", bond)["master"])["disallow_unplug"]
    assert not ask.record("PIF", eth2)["disallow_unplug"]
    ask("Bond.destroy", bond)
    assert ask.record("PIF", eth1)["disallow_unplug"]


def test_vifs_of_the_host_follow_into_the_bond_and_out(ask: Asked) -> None:
    eth1, eth2, network = ask.pif("eth1"), ask.pif("eth2"), ask.network()
    vm = ask.db.create("VM", power_state="Running", resident_on=ask.host)
    vif = ask.db.create("VIF", VM=vm, network=ask.record("PIF", eth2)["network"], currently_attached=True)
    bond = ask("Bond.create", network, [eth1, eth2], "")
    assert ask.record("VIF", vif)["network"] == network
    ask("Bond.destroy", bond)
    assert ask.record("VIF", vif)["network"] == ask.record("PIF", eth1)["network"]


def test_a_tag_two_members_have_becomes_one_vlan_of_the_bond(ask: Asked) -> None:
    eth1, eth2 = ask.pif("eth1"), ask.pif("eth2")
    first, second = ask.network("first"), ask.network("second")
    ask("VLAN.create", eth1, 7, first)
    ask("VLAN.create", eth2, 7, second)
    vm = ask.db.create("VM", power_state="Running", resident_on=ask.host)
    vif = ask.db.create("VIF", VM=vm, network=second)
    ask("Bond.create", ask.network(), [eth1, eth2], "")
    assert len(ask.db.all("VLAN")) == 1
    assert ask.record("VIF", vif)["network"] == first


def test_a_tunnel_over_a_member_runs_over_the_bond(ask: Asked) -> None:
    eth1, network = ask.pif("eth1"), ask.network()
    ask("PIF.reconfigure_ip", eth1, *STATIC)
    ask("tunnel.create", eth1, network)
    bond = ask.record("Bond", ask("Bond.create", ask.network("bond"), [eth1, ask.pif("eth2")], ""))
    [tunnel] = ask.db.all("tunnel").values()
    assert tunnel["transport_PIF"] == bond["master"]
    assert ask.record("PIF", tunnel["access_PIF"])["network"] == network
    assert ask.record("PIF", tunnel["access_PIF"])["currently_attached"]


def test_one_member_is_a_bond(ask: Asked) -> None:
    assert ask.record("Bond", ask("Bond.create", ask.network(), [ask.pif("eth1")], ""))["slaves"] == [ask.pif("eth1")]


def test_bond_create_says_what_is_wrong_in_its_order(ask: Asked) -> None:
    eth1, eth2, eth3 = ask.pif("eth1"), ask.pif("eth2"), ask.pif("eth3")
    free, unmanaged = ask.network(), ask.network("unmanaged", managed=False, bridge="lab0")
    vlan = ask.record("VLAN", ask("VLAN.create", eth1, 7, ask.network("vlan")))["untagged_PIF"]
    assert ask.refused("Bond.create", unmanaged, [eth1, eth2], "zz") == ["NETWORK_UNMANAGED", unmanaged]
    own = ask.record("PIF", eth3)["network"]
    assert ask.refused("Bond.create", own, [eth1, eth2], "zz") == ["NETWORK_ALREADY_CONNECTED", ask.host, eth3]
    assert ask.refused("Bond.create", free, [], "zz") == ["MAC_INVALID", "zz"]
    bad = ["INVALID_VALUE", "properties", "lacp-time = never"]
    assert ask.refused("Bond.create", free, [], "", "lacp", {"lacp-time": "never"}) == bad
    assert ask.refused("Bond.create", free, [], "") == ["PIF_BOND_NEEDS_MORE_MEMBERS"]
    assert ask.refused("Bond.create", free, [vlan, eth2], "") == ["PIF_VLAN_EXISTS", "eth1"]
    ask("PIF.set_property", eth2, "gro", "off")
    assert ask.refused("Bond.create", free, [eth1, eth2], "") == ["INCOMPATIBLE_PIF_PROPERTIES"]
    ask("PIF.set_property", eth2, "gro", "on")
    for pif in (eth1, eth2):
        ask("PIF.reconfigure_ip", pif, *STATIC)
    assert ask.refused("Bond.create", free, [eth1, eth2], "") == ["PIF_BOND_MORE_THAN_ONE_IP"]
    ask("Bond.create", free, [eth2, eth3], "")
    assert ask.refused("Bond.create", ask.network(), [eth1, eth3], "") == ["PIF_ALREADY_BONDED", eth3]


def test_members_are_on_one_host(pool: Asked) -> None:
    members = [pool.pif("eth1"), pool.pif("eth2", _member(pool))]
    assert pool.refused("Bond.create", pool.network(), members, "") == ["PIF_CANNOT_BOND_CROSS_HOST"]


def test_one_network_carries_the_bonds_of_all_hosts(pool: Asked) -> None:
    network = pool.network()
    for host in pool.db.all("host"):
        pool("Bond.create", network, [pool.pif("eth1", host), pool.pif("eth2", host)], "")
    assert {pool.record("PIF", pif)["host"] for pif in pool.record("network", network)["PIFs"]} == set(pool.db.all("host"))


def test_the_management_interface_is_not_bonded_under_ha(ask: Asked) -> None:
    ask.db.set("pool", ask.machine.pool.pool_ref, ha_enabled=True)
    answer = ask.refused("Bond.create", ask.network(), [ask.pif("eth0"), ask.pif("eth1")], "")
    assert answer == ["HA_CANNOT_CHANGE_BOND_STATUS_OF_MGMT_IFACE"]


def test_a_given_mac_stays_the_bonds(ask: Asked) -> None:
    bond = ask.record("Bond", ask("Bond.create", ask.network(), [ask.pif("eth1"), ask.pif("eth2")], "02:00:00:00:00:aa"))
    assert ask.record("PIF", bond["master"])["MAC"] == "02:00:00:00:00:aa"
    assert not bond["auto_update_mac"]


def test_lacp_has_properties_the_other_modes_have_none(ask: Asked) -> None:
    bond = ask("Bond.create", ask.network(), [ask.pif("eth1"), ask.pif("eth2")], "", "lacp", {"hashing_algorithm": "src_mac"})
    assert ask.record("Bond", bond)["properties"] == {"hashing_algorithm": "src_mac", "lacp-time": "slow", "lacp-fallback-ab": "true"}
    ask("Bond.set_property", bond, "lacp-aggregation-key", "7")
    assert ask.record("Bond", bond)["properties"]["lacp-aggregation-key"] == "7"
    assert ask.refused("Bond.set_property", bond, "lacp-aggregation-key", "x")[0] == "INVALID_VALUE"
    ask("Bond.set_mode", bond, "balance-slb")
    assert ask.record("Bond", bond)["properties"] == {}
    refused = ["INVALID_VALUE", "properties", "hashing_algorithm = src_mac"]
    assert ask.refused("Bond.set_property", bond, "hashing_algorithm", "src_mac") == refused


# tunnels -------------------------------------------------------------------------------------------------------------
def test_a_tunnel_has_an_access_interface(ask: Asked) -> None:
    ask("PIF.reconfigure_ip", ask.pif("eth1"), *STATIC)
    tunnel = ask.record("tunnel", ask("tunnel.create", ask.pif("eth1"), ask.network(), "vxlan"))
    access = ask.record("PIF", tunnel["access_PIF"])
    assert (access["device"], access["physical"], access["VLAN"], access["currently_attached"]) == ("tunnel0", False, -1, True)
    assert (tunnel["protocol"], tunnel["status"]["active"]) == ("vxlan", "true")
    assert ask.record("PIF", ask.pif("eth1"))["currently_attached"]


def test_unplugging_the_transport_unplugs_the_tunnel(ask: Asked) -> None:
    eth1 = ask.pif("eth1")
    ask("PIF.reconfigure_ip", eth1, *STATIC)
    ref = ask("tunnel.create", eth1, ask.network())
    ask("PIF.unplug", eth1)
    tunnel = ask.record("tunnel", ref)
    assert not ask.record("PIF", tunnel["access_PIF"])["currently_attached"]
    assert tunnel["status"]["active"] == "false"
    ask("tunnel.destroy", ref)
    assert ask.record("PIF", eth1)["tunnel_transport_PIF_of"] == []


def test_tunnel_create_says_what_is_wrong(ask: Asked) -> None:
    eth1, free = ask.pif("eth1"), ask.network()
    assert ask.refused("tunnel.create", eth1, free) == ["TRANSPORT_PIF_NOT_CONFIGURED", eth1]
    ask("Bond.create", ask.network("bond"), [ask.pif("eth2"), ask.pif("eth3")], "")
    other = ask.network("other")
    assert ask.refused("tunnel.create", ask.pif("eth2"), other) == ["CANNOT_ADD_TUNNEL_TO_BOND_SLAVE", ask.pif("eth2")]
    own = ask.record("PIF", eth1)["network"]
    assert ask.refused("tunnel.create", eth1, own) == ["NETWORK_ALREADY_CONNECTED", ask.host, eth1]
    access = ask.pif("tunnel0")
    assert ask.refused("tunnel.create", access, other) == ["IS_TUNNEL_ACCESS_PIF", access]
    assert ask.refused("VLAN.create", access, 7, other) == ["IS_TUNNEL_ACCESS_PIF", access]
    ask.db.add_to_map("host", ask.host, "software_version", "network_backend", "bridge")
    assert ask.refused("tunnel.create", eth1, other) == ["OPENVSWITCH_NOT_ACTIVE"]


def test_sriov_is_not_simulated(ask: Asked) -> None:
    answer = ask.refused("network_sriov.create", ask.pif("eth1"), ask.network())
    assert answer == ["NOT_IMPLEMENTED", "network_sriov.create is not simulated"]
