# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pruning is killed before every one of its steps on the file system, and run again."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import shutil
import tempfile
import typing as t
from pathlib import Path

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.backup import absorb
from ansible_collections.domzero.xen.plugins.module_utils.backup.manifest import Stored
from ansible_collections.domzero.xen.plugins.module_utils.errors import XenError

from . import keys
from .killed import dies_at
from .prune_lab import Lab, files

EVERY = 31  # of the steps in the ordinary tests; all of them with the slow ones


@pytest.fixture
def folder(tmp_path: Path) -> t.Iterator[Path]:
    """In memory, where there is such a place: fsync is not what is looked at here."""
    memory = Path("/dev/shm")
    made = Path(tempfile.mkdtemp(dir=memory if memory.is_dir() else tmp_path))
    yield made
    shutil.rmtree(made)


class Story(t.NamedTuple):
    """A chain of five, of which the first, one in the middle and the one beside a branch go."""

    lab: Lab
    root: Path
    stay: list[str]
    end: dict[str, int]


@pytest.fixture
def story(folder: Path) -> Story:
    return told(Lab(folder / "made", devices="0"), folder)


def told(lab: Lab, folder: Path) -> Story:
    lab.root.mkdir()
    lab.backs_up()
    kept = lab.backs_up(keep=True)
    lab.backs_up()
    below = lab.subject.backups()[2]
    branch = lab.backs_up(parent=below, keep=True)
    newest = lab.backs_up(parent=below)
    end = Lab(folder / "end", encryption=lab.encryption, identity=lab.identity)
    shutil.copytree(lab.root, end.root)
    end.contents = lab.contents
    end.prunes(last=1)
    stay = [kept[0].stamp, branch[0].stamp, newest[0].stamp]
    end.all_is_well(stay)
    return Story(lab, folder / "run", stay, files(end.root))


def killed_and_run_again(story: Story, step: int) -> bool:
    """False when it was done before."""
    lab = Lab(story.root, encryption=story.lab.encryption, identity=story.lab.identity)
    lab.contents = story.lab.contents
    shutil.copytree(story.lab.root, lab.root)
    try:
        died = dies_at(step, lambda: lab.prunes(last=1))
        # what is to stay can be used at once, with nothing done, and reads as before
        usable = {backup.stamp: backup for backup in lab.subject.backups() if backup.usable()}
        assert set(story.stay) <= set(usable)
        for stamp in story.stay:
            assert lab.read(usable[stamp]) == lab.contents[stamp]
        again = lab.prunes(check=True, last=1)
        assert lab.prunes(last=1) == again
        lab.all_is_well(story.stay)
        assert files(lab.root) == story.end
        assert lab.prunes(last=1)["changed"] is False
    finally:
        shutil.rmtree(lab.root)
    return died


def test_killed_at_some_steps_nothing_is_lost_and_the_next_run_finishes(story: Story) -> None:
    step = 0
    while killed_and_run_again(story, step):
        step += EVERY
    assert step > 4 * EVERY


@pytest.mark.slow
def test_killed_at_any_step_nothing_is_lost_and_the_next_run_finishes(story: Story) -> None:
    step = 0
    while killed_and_run_again(story, step):
        step += 1
    print(f"killed at each of {step} steps")
    assert step > 70


@keys.needs_age
@pytest.mark.slow
def test_killed_while_encrypted_ones_are_merged_nothing_is_lost_either(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What had been decrypted goes with the next run."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    encryption, identity = keys.age_key(folder)
    story, step = told(Lab(folder / "made", devices="0", encryption=encryption, identity=identity), folder), 0
    while killed_and_run_again(story, step):
        step += 17
    assert step > 50
    assert os.listdir(tmp_path) == []


def test_where_a_file_cannot_have_a_second_name_it_is_copied(folder: Path, tmp_path: Path) -> None:
    """As on file systems that know no such thing; here because two of them are."""
    if folder.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second file system")
    source, target, data = folder / "disk0.merged.vhd", tmp_path / "disk0.vhd", b"data" * 1000
    source.write_bytes(data)
    stored = Stored(source.name, len(data), hashlib.sha256(data).hexdigest())
    absorb._doubled(source, target, stored)
    assert target.read_bytes() == source.read_bytes() == data
    target.unlink()
    with pytest.raises(XenError, match=r"There is no room in .* to merge: \d+ bytes are needed"):
        absorb._doubled(source, target, dataclasses.replace(stored, size=1 << 60))
    source.write_bytes(data[:-1] + b"b")
    with pytest.raises(XenError, match=r"disk0\.vhd is not what was written into it: .*; the next run gives the file its name"):
        absorb._doubled(source, target, stored)
    assert os.listdir(tmp_path) == []
    assert source.exists()
