# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts join a pool: found, looked at, joined, waited for."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.client import Session
from ansible_collections.domzero.xen.plugins.module_utils.errors import Ambiguous, InvalidChange, XenError
from ansible_collections.domzero.xen.plugins.module_utils.transport import Endpoint
from ansible_collections.domzero.xen.tests.simulator.database import Database

Run = Start = t.Callable[..., t.Any]
Sim = t.Any


def entry(sim: Sim, host: int = 1, **more: t.Any) -> dict[str, t.Any]:
    """What a task says of a host that is to join."""
    return {"name": sim.hosts[host].name, "address": sim.hosts[host].url, **more}


def db_of(sim: Sim, host: int = 1) -> Database:
    """The database that a host is in."""
    return t.cast("Database", list(sim.world.machines.values())[host].pool.db)


def own_host(sim: Sim, host: int = 1) -> dict[str, t.Any]:
    return t.cast("dict[str, t.Any]", list(sim.world.machines.values())[host].host_record())


@pytest.fixture
def alone(simulator: Start) -> Sim:
    """Two hosts that are pools of their own."""
    return simulator(2, joined=False)


def refused(run: Run, sim: Sim, *entries: dict[str, t.Any], **params: t.Any) -> InvalidChange:
    """How a join is refused: alike in check mode, and without a changing call."""
    mark = sim.mark()
    with pytest.raises(InvalidChange) as predicted:
        run("xen_pool", check=True, members=list(entries), **params)
    with pytest.raises(InvalidChange) as done:
        run("xen_pool", members=list(entries), **params)
    assert str(predicted.value) == str(done.value)
    assert sim.calls(mark) == []
    return done.value


# joining ------------------------------------------------------------------------
def test_a_host_joins_and_is_up_when_the_task_ends(alone: Sim, converges: Run) -> None:
    done = converges("xen_pool", members=[entry(alone)])
    assert done["operations"] == ["pool.join"]
    assert done["join"] == [{"host": "xcp01", "address": alone.hosts[1].url, "forced": False, "reasons": []}]
    assert [m["address"] for m in done["pool"]["members"]] == [alone.hosts[1].address]
    host = own_host(alone)
    assert host["enabled"]
    assert db_of(alone).get("host_metrics", host["metrics"])["live"]


def test_several_hosts_join_one_after_the_other(simulator: Start, converges: Run) -> None:
    sim = simulator(4, joined=False)
    done = converges("xen_pool", name="Lab", members=[entry(sim, n) for n in (1, 2, 3)])
    assert done["operations"] == ["pool.set_name_label", "pool.join", "pool.join", "pool.join"]
    assert [m["name"] for m in done["pool"]["members"]] == ["xcp01", "xcp02", "xcp03"]


def test_members_are_left_alone_and_need_no_password(simulator: Start, run: Run) -> None:
    sim = simulator(3)
    done = run("xen_pool", members=[entry(sim, 1, password="wrong"), entry(sim, 2, password="wrong")])
    assert done["changed"] is False
    assert done["join"] == []


def test_hosts_the_task_does_not_name_stay(simulator: Start, converges: Run) -> None:
    sim = simulator(3)
    assert len(converges("xen_pool", members=[entry(sim, 1)])["pool"]["members"]) == 2


def test_a_member_is_known_by_its_uuid_where_its_address_has_changed(simulator: Start, run: Run) -> None:
    sim = simulator(2)
    member = {"address": "192.0.2.7", "uuid": own_host(sim)["uuid"]}
    assert run("xen_pool", members=[member])["changed"] is False


def test_a_member_that_answers_at_another_address_is_recognised_by_its_coordinator(simulator: Start, run: Run) -> None:
    sim = simulator(2)
    machine = list(sim.world.machines.values())[1]
    db_of(sim).set("host", machine.host_ref, address="192.0.2.7")
    assert run("xen_pool", members=[entry(sim)])["changed"] is False


def test_credentials_of_the_host_may_differ_from_those_of_the_pool(alone: Sim, converges: Run) -> None:
    member = entry(alone, username=alone.username, password=alone.password, fingerprint=[alone.hosts[1].fingerprint_sha256])
    assert converges("xen_pool", members=[member])["operations"] == ["pool.join"]


def test_a_certificate_authority_of_the_host_may_be_named(alone: Sim, converges: Run) -> None:
    member = entry(alone, fingerprint=[], ca_file=alone.hosts[1].ca_file)
    assert converges("xen_pool", members=[member])["operations"] == ["pool.join"]


def test_the_default_sr_is_told_by_its_uuid_once_others_bear_its_name(alone: Sim, converges: Run, run: Run) -> None:
    before = run("xen_pool_info")["pools"][0]
    after = converges("xen_pool", members=[entry(alone)])["pool"]
    assert before["default_sr"] == "Local storage"
    assert after["default_sr"] != "Local storage"


# refusals -------------------------------------------------------------------------
def test_all_reasons_of_all_hosts_are_told_at_once(simulator: Start, run: Run) -> None:
    sim = simulator(3, joined=False)
    db_of(sim, 1).create("VM", name_label="web1", power_state="Running")
    db_of(sim, 1).create("SR", name_label="Filer", shared=True, type="nfs")
    db_of(sim, 2).set("pool", db_of(sim, 2).one("pool"), tls_verification_enabled=True)
    error = refused(run, sim, entry(sim, 1), entry(sim, 2))
    assert error.code == "JOINING_HOST_CANNOT_HAVE_RUNNING_VMS"
    reasons = {told["host"]: [r["error_code"] for r in told["reasons"]] for told in error.facts["join"]}
    assert reasons == {
        "xcp01": ["JOINING_HOST_CANNOT_HAVE_RUNNING_VMS", "JOINING_HOST_CANNOT_CONTAIN_SHARED_SRS"],
        "xcp02": ["POOL_JOINING_HOST_TLS_VERIFICATION_MISMATCH"],
    }
    for part in ("'xcp01'", "running VMs: web1", "shared SRs: Filer", "'xcp02'", "the host has on, the pool has off"):
        assert part in str(error)


def test_a_refusal_says_what_to_do(alone: Sim, run: Run) -> None:
    db_of(alone).create("VM", name_label="web1", power_state="Running")
    error = refused(run, alone, entry(alone))
    assert str(error) == "Host 'xcp01' cannot join: the host has running VMs: web1. Shut them down or suspend them."


def test_a_wrong_password_names_the_host(alone: Sim, run: Run) -> None:
    error = refused(run, alone, entry(alone, password="wrong"))
    assert error.code == "SESSION_AUTHENTICATION_FAILED"
    assert "Host 'xcp01'" in str(error)
    assert "Check username and password" in str(error)
    assert "wrong" not in str(error)


def test_a_wrong_certificate_names_the_host_and_shows_its_fingerprint(alone: Sim, run: Run) -> None:
    error = refused(run, alone, entry(alone, fingerprint=["00" * 32]))
    shown = alone.hosts[1].fingerprint_sha256.replace(":", "").upper()
    assert "Host 'xcp01'" in str(error)
    assert shown in str(error).replace(":", "")


def test_a_host_that_is_not_reached_is_named(alone: Sim, run: Run) -> None:
    error = refused(run, alone, {"name": "xcp09", "address": "127.10.0.109:1"})
    assert "Host 'xcp09'" in str(error)
    assert "Cannot reach https://127.10.0.109:1" in str(error)


def test_a_member_of_another_pool_is_named_with_its_coordinator(simulator: Start, run: Run) -> None:
    sim = simulator(3, joined=False)
    run("xen_pool", on=1, members=[entry(sim, 2)])
    error = refused(run, sim, entry(sim, 2))
    assert error.code == "HOST_IS_SLAVE"
    assert f"a member of another pool, whose coordinator is {sim.hosts[1].address}" in str(error)


def test_a_coordinator_of_others_is_told_whom_it_must_leave(simulator: Start, run: Run) -> None:
    sim = simulator(3, joined=False)
    run("xen_pool", on=1, members=[entry(sim, 2)])
    error = refused(run, sim, entry(sim, 1))
    assert error.code == "JOINING_HOST_CANNOT_BE_MASTER_OF_OTHER_HOSTS"
    assert "members of its own: xcp02" in str(error)


def test_the_address_of_the_coordinator_itself_is_refused(alone: Sim, run: Run) -> None:
    error = refused(run, alone, entry(alone, 0))
    assert "which is the coordinator this task talks to" in str(error)


def test_the_coordinator_at_another_address_is_recognised(alone: Sim, run: Run) -> None:
    machine = next(iter(alone.world.machines.values()))
    db_of(alone, 0).set("host", machine.host_ref, address="192.0.2.7")
    error = refused(run, alone, entry(alone, 0))
    assert error.code == "OPERATION_NOT_ALLOWED"
    assert "the coordinator of this very pool" in str(error)


def test_a_host_named_twice_is_refused(alone: Sim, run: Run) -> None:
    assert "more than once" in str(refused(run, alone, entry(alone), entry(alone, name="again")))


def test_an_address_that_is_none_is_refused(alone: Sim, run: Run) -> None:
    assert "is not an address" in str(refused(run, alone, {"address": "http://x/y"}))


def test_two_hosts_with_one_address_are_told_apart_by_uuid_only(simulator: Start, run: Run) -> None:
    sim = simulator(3)
    machines = list(sim.world.machines.values())
    db_of(sim).set("host", machines[2].host_ref, address=machines[1].address)
    with pytest.raises(Ambiguous, match="2 hosts have the address"):
        run("xen_pool", members=[entry(sim, 1)])


def test_a_pool_with_high_availability_takes_nobody(alone: Sim, run: Run) -> None:
    db_of(alone, 0).set("pool", db_of(alone, 0).one("pool"), ha_enabled=True)
    error = refused(run, alone, entry(alone))
    assert error.code == "HA_IS_ENABLED"
    assert "high availability is on in the pool" in str(error)


def test_a_fourth_host_needs_a_licence_for_large_pools(simulator: Start, run: Run) -> None:
    sim = simulator(4, joined=False)
    for n in range(4):
        pool = db_of(sim, n).one("pool")
        db_of(sim, n).set("pool", pool, restrictions={"restrict_pool_size": "true"})
    error = refused(run, sim, *(entry(sim, n) for n in (1, 2, 3)))
    assert [len(told["reasons"]) for told in error.facts["join"]] == [0, 0, 1]
    assert "the pool would have 4" in str(error)


# force ------------------------------------------------------------------------------
def test_other_cpus_are_refused_with_both_vendors_and_the_way_out(simulator: Start, run: Run) -> None:
    sim = simulator("heterogeneous")
    error = refused(run, sim, entry(sim))
    assert error.code == "HOSTS_NOT_HOMOGENEOUS"
    assert "the CPU vendor differs: the host has AuthenticAMD, the pool has GenuineIntel" in str(error)
    assert "force: true in the entry of xcp02" in str(error)


def test_with_force_other_cpus_join_and_the_result_warns_about_live_migration(simulator: Start, converges: Run) -> None:
    sim = simulator("heterogeneous")
    done = converges("xen_pool", members=[entry(sim, force=True)])
    assert done["operations"] == ["pool.join_force"]
    assert done["join"][0]["forced"] is True
    vendors, lost, gained = done["warnings"]
    assert "no VM can be migrated live between them" in vendors
    assert "the pool no longer offers its VMs these CPU features" in lost
    assert "pcid" in lost
    assert "xsavec" in gained


def test_force_skips_nothing_else(simulator: Start, run: Run) -> None:
    sim = simulator("heterogeneous")
    db_of(sim).create("VM", name_label="web1", power_state="Running")
    error = refused(run, sim, entry(sim, force=True))
    assert [r["error_code"] for r in error.facts["join"][0]["reasons"]] == ["JOINING_HOST_CANNOT_HAVE_RUNNING_VMS"]


def test_force_where_nothing_differs_is_an_ordinary_join(alone: Sim, converges: Run) -> None:
    done = converges("xen_pool", members=[entry(alone, force=True)])
    assert done["operations"] == ["pool.join"]
    assert done["join"][0]["forced"] is False
    assert "warnings" not in done


# interrupted -------------------------------------------------------------------------
@pytest.mark.parametrize("cut", ["cut_before", "cut_after"])
def test_a_connection_lost_in_mid_join_does_not_join_twice(alone: Sim, run: Run, cut: str) -> None:
    getattr(alone.faults, cut)("pool.join")
    done = run("xen_pool", members=[entry(alone)])
    assert done["changed"] is True
    assert len(done["pool"]["members"]) == 1
    assert run("xen_pool", members=[entry(alone)])["changed"] is False


def test_a_join_that_is_under_way_is_waited_for(simulator: Start, run: Run) -> None:
    sim = simulator(2, joined=False, speed=1)
    sim.faults.slow("pool.join", 60.0)
    joiner = Session(Endpoint.parse(sim.hosts[1].url, fingerprints=(sim.hosts[1].fingerprint_sha256,)))
    joiner.log_in_here(sim.username, sim.password)
    joiner.call("Async.pool.join", sim.hosts[0].address, sim.username, sim.password)
    with pytest.raises(XenError, match="Waited 0 seconds for host 'xcp01' to become a member; last seen: it is not in the pool yet"):
        run("xen_pool", members=[entry(sim)], wait_timeout=0)
    sim.world.set_speed(0)
    done = run("xen_pool", members=[entry(sim)])
    assert len(done["pool"]["members"]) == 1
    assert [call["method"] for call in sim.calls()].count("pool.join") == 1


@pytest.mark.slow(whole=True)
def test_a_join_that_was_under_way_and_failed_is_made_again(simulator: Start, run: Run) -> None:
    sim = simulator(2, joined=False, speed=20)
    sim.faults.slow("pool.join", 20.0)
    joiner = Session(Endpoint.parse(sim.hosts[1].url, fingerprints=(sim.hosts[1].fingerprint_sha256,)))
    joiner.log_in_here(sim.username, sim.password)
    joiner.call("Async.pool.join", sim.hosts[0].address, sim.username, "wrong")
    done = run("xen_pool", members=[entry(sim)])
    assert len(done["pool"]["members"]) == 1


def test_a_second_run_waits_for_a_member_that_is_still_starting(simulator: Start, run: Run) -> None:
    sim = simulator(2, joined=False, speed=1)
    with pytest.raises(XenError, match="Waited 0 seconds for host 'xcp01' to start as a member"):
        run("xen_pool", members=[entry(sim)], wait_timeout=0)
    sim.world.set_speed(0)
    done = run("xen_pool", members=[entry(sim)])
    assert done["changed"] is False
    assert own_host(sim)["enabled"]


def test_a_member_in_maintenance_is_not_waited_for(simulator: Start, run: Run) -> None:
    sim = simulator(2)
    db_of(sim).set("host", list(sim.world.machines.values())[1].host_ref, enabled=False)
    assert run("xen_pool", members=[entry(sim)], wait_timeout=0)["changed"] is False


def test_a_member_that_is_switched_off_is_not_waited_for(simulator: Start, run: Run) -> None:
    sim = simulator(2)
    machine = list(sim.world.machines.values())[1]
    with sim.world.lock:
        machine.go_down()
        db_of(sim).set("host_metrics", machine.host_record()["metrics"], live=False)
    assert run("xen_pool", members=[entry(sim)], wait_timeout=0)["changed"] is False


@pytest.mark.slow(whole=True)
def test_a_host_that_does_not_come_back_is_named(alone: Sim, run: Run) -> None:
    alone.faults.keep_down("xcp01")
    with pytest.raises(XenError, match="for host 'xcp01' to start as a member; last seen: it is not live yet"):
        run("xen_pool", members=[entry(alone)], wait_timeout=1)
