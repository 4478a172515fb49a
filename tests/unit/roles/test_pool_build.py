# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role pool_build on the two scenarios that come with the collection."""

from __future__ import annotations

import pytest

from ansible_collections.domzero.xen.tests.simulator import invariants


def test_three_equal_hosts_become_a_pool_and_a_second_run_changes_nothing(shipped):
    lab = shipped("homogeneous")
    first = lab.run("pool_build")
    assert first.code == 0, first.output
    mark = lab.sim.mark()
    second = lab.run("pool_build")
    assert (second.code, second.changed) == (0, 0), second.output
    assert lab.sim.calls(mark) == []

    (pool,) = lab.sim.world.pools
    db = pool.db
    assert {h["name_label"] for h in db.all("host").values()} == {"xcp00", "xcp01", "xcp02"}
    names = {n["name_label"] for n in db.all("network").values()}
    assert names >= {"Management", "VM traffic", "Storage", "Internal"}
    storage = db.one("network", name_label="Storage")
    addresses = {p["IP"] for p in db.all("PIF").values() if p["network"] == storage}
    assert addresses == {"172.16.0.200", "172.16.0.201", "172.16.0.202"}
    described = {"VM disks": "nfs", "Databases": "lvmoiscsi", "ISO library": "iso", "Windows ISOs": "iso"}
    for name, kind in described.items():
        sr = db.get("SR", db.one("SR", name_label=name))
        assert (sr["type"], sr["shared"], len(sr["PBDs"])) == (kind, True, 3)
        assert all(db.get("PBD", pbd)["currently_attached"] for pbd in sr["PBDs"])
    assert pool.pool["default_SR"] == db.one("SR", name_label="VM disks")
    assert invariants.check(lab.sim.world) == []


@pytest.mark.slow(whole=True)
def test_a_host_that_joins_later_is_given_its_address_and_then_the_storage(shipped):
    lab = shipped("homogeneous")
    first = {"name": "xcp00", "address": "127.20.0.200:{{ simulator_port }}"}
    first["addresses"] = [{"network": "Storage", "mode": "static", "ip": "172.16.0.200/24"}]
    alone = lab.run("pool_build", pool_build_hosts=[first])
    assert alone.code == 0, alone.output
    mark = lab.sim.mark()
    assert lab.run("pool_build").code == 0
    methods = [call["method"] for call in lab.sim.calls(mark)]
    assert methods[:2] == ["pool.join", "pool.join"]
    assert "SR.create" not in methods
    # of four SRs the one on the management side was attached when the hosts joined
    assert methods.count("PBD.plug") == 2 * 3
    assert methods.index("PBD.plug") > max(n for n, method in enumerate(methods) if method == "PIF.reconfigure_ip")
    db = lab.sim.world.pools[0].db
    assert all(pbd["currently_attached"] for pbd in db.all("PBD").values())
    assert invariants.check(lab.sim.world) == []


@pytest.mark.slow(whole=True)
def test_passwords_of_shares_appear_neither_in_the_output_nor_in_a_pbd(shipped):
    lab = shipped("homogeneous")
    ran = lab.run("pool_build", "-vvv", "--diff")
    assert ran.code == 0, ran.output
    assert "iso-secret" not in ran.output
    (pool,) = lab.sim.world.pools
    assert "iso-secret" not in str(list(pool.db.all("PBD").values()))


def test_hosts_with_other_cpus_are_refused_with_the_reason_and_nothing_is_changed(shipped):
    branch = shipped("heterogeneous")
    hosts = [{"name": h.name, "address": f"{h.address}:{h.port}"} for h in branch.sim.hosts]
    ran = branch.run("pool_build", pool_build_hosts=hosts)
    assert ran.code != 0
    assert "AuthenticAMD" in ran.output
    assert "GenuineIntel" in ran.output
    assert "HOSTS_NOT_HOMOGENEOUS" in ran.output
    assert branch.sim.calls() == []


@pytest.mark.slow(whole=True)
def test_hosts_with_other_cpus_join_by_force_with_a_warning(shipped):
    branch = shipped("heterogeneous")
    ran = branch.run("pool_build")
    assert ran.code == 0, ran.output
    assert "no VM can be migrated live" in " ".join(ran.output.split())
    second = branch.run("pool_build")
    assert (second.code, second.changed) == (0, 0), second.output
    (pool,) = branch.sim.world.pools
    assert len(pool.machines) == 2
    sr = pool.db.get("SR", pool.db.one("SR", name_label="NAS"))
    assert all(pool.db.get("PBD", pbd)["currently_attached"] for pbd in sr["PBDs"])
    assert pool.pool["default_SR"] == pool.db.one("SR", name_label="NAS")


@pytest.mark.slow(whole=True)
def test_check_mode_changes_nothing_before_and_after(shipped):
    lab = shipped("homogeneous")
    before = lab.run("pool_build", "--check", "--diff")
    assert before.code == 0, before.output
    assert before.changed > 0
    assert lab.sim.calls() == []
    assert lab.run("pool_build").code == 0
    mark = lab.sim.mark()
    after = lab.run("pool_build", "--check", "--diff")
    assert (after.code, after.changed) == (0, 0), after.output
    assert lab.sim.calls(mark) == []


def test_everything_wrong_with_a_description_is_told_at_once(shipped):
    lab = shipped("homogeneous")
    networks = [
        {"name": "Management", "nic": "eth0"},
        {"name": "DMZ", "vlan": {"tag": 5000, "network": "Management"}},
        {"name": "Fast", "nic": "eth9"},
    ]
    ran = lab.run("pool_build", pool_build_networks=networks)
    told = " ".join(ran.output.split())
    assert ran.code != 0
    assert "VLAN tag 5000" in told
    assert all(f"Host '{name}' has no NIC eth9" in told for name in ("xcp00", "xcp01", "xcp02"))
    assert "'Storage': there is no such network" in told
    assert lab.sim.calls() == []


def test_an_option_that_does_not_exist_is_refused_by_name(shipped):
    lab = shipped("homogeneous")
    ran = lab.run("pool_build", pool_build_networks=[{"name": "Management", "nic": "eth0", "mtuu": 9000}])
    assert ran.code != 0
    assert "mtuu" in ran.output
    assert lab.sim.calls() == []
