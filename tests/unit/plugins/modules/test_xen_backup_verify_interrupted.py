# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A boot test is interrupted at every changing call, in its transfer, while it waits; the next one leaves nothing of it."""

from __future__ import annotations

import contextlib
import os
import signal
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.errors import XenError

from . import test_xen_backup_interrupted as backup_interrupted
from .test_xen_backup_interrupted import Struck
from .test_xen_vm_interrupted import WAYS, interrupt

pytestmark = pytest.mark.slow

MODULE = "ansible_collections.domzero.xen.plugins.modules.xen_backup_verify"
CALLS = 9  # changing ones; held by a test
PLACES = 24  # of the transfer


class Lab(backup_interrupted.Lab):
    """web01 has two backups."""

    def step(self, options: dict[str, t.Any]) -> tuple[str, dict[str, t.Any]]:
        boot = {"sr": "Local storage", **options}
        return "xen_backup_verify", {"repository": str(self.folder), "kind": "vm", "name": "web01", "boot_test": boot}

    def begin(self) -> None:
        super().begin()
        self.good()
        self.there = self.left()

    def left(self) -> tuple[t.Any, ...]:
        """Everything but the tasks of calls that nobody came back for, which xapi removes after a day."""
        with self.sim.world.lock:
            rows = [[str(row["name_label"]) for row in self.db.all(cls).values()] for cls in ("VM", "VDI", "network", "task")]
            names = [sorted(name for name in names if not name.startswith("Async.")) for names in rows]
            return (*names, len(self.db.all("VBD")), len(self.db.all("VIF")))

    def is_right(self) -> None:
        """After one more boot test there is nothing that was not there before, and the backups are good."""
        name, options = self.step({})
        done = self._carry_out(name, **options)
        assert [row["ok"] for row in done["backups"]] == [True, True]
        assert self.left() == self.there
        assert [backup.state for backup in self.backups()] == ["good", "good"]
        self.is_clean(tasks=False)


class Process(Struck):
    def start(self, step: tuple[str, dict[str, t.Any]], folder: Path) -> t.Any:
        before, backup_interrupted.MODULE = backup_interrupted.MODULE, MODULE
        try:
            return super().start(step, folder)
        finally:
            backup_interrupted.MODULE = before


@pytest.fixture
def lab(tmp_path: Path) -> t.Iterator[Lab]:
    made = Lab(tmp_path)
    try:
        made.begin()
        yield made
    finally:
        made.stop()


def test_every_changing_call_is_an_interruption_point(lab: Lab) -> None:
    counted: list[str] = []
    strike = lab.sim.faults.strike

    def struck(method: str, changing: bool) -> t.Any:
        counted.extend([method] if changing else [])
        return strike(method, changing)

    lab.sim.faults.strike = struck  # type: ignore[method-assign]
    lab.is_right()
    assert len(counted) == CALLS, counted


@pytest.mark.parametrize("way", WAYS)
def test_whichever_call_is_interrupted_the_next_run_leaves_nothing(lab: Lab, tmp_path: Path, way: str) -> None:
    for nth in range(1, CALLS + 1):
        try:
            interrupt(Process(lab), lab.step({}), way, nth, tmp_path)  # type: ignore[arg-type]
            assert [backup.state for backup in lab.backups()] == ["good", "good"]
            lab.is_right()
        except BaseException as e:
            e.add_note(f"call {nth}")
            raise


def test_wherever_the_transfer_is_cut_nothing_is_left_at_once(lab: Lab) -> None:
    size = 8 << 20
    for at in [size * n // PLACES for n in range(PLACES)]:
        lab.sim.faults.cut_transfer("/import", at)
        name, options = lab.step({})
        with contextlib.suppress(XenError):
            lab._carry_out(name, **options)
        lab.sim.faults.clear()
        assert lab.left() == lab.there, at
        assert [backup.state for backup in lab.backups()] == ["good", "good"]
    lab.is_right()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_run_that_ends_while_it_waits_for_the_guest(lab: Lab, tmp_path: Path, how: signal.Signals) -> None:
    """Told to end it removes the copy itself; killed, the next run does."""
    lab.call("VM.set_xenstore_data", lab.web01, {"vm-data/sim-agent": "none"})
    lab.good()
    lab.there = lab.left()
    process = Process(lab).start(lab.step({"timeout": 300}), tmp_path)
    end = time.monotonic() + 60
    while not any(vm["name_label"].startswith("domzero.xen boot") and vm["power_state"] == "Running" for vm in lab.db.all("VM").values()):
        assert time.monotonic() < end
        time.sleep(0.05)
    os.killpg(process.pid, how)
    process.communicate(timeout=60)
    assert (lab.left() == lab.there) is (how == signal.SIGTERM)
    assert {backup.state for backup in lab.backups()} == {"good"}
    name, options = lab.step({"wait_for": "none"})
    lab._carry_out(name, **options)
    assert lab.left() == lab.there
