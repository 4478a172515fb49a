# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What pool_build says to a description that is wrong, and what it leaves behind."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.domzero.xen.tests.simulator import agent, invariants

pytestmark = pytest.mark.slow

Lab = t.Any
STORAGE = {"name": "Storage", "nic": "eth2"}
NFS = {"name": "VM disks", "type": "nfs", "server": "172.16.0.10", "path": "/export/vms"}
SAN = {"type": "lvmoiscsi", "target": "172.16.0.20", "iqn": "iqn.2024-01.lab.example:san.pool", "lun": 0}
ADDRESS = {"network": "Storage", "mode": "static", "netmask": "255.255.255.0"}


def described(lab: Lab, **others: dict[str, t.Any]) -> list[dict[str, t.Any]]:
    """The hosts of the site, each with an address on the storage side; others: what is different about one."""
    hosts = [{"name": h.name, "address": f"{h.address}:{h.port}"} for h in lab.sim.hosts]
    return [{**h, "addresses": [{**ADDRESS, "ip": f"172.16.0.{n + 1}"}], **others.get(h["name"], {})} for n, h in enumerate(hosts)]


def told(ran: t.Any) -> str:
    """The output without the breaks of lines."""
    return " ".join(ran.output.split())


@pytest.mark.parametrize("mode", [(), ("--check",)], ids=["for real", "check mode"])
def test_everything_wrong_with_hosts_and_description_is_told_at_once_and_nothing_is_changed(shipped, mode):
    lab = shipped("homogeneous")
    hosts = described(lab, xcp01={"password": "secret-but-wrong"}, xcp02={"address": "127.20.0.99:1"})
    networks = [
        {"name": "Storage", "nic": "eth2", "vlan": {"tag": 5, "network": "Management"}},
        {"name": "DMZ", "vlan": {"tag": 4095, "network": "Storage"}},
        {"name": "DMZ", "vlan": {"tag": 7, "network": "nope"}},
    ]
    storage = [{"name": "One", **SAN}, {"name": "Two", **SAN}]
    ran = lab.run(
        "pool_build",
        *mode,
        pool_build_hosts=hosts,
        pool_build_networks=networks,
        pool_build_storage=storage,
        pool_build_pool={"name": "Lab"},
    )
    assert ran.code != 0
    for sentence in (
        "User 'root' could not log in at https://127.20.0.201",
        "SESSION_AUTHENTICATION_FAILED",
        "Cannot reach https://127.20.0.99:1",
        "Network 'Storage' cannot be nic and vlan at once",
        "VLAN tag 4095",
        "The network 'DMZ' is described 2 times",
        "stands on network 'nope'",
        "is used by several SRs: One, Two",
    ):
        assert sentence in told(ran)
    assert "secret-but-wrong" not in ran.output
    assert lab.sim.calls() == []


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"pool_build_password": "secret-but-wrong"}, "User 'root' could not log in at https://127.20.0.200"),
        ({"pool_build_fingerprint": ["ab" * 32]}, "is not a pinned one: its SHA-256 fingerprint is"),
        ({"pool_build_fingerprint": []}, "is not trusted: self-signed certificate"),
    ],
    ids=["password", "pin", "no trust"],
)
def test_a_coordinator_that_cannot_be_logged_in_to_is_named_and_nothing_is_changed(shipped, wrong, sentence):
    lab = shipped("homogeneous", **wrong)
    ran = lab.run("pool_build")
    assert ran.code != 0
    assert sentence in told(ran)
    assert "secret-but-wrong" not in ran.output
    assert lab.sim.calls() == []


def test_a_member_in_the_place_of_the_coordinator_is_followed(shipped):
    lab = shipped("homogeneous", pool_build_networks=[STORAGE], pool_build_storage=[], pool_build_pool={})
    assert lab.run("pool_build").code == 0
    mark = lab.sim.mark()
    second = lab.run("pool_build", pool_build_hosts=described(lab)[::-1])
    assert "is a member of another pool" not in told(second)
    assert second.code == 0, second.output
    assert {call["method"] for call in lab.sim.calls(mark)} <= {"PIF.reconfigure_ip"}


@pytest.mark.parametrize(
    ("wrong", "sentence", "code"),
    [
        ({**NFS, "path": "/export/nope"}, "The NFS server 172.16.0.10 has no export /export/nope", "SR_BACKEND_FAILURE_73"),
        ({"name": "VM disks", **SAN, "iqn": "iqn.nope"}, "The iSCSI target 172.16.0.20 has no iqn.nope", ""),
    ],
    ids=["NFS path", "IQN"],
)
def test_storage_that_is_not_there_is_named_and_the_run_with_the_right_one_finishes(shipped, wrong, sentence, code):
    lab = shipped("homogeneous", pool_build_networks=[STORAGE], pool_build_pool={"default_sr": "VM disks"})
    hosts = described(lab)
    ran = lab.run("pool_build", pool_build_hosts=hosts, pool_build_storage=[wrong])
    assert ran.code != 0
    assert sentence in told(ran)
    assert code in told(ran)
    assert not any(call["method"] in ("SR.create", "SR.introduce", "secret.create") for call in lab.sim.calls())
    again = lab.run("pool_build", pool_build_hosts=hosts, pool_build_storage=[NFS])
    assert again.code == 0, again.output
    assert invariants.check(lab.sim.world) == []


def test_a_host_that_disappears_in_mid_join_is_named_and_the_next_run_finishes(shipped):
    lab = shipped("homogeneous", pool_build_networks=[STORAGE], pool_build_storage=[NFS], pool_build_pool={"wait_timeout": 2})
    hosts = described(lab)
    lab.sim.faults.keep_down("xcp01")
    ran = lab.run("pool_build", pool_build_hosts=hosts)
    assert ran.code != 0
    assert "Waited 2 seconds for host 'xcp01' to start as a member" in told(ran)
    lab.sim.faults.clear()
    with lab.sim.world.lock:
        agent.power_on(lab.sim.world.machines["xcp01"])
    again = lab.run("pool_build", pool_build_hosts=hosts)
    assert again.code == 0, again.output
    last = lab.run("pool_build", pool_build_hosts=hosts)
    assert (last.code, last.changed) == (0, 0), last.output
    assert invariants.check(lab.sim.world) == []
