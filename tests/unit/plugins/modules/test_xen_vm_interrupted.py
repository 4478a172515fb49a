# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The life of a VM with three disks is interrupted at every changing call in turn, and each step is finished by the next run."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import signal
import subprocess
import sys
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.domzero.xen.plugins.module_utils import module as seam
from ansible_collections.domzero.xen.plugins.module_utils.errors import XenError
from ansible_collections.domzero.xen.tests.simulator import invariants, site
from ansible_collections.domzero.xen.tests.simulator.running import InProcess

from ..conftest import reach, validated

pytestmark = pytest.mark.slow

MODULES = "ansible_collections.domzero.xen.plugins.modules"
NETWORKS = [f"Pool-wide network associated with eth{n}" for n in (0, 1)]
DISKS = [{"name": f"web01 {what}", "size": size, "sr": "vms"} for what, size in (("system", "4 GiB"), ("data", "2 GiB"), ("log", "1 GiB"))]
NICS = [{"network": NETWORKS[0], "mac": "02:00:00:00:00:01"}]
CREATED = {
    "name": "web01", "template": "Debian Bookworm 12", "description": "Front end", "tags": ["web"], "folder": "/web", "memory": "2 GiB",
    "vcpus": 2, "disks": DISKS, "nics": NICS, "power_state": "running", "wait_for": "tools", "wait_timeout": 30,
}  # fmt: skip
CHANGED = {
    "name": "web01", "memory": "4 GiB", "vcpus": 4, "tags": ["web", "big"], "allow_disruption": True, "prune_disks": True,
    "wait_timeout": 30,
    "disks": [{**DISKS[0], "size": "8 GiB"}, DISKS[1], {"name": "web01 cache", "size": "3 GiB", "sr": "vms", "position": 3}],
    "nics": [*NICS, {"network": NETWORKS[1], "mac": "02:00:00:00:00:02"}],
}  # fmt: skip
Step = tuple[str, dict[str, t.Any]]
CREATE: Step = ("xen_vm", CREATED)
CHANGE: Step = ("xen_vm", CHANGED)
SNAPSHOT: Step = ("xen_snapshot", {"vm": "web01", "name": "before", "description": "the upgrade"})
MIGRATE: Step = ("xen_vm_migrate", {"name": "web01", "host": "xcp01", "sr": "more"})
DELETE: Step = ("xen_vm", {"name": "web01", "state": "absent", "force": True, "allow_disruption": True, "snapshots": "delete"})
# a story: what was done before, and the step that is interrupted
STORIES: dict[str, tuple[list[Step], Step]] = {
    "create": ([], CREATE),
    "change": ([CREATE], CHANGE),
    "snapshot": ([CREATE], SNAPSHOT),
    "migrate": ([CREATE], MIGRATE),
    "delete": ([CREATE, SNAPSHOT], DELETE),
}
# so many changing calls a step makes that nobody interrupts; held by the first test
POINTS = {"create": 20, "change": 14, "snapshot": 2, "migrate": 2, "delete": 9}
WAYS = ("cut before the call took effect", "cut after the call took effect", "refused", "the control node died during the call")


class Lab:
    """A pool of two hosts with two SRs that both have."""

    def __init__(self) -> None:
        self.sim = InProcess(site.build(site.load("examples"), speed=0)).start()
        for name, path in (("vms", "/export/vms"), ("more", "/export/more")):
            self.run("xen_sr", {"name": name, "type": "nfs", "server": "127.40.0.10", "path": path})
        self.host = next(h.name for h in self.sim.hosts)

    def run(self, name: str, options: dict[str, t.Any]) -> dict[str, t.Any]:
        module: seam.Module = __import__(f"{MODULES}.{name}", fromlist=["MODULE"]).MODULE
        known = validated(module, {**reach(self.sim), **options})
        with seam.session_for(known) as session:
            return module.run(session, known, False)

    def begin(self, before: list[Step]) -> None:
        for name, options in before:
            self.run(name, {**options, **({"host": self.host} if "power_state" in options else {})})

    def start(self, step: Step, folder: Path) -> subprocess.Popen[bytes]:
        """The module as a process of its own."""
        arguments = folder / "arguments.json"
        arguments.write_text(json.dumps({"ANSIBLE_MODULE_ARGS": {**reach(self.sim), **step[1]}}))
        command = [sys.executable, "-m", f"{MODULES}.{step[0]}", str(arguments)]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)

    def state(self) -> dict[str, t.Any]:
        """VMs, snapshots and disks as an administrator sees them, without what is another each time."""
        vms = [_plain(vm) for vm in self.run("xen_vm_info", {})["vms"]]
        with self.sim.world.lock:
            db = self.sim.world.pools[0].db
            snapshots = sorted(vm["name_label"] for vm in db.all("VM").values() if vm["is_a_snapshot"])
            unfinished = [vm["name_label"] for vm in db.all("VM").values() if "unfinished" in vm["name_label"]]
            used = {vbd["VDI"] for vbd in db.all("VBD").values()}
            disks = [vdi for ref, vdi in db.all("VDI").items() if vdi["type"] == "user" and vdi["managed"]]
            orphans = [
                vdi["name_label"] for ref, vdi in db.all("VDI").items() if ref not in used and vdi["type"] == "user" and vdi["managed"]
            ]
            on = sorted(
                db.get("host", vm["resident_on"])["name_label"]
                for vm in db.all("VM").values()
                if vm["name_label"] == "web01" and vm["domid"] > 0
            )
        return {"vms": vms, "snapshots": snapshots, "unfinished": unfinished, "disks": len(disks), "orphans": orphans, "on": on}


def _plain(value: t.Any) -> t.Any:
    if isinstance(value, dict):
        return {key: _plain(v) for key, v in value.items() if key not in ("uuid", "vdi")}
    return [_plain(v) for v in value] if isinstance(value, list) else value


@functools.cache
def undisturbed(story: str) -> tuple[dict[str, t.Any], int]:
    """The end state and the number of changing calls of a step nobody interrupts."""
    before, step = STORIES[story]
    lab = Lab()
    try:
        lab.begin(before)
        mark = lab.sim.mark()
        lab.run(*step)
        return lab.state(), len(lab.sim.calls(mark))
    finally:
        lab.sim.stop()


def interrupt(lab: Lab, step: Step, way: str, nth: int, folder: Path) -> None:
    faults = lab.sim.faults
    if way.startswith("cut"):
        (faults.cut_before_change if way.startswith("cut before") else faults.cut_after_change)(nth)
        with contextlib.suppress(XenError):  # it reads, plans again and goes on by itself where that can be
            lab.run(*step)
    elif way == "refused":
        faults.add("fail", None, nth=nth, error=["INTERNAL_ERROR", "out of luck"])
        with contextlib.suppress(XenError):  # a clean shutdown that is refused is followed by a forced one, as the task allows it
            lab.run(*step)
    else:
        _kill(lab, step, nth, folder)
    faults.clear()


def _kill(lab: Lab, step: Step, nth: int, folder: Path) -> None:
    strike, left = lab.sim.faults.strike, [nth]
    process = lab.start(step, folder)

    def struck(method: str, changing: bool) -> t.Any:
        left[0] -= changing
        if left[0] == 0 and changing:
            os.killpg(process.pid, signal.SIGKILL)
        return strike(method, changing)

    lab.sim.faults.strike = struck  # type: ignore[method-assign]
    try:
        process.communicate(timeout=120)
        assert process.returncode == -signal.SIGKILL, "the run was not interrupted"
    finally:
        lab.sim.faults.strike = strike  # type: ignore[method-assign]
    _settle(lab)


def _settle(lab: Lab) -> None:
    """The call that was under way goes on when its caller is dead."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        with lab.sim.world.lock:
            if not [task for task in lab.sim.world.pools[0].db.all("task").values() if task["status"] == "pending"]:
                return
        time.sleep(0.01)


@pytest.mark.parametrize("story", STORIES)
def test_every_changing_call_is_an_interruption_point(story: str) -> None:
    assert undisturbed(story)[1] == POINTS[story]


@pytest.mark.parametrize(("story", "nth"), [(story, nth) for story, points in POINTS.items() for nth in range(1, points + 1)])
@pytest.mark.parametrize("way", WAYS)
def test_the_next_run_ends_where_an_undisturbed_one_does(tmp_path: Path, story: str, nth: int, way: str) -> None:
    before, step = STORIES[story]
    lab = Lab()
    try:
        lab.begin(before)
        interrupt(lab, step, way, nth, tmp_path)
        lab.run(*step)
        assert lab.state() == undisturbed(story)[0]
        assert invariants.check(lab.sim.world) == []
        assert lab.run(*step)["changed"] is False
    finally:
        lab.sim.stop()
