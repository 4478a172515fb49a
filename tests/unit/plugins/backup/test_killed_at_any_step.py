# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A process is killed between any two changing calls of the system, at every one of them."""

from __future__ import annotations

import dataclasses
import functools
import shutil
import tempfile
import typing as t
from pathlib import Path

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.backup.repository import Repository
from ansible_collections.domzero.xen.plugins.module_utils.backup.subject import Backup, Subject
from ansible_collections.domzero.xen.plugins.module_utils.backup.verdict import Verdict

from .killed import dies_at
from .shelf import NOON, add, chain, disk, put, vm

Work = t.Callable[[Subject], object]


def backs_up(subject: Subject) -> None:
    Repository(subject.path.parents[1]).establish()
    with subject.lock("backup"):
        subject.tidy()
        newest = subject.newest()
        add(subject, parent=newest, now=NOON + 60)


def removes_the_newest(subject: Subject) -> None:
    with subject.lock("prune"):
        subject.tidy()
        for backup in subject.backups()[2:]:
            backup.remove()


def merges(subject: Subject) -> None:
    """What is in the middle goes into its child, which gets a file more and then names it."""
    with subject.lock("prune"):
        subject.tidy()
        backups = subject.backups()
        if len(backups) < 3:
            return
        _whole, middle, child = backups
        if child.manifest and child.manifest.parent == middle.stamp:
            stored = put(child.path, "disk0.1.vhd", b"merged")
            above = dataclasses.replace(disk(child.manifest.number, 1), file=stored.name)
            child.replace(dataclasses.replace(child.manifest, parent=backups[0].stamp, files=(stored,), disks=(above,)))
            subject.tidy()
        middle.remove()


def judges(subject: Subject) -> None:
    with subject.lock("verify", shared=True):
        subject.backups()[0].judge(Verdict("2026-11-21T22:58:09Z", "checksum", True))


def tidies(subject: Subject) -> None:
    with subject.lock("backup"):
        subject.tidy()


def stamps(backups: t.Iterable[Backup]) -> list[str]:
    return [backup.stamp for backup in backups]


def done_in(root: Path, work: Work) -> None:
    work(vm(root))


@pytest.fixture
def folder(tmp_path: Path) -> t.Iterator[Path]:
    """In memory, where there is such a place: fsync is not what is looked at here."""
    memory = Path("/dev/shm")
    made = Path(tempfile.mkdtemp(dir=memory if memory.is_dir() else tmp_path))
    yield made
    shutil.rmtree(made)


def with_clutter(subject: Subject) -> None:
    left = subject.path / "20300101T000000Z"
    left.mkdir()
    for name in ("disk0.vhd", ".disk1.vhd.part"):
        (left / name).write_bytes(b"x")
    (subject.backups()[0].path / "disk0.7.vhd").write_bytes(b"x")


# what is done, from how many backups, and how many may be there afterwards
WORK: dict[str, tuple[Work, int, set[int]]] = {
    "the first backup": (backs_up, 0, {0, 1}),
    "one more backup": (backs_up, 3, {3, 4}),
    "a removal": (removes_the_newest, 3, {2, 3}),
    "a merge": (merges, 3, {2, 3}),
    "a verdict": (judges, 2, {2}),
    "tidying": (tidies, 2, {2}),
}


@pytest.mark.parametrize(("work", "count", "after"), WORK.values(), ids=list(WORK))
@pytest.mark.parametrize("every", [9, pytest.param(1, marks=pytest.mark.slow)], ids=["some", "all"])
def test_nothing_good_is_lost_and_the_next_run_finishes(work: Work, count: int, after: set[int], every: int, folder: Path) -> None:
    model = folder / "model"
    model.mkdir()
    before = stamps(chain(vm(model), count)) if count else []
    if work is tidies:
        with_clutter(vm(model))
    step, died = 4 % every, True
    while died:
        root = folder / f"at{step}"
        shutil.copytree(model, root)
        died = dies_at(step, functools.partial(done_in, root, work))
        subject = vm(root)
        left = subject.backups()
        assert len(left) in after, f"killed at {step}"
        assert [b.problem for b in left] == [""] * len(left), f"killed at {step}"
        assert set(before[:2]) & set(stamps(left)) >= set(before[:1]), f"killed at {step}"
        work(subject)  # the lock is free, and what was begun is finished
        tidies(subject)
        check_all_is_well(subject, work, before)
        shutil.rmtree(root)
        step += every
    assert step > 8


def check_all_is_well(subject: Subject, work: Work, before: list[str]) -> None:
    left = subject.backups()
    assert all(backup.usable() for backup in left)
    assert subject.leftovers() == subject.foreign() == Repository(subject.path.parents[1]).foreign() == []
    assert {path.name for path in subject.path.iterdir()} == {".lock", *stamps(left)}
    if work is removes_the_newest:
        assert stamps(left) == before[:2]
    elif work is merges:
        assert stamps(left) == [before[0], before[2]]
        assert left[1].file("disk0.1.vhd").read_bytes() == b"merged"
        assert [path.name for path in left[1].path.iterdir() if path.suffix == ".vhd"] == ["disk0.1.vhd"]
    else:
        assert stamps(left)[: len(before)] == before
