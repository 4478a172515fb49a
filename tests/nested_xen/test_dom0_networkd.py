# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host of ifupdown goes over to systemd-networkd, with the NIC by which Ansible comes in."""

from __future__ import annotations

import typing as t

from .dom0 import Dom0

MANAGEMENT = {"name": "mgmtbr", "ports": ["ens3"]}


def network(**options: t.Any) -> dict[str, t.Any]:
    return {"domzero.xen.xl_network": {"manager": "networkd", **options}}


def test_networkd_takes_over_and_the_address_moves_onto_the_bridge(dom0: Dom0) -> None:
    refused = dom0.fails(network(bridges=[MANAGEMENT]))
    assert "was built with ifupdown, and networkd is asked for" in refused["msg"]
    dom0.task({"domzero.xen.xl_network": {}})
    done = dom0.converges(network(bridges=[MANAGEMENT]))
    assert done["manager"] == "networkd" and done["addresses"]["mgmtbr"] == ["10.0.2.15/24"]
    assert "default via 10.0.2.2 dev mgmtbr" in dom0.sh("ip route")
    assert dom0.sh("cat /sys/class/net/mgmtbr/address") == dom0.sh("cat /sys/class/net/ens3/address")
    assert "master mgmtbr" in dom0.sh("ip link show ens3")


def test_a_wrong_address_is_taken_back(dom0: Dom0) -> None:
    wrong = {**MANAGEMENT, "addresses": ["10.0.2.77/24"], "gateway": "10.0.2.2"}
    failed = dom0.fails(network(bridges=[wrong], confirm_timeout=10))
    assert "put back as it was: nobody confirmed it" in failed["msg"]
    assert "10.0.2.15/24" in dom0.sh("ip address show mgmtbr") and "10.0.2.77" not in dom0.sh("ip address show mgmtbr")
    assert not dom0.task(network(bridges=[MANAGEMENT]))["changed"]


def test_a_vlan_and_a_bridge_of_open_vswitch_come_and_go(dom0: Dom0) -> None:
    dom0.sh("ip link add near-d type veth peer name far-d; ip link set far-d up")
    switch = {"name": "ovsbr1", "type": "openvswitch", "ports": ["near-d"], "addresses": ["10.78.0.1/24"]}
    tagged = {"name": "xenbr200", "ports": ["mgmtbr.200"], "addresses": ["10.200.0.1/24"]}
    dom0.converges(network(bridges=[MANAGEMENT, switch, tagged], vlans=[{"parent": "mgmtbr", "id": 200}]))
    assert "near-d" in dom0.sh("ovs-vsctl list-ports ovsbr1") and "10.78.0.1/24" in dom0.sh("ip address show ovsbr1")
    assert "master xenbr200" in dom0.sh("ip link show mgmtbr.200")
    dom0.converges(network(bridges=[MANAGEMENT]))
    assert "ovsbr1" not in dom0.sh("ovs-vsctl list-br; ip -br link") and "xenbr200" not in dom0.sh("ip -br link")
