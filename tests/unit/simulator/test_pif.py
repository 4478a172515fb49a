# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Interfaces of a simulated host."""

from __future__ import annotations

import pytest

from .conversation import Asked, build, settle

STATIC = ("10.9.0.5", "255.255.255.0", "10.9.0.1", "10.9.0.2")


@pytest.fixture
def ask() -> Asked:
    return Asked(next(iter(build(1).machines.values())))


# NICs become PIFs ----------------------------------------------------------------------------------------------------
def test_scan_finds_the_cards_that_have_no_pif_and_removes_none(ask: Asked) -> None:
    pif = ask.pif("eth2")
    ask("PIF.forget", pif)
    ask("PIF.scan", ask.host)
    record = ask.record("PIF", ask.pif("eth2"))
    assert record["physical"]
    assert not record["currently_attached"]
    assert record["properties"] == {"gro": "on"}
    assert ask.record("network", record["network"])["bridge"] == "xenbr2"
    assert len(ask.record("host", ask.host)["PIFs"]) == 4


def test_a_card_is_introduced_by_its_device_name(ask: Asked) -> None:
    ask("PIF.forget", ask.pif("eth2"))
    pif = ask("PIF.introduce", ask.host, "", "eth2", False)
    record = ask.record("PIF", pif)
    assert record["MAC"] == ask.machine.nics[2].mac
    assert record["managed"] is False


def test_introducing_says_what_is_wrong(ask: Asked) -> None:
    mac = ask.machine.nics[2].mac
    assert ask.refused("PIF.introduce", ask.host, "no-mac", "eth2") == ["MAC_INVALID", "no-mac"]
    assert ask.refused("PIF.introduce", ask.host, mac, "eth2") == ["DUPLICATE_PIF_DEVICE_NAME", "eth2"]
    code = "COULD_NOT_FIND_NETWORK_INTERFACE_WITH_SPECIFIED_DEVICE_NAME_AND_MAC_ADDRESS"
    assert ask.refused("PIF.introduce", ask.host, mac.upper(), "eth9") == [code, "eth9", mac]


# forget --------------------------------------------------------------------------------------------------------------
def test_forget_is_refused_for_what_is_needed(ask: Asked) -> None:
    management = ask.pif("eth0")
    assert ask.refused("PIF.forget", management) == ["PIF_IS_MANAGEMENT_INTERFACE", management]
    vlan = ask("VLAN.create", ask.pif("eth1"), 5, ask.network())
    for pif in (ask.pif("eth1"), ask.record("VLAN", vlan)["untagged_PIF"]):
        assert ask.refused("PIF.forget", pif) == ["PIF_VLAN_STILL_EXISTS", pif]
    bond = ask("Bond.create", ask.network(), [ask.pif("eth2"), ask.pif("eth3")], "")
    for pif in (ask.pif("eth2"), ask.record("Bond", bond)["master"]):
        assert ask.refused("PIF.forget", pif) == ["PIF_ALREADY_BONDED", pif]


def test_forget_is_refused_below_a_tunnel(ask: Asked) -> None:
    transport = ask.pif("eth1")
    ask("PIF.reconfigure_ip", transport, "Static", *STATIC)
    tunnel = ask("tunnel.create", transport, ask.network())
    for pif in (transport, ask.record("tunnel", tunnel)["access_PIF"]):
        assert ask.refused("PIF.forget", pif) == ["PIF_TUNNEL_STILL_EXISTS", pif]


@pytest.mark.parametrize(("field", "code"), [("ha_enabled", "HA_IS_ENABLED"), ("redo_log_enabled", "REDO_LOG_IS_ENABLED")])
def test_an_attached_interface_is_left_alone_while_the_pool_is_protected(ask: Asked, field: str, code: str) -> None:
    pif = ask.pif("eth1")
    ask("PIF.plug", pif)
    ask.db.set("pool", ask.machine.pool.pool_ref, **{field: True})
    for call in (("PIF.forget", pif), ("PIF.unplug", pif), ("PIF.reconfigure_ip", pif, "DHCP", "", "", "", "")):
        assert ask.refused(*call) == [code]


def test_other_name_servers_are_no_danger_under_ha(ask: Asked) -> None:
    pif = ask.pif("eth1")
    ask("PIF.plug", pif)
    ask("PIF.reconfigure_ip", pif, "Static", *STATIC)
    ask.db.set("pool", ask.machine.pool.pool_ref, ha_enabled=True)
    ask("PIF.reconfigure_ip", pif, "Static", *STATIC[:3], "10.9.0.3")
    assert ask.record("PIF", pif)["DNS"] == "10.9.0.3"


# addresses -----------------------------------------------------------------------------------------------------------
def test_a_static_address_is_stored_as_given_and_plugs_nothing(ask: Asked) -> None:
    pif = ask.pif("eth1")
    ask("PIF.reconfigure_ip", pif, "Static", *STATIC)
    record = ask.record("PIF", pif)
    assert (record["IP"], record["netmask"], record["gateway"], record["DNS"]) == STATIC
    assert not record["currently_attached"]


def test_dhcp_answers_an_attached_interface(ask: Asked) -> None:
    pif = ask.pif("eth1")
    ask("PIF.reconfigure_ip", pif, "DHCP", "", "", "", "")
    assert ask.record("PIF", pif)["IP"] == ""
    ask("PIF.plug", pif)
    record = ask.record("PIF", pif)
    assert record["IP"].endswith(".1")
    assert record["netmask"] == "255.255.255.0"


@pytest.mark.parametrize(
    ("mode", "ip", "netmask", "gateway", "wrong"),
    [
        ("Static", "", "255.0.0.0", "", "IP"),
        ("Static", "10.0.0.300", "255.0.0.0", "", "IP"),
        ("Static", "10.0.0.3", "", "", "netmask"),
        ("Static", "10.0.0.3", "255.0.0.0", "gw", "gateway"),
        ("DHCP", "ten", "", "", "IP"),
        ("None", "", "mask", "", "netmask"),
    ],
)
def test_what_is_no_address_is_named(ask: Asked, mode: str, ip: str, netmask: str, gateway: str, wrong: str) -> None:
    answer = ask.refused("PIF.reconfigure_ip", ask.pif("eth1"), mode, ip, netmask, gateway, "")
    assert answer == ["INVALID_IP_ADDRESS_SPECIFIED", wrong]


def test_an_ipv6_name_server_outlives_an_ipv4_change(ask: Asked) -> None:
    pif = ask.pif("eth1")
    ask("PIF.reconfigure_ipv6", pif, "Static", "fd00::5/64", "fd00::1", "fd00::53")
    ask("PIF.reconfigure_ip", pif, "Static", *STATIC)
    record = ask.record("PIF", pif)
    assert record["DNS"] == "10.9.0.2,fd00::53"
    assert record["IPv6"] == ["fd00::5/64"]


@pytest.mark.parametrize("address", ["fd00::5", "fd00::5/129", "10.0.0.1/24", "fd00::5/x"])
def test_an_ipv6_address_needs_its_prefix_length(ask: Asked, address: str) -> None:
    assert ask.refused("PIF.reconfigure_ipv6", ask.pif("eth1"), "Static", address, "", "") == ["INVALID_CIDR_ADDRESS_SPECIFIED", "IPv6"]


def test_the_management_interface_keeps_an_address(ask: Asked) -> None:
    pif = ask.pif("eth0")
    assert ask.refused("PIF.reconfigure_ip", pif, "None", "", "", "", "") == ["PIF_IS_MANAGEMENT_INTERFACE", pif]


def test_an_unmanaged_interface_is_left_alone(ask: Asked) -> None:
    ask("PIF.forget", ask.pif("eth2"))
    pif = ask("PIF.introduce", ask.host, "", "eth2", False)
    assert ask.refused("PIF.reconfigure_ip", pif, "DHCP", "", "", "", "") == ["PIF_UNMANAGED", pif]
    assert ask.refused("PIF.unplug", pif) == ["PIF_UNMANAGED", pif]


def test_the_primary_family_needs_an_address_of_its_kind(ask: Asked) -> None:
    pif = ask.pif("eth1")
    assert ask.refused("PIF.set_primary_address_type", pif, "IPv6") == ["PIF_INCOMPATIBLE_PRIMARY_ADDRESS_TYPE", pif]
    ask("PIF.reconfigure_ipv6", pif, "Static", "fd00::5/64", "", "")
    ask("PIF.set_primary_address_type", pif, "IPv6")
    assert ask.record("PIF", pif)["primary_address_type"] == "IPv6"
    assert ask.refused("PIF.set_primary_address_type", ask.pif("eth0"), "IPv4") == ["PIF_IS_MANAGEMENT_INTERFACE", ask.pif("eth0")]


def test_a_new_management_address_moves_the_host(ask: Asked) -> None:
    pif = ask.pif("eth0")
    ask("PIF.reconfigure_ip", pif, "Static", "127.77.0.99", "255.255.255.0", "", "")
    assert ask("host.get_address", ask.host) == "127.77.0.99"
    settle(ask.machine.world)
    assert ask.machine.address == "127.77.0.99"


# plug and unplug -----------------------------------------------------------------------------------------------------
def test_plugging_takes_the_networks_mtu(ask: Asked) -> None:
    pif = ask.pif("eth1")
    ask("network.set_MTU", ask.record("PIF", pif)["network"], 9000)
    assert ask.record("PIF", pif)["MTU"] == 1500
    ask("PIF.plug", pif)
    assert (ask.record("PIF", pif)["MTU"], ask.record("PIF", pif)["currently_attached"]) == (9000, True)


def test_unplugging_is_refused_for_what_is_in_use(ask: Asked) -> None:
    management, pif = ask.pif("eth0"), ask.pif("eth1")
    assert ask.refused("PIF.unplug", management) == ["PIF_IS_MANAGEMENT_INTERFACE", management]
    ask("PIF.plug", pif)
    network = ask.record("PIF", pif)["network"]
    vm = ask.db.create("VM", power_state="Running", resident_on=ask.host)
    vif = ask.db.create("VIF", VM=vm, network=network, currently_attached=True)
    assert ask.refused("PIF.unplug", pif) == ["VIF_IN_USE", network, vif]
    ask.db.destroy("VIF", vif)
    ask("PIF.set_disallow_unplug", pif, True)
    assert ask.refused("PIF.unplug", pif) == ["PIF_DOES_NOT_ALLOW_UNPLUG", pif]
    ask("PIF.set_disallow_unplug", pif, False)
    ask("PIF.unplug", pif)
    assert not ask.record("PIF", pif)["currently_attached"]


def test_a_bond_member_is_not_plugged(ask: Asked) -> None:
    ask("Bond.create", ask.network(), [ask.pif("eth2"), ask.pif("eth3")], "")
    assert ask.refused("PIF.plug", ask.pif("eth2")) == ["CANNOT_PLUG_BOND_SLAVE", ask.pif("eth2")]


def test_a_host_that_is_away_is_named(ask: Asked) -> None:
    ask.db.set("host_metrics", ask.record("host", ask.host)["metrics"], live=False)
    assert ask.refused("PIF.plug", ask.pif("eth1")) == ["HOST_OFFLINE", ask.host]


# properties ----------------------------------------------------------------------------------------------------------
def test_properties_change_on_cards_and_bonds_only(ask: Asked) -> None:
    bond = ask("Bond.create", ask.network(), [ask.pif("eth2"), ask.pif("eth3")], "")
    ask("PIF.set_property", ask.record("Bond", bond)["master"], "gro", "off")
    assert ask.record("PIF", ask.pif("eth2"))["properties"] == {"gro": "off"}
    assert ask.refused("PIF.set_property", ask.pif("eth2"), "gro", "on") == ["CANNOT_CHANGE_PIF_PROPERTIES", ask.pif("eth2")]
    assert ask.refused("PIF.set_property", ask.pif("eth1"), "gro", "maybe") == ["INVALID_VALUE", "properties", "gro = maybe"]
    assert ask.refused("PIF.set_property", ask.pif("eth1"), "tso", "on") == ["INVALID_VALUE", "properties", "tso = on"]


def test_records_alone_can_be_made_and_dropped(ask: Asked) -> None:
    network = ask.network()
    pif = ask("PIF.db_introduce", "eth7", network, ask.host, "02:00:00:00:00:07", 1500, -1, True, "None", "", "", "", "", "OpaqueRef:NULL",
              "OpaqueRef:NULL", False, {})  # fmt: skip
    assert ask.record("PIF", pif)["device"] == "eth7"
    ask("PIF.db_forget", pif)
    assert ask.record("network", network)["PIFs"] == []
