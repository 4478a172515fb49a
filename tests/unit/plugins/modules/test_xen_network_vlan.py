# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VLANs on all hosts of a pool; what holds for every kind of connection is tested here too."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.errors import InvalidChange, NotFound, OutcomeUnknown
from ansible_collections.domzero.xen.plugins.module_utils.resource import converge
from ansible_collections.domzero.xen.plugins.module_utils.resources.network import Network

Run = Start = t.Callable[..., t.Any]
DMZ: dict[str, t.Any] = {"name": "DMZ", "vlan": {"tag": 100, "nic": "eth1"}}


def vlans(sim: t.Any, tag: int = 100) -> dict[str, dict[str, t.Any]]:
    """The untagged PIFs of a tag, by the name of their host."""
    db = sim.world.pools[0].db
    found = [db.get("PIF", db.get("VLAN", ref)["untagged_PIF"]) for ref in db.find("VLAN", tag=tag)]
    return {db.get("host", pif["host"])["name_label"]: pif for pif in found}


def forget_vlan(sim: t.Any, host: str) -> None:
    """What a host looks like that has not got the pool's VLANs yet."""
    db = sim.world.pools[0].db
    pif = db.one("PIF", host=db.one("host", name_label=host), VLAN=100)
    db.destroy("VLAN", db.get("PIF", pif)["VLAN_master_of"])
    db.destroy("PIF", pif)


def mark_down(sim: t.Any, host: str) -> None:
    db = sim.world.pools[0].db
    db.set("host_metrics", db.get("host", db.one("host", name_label=host))["metrics"], live=False)


# everywhere ------------------------------------------------------------------------
def test_a_vlan_is_made_on_every_host(simulator: Start, converges: Run) -> None:
    sim = simulator(3)
    done = converges("xen_network", **DMZ)
    assert done["operations"] == ["network.create", "VLAN.create", "VLAN.create", "VLAN.create"]
    assert done["network"]["vlan"] == {"tag": 100, "network": "Pool-wide network associated with eth1"}
    assert list(done["diff"]["after"]["hosts"]) == ["xcp00", "xcp01", "xcp02"]
    assert set(vlans(sim)) == {"xcp00", "xcp01", "xcp02"}


def test_a_host_that_joined_later_gets_the_vlan(simulator: Start, converges: Run) -> None:
    sim = simulator(3)
    converges("xen_network", **DMZ)
    forget_vlan(sim, "xcp01")
    done = converges("xen_network", **DMZ)
    assert done["operations"] == ["VLAN.create"]
    assert done["diff"]["before"]["hosts"]["xcp01"] == {}
    assert set(vlans(sim)) == {"xcp00", "xcp01", "xcp02"}


def test_a_vlan_missing_on_the_coordinator_is_completed_there(simulator: Start, converges: Run) -> None:
    sim = simulator(2)
    converges("xen_network", **DMZ)
    forget_vlan(sim, "xcp00")
    assert converges("xen_network", **DMZ)["operations"] == ["VLAN.create"]
    assert set(vlans(sim)) == {"xcp00", "xcp01"}


def test_a_network_without_connection_becomes_a_vlan(simulator: Start, converges: Run) -> None:
    sim = simulator(2)
    converges("xen_network", name="DMZ")
    assert converges("xen_network", **DMZ)["operations"] == ["VLAN.create", "VLAN.create"]
    assert set(vlans(sim)) == {"xcp00", "xcp01"}


@pytest.mark.parametrize("when", ["cut_before", "cut_after"])
@pytest.mark.parametrize("nth", [1, 2, 3])
def test_a_run_that_lost_its_connection_is_finished_without_doubles(simulator: Start, run: Run, when: str, nth: int) -> None:
    sim = simulator(2)
    getattr(sim.faults, f"{when}_change")(nth)
    try:
        run("xen_network", **DMZ)
    except OutcomeUnknown:
        run("xen_network", **DMZ)
    db = sim.world.pools[0].db
    assert len(db.find("network", name_label="DMZ")) == 1
    assert len(db.find("VLAN", tag=100)) == len(db.find("PIF", VLAN=100)) == 2
    assert run("xen_network", **DMZ)["changed"] is False


def test_a_member_that_is_down_is_skipped_and_named(simulator: Start, converges: Run) -> None:
    sim = simulator(3)
    mark_down(sim, "xcp01")
    done = converges("xen_network", **DMZ)
    assert set(vlans(sim)) == {"xcp00", "xcp02"}
    assert done["warnings"] == [
        "Network 'DMZ' is not completed on 'xcp01', which is down: it lacks its VLAN there. Run the task again when all hosts are up."
    ]


def test_a_member_that_is_down_and_complete_is_nothing_to_tell(simulator: Start, converges: Run) -> None:
    sim = simulator(2)
    converges("xen_network", **DMZ)
    mark_down(sim, "xcp01")
    assert "warnings" not in converges("xen_network", **DMZ)


def test_every_host_without_the_nic_is_named_before_anything_is_changed(simulator: Start, run: Run) -> None:
    sim = simulator(3)
    db = sim.world.pools[0].db
    for host in ("xcp01", "xcp02"):
        db.destroy("PIF", db.one("PIF", host=db.one("host", name_label=host), device="eth1"))
    with pytest.raises(InvalidChange, match="'xcp01' and 'xcp02' have no interface to network 'Pool-wide network associated with eth1'"):
        run("xen_network", **DMZ)
    assert sim.calls() == []


# where it stands ------------------------------------------------------------------
def test_the_base_is_a_network_by_name_or_uuid(simulator: Start, converges: Run, run: Run) -> None:
    simulator(2)
    uuid = run("xen_network", name="VM traffic", nic="eth1")["network"]["uuid"]
    assert converges("xen_network", name="a", vlan={"tag": 5, "network": "VM traffic"})["network"]["vlan"]["network"] == "VM traffic"
    assert converges("xen_network", name="b", vlan={"tag": 6, "network": uuid})["network"]["vlan"]["network"] == "VM traffic"


def test_the_base_may_be_a_bond(simulator: Start, converges: Run) -> None:
    simulator("homogeneous", joined=True)
    converges("xen_network", name="Bonded", bond={"nics": ["eth1", "eth2"]})
    done = converges("xen_network", name="DMZ", vlan={"tag": 100, "network": "Bonded"})
    assert done["network"]["vlan"] == {"tag": 100, "network": "Bonded"}


def test_a_vlan_does_not_stand_on_a_member_of_a_bond(simulator: Start, run: Run) -> None:
    simulator("homogeneous", joined=True)
    run("xen_network", name="Bonded", bond={"nics": ["eth1", "eth2"]})
    with pytest.raises(InvalidChange, match="eth1 of host 'xcp00' is a member of the bond of network 'Bonded'"):
        run("xen_network", **DMZ)


def test_a_vlan_does_not_stand_on_a_vlan(run: Run) -> None:
    run("xen_network", **DMZ)
    with pytest.raises(InvalidChange, match="'DMZ' is a VLAN itself"):
        run("xen_network", name="x", vlan={"tag": 5, "network": "DMZ"})


def test_a_vlan_does_not_stand_on_a_tunnel(run: Run) -> None:
    run("xen_network", name="Overlay", tunnel={"nic": "eth0"})
    with pytest.raises(InvalidChange, match="is a tunnel"):
        run("xen_network", name="x", vlan={"tag": 5, "network": "Overlay"})


def test_a_vlan_does_not_stand_on_itself(run: Run) -> None:
    run("xen_network", name="x")
    with pytest.raises(InvalidChange, match="on itself"):
        run("xen_network", name="x", vlan={"tag": 5, "network": "x"})


def test_an_interface_that_is_not_managed_is_refused(simulator: Start, run: Run) -> None:
    sim = simulator(1)
    db = sim.world.pools[0].db
    db.set("PIF", db.one("PIF", device="eth1"), managed=False)
    with pytest.raises(InvalidChange, match="eth1 of host 'xcp00' is not managed"):
        run("xen_network", **DMZ)


def test_an_unknown_base_is_told(run: Run) -> None:
    with pytest.raises(NotFound, match="nowhere"):
        run("xen_network", name="x", vlan={"tag": 5, "network": "nowhere"})


def test_a_vlan_that_is_another_networks_is_named(run: Run) -> None:
    run("xen_network", **DMZ)
    with pytest.raises(InvalidChange, match="VLAN 100 on eth1 of host 'xcp00' is already that of network 'DMZ'"):
        run("xen_network", name="other", vlan=DMZ["vlan"])


@pytest.mark.parametrize("tag", [-1, 0, 4095, 5000])
def test_a_tag_out_of_range_is_refused(run: Run, tag: int) -> None:
    with pytest.raises(InvalidChange, match=r"between 1 and 4094"):
        run("xen_network", name="x", vlan={"tag": tag, "nic": "eth1"})


@pytest.mark.parametrize("tag", [1, 4094])
def test_the_ends_of_the_range_are_tags(converges: Run, tag: int) -> None:
    assert converges("xen_network", name="x", vlan={"tag": tag, "nic": "eth1"})["network"]["vlan"]["tag"] == tag


@pytest.mark.parametrize("vlan", [{"tag": 5}, {"nic": "eth1"}, {"tag": 5, "nic": "eth1", "network": "x"}])
def test_a_vlan_needs_a_tag_and_one_base(run: Run, vlan: dict[str, t.Any]) -> None:
    with pytest.raises(ValueError, match="vlan"):
        run("xen_network", name="x", vlan=vlan)


# removing ------------------------------------------------------------------------------
def test_a_vlan_network_goes_from_all_hosts(simulator: Start, converges: Run) -> None:
    sim = simulator(3)
    converges("xen_network", **DMZ)
    assert converges("xen_network", name="DMZ", state="absent")["operations"] == [*["VLAN.destroy"] * 3, "network.destroy"]
    assert vlans(sim) == {}


def test_a_removal_that_was_interrupted_is_finished(simulator: Start, run: Run) -> None:
    sim = simulator(2)
    run("xen_network", **DMZ)
    forget_vlan(sim, "xcp00")
    assert run("xen_network", name="DMZ", state="absent")["operations"] == ["VLAN.destroy", "network.destroy"]


def test_nothing_is_removed_while_a_member_is_down(simulator: Start, run: Run) -> None:
    sim = simulator(2)
    run("xen_network", **DMZ)
    mark_down(sim, "xcp01")
    mark = sim.mark()
    with pytest.raises(InvalidChange, match="'xcp01' is down"):
        run("xen_network", name="DMZ", state="absent")
    assert sim.calls(mark) == []


# speed ------------------------------------------------------------------------------------
@pytest.mark.parametrize("hosts", [1, 5])
def test_an_unchanged_vlan_is_five_reads_however_many_hosts(simulator: Start, run: Run, request: pytest.FixtureRequest, hosts: int) -> None:
    simulator(hosts)
    run("xen_network", **DMZ)
    session = request.getfixturevalue("session")
    before = session.requests
    assert converge(Network(session, {"state": "present", **DMZ}), check_mode=False)["changed"] is False
    assert session.requests - before == 5
