# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import tempfile
import typing as t
from pathlib import Path

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.backup.manifest import Who
from ansible_collections.domzero.xen.plugins.module_utils.backup.repository import Repository
from ansible_collections.domzero.xen.plugins.module_utils.backup.verdict import Verdict
from ansible_collections.domzero.xen.plugins.module_utils.errors import Ambiguous, InvalidChange, NotFound, XenError
from ansible_collections.domzero.xen.plugins.module_utils.formats.compression import Damaged

from .shelf import NOON, POOL, VM, add, chain, vm

OTHER = Who("1f7e0a52-0000-4000-8000-000000000003", "web01")


def test_nothing_is_made_before_the_first_backup(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    assert (repository.id, repository.subjects(), vm(tmp_path).backups(), vm(tmp_path).newest()) == ("", [], [], None)
    assert list(tmp_path.iterdir()) == []


def test_a_repository_gets_its_id_once(tmp_path: Path) -> None:
    made = Repository(tmp_path).establish()
    assert Repository(tmp_path).establish() == Repository(tmp_path).id == made
    assert json.loads((tmp_path / "repository.json").read_text())["schema"] == 1


def test_a_backup_is_found_again(tmp_path: Path) -> None:
    made = chain(vm(tmp_path), 3)
    there = Repository(tmp_path).find("vm", "lab", "web01")
    assert [b.stamp for b in there.backups()] == [b.stamp for b in made]
    assert [len(b.chain()) for b in there.backups()] == [1, 2, 3]
    assert [b.stamp for b in there.backups()[0].children()] == [made[1].stamp]
    newest = there.newest()
    assert newest and newest.stamp == made[2].stamp == there.get("newest").stamp
    assert newest.manifest and there.get(newest.manifest.id).stamp == newest.stamp
    assert newest.told()["state"] == "good"


def test_what_is_not_there_is_said_with_what_is(tmp_path: Path) -> None:
    made = chain(vm(tmp_path), 1)
    with pytest.raises(NotFound, match=made[0].stamp):
        vm(tmp_path).get("20000101T000000Z")
    with pytest.raises(NotFound, match=r"There are backups of: web01\."):
        Repository(tmp_path).find("vm", "", "web02")


def test_two_of_a_name_are_told_apart_by_their_uuids(tmp_path: Path) -> None:
    chain(vm(tmp_path), 1)
    chain(vm(tmp_path, OTHER), 1)
    with pytest.raises(Ambiguous, match=OTHER.uuid):
        Repository(tmp_path).find("vm", "", "web01")
    assert Repository(tmp_path).find("vm", POOL.uuid, OTHER.uuid).uuid == OTHER.uuid


def test_an_increment_without_its_parent_is_not_usable(tmp_path: Path) -> None:
    made = chain(vm(tmp_path), 4)
    made[1].file("disk0.vhd").write_bytes(b"")
    states = [b.state for b in vm(tmp_path).backups()]
    assert states == ["good", "damaged", "broken chain", "broken chain"]
    newest = vm(tmp_path).newest()
    assert newest and newest.stamp == made[0].stamp
    with pytest.raises(Damaged, match=f"builds on {made[1].stamp}"):
        vm(tmp_path).get(made[3].stamp).chain()


def test_a_bad_verdict_counts_for_all_that_build_on_it_until_a_better_one(tmp_path: Path) -> None:
    made = chain(vm(tmp_path), 3)
    with made[1].subject.lock("verify", shared=True):
        made[1].judge(Verdict("2026-11-21T22:58:09Z", "checksum", False, "disk0.vhd is not what was written."))
        assert [b.state for b in made] == ["good", "bad", "broken chain"]
        assert [b.state for b in vm(tmp_path).backups()] == ["good", "bad", "broken chain"]
        made[1].judge(Verdict("2026-11-21T23:58:09Z", "checksum", True))
        assert all(b.usable() for b in vm(tmp_path).backups())


def test_a_backup_others_build_on_stays(tmp_path: Path) -> None:
    made = chain(vm(tmp_path), 2)
    with made[0].subject.lock("prune"):
        with pytest.raises(InvalidChange, match=f"{made[1].stamp} builds on it"):
            made[0].remove()
        made[1].remove()
        made[0].remove()
        made[0].remove()
    assert vm(tmp_path).backups() == []


def test_one_made_after_the_list_counts_as_well(tmp_path: Path) -> None:
    (whole,) = chain(vm(tmp_path), 1)
    with whole.subject.lock("backup"):
        add(whole.subject, parent=whole)
        with pytest.raises(InvalidChange, match="builds on it"):
            whole.remove()


def test_a_manifest_is_replaced_in_one_step(tmp_path: Path) -> None:
    made = chain(vm(tmp_path), 1)
    with made[0].subject.lock("prune"):
        assert made[0].manifest
        made[0].replace(dataclasses.replace(made[0].manifest, keep=True))
    assert vm(tmp_path).get("newest").told()["keep"] is True


def test_a_draft_that_is_left_is_gone(tmp_path: Path) -> None:
    subject = vm(tmp_path)
    with subject.lock("backup"):
        with subject.begin(NOON) as draft:
            (draft.path / "disk0.vhd").write_bytes(b"x")
        assert not draft.path.exists()
    assert subject.backups() == []


def test_what_has_no_manifest_is_removed(tmp_path: Path) -> None:
    made = chain(vm(tmp_path), 2)
    left = made[0].path.parent / "20300101T000000Z"
    left.mkdir()
    (left / "disk0.vhd").write_bytes(b"x")
    unnamed, part = made[1].path / "disk0.2.vhd", made[1].path / ".disk0.vhd.part"
    unnamed.write_bytes(b"x")
    part.write_bytes(b"x")
    subject = vm(tmp_path)
    with subject.lock("backup"):
        assert sorted(subject.tidy()) == sorted(map(str, (left, unnamed, part)))
    assert subject.leftovers() == []
    assert all(b.usable() for b in subject.backups())


def test_without_the_lock_nothing_is_changed(tmp_path: Path) -> None:
    made = chain(vm(tmp_path), 1)
    for change in (made[0].remove, vm(tmp_path).tidy, vm(tmp_path).begin):
        with pytest.raises(RuntimeError, match="lock"):
            change()


def test_a_vm_that_was_renamed_keeps_its_folder(tmp_path: Path) -> None:
    chain(vm(tmp_path), 1)
    renamed = vm(tmp_path, Who(VM.uuid, "shop"), Who(POOL.uuid, "production"))
    assert renamed.path == vm(tmp_path).path
    with renamed.lock("backup"):
        add(renamed, now=NOON + 60)
    assert Repository(tmp_path).find("vm", "", "shop").uuid == VM.uuid


@pytest.fixture
def shared() -> t.Iterator[Path]:
    """A folder below which others may look; those of pytest are closed."""
    made = Path(tempfile.mkdtemp())
    yield made
    shutil.rmtree(made)


@pytest.mark.skipif(os.geteuid() != 0, reason="somebody else can be played by root only")
def test_a_repository_of_somebody_else_is_refused_in_a_sentence(shared: Path) -> None:
    """Which part of the way may not be gone decides what is said."""
    root = shared / "root"
    root.mkdir()
    backup = chain(vm(root), 1)[0].path
    said = []
    for closed in (shared, root, backup.parents[1], backup.parent, backup):
        for path in (shared, *(path for path in shared.rglob("*") if path.is_dir())):
            path.chmod(0o755)
        closed.chmod(0o700)
        said.append(as_nobody(root))
    assert said[0].endswith("cannot be looked at: Permission denied.")
    assert said[1].endswith("cannot be read by the user the task runs as.")
    assert [text.partition(" cannot be read: ")[2] for text in said[2:4]] == ["Permission denied."] * 2
    assert said[4] == "Its manifest cannot be read: Permission denied."


def as_nobody(root: Path) -> str:
    """What is said to a user without rights, who looks through it all and wants to read one."""
    out, into = os.pipe()
    pid = os.fork()
    if pid == 0:
        said = ""
        try:
            os.setuid(65534)
            backups = [b for subject in Repository(root).subjects() for b in subject.backups()]
            said = "; ".join(b.problem for b in backups)
        except XenError as e:
            said = e.message
        except BaseException as e:
            said = repr(e)
        finally:
            os.write(into, said.encode())
            os._exit(0)
    os.close(into)
    with open(out, "rb") as file:
        said = file.read().decode()
    os.waitpid(pid, 0)
    return said
