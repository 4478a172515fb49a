# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Interfaces: which one a task means, plugged or not. Addresses and management are in files of their own."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.errors import InvalidChange, NotFound

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
