# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a description makes of a host's network, and what is refused."""

from __future__ import annotations

import dataclasses
import typing as t

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.domzero.xen.plugins.module_utils.errors import XenError
from ansible_collections.domzero.xen.plugins.module_utils.xl.network.described import MODES, wanted
from ansible_collections.domzero.xen.plugins.module_utils.xl.network.device import Link
from ansible_collections.domzero.xen.plugins.module_utils.xl.network.interfaces import OURS, stanzas
from ansible_collections.domzero.xen.plugins.module_utils.xl.network.plan import NOTE, plan
from ansible_collections.domzero.xen.tests.unit.plugins.module_utils.xl.network.world import MAIN, after, host, told

Options = dict[str, t.Any]
BRIDGED: Options = {"bridges": [{"name": "xenbr0", "ports": ["ens3"]}]}
NAT = {"name": "natbr0", "addresses": ["10.9.0.1/24"], "nat": True, "dhcp_range": ["10.9.0.100", "10.9.0.200"]}
MANAGERS = ("ifupdown", "networkd")


def test_the_address_of_the_nic_goes_over_to_the_bridge() -> None:
    change = plan(wanted(BRIDGED), host())
    ours = stanzas(change.files[OURS] or "")
    assert ours["xenbr0"][:4] == ["auto", "iface xenbr0 inet static", "address 10.0.2.15/24", "gateway 10.0.2.2"]
    assert ours["ens3"] == ["auto", "iface ens3 inet manual"]
    main = change.files["/etc/network/interfaces"] or ""
    assert "ens3" not in stanzas(main) and "lo" in stanzas(main) and "source /etc/network/interfaces.d/*" in main
    assert "#domzero.xen# iface ens3 inet static" in main
    assert change.commands == ["ifdown --force ens3", "ip address flush dev ens3", "ifup --force ens3", "ifup --force xenbr0"]
    assert change.verify == [("xenbr0", "10.0.2.15/24")]
    assert [str(one) for one in change.undo_start][:2] == ["ifup --force ens3", "ip address replace 10.0.2.15/24 dev ens3"]
    assert "ip link delete dev xenbr0" in [str(one) for one in change.undo_stop]


def test_an_address_by_dhcp_stays_one_by_dhcp() -> None:
    change = plan(wanted(BRIDGED), host(dhcp=True))
    assert "iface xenbr0 inet dhcp" in (change.files[OURS] or "")
    assert change.verify == [("xenbr0", "")]


def test_networkd_keeps_the_hardware_address_and_needs_no_file_of_others() -> None:
    change = plan(wanted(BRIDGED), host("networkd"))
    folder = "/etc/systemd/network/05-domzero-xen-"
    assert set(change.files) == {f"{folder}ens3.network", f"{folder}xenbr0.network", f"{folder}xenbr0.netdev", NOTE}
    assert "MACAddress=52:54:00:12:34:00" in (change.files[f"{folder}xenbr0.netdev"] or "")
    assert "Bridge=xenbr0" in (change.files[f"{folder}ens3.network"] or "")
    assert "Address=10.0.2.15/24\nGateway=10.0.2.2\n" in (change.files[f"{folder}xenbr0.network"] or "")
    assert "networkctl reload" in change.commands


def test_a_nic_with_vlans_keeps_its_address_with_networkd() -> None:
    change = plan(wanted({"vlans": [{"parent": "ens3", "id": 7}], "bridges": [{"name": "xenbr7", "ports": ["ens3.7"]}]}), host("networkd"))
    text = change.files["/etc/systemd/network/05-domzero-xen-ens3.network"] or ""
    assert "VLAN=ens3.7" in text and "Address=10.0.2.15/24" in text


def test_a_bridge_on_a_vlan_on_a_bond_comes_up_from_below() -> None:
    options = {
        "bonds": [{"name": "bond0", "ports": ["ens4", "ens5"], "mode": "802.3ad", "miimon": 100, "lacp_rate": "fast"}],
        "vlans": [{"parent": "bond0", "id": 100}],
        "bridges": [{"name": "xenbr100", "ports": ["bond0.100"], "addresses": ["10.1.0.1/24"]}],
    }
    change = plan(wanted(options), host())
    ups = [command.rsplit(" ", 1)[1] for command in change.commands if command.startswith("ifup")]
    assert ups == ["ens4", "ens5", "bond0", "bond0.100", "xenbr100"]
    text = change.files[OURS] or ""
    assert "bond-lacp-rate fast" in text and "bond-master bond0" in text
    assert "|| ip link add link bond0 name bond0.100 type vlan id 100" in text
    assert "ens3" not in text


def test_a_bridge_of_open_vswitch_brings_up_its_ports() -> None:
    change = plan(wanted({"bridges": [{"name": "ovsbr0", "type": "openvswitch", "ports": ["ens4"]}]}), host())
    text = change.files[OURS] or ""
    assert "allow-ovsbr0 ens4\n" in text and "ovs_ports ens4" in text and "ovs_type OVSBridge" in text
    assert change.commands == ["systemctl enable --now openvswitch-switch.service", "ifup --force ovsbr0"]


@pytest.mark.parametrize("manager", MANAGERS)
def test_open_vswitch_is_asked_for_the_mtu_of_a_bridge(manager: str) -> None:
    change = plan(wanted({"bridges": [{"name": "ovsbr0", "type": "openvswitch", "mtu": 1400}]}), host(manager))
    assert any("set Interface ovsbr0 mtu_request=1400" in (text or "") for text in change.files.values())


def test_networkd_leaves_ports_of_open_vswitch_alone() -> None:
    change = plan(wanted({"bridges": [{"name": "ovsbr0", "type": "openvswitch", "ports": ["ens4"]}]}), host("networkd"))
    assert "Unmanaged=yes" in (change.files["/etc/systemd/network/05-domzero-xen-ens4.network"] or "")
    unit = change.files["/etc/systemd/system/domzero-xen-ovs.service"] or ""
    assert "add-port ovsbr0 ens4" in unit and "ip link set dev ens4 up" in unit
    assert change.commands.index("systemctl restart domzero-xen-ovs.service") < change.commands.index("networkctl reload")


def test_nat_has_a_table_and_a_server_of_its_own() -> None:
    change = plan(wanted({"bridges": [NAT]}), host())
    rules = change.files["/etc/domzero-xen/nat.nft"] or ""
    assert 'ip saddr 10.9.0.0/24 oifname != "natbr0" masquerade' in rules and "flush ruleset" not in rules
    assert "dhcp-range=10.9.0.100,10.9.0.200,12h" in (change.files["/etc/domzero-xen/dhcp-natbr0.conf"] or "")
    assert "net.ipv4.ip_forward = 1" in (change.files["/etc/sysctl.d/60-domzero-xen-network.conf"] or "")
    assert "systemctl restart domzero-xen-nat.service domzero-xen-dhcp@natbr0.service" in change.commands
    assert "systemctl disable --now domzero-xen-nat.service domzero-xen-dhcp@natbr0.service" in [str(one) for one in change.undo_stop]
    assert "sysctl --quiet --write net.ipv4.ip_forward=0" in [str(one) for one in change.undo_start]


def test_routed_guests_have_forwarding_and_an_answer_for_them() -> None:
    change = plan(wanted({"proxy_arp": ["ens3"]}), host())
    text = change.files["/etc/sysctl.d/60-domzero-xen-network.conf"] or ""
    assert "net.ipv4.ip_forward = 1\nnet/ipv4/conf/ens3/proxy_arp = 1\n" in text


@pytest.mark.parametrize("manager", MANAGERS)
def test_what_is_no_longer_described_is_taken_away(manager: str) -> None:
    first = after(wanted({**BRIDGED, "bridges": [*BRIDGED["bridges"], NAT]}), host(manager))
    change = plan(wanted(BRIDGED), first)
    assert change.files["/etc/domzero-xen/nat.nft"] is None
    assert "systemctl disable --now domzero-xen-nat.service" in change.commands
    assert "ip link delete dev natbr0" in change.commands
    assert not any("xenbr0" in one or "ens3" in one for one in change.commands)


@pytest.mark.parametrize("manager", MANAGERS)
def test_the_address_can_go_back_to_the_nic(manager: str) -> None:
    bridged = after(wanted(BRIDGED), host(manager))
    change = plan(wanted({"nics": [{"name": "ens3"}]}), bridged)
    assert change.verify == [("ens3", "10.0.2.15/24")]
    assert "ip link delete dev xenbr0" in change.commands
    with pytest.raises(XenError, match=r"xenbr0 has the default route .*no longer has it"):
        plan(wanted({}), bridged)


@pytest.mark.parametrize("manager", MANAGERS)
def test_guests_on_a_bridge_that_is_made_anew_are_connected_again(manager: str) -> None:

    facts = after(wanted(BRIDGED), host(manager))
    vif = Link("mail-eth0", bus="xen-backend", master="xenbr0")
    facts = dataclasses.replace(facts, live=dataclasses.replace(facts.live, links={**facts.live.links, "mail-eth0": vif}))
    change = plan(wanted({"bridges": [{"name": "xenbr0", "ports": ["ens3"], "stp": True}]}), facts)
    assert "ip link set dev mail-eth0 master xenbr0" in change.commands
    assert "ip link set dev mail-eth0 master xenbr0" in [str(one) for one in change.undo_start]


def test_files_that_are_right_do_not_hide_that_a_device_is_gone() -> None:
    facts = after(wanted(BRIDGED), host())
    links = {name: link for name, link in facts.live.links.items() if name != "xenbr0"}
    lost = dataclasses.replace(facts, live=dataclasses.replace(facts.live, links=links))
    change = plan(wanted(BRIDGED), lost)
    assert change.files == {} and "ifup --force xenbr0" in change.commands


def test_lines_of_a_stanza_that_are_lost_are_told() -> None:
    facts = host(main=MAIN + "    post-up ethtool -K ens3 gro off\n    dns-nameservers 10.0.2.3\n")
    change = plan(wanted(BRIDGED), facts)
    assert "post-up ethtool -K ens3 gro off" in change.warnings[0] and len(change.warnings) == 1


BAD = {
    "a NIC that is missing": ({"bridges": [{"name": "xenbr0", "ports": ["ens9"]}]}, "xenbr0 needs ens9, .* The host has ens3, ens4"),
    "a long name": ({"bridges": [{"name": "xenbridge-management"}]}, "xenbridge-management has 20 characters. The kernel allows 15"),
    "a name with a dot": ({"bridges": [{"name": "xen.0"}]}, "xen.0: a name with a dot"),
    "a name that is none": ({"bridges": [{"name": "xen br"}]}, "'xen br' is no name"),
    "a tag": ({"vlans": [{"parent": "ens3", "id": 4095}]}, "tag 4095 is out of range"),
    "tag 0": ({"vlans": [{"parent": "ens3", "id": 0}]}, "tag 0 is out of range"),
    "no slaves": ({"bonds": [{"name": "bond0", "ports": []}]}, "Bond bond0 has no ports"),
    "a mode": ({"bonds": [{"name": "bond0", "ports": ["ens4"], "mode": "fast"}]}, "there is no mode 'fast'"),
    "a primary": ({"bonds": [{"name": "bond0", "ports": ["ens4"], "primary": "ens5"}]}, "primary ens5 is none of its ports"),
    "an address on a slave": (
        {"bonds": [{"name": "bond0", "ports": ["ens4"]}], "nics": [{"name": "ens4", "addresses": ["10.1.0.1/24"]}]},
        "ens4 is a port of bond0 and has addresses",
    ),
    "a port twice": ({"bridges": [{"name": "a", "ports": ["ens4"]}, {"name": "b", "ports": ["ens4"]}]}, "ens4 is a port of both a and b"),
    "a port twice in one": ({"bridges": [{"name": "a", "ports": ["ens4", "ens4"]}]}, "names its port ens4 twice"),
    "a bridge in a bridge": ({"bridges": [{"name": "a", "ports": ["b"]}, {"name": "b"}]}, "its port b is a bridge"),
    "itself": ({"vlans": [{"name": "v1", "parent": "v1", "id": 1}]}, "v1 stands on itself"),
    "the management lost": (
        {"bridges": [{"name": "xenbr0", "ports": ["ens3"], "addresses": []}]},
        r"ens3 has the default route \(10.0.2.15/24\)",
    ),
    "the NIC without address": ({"nics": [{"name": "ens3", "addresses": []}]}, "leaves it no address"),
    "no prefix": ({"bridges": [{"name": "a", "addresses": ["10.0.0.1"]}]}, "10.0.0.1 has no prefix"),
    "no address": ({"bridges": [{"name": "a", "addresses": ["10.0.0.300/24"]}]}, "is no address"),
    "the network's address": ({"bridges": [{"name": "a", "addresses": ["10.0.0.0/24"]}]}, "address of the network itself"),
    "a far gateway": ({"bridges": [{"name": "a", "addresses": ["10.0.0.1/24"], "gateway": "10.1.0.1"}]}, "10.1.0.1 lies in none"),
    "a gateway of its own": ({"bridges": [{"name": "a", "addresses": ["10.0.0.1/24"], "gateway": "10.0.0.1"}]}, "its own address"),
    "two gateways": (
        {"bridges": [{"name": n, "addresses": [f"10.{n}.0.2/24"], "gateway": f"10.{n}.0.1"} for n in ("1", "2")]},
        "both have a default gateway",
    ),
    "both": ({"bridges": [{"name": "a", "addresses": ["10.0.0.1/24"], "dhcp": True}]}, "both addresses and dhcp"),
    "overlap": ({"bridges": [{"name": n, "addresses": ["10.1.0.1/24"]} for n in ("a", "b")]}, "networks of a .* overlap"),
    "twice": ({"bridges": [{"name": "a"}], "nics": [{"name": "a"}]}, "a is described twice"),
    "a NIC as bridge": ({"bridges": [{"name": "ens4"}]}, "ens4 is a NIC of the host"),
    "NAT without address": ({"bridges": [{"name": "a", "nat": True}]}, "needs an IPv4 address"),
    "NAT with a port": ({"bridges": [{**NAT, "ports": ["ens4"]}]}, "has ports and serves guests"),
    "a range outside": ({"bridges": [{**NAT, "dhcp_range": ["10.8.0.1", "10.8.0.9"]}]}, "10.8.0.1 lies outside"),
    "a range backwards": ({"bridges": [{**NAT, "dhcp_range": ["10.9.0.9", "10.9.0.5"]}]}, "comes after the last"),
    "its own address": ({"bridges": [{**NAT, "dhcp_range": ["10.9.0.1", "10.9.0.5"]}]}, "its own address"),
    "a lease": ({"bridges": [{**NAT, "dhcp_lease": "long"}]}, "no lease time"),
    "a MAC": ({"bridges": [{**NAT, "dhcp_hosts": [{"mac": "zz", "address": "10.9.0.5"}]}]}, "'zz' is no MAC address"),
    "an MTU": ({"bridges": [{"name": "a", "mtu": 20}]}, "MTU of 20"),
    "proxy": ({"proxy_arp": ["ens9"]}, "proxy_arp names ens9"),
    "stp": ({"bridges": [{"name": "a", "type": "openvswitch", "stp": True}]}, "stp is only set"),
    "a route": ({"bridges": [{"name": "a", "addresses": ["10.0.0.1/24"], "routes": [{"to": "x", "via": "10.0.0.2"}]}]}, "a route to 'x'"),
    "a gateway for nothing": ({"bridges": [{"name": "a", "gateway": "10.0.0.1"}]}, "has gateway, but neither"),
    "a parent": ({"vlans": [{"parent": "eth9", "id": 5}]}, "eth9.5 needs eth9"),
}


@pytest.mark.parametrize("manager", MANAGERS)
@pytest.mark.parametrize(("options", "sentence"), BAD.values(), ids=BAD.keys())
def test_what_cannot_be_is_refused_by_name(manager: str, options: Options, sentence: str) -> None:
    with pytest.raises(XenError, match=sentence):
        plan(wanted(options), host(manager))


def test_a_file_that_networkd_reads_before_ours_is_named() -> None:
    early = {"/etc/systemd/network/01-wired.network": "[Match]\nName=ens*\n[Network]\nDHCP=yes\n"}
    with pytest.raises(XenError, match=r"01-wired.network is read before ours and describes ens3"):
        plan(wanted(BRIDGED), dataclasses.replace(host("networkd"), texts=early))


@st.composite
def descriptions(draw: st.DrawFn) -> Options:
    """Networks that can be."""
    free = ["ens4", "ens5", "ens6"]
    options: Options = {"bridges": [], "bonds": [], "vlans": [], "nics": []}
    uppers: list[str] = []
    if draw(st.booleans()):
        mode = draw(st.sampled_from(MODES))
        options["bonds"].append({"name": "bond0", "ports": [free.pop(), free.pop()], "mode": mode, "miimon": 100})
        uppers.append("bond0")
    for tag in draw(st.lists(st.integers(1, 4094), max_size=2, unique=True)):
        options["vlans"].append({"parent": uppers[0] if uppers and uppers[0] == "bond0" else free[0], "id": tag})
        uppers.append(f"{options['vlans'][-1]['parent']}.{tag}")
    mtu = st.none() | st.integers(1280, 9000)
    kinds = st.sampled_from(["linux", "openvswitch"])
    if draw(st.booleans()):
        options["bridges"].append({"name": "xenbr0", "ports": ["ens3"], "type": draw(kinds), "mtu": draw(mtu)})
    for place, port in enumerate(name for name in uppers if "." in name):
        more = {"addresses": [f"10.{50 + place}.0.1/24"]} if draw(st.booleans()) else {}
        options["bridges"].append({"name": f"br{place}", "ports": [port], "type": draw(kinds), **more})
    if draw(st.booleans()):
        options["bridges"].append(NAT)
    if draw(st.booleans()):
        options["forwarding"] = draw(st.booleans())
    return options


@pytest.mark.parametrize("manager", MANAGERS)
@settings(max_examples=60, deadline=None)
@given(options=descriptions(), later=descriptions())
def test_planning_again_changes_nothing(manager: str, options: Options, later: Options) -> None:
    first = after(wanted(options), host(manager))
    again = plan(wanted(options), first)
    assert not again, told(again)
    if options["bridges"] and options["bridges"][0]["name"] == "xenbr0":  # else the host would lose its default route
        later = {**later, "bridges": [options["bridges"][0], *(one for one in later["bridges"] if one["name"] != "xenbr0")]}
    second = after(wanted(later), first)
    again = plan(wanted(later), second)
    assert not again, told(again)
