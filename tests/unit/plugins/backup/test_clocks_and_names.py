# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clocks that jump, names that nobody expects, and things in the folders that are not ours."""

from __future__ import annotations

import shutil
import tempfile
import uuid
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.domzero.xen.plugins.module_utils.backup import names
from ansible_collections.domzero.xen.plugins.module_utils.backup.manifest import Who
from ansible_collections.domzero.xen.plugins.module_utils.backup.repository import Repository
from ansible_collections.domzero.xen.plugins.module_utils.errors import InvalidChange, XenError
from ansible_collections.domzero.xen.plugins.module_utils.formats.compression import Damaged

from .shelf import NOON, POOL, VM, add, chain, vm

HOSTILE = [
    "",
    ".",
    "..",
    "../../etc",
    "/",
    "a/b",
    "..\\x",
    "-rf",
    "~",
    "x" * 300,
    "café ☕",
    "\n",
    "\0",
    "a_b",
    " ",
    "CON",
    "$(reboot)",
    VM.uuid,
]


@given(clock=st.lists(st.integers(0, 5) | st.sampled_from([-(10**9), 10**9, -1]), min_size=1, max_size=8))
@settings(max_examples=25, deadline=None)
def test_whatever_the_clock_says_the_number_tells_the_order_and_nothing_is_written_over(clock: list[int]) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as root:
        subject = vm(Path(root))
        made = []
        with subject.lock("backup"):
            for number, second in enumerate(clock):
                made.append(add(subject, now=NOON + second, data=b"%d" % number))
        there = subject.backups()
        assert [b.stamp for b in there] == [b.stamp for b in made]
        assert [b.manifest.number for b in there if b.manifest] == list(range(1, len(clock) + 1))
        assert [b.file("disk0.vhd").read_bytes() for b in there] == [b"%d" % n for n in range(len(clock))]
        assert subject.get("newest").stamp == made[-1].stamp


def test_a_stamp_that_is_taken_is_followed_by_the_next_second_that_is_free(tmp_path: Path) -> None:
    made = chain(vm(tmp_path), 1)
    (made[0].path.parent / names.stamp_of(NOON + 1)).write_text("somebody's file")
    with made[0].subject.lock("backup"):
        assert made[0].subject.begin(NOON).stamp == names.stamp_of(NOON + 2)


def test_the_number_of_one_that_cannot_be_read_is_not_used_again(tmp_path: Path) -> None:
    made = chain(vm(tmp_path), 3)
    (made[2].path / "manifest.json").write_bytes(b"")
    subject = vm(tmp_path)
    with subject.lock("backup"):
        add(subject, now=NOON + 10)
        (made[1].path / "manifest.json").write_bytes(b"")
        assert subject.begin(NOON + 20).number > 4
    assert [b.stamp for b in subject.backups()][:3] == [b.stamp for b in made]


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_a_thing_may_be_named_anything(tmp_path: Path, name: str) -> None:
    root = tmp_path / "root"
    root.mkdir()
    who, pool = Who(VM.uuid, name), Who(POOL.uuid, name)
    chain(vm(root, who, pool), 1)
    assert [path.name for path in tmp_path.iterdir()] == ["root"]
    (folder,) = root.iterdir()
    (inner,) = folder.iterdir()
    assert folder.name.isascii() and len(folder.name) < 100 and folder.name[0] not in ".-"
    assert inner.name.startswith("vm_") and len(inner.name) < 105
    assert Repository(root).subject("vm", Who(POOL.uuid, "other"), Who(VM.uuid, "name")).path == inner
    assert Repository(root).find("vm", POOL.uuid, VM.uuid).who == who
    if name:
        assert Repository(root).find("vm", name, name).pool == pool
    assert Repository(root).foreign() == []


@given(name=st.text(max_size=400), number=st.uuids())
@settings(max_examples=100, deadline=None)
def test_a_folder_says_whose_it_is_whatever_its_name(name: str, number: uuid.UUID) -> None:
    folder = names.subject_folder("vm", name, str(number))
    found, pool = names.subject_parts(folder), names.pool_parts(names.pool_folder(name, str(number)))
    assert found and (found.kind, found.uuid) == ("vm", str(number))
    assert pool and pool.uuid == str(number)
    assert Path(folder).name == folder and folder.isascii()


def test_what_has_no_uuid_has_no_folder(tmp_path: Path) -> None:
    for bad in ("", "../../x", "OpaqueRef:NULL"):
        with pytest.raises(InvalidChange, match="uuids"):
            Repository(tmp_path).subject("vm", POOL, Who(bad, "web01"))


def test_a_folder_of_another_name_is_still_the_vms(tmp_path: Path) -> None:
    made = chain(vm(tmp_path), 2)
    folder = made[0].path.parent
    folder.rename(folder.with_name(f"vm_whatever-it-was_{VM.uuid}"))
    folder.parent.rename(folder.parent.with_name(f"_{POOL.uuid}"))
    assert [b.state for b in vm(tmp_path).backups()] == ["good", "good"]


def test_two_folders_of_one_vm_are_refused(tmp_path: Path) -> None:
    folder = chain(vm(tmp_path), 1)[0].path.parent
    shutil.copytree(folder, folder.with_name(f"vm_copy_{VM.uuid}"))
    with pytest.raises(InvalidChange, match="Several folders are of the same VM"):
        vm(tmp_path)


def test_a_copy_in_another_place_is_no_backup_of_that(tmp_path: Path) -> None:
    made = chain(vm(tmp_path), 1)
    shutil.copytree(made[0].path, made[0].path.with_name("20300101T000000Z"))
    other = vm(tmp_path, Who(str(uuid.UUID(int=5)), "db"))
    other.path.mkdir()
    shutil.copytree(made[0].path, other.path / made[0].stamp)
    assert [b.state for b in vm(tmp_path).backups()] == ["good", "damaged"]
    assert "of another vm (web01" in other.backups()[0].problem


def test_links_are_not_followed(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    for folder in (root, outside):
        folder.mkdir()
    made = chain(vm(root), 3)
    shutil.move(made[1].path, outside)
    made[1].path.symlink_to(outside / made[1].stamp)
    shutil.move(made[0].file("disk0.vhd"), outside / "disk0.vhd")
    made[0].file("disk0.vhd").symlink_to(outside / "disk0.vhd")
    (made[2].path / ".x.part").symlink_to(outside)
    subject = vm(root)
    assert [b.state for b in subject.backups()] == ["damaged", "broken chain"]
    with subject.lock("backup"):
        assert subject.tidy() == [str(made[2].path / ".x.part")]
        subject.backups()[1].remove()
        subject.backups()[0].remove()
    assert Repository(root).foreign() == [made[1].path]
    assert sorted(path.name for path in outside.iterdir()) == sorted([made[1].stamp, "disk0.vhd"])
    assert len(list((outside / made[1].stamp).iterdir())) == 2


def test_a_link_in_the_place_of_a_folder_is_refused(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    for folder in (root, outside):
        folder.mkdir()
    (root / names.pool_folder(POOL.name, POOL.uuid)).symlink_to(outside)
    with pytest.raises(XenError, match="is not a folder of this repository"), vm(root).lock("backup"):
        pass
    assert list(outside.iterdir()) == []


def test_a_lock_that_is_a_link_is_refused(tmp_path: Path) -> None:
    chain(vm(tmp_path), 1)
    lock = vm(tmp_path).path / ".lock"
    lock.unlink()
    lock.symlink_to(tmp_path / "victim")
    with pytest.raises(XenError, match="could not be locked"), vm(tmp_path).lock("backup"):
        pass
    assert not (tmp_path / "victim").exists()


def test_what_is_somebody_elses_stays_and_is_told(tmp_path: Path) -> None:
    made = chain(vm(tmp_path), 2)
    subject = vm(tmp_path)
    theirs = [
        tmp_path / "README",
        tmp_path / "lost+found",
        subject.path.parent / "photos",
        subject.path / "20261121T225809Z.copy",
        subject.path / "NOTES.txt",
        made[0].path / "NOTES.txt",
        made[1].path / "photos",
    ]
    for path in theirs:
        if path.suffix == ".txt" or path.name == "README":
            path.write_text("ours")
        else:
            path.mkdir()
            (path / "disk0.vhd").write_text("ours")
    with subject.lock("backup"):
        assert subject.tidy() == []
        add(subject, now=NOON + 60)
    assert Repository(tmp_path).foreign() == sorted(theirs)
    assert all(path.exists() for path in theirs)


def test_the_report_beside_the_backups_is_ours(tmp_path: Path) -> None:
    Repository(tmp_path).establish()
    (tmp_path / "report_lab.html").write_text("")
    assert Repository(tmp_path).foreign() == []


def test_what_has_lost_its_manifest_and_is_built_on_is_not_thrown_away(tmp_path: Path) -> None:
    made = chain(vm(tmp_path), 2)
    (made[0].path / "manifest.json").unlink()
    subject = vm(tmp_path)
    with subject.lock("backup"):
        assert subject.tidy() == []
    assert [b.state for b in subject.backups()] == ["broken chain"]
    assert subject.foreign() == [made[0].path]
    with pytest.raises(Damaged, match="is not there"):
        subject.backups()[0].chain()
