# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What fails leaves nothing behind and takes nothing away: neither on the pool nor in the repository."""

from __future__ import annotations

import os
import re
import subprocess
import threading
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.backup import sealing
from ansible_collections.domzero.xen.plugins.module_utils.errors import ApiError, ConnectionFailed, InvalidChange, XenError
from ansible_collections.domzero.xen.plugins.module_utils.formats import vhd_read, xva

from ..backup.keys import age_key, needs_age
from ..conftest import Start
from .backup_lab import Backups
from .sr_lab import LAB
from .transfer_lab import MIB


@pytest.fixture
def lab(simulator: Start, session_to: t.Any, run: t.Any, tmp_path: Path) -> Backups:
    sim = simulator(1)
    return Backups(sim, session_to(sim), run, tmp_path / "repository")


def fails(lab: Backups, error: type[XenError], sentence: str = ".", **params: t.Any) -> str:
    """A backup that fails: everything is as it was before."""
    before, files = lab.everything(), lab.files()
    with pytest.raises(error, match=sentence) as told:
        lab.run(**params)
    assert lab.everything() == before
    assert lab.files() == files
    lab.is_clean()
    return str(told.value)


def goes_on(lab: Backups) -> None:
    """The next one is good, and builds on the one before."""
    lab.write(7)
    assert lab.backs_up()["reason"] == ""
    assert lab.read_back() == lab.contents(lab.web01)


@pytest.fixture
def begun(lab: Backups) -> Backups:
    """With one backup, and something that has changed since."""
    lab.start()
    lab.backs_up()
    lab.write(1)
    return lab


def test_a_snapshot_that_fails(begun: Backups) -> None:
    begun.sim.faults.fail("VM.snapshot", error=["SR_BACKEND_FAILURE_44", "", "There is insufficient space", ""])
    sentence = r"Could not take a snapshot of VM 'web01': VM\.snapshot was refused: SR_BACKEND_FAILURE_44 .*The SR is full"
    fails(begun, ApiError, sentence)
    goes_on(begun)


@pytest.mark.slow
def test_a_mark_that_fails(begun: Backups) -> None:
    begun.sim.faults.fail("VM.add_to_other_config", error=["INTERNAL_ERROR", "x"])
    fails(begun, ApiError)
    goes_on(begun)


@pytest.mark.parametrize("size", [700, *(pytest.param(size, marks=pytest.mark.slow) for size in (0, 3 * MIB))])
def test_an_export_that_breaks_off(begun: Backups, size: int) -> None:
    begun.sim.faults.cut_transfer("/export_raw_vdi", size)
    fails(begun, XenError)
    goes_on(begun)


def test_a_full_one_that_breaks_off(begun: Backups) -> None:
    begun.sim.faults.cut_transfer("/export", 3 * MIB)
    fails(begun, (ConnectionFailed, ApiError), mode="full")  # type: ignore[arg-type]
    goes_on(begun)


@pytest.mark.slow
def test_the_first_one_that_breaks_off(lab: Backups) -> None:
    lab.sim.faults.cut_transfer("/export_metadata", 100)
    fails(lab, XenError)
    assert lab.backups() == []
    lab.backs_up()
    goes_on(lab)


def test_old_snapshots_that_do_not_go_are_removed_by_the_next_run(begun: Backups) -> None:
    """The backup is complete by then, and stays."""
    begun.sim.faults.fail("VDI.destroy", error=["SR_BACKEND_FAILURE_47", "", "The SR is not available", ""])
    done = begun.run()
    assert re.match(r"The backup is complete, but the next one has to delete disk 'disk 0' .*SR_BACKEND_FAILURE_47", done["warnings"][0])
    assert begun.read_back() == begun.contents(begun.web01)
    assert len(begun.snapshots(begun.web01)) == 2
    begun.write(2)
    done = begun.backs_up()
    assert (done["reason"], len(begun.snapshots(begun.web01))) == ("", 1)
    assert begun.read_back() == begun.contents(begun.web01)


def test_what_does_not_fit_on_thick_storage_is_refused_before_the_snapshot(
    simulator: Start, session_to: t.Any, run: t.Any, tmp_path: Path
) -> None:
    sim = simulator(LAB)
    lab = Backups(sim, session_to(sim), run, tmp_path / "repository")
    run("xen_sr", name="Thick", type="lvm", device="/dev/sdb", host="xcp00")
    vm = lab.vm("big")
    lab.attach(vm, lab.vdi("huge", "Thick", 60 << 30), 0)
    for check in (True, False):
        mark = lab.sim.mark()
        with pytest.raises(InvalidChange, match=r"needs up to 60\.\d+ GiB in SR 'Thick'.*check_space: false if little was written"):
            lab.run(name="big", check=check)
        assert lab.sim.calls(mark) == []


@pytest.mark.slow
def test_two_at_once_are_kept_apart(begun: Backups) -> None:
    """One of them may be refused by name; what is made is right."""
    outcomes: list[str] = []
    together = threading.Barrier(2)

    def work() -> None:
        together.wait(20)
        try:
            outcomes.append(begun.run()["reason"])
        except InvalidChange as e:
            outcomes.append(re.sub(r"Another task \(.*\) works on the backups of VM 'web01'\.", "refused", e.message))

    threads = [threading.Thread(target=work) for _thread in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) in (["", "refused"], ["", ""])
    assert len(begun.backups()) == 1 + outcomes.count("")
    assert begun.read_back() == begun.contents(begun.web01)
    begun.is_clean()


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_a_disk_that_is_full(lab: Backups, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=5m", "tmpfs", str(small)], check=False, capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting is not allowed here")
    try:
        here = Backups(lab.sim, lab.session, lab._run, small, like=lab)
        here.backs_up()
        here.write(1)
        assert "the disk is full" in fails(here, XenError, r"Could not back up disk .*could not be written.*: the disk is full")
        assert "the disk is full" in fails(here, XenError, mode="full")
        assert [backup.state for backup in here.backups()] == ["good"]
    finally:
        subprocess.run(["umount", "-l", str(small)], check=True)


@pytest.mark.slow
def test_a_clock_that_jumps(begun: Backups, monkeypatch: pytest.MonkeyPatch) -> None:
    """The order of backups does not depend on it, and a time in the future puts off nothing."""
    real = time.time
    for offset in (-86400 * 30, 86400 * 365):
        monkeypatch.setattr(time, "time", lambda offset=offset: real() + offset)
        begun.write(offset)
        assert begun.backs_up(if_older_than="1h")["reason"] == ""
        assert begun.read_back() == begun.contents(begun.web01)
    monkeypatch.setattr(time, "time", real)
    assert begun.backs_up(if_older_than="1h")["changed"], "the newest one is from next year"
    assert begun.read_back() == begun.contents(begun.web01)
    assert [backup.state for backup in begun.backups()] == ["good"] * 4


@pytest.mark.parametrize("mode", ["incremental", pytest.param("full", marks=pytest.mark.slow)])
@needs_age
def test_what_is_encrypted_opens_with_the_key_and_shows_every_cut(begun: Backups, tmp_path: Path, mode: str) -> None:
    encryption, identity = age_key(tmp_path)
    done = begun.backs_up(mode=mode, encryption=encryption)
    assert done["backup"]["encrypted"] is True
    newest = begun.newest()
    assert newest.manifest
    assert newest.manifest.encryption == encryption
    for stored in newest.manifest.files:
        assert newest.file(stored).read_bytes().startswith(b"age-encryption.org/")
        with sealing.unsealed(newest, stored, identity) as plain:
            assert vhd_read.verify(plain) if plain.suffix == ".vhd" else xva.verify(plain)
    begun.sim.faults.cut_transfer(*(("/export_raw_vdi", 1000) if mode == "incremental" else ("/export", 2 * MIB)))
    fails(begun, XenError, mode=mode, encryption=encryption)
    if mode == "incremental":
        assert done["reason"] == "it is encrypted in another way than the one before"
        begun.write(3)
        assert begun.backs_up(encryption=encryption)["reason"] == ""


def test_what_cannot_be_encrypted_is_refused_before(begun: Backups) -> None:
    for check in (True, False):
        mark = begun.sim.mark()
        with pytest.raises(InvalidChange, match="age"):
            begun.run(encryption={"tool": "age", "recipients": ["nobody"]}, check=check)
        with pytest.raises(InvalidChange, match="cannot be read back here"):
            begun.run(encryption={"tool": "age", "recipients": ["nobody"]}, verify=True, check=check)
        assert begun.sim.calls(mark) == []
    begun.is_clean()
