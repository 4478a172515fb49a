# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""IPv4 and IPv6 addresses of interfaces."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.errors import InvalidChange, OutcomeUnknown

Run = Start = t.Callable[..., t.Any]
STATIC: dict[str, t.Any] = {"host": "xcp00", "device": "eth1", "mode": "static", "ip": "172.16.0.200", "netmask": "255.255.255.0"}


def pif(sim: t.Any, host: str, device: str, vlan: int = -1) -> dict[str, t.Any]:
    db = sim.world.pools[0].db
    return t.cast("dict[str, t.Any]", db.get("PIF", db.one("PIF", host=db.one("host", name_label=host), device=device, VLAN=vlan)))


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
