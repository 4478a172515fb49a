# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A description of a pool is looked at before anything is touched."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.domzero.xen.tests.unit.plugins.conftest import open_sessions

Sim = Run = t.Any
MANAGEMENT = {"name": "Management", "nic": "eth0"}


@pytest.fixture
def alone(simulator: t.Any) -> Sim:
    """Two hosts that are pools of their own."""
    return simulator(2, joined=False)


def entry(sim: Sim, host: int = 0, **more: t.Any) -> dict[str, t.Any]:
    return {"name": sim.hosts[host].name, "address": sim.hosts[host].url, **more}


@pytest.fixture
def look(pool: t.Any, run: Run) -> t.Any:
    """What preflight tells, alike in check mode; nothing is changed and no session stays open."""

    def look(hosts: list[dict[str, t.Any]] | None = None, **description: t.Any) -> dict[str, t.Any]:
        sim = pool()
        before = open_sessions(sim)
        asked = [entry(sim)] if hosts is None else hosts
        predicted = run("xen_pool_preflight", check=True, hosts=asked, **description)
        told = run("xen_pool_preflight", hosts=asked, **description)
        assert predicted == told
        assert told["changed"] is False
        assert told.get("failed", False) is bool(told["problems"])
        assert sim.calls() == []
        assert open_sessions(sim) == before
        return t.cast("dict[str, t.Any]", told)

    return look


def problem(told: dict[str, t.Any]) -> str:
    (one,) = told["problems"]
    assert told["msg"] == f"The pool cannot be built as described: {one}"
    return str(one)


# what is seen ---------------------------------------------------------------------
def test_a_description_without_fault_tells_what_the_hosts_are(alone, look):
    told = look([entry(alone, 0), entry(alone, 1)], networks=[MANAGEMENT])
    assert told["problems"] == []
    assert told["coordinator"] == "xcp00"
    assert [h["name"] for h in told["hosts"]] == ["xcp00", "xcp01"]
    assert all(h["product"].startswith("XCP-ng 8.3") for h in told["hosts"])
    assert all("eth0" in h["nics"] for h in told["hosts"])
    assert [h["pool_of"] for h in told["hosts"]] == ["", ""]


def test_members_of_the_pool_are_recognised_and_no_problem(simulator, look):
    sim = simulator(2)
    told = look([entry(sim, 0), entry(sim, 1)], networks=[MANAGEMENT])
    assert told["problems"] == []
    assert [h["pool_of"] for h in told["hosts"]] == ["", sim.hosts[0].address]
    assert told["hosts"][1]["nics"] == told["hosts"][0]["nics"]


def test_the_coordinator_is_named_whatever_place_it_has(simulator, look):
    sim = simulator(2)
    assert look([entry(sim, 1), entry(sim, 0)])["coordinator"] == "xcp00"


def test_a_pool_whose_coordinator_is_not_described_has_none_to_name(simulator, look):
    sim = simulator(2)
    assert look([entry(sim, 1)])["coordinator"] == ""


# the hosts --------------------------------------------------------------------------
def test_a_wrong_password_names_the_host(alone, look):
    said = problem(look([entry(alone), entry(alone, 1, password="secret-but-wrong")]))
    assert "Host 'xcp01'" in said
    assert "SESSION_AUTHENTICATION_FAILED" in said
    assert "secret-but-wrong" not in said


def test_a_host_without_a_password_is_told_before_it_is_asked(alone, look, run):
    session = run("xen_session")["session"]
    said = problem(run("xen_pool_preflight", session=session, password=None, hosts=[entry(alone)]))
    assert said == "Host 'xcp00': there is no password for it. Give password in its entry."


def test_another_certificate_names_the_host_and_its_fingerprint(alone, look):
    said = problem(look([entry(alone), entry(alone, 1, fingerprint=["ab" * 32])]))
    assert "Host 'xcp01'" in said
    assert alone.hosts[1].fingerprint_sha256.replace(":", "").upper() in said.replace(":", "")


def test_a_host_may_be_trusted_by_its_ca_file(alone, look):
    assert look([entry(alone), entry(alone, 1, fingerprint=[], ca_file=alone.hosts[1].ca_file)])["problems"] == []


def test_a_host_may_be_left_unchecked(alone, look):
    assert look([entry(alone), entry(alone, 1, fingerprint=[], validate_certs=False)])["problems"] == []


def test_a_host_that_does_not_answer_is_named(alone, look):
    said = problem(look([entry(alone), {"name": "xcp09", "address": "127.10.0.109:1"}]))
    assert said.startswith("Host 'xcp09': Cannot reach https://127.10.0.109:1")


def test_an_address_that_is_none_is_named(alone, look):
    assert "is not an address" in problem(look([entry(alone), {"name": "xcp09", "address": "http://x/y"}]))


def test_a_member_of_another_pool_is_told_with_its_coordinator(simulator, run):
    sim = simulator(3, joined=False)
    run("xen_pool", on=1, members=[entry(sim, 2)])
    told = run("xen_pool_preflight", hosts=[entry(sim, 0), entry(sim, 2)])
    assert f"'xcp02' at {sim.hosts[2].url} is a member of another pool, whose coordinator is {sim.hosts[1].address}" in problem(told)


def test_a_nic_that_a_host_lacks_is_told_with_those_it_has(alone, look):
    told = look([entry(alone, 0), entry(alone, 1)], networks=[MANAGEMENT, {"name": "Fast", "nic": "eth9"}])
    assert len(told["problems"]) == 2
    assert told["problems"][1].startswith("Host 'xcp01' has no NIC eth9, which network 'Fast' needs; it has eth0")


def test_a_nic_of_a_bond_that_a_host_lacks_is_told(alone, look):
    assert "no NIC eth9, which network 'Both' needs" in problem(look(networks=[{"name": "Both", "bond": {"nics": ["eth0", "eth9"]}}]))


# the description ----------------------------------------------------------------------
@pytest.mark.parametrize(
    ("networks", "says"),
    [
        ([MANAGEMENT, {"name": "Management"}], "The network 'Management' is described 2 times."),
        ([{"name": "A", "nic": "eth0", "vlan": {"tag": 1, "nic": "eth1"}}], "Network 'A' cannot be nic and vlan at once."),
        ([{"name": "A", "vlan": {"tag": 4095, "nic": "eth0"}}], "Network 'A' has the VLAN tag 4095; a tag lies between 1 and 4094."),
        ([{"name": "A", "vlan": {"nic": "eth0"}}], "Network 'A' has the VLAN tag None; a tag lies between 1 and 4094."),
        ([{"name": "A", "vlan": {"tag": "many", "nic": "eth0"}}], "Network 'A' has the VLAN tag many; a tag lies between 1 and 4094."),
        ([{"name": "A", "vlan": {"tag": 7, "network": "B"}}], "stands on network 'B', which is neither described nor in the pool."),
        ([{"name": "A", "tunnel": {"network": "B"}}], "stands on network 'B', which is neither described nor in the pool."),
        ([{"name": "A", "bond": {"nics": ["eth0"]}}], "Network 'A' is a bond of eth0; it needs at least two NICs."),
        ([{"name": "A", "nic": "eth0"}, {"name": "B", "nic": "eth0"}], "NIC eth0 is used by several networks: A, B."),
        (
            [{"name": "A", "vlan": {"tag": 7, "nic": "eth0"}}, {"name": "B", "vlan": {"tag": 7, "nic": "eth0"}}],
            "VLAN 7 on 'eth0' is described 2 times.",
        ),
    ],
)
def test_networks_that_cannot_be_are_told(alone, look, networks, says):
    assert says in problem(look(networks=networks))


@pytest.mark.parametrize(("kind", "what"), [("networks", "network"), ("storage", "SR")])
def test_an_entry_without_a_name_is_told_by_its_number(alone, look, kind, what):
    assert problem(look(**{kind: [{"name": "A"}, {"mtu": 1500}]})) == f"The {what} number 2 has no name."


def test_two_networks_of_one_name_are_fine_when_one_has_its_uuid(alone, look):
    assert look(networks=[{"name": "A"}, {"name": "A", "uuid": "12-34"}])["problems"] == []


def test_networks_may_stand_on_described_ones_and_on_those_of_the_pool(alone, look, run):
    known = run("xen_network_info")["networks"][0]["name"]
    networks = [MANAGEMENT, {"name": "A", "vlan": {"tag": 7, "network": "Management"}}, {"name": "B", "tunnel": {"network": known}}]
    assert look(networks=networks)["problems"] == []


@pytest.mark.parametrize(
    ("addresses", "says"),
    [
        ([{"network": "nope", "mode": "dhcp"}], "Host 'xcp00', network 'nope': there is no such network"),
        ([{"network": "Management", "mode": "static", "ip": "300.1.1.1"}], "'300.1.1.1' is not an IP address."),
        (
            [{"device": "eth0", "ip": "10.0.0.1/24"}, {"device": "eth1", "ip": "10.0.0.1"}],
            "Host 'xcp00', network 'eth1': address 10.0.0.1 is taken by host 'xcp00'.",
        ),
    ],
)
def test_addresses_that_cannot_be_are_told(alone, look, addresses, says):
    assert says in problem(look([entry(alone, addresses=addresses)], networks=[MANAGEMENT]))


def test_an_address_two_hosts_are_given_is_told(alone, look):
    same = [{"network": "Management", "ip": "10.0.0.1"}]
    said = problem(look([entry(alone, 0, addresses=same), entry(alone, 1, addresses=same)], networks=[MANAGEMENT]))
    assert said == "Host 'xcp01', network 'Management': address 10.0.0.1 is taken by host 'xcp00'."


def test_a_host_described_twice_is_told(alone, look):
    problems = look([entry(alone), entry(alone)])["problems"]
    assert problems == ["The host 'xcp00' is described 2 times.", f"The address of a host {alone.hosts[0].url!r} is described 2 times."]


@pytest.mark.parametrize(
    ("one", "other", "says"),
    [
        ({"type": "lvmoiscsi", "target": "1.2.3.4", "iqn": "iqn.x", "lun": 0}, {}, "1.2.3.4 iqn iqn.x lun 0 is used by several SRs: A, B."),
        ({"type": "ext", "device": "/dev/sdb", "host": "xcp00"}, {"type": "lvm"}, "xcp00 device /dev/sdb is used by several SRs: A, B."),
        ({"type": "nfs", "server": "1.2.3.4", "path": "/x"}, {"name": "A"}, "The SR 'A' is described 2 times."),
    ],
)
def test_storage_used_twice_is_told(alone, look, one, other, says):
    assert problem(look(storage=[{"name": "A", **one}, {"name": "B", **one, **other}])) == says


def test_luns_of_one_target_and_disks_of_two_hosts_are_different_places(alone, look):
    lun, disk = {"type": "lvmoiscsi", "target": "1.2.3.4", "iqn": "iqn.x"}, {"type": "ext", "device": "/dev/sdb"}
    storage = [
        {"name": "A", **lun, "lun": 0},
        {"name": "B", **lun, "lun": 1},
        {"name": "C", **disk, "host": "a"},
        {"name": "D", **disk, "host": "b"},
    ]
    assert look(storage=storage)["problems"] == []


def test_several_srs_on_one_export_are_fine(alone, look):
    nfs = {"type": "nfs", "server": "1.2.3.4", "path": "/x"}
    assert look(storage=[{"name": "A", **nfs}, {"name": "B", **nfs}])["problems"] == []
