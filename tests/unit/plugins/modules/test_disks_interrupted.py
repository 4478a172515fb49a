# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is done to disks, and every way from and to a file, is interrupted at each changing call in turn; the next run finishes it."""

from __future__ import annotations

import functools
import hashlib
import os
import signal
import typing as t
from pathlib import Path

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.formats import xva
from ansible_collections.domzero.xen.tests.simulator import invariants

from .test_xen_vm_interrupted import WAYS, Lab, Step, interrupt

pytestmark = pytest.mark.slow

MIB = 1 << 20
SYSTEM, DATA, LOG = ({"name": name, "size": f"{size} MiB", "sr": "vms"} for name, size in (("system", 8), ("data", 6), ("log", 4)))
WEB: Step = (
    "xen_vm",
    {"name": "web01", "template": "Other install media", "disks": [SYSTEM, DATA, LOG], "xenstore_data": {"vm-data/sim-agent": "10.0.0.60"}},
)
RUNS: Step = ("xen_vm", {"name": "web01", "power_state": "running"})
LOOSE: Step = ("xen_vdi", {"name": "loose", "size": "6 MiB", "sr": "vms", "tags": ["t"], "other_config": {"a": "b"}})
EXPORTED: Step = ("xen_vm_export", {"name": "web01", "dest": "FOLDER/web01.xva"})
IMAGE = "FOLDER/disk.img"


def disks(*given: dict[str, t.Any], **more: t.Any) -> Step:
    return "xen_vm", {"name": "web01", "disks": list(given), **more}


def disk(name: str, **more: t.Any) -> Step:
    return "xen_vdi", {"name": name, **more}


# a story: what was done before, and the step that is interrupted
STORIES: dict[str, tuple[list[Step], Step]] = {
    "a running VM gets a disk": ([WEB, RUNS], disks({"name": "new", "size": "2 MiB", "sr": "vms", "cbt": True})),
    "a running VM gets one that is there": ([WEB, RUNS, LOOSE], disks({"vdi": "loose", "size": "8 MiB"})),
    "a disk grows": ([WEB], disks({"name": "data", "size": "12 MiB", "tags": ["big"], "mode": "ro"})),
    "a disk of a running VM moves": ([WEB, RUNS], disks({"name": "data", "sr": "more", "tags": ["t"], "other_config": {"a": "b"}})),
    "a disk of a halted VM moves and grows": ([WEB], disks({"name": "data", "sr": "more", "size": "12 MiB", "cbt": True})),
    "disks change places": ([WEB], disks({"name": "system", "position": 1}, {"name": "data", "position": 0})),
    "a running VM loses disks": ([WEB, RUNS], disks({"name": "system"}, prune_disks=True)),
    "a VM goes and its kept disk stays": (
        [WEB, disks({"name": "data", "keep": True})],
        ("xen_vm", {"name": "web01", "state": "absent"}),
    ),
    "a disk is made and attached": ([WEB, RUNS], disk("new", size="2 MiB", sr="vms", cbt=True, attached_to=[{"vm": "web01"}])),
    "a disk is copied": ([LOOSE], disk("copy", source="loose", sr="more", size="12 MiB")),
    "a disk's snapshot is taken": ([WEB, RUNS], disk("before", snapshot_of="data", tags=["s"])),
    "a disk nobody has moves": ([LOOSE], disk("loose", sr="more", move=True)),
    "a disk that is used moves": ([WEB, RUNS], disk("data", sr="more", move=True)),
    "a disk goes from one VM to another": (
        [WEB, ("xen_vm", {"name": "web02", "template": "Other install media"})],
        disk("data", size="12 MiB", attached_to=[{"vm": "web02", "position": 3}]),
    ),
    "a disk goes": ([LOOSE], disk("loose", state="absent")),
    "an image becomes a disk": ([], ("xen_vdi_import", {"src": IMAGE, "name": "image", "sr": "vms", "description": "x"})),
    "an image is written over a disk": ([LOOSE], ("xen_vdi_import", {"src": IMAGE, "name": "loose", "size": "12 MiB", "overwrite": True})),
    "a running VM becomes a file": ([WEB, RUNS], EXPORTED),
    "a file becomes a VM": ([WEB, EXPORTED], ("xen_vm_import", {"src": "FOLDER/web01.xva", "name": "web02", "sr": "more"})),
}
# what goes over a connection of its own, and its path
TRANSFERS: dict[str, tuple[list[Step], Step, str]] = {
    "a disk becomes a file": (
        [LOOSE],
        ("xen_vdi_export", {"name": "loose", "dest": "FOLDER/loose.img", "format": "raw"}),
        "/export_raw_vdi",
    ),
    "a halted VM becomes a file": ([WEB], EXPORTED, "/export"),
    **{story: (*STORIES[story], "/export") for story in ("a running VM becomes a file",)},
    **{story: (*STORIES[story], "/import") for story in ("a file becomes a VM",)},
    **{story: (*STORIES[story], "/import_raw_vdi") for story in ("an image becomes a disk", "an image is written over a disk")},
}
# so many changing calls a step makes that nobody interrupts; held by the first test
POINTS: dict[str, int] = {
    "a running VM gets a disk": 6,
    "a running VM gets one that is there": 4,
    "a disk grows": 3,
    "a disk of a running VM moves": 5,
    "a disk of a halted VM moves and grows": 5,
    "disks change places": 3,
    "a running VM loses disks": 4,
    "a VM goes and its kept disk stays": 3,
    "a disk is made and attached": 4,
    "a disk is copied": 3,
    "a disk's snapshot is taken": 6,
    "a disk nobody has moves": 4,
    "a disk that is used moves": 3,
    "a disk goes from one VM to another": 3,
    "a disk goes": 1,
    "an image becomes a disk": 3,
    "an image is written over a disk": 4,
    "a running VM becomes a file": 8,
    "a file becomes a VM": 2,
}


def placed(step: Step, folder: Path) -> Step:
    name, options = step
    return name, {key: value.replace("FOLDER", str(folder)) if isinstance(value, str) else value for key, value in options.items()}


class Disks(Lab):
    def prepare(self, story: str, folder: Path) -> Step:
        """The step that is to be interrupted."""
        (folder / "disk.img").write_bytes(b"image" * (2 * MIB // 5))
        before, step = (STORIES.get(story) or TRANSFERS[story])[:2]
        for one in before:
            self.run(*placed(one, folder))
            if one[0] != "xen_vm_export":
                self._fill()
        return placed(step, folder)

    def _fill(self) -> None:
        """Each disk holds something of its own."""
        for vdi in self.sim.world.pools[0].db.all("VDI").values():
            if vdi["type"] in ("user", "system") and vdi["managed"] and not vdi["is_a_snapshot"]:
                self.sim.disks.fill(vdi["uuid"], 0, MIB, vdi["name_label"])

    def seen(self, folder: Path) -> dict[str, t.Any]:
        """What an administrator sees, with what is on the disks and in the files, without what is another each time."""
        with self.sim.world.lock:
            rows = [v for v in self.sim.world.pools[0].db.all("VDI").values() if v["type"] in ("user", "system") and v["managed"]]
            vdis = [
                (v["name_label"], v["virtual_size"], v["is_a_snapshot"], sorted(v["tags"]), self.sim.disks.digest(v["uuid"])) for v in rows
            ]
        marks = sorted(
            key for v in rows for key in v["other_config"] if key.startswith("domzero") and not key.endswith(("moved_from", "imported"))
        )
        files = sorted(path.name for path in folder.iterdir() if path.name != "arguments.json")
        exports = [xva.verify(path).blocks for path in folder.glob("*.xva")]
        state = self.state()
        for vm in state["vms"]:
            vm["other_config"].pop("domzero.xen:import", None)  # of the file, which is another each time
        return {**state, "vdis": sorted(vdis), "marks": marks, "files": files, "exports": exports}


def _count(lab: Lab) -> list[str]:
    """The changing calls from now on, those that begin and end the task of a transfer too."""
    strike, counted = lab.sim.faults.strike, list[str]()

    def struck(method: str, changing: bool) -> t.Any:
        if changing:
            counted.append(method)
        return strike(method, changing)

    lab.sim.faults.strike = struck  # type: ignore[method-assign]
    return counted


@functools.cache
def undisturbed(story: str, folder: Path) -> tuple[dict[str, t.Any], int]:
    """The end state and the number of changing calls of a step nobody interrupts."""
    lab = Disks()
    try:
        step, counted = lab.prepare(story, folder), _count(lab)
        lab.run(*step)
        return lab.seen(folder), len(counted)
    finally:
        lab.sim.stop()


@pytest.fixture
def plain(tmp_path_factory: pytest.TempPathFactory) -> t.Callable[[str], tuple[dict[str, t.Any], int]]:
    def plain(story: str) -> tuple[dict[str, t.Any], int]:
        base = tmp_path_factory.getbasetemp() / f"plain-{hashlib.sha256(story.encode()).hexdigest()[:8]}"
        base.mkdir(exist_ok=True)
        return undisturbed(story, base)

    return plain


@pytest.mark.parametrize("story", STORIES)
def test_every_changing_call_is_an_interruption_point(plain: t.Any, story: str) -> None:
    assert plain(story)[1] == POINTS[story]


@pytest.mark.parametrize(("story", "nth"), [(story, nth) for story, points in POINTS.items() for nth in range(1, points + 1)])
@pytest.mark.parametrize("way", WAYS)
def test_the_next_run_ends_where_an_undisturbed_one_does(plain: t.Any, tmp_path: Path, story: str, nth: int, way: str) -> None:
    lab = Disks()
    try:
        step = lab.prepare(story, tmp_path)
        interrupt(lab, step, way, nth, tmp_path)
        lab.run(*step)
        assert lab.seen(tmp_path) == plain(story)[0]
        assert invariants.check(lab.sim.world) == []
        assert lab.run(*step)["changed"] is False
    finally:
        lab.sim.stop()


def _kill_while_it_moves(lab: Lab, step: Step, path: str, size: int, folder: Path) -> None:
    """The process dies when so many bytes have gone over the wire: its next call is never answered."""
    faults, began = lab.sim.faults, list[str]()
    strike, limit = faults.strike, faults.transfer_limit
    faults.cut_transfer(path, size)
    process = lab.start(step, folder)

    def limited(path: str) -> int | None:
        began.append(path)
        return limit(path)

    def struck(method: str, changing: bool) -> t.Any:
        if began:
            os.killpg(process.pid, signal.SIGKILL)
        return strike(method, changing)

    faults.transfer_limit, faults.strike = limited, struck  # type: ignore[method-assign]
    try:
        process.communicate(timeout=120)
        assert process.returncode == -signal.SIGKILL, "the run was not interrupted"
    finally:
        faults.transfer_limit, faults.strike = limit, strike  # type: ignore[method-assign]
    faults.clear()


@pytest.mark.parametrize("story", TRANSFERS)
@pytest.mark.parametrize("size", [0, MIB])
def test_a_task_that_is_killed_during_a_transfer_is_finished_by_the_next(plain: t.Any, tmp_path: Path, story: str, size: int) -> None:
    lab = Disks()
    try:
        step = lab.prepare(story, tmp_path)
        _kill_while_it_moves(lab, step, TRANSFERS[story][2], size, tmp_path)
        lab.run(*step)
        assert lab.seen(tmp_path) == plain(story)[0]
        assert invariants.check(lab.sim.world) == []
        assert lab.run(*step)["changed"] is False
    finally:
        lab.sim.stop()
