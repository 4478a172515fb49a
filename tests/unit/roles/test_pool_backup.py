# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role pool_backup: what it saves, checks, lets go and reports, and what it does when something fails."""

from __future__ import annotations

import os
import signal
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.backup.repository import Repository
from ansible_collections.domzero.xen.tests.simulator import invariants

from .interruption import die
from .pool_to_back_up import Play, flat

pytestmark = pytest.mark.slow
RULES = {"pool_backup_keep_last": 1}


@pytest.fixture
def play(tmp_path: Path) -> t.Iterator[Play]:
    made = Play(tmp_path)
    yield made
    made.sim.stop()


def test_everything_is_saved_checked_thinned_out_and_reported(play: Play) -> None:
    options = {"pool_backup_exclude_tags": ["no-backup"], **RULES}
    mark = play.sim.mark()
    predicted = play(apply={"check_mode": True}, **options)
    assert (predicted.code, predicted.changed > 0) == (0, True), predicted.output
    assert (play.sim.calls(mark), play.files()) == ([], [])
    first = play(**options)
    assert first.code == 0, first.output
    assert play.counts() == {"pool xcp00": 1, "vm db01": 1, "vm web01": 1}
    stamps = [b.stamp for s in Repository(play.root).subjects("vm") for b in s.good()]
    assert play.report()["ok"] is True
    assert {backup["verified"]["level"] for subject in play.report()["subjects"] for backup in subject["backups"]} == {"structure"}
    second = play(**options)
    assert second.code == 0, second.output
    assert play.counts() == {"pool xcp00": 1, "vm db01": 1, "vm web01": 1}  # the whole one went into the increment
    assert [b.stamp for s in Repository(play.root).subjects("vm") for b in s.good()] != stamps
    last = play(pool_backup_if_older_than="1h", **options)
    assert (last.code, last.changed) == (0, 0), last.output
    assert invariants.check(play.sim.world) == []


def test_a_vm_that_fails_is_named_in_the_end_and_the_rest_is_done(play: Play) -> None:
    play.sim.faults.fail("VM.snapshot", error=["SR_BACKEND_FAILURE_44", "", "no space"])
    ran = play(pool_backup_parallel=1, pool_backup_metadata=False, pool_backup_vms=["build01", "db01", "web01", "web9"])
    assert ran.code != 0
    said = flat(ran.output.rpartition("Fail if anything did")[2])
    assert "2 of 4 backups failed." in said
    assert "build01" in said
    assert "'web9'" in said
    assert "Backed up: db01, web01" in ran.output
    assert play.counts() == {"vm build01": 0, "vm db01": 1, "vm web01": 1} or play.counts() == {"vm db01": 1, "vm web01": 1}
    assert (play.report()["ok"], sum(bool(row.get("failed")) for row in play.report()["run"])) == (False, 2)
    again = play(pool_backup_metadata=False, pool_backup_if_older_than="1h")
    assert again.code == 0, again.output
    assert "Backed up: build01" in again.output


def test_some_are_started_in_turn_and_one_that_does_not_start_is_told(play: Play) -> None:
    options = {"pool_backup_metadata": False, "pool_backup_boot_tests": 1, "pool_backup_vms": ["db01", "web01"]}
    assert "Give sr in pool_backup_boot_test" in flat(play(**options).output)
    tried = set()
    for _time in range(2):
        ran = play(pool_backup_boot_test={"sr": "Local storage", "wait_for": "none"}, **options)
        assert ran.code == 0, ran.output
        tried |= {
            subject["name"]
            for subject in play.report()["subjects"]
            for backup in subject["backups"]
            if (backup["verified"] or {}).get("level") == "boot"
        }
    assert tried == {"db01", "web01"}
    play.sim.faults.fail("VM.start", error=["INTERNAL_ERROR", "no"])
    ran = play(pool_backup_boot_test={"sr": "Local storage", "wait_for": "none"}, **options)
    assert ran.code != 0
    assert "Report:" in ran.output
    assert invariants.check(play.sim.world) == []


def test_nothing_is_begun_when_something_stands_in_the_way_of_all(play: Play) -> None:
    mark = play.sim.mark()
    play.root.rmdir()
    assert "is not there" in flat(play().output)
    play.root.mkdir()
    assert "is not JMESPath" in flat(play(pool_backup_query="tags[").output)
    assert "pool_backup_parallel cannot be 0" in flat(play(pool_backup_parallel=0).output)
    assert (play.sim.calls(mark), play.files()) == ([], [])


def test_a_run_that_is_ended_leaves_nothing_and_one_that_is_killed_is_finished_by_the_next(play: Play) -> None:
    task = play.task("pool_backup", pool_backup_metadata=False, pool_backup_verify="none")
    play.sim.world.set_speed(1.0)
    for end in (terminate, die):
        for nth in (1, 2, 3):  # of none of the three VMs
            play.sim.faults.slow("VM.snapshot", 3600.0, nth=nth)
        with play.begin([task]) as process:
            wait_until(lambda: any("snapshot" in name for name in pending(play)))
            end(process.pid)
        if end is terminate:
            wait_until(lambda: not [task for task in pending(play) if "snapshot" in task])
            wait_until(lambda: not [path for path in play.files() if path.endswith("Z")])
        play.sim.faults.clear()
    play.sim.world.set_speed(0)
    done = play.run([task])
    assert done.code == 0, done.output
    assert sorted(play.counts()) == ["vm build01", "vm db01", "vm web01"]
    assert [leftover for subject in Repository(play.root).subjects() for leftover in subject.leftovers()] == []
    with play.sim.world.lock:
        assert sum(vm["is_a_snapshot"] for vm in play.sim.world.pools[0].db.all("VM").values()) == 3  # the next ones build on them
    assert invariants.check(play.sim.world) == []


def terminate(pid: int) -> None:
    os.killpg(pid, signal.SIGTERM)


def pending(play: Play) -> list[str]:
    """Names of the tasks that go on."""
    with play.sim.world.lock:
        rows = play.sim.world.pools[0].db.all("task").values()
        return [task["name_label"] for task in rows if task["status"] == "pending" and not task["current_operations"]]


def wait_until(there: t.Callable[[], object]) -> None:
    end = time.monotonic() + 60
    while not there():
        assert time.monotonic() < end
        time.sleep(0.05)
