# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The network of a Dom0 whose default route is on the NIC that becomes a port, and by which Ansible comes in."""

from __future__ import annotations

import typing as t

import pytest

from .dom0 import Dom0

MANAGEMENT = {"name": "mgmtbr", "ports": ["ens3"]}
NAT = {"name": "natbr", "addresses": ["10.9.0.1/24"], "nat": True, "dhcp_range": ["10.9.0.100", "10.9.0.110"]}
BOND = {"name": "bond0", "ports": ["near-a", "near-b"], "mode": "active-backup", "primary": "near-a"}
VLAN = {"parent": "bond0", "id": 100}
TAGGED = {"name": "xenbr100", "ports": ["bond0.100"], "addresses": ["10.100.0.1/24"]}
SWITCH = {"name": "ovsbr0", "type": "openvswitch", "ports": ["near-c"], "addresses": ["10.77.0.1/24"]}
# two cables of a bond and one of a switch, to a namespace that is the rest of the world
CABLES = """set -e
ip netns add far
for n in a b c; do ip link add near-$n type veth peer name far-$n netns far; done
ip -n far link add bridge0 type bridge
for n in a b; do ip -n far link set far-$n master bridge0 up; done
ip -n far link set bridge0 up
ip -n far link add link bridge0 name bridge0.100 type vlan id 100
ip -n far addr add 10.100.0.2/24 dev bridge0.100
ip -n far link set bridge0.100 up
ip -n far addr add 10.77.0.2/24 dev far-c
ip -n far link set far-c up
"""
OUTCOME = "/var/lib/domzero-xen/network/outcome.json"
# a guest's interface on the bridge for NAT
GUEST = """set -e
ip netns add guest
ip link add vif-test type veth peer name eth0 netns guest
ip link set vif-test master natbr up
ip -n guest link set eth0 up
"""
DOMU = """
name = "network-a"
type = "pvh"
kernel = "/vmlinuz"
ramdisk = "/root/domu-initrd.gz"
extra = "console=hvc0 hn=network-a ip4=10.77.0.11/24"
memory = 128
vif = ["mac=00:16:3e:00:77:11,bridge=ovsbr0,script=vif-openvswitch"]
"""


def network(**options: t.Any) -> dict[str, t.Any]:
    return {"domzero.xen.xl_network": options}


def test_the_address_moves_onto_the_bridge_while_ansible_is_connected(dom0: Dom0) -> None:
    done = dom0.converges(network(bridges=[MANAGEMENT, NAT]))
    assert done["addresses"]["mgmtbr"] == ["10.0.2.15/24"]
    assert "default via 10.0.2.2 dev mgmtbr" in dom0.sh("ip route")
    assert "10.0.2.15/24" in dom0.sh("ip address show mgmtbr") and "inet 10.0.2.15" not in dom0.sh("ip address show ens3")
    assert "iface ens3 inet static" in dom0.sh(f"cat {done['backup']}/old/*"), "the earlier files are kept"


def test_guests_behind_nat_get_an_address_and_reach_the_world(dom0: Dom0) -> None:
    dom0.sh(GUEST)
    assert "lease of 10.9.0.1" in dom0.until("ip netns exec guest busybox udhcpc -i eth0 -n -q -s /bin/true", timeout=60)
    dom0.sh("ip -n guest addr add 10.9.0.99/24 dev eth0; ip -n guest route add default via 10.9.0.1")
    dom0.until("ip netns exec guest ping -c 1 -W 2 10.0.2.2", timeout=30)
    assert "masquerade" in dom0.sh("nft list table ip domzero_xen_nat")


def test_a_change_that_nobody_can_confirm_is_taken_back(dom0: Dom0) -> None:
    before = dom0.sh("cat /etc/network/interfaces.d/domzero-xen")
    # new connections are dropped until the change was taken back; the one that is open still gets its answer
    block = "nft add table inet blocked; nft 'add chain inet blocked input { type filter hook input priority 0; }'"
    block += "; nft add rule inet blocked input tcp dport 22 ct state new drop; "
    block += f"systemd-run sh -c 'until grep -q reverted {OUTCOME}; do sleep 1; done; nft delete table inet blocked'"
    changing = network(bridges=[{**MANAGEMENT, "stp": True}, NAT], confirm_timeout=10)
    failed = dom0.fails({"block": [{"ansible.builtin.shell": block}, changing]})
    assert "put back as it was: nobody confirmed it over a new connection within 10 seconds" in failed["msg"]
    assert dom0.sh("cat /etc/network/interfaces.d/domzero-xen") == before
    assert "10.0.2.15/24" in dom0.sh("ip address show mgmtbr")
    assert "master natbr" in dom0.sh("ip link show vif-test"), "guests stay where they are"
    assert not dom0.task(network(bridges=[MANAGEMENT, NAT]))["changed"]


@pytest.mark.core
def test_bond_vlan_and_open_vswitch_carry_what_they_should(dom0: Dom0) -> None:
    dom0.sh(CABLES)
    dom0.converges(network(bridges=[MANAGEMENT, NAT, TAGGED, SWITCH], bonds=[BOND], vlans=[VLAN]))
    dom0.until("ping -c 1 -W 2 10.100.0.2", timeout=30)
    dom0.until("ping -c 1 -W 2 10.77.0.2", timeout=30)
    assert "Currently Active Slave: near-a" in dom0.sh("cat /proc/net/bonding/bond0")
    dom0.sh("ip link set near-a down")
    dom0.until("ping -c 1 -W 2 10.100.0.2", timeout=30)
    dom0.sh("ip link set near-a up")


@pytest.mark.core
def test_a_domu_is_on_open_vswitch(dom0: Dom0) -> None:
    dom0.put(DOMU, "/root/network-a.cfg")
    dom0.sh("xl create /root/network-a.cfg")
    dom0.until("ping -c 1 -W 2 10.77.0.11", timeout=120)
    assert "vif" in dom0.sh("ovs-vsctl list-ports ovsbr0")
    # a bridge that is made anew gets its guests back
    dom0.converges(network(bridges=[MANAGEMENT, NAT, TAGGED, {**SWITCH, "mtu": 1400}], bonds=[BOND], vlans=[VLAN]))
    dom0.until("ping -c 1 -W 2 10.77.0.11", timeout=60)
    dom0.sh("xl destroy network-a")


def test_what_would_cut_the_host_off_is_refused_before_anything_is_touched(dom0: Dom0) -> None:
    assert "has the default route (10.0.2.15/24)" in dom0.fails(network(bridges=[NAT]))["msg"]
    assert "there is no such NIC" in dom0.fails(network(bridges=[{**MANAGEMENT, "ports": ["eth9"]}]))["msg"]
    assert "10.0.2.15/24" in dom0.sh("ip address show mgmtbr")


def test_the_address_goes_back_to_the_nic_and_all_else_is_gone(dom0: Dom0) -> None:
    dom0.converges(network(nics=[{"name": "ens3"}]))
    assert "default via 10.0.2.2 dev ens3" in dom0.sh("ip route")
    left = dom0.sh("ip -br link; ovs-vsctl list-br; ls /etc/domzero-xen; nft list tables")
    assert not [name for name in ("mgmtbr", "natbr", "bond0", "xenbr100", "ovsbr0", "domzero_xen_nat", "dhcp-") if name in left], left
