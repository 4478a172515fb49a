# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks themselves: internal ones and those of NICs. VLANs, bonds and tunnels are in files of their own."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.errors import Ambiguous, ApiError, InvalidChange, NotFound

Run = Start = t.Callable[..., t.Any]


def networks(sim: t.Any, **where: t.Any) -> list[dict[str, t.Any]]:
    db = sim.world.pools[0].db
    return [db.get("network", ref) for ref in db.find("network", **where)]


def vm_on(sim: t.Any, network: str, *, name: str = "web1", host: str = "", attached: bool = True) -> str:
    """A VM with a VIF on a network, put straight into the database; running on a host if named."""
    db = sim.world.pools[0].db
    where = {"resident_on": db.one("host", name_label=host), "power_state": "Running"} if host else {}
    vm = db.create("VM", name_label=name, **where)
    db.create("VIF", VM=vm, network=db.one("network", name_label=network), device="0", currently_attached=attached)
    return vm


# internal --------------------------------------------------------------------
def test_a_network_is_created(converges: Run, pool: t.Any) -> None:
    done = converges("xen_network", name="Internal", description="for VMs", mtu=9000, tags=["b", "a"])
    assert done["operations"] == ["network.create"]
    assert done["network"]["tags"] == ["a", "b"]
    (network,) = networks(pool(), name_label="Internal")
    assert (network["name_description"], network["MTU"], network["PIFs"]) == ("for VMs", 9000, [])


def test_everything_that_can_be_said_is_set_when_it_is_created(converges: Run, pool: t.Any) -> None:
    converges(
        "xen_network", name="x", bridge="mine0", managed=False, purpose=["nbd"], default_locking_mode="disabled", automatic=False,
        other_config={"owner": "us"},
    )  # fmt: skip
    (network,) = networks(pool(), name_label="x")
    assert (network["bridge"], network["managed"], network["purpose"]) == ("mine0", False, ["nbd"])
    assert network["default_locking_mode"] == "disabled"
    assert network["other_config"] == {"owner": "us", "automatic": "false"}


def test_only_the_differing_field_is_set(converges: Run) -> None:
    converges("xen_network", name="x", other_config={"theirs": 1})
    done = converges("xen_network", name="x", mtu=9000, other_config={"ours": True})
    assert done["operations"] == ["network.set_MTU", "network.set_other_config"]
    assert done["network"]["other_config"] == {"theirs": "1", "ours": "true"}


def test_a_key_of_other_config_is_removed_with_null(converges: Run) -> None:
    converges("xen_network", name="x", other_config={"a": "1", "b": "2"})
    assert converges("xen_network", name="x", other_config={"a": None})["network"]["other_config"] == {"b": "2"}


def test_options_left_out_are_not_managed(converges: Run) -> None:
    converges("xen_network", name="x", mtu=9000, description="mine", vlan={"tag": 5, "nic": "eth1"})
    assert converges("xen_network", name="x")["changed"] is False


def test_with_its_uuid_a_network_is_renamed(converges: Run, run: Run) -> None:
    uuid = converges("xen_network", name="old")["network"]["uuid"]
    assert run("xen_network", name="new", uuid=uuid)["operations"] == ["network.set_name_label"]


def test_an_unknown_uuid_is_told(run: Run) -> None:
    with pytest.raises(NotFound, match="uuid 1234"):
        run("xen_network", name="x", uuid="1234")


def test_two_networks_of_one_name_are_ambiguous(simulator: Start, run: Run) -> None:
    db = simulator().world.pools[0].db
    uuids = [db.get("network", db.create("network", name_label="twice"))["uuid"] for _twin in range(2)]
    with pytest.raises(Ambiguous) as refused:
        run("xen_network", name="twice", mtu=9000)
    assert all(uuid in str(refused.value) for uuid in uuids)
    assert run("xen_network", name="twice", uuid=uuids[1], mtu=9000)["network"]["mtu"] == 9000


# fields with rules of their own -------------------------------------------------
def test_a_missing_key_means_automatic(converges: Run) -> None:
    assert converges("xen_network", name="x", automatic=True)["network"]["other_config"] == {}
    assert converges("xen_network", name="x", automatic=False)["network"]["other_config"] == {"automatic": "false"}
    assert converges("xen_network", name="x", automatic=True)["network"]["other_config"] == {"automatic": "true"}


def test_automatic_must_not_contradict_other_config(run: Run) -> None:
    with pytest.raises(InvalidChange, match="contradicts other_config"):
        run("xen_network", name="x", automatic=False, other_config={"automatic": "true"})


def test_purposes_are_added_and_removed(converges: Run) -> None:
    assert converges("xen_network", name="x", purpose=["nbd"])["operations"] == ["network.create", "network.add_purpose"]
    assert converges("xen_network", name="x", purpose=["insecure_nbd"])["operations"] == ["network.remove_purpose", "network.add_purpose"]
    assert converges("xen_network", name="x", purpose=[])["network"]["purpose"] == []


def test_both_purposes_exclude_each_other_in_the_whole_pool(run: Run) -> None:
    with pytest.raises(InvalidChange, match="exclude each other"):
        run("xen_network", name="x", purpose=["nbd", "insecure_nbd"])
    run("xen_network", name="x", purpose=["nbd"])
    with pytest.raises(InvalidChange, match="'y' cannot serve insecure_nbd"):
        run("xen_network", name="y", purpose=["insecure_nbd"])


def test_the_locking_mode_stays_while_a_vif_is_in_use(simulator: Start, run: Run, converges: Run) -> None:
    sim = simulator()
    run("xen_network", name="x")
    vm_on(sim, "x", host="xcp00")
    with pytest.raises(InvalidChange, match="in use by 'web1'"):
        run("xen_network", name="x", default_locking_mode="disabled")
    (vif,) = sim.world.pools[0].db.all("VIF")
    sim.world.pools[0].db.set("VIF", vif, currently_attached=False)
    assert converges("xen_network", name="x", default_locking_mode="disabled")["operations"] == ["network.set_default_locking_mode"]


@pytest.mark.parametrize("mtu", [0, 67, 65536])
def test_an_mtu_that_cannot_be_is_refused(run: Run, mtu: int) -> None:
    with pytest.raises(InvalidChange, match=f"is {mtu}"):
        run("xen_network", name="x", mtu=mtu)


@pytest.mark.parametrize("bridge", ["xenbr7", "xapi7", "eth1", "longer-than-fifteen"])
def test_a_bridge_name_that_xapi_would_refuse_is_refused(run: Run, bridge: str) -> None:
    with pytest.raises(InvalidChange, match=bridge):
        run("xen_network", name="x", bridge=bridge)


def test_a_bridge_in_use_is_named(run: Run) -> None:
    run("xen_network", name="x", bridge="mine0")
    with pytest.raises(InvalidChange, match="already that of network 'x'"):
        run("xen_network", name="y", bridge="mine0")


@pytest.mark.parametrize("fixed", [{"bridge": "mine0"}, {"managed": False}])
def test_what_is_fixed_at_creation_is_refused_later(run: Run, fixed: dict[str, t.Any]) -> None:
    run("xen_network", name="x")
    with pytest.raises(InvalidChange, match="fixed when it is created"):
        run("xen_network", name="x", **fixed)


def test_one_network_has_one_kind(run: Run) -> None:
    with pytest.raises(ValueError, match=r"mutually exclusive: nic\|vlan\|bond\|tunnel"):
        run("xen_network", name="x", vlan={"tag": 1, "nic": "eth1"}, bond={"nics": ["eth1", "eth2"]})


@pytest.mark.parametrize("kind", [{"vlan": {"tag": 1, "nic": "eth1"}}, {"bond": {"nics": ["eth0", "eth1"]}}, {"tunnel": {"nic": "eth0"}}])
def test_a_network_that_is_not_managed_gets_no_connection(run: Run, kind: dict[str, t.Any]) -> None:
    with pytest.raises(InvalidChange, match="not managed"):
        run("xen_network", name="x", managed=False, **kind)


# of a NIC ----------------------------------------------------------------------
def test_the_network_of_a_nic_is_found_by_the_nic_and_renamed(converges: Run, pool: t.Any) -> None:
    done = converges("xen_network", name="VM traffic", nic="eth1", description="for guests")
    assert done["operations"] == ["network.set_name_label", "network.set_name_description"]
    assert done["network"]["nic"] == "eth1"
    assert networks(pool(), bridge="xenbr1")[0]["name_label"] == "VM traffic"


def test_an_unknown_nic_is_told_with_those_there_are(run: Run) -> None:
    with pytest.raises(NotFound, match="eth0, eth1"):
        run("xen_network", name="x", nic="eth7")


def test_another_network_with_the_wanted_name_is_named(run: Run, pool: t.Any) -> None:
    other = run("xen_network", name="VM traffic")["network"]["uuid"]
    with pytest.raises(InvalidChange, match=f"'Pool-wide network associated with eth1'.*'VM traffic'.*{other}"):
        run("xen_network", name="VM traffic", nic="eth1")


def test_uuid_and_nic_must_mean_the_same_network(run: Run) -> None:
    eth0 = run("xen_network", name="Management", nic="eth0")["network"]["uuid"]
    with pytest.raises(InvalidChange, match="is not that of NIC 'eth1'"):
        run("xen_network", name="Management", uuid=eth0, nic="eth1")


def test_a_host_without_the_nic_is_told(simulator: Start, run: Run) -> None:
    sim = simulator()
    db = sim.world.pools[0].db
    db.destroy("PIF", db.one("PIF", host=db.one("host", name_label="xcp01"), device="eth1"))
    done = run("xen_network", name="VM traffic", nic="eth1")
    assert done["warnings"] == ["Network 'VM traffic' has no NIC eth1 on 'xcp01'."]


def test_a_nic_only_members_have_is_found_there(simulator: Start, converges: Run) -> None:
    sim = simulator()
    db = sim.world.pools[0].db
    db.destroy("PIF", db.one("PIF", host=db.one("host", name_label="xcp00"), device="eth1"))
    assert converges("xen_network", name="VM traffic", nic="eth1")["network"]["nic"] == "eth1"


def test_the_network_of_a_nic_becomes_nothing_else(run: Run) -> None:
    with pytest.raises(InvalidChange, match="eth1 of host 'xcp00': it cannot become a VLAN"):
        run("xen_network", name="Pool-wide network associated with eth1", vlan={"tag": 5, "nic": "eth0"}, allow_disruption=True)


# removing ------------------------------------------------------------------------
def test_a_network_is_destroyed(converges: Run, pool: t.Any) -> None:
    converges("xen_network", name="x")
    assert converges("xen_network", name="x", state="absent")["operations"] == ["network.destroy"]
    assert networks(pool(), name_label="x") == []


def test_a_network_with_vifs_is_not_destroyed_and_the_vms_are_named(simulator: Start, run: Run) -> None:
    sim = simulator()
    run("xen_network", name="x")
    vm_on(sim, "x", name="web2", attached=False)
    vm_on(sim, "x", name="web1", host="xcp00")
    with pytest.raises(InvalidChange, match="'web1' and 'web2'"):
        run("xen_network", name="x", state="absent")


def test_the_network_of_a_nic_is_not_destroyed(run: Run) -> None:
    with pytest.raises(InvalidChange, match="as long as the NIC is"):
        run("xen_network", name="Pool-wide network associated with eth1", state="absent")


def test_the_pools_own_network_is_not_destroyed(run: Run) -> None:
    with pytest.raises(InvalidChange, match="the pool's own"):
        run("xen_network", name="Host internal management network", state="absent")


# when it breaks ---------------------------------------------------------------------
def test_what_xapi_refuses_is_told_with_its_code(simulator: Start, run: Run) -> None:
    sim = simulator()
    sim.faults.fail("network.create", error=["INTERNAL_ERROR", "disk full"])
    with pytest.raises(ApiError) as refused:
        run("xen_network", name="x")
    assert refused.value.code == "INTERNAL_ERROR"
    assert str(refused.value).startswith("Could not create network 'x'")
