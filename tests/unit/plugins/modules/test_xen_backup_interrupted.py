# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A backup is interrupted at every changing call and at many places of every transfer; the next run tidies up and makes a good one."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import signal
import subprocess
import sys
import threading
import typing as t
from pathlib import Path

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.errors import XenError
from ansible_collections.domzero.xen.tests.simulator import site
from ansible_collections.domzero.xen.tests.simulator.running import InProcess

from ..conftest import carry_out, reach
from .backup_lab import Backups
from .test_xen_vm_interrupted import WAYS, interrupt
from .transfer_lab import MIB

pytestmark = pytest.mark.slow

MODULE = "ansible_collections.domzero.xen.plugins.modules.xen_backup"
# a story: the options of the backup that is interrupted
STORIES: dict[str, dict[str, t.Any]] = {
    "an increment": {},
    "a full one": {"mode": "full"},
    "a full one with memory": {"mode": "full", "consistency": "memory"},
}
# so many changing calls it makes that nobody interrupts; held by the first test
POINTS = {"an increment": 5, "a full one": 7, "a full one with memory": 8}


class Lab(Backups):
    """web01 runs, and has one backup."""

    def __init__(self, folder: Path) -> None:
        sim = InProcess(site.build(site.of_hosts(1), speed=0)).start()
        self.stop = sim.stop
        super().__init__(sim, None, self._carry_out, folder / "repository")

    def begin(self) -> None:
        self.start_vm()
        self.held: dict[str, list[str]] = {}
        self.good()
        self.write(1)

    def start_vm(self) -> None:
        self.call("VM.start", self.web01, False, False)

    def call(self, method: str, *params: t.Any) -> t.Any:
        if self.session is None:
            self.session = session_of(self.sim)
        return super().call(method, *params)

    def _carry_out(self, name: str, /, *, check: bool = False, **params: t.Any) -> dict[str, t.Any]:
        return carry_out(name, {**reach(self.sim), **params}, check=check)

    def good(self, **params: t.Any) -> None:
        """A backup that is right, beside earlier ones that still are; and nothing else."""
        stamp = self.run(**params)["backup"]["stamp"]
        self.held[stamp] = self.contents(self.web01)
        self.is_clean(tasks=False)
        with self.sim.world.lock:
            assert [r["name_label"] for r in self.db.all("task").values() if r["name_label"].startswith("Backup of")] == []
        backups = {backup.stamp: backup for backup in self.backups()}
        assert [backup.state for backup in backups.values()] == ["good"] * len(backups)
        for known, contents in self.held.items():
            form = backups[known].manifest.form  # type: ignore[union-attr]
            assert form == "xva" or self.read_back(backups[known]) == contents
        marked = [name for name in self.snapshots(self.web01) if name.startswith("domzero.xen backup")]
        assert len(marked) == len(self.snapshots(self.web01)) == 1

    def step(self, options: dict[str, t.Any]) -> tuple[str, dict[str, t.Any]]:
        return "xen_backup", {"repository": str(self.folder), "kind": "vm", "name": "web01", **options}


class Struck:
    """What interrupt() asks of a lab."""

    def __init__(self, lab: Lab) -> None:
        self.lab, self.sim = lab, lab.sim

    def run(self, name: str, options: dict[str, t.Any]) -> dict[str, t.Any]:
        return carry_out(name, {**reach(self.sim), **options})

    def start(self, step: tuple[str, dict[str, t.Any]], folder: Path) -> subprocess.Popen[bytes]:
        arguments = folder / "arguments.json"
        arguments.write_text(json.dumps({"ANSIBLE_MODULE_ARGS": {**reach(self.sim), **step[1]}}))
        command = [sys.executable, "-m", MODULE, str(arguments)]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)


def session_of(sim: t.Any) -> t.Any:
    from ansible_collections.domzero.xen.plugins.module_utils import module as seam

    from ..conftest import validated

    return seam.log_in(validated(seam.Module({}, lambda *_: {}), reach(sim)))


@pytest.fixture
def lab(tmp_path: Path) -> t.Iterator[Lab]:
    made = Lab(tmp_path)
    try:
        made.begin()
        yield made
    finally:
        made.stop()


@functools.cache
def points(story: str, folder: Path) -> int:
    folder.mkdir(exist_ok=True)
    lab = Lab(folder)
    try:
        lab.begin()
        counted = list[str]()
        strike = lab.sim.faults.strike

        def struck(method: str, changing: bool) -> t.Any:
            if changing:
                counted.append(method)
            return strike(method, changing)

        lab.sim.faults.strike = struck  # type: ignore[method-assign]
        lab.run(**STORIES[story])
        lab.sim.faults.strike = strike  # type: ignore[method-assign]
        return len(counted)
    finally:
        lab.stop()


@pytest.mark.parametrize("story", STORIES)
def test_every_changing_call_is_an_interruption_point(story: str, tmp_path: Path) -> None:
    assert points(story, tmp_path / "plain") == POINTS[story]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("story", STORIES)
def test_whichever_call_is_interrupted_the_next_run_makes_a_good_one(lab: Lab, tmp_path: Path, story: str, way: str) -> None:
    for nth in range(1, POINTS[story] + 1):
        lab.write(nth + 10)
        try:
            interrupt(Struck(lab), lab.step(STORIES[story]), way, nth, tmp_path)  # type: ignore[arg-type]
            lab.good()
        except BaseException as e:
            e.add_note(f"call {nth}")
            raise


TRANSFERS: dict[str, tuple[str, dict[str, t.Any]]] = {
    "a VM as .xva": ("/export", {"mode": "full"}),
    "a VM as .xva, packed": ("/export", {"mode": "full", "compression": "gzip"}),
    "a whole disk": ("/export_raw_vdi", {"full_every": 1}),
    "what has changed": ("/export_raw_vdi", {}),
    "the description": ("/export_metadata", {}),
}


def sizes(lab: Lab, path: str, options: dict[str, t.Any]) -> int:
    """Bytes of the transfer, as an undisturbed run makes it."""
    lab.run(**options)
    names = {"/export": "vm.xva", "/export_raw_vdi": "disk0.vhd", "/export_metadata": "metadata.xva"}
    newest = lab.backups()[-1]
    return next(file.size for file in newest.manifest.files if file.name == names[path])  # type: ignore[union-attr]


@pytest.mark.parametrize("transfer", TRANSFERS)
def test_wherever_a_transfer_is_cut_nothing_good_is_lost_and_nothing_bad_is_kept(lab: Lab, transfer: str) -> None:
    path, options = TRANSFERS[transfer]
    lab.write(2)
    size = sizes(lab, path, options)
    ends = [] if "compression" in options else [size - 513, size - 512, size - 1]  # what is packed has another length each time
    steps = sorted({0, 1, 511, 512, 513, 1023, 1024, 1535, 1536, 2047, 2048, *(size * n // 42 for n in range(42)), *ends})
    cuts = [at for at in steps if 0 <= at < size]
    assert len(cuts) >= min(50, size)
    for at in cuts:
        lab.write(at + 3)
        lab.sim.faults.cut_transfer(path, at)
        before = [(backup.stamp, backup.state) for backup in lab.backups()]
        snapshots = lab.snapshots(lab.web01)
        with pytest.raises(XenError):
            lab.run(**options)
        assert [(backup.stamp, backup.state) for backup in lab.backups()] == before, at
        assert lab.snapshots(lab.web01) == snapshots, at
        lab.is_clean()
    lab.good(**options) if "mode" not in options else lab.good()


@pytest.mark.parametrize("transfer", ["a VM as .xva", "a whole disk", "what has changed"])
@pytest.mark.parametrize("size", [0, MIB])
def test_a_run_that_is_killed_while_data_flows(lab: Lab, tmp_path: Path, transfer: str, size: int) -> None:
    path, options = TRANSFERS[transfer]
    faults, began = lab.sim.faults, threading.Event()
    strike, limit = faults.strike, faults.transfer_limit
    faults.cut_transfer(path, size)
    process = Struck(lab).start(lab.step(options), tmp_path)

    def limited(asked: str) -> int | None:
        if asked == path:
            began.set()
        return limit(asked)

    def struck(method: str, changing: bool) -> t.Any:
        if began.is_set():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        return strike(method, changing)

    faults.transfer_limit, faults.strike = limited, struck  # type: ignore[method-assign]
    try:
        process.communicate(timeout=60)
        assert process.returncode == -signal.SIGKILL, "the run was not interrupted"
    finally:
        faults.transfer_limit, faults.strike = limit, strike  # type: ignore[method-assign]
    faults.clear()
    lab.write(5)
    lab.good()


def test_the_toolstack_restarts_in_mid_export(lab: Lab) -> None:
    """Sessions and tasks are gone with it, and the connection."""
    lab.sim.faults.cut_transfer("/export_raw_vdi", 100_000)
    limit = lab.sim.faults.transfer_limit

    def limited(path: str) -> int | None:
        found = limit(path)
        if found is not None:
            with lab.sim.world.lock:
                for cls in ("session", "task"):
                    for ref in list(lab.db.all(cls)):
                        lab.db.destroy(cls, ref)
        return found

    lab.sim.faults.transfer_limit = limited  # type: ignore[method-assign]
    with contextlib.suppress(XenError):
        lab.run()
    lab.sim.faults.transfer_limit = limit  # type: ignore[method-assign]
    lab.session = None
    lab.write(9)
    lab.good()
