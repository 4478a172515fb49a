# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bonds on all hosts of a pool."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.errors import InvalidChange, OutcomeUnknown
from ansible_collections.domzero.xen.tests.simulator import site

Run = Start = t.Callable[..., t.Any]
BONDED: dict[str, t.Any] = {"name": "Bonded", "bond": {"nics": ["eth1", "eth2"]}}
LACP = {"hashing_algorithm": "tcpudp_ports", "lacp-time": "slow", "lacp-fallback-ab": "true"}


@pytest.fixture
def hosts(simulator: Start) -> t.Callable[[int], t.Any]:
    """hosts(2): a pool whose hosts have four NICs, eth0 for management."""

    def start(count: int) -> t.Any:
        nics = [{"device": f"eth{n}", "segment": "lan"} for n in range(4)]
        rows = [{"name": f"xcp{n:02}", "address": f"127.40.0.{10 + n}", "nics": nics} for n in range(count)]
        return simulator(site.build(site.parse({"segments": ["lan"], "hosts": rows, "joined": count > 1}), speed=0))

    return start


def bonds(sim: t.Any) -> dict[str, dict[str, t.Any]]:
    """The bonds by the name of their host."""
    db = sim.world.pools[0].db
    return {db.get("host", db.get("PIF", b["master"])["host"])["name_label"]: b for b in db.all("Bond").values()}


def pif_of(sim: t.Any, host: str, device: str) -> str:
    db = sim.world.pools[0].db
    return str(db.one("PIF", host=db.one("host", name_label=host), device=device, VLAN=-1))


# everywhere ------------------------------------------------------------------------
def test_a_bond_is_made_on_every_host(hosts: Start, converges: Run) -> None:
    sim = hosts(3)
    done = converges("xen_network", **BONDED, mtu=9000)
    assert done["operations"] == ["network.create", *["Bond.create"] * 3]
    assert done["network"]["bond"] == {"nics": ["eth1", "eth2"], "mode": "balance-slb", "properties": {}}
    assert set(bonds(sim)) == {"xcp00", "xcp01", "xcp02"}


def test_mode_and_properties_are_those_of_the_task(hosts: Start, converges: Run) -> None:
    sim = hosts(2)
    bond = {"nics": ["eth2", "eth1"], "mode": "lacp", "properties": {"hashing_algorithm": "src_mac", "lacp-aggregation-key": 7}}
    done = converges("xen_network", name="Bonded", bond=bond)
    assert done["network"]["bond"]["properties"] == {**LACP, "hashing_algorithm": "src_mac", "lacp-aggregation-key": "7"}
    assert {b["mode"] for b in bonds(sim).values()} == {"lacp"}


def test_a_bond_missing_on_a_member_is_completed_there(hosts: Start, run: Run, converges: Run) -> None:
    sim = hosts(2)
    run("xen_network", name="Bonded", bond={**BONDED["bond"], "mode": "active-backup"})
    session_call(sim, run, "Bond.destroy", "xcp01")
    done = converges("xen_network", **BONDED)
    assert done["operations"] == ["Bond.create"]
    assert bonds(sim)["xcp01"]["mode"] == "active-backup"


def session_call(sim: t.Any, run: Run, method: str, host: str) -> None:
    """As somebody else would do it behind our back."""
    from ansible_collections.domzero.xen.tests.simulator.dispatch import dispatch

    machine = sim.world.machines["xcp00"]
    session = dispatch(machine, "session.login_with_password", [sim.username, sim.password, "1.0", "test"])
    db = sim.world.pools[0].db
    bond = next(ref for ref, b in db.all("Bond").items() if db.get("PIF", b["master"])["host"] == db.one("host", name_label=host))
    dispatch(machine, method, [session, bond])
    dispatch(machine, "session.logout", [session])


@pytest.mark.parametrize("when", ["cut_before", "cut_after"])
@pytest.mark.parametrize("nth", [1, 2, 3])
def test_a_run_that_lost_its_connection_is_finished_without_doubles(hosts: Start, run: Run, when: str, nth: int) -> None:
    sim = hosts(2)
    getattr(sim.faults, f"{when}_change")(nth)
    try:
        run("xen_network", **BONDED)
    except OutcomeUnknown:
        run("xen_network", **BONDED)
    assert len(sim.world.pools[0].db.all("Bond")) == 2
    assert run("xen_network", **BONDED)["changed"] is False


def test_management_and_address_move_to_the_bond(hosts: Start, converges: Run) -> None:
    sim = hosts(2)
    converges("xen_network", name="Bonded", bond={"nics": ["eth0", "eth1"], "mode": "active-backup"})
    db = sim.world.pools[0].db
    for host, bond in bonds(sim).items():
        master = db.get("PIF", bond["master"])
        assert master["management"]
        assert master["IP"] == sim.world.machines[host].address


def test_vlans_of_the_nics_move_to_the_bond(hosts: Start, run: Run, converges: Run) -> None:
    sim = hosts(2)
    run("xen_network", name="DMZ", vlan={"tag": 100, "nic": "eth1"})
    run("xen_network", **BONDED)
    assert len(sim.world.pools[0].db.all("VLAN")) == 2
    assert converges("xen_network", name="DMZ", vlan={"tag": 100, "network": "Bonded"})["changed"] is False


# refusals ----------------------------------------------------------------------------
def test_hosts_without_the_nics_are_named_before_anything_is_changed(hosts: Start, run: Run) -> None:
    sim = hosts(3)
    db = sim.world.pools[0].db
    db.destroy("PIF", pif_of(sim, "xcp01", "eth2"))
    db.destroy("PIF", pif_of(sim, "xcp02", "eth1"))
    with pytest.raises(InvalidChange, match="'xcp01' has no NIC eth2; 'xcp02' has no NIC eth1"):
        run("xen_network", **BONDED)
    assert sim.calls() == []


@pytest.mark.parametrize(
    ("bond", "told"),
    [
        ({"nics": ["eth1"]}, "at least two NICs"),
        ({"nics": []}, "at least two NICs"),
        ({"nics": ["eth1", "eth2", "eth1"]}, "names 'eth1' twice"),
        ({"nics": ["eth1", "eth9"]}, "no NIC eth9"),
        ({"nics": ["eth1", "eth2"], "properties": {"hashing_algorithm": "src_mac"}}, "only lacp has properties"),
        ({"nics": ["eth1", "eth2"], "mode": "lacp", "properties": {"hashing": "src_mac"}}, "'hashing' is no property"),
        ({"nics": ["eth1", "eth2"], "mode": "lacp", "properties": {"lacp-time": "soon"}}, "lacp-time .* cannot be 'soon'"),
        ({"nics": ["eth1", "eth2"], "mode": "lacp", "properties": {"lacp-time": None}}, "lacp-time .* cannot be None"),
        ({"nics": ["eth1", "eth2"], "mac": "02:00:00:00:00:01"}, "2 hosts cannot share"),
    ],
)
def test_a_bond_that_cannot_be_is_refused(hosts: Start, run: Run, bond: dict[str, t.Any], told: str) -> None:
    sim = hosts(2)
    with pytest.raises(InvalidChange, match=told):
        run("xen_network", name="Bonded", bond=bond)
    assert sim.calls() == []


def test_a_nic_of_another_bond_is_refused_with_its_network(hosts: Start, run: Run) -> None:
    hosts(2)
    run("xen_network", **BONDED)
    with pytest.raises(InvalidChange, match="eth2 of host 'xcp00' is already a member of the bond of network 'Bonded'"):
        run("xen_network", name="other", bond={"nics": ["eth2", "eth3"]})


def test_two_nics_with_addresses_are_refused(hosts: Start, run: Run) -> None:
    sim = hosts(1)
    for device in ("eth1", "eth2"):
        sim.world.pools[0].db.set("PIF", pif_of(sim, "xcp00", device), ip_configuration_mode="DHCP")
    with pytest.raises(InvalidChange, match="'eth1' and 'eth2' of host 'xcp00' have an address each"):
        run("xen_network", **BONDED)


def test_nics_with_different_properties_are_refused(hosts: Start, run: Run) -> None:
    sim = hosts(1)
    sim.world.pools[0].db.set("PIF", pif_of(sim, "xcp00", "eth1"), properties={"gro": "off"})
    with pytest.raises(InvalidChange, match="differ in their properties"):
        run("xen_network", **BONDED)


def test_the_management_interface_is_not_bonded_under_high_availability(hosts: Start, run: Run) -> None:
    sim = hosts(1)
    sim.world.pools[0].db.set("pool", sim.world.pools[0].pool_ref, ha_enabled=True)
    with pytest.raises(InvalidChange, match="high availability"):
        run("xen_network", name="Bonded", bond={"nics": ["eth0", "eth1"]})


# the address of one's own ----------------------------------------------------------------
def test_a_host_alone_may_have_a_mac_address_of_its_own(hosts: Start, converges: Run) -> None:
    sim = hosts(1)
    done = converges("xen_network", name="Bonded", bond={"nics": ["eth1", "eth2"], "mac": "02:AB:00:00:00:01"})
    assert done["network"]["bond"]["mac"] == "02:ab:00:00:00:01"
    db = sim.world.pools[0].db
    assert db.get("PIF", bonds(sim)["xcp00"]["master"])["MAC"] == "02:ab:00:00:00:01"


@pytest.mark.parametrize("mac", ["03:00:00:00:00:01", "zz:zz", "00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff"])
def test_a_mac_address_that_is_not_one_interfaces_is_refused(hosts: Start, run: Run, mac: str) -> None:
    hosts(1)
    with pytest.raises(InvalidChange, match="not the MAC address"):
        run("xen_network", name="Bonded", bond={"nics": ["eth1", "eth2"], "mac": mac})


# changing -------------------------------------------------------------------------------
def test_the_mode_changes_in_place_on_every_host(hosts: Start, run: Run, converges: Run) -> None:
    sim = hosts(2)
    run("xen_network", **BONDED)
    done = converges("xen_network", name="Bonded", bond={**BONDED["bond"], "mode": "lacp", "properties": {"lacp-time": "fast"}})
    assert done["operations"] == ["Bond.set_mode", "Bond.set_property"] * 2
    assert [b["properties"] for b in bonds(sim).values()] == [{**LACP, "lacp-time": "fast"}] * 2
    back = converges("xen_network", name="Bonded", bond={**BONDED["bond"], "mode": "balance-slb"})
    assert back["network"]["bond"]["properties"] == {}


def test_a_property_changes_in_place_and_others_stay(hosts: Start, run: Run, converges: Run) -> None:
    hosts(2)
    run("xen_network", name="Bonded", bond={**BONDED["bond"], "mode": "lacp", "properties": {"lacp-time": "fast"}})
    done = converges("xen_network", name="Bonded", bond={**BONDED["bond"], "properties": {"hashing_algorithm": "src_mac"}})
    assert done["operations"] == ["Bond.set_property"] * 2
    assert done["network"]["bond"]["properties"]["lacp-time"] == "fast"


def test_a_mode_that_differs_on_one_host_is_put_right_there(hosts: Start, run: Run, converges: Run) -> None:
    sim = hosts(2)
    run("xen_network", **BONDED)
    db = sim.world.pools[0].db
    bond = next(ref for ref, b in db.all("Bond").items() if db.get("PIF", b["master"])["host"] == db.one("host", name_label="xcp01"))
    db.set("Bond", bond, mode="active-backup")
    done = converges("xen_network", **BONDED)
    assert done["operations"] == ["Bond.set_mode"]
    assert done["diff"]["before"]["hosts"]["xcp01"]["bond"]["mode"] == "active-backup"


def test_other_nics_are_refused_unless_it_is_allowed_to_interrupt(hosts: Start, run: Run, converges: Run) -> None:
    sim = hosts(2)
    uuid = run("xen_network", **BONDED)["network"]["uuid"]
    wanted = {"name": "Bonded", "bond": {"nics": ["eth1", "eth2", "eth3"], "mode": "active-backup"}}
    with pytest.raises(InvalidChange, match="from bond of eth1, eth2 to bond of eth1, eth2, eth3"):
        run("xen_network", **wanted)
    done = converges("xen_network", **wanted, allow_disruption=True)
    assert done["operations"] == ["Bond.destroy", "Bond.create"] * 2
    assert done["network"]["uuid"] == uuid
    assert {len(b["slaves"]) for b in bonds(sim).values()} == {3}


def test_the_nic_that_carries_everything_stays(hosts: Start, run: Run) -> None:
    hosts(1)
    run("xen_network", **BONDED)
    run("xen_network", name="DMZ", vlan={"tag": 100, "network": "Bonded"})
    with pytest.raises(InvalidChange, match="Keep eth1 among the NICs"):
        run("xen_network", name="Bonded", bond={"nics": ["eth2", "eth3"]}, allow_disruption=True)
    done = run("xen_network", name="Bonded", bond={"nics": ["eth1", "eth3"]}, allow_disruption=True)
    assert done["network"]["bond"]["nics"] == ["eth1", "eth3"]
    assert run("xen_network", name="DMZ", vlan={"tag": 100, "network": "Bonded"})["changed"] is False


def test_a_bond_that_carries_nothing_may_get_all_other_nics(hosts: Start, run: Run, converges: Run) -> None:
    hosts(1)
    run("xen_network", **BONDED)
    run("xen_network", name="x")
    done = converges("xen_network", name="Bonded", bond={"nics": ["eth2", "eth3"]}, allow_disruption=True)
    assert done["network"]["bond"]["nics"] == ["eth2", "eth3"]


def test_the_bond_of_the_management_is_not_taken_apart(hosts: Start, run: Run) -> None:
    hosts(2)
    run("xen_network", name="Bonded", bond={"nics": ["eth0", "eth1"]})
    with pytest.raises(InvalidChange, match="bond0 of host 'xcp00' is the management interface"):
        run("xen_network", name="Bonded", bond={"nics": ["eth0", "eth1", "eth2"]}, allow_disruption=True)
    with pytest.raises(InvalidChange, match="cannot be removed"):
        run("xen_network", name="Bonded", state="absent")


# removing ---------------------------------------------------------------------------------
def test_a_bond_goes_from_all_hosts(hosts: Start, run: Run, converges: Run) -> None:
    sim = hosts(2)
    run("xen_network", **BONDED)
    assert converges("xen_network", name="Bonded", state="absent")["operations"] == ["Bond.destroy", "Bond.destroy", "network.destroy"]
    assert bonds(sim) == {}


def test_a_bond_with_vlans_on_it_stays(hosts: Start, run: Run) -> None:
    hosts(2)
    run("xen_network", **BONDED)
    run("xen_network", name="DMZ", vlan={"tag": 100, "network": "Bonded"})
    with pytest.raises(InvalidChange, match="'DMZ' stands on it"):
        run("xen_network", name="Bonded", state="absent")
