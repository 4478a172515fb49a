# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A network that is connected in another way: another tag, another base, another kind."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.errors import InvalidChange

Run = Start = t.Callable[..., t.Any]
DMZ: dict[str, t.Any] = {"name": "DMZ", "vlan": {"tag": 100, "nic": "eth1"}}


def vlans(sim: t.Any, tag: int = 100) -> dict[str, dict[str, t.Any]]:
    """The untagged PIFs of a tag, by the name of their host."""
    db = sim.world.pools[0].db
    found = [db.get("PIF", db.get("VLAN", ref)["untagged_PIF"]) for ref in db.find("VLAN", tag=tag)]
    return {db.get("host", pif["host"])["name_label"]: pif for pif in found}


# another tag or base ----------------------------------------------------------------
def test_another_tag_is_refused_unless_it_is_allowed_to_interrupt(run: Run, converges: Run, pool: t.Any) -> None:
    uuid = run("xen_network", **DMZ)["network"]["uuid"]
    with pytest.raises(InvalidChange, match=r"from VLAN 100 on network .* to VLAN 200 on network .* allow_disruption: true"):
        run("xen_network", name="DMZ", vlan={"tag": 200, "nic": "eth1"})
    done = converges("xen_network", name="DMZ", vlan={"tag": 200, "nic": "eth1"}, allow_disruption=True)
    assert done["operations"] == ["VLAN.destroy", "VLAN.create"] * 2
    assert done["network"]["uuid"] == uuid
    assert vlans(pool()) == {}


def test_another_base_is_taken_with_leave(run: Run, converges: Run) -> None:
    run("xen_network", **DMZ)
    done = converges("xen_network", name="DMZ", vlan={"tag": 100, "nic": "eth0"}, allow_disruption=True)
    assert done["network"]["vlan"]["network"] == "Pool-wide network associated with eth0"


def test_a_vlan_becomes_a_tunnel_with_leave(run: Run, converges: Run) -> None:
    run("xen_network", **DMZ)
    done = converges("xen_network", name="DMZ", tunnel={"nic": "eth0"}, allow_disruption=True)
    assert done["operations"] == ["VLAN.destroy", "tunnel.create"] * 2
    assert "vlan" not in done["network"]


def test_the_way_to_another_tag_is_finished_after_a_broken_connection(simulator: Start, run: Run) -> None:
    sim = simulator(2)
    run("xen_network", **DMZ)
    sim.faults.fail("VLAN.create", error=["INTERNAL_ERROR", "oops"])
    wanted = {"name": "DMZ", "vlan": {"tag": 200, "nic": "eth1"}, "allow_disruption": True}
    with pytest.raises(Exception, match="Could not create VLAN 200"):
        run("xen_network", **wanted)
    run("xen_network", **wanted)
    assert set(vlans(sim, 200)) == {"xcp00", "xcp01"}
    assert vlans(sim) == {}


def test_vms_in_the_way_are_named(simulator: Start, run: Run) -> None:
    sim = simulator(2)
    run("xen_network", **DMZ)
    db = sim.world.pools[0].db
    vm = db.create("VM", name_label="web1", resident_on=db.one("host", name_label="xcp01"), power_state="Running")
    db.create("VIF", VM=vm, network=db.one("network", name_label="DMZ"), device="0", currently_attached=True)
    with pytest.raises(InvalidChange, match="in use by 'web1' on host 'xcp01'"):
        run("xen_network", name="DMZ", vlan={"tag": 200, "nic": "eth1"}, allow_disruption=True)


def test_an_address_is_not_lost_silently(run: Run) -> None:
    run("xen_network", **DMZ)
    run("xen_pif", host="xcp01", network="DMZ", mode="static", ip="172.16.0.201/24")
    with pytest.raises(InvalidChange, match="eth1 VLAN 100 of host 'xcp01' would lose its address"):
        run("xen_network", name="DMZ", vlan={"tag": 200, "nic": "eth1"}, allow_disruption=True)


def manage_through(sim: t.Any, tag: int) -> None:
    db = sim.world.pools[0].db
    for pif in db.find("PIF", management=True):
        db.set("PIF", pif, management=False)
    for pif in db.find("PIF", VLAN=tag):
        db.set("PIF", pif, management=True)


def test_the_management_interface_is_not_cut_even_with_leave(simulator: Start, run: Run) -> None:
    sim = simulator(2)
    run("xen_network", **DMZ)
    manage_through(sim, 100)
    with pytest.raises(InvalidChange, match="eth1 VLAN 100 of host 'xcp00' is the management interface"):
        run("xen_network", name="DMZ", vlan={"tag": 200, "nic": "eth1"}, allow_disruption=True)
    with pytest.raises(InvalidChange, match="cannot be removed"):
        run("xen_network", name="DMZ", state="absent")


def test_a_tunnel_on_it_keeps_a_vlan(simulator: Start, run: Run) -> None:
    sim = simulator(1)
    run("xen_network", **DMZ)
    db = sim.world.pools[0].db
    db.set("PIF", db.one("PIF", VLAN=100), ip_configuration_mode="DHCP")
    run("xen_network", name="Overlay", tunnel={"network": "DMZ"})
    with pytest.raises(InvalidChange, match="'Overlay' stands on it"):
        run("xen_network", name="DMZ", vlan={"tag": 200, "nic": "eth1"}, allow_disruption=True)
    with pytest.raises(InvalidChange, match="cannot be removed: 'Overlay' stands on it"):
        run("xen_network", name="DMZ", state="absent")
