# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A backup that could not be looked at, or did not start, may be good: it stays, and what it consists of with it."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.backup.info import point
from ansible_collections.domzero.xen.plugins.module_utils.backup.names import MANIFEST, VERIFIED
from ansible_collections.domzero.xen.plugins.module_utils.backup.retention import Rules, plan
from ansible_collections.domzero.xen.plugins.module_utils.backup.stored import Backup
from ansible_collections.domzero.xen.plugins.module_utils.backup.verdict import Verdict

from ..meanwhile import meanwhile
from .prune_lab import NOW, Lab, files

WHEN = "2026-11-21T22:58:09Z"


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-10] ^= 1
    path.write_bytes(data)


def ask_for_itself(path: Path) -> None:
    """Opening it fails, as with a file of somebody else or a disk that does not answer, for root as well."""
    path.rename(path.with_name("aside"))
    path.symlink_to(path.name)


def answer_again(path: Path) -> None:
    path.unlink()
    path.with_name("aside").rename(path)


def judged(backup: Backup, level: str, ok: bool) -> None:
    with backup.subject.lock("verify", shared=True):
        backup.judge(Verdict(WHEN, level, ok, "" if ok else "it is not what it was"))


def removed(lab: Lab, **rules: t.Any) -> list[str]:
    """Check mode says the same; what was kept is as it was."""
    predicted, done = lab.prunes(check=True, **rules), lab.prunes(**rules)
    assert predicted == done
    return [row["stamp"] for row in done["removed"]]


def reasons(lab: Lab, backup: Backup, **rules: t.Any) -> list[str]:
    (row,) = [row for row in lab.prunes(check=True, **rules)["kept"] if row["stamp"] == backup.stamp]
    return t.cast("list[str]", row["why"])


@pytest.mark.parametrize("harm", [flip, ask_for_itself])
def test_a_verdict_that_cannot_be_read_is_no_bad_one(tmp_path: Path, harm: t.Callable[[Path], None]) -> None:
    lab = Lab(tmp_path)
    chain, newest = lab.backs_up(3), lab.backs_up(whole=True)
    judged(chain[0], "checksum", True)
    harm(chain[0].path / VERIFIED)
    assert [backup.state for backup in lab.subject.backups()] == ["bad", "broken chain", "broken chain", "good"]
    before = files(tmp_path)
    assert removed(lab, last=10) == removed(lab, last=1) == []
    assert files(tmp_path) == before
    assert reasons(lab, chain[0], last=1)[0] == "what its last check said cannot be read: check it again"
    assert reasons(lab, chain[1], last=1)[0] == "what it builds on stays, and may be good"
    judged(lab.subject.backups()[0], "checksum", True)
    if harm is ask_for_itself:
        (chain[0].path / "aside").unlink()
    lab.all_is_well(backup.stamp for backup in [*chain, *newest])
    assert len(removed(lab, last=1)) == 3


def test_what_builds_on_a_manifest_that_cannot_be_read_stays(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    chain, newest = lab.backs_up(3), lab.backs_up(whole=True)
    ask_for_itself(chain[0].path / MANIFEST)
    assert removed(lab, last=1) == []
    answer_again(chain[0].path / MANIFEST)
    lab.all_is_well(backup.stamp for backup in [*chain, *newest])


def test_what_an_increment_that_cannot_be_read_may_build_on_stays_unmerged(tmp_path: Path) -> None:
    """Nobody knows its parent then. What goes on the way is merged into the one that may be it, and the increment still fits."""
    lab = Lab(tmp_path)
    chain, later = lab.backs_up(3), [*lab.backs_up(whole=True), *lab.backs_up()]
    ask_for_itself(chain[2].path / MANIFEST)
    assert f"{chain[2].stamp} may build on it, and cannot be read" in reasons(lab, chain[1], last=2)
    assert removed(lab, last=2) == [chain[0].stamp]
    answer_again(chain[2].path / MANIFEST)
    lab.all_is_well(backup.stamp for backup in [*chain[1:], *later])


def test_what_is_readable_again_goes_as_ever(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    chain, later = lab.backs_up(3), lab.backs_up(whole=True)
    ask_for_itself(chain[2].path / MANIFEST)
    removed(lab, last=1)
    answer_again(chain[2].path / MANIFEST)
    assert removed(lab, last=1) == [chain[1].stamp, chain[2].stamp]
    lab.all_is_well([later[0].stamp])


def test_one_that_did_not_start_stays_until_somebody_has_looked(tmp_path: Path) -> None:
    """What a boot test says may be the pool's fault, or the guest's: the data is what it was."""
    lab = Lab(tmp_path)
    chain, newest = lab.backs_up(2), lab.backs_up(whole=True)
    judged(chain[0], "boot", False)
    assert [backup.state for backup in lab.subject.backups()] == ["bad", "broken chain", "good"]
    assert removed(lab, last=9) == removed(lab, last=1) == []
    assert reasons(lab, chain[0], last=1) == ["its boot test failed: look at it, and remove it by hand"]
    judged(lab.subject.backups()[0], "boot", True)
    lab.all_is_well(backup.stamp for backup in [*chain, *newest])


@pytest.mark.parametrize("level", ["checksum", "structure"])
def test_one_whose_data_is_known_to_be_bad_goes(tmp_path: Path, level: str) -> None:
    lab = Lab(tmp_path)
    chain, newest = lab.backs_up(2), lab.backs_up(whole=True)
    judged(chain[0], level, False)
    assert removed(lab, last=9) == [chain[0].stamp, chain[1].stamp]
    lab.all_is_well([newest[0].stamp])


def test_a_file_that_is_gone_is_no_doubt_whatever_its_last_check_said(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    whole, newest = lab.backs_up(whole=True), lab.backs_up(whole=True)
    judged(whole[0], "boot", False)
    (whole[0].path / "disk0.vhd").unlink()
    assert removed(lab, last=9) == [whole[0].stamp]
    lab.all_is_well([newest[0].stamp])


def test_one_whose_files_could_not_be_looked_at_is_in_doubt(tmp_path: Path) -> None:
    """Its folder answered for the manifest, and then no more."""
    lab = Lab(tmp_path)
    (backup, increment), newest = lab.backs_up(2), lab.backs_up(whole=True)
    with meanwhile("lstat", lambda: ask_for_itself(backup.path)):
        backup.read()
    answer_again(backup.path)
    assert (backup.usable(), backup.doubt) == (False, "it could not be looked at")
    points = [point(backup), point(increment)._replace(usable=False), point(newest[0])]
    assert [choice.keep for choice in plan(points, Rules(last=1), NOW)] == [True] * 3
    lab.all_is_well(one.stamp for one in (backup, increment, *newest))
