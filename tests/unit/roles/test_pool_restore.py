# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role pool_restore: what a lost pool gets back, and how a run that broke off is finished."""

from __future__ import annotations

import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.domzero.xen.tests.simulator import invariants

from .interruption import die
from .pool_to_back_up import Play, flat

pytestmark = pytest.mark.slow
ALL = {"db01": "Halted", "web01": "Running", "build01": "Halted"}


@pytest.fixture
def lost(tmp_path: Path) -> t.Iterator[Play]:
    """Saved, and gone."""
    play = Play(tmp_path)
    saved = play(pool_backup_verify="none")
    assert saved.code == 0, saved.output
    play.lose()
    yield play
    play.sim.stop()


def test_a_run_that_is_killed_is_finished_by_the_next_and_one_more_changes_nothing(lost: Play) -> None:
    mark = lost.sim.mark()
    for told in (lost("--check", role="pool_restore"), lost(role="pool_restore", apply={"check_mode": True})):
        assert told.code == 0, told.output
        assert "Restored: build01, db01, web01" in told.output
    assert lost.sim.calls(mark) == []
    lost.sim.world.set_speed(1.0)
    with lost.begin([lost.task("pool_restore")]) as process:
        end = time.monotonic() + 60
        while not lost.sim.calls(mark) and time.monotonic() < end:
            time.sleep(0.02)
        die(process.pid)
    lost.sim.world.set_speed(0)
    done = lost(role="pool_restore")
    assert done.code == 0, done.output
    assert lost.states() == ALL
    mark = lost.sim.mark()
    again = lost(role="pool_restore")
    assert (again.code, again.changed, lost.sim.calls(mark)) == (0, 0, []), again.output
    assert "There already: build01, db01, web01" in again.output
    assert invariants.check(lost.sim.world) == []


def test_a_vm_that_fails_is_named_and_the_others_come_back(lost: Play) -> None:
    lost.sim.faults.cut_transfer("/import", 1000)
    ran = lost(role="pool_restore", pool_restore_parallel=1)
    assert ran.code != 0
    assert "1 of 3 restores failed. " in flat(ran.output)
    assert "Restored: db01, web01" in ran.output
    assert "pool_restore_parallel cannot be 0" in flat(lost(role="pool_restore", pool_restore_parallel=0).output)
    again = lost(role="pool_restore")
    assert again.code == 0, again.output
    assert lost.states() == ALL


def test_the_pool_may_have_its_saved_database_back(lost: Play) -> None:
    told = lost("--check", role="pool_restore", pool_restore_metadata=True, pool_restore_with_vms=False)
    assert told.code == 0, told.output
    done = lost(role="pool_restore", pool_restore_metadata=True)
    assert done.code == 0, done.output
    assert "There already: build01, db01, web01" in done.output
