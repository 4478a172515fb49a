# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backups that xen_backup made are checked; what is found counts for those who use them. Boot tests are in a file of their own."""

from __future__ import annotations

import socket
import typing as t
from pathlib import Path

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.backup.repository import Repository
from ansible_collections.domzero.xen.plugins.module_utils.backup.subject import Subject
from ansible_collections.domzero.xen.plugins.module_utils.errors import InvalidChange, NotFound, XenError
from ansible_collections.domzero.xen.plugins.module_utils.formats.compression import Damaged

from ..backup import keys, losing, shelf, verify_lab
from ..backup.verify_lab import flipped, replaced
from ..conftest import Result, Run, carry_out
from .backup_lab import Backups

Start = t.Callable[..., t.Any]


@pytest.fixture
def lab(simulator: Start, session_to: t.Any, run: Run, tmp_path: Path) -> Backups:
    """web01 has a whole backup and an increment, made by xen_backup."""
    sim = simulator(1)
    made = Backups(sim, session_to(sim), run, tmp_path / "pool")
    made.run()
    made.write(1)
    made.run()
    return made


@pytest.fixture
def web01(tmp_path: Path) -> Subject:
    """A whole backup and two increments."""
    (tmp_path / "backups").mkdir()
    subject = Repository(tmp_path / "backups").subject("vm", shelf.POOL, shelf.VM)
    verify_lab.add_vhds(subject)
    return subject


def verify(of: Backups | Subject, *, check: bool = False, **params: t.Any) -> Result:
    """As on a machine from which no host can be reached."""
    folder = of.folder if isinstance(of, Backups) else of.path.parents[1]
    return carry_out("xen_backup_verify", {"repository": str(folder), **params}, check=check)


def states(subject: Subject) -> list[str]:
    return [backup.state for backup in subject.backups()]


def test_what_xen_backup_made_is_good_to_the_last_bit(lab: Backups) -> None:
    lab.run(mode="full", compression="gzip")
    for level in ("checksum", "structure"):
        predicted = verify(lab, backup="all", level=level, check=True)
        done = verify(lab, backup="all", level=level)
        assert predicted["changed"] and done["changed"]
        assert [row["ok"] and row["restorable"] and not row["findings"] for row in done["backups"]] == [True] * 3
        assert {row["verified"]["level"] for row in done["backups"]} == {level}
        assert verify(lab, backup="all", level=level)["changed"] is False


def test_no_increment_builds_on_what_was_found_to_be_bad(lab: Backups) -> None:
    whole, increment = lab.backups()
    with flipped(whole.path / "disk0.vhd", -3000):
        with pytest.raises(Damaged):
            verify(lab)
        assert states(increment.subject) == ["bad", "broken chain"]
        lab.run()
        newest = lab.backups()[-1]
        assert newest.manifest and newest.manifest.parent == ""
        assert lab.read_back() == lab.contents(lab.web01)
    verify(lab, backup=increment.stamp)  # the file is as it was
    assert states(increment.subject) == ["good"] * 3


def test_the_backups_an_increment_builds_on_are_looked_at_with_it(web01: Subject) -> None:
    assert [row["stamp"] for row in verify(web01)["backups"]] == [backup.stamp for backup in web01.backups()]


def test_everything_that_is_wrong_is_told_at_once_by_name(web01: Subject) -> None:
    whole, middle, newest = (backup.path for backup in web01.backups())
    with flipped(whole / "disk0.vhd", 100), flipped(newest / "metadata.xva", 700), replaced(newest / "disk0.vhd", b"x"):
        with pytest.raises(
            Damaged, match=r"VM 'web01' .*disk0\.vhd: its SHA-256 is.*disk0\.vhd .end, at 1.*metadata\.xva: its SHA"
        ) as caught:
            verify(web01)
        told = caught.value.facts["backups"]
    found = {(row["stamp"], one["file"], one["where"]) for row in told for one in row["findings"]}
    assert found == {(whole.name, "disk0.vhd", ""), (newest.name, "disk0.vhd", "end, at 1"), (newest.name, "metadata.xva", "")}
    assert [(row["stamp"], row["ok"], row["restorable"]) for row in told] == [
        (whole.name, False, False), (middle.name, True, False), (newest.name, False, False),
    ]  # fmt: skip
    assert states(web01) == ["bad", "broken chain", "bad"]


def test_the_newest_is_the_newest_even_when_it_is_bad(web01: Subject) -> None:
    newest = web01.backups()[-1]
    with flipped(newest.path / "disk0.vhd", 100):
        for _time in range(2):
            with pytest.raises(Damaged, match=newest.stamp):
                verify(web01)


def test_a_lower_level_does_not_take_back_what_a_higher_one_found(web01: Subject) -> None:
    newest = web01.backups()[-1]
    path = newest.path / "disk0.vhd"
    data = path.read_bytes()
    path.write_bytes(bytes(512) + data[512:])
    verify_lab.resealed(newest, "disk0.vhd")  # it came like that
    assert verify(web01)["backups"][-1]["state"] == "good"
    with pytest.raises(Damaged, match="copy of the footer at 0"):
        verify(web01, level="structure")
    assert verify(web01)["backups"][-1]["state"] == "bad", "the checksums are right, and it is still bad"
    path.write_bytes(data)
    verify_lab.resealed(newest, "disk0.vhd")
    assert verify(web01, level="structure")["backups"][-1]["state"] == "good"


def test_what_cannot_be_read_is_not_called_damaged(web01: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    path = web01.backups()[-1].path / "disk0.vhd"
    data = path.read_bytes()
    path.unlink()
    monkeypatch.chdir(path.parent)  # the names of sockets are short
    with socket.socket(socket.AF_UNIX) as nobody_can_open_it:
        nobody_can_open_it.bind(path.name)
        with pytest.raises(XenError, match=r"could not be checked.*disk0\.vhd: it cannot be read") as caught:
            verify(web01)
    assert not isinstance(caught.value, Damaged)
    assert [one["unreadable"] for row in caught.value.facts["backups"] for one in row["findings"]] == [True]
    path.unlink()
    path.write_bytes(data)
    assert web01.backups()[-1].verdict is None
    assert states(web01) == ["good"] * 3


def test_one_without_any_backup_among_others_is_told(web01: Subject) -> None:
    """Such as one whose first run was killed: the others are looked at, and nobody takes that for all is well."""
    db01 = Repository(web01.path.parents[1]).subject("vm", shelf.POOL, verify_lab.OTHER)
    with db01.lock("backup"), db01.begin(shelf.NOON):
        pass  # it ends without a manifest
    for backup in ("newest", "all"):
        with pytest.raises(NotFound, match=r"Backups are missing\. VM 'db01'.*: there is no backup of it\. Back them up") as caught:
            verify(web01, backup=backup)
        assert [row["ok"] for row in caught.value.facts["backups"]] == [True] * 3
    stamp = web01.backups()[0].stamp
    assert [row["stamp"] for row in verify(web01, backup=stamp)["backups"]] == [stamp]


def test_check_mode_notes_nothing_and_finds_the_same(web01: Subject) -> None:
    with flipped(web01.backups()[0].path / "disk0.vhd", 100):
        with pytest.raises(Damaged) as predicted:
            verify(web01, check=True)
        assert [backup.verdict for backup in web01.backups()] == [None] * 3
        with pytest.raises(Damaged) as done:
            verify(web01)
    assert str(predicted.value) == str(done.value)


def test_an_increment_without_its_parent_is_not_good(web01: Subject) -> None:
    whole, middle, _newest = web01.backups()
    (whole.path / "manifest.json").unlink()
    with pytest.raises(Damaged, match=f"{middle.stamp}: manifest.json .parent.: it builds on {whole.stamp}, which is not there"):
        verify(web01)


def test_looking_at_nothing_is_no_success(web01: Subject, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no backups of VM 'web02'"):
        verify(web01, kind="vm", name="web02")
    with pytest.raises(NotFound, match="holds no backup 20200101T000000Z"):
        verify(web01, backup="20200101T000000Z")
    with pytest.raises(NotFound, match="holds no backup"):
        verify(web01, backup="")
    (tmp_path / "empty").mkdir()
    with pytest.raises(NotFound):
        carry_out("xen_backup_verify", {"repository": str(tmp_path / "empty")})
    with pytest.raises(InvalidChange, match="is not there"):
        carry_out("xen_backup_verify", {"repository": str(tmp_path / "nowhere")})


def test_the_repositorys_own_file_is_looked_at(web01: Subject) -> None:
    root = web01.path.parents[1]
    Repository(root).establish()
    with flipped(root / "repository.json", 80), pytest.raises(Damaged, match=r"repository\.json does not say which") as caught:
        verify(web01)
    assert all(row["ok"] for row in caught.value.facts["backups"]), "the backups are good without it"
    verify(web01)


def test_another_task_may_read_meanwhile_but_not_write(web01: Subject) -> None:
    with web01.lock("restore", shared=True):
        verify(web01)
    with web01.lock("backup"), pytest.raises(InvalidChange, match=r"Another task .* works on the backups of VM 'web01'"):
        verify(web01)


def test_one_that_is_worked_on_does_not_keep_the_others_from_being_looked_at(web01: Subject) -> None:
    other = Repository(web01.path.parents[1]).subject("vm", shelf.POOL, verify_lab.OTHER)
    verify_lab.add_xva(other, "none")
    with other.lock("backup"), pytest.raises(XenError, match=r"VM 'db01': Another task .* works on the backups of VM 'db01'") as caught:
        verify(web01)
    assert not isinstance(caught.value, Damaged)
    assert {row["name"] for row in caught.value.facts["backups"]} == {"web01"}
    assert {row["name"] for row in verify(web01)["backups"]} == {"web01", "db01"}


@keys.needs_age
def test_what_is_encrypted_is_summed_without_a_key_and_looked_into_with_it(lab: Backups, tmp_path: Path) -> None:
    encryption, key = keys.age_key(tmp_path)
    lab.run(encryption=encryption, full_every=1)
    stamp = lab.backups()[-1].stamp
    assert verify(lab, backup=stamp)["backups"][0]["ok"]
    with pytest.raises(XenError, match=r"could not be checked.*identity") as caught:
        verify(lab, backup=stamp, level="structure")
    assert not isinstance(caught.value, Damaged)
    assert states(lab.subject())[-1] == "good"
    assert verify(lab, backup=stamp, level="structure", identity=key)["backups"][0]["verified"]["level"] == "structure"
    with flipped(lab.backups()[-1].path / "disk0.vhd.age", -3000):
        with pytest.raises(Damaged, match=r"disk0\.vhd"):
            verify(lab, backup=stamp)
        with pytest.raises(Damaged, match=r"disk0\.vhd"):
            verify(lab, backup=stamp, level="structure", identity=key)


@pytest.mark.slow
@keys.needs_gpg
def test_what_gpg_encrypted_is_looked_into_by_its_agent(lab: Backups) -> None:
    with keys.gpg_home() as encryption:
        lab.run(encryption=encryption, full_every=1)
        assert verify(lab, level="structure")["backups"][0]["ok"]


def test_a_disk_whose_sectors_cannot_be_read_does_not_make_a_backup_bad(web01: Subject, tmp_path: Path) -> None:
    """A file system whose device lost its end: names and sizes are there, data is not."""
    newest = web01.backups()[-1]
    with losing.lost_data(newest.path / "disk0.vhd", tmp_path) as lost:
        if not lost:
            pytest.skip("no loop device can be mounted here")
        with pytest.raises(XenError, match=r"could not be checked.*disk0\.vhd.*it cannot be read: Input/output error") as caught:
            verify(web01)
        assert not isinstance(caught.value, Damaged)
        with pytest.raises(XenError, match=r"could not be checked.*Input/output error") as caught:
            verify(web01, level="structure")
        assert not isinstance(caught.value, Damaged)
    assert web01.backups()[-1].verdict is None
    assert verify(web01)["backups"][-1]["ok"]
