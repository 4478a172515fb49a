# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module: its options, its results. What is merged and how is in ../backup/test_prune.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.errors import InvalidChange, NotFound

from ..backup.prune_lab import Lab, files
from ..backup.shelf import VM
from ..conftest import BadOptions, Result, Run, Start, carry_out
from .restore_lab import MIB, Restores


def prune(folder: Path, *, check: bool = False, **params: object) -> Result:
    """As on a machine from which no host can be reached."""
    return carry_out("xen_backup_prune", {"repository": str(folder), **params}, check=check)


def test_what_no_rule_keeps_goes(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    made = lab.backs_up(3)
    before = files(tmp_path)
    predicted = prune(tmp_path, check=True, keep_last=2, kind="vm", pool="lab", name="web01")
    assert files(tmp_path) == before
    done = prune(tmp_path, keep_last=2, kind="vm", pool="lab", name=VM.uuid)
    assert predicted == done
    assert done["operations"] == [
        f"repository/merge vm web01 {made[0].stamp} into {made[1].stamp}",
        f"repository/remove vm web01 {made[0].stamp}",
    ]
    assert [row["why"] for row in done["kept"]] == [["last"], ["the newest usable one", "last"]]
    assert done["diff"] == {
        "before": {str(lab.subject.path): [b.stamp for b in made]},
        "after": {str(lab.subject.path): [b.stamp for b in made[1:]]},
    }
    assert prune(tmp_path, keep_last=2)["changed"] is False
    lab.all_is_well([b.stamp for b in made[1:]])


def test_what_info_says_of_the_next_deletion_is_what_is_done(tmp_path: Path) -> None:
    Lab(tmp_path).backs_up(6)
    rules = {"keep_weekly": 2, "keep_within": "1d", "time_zone": "Europe/Berlin"}
    told = carry_out("xen_backup_info", {"repository": str(tmp_path), **rules})["backups"]
    done = prune(tmp_path, **rules)
    assert [row["stamp"] for row in told if row["next_deletion"]["removed"]] == [row["stamp"] for row in done["removed"]]
    assert [row["next_deletion"]["why"] for row in told if not row["next_deletion"]["removed"]] == [row["why"] for row in done["kept"]]


@pytest.mark.parametrize("rules", [{}, {"keep_last": 0}, {"keep_daily": 0, "keep_weekly": 0}])
def test_without_a_rule_it_is_refused(tmp_path: Path, rules: dict[str, object]) -> None:
    for check in (True, False):
        with pytest.raises(InvalidChange, match="No rule says which backups are to stay"):
            prune(tmp_path, check=check, **rules)


def test_what_cannot_be_meant_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidChange, match="keep_last is -3"):
        prune(tmp_path, keep_last=-3)
    with pytest.raises(InvalidChange, match="keep_within 'a week' is no length of time"):
        prune(tmp_path, keep_within="a week")
    with pytest.raises(InvalidChange, match="time zone 'Nowhere' is not known"):
        prune(tmp_path, keep_last=1, time_zone="Nowhere")
    with pytest.raises(InvalidChange, match="is not there"):
        prune(tmp_path / "nowhere", keep_last=1)
    with pytest.raises(BadOptions, match="value of kind must be one of"):
        prune(tmp_path, keep_last=1, kind="sr")


def test_a_name_nobody_has_is_told_and_an_empty_repository_is_none(tmp_path: Path) -> None:
    assert prune(tmp_path, keep_last=1)["changed"] is False
    Lab(tmp_path).backs_up()
    with pytest.raises(NotFound, match=r"no backups of .*web02.*"):
        prune(tmp_path, keep_last=1, kind="vm", name="web02")


def test_what_a_pool_gave_reads_the_same_and_the_next_backup_builds_on_it(
    simulator: Start, session_to: object, run: Run, tmp_path: Path
) -> None:
    """The newest one is merged too; it stays what the pool keeps its snapshot for."""
    sim = simulator(1)
    lab = Restores(sim, session_to(sim), run, tmp_path / "repository")  # type: ignore[operator]
    held: dict[str, list[str]] = {}
    for turn in range(4):
        lab.sim.disks.fill(lab.disk_uuids(lab.web01)["0"], turn * MIB + 512, 70_000, turn)
        done = lab.backs_up(cbt="never")
        held[done["backup"]["stamp"]] = lab.contents(lab.web01)
    done = prune(lab.folder, keep_last=3)
    assert [row["stamp"] for row in done["kept"]] == list(held)[1:]
    assert {backup.stamp: lab.read_back(backup) for backup in lab.backups()} == dict(list(held.items())[1:])
    prune(lab.folder, keep_last=1)
    assert lab.read_back() == lab.contents(lab.web01)
    lab.sim.disks.fill(lab.disk_uuids(lab.web01)["0"], 0, 512, 9)
    assert lab.backs_up(cbt="never")["reason"] == ""
    assert lab.hows()["0"] == "delta"
    assert lab.read_back() == lab.contents(lab.web01)
    assert lab.restores(new_name="again")["changed"]
    assert lab.contents(lab.one("again")) == lab.contents(lab.web01)
    checked = carry_out("xen_backup_verify", {"repository": str(lab.folder), "backup": "all", "level": "structure"})
    assert all(row["ok"] for row in checked["backups"])
