# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A restore is interrupted at every changing call and at many places of each transfer; the next run finishes it, nothing is there twice."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.domzero.xen.plugins.module_utils import module as seam
from ansible_collections.domzero.xen.plugins.module_utils.errors import XenError
from ansible_collections.domzero.xen.plugins.module_utils.resources.restore import DisksRestore, Restore, VmRestore, content
from ansible_collections.domzero.xen.plugins.modules import xen_restore
from ansible_collections.domzero.xen.tests.simulator import invariants, site
from ansible_collections.domzero.xen.tests.simulator.running import InProcess

from ..conftest import Result, carry_out, reach, validated
from .restore_lab import MIB, RESTORED, Restores
from .test_xen_vm_interrupted import WAYS, Step, interrupt

pytestmark = pytest.mark.slow

MODULE = "ansible_collections.domzero.xen.plugins.modules.xen_restore"
XVA: Result = {"mode": "full"}
PACKED: Result = {"mode": "full", "compression": "gzip"}
# a story: the backup, and the options of the restore that is interrupted
STORIES: dict[str, tuple[Result, Result]] = {
    "a VM from VHDs": ({}, {"new_name": "web02", "start": True}),
    "a VM from an .xva": (XVA, {"new_name": "web02"}),
    "a VM from a packed .xva, some disks": (PACKED, {"new_name": "web02", "disks": ["1"]}),
    "disks of VHDs beside others": ({}, {"onto": "web01"}),
    "a disk of an .xva beside others": (XVA, {"onto": "web01", "disks": ["0"]}),
    "disks instead of others": ({}, {"onto": "web01", "replace": True, "remove_replaced": True}),
}
# so many changing calls it makes that nobody interrupts; held by the first test
POINTS = dict(zip(STORIES, (8, 7, 6, 8, 4, 12), strict=True))
MOVED = {"LAN": "Pool-wide network associated with eth0"}


class Lab(Restores):
    """web01 has a backup of the story's form. It was on a network LAN then, which has gone since; its disks hold something else by now."""

    def __init__(self, folder: Path, backup: Result):
        sim = InProcess(site.build(site.of_hosts(1), speed=0)).start()
        self.stop, self.scratch = sim.stop, folder
        super().__init__(sim, seam.log_in(validated(seam.Module({}, lambda *_: {}), reach(sim))), self._carry_out, folder / "repository")
        lan = self.call("network.create", {"name_label": "LAN", "name_description": "", "MTU": 1500, "other_config": {}, "tags": []})
        vif = self.nic(self.web01, lan, "1")
        Restores.run(self)
        self.write(1)
        Restores.run(self, **backup)
        self.held = self.contents(self.web01)
        self.call("VIF.destroy", vif)
        self.call("network.destroy", lan)
        self.known = {cls: set(self.db.all(cls)) for cls in ("VM", "VDI", "network", "task", "VIF", "VBD")}

    def _carry_out(self, name: str, /, *, check: bool = False, **params: t.Any) -> Result:
        return carry_out(name, {**reach(self.sim), **params}, check=check)

    def options(self, story: str) -> Result:
        networks = {} if "onto" in STORIES[story][1] else {"networks": MOVED}
        return {"repository": str(self.folder), "name": "web01", **networks, **STORIES[story][1]}

    def began(self, story: str) -> None:
        """What an earlier turn made goes."""
        for ref in self.db.find("VM", name_label="web02"):
            if self.record(ref)["power_state"] == "Running":
                self.call("VM.hard_shutdown", ref)
            self.loses(ref)
        if "replace" in STORIES[story][1]:
            for uuid in self.disk_uuids(self.web01).values():
                ref = self.db.one("VDI", uuid=uuid)
                self.call("VDI.remove_from_other_config", ref, RESTORED)
            self.write(time.monotonic_ns())
        elif "onto" in STORIES[story][1]:
            for ref in set(self.db.all("VBD")) - self.known["VBD"]:
                self.call("VDI.destroy", self.record(ref, "VBD")["VDI"])

    def is_right(self, story: str) -> None:
        """Everything is there once, as it was in the backup, and nothing else."""
        wanted = STORIES[story][1]
        held = [self.held[int(device)] for device in wanted.get("disks", ["0", "1"])]
        new = {cls: [ref for ref in self.db.all(cls) if ref not in known] for cls, known in self.known.items()}
        gone = {cls: [ref for ref in known if ref not in self.db.all(cls)] for cls, known in self.known.items()}
        assert [task["name_label"] for task in self.db.all("task").values() if not task["name_label"].startswith("Async")] == []
        assert (new["network"], self.marks(), len(new["VDI"])) == ([], [], len(held))
        if "onto" not in wanted:
            assert [self.record(ref)["name_label"] for ref in new["VM"]] == ["web02"]
            assert self.contents(new["VM"][0]) == held
            assert {network for network, _mac in self.nics("web02").values()} == {MOVED["LAN"]}
            assert self.record(new["VM"][0])["power_state"] == ("Running" if wanted.get("start") else "Halted")
        else:
            assert (new["VM"], len(self.disk_uuids(self.web01))) == ([], 2 if "replace" in wanted else 2 + len(held))
            assert self.contents(self.web01)[-len(held) :] == held
        assert len(gone["VDI"]) == (2 if "replace" in wanted else 0)
        with self.sim.world.lock:
            assert invariants.check(self.sim.world) == []
        assert self._carry_out("xen_restore", **self.options(story))["changed"] is False

    def sent(self, story: str) -> int:
        """Bytes of the first transfer."""
        work = Restore(self.session, validated(xen_restore.MODULE, {**reach(self.sim), **self.options(story)}))
        if isinstance(work, VmRestore):
            with work.source.opened():
                return work.source.size
        assert isinstance(work, DisksRestore)
        with content.opened(work.backup, work.disks[0], "") as sent:
            return sent.size

    # as interrupt() asks for it
    def run(self, name: str, options: Result) -> Result:  # type: ignore[override]
        return carry_out(name, {**reach(self.sim), **options})

    def begin(self, step: Step) -> subprocess.Popen[bytes]:
        arguments = self.scratch / "arguments.json"
        arguments.write_text(json.dumps({"ANSIBLE_MODULE_ARGS": {**reach(self.sim), **step[1]}}))
        command = [sys.executable, "-m", MODULE, str(arguments)]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)


class Struck:
    """What interrupt() asks of a lab."""

    def __init__(self, lab: Lab) -> None:
        self.sim, self.run = lab.sim, lab.run
        self.start = lambda step, _folder: lab.begin(step)


@pytest.fixture
def lab(story: str, tmp_path: Path) -> t.Iterator[Lab]:
    made = Lab(tmp_path, STORIES[story][0])
    try:
        yield made
    finally:
        made.stop()


@pytest.mark.parametrize("story", STORIES)
def test_every_changing_call_is_an_interruption_point(lab: Lab, story: str) -> None:
    counted = list[str]()
    strike = lab.sim.faults.strike

    def struck(method: str, changing: bool) -> t.Any:
        if changing:
            counted.append(method)
        return strike(method, changing)

    lab.sim.faults.strike = struck  # type: ignore[method-assign]
    lab.run("xen_restore", lab.options(story))
    lab.sim.faults.strike = strike  # type: ignore[method-assign]
    assert len(counted) == POINTS[story], counted
    lab.is_right(story)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("story", ["a VM from VHDs", "a VM from an .xva", "disks instead of others"])
def test_whichever_call_is_interrupted_the_next_run_finishes_it(lab: Lab, tmp_path: Path, story: str, way: str) -> None:
    for nth in range(1, POINTS[story] + 1):
        try:
            lab.began(story)
            lab.known["VDI"] = set(lab.db.all("VDI"))
            interrupt(Struck(lab), ("xen_restore", lab.options(story)), way, nth, tmp_path)  # type: ignore[arg-type]
            lab.run("xen_restore", lab.options(story))
            lab.is_right(story)
        except BaseException as e:
            e.add_note(f"call {nth}")
            raise


# transfers ---------------------------------------------------------------------------------
PATHS = {story: "/import_raw_vdi" if "onto" in options else "/import" for story, (_backup, options) in STORIES.items()}
CUT = [story for story, (_backup, options) in STORIES.items() if "replace" not in options]


@pytest.mark.parametrize("story", CUT)
def test_wherever_a_transfer_is_cut_nothing_is_left(lab: Lab, story: str) -> None:
    sent = lab.sent(story)
    cuts = sorted({0, 1, 511, 512, 513, 1535, 1536, *(sent * n // 45 for n in range(45)), sent - 513, sent - 512, sent - 1})
    assert len(cuts) >= 50
    for at in cuts:
        lab.sim.faults.cut_transfer(PATHS[story], at)
        before, networks = lab.everything(), len(lab.db.all("network"))
        with pytest.raises(XenError):
            lab.run("xen_restore", lab.options(story))
        assert (lab.everything(), len(lab.db.all("network"))) == (before, networks), at
        assert lab.marks() == [], at
    lab.run("xen_restore", lab.options(story))
    lab.is_right(story)


@pytest.mark.parametrize("story", CUT)
@pytest.mark.parametrize("size", [0, MIB])
def test_a_run_that_is_killed_while_data_flows_is_finished_by_the_next(lab: Lab, story: str, size: int) -> None:
    faults, began = lab.sim.faults, threading.Event()
    strike, limit = faults.strike, faults.transfer_limit
    faults.cut_transfer(PATHS[story], size)
    process = lab.begin(("xen_restore", lab.options(story)))

    def limited(asked: str) -> int | None:
        if asked == PATHS[story]:
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
    lab.run("xen_restore", lab.options(story))
    lab.is_right(story)
