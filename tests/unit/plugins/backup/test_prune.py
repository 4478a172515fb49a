# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backups go, those in the middle of a chain too; what stays reads the same."""

from __future__ import annotations

import os
import resource
import tempfile
import typing as t
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.domzero.xen.plugins.module_utils.backup import absorb, prune
from ansible_collections.domzero.xen.plugins.module_utils.backup.manifest import Who
from ansible_collections.domzero.xen.plugins.module_utils.backup.verdict import Verdict
from ansible_collections.domzero.xen.plugins.module_utils.errors import InvalidChange, XenError

from . import keys
from .prune_lab import Lab, disk_bytes, files

OTHER = Who("1f7e0a52-0000-4000-8000-000000000003", "db")
Told = dict[str, t.Any]


def predicted_and_done(lab: Lab, **rules: t.Any) -> Told:
    """Check mode says what is done then, and changes nothing; a second run has nothing to do."""
    before, size = files(lab.root), disk_bytes(lab.root)
    predicted = lab.prunes(check=True, **rules)
    assert files(lab.root) == before
    done = lab.prunes(**rules)
    assert predicted == done
    assert size - disk_bytes(lab.root) == done["freed"]
    again = lab.prunes(**rules)
    assert (again["changed"], again["operations"], again["freed"]) == (False, [], 0)
    return done


def stamps(rows: t.Iterable[Told]) -> list[str]:
    return [row["stamp"] for row in rows]


def test_the_oldest_ones_go_and_the_next_takes_them_in(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    made = lab.backs_up(4)
    done = predicted_and_done(lab, last=2)
    assert stamps(done["kept"]) == stamps_of(made[2:])
    assert stamps(done["removed"]) == stamps_of(made[:2])
    assert done["merged"] == [
        {**made[0].subject.told(), "stamp": made[2].stamp, "with": [made[1].stamp, made[0].stamp]},
    ]
    lab.all_is_well(stamps_of(made[2:]))
    manifest = lab.subject.backups()[0].manifest
    assert manifest
    assert manifest.parent == ""
    assert [disk.how for disk in manifest.disks] == ["full", "full"]


def stamps_of(backups: t.Iterable[t.Any]) -> list[str]:
    return [backup.stamp for backup in backups]


def test_one_in_the_middle_goes(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    made = lab.backs_up(2) + lab.backs_up(1, days=1) + lab.backs_up(1, days=1)
    done = predicted_and_done(lab, daily=9)
    assert stamps(done["removed"]) == stamps_of(made[1:3])
    lab.all_is_well([made[0].stamp, made[3].stamp])
    newest = lab.subject.backups()[-1].manifest
    assert newest
    assert newest.parent == made[0].stamp
    assert {disk.how for disk in newest.disks} == {"delta"}
    lab.backs_up()
    lab.all_is_well([made[0].stamp, made[3].stamp, lab.subject.backups()[-1].stamp])


@settings(max_examples=6, deadline=None)
@given(st.lists(st.sampled_from(["next", "whole", "branch"]), min_size=2, max_size=5), st.data())
def test_whatever_goes_the_others_read_the_same(history: list[str], data: st.DataObject) -> None:
    """Chains, new whole ones, and two that build on the same one."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as folder:
        lab = Lab(Path(folder))
        for number, how in enumerate(history):
            backups = lab.subject.backups()
            parent = data.draw(st.sampled_from(backups)) if how == "branch" and backups else None
            lab.backs_up(whole=how == "whole", parent=parent, days=number, keep=data.draw(st.booleans()))
        marked = [b.stamp for b in lab.subject.backups() if b.manifest and b.manifest.keep]
        newest = lab.subject.backups()[-1].stamp
        predicted_and_done(lab, last=1)
        lab.all_is_well(sorted({*marked, newest}))


def test_a_disk_that_was_added_and_one_that_was_removed_are_merged_as_they_are(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.backs_up()
    lab.disks["2"] = bytes(lab.size)
    lab.backs_up(2)
    del lab.disks["0"]
    del lab.disks["1"]
    made = lab.backs_up(2)
    predicted_and_done(lab, last=2)
    lab.all_is_well(stamps_of(made))
    first = lab.subject.backups()[0].manifest
    assert first
    assert (first.parent, [(disk.device, disk.how, disk.parent_vhd) for disk in first.disks]) == ("", [("2", "full", "")])


def test_nothing_is_left_to_build_on_where_all_disks_are_new(tmp_path: Path) -> None:
    """The one below stays, but what built on it is gone."""
    lab = Lab(tmp_path)
    first = lab.backs_up(keep=True)[0]
    lab.disks = {"2": bytes(lab.size)}
    lab.backs_up()
    last = lab.backs_up()[0]
    predicted_and_done(lab, last=1)
    lab.all_is_well([first.stamp, last.stamp])
    assert stamps_of(lab.subject.backups()[-1].chain()) == [last.stamp]


def test_whole_ones_go_without_a_merge(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    made = lab.backs_up(3, whole=True)
    done = predicted_and_done(lab, last=1)
    assert done["merged"] == []
    assert done["freed"] == sum(row["size"] for row in done["removed"])
    lab.all_is_well([made[2].stamp])


def test_without_a_rule_nothing_is_done(tmp_path: Path) -> None:
    params: Told = {"time_zone": "UTC", "keep_last": 0, "keep_within": None}
    with pytest.raises(InvalidChange, match="No rule says which backups are to stay"):
        prune.Asked.of(params)


# damage ---------------------------------------------------------------------------------------------------------
def flip(path: Path, place: int = 2000) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("which", [0, 1, 2])
def test_what_is_damaged_is_not_passed_on(tmp_path: Path, which: int) -> None:
    """A bit of a disk's data: only the checksum tells. It gets its verdict; what builds on it can't be used either."""
    lab = Lab(tmp_path)
    made = lab.backs_up(3)
    flip(made[which].path / "disk1.vhd", -3000)
    with pytest.raises(XenError, match=r"disk1\.vhd is damaged: its SHA-256 is not that of its manifest") as caught:
        lab.prunes(last=1)
    assert caught.value.facts["changed"] is False
    backups = lab.subject.backups()
    assert stamps_of(backups) == stamps_of(made)
    assert [backup.state for backup in backups] == ["good"] * which + ["bad"] + ["broken chain"] * (2 - which)
    again = lab.prunes(last=1)
    assert stamps(again["kept"]) == (stamps_of(made) if which == 0 else stamps_of(made[which - 1 :]))


def test_one_that_is_damaged_does_not_stop_the_others(tmp_path: Path) -> None:
    lab, other = Lab(tmp_path), Lab(tmp_path, who=OTHER)
    lab.backs_up(2)
    made = other.backs_up(2)
    flip(lab.subject.backups()[0].path / "disk0.vhd", -3000)
    with pytest.raises(XenError, match=r"The backups of 1 could not be pruned: vm 'web01': .* The other 1 were done") as caught:
        lab.prunes(last=1)
    facts = caught.value.facts
    assert [row["name"] for row in facts["failed"]] == ["web01"]
    assert [row["name"] for row in facts["removed"]] == ["db"]
    assert facts["changed"]
    other.all_is_well([made[1].stamp])


def test_one_that_is_in_use_is_left_alone(tmp_path: Path) -> None:
    lab, other = Lab(tmp_path), Lab(tmp_path, who=OTHER)
    made = lab.backs_up(2)
    other.backs_up(2)
    reader = lab.subject
    with reader.lock("restore", shared=True), pytest.raises(XenError, match=r"Another task .*restore.* works on the backups of VM 'web01'"):
        lab.prunes(last=1)
    lab.all_is_well(stamps_of(made))
    with reader.lock("backup"), pytest.raises(XenError, match="works on the backups of VM 'web01'"):
        lab.prunes(check=True, last=1)


def test_one_that_cannot_be_used_goes_when_a_newer_one_can(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    made = lab.backs_up(2, whole=True)
    subject = lab.subject
    with subject.lock("verify", shared=True):
        subject.backups()[0].judge(Verdict("2026-11-21T22:58:09Z", "checksum", False, "it was changed"))
    done = predicted_and_done(lab, last=5)
    assert [(row["stamp"], row["why"]) for row in done["removed"]] == [(made[0].stamp, ["not usable, and a newer one is"])]


def test_one_whose_manifest_cannot_be_read_stays(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    made = lab.backs_up(2, whole=True)
    flip(made[0].path / "manifest.json", 40)
    done = predicted_and_done(lab, last=1)
    assert stamps(done["kept"]) == stamps_of(made)


def test_no_room_is_told_before_anything_is_written(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.backs_up(2)
    with pytest.raises(XenError, match=r"There is no room in .* to merge"):
        absorb._refuse_without_room(tmp_path, 1 << 60)


def test_a_disk_that_gets_full_on_the_way_changes_nothing(tmp_path: Path) -> None:
    """Here by a limit of the process, which is a thing of the system too."""
    lab = Lab(tmp_path)
    made = lab.backs_up(3)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, limits[1]))
    try:
        with pytest.raises(XenError, match=r"disk0\.merged\.vhd could not be written"):
            lab.prunes(last=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    lab.all_is_well(stamps_of(made))
    predicted_and_done(lab, last=1)
    lab.all_is_well([made[2].stamp])


def test_what_interrupted_tasks_left_is_told_and_goes(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    made = lab.backs_up(1)
    (made[0].path / "disk0.merged.vhd").write_bytes(b"half")
    (lab.subject.path / "20990101T000000Z").mkdir()
    (lab.subject.path / "20990101T000000Z" / "disk0.vhd").write_bytes(b"no manifest")
    done = predicted_and_done(lab, last=1)
    assert done["tidied"] == [str(lab.subject.path / made[0].stamp / "disk0.merged.vhd"), str(lab.subject.path / "20990101T000000Z")]
    assert done["freed"] == len(b"half") + len(b"no manifest")
    lab.all_is_well([made[0].stamp])


# encryption -----------------------------------------------------------------------------------------------------
@keys.needs_age
def test_encrypted_ones_are_merged_and_stay_encrypted(tmp_path: Path) -> None:
    (tmp_path / "r").mkdir()
    encryption, identity = keys.age_key(tmp_path)
    lab = Lab(tmp_path / "r", encryption=encryption, identity=identity)
    made = lab.backs_up(3)
    for told in ("is encrypted with age", "cannot be read"):
        with pytest.raises(XenError, match=told):
            lab.prunes(check=True, last=2, identity="" if told.startswith("is") else "/nowhere")
    predicted_and_done(lab, last=2)
    lab.all_is_well(stamps_of(made[1:]))
    for backup in lab.subject.backups():
        assert backup.manifest
        assert backup.manifest.encryption == encryption
        assert backup.file("disk0.vhd.age").read_bytes().startswith(b"age-encryption.org/v1")


@keys.needs_age
def test_encrypted_ones_without_a_merge_need_no_key(tmp_path: Path) -> None:
    (tmp_path / "r").mkdir()
    encryption, identity = keys.age_key(tmp_path)
    lab = Lab(tmp_path / "r", encryption=encryption, identity=identity)
    made = lab.backs_up(2, whole=True)
    lab.prunes(last=1, identity="")
    lab.all_is_well([made[1].stamp])


@keys.needs_gpg
def test_merged_by_gpg_what_is_freed_is_about_what_was_said(tmp_path: Path) -> None:
    with keys.gpg_home() as encryption:
        lab = Lab(tmp_path, encryption=encryption)
        made = lab.backs_up(3)
        predicted, done = lab.prunes(check=True, last=1), lab.prunes(last=1)
        assert abs(predicted["freed"] - done["freed"]) < 4096
        assert {**predicted, "freed": 0} == {**done, "freed": 0}
        lab.all_is_well([made[2].stamp])


@keys.needs_age
def test_another_key_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "r").mkdir()
    encryption, identity = keys.age_key(tmp_path)
    _other, wrong = keys.age_key(tmp_path, "other.txt")
    lab = Lab(tmp_path / "r", encryption=encryption, identity=identity)
    made = lab.backs_up(2)
    before = files(tmp_path)
    for check in (True, False):
        with pytest.raises(XenError, match="cannot be opened: no identity matched"):
            lab.prunes(check=check, last=1, identity=wrong)
    assert files(tmp_path) == before
    lab.all_is_well(stamps_of(made))
