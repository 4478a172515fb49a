# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an increment builds on, and why a backup is whole where it cannot."""

from __future__ import annotations

import dataclasses
import os
import re
import typing as t
from pathlib import Path

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.backup import manifest
from ansible_collections.domzero.xen.plugins.module_utils.backup.verdict import Verdict
from ansible_collections.domzero.xen.plugins.module_utils.errors import XenError
from ansible_collections.domzero.xen.plugins.module_utils.resources.backup.grounds import MOST_FILES

from ..conftest import Start
from ..meanwhile import meanwhile
from .backup_lab import Backups
from .transfer_lab import MIB


@pytest.fixture
def lab(simulator: Start, session_to: t.Any, run: t.Any, tmp_path: Path) -> Backups:
    sim = simulator(1)
    return Backups(sim, session_to(sim), run, tmp_path / "repository")


def ref_of(lab: Backups, name: str) -> str:
    (found,) = [ref for ref, v in lab.db.all("VDI").items() if v["name_label"] == name and not v["is_a_snapshot"] and v["managed"]]
    return str(found)


def base(lab: Backups) -> str:
    (found,) = [ref for ref, r in lab.db.all("VM").items() if r["snapshot_of"] == lab.web01 and r["name_label"].startswith("domzero")]
    return str(found)


def deleted(lab: Backups) -> None:
    for vbd in lab.record(base(lab))["VBDs"]:
        lab.call("VDI.destroy", lab.record(vbd, "VBD")["VDI"])
    lab.call("VM.destroy", base(lab))


def one_disk_deleted(lab: Backups) -> None:
    vbds = [lab.record(vbd, "VBD") for vbd in lab.record(base(lab))["VBDs"]]
    lab.call("VDI.destroy", next(vbd["VDI"] for vbd in vbds if vbd["userdevice"] == "1"))


def resized(lab: Backups) -> None:
    lab.call("VDI.resize", ref_of(lab, "disk 1"), 14 * MIB)


def reverted(lab: Backups) -> None:
    """To a snapshot that is older than the base."""
    lab.call("VM.revert", lab.db.one("VM", name_label="early"))


def replaced(lab: Backups) -> None:
    (vbd,) = [v for v in lab.record(lab.web01)["VBDs"] if lab.record(v, "VBD")["userdevice"] == "1"]
    lab.call("VBD.destroy", vbd)
    lab.attach(lab.web01, lab.vdi("other", size=10 * MIB), 1)


def missing(lab: Backups) -> None:
    (lab.newest().path / "disk1.vhd").unlink()


def short(lab: Backups) -> None:
    os.truncate(lab.newest().path / "disk0.vhd", 5000)


def spoilt(lab: Backups) -> None:
    path = lab.newest().path / "manifest.json"
    path.write_bytes(path.read_bytes().replace(b'"number": 1', b'"number": 2'))


def bad(lab: Backups) -> None:
    subject: t.Any = lab.subject()
    with subject.lock("verify"):
        subject.newest().judge(Verdict("2026-11-21T00:00:00Z", "checksum", False, "disk0.vhd is not what it was."))


EVENTS: list[tuple[t.Callable[[Backups], None], str]] = [
    (deleted, r"the snapshot of backup \w+ is not on the pool any more"),
    (reverted, r"the VM was reverted to a state before backup \w+"),
    (short, r"backup \w+, the one before, cannot be used: .*disk0\.vhd"),
    (one_disk_deleted, r"the snapshot of disk 'disk 1' \(xvdb\) is not on the pool any more"),
    (resized, r"disk 'disk 1' \(xvdb\) was resized"),
    (replaced, r"disk 'other' \(xvdb\) has taken the place of 'disk 1'"),
    (missing, r"backup \w+, the one before, cannot be used: .*disk1\.vhd"),
    (spoilt, r"backup \w+, the one before, cannot be used: .*checksum does not fit"),
    (bad, r"backup \w+, the one before, cannot be used: .*disk0\.vhd is not what it was"),
]


@pytest.mark.parametrize(
    ("event", "reason"),
    [*EVENTS[:3], *(pytest.param(*event, marks=pytest.mark.slow) for event in EVENTS[3:])],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_it_is_whole_where_nothing_is_there_to_build_on(lab: Backups, event: t.Callable[[Backups], None], reason: str) -> None:
    lab.call("VM.snapshot", lab.web01, "early")
    lab.backs_up()
    event(lab)
    lab.write(1)
    done = lab.backs_up()
    assert re.search(reason, done["reason"]), done["reason"]
    assert done["backup"]["parent"] == ""
    assert set(lab.hows().values()) == {"full"}
    assert lab.manifest().details["reason"] == done["reason"]
    assert lab.read_back() == lab.contents(lab.web01)
    assert [name for name in lab.snapshots(lab.web01) if name != "early"] == [lab.record(base(lab))["name_label"]]
    lab.write(2)
    assert lab.backs_up()["reason"] == "", "and the next one builds on it"
    assert lab.read_back() == lab.contents(lab.web01)


@pytest.mark.slow
def lengthened(lab: Backups, count: int) -> None:
    """The newest builds on so many others, which hold nothing that it needs."""
    newest = lab.newest()
    assert newest.manifest
    made: list[str] = []
    for number in range(1, count + 1):
        stamp = f"20200101T{number:06}Z"
        folder = newest.path.with_name(stamp)
        folder.mkdir(exist_ok=True)
        fields: dict[str, t.Any] = {"stamp": stamp, "id": stamp, "number": number, "files": (), "parent": made[-1] if made else ""}
        (folder / "manifest.json").write_bytes(manifest.dump(dataclasses.replace(newest.manifest, **fields, disks=())))
        made.append(stamp)
    longer = dataclasses.replace(newest.manifest, number=count + 1, parent=made[-1])
    (newest.path / "manifest.json").write_bytes(manifest.dump(longer))


def test_a_chain_that_could_not_be_opened_at_once_gets_no_longer(lab: Backups) -> None:
    lab.run()
    lengthened(lab, 198)
    assert lab.run(check=True)["reason"] == ""
    lengthened(lab, 199)
    assert len(lab.newest().chain()) * len(lab.disk_uuids(lab.web01)) == MOST_FILES
    assert lab.run(check=True)["reason"] == f"what it would build on is of {MOST_FILES} files or more"


def test_going_back_to_the_base_itself_or_a_later_state_of_the_same_disks_is_seen(lab: Backups) -> None:
    lab.backs_up()
    lab.write(1)
    lab.call("VM.revert", base(lab))
    done = lab.backs_up()
    assert "has taken the place of" in done["reason"], "a revert replaces the disks"
    assert lab.read_back() == lab.contents(lab.web01)


def test_disks_come_and_go(lab: Backups) -> None:
    lab.backs_up()
    lab.attach(lab.web01, lab.vdi("new", size=4 * MIB), 5)
    lab.sim.disks.fill(lab.disk_uuids(lab.web01)["5"], 0, MIB, "new")
    done = lab.backs_up()
    assert (done["reason"], lab.hows()) == ("", {"0": "delta", "1": "delta", "5": "full"})
    assert lab.read_back() == lab.contents(lab.web01)
    (vbd,) = [v for v in lab.record(lab.web01)["VBDs"] if lab.record(v, "VBD")["userdevice"] == "0"]
    lab.call("VBD.destroy", vbd)
    done = lab.backs_up()
    assert (done["reason"], lab.hows()) == ("", {"1": "delta", "5": "delta"})
    assert lab.read_back() == lab.contents(lab.web01)


@pytest.mark.slow
def test_a_disk_is_known_wherever_it_is_attached(lab: Backups) -> None:
    lab.backs_up()
    (vbd,) = [v for v in lab.record(lab.web01)["VBDs"] if lab.record(v, "VBD")["userdevice"] == "1"]
    lab.call("VBD.destroy", vbd)
    lab.attach(lab.web01, ref_of(lab, "disk 1"), 7)
    lab.write(1)
    done = lab.backs_up()
    assert (done["reason"], lab.hows()) == ("", {"0": "delta", "7": "delta"})
    assert lab.read_back() == lab.contents(lab.web01)


@pytest.mark.slow
def test_snapshots_of_others_between_two_backups_do_no_harm(lab: Backups) -> None:
    lab.backs_up()
    lab.write(1)
    between = lab.call("VM.snapshot", lab.web01, "mine")
    lab.write(2)
    assert lab.backs_up()["reason"] == ""
    assert lab.read_back() == lab.contents(lab.web01)
    for vbd in lab.record(between)["VBDs"]:
        lab.call("VDI.destroy", lab.record(vbd, "VBD")["VDI"])
    lab.call("VM.destroy", between)
    lab.write(3)
    assert lab.backs_up()["reason"] == ""
    assert lab.read_back() == lab.contents(lab.web01)


@pytest.mark.slow
def test_a_full_one_between_does_not_matter(lab: Backups) -> None:
    first = lab.backs_up()["backup"]["stamp"]
    lab.write(1)
    lab.backs_up(mode="full")
    done = lab.backs_up()
    assert (done["reason"], done["backup"]["parent"]) == ("", first)
    assert lab.read_back() == lab.contents(lab.web01)


@pytest.mark.slow
def test_the_snapshot_of_a_vm_that_was_lost_goes_when_it_is_back(lab: Backups) -> None:
    lab.backs_up()
    disks = [lab.record(vbd, "VBD")["VDI"] for vbd in lab.record(lab.web01)["VBDs"]]
    lab.call("VM.destroy", lab.web01)
    for vdi in disks:
        lab.call("VDI.destroy", vdi)
    lab._run("xen_restore", repository=str(lab.folder), kind="vm", name="web01", preserve=True)
    lab.web01 = lab.db.one("VM", name_label="web01", is_a_snapshot=False)
    done = lab.backs_up()
    assert re.fullmatch(r"the VM was made anew since backup \w+", done["reason"])
    assert lab.read_back() == lab.contents(lab.web01)
    assert [r["name_label"] for r in lab.db.all("VM").values() if r["is_a_snapshot"]] == lab.snapshots(lab.web01)
    assert len(lab.snapshots(lab.web01)) == 1


def mine(lab: Backups, vm: str) -> str:
    """A snapshot that a person took."""
    return str(lab.call("VM.snapshot", vm, "before the migration"))


def test_snapshots_of_a_vm_that_was_made_of_a_base_are_its_owners(lab: Backups) -> None:
    """It has inherited the mark, and hands it on to its own snapshots."""
    lab.backs_up()
    clone = lab.call("VM.clone", base(lab), "web02")
    lab.call("VM.set_is_a_template", clone, False)
    kept = mine(lab, clone)
    for _turn in range(2):
        predicted, done = lab.run(name="web02", check=True), lab.run(name="web02")
        assert predicted["operations"] == done["operations"]
        assert done["operations"][:3] == ["VM.snapshot", "VM.remove_from_other_config", "VM.add_to_other_config"]
        assert "VM.destroy" not in done["operations"] or done["reason"] == ""
        assert lab.record(kept)["snapshot_of"] == clone
        assert lab.contents(kept) == lab.contents(clone)
    assert lab.backs_up()["reason"] == ""


def test_snapshots_of_a_vm_that_came_out_of_a_full_backup_are_its_owners(lab: Backups, run: t.Any, tmp_path: Path) -> None:
    lab.start()
    lab.backs_up(mode="full")
    copy = tmp_path / "copy.xva"
    copy.write_bytes((lab.newest().path / "vm.xva").read_bytes())
    run("xen_vm_import", src=str(copy), name="copy01")
    vm = lab.db.one("VM", name_label="copy01")
    kept = mine(lab, vm)
    assert lab.run(name="copy01", mode="incremental")["changed"]
    assert lab.record(kept)["snapshot_of"] == vm
    assert lab.contents(kept) == lab.contents(vm)


def test_a_base_that_the_vm_went_back_to_marks_nothing_else(lab: Backups) -> None:
    lab.backs_up()
    lab.call("VM.revert", base(lab))
    kept = mine(lab, lab.web01)
    assert lab.backs_up()["changed"]
    assert lab.record(kept)["name_label"] == "before the migration"


@pytest.mark.parametrize("event", [reverted, resized])
@pytest.mark.parametrize("mode", ["incremental", "full"])
def test_a_disk_that_is_not_what_it_was_when_the_snapshot_is_taken_makes_no_backup(
    lab: Backups, event: t.Callable[[Backups], None], mode: str
) -> None:
    """Somebody reverts the VM, or resizes a disk, after the task has looked."""
    lab.call("VM.snapshot", lab.web01, "early")
    lab.start()
    lab.run()
    lab.write(1)
    files = lab.files()

    def somebody_is_quicker() -> None:
        lab.call("VM.hard_shutdown", lab.web01)
        event(lab)

    with meanwhile("_take", somebody_is_quicker), pytest.raises(XenError, match="was replaced or resized while its backup began"):
        lab.run(mode=mode)
    assert lab.files() == files
    lab.backs_up()
    assert lab.read_back() == lab.contents(lab.web01)


def test_a_disk_of_the_base_that_another_vm_has_stops_no_backup(lab: Backups) -> None:
    """As where somebody looks into it; only what the hosts themselves read is waited for."""
    lab.run()
    rescue, vdi = lab.vm("rescue"), lab.record(lab.record(base(lab))["VBDs"][0], "VBD")["VDI"]
    lab.attach(rescue, vdi, 0)
    lab.call("VM.start", rescue, False, False)
    lab.write(1)
    lab.run()
    assert lab.read_back() == lab.contents(lab.web01)
    assert lab.record(vdi, "VDI")["VBDs"], "it stays where it is used"
