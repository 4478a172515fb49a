# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backups and restores of a pool and a host are killed at many moments; the next run tidies up, and ends well."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.backup.repository import Repository
from ansible_collections.domzero.xen.tests.simulator import host_archive, invariants

from ...simulator.conversation import until
from ..conftest import Run, Start, reach
from .test_xen_restore_pool import MARK, Lab

pytestmark = pytest.mark.slow
MODULES = "ansible_collections.domzero.xen.plugins.modules"
MOMENTS = 6  # of each work, evenly from its first call to its end


@pytest.fixture
def lab(simulator: Start, run: Run, tmp_path: Path) -> Lab:
    made = Lab(simulator(1), run, tmp_path / "repository")
    made.coordinator.state[host_archive.SIZE] = 24 << 20
    return made


class Killed:
    """A module as a process of its own, killed at a share of the time it takes."""

    def __init__(self, lab: Lab, folder: Path, module: str, **options: t.Any):
        self.lab, self.module, self.file = lab, module, folder / "arguments.json"
        asked = {**reach(lab.sim), "repository": str(lab.folder), **options}
        self.file.write_text(json.dumps({"ANSIBLE_MODULE_ARGS": asked}))
        self.begins, self.ends = self._measure()

    def _start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", f"{MODULES}.{self.module}", str(self.file)]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)

    def _measure(self) -> tuple[float, float]:
        """Seconds until it has logged in, and until it has ended."""
        started, calls = time.monotonic(), self.lab.sim.received
        process = self._start()
        while self.lab.sim.received == calls and process.poll() is None:
            time.sleep(0.002)
        logged_in = time.monotonic() - started
        assert process.wait(60) == 0
        return logged_in, time.monotonic() - started

    def at(self, moment: int) -> None:
        process = self._start()
        time.sleep(self.begins + (self.ends - self.begins) * moment / MOMENTS)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.mark.parametrize("kind", ["pool", "host"])
def test_a_killed_backup_is_none(lab: Lab, tmp_path: Path, kind: str) -> None:
    killed = Killed(lab, tmp_path, "xen_backup", kind=kind)
    for moment in range(MOMENTS):
        killed.at(moment)
        (subject,) = Repository(lab.folder).subjects(kind)
        assert {backup.state for backup in subject.backups()} == {"good"}
        made = lab.backup(kind)
        assert made["state"] == "good"
        assert subject.leftovers() == []
    with lab.sim.world.lock:
        assert invariants.check(lab.sim.world) == []


def test_a_killed_restore_of_a_pool_is_ended_by_the_next_run(lab: Lab, tmp_path: Path) -> None:
    made = lab.backup()
    killed = Killed(lab, tmp_path, "xen_restore", kind="pool", allow_disruption=True)
    for moment in range(MOMENTS):
        until(lab.sim.world, lambda: lab.coordinator.power == "on" and not lab.sim.world.agenda)
        with lab.sim.world.lock:
            lab.pool.db.remove_from_map("pool", lab.pool.pool_ref, "other_config", MARK)
        lab.network(f"later {'x' * moment}")
        killed.at(moment)
        until(lab.sim.world, lambda: lab.coordinator.power == "on" and not lab.sim.world.agenda)
        time.sleep(0.6)  # the fuse of a client that is gone burns half a second here
        until(lab.sim.world, lambda: lab.coordinator.power == "on" and not lab.sim.world.agenda)
        assert lab.restore()["pool"]["restored"]
        assert lab.pool.pool["other_config"][MARK] == made["id"]
        assert not [name for name in lab.networks() if name.startswith("later")]
        with lab.sim.world.lock:
            assert invariants.check(lab.sim.world) == []


def test_a_killed_restore_of_a_host_is_ended_by_the_next_run(lab: Lab, tmp_path: Path) -> None:
    name = lab.coordinator.name
    made = lab.backup("host")
    killed = Killed(lab, tmp_path, "xen_restore", kind="host", name=name)
    for moment in range(MOMENTS):
        with lab.sim.world.lock:
            lab.pool.db.remove_from_map("host", lab.coordinator.host_ref, "other_config", MARK)
        lab.coordinator.state.pop(host_archive.PARTITION, None)
        killed.at(moment)
        lab.restore("host", name=name)
        assert lab.coordinator.host_record()["other_config"][MARK] == made["id"]
        assert host_archive.PARTITION in lab.coordinator.state
