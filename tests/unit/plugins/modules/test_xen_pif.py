# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Interfaces: which one a task means, their addresses, plugged or not."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.errors import InvalidChange, NotFound, OutcomeUnknown

Run = Start = t.Callable[..., t.Any]
STATIC: dict[str, t.Any] = {"host": "xcp00", "device": "eth1", "mode": "static", "ip": "172.16.0.200", "netmask": "255.255.255.0"}


def pif(sim: t.Any, host: str, device: str, vlan: int = -1) -> dict[str, t.Any]:
    db = sim.world.pools[0].db
    return t.cast("dict[str, t.Any]", db.get("PIF", db.one("PIF", host=db.one("host", name_label=host), device=device, VLAN=vlan)))


def change(sim: t.Any, host: str, device: str, **fields: t.Any) -> None:
    db = sim.world.pools[0].db
    db.set("PIF", db.one("PIF", host=db.one("host", name_label=host), device=device, VLAN=-1), **fields)


# which one ---------------------------------------------------------------------------
def test_an_interface_is_found_by_network_device_or_uuid(simulator: Start, run: Run) -> None:
    sim = simulator(2)
    uuid = pif(sim, "xcp01", "eth1")["uuid"]
    for means in ({"network": "Pool-wide network associated with eth1"}, {"device": "eth1"}):
        assert run("xen_pif", host="xcp01", **means)["pif"]["uuid"] == uuid
    assert run("xen_pif", uuid=uuid)["pif"]["host"] == "xcp01"


def test_the_host_is_found_by_name_uuid_or_address(simulator: Start, run: Run) -> None:
    sim = simulator(2)
    host = sim.world.machines["xcp01"].host_record()
    for name in ("xcp01", host["uuid"], host["address"]):
        assert run("xen_pif", host=name, device="eth1")["pif"]["host"] == "xcp01"


def test_a_vlan_is_found_by_its_tag_or_network(simulator: Start, run: Run) -> None:
    simulator(1)
    run("xen_network", name="DMZ", vlan={"tag": 100, "nic": "eth1"})
    assert run("xen_pif", device="eth1", vlan=100)["pif"]["network"] == "DMZ"
    assert run("xen_pif", network="DMZ")["pif"]["vlan"] == 100
    assert "vlan" not in run("xen_pif", device="eth1")["pif"]


def test_in_a_pool_of_several_hosts_the_host_is_needed(simulator: Start, run: Run) -> None:
    simulator(2)
    with pytest.raises(InvalidChange, match="there are 'xcp00' and 'xcp01'"):
        run("xen_pif", device="eth1")


@pytest.mark.parametrize(
    ("means", "told"),
    [
        ({"device": "eth7"}, r"'xcp00' has no interface eth7\. It has: eth0 \(Pool-wide"),
        ({"device": "eth1", "vlan": 5}, "no interface eth1 VLAN 5"),
        ({"network": "Internal"}, "no interface to network 'Internal'"),
        ({"network": "nowhere"}, "No network is named 'nowhere'"),
        ({"uuid": "1234"}, "No PIF has the uuid 1234"),
    ],
)
def test_an_unknown_interface_is_told_with_those_there_are(simulator: Start, run: Run, means: dict[str, t.Any], told: str) -> None:
    simulator(1)
    run("xen_network", name="Internal")
    with pytest.raises(NotFound, match=told):
        run("xen_pif", **means)


def test_a_uuid_that_is_another_interfaces_is_refused(simulator: Start, run: Run) -> None:
    sim = simulator(1)
    with pytest.raises(InvalidChange, match="is eth0 of host 'xcp00'"):
        run("xen_pif", uuid=pif(sim, "xcp00", "eth0")["uuid"], device="eth1")


def test_something_must_say_which(run: Run) -> None:
    with pytest.raises(ValueError, match="one of the following is required: uuid, network, device"):
        run("xen_pif", host="xcp00")


# IPv4 ----------------------------------------------------------------------------------
def test_a_static_address_is_set_and_the_interface_plugged(simulator: Start, converges: Run) -> None:
    sim = simulator("homogeneous")
    done = converges("xen_pif", network="Pool-wide network associated with eth2", mode="static", ip="172.16.0.200", netmask="255.255.255.0")
    assert done["operations"] == ["PIF.reconfigure_ip", "PIF.plug"]
    assert done["pif"]["ip"] == "172.16.0.200"
    record = pif(sim, "xcp00", "eth2")
    assert (record["ip_configuration_mode"], record["IP"], record["currently_attached"]) == ("Static", "172.16.0.200", True)


def test_an_address_may_bring_its_prefix_length(converges: Run) -> None:
    done = converges(
        "xen_pif", host="xcp00", device="eth1", mode="static", ip="172.16.0.200/22", gateway="172.16.3.1", dns=["9.9.9.9", "1.1.1.1"]
    )
    assert done["pif"]["netmask"] == "255.255.252.0"
    assert done["pif"]["dns"] == ["9.9.9.9", "1.1.1.1"]


def test_an_address_given_either_way_is_the_same(run: Run, converges: Run) -> None:
    converges("xen_pif", **STATIC)
    assert run("xen_pif", host="xcp00", device="eth1", mode="static", ip="172.16.0.200/24")["changed"] is False
    assert run("xen_pif", host="xcp00", device="eth1", mode="static", ip="172.16.0.200", netmask="24")["changed"] is False


def test_only_what_is_said_changes(run: Run, converges: Run) -> None:
    run("xen_pif", **STATIC, gateway="172.16.0.1", dns=["9.9.9.9"])
    done = converges("xen_pif", host="xcp00", device="eth1", ip="172.16.0.201")
    assert done["operations"] == ["PIF.reconfigure_ip"]
    assert [done["pif"][key] for key in ("netmask", "gateway", "dns")] == ["255.255.255.0", "172.16.0.1", ["9.9.9.9"]]
    assert converges("xen_pif", host="xcp00", device="eth1", gateway="")["pif"]["gateway"] == ""


def test_dhcp_is_configuration_and_its_lease_is_not(simulator: Start, converges: Run, run: Run) -> None:
    sim = simulator(1)
    done = converges("xen_pif", device="eth1", mode="dhcp")
    assert "ip" not in done["pif"]
    assert pif(sim, "xcp00", "eth1")["IP"] != ""
    assert run("xen_pif_info", device="eth1")["facts"][done["pif"]["uuid"]]["ip"] == pif(sim, "xcp00", "eth1")["IP"]


def test_an_address_is_taken_away(simulator: Start, run: Run, converges: Run) -> None:
    sim = simulator(1)
    run("xen_pif", **STATIC, dns=["9.9.9.9"])
    done = converges("xen_pif", device="eth1", mode="none")
    assert done["operations"] == ["PIF.reconfigure_ip"]
    assert (pif(sim, "xcp00", "eth1")["IP"], pif(sim, "xcp00", "eth1")["DNS"]) == ("", "")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"mode": "static"}, "does not say which"),
        ({"ip": ""}, "does not say which"),
        ({"ip": "172.16.0.5"}, "needs a netmask"),
        ({"ip": "172.16.0.5000/24"}, "ip '172.16.0.5000' of eth1 of host 'xcp00' is not an address"),
        ({"ip": "fd00::5/64"}, "is not an address"),
        ({"ip": "172.16.0.5/24", "netmask": "255.255.0.0"}, "contradict each other"),
        ({"ip": "172.16.0.5", "netmask": "255.0.255.0"}, "is not a netmask"),
        ({"ip": "172.16.0.5", "netmask": "0.0.0.255"}, "is not a netmask"),
        ({"ip": "172.16.0.5/33"}, "is not a netmask"),
        ({"ip": "172.16.0.5/0"}, "is not a netmask"),
        ({"ip": "172.16.0.0/24"}, "cannot be the address"),
        ({"ip": "172.16.0.255/24"}, "cannot be the address"),
        ({"ip": "224.0.0.5/24"}, "cannot be the address"),
        ({"ip": "172.16.0.5/24", "gateway": "172.16.1.1"}, "gateway 172.16.1.1 .* lies outside of its network 172.16.0.0/24"),
        ({"ip": "172.16.0.5/24", "gateway": "172.16.0.5"}, "both address and gateway"),
        ({"ip": "172.16.0.5/24", "gateway": "router"}, "gateway 'router' of .* is not an address"),
        ({"ip": "172.16.0.5/24", "dns": ["nameserver"]}, "dns 'nameserver' of .* is not an address"),
        ({"ip": "172.16.0.5/24", "dns": ["fd00::1"]}, "ipv6_mode is not static"),
        ({"mode": "dhcp", "ip": "172.16.0.5/24"}, "has mode dhcp, and takes no ip"),
        ({"mode": "dhcp", "dns": ["9.9.9.9"]}, "its mode is not static"),
        ({"mode": "none", "gateway": "172.16.0.1"}, "has mode none, and takes no gateway"),
    ],
)
def test_a_configuration_that_cannot_be_is_refused(simulator: Start, run: Run, given: dict[str, t.Any], told: str) -> None:
    sim = simulator(1)
    with pytest.raises(InvalidChange, match=told):
        run("xen_pif", device="eth1", **{"mode": "static", **given})
    assert sim.calls() == []


def test_an_address_without_mode_is_refused_where_there_was_none(run: Run) -> None:
    with pytest.raises(InvalidChange, match="go with mode: static"):
        run("xen_pif", host="xcp00", device="eth1", ip="172.16.0.5/24")


def test_a_gateway_left_behind_by_another_address_is_told(run: Run) -> None:
    run("xen_pif", **STATIC, gateway="172.16.0.1")
    with pytest.raises(InvalidChange, match=r"gateway 172.16.0.1 .* outside of its network 10.0.0.0/24"):
        run("xen_pif", host="xcp00", device="eth1", ip="10.0.0.5/24")


def test_an_address_another_interface_of_the_pool_has_is_refused(run: Run) -> None:
    run("xen_pif", **STATIC)
    with pytest.raises(InvalidChange, match=r"172.16.0.200 .* is that of eth1 of host 'xcp00'"):
        run("xen_pif", **{**STATIC, "host": "xcp01"})


def test_a_small_network_has_no_ends(converges: Run) -> None:
    assert converges("xen_pif", host="xcp00", device="eth1", mode="static", ip="10.0.0.0/31")["pif"]["ip"] == "10.0.0.0"


@pytest.mark.parametrize("when", ["cut_before", "cut_after"])
@pytest.mark.parametrize("nth", [1, 2])
def test_a_run_that_lost_its_connection_is_finished(simulator: Start, run: Run, when: str, nth: int) -> None:
    sim = simulator("homogeneous")
    getattr(sim.faults, f"{when}_change")(nth)
    try:
        run("xen_pif", **STATIC)
    except OutcomeUnknown:
        run("xen_pif", **STATIC)
    assert run("xen_pif", **STATIC)["changed"] is False
    assert pif(sim, "xcp00", "eth1")["currently_attached"]


# IPv6 ----------------------------------------------------------------------------------
def test_a_static_ipv6_address_is_set_beside_ipv4(simulator: Start, run: Run, converges: Run) -> None:
    sim = simulator(1)
    run("xen_pif", **STATIC, dns=["9.9.9.9"])
    done = converges("xen_pif", device="eth1", ipv6_mode="static", ipv6=["fd00::5/64"], ipv6_gateway="fe80::1", dns=["9.9.9.9", "fd00::53"])
    assert done["operations"] == ["PIF.reconfigure_ipv6"]
    assert done["pif"]["dns"] == ["9.9.9.9", "fd00::53"]
    assert pif(sim, "xcp00", "eth1")["IPv6"] == ["fd00::5/64"]


def test_name_servers_of_one_family_leave_those_of_the_other(run: Run, converges: Run) -> None:
    run("xen_pif", **STATIC, ipv6_mode="static", ipv6=["fd00::5/64"], dns=["9.9.9.9", "fd00::53"])
    done = converges("xen_pif", host="xcp00", device="eth1", dns=["1.1.1.1", "fd00::53"])
    assert done["operations"] == ["PIF.reconfigure_ip"]
    done = converges("xen_pif", host="xcp00", device="eth1", dns=["1.1.1.1", "fd00::54"])
    assert done["operations"] == ["PIF.reconfigure_ipv6"]
    assert converges("xen_pif", host="xcp00", device="eth1", mode="none")["pif"]["dns"] == ["fd00::54"]


@pytest.mark.parametrize("mode", ["dhcp", "autoconf", "none"])
def test_ipv6_modes_without_an_address(run: Run, converges: Run, mode: str) -> None:
    run("xen_pif", host="xcp00", device="eth1", ipv6_mode="static", ipv6=["fd00::5/64"])
    done = converges("xen_pif", host="xcp00", device="eth1", ipv6_mode=mode)
    assert done["pif"]["ipv6_mode"] == mode
    assert "ipv6" not in done["pif"]


def test_an_address_written_in_another_way_is_the_same(run: Run) -> None:
    run("xen_pif", host="xcp00", device="eth1", ipv6_mode="static", ipv6=["FD00:0::5/64"])
    assert run("xen_pif", host="xcp00", device="eth1", ipv6_mode="static", ipv6=["fd00::5/64"])["changed"] is False


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"ipv6_mode": "static"}, "exactly one"),
        ({"ipv6_mode": "static", "ipv6": ["fd00::5"]}, "with its prefix length"),
        ({"ipv6_mode": "static", "ipv6": ["fd00::5/64", "fd00::6/64"]}, "exactly one"),
        ({"ipv6_mode": "static", "ipv6": ["fd00::zz/64"]}, "is not an address"),
        ({"ipv6_mode": "static", "ipv6": ["fd00::5/64"], "ipv6_gateway": "fd01::1"}, "lies outside"),
        ({"ipv6_mode": "static", "ipv6": ["fd00::5/64"], "dns": ["9.9.9.9"]}, "its mode is not static"),
        ({"ipv6_mode": "autoconf", "ipv6": ["fd00::5/64"]}, "has mode autoconf, and takes no ipv6"),
        ({"primary_address_type": "IPv6"}, "has no IPv6 address"),
    ],
)
def test_an_ipv6_configuration_that_cannot_be_is_refused(simulator: Start, run: Run, given: dict[str, t.Any], told: str) -> None:
    sim = simulator(1)
    with pytest.raises(InvalidChange, match=told):
        run("xen_pif", device="eth1", **given)
    assert sim.calls() == []


def test_the_primary_address_type_follows_the_address(converges: Run) -> None:
    done = converges("xen_pif", host="xcp00", device="eth1", ipv6_mode="static", ipv6=["fd00::5/64"], primary_address_type="IPv6")
    assert done["operations"] == ["PIF.reconfigure_ipv6", "PIF.set_primary_address_type", "PIF.plug"]


# plugged and the rest ---------------------------------------------------------------------
def test_an_interface_is_plugged_and_unplugged(simulator: Start, converges: Run) -> None:
    sim = simulator("homogeneous")
    assert converges("xen_pif", device="eth1", plugged=True)["operations"] == ["PIF.plug"]
    assert converges("xen_pif", device="eth1", plugged=False)["operations"] == ["PIF.unplug"]
    assert not pif(sim, "xcp00", "eth1")["currently_attached"]


def test_an_address_without_plugging_is_possible(simulator: Start, converges: Run) -> None:
    simulator("homogeneous")
    assert converges("xen_pif", **STATIC, plugged=False)["operations"] == ["PIF.reconfigure_ip"]


def test_other_options_do_not_plug(simulator: Start, converges: Run) -> None:
    simulator("homogeneous")
    converges("xen_pif", **STATIC, plugged=False)
    assert converges("xen_pif", device="eth1", other_config={"a": 1})["operations"] == ["PIF.set_other_config"]


def test_protection_is_taken_off_before_unplugging_and_put_on_after_plugging(converges: Run) -> None:
    converges("xen_pif", host="xcp01", device="eth1", disallow_unplug=True)
    done = converges("xen_pif", host="xcp01", device="eth1", disallow_unplug=False, plugged=False)
    assert done["operations"] == ["PIF.set_disallow_unplug", "PIF.unplug"]
    done = converges("xen_pif", host="xcp01", device="eth1", disallow_unplug=True, plugged=True)
    assert done["operations"] == ["PIF.plug", "PIF.set_disallow_unplug"]


def test_a_protected_interface_is_not_unplugged(run: Run) -> None:
    run("xen_pif", host="xcp01", device="eth1", disallow_unplug=True)
    with pytest.raises(InvalidChange, match="must not be unplugged"):
        run("xen_pif", host="xcp01", device="eth1", plugged=False)


def test_an_interface_in_use_is_not_unplugged_and_the_vms_are_named(simulator: Start, run: Run) -> None:
    sim = simulator(3)
    db = sim.world.pools[0].db
    vm = db.create("VM", name_label="web1", resident_on=db.one("host", name_label="xcp01"), power_state="Running")
    db.create("VIF", VM=vm, network=pif(sim, "xcp01", "eth1")["network"], device="0", currently_attached=True)
    with pytest.raises(InvalidChange, match="'web1' use it"):
        run("xen_pif", host="xcp01", device="eth1", plugged=False)
    assert run("xen_pif", host="xcp02", device="eth1", plugged=False)["changed"] is True


def test_receive_offload_is_switched(converges: Run) -> None:
    assert converges("xen_pif", host="xcp00", device="eth1", properties={"gro": False})["pif"]["properties"] == {"gro": "off"}
    assert converges("xen_pif", host="xcp00", device="eth1", properties={"gro": "on"})["operations"] == ["PIF.set_property"]


@pytest.mark.parametrize("properties", [{"gro": "maybe"}, {"tso": "on"}, {"gro": None}])
def test_an_unknown_property_is_refused(run: Run, properties: dict[str, t.Any]) -> None:
    with pytest.raises(InvalidChange, match="There is only gro, on or off"):
        run("xen_pif", host="xcp00", device="eth1", properties=properties)


def test_a_vlan_has_no_properties(run: Run) -> None:
    run("xen_network", name="DMZ", vlan={"tag": 100, "nic": "eth1"})
    with pytest.raises(InvalidChange, match="has no properties of its own"):
        run("xen_pif", host="xcp00", network="DMZ", properties={"gro": "off"})


@pytest.mark.parametrize("option", [{"mode": "dhcp"}, {"plugged": True}, {"properties": {"gro": "off"}}, {"ipv6_mode": "autoconf"}])
def test_a_member_of_a_bond_has_nothing_of_its_own(simulator: Start, run: Run, option: dict[str, t.Any]) -> None:
    simulator("homogeneous", joined=True)
    run("xen_network", name="Bonded", bond={"nics": ["eth1", "eth2"]})
    with pytest.raises(InvalidChange, match="eth1 of host 'xcp00' is a member of the bond of network 'Bonded'"):
        run("xen_pif", host="xcp00", device="eth1", **option)
    assert run("xen_pif", host="xcp00", device="eth1", mode="none", plugged=False, other_config={"a": "b"})["changed"] is True


def test_a_bond_is_an_interface_like_another(simulator: Start, run: Run, converges: Run) -> None:
    simulator("homogeneous", joined=True)
    run("xen_network", name="Bonded", bond={"nics": ["eth1", "eth2"]})
    assert converges("xen_pif", host="xcp01", network="Bonded", mode="static", ip="172.16.0.201/24")["pif"]["device"] == "bond0"
    assert converges("xen_pif", host="xcp01", device="bond0", properties={"gro": "off"})["changed"] is True


def test_a_tunnel_without_address_below_is_not_plugged(simulator: Start, run: Run) -> None:
    sim = simulator(1)
    run("xen_pif", device="eth1", mode="dhcp")
    run("xen_network", name="Overlay", tunnel={"nic": "eth1"})
    run("xen_pif", device="tunnel0", plugged=False)
    change(sim, "xcp00", "eth1", ip_configuration_mode="None")
    with pytest.raises(InvalidChange, match="eth1 of host 'xcp00' below has no address"):
        run("xen_pif", device="tunnel0", plugged=True)


def test_an_interface_that_is_not_managed_is_left_alone(simulator: Start, run: Run) -> None:
    sim = simulator(1)
    change(sim, "xcp00", "eth1", managed=False)
    with pytest.raises(InvalidChange, match="not managed by XenAPI"):
        run("xen_pif", **STATIC)


def test_a_host_that_is_down_is_named(simulator: Start, run: Run) -> None:
    sim = simulator(2)
    db = sim.world.pools[0].db
    db.set("host_metrics", db.get("host", db.one("host", name_label="xcp01"))["metrics"], live=False)
    with pytest.raises(InvalidChange, match="Host 'xcp01' is down"):
        run("xen_pif", **{**STATIC, "host": "xcp01"})
    assert run("xen_pif", host="xcp01", device="eth1", other_config={"a": "b"})["changed"] is True
