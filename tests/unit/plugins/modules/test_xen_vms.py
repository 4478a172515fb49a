# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A list of VMs is made, changed and removed, several at once."""

from __future__ import annotations

import os
import signal
import threading
import time
import typing as t

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.module import orderly_end
from ansible_collections.domzero.xen.plugins.module_utils.side import Interrupted
from ansible_collections.domzero.xen.plugins.module_utils.vm_list import taken
from ansible_collections.domzero.xen.tests.simulator import invariants
from ansible_collections.domzero.xen.tests.unit.plugins.conftest import open_sessions

MEDIA = "Other install media"
SHOP = [
    {"name": "web1", "template": MEDIA, "order": 2, "power_state": "running"},
    {"name": "web2", "template": MEDIA, "order": 2, "power_state": "running"},
    {"name": "db", "template": MEDIA, "order": 1, "power_state": "running", "memory": "2 GiB"},
]


def methods(sim: t.Any, mark: int = 0) -> list[str]:
    return [call["method"].removeprefix("Async.") for call in sim.calls(mark)]


def guests(sim: t.Any) -> dict[str, str]:
    rows = sim.world.pools[0].db.all("VM").values()
    return {r["name_label"]: r["power_state"] for r in rows if not (r["is_a_template"] or r["is_a_snapshot"] or r["is_control_domain"])}


def test_vms_are_made_in_order_and_a_second_run_changes_nothing(pool, converges):
    done = converges("xen_vms", vms=SHOP)
    assert done["rounds"] == [[2], [0, 1]]
    assert [row["name"] for row in done["vms"]] == ["web1", "web2", "db"]
    assert guests(pool()) == {"web1": "Running", "web2": "Running", "db": "Running"}
    assert [diff["after_header"] for diff in done["diff"]] == ["VM web1", "VM web2", "VM db"]
    assert invariants.check(pool().world) == []


def test_those_of_one_round_are_worked_on_at_once(pool, run):
    sim = pool()
    sim.faults.slow("VM.clone", 3.0)  # the first waits for its clone, and the second goes on
    done = run("xen_vms", vms=[{"name": f"vm{n}", "template": MEDIA} for n in range(4)])
    assert done["rounds"] == [[0, 1, 2, 3]]
    assert len(guests(sim)) == 4


def test_a_second_run_reads_the_pool_once_for_all(pool, run):
    many = [{"name": f"vm{n}", "template": MEDIA, "tags": ["many"]} for n in range(12)]
    run("xen_vms", vms=many, parallel=6)
    received = pool().received
    assert run("xen_vms", vms=many)["changed"] is False
    assert pool().received - received < 30


def test_nothing_is_changed_if_something_is_wrong_with_one(pool, run):
    sim = pool()
    done = run("xen_vms", vms=[*SHOP, {"name": "odd", "template": "Plan 9"}, {"name": "even", "template": MEDIA, "colour": "blue"}])
    assert done["failed"] is True
    assert len(done["problems"]) == 2
    assert "Plan 9" in done["msg"]
    assert "VM 'even'" in done["msg"]
    assert sim.calls() == []


def test_what_cannot_be_read_at_all_is_told_and_nothing_breaks(run):
    odd = [{"name": "a", "nics": "eth0"}, {"name": ["b"]}, {"name": "c", "nics": ["eth0"], "order": "first"}, {"groups": 7}]
    done = run("xen_vms", vms=odd, absent=[{"name": {"a": 1}}])
    assert done["failed"] is True
    assert len(done["problems"]) >= 4


def test_a_failure_is_named_and_what_comes_after_is_not_begun(pool, run):
    sim = pool()
    sim.faults.fail("VM.start", error=["HOST_NOT_ENOUGH_FREE_MEMORY", "2147483648", "1024"])
    done = run("xen_vms", vms=SHOP)
    assert done["failed"] is True
    assert "'db'" in done["msg"]
    assert done["msg"].endswith("Not begun: web1, web2.")
    assert done["vms"][2]["error_code"] == "HOST_NOT_ENOUGH_FREE_MEMORY"
    assert guests(sim) == {"db": "Halted"}
    again = run("xen_vms", vms=SHOP)
    assert "failed" not in again
    assert guests(sim) == {"web1": "Running", "web2": "Running", "db": "Running"}


def test_others_of_its_round_are_finished_when_one_fails(pool, run):
    sim = pool()
    sim.faults.fail("VM.clone", error=["INTERNAL_ERROR", "out of luck"])
    done = run("xen_vms", vms=SHOP[:2])
    assert sorted(row.get("failed", False) for row in done["vms"]) == [False, True]
    assert list(guests(sim).values()) == ["Running"]


def test_a_vm_is_made_from_another_of_the_list(pool, run):
    vms = [{"name": "copy", "from_vm": "golden"}, {"name": "golden", "template": MEDIA, "memory": "2 GiB"}]
    assert run("xen_vms", check=True, vms=vms)["vms"][0] == {"name": "copy", "changed": True, "operations": []}
    done = run("xen_vms", vms=vms)
    assert done["rounds"] == [[1], [0]]
    assert "VM.clone" in done["vms"][0]["operations"]
    mark = pool().mark()
    assert run("xen_vms", vms=vms)["changed"] is False
    assert pool().calls(mark) == []


def test_those_that_are_to_go_go_first(pool, run, converges):
    run("xen_vms", vms=[{"name": "old1", "template": MEDIA}, {"name": "old2", "template": MEDIA}])
    done = converges("xen_vms", vms=[{"name": "new", "template": MEDIA}], absent=[{"name": "old1"}, {"name": "old2"}, {"name": "old3"}])
    assert [row["changed"] for row in done["absent"]] == [True, True, False]
    assert methods(pool())[-1] != "VM.destroy"
    assert guests(pool()) == {"new": "Halted"}


def test_what_a_guest_reads_at_its_first_start_is_not_told(simulator, run):
    simulator("examples")
    disks = [{"size": "1 GiB", "sr": "NFS"}]
    run("xen_sr", name="NFS", type="nfs", server="127.40.0.10", path="/export/vms")
    vms = [{"name": "web", "template": MEDIA, "disks": disks, "cloud_init": {"user_data": {"password": "s3cret"}}}]
    done = run("xen_vms", vms=vms)
    assert "cloud_init" in str(done["diff"])
    assert "s3cret" not in str(done)
    taken(vms)  # what an ordinary module tells of its parameters
    assert "s3cret" not in str(vms)


def test_a_run_that_is_told_to_end_cancels_what_is_under_way_and_the_next_one_finishes(pool, run):
    sim = pool()
    sim.faults.slow("VM.start", 3600.0, nth=1)
    sim.faults.slow("VM.start", 3600.0, nth=2)
    sim.world.set_speed(1.0)
    sessions = open_sessions(sim)
    before = signal.signal(signal.SIGINT, lambda *_: None)
    threading.Thread(target=end_when_both_start, args=(sim,), daemon=True).start()
    try:
        with pytest.raises(Interrupted), orderly_end():
            run("xen_vms", vms=SHOP[:2])
    finally:
        signal.signal(signal.SIGINT, before)
    assert open_sessions(sim) <= sessions
    assert [list(task["current_operations"].values()) for task in pending(sim)] == [["cancel"], ["cancel"]]
    sim.faults.clear()
    sim.world.set_speed(0)
    assert "failed" not in run("xen_vms", vms=SHOP[:2])
    assert guests(sim) == {"web1": "Running", "web2": "Running"}


def pending(sim):
    with sim.world.lock:
        return [task for task in sim.world.pools[0].db.all("task").values() if task["status"] == "pending"]


def end_when_both_start(sim):
    end = time.monotonic() + 60
    while len(pending(sim)) < 2 and time.monotonic() < end:
        time.sleep(0.05)
    time.sleep(0.5)  # until the answers that name the tasks have arrived
    os.kill(os.getpid(), signal.SIGINT)


# interruptions --------------------------------------------------------------------------------------------------------------
LIST = [
    {"name": "db", "template": MEDIA, "order": 1, "disks": [{"size": "1 GiB"}], "power_state": "running"},
    {"name": "web1", "template": MEDIA, "order": 2, "disks": [{"size": "1 GiB"}], "tags": ["web"]},
    {"name": "web2", "template": MEDIA, "order": 2, "nics": [{"network": "Pool-wide network associated with eth0"}]},
]
CHANGES = 26  # a run that nobody interrupts makes so many changing calls; held by the first test


@pytest.fixture
def listed(pool, run):
    """A pool with storage and a VM that is to go; a run of the list."""
    run("xen_sr", name="NFS", type="nfs", server="127.10.0.10", path="/export/vms", default=True)
    run("xen_vm", name="old", template=MEDIA, disks=[{"size": "1 GiB"}])
    return lambda: run("xen_vms", vms=LIST, absent=[{"name": "old"}])


def test_so_many_calls_can_be_interrupted(pool, listed):
    mark = pool().mark()
    listed()
    assert len([m for m in methods(pool(), mark) if not m.startswith("task.")]) == CHANGES


@pytest.mark.slow
@pytest.mark.parametrize("way", ["cut_before_change", "cut_after_change", "fail"])
@pytest.mark.parametrize("nth", range(1, CHANGES + 1))
def test_a_run_that_was_cut_off_is_finished_by_the_next(pool, listed, way, nth):
    sim = pool()
    if way == "fail":
        sim.faults.add("fail", None, nth=nth, error=["INTERNAL_ERROR", "out of luck"])
    else:
        getattr(sim.faults, way)(nth)
    first = listed()
    assert way != "fail" or first.get("failed")
    sim.faults.clear()
    assert "failed" not in listed()
    assert guests(sim) == {"db": "Running", "web1": "Halted", "web2": "Halted"}
    db = sim.world.pools[0].db
    assert len(db.get("SR", db.one("SR", name_label="NFS"))["VDIs"]) == 2
    mark = sim.mark()
    assert listed()["changed"] is False
    assert sim.calls(mark) == []
    assert invariants.check(sim.world) == []
