# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A backup by changed blocks is interrupted at every changing call, its connection at many places, and guests write all the time."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import threading
import typing as t
from pathlib import Path

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.chains import Chains
from ansible_collections.domzero.xen.plugins.module_utils.formats.vhd_read import Chain
from ansible_collections.domzero.xen.plugins.module_utils.refs import Objects
from ansible_collections.domzero.xen.tests.simulator import invariants
from ansible_collections.domzero.xen.tests.simulator.guest_writes import KEY, writes

from .test_xen_backup_interrupted import Lab, Struck
from .test_xen_vm_interrupted import WAYS, interrupt
from .transfer_lab import MIB

pytestmark = pytest.mark.slow

PART = 64 << 10
CALLS = [
    "VM.snapshot", "VM.add_to_other_config", "VDI.destroy", "VDI.destroy", "VDI.add_to_other_config", "VDI.add_to_other_config",
    "VM.destroy", "VDI.data_destroy", "VDI.data_destroy",
]  # fmt: skip


class Tracked(Lab):
    """web01 runs, its changes are tracked, and it has one backup."""

    def begin(self) -> None:
        self.track()
        super().begin()

    def good(self, **params: t.Any) -> None:
        """A backup that is right, beside earlier ones that still are; of their snapshots only what is to be."""
        stamp = self.run(**params)["backup"]["stamp"]
        self.held[stamp] = self.contents(self.web01)
        self.is_clean(tasks=False)
        backups = {backup.stamp: backup for backup in self.backups()}
        assert [backup.state for backup in backups.values()] == ["good"] * len(backups)
        for known, contents in self.held.items():
            assert self.read_back(backups[known]) == contents
        assert self.snapshots(self.web01) == []
        assert len([v for v in self.db.all("VDI").values() if v["is_a_snapshot"]]) == 2


@pytest.fixture
def lab(tmp_path: Path) -> t.Iterator[Tracked]:
    made = Tracked(tmp_path)
    try:
        made.begin()
        yield made
    finally:
        made.stop()


def changing(lab: Tracked) -> list[str]:
    mark = lab.sim.mark()
    lab.run()
    return [call["method"] for call in lab.sim.calls(mark) if "error" not in call and not call["method"].startswith(("task.", "http"))]


def test_these_are_the_calls_that_can_be_interrupted(lab: Tracked) -> None:
    assert changing(lab) == CALLS


@pytest.mark.parametrize("way", WAYS)
def test_whichever_call_is_interrupted_the_next_run_makes_a_good_one(lab: Tracked, tmp_path: Path, way: str) -> None:
    for nth in range(1, len(CALLS) + 1):
        lab.write(nth + 10)
        try:
            interrupt(Struck(lab), lab.step({}), way, nth, tmp_path)  # type: ignore[arg-type]
            lab.write(nth + 30)
            lab.good()
        except BaseException as e:
            e.add_note(f"call {nth}: {CALLS[nth - 1]}")
            raise


def cut_at(size: int) -> list[int]:
    """All of the greeting's borders, then places here and there."""
    return sorted({0, 1, 8, 17, 18, 19, 37, 38, 39, 57, 58, 59, 172, 173, 180, 189, *range(200, size, size // 45), size - 1})


def test_wherever_the_connection_is_cut_the_increment_goes_on(lab: Tracked) -> None:
    """Another connection brings the rest: nothing is read twice but what was on its way."""
    first = lab.disk_uuids(lab.web01)["0"]
    places = cut_at(3 * MIB + 1000)
    assert len(places) >= 55
    for at in places:
        lab.sim.disks.fill(first, PART * (at % 7), 3 * MIB, f"cut at {at}")
        lab.sim.faults.cut_transfer("nbd", at)
        done = lab.run()
        assert ("warnings" in done, lab.hows()) == (False, {"0": "cbt", "1": "cbt"}), at
        assert lab.sim.faults.transfers == [], at
        assert lab.read_back() == lab.contents(lab.web01), at
    lab.good()


@pytest.mark.parametrize("size", [0, 300, MIB])
def test_a_run_that_is_killed_while_it_reads(lab: Tracked, tmp_path: Path, size: int) -> None:
    """The disk is let go of by the host; the next run waits for that, and is good."""
    first = lab.disk_uuids(lab.web01)["0"]
    lab.sim.disks.fill(first, 0, 4 * MIB, "killed")
    process = Struck(lab).start(lab.step({}), tmp_path)
    limit = lab.sim.faults.transfer_limit

    def kill() -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)

    def limited(path: str) -> int | None:
        if path != "nbd":
            return limit(path)
        threading.Timer(0.05 if size else 0, kill).start()
        return size

    lab.sim.faults.transfer_limit = limited  # type: ignore[method-assign]
    process.communicate(timeout=60)
    lab.sim.faults.transfer_limit = limit  # type: ignore[method-assign]
    assert process.returncode == -signal.SIGKILL, "the run was not interrupted"
    lab.write(5)
    lab.good()


def test_the_toolstack_restarts_while_it_reads(lab: Tracked) -> None:
    """The session is gone, and the connection with it: the rest is read in another session."""
    lab.sim.disks.fill(lab.disk_uuids(lab.web01)["0"], 0, 4 * MIB, "restart")
    lab.sim.faults.cut_transfer("nbd", 2 * MIB)
    limit = lab.sim.faults.transfer_limit

    def limited(path: str) -> int | None:
        found = limit(path)
        if found is not None:
            threading.Timer(0.01, ended).start()
        return found

    def ended() -> None:
        with lab.sim.world.lock:
            for ref in list(lab.db.all("session")):
                lab.db.destroy("session", ref)

    lab.sim.faults.transfer_limit = limited  # type: ignore[method-assign]
    done = lab.run()
    lab.sim.faults.transfer_limit = limit  # type: ignore[method-assign]
    lab.session = None
    assert ("warnings" in done, lab.hows()) == (False, {"0": "cbt", "1": "cbt"})
    lab.good()


def held(lab: Tracked, place: str) -> bytes:
    """Of a disk of the newest backup."""
    newest = lab.newest()
    assert newest.manifest
    device = next(disk for disk in newest.manifest.disks if disk.device == place)
    files, wanted = [newest.path / device.file], device.parent_vhd
    for parent in newest.chain()[1:]:
        known = next((d for d in parent.manifest.disks if d.vhd == wanted), None)  # type: ignore[union-attr]
        if known:
            files.append(parent.path / known.file)
            wanted = known.parent_vhd
    with Chain(files) as chain:
        return chain.read(0, device.virtual_size)


@pytest.mark.parametrize("cbt", ["auto", "never"])
def test_guests_that_write_all_the_time_are_backed_up_as_they_were_at_one_moment(tmp_path: Path, cbt: str) -> None:
    """What a backup holds is what there was after so many of the guest's writes, none missing and none too many."""
    lab = Tracked(tmp_path)
    try:
        uuids = lab.disk_uuids(lab.web01)
        state = {place: bytearray(lab.sim.disks.read(uuid)) for place, uuid in uuids.items()}
        sources = {place: writes("busy", place, len(data)) for place, data in state.items()}
        lab.track()
        lab.call("VM.add_to_xenstore_data", lab.web01, KEY, f"busy {2 * MIB}")
        lab.start_vm()
        for _turn in range(6):
            lab.run(cbt=cbt)
            for place, data in state.items():
                found = held(lab, place)
                for _write in itertools.count():
                    if data == found:
                        break
                    offset, piece = next(sources[place])
                    data[offset : offset + len(piece)] = piece
                    assert _write < 2000, f"disk {place} is not as it was at any moment"
        wanted = {"0": "cbt", "1": "cbt"} if cbt == "auto" else {"0": "delta", "1": "delta"}
        assert lab.hows() == wanted
        assert invariants.check(lab.sim.world) == []
        chains = Chains(Objects(lab.session))
        assert chains.longest(lab.db.one("VDI", uuid=uuid) for uuid in uuids.values()) <= 3, "what snapshots left is coalesced"
    finally:
        lab.stop()
