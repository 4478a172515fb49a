# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tunnels on all hosts of a pool."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.errors import InvalidChange

Run = Start = t.Callable[..., t.Any]
OVERLAY: dict[str, t.Any] = {"name": "Overlay", "tunnel": {"nic": "eth0"}}


def test_a_tunnel_is_made_on_every_host(simulator: Start, converges: Run) -> None:
    sim = simulator(3)
    done = converges("xen_network", **OVERLAY)
    assert done["operations"] == ["network.create", *["tunnel.create"] * 3]
    assert done["network"]["tunnel"] == {"network": "Pool-wide network associated with eth0", "protocol": "gre"}
    assert {tunnel["status"]["active"] for tunnel in sim.world.pools[0].db.all("tunnel").values()} == {"true"}


def test_the_protocol_is_that_of_the_task_and_changes_in_place(simulator: Start, converges: Run) -> None:
    sim = simulator(2)
    converges("xen_network", name="Overlay", tunnel={"nic": "eth0", "protocol": "vxlan"})
    assert converges("xen_network", **OVERLAY)["changed"] is False
    assert converges("xen_network", name="Overlay", tunnel={"nic": "eth0", "protocol": "gre"})["operations"] == ["tunnel.set_protocol"] * 2
    assert {tunnel["protocol"] for tunnel in sim.world.pools[0].db.all("tunnel").values()} == {"gre"}


def test_a_network_without_addresses_carries_no_tunnel(simulator: Start, run: Run) -> None:
    sim = simulator(2)
    with pytest.raises(InvalidChange, match="eth1 of host 'xcp00' has no address"):
        run("xen_network", name="Overlay", tunnel={"nic": "eth1"})
    assert sim.calls() == []


def test_a_tunnel_needs_open_vswitch_on_all_hosts(simulator: Start, run: Run) -> None:
    sim = simulator(2)
    db = sim.world.pools[0].db
    host = db.one("host", name_label="xcp01")
    db.set("host", host, software_version={**db.get("host", host)["software_version"], "network_backend": "bridge"})
    with pytest.raises(InvalidChange, match="'xcp01' use the Linux bridge"):
        run("xen_network", **OVERLAY)


def test_a_tunnel_does_not_run_over_a_member_of_a_bond(simulator: Start, run: Run) -> None:
    simulator("homogeneous", joined=True)
    run("xen_network", name="Bonded", bond={"nics": ["eth1", "eth2"]})
    with pytest.raises(InvalidChange, match="is a member of the bond of network 'Bonded'"):
        run("xen_network", name="Overlay", tunnel={"nic": "eth1"})


def test_a_tunnel_does_not_run_over_a_tunnel(simulator: Start, run: Run) -> None:
    sim = simulator(1)
    run("xen_network", **OVERLAY)
    db = sim.world.pools[0].db
    db.set("PIF", db.one("PIF", device="tunnel0"), ip_configuration_mode="DHCP")
    with pytest.raises(InvalidChange, match="tunnel0 of host 'xcp00' is a tunnel"):
        run("xen_network", name="x", tunnel={"network": "Overlay"})


def test_another_network_below_is_taken_with_leave(simulator: Start, run: Run, converges: Run) -> None:
    sim = simulator(2)
    run("xen_network", **OVERLAY)
    db = sim.world.pools[0].db
    for pif in db.find("PIF", device="eth1"):
        db.set("PIF", pif, ip_configuration_mode="DHCP")
    wanted = {"name": "Overlay", "tunnel": {"nic": "eth1"}}
    with pytest.raises(InvalidChange, match=r"from tunnel over network .*eth0' to tunnel over network .*eth1'"):
        run("xen_network", **wanted)
    assert converges("xen_network", **wanted, allow_disruption=True)["operations"] == ["tunnel.destroy", "tunnel.create"] * 2


def test_a_tunnel_goes_from_all_hosts(simulator: Start, run: Run, converges: Run) -> None:
    sim = simulator(2)
    run("xen_network", **OVERLAY)
    assert converges("xen_network", name="Overlay", state="absent")["operations"] == ["tunnel.destroy", "tunnel.destroy", "network.destroy"]
    assert sim.world.pools[0].db.all("tunnel") == {}
