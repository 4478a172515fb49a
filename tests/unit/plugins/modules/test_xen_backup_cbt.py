# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Incremental backups by changed blocks: what is read, what remains on the pool, and what is done where it cannot be."""

from __future__ import annotations

import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.errors import Timeout
from ansible_collections.domzero.xen.plugins.module_utils.formats.vhd_read import Vhd
from ansible_collections.domzero.xen.plugins.module_utils.shown import Shown

from ..conftest import Start
from .backup_lab import Backups
from .transfer_lab import MIB

PART = 64 << 10
DISK, BLOCKS = "http/get_export_raw_vdi", "nbd/read"
BEGIN = ["VM.snapshot", "VM.add_to_other_config", "http/get_export_metadata"]
PURGE = ["VDI.add_to_other_config"] * 2 + ["VM.destroy"] + ["VDI.data_destroy"] * 2
FIRST = [*BEGIN, DISK, DISK, "repository/commit", *PURGE]
NEXT = [*BEGIN, BLOCKS, BLOCKS, "repository/commit", "VDI.destroy", "VDI.destroy", *PURGE]


@pytest.fixture
def lab(simulator: Start, session_to: t.Any, run: t.Any, tmp_path: Path) -> Backups:
    sim = simulator(1)
    return Backups(sim, session_to(sim), run, tmp_path / "repository")


def change(lab: Backups, seed: int) -> None:
    """A little on the second disk: at an odd place, over the border of two parts."""
    lab.sim.disks.fill(lab.disk_uuids(lab.web01)["1"], 3 * MIB + seed * PART - 100, 5000, f"change {seed}")


@pytest.mark.parametrize("purpose", ["nbd", pytest.param("insecure_nbd", marks=pytest.mark.slow)])
def test_only_what_changed_is_read_and_no_snapshot_remains(lab: Backups, purpose: str) -> None:
    lab.track(purpose)
    lab.start()
    first = lab.backs_up()
    assert first["operations"] == FIRST
    assert lab.snapshots(lab.web01) == []
    held = [lab.contents(lab.web01)]
    for seed in (1, 2, 3):
        change(lab, seed)
        held.append(lab.contents(lab.web01))
        done = lab.backs_up()
        assert (done["operations"], done["reason"], done.get("warnings")) == (NEXT, "", None)
        assert lab.hows() == {"0": "cbt", "1": "cbt"}
        assert [disk.data for disk in lab.manifest().disks] == [0, 2 * PART]
    assert [lab.read_back(backup) for backup in lab.backups()] == held
    assert lab.snapshots(lab.web01) == []


def test_an_increment_is_a_file_as_a_host_makes_it(lab: Backups) -> None:
    lab.track()
    first = lab.backs_up()["backup"]["stamp"]
    change(lab, 1)
    lab.backs_up(verify=True)
    (disk,) = [disk for disk in lab.manifest().disks if disk.device == "1"]
    with Vhd(lab.newest().path / disk.file) as file:
        assert file.header
        assert list(file.extents()) == [(2 * MIB, 2 * MIB)], "whole blocks, for readers that know nothing smaller"
        assert (file.header.parent_name, file.header.parent_uuid) == (f"../{first}/{disk.file}", disk.parent_vhd)
        assert file.footer.uuid == disk.vhd


# where it cannot be ----------------------------------------------------------------------
def test_a_disk_is_read_by_changed_blocks_from_the_moment_they_are_tracked(lab: Backups) -> None:
    lab.backs_up()
    lab.track()
    change(lab, 1)
    why = "is read in another way than by changed blocks: its changes were not tracked when its last backup was made."
    assert lab.backs_up()["warnings"] == [f"Disk {disk} of VM 'web01' {why}" for disk in ("'disk 0' (xvda)", "'disk 1' (xvdb)")]
    assert lab.hows() == {"0": "delta", "1": "delta"}
    change(lab, 2)
    assert "warnings" not in lab.backs_up()
    assert lab.hows() == {"0": "cbt", "1": "cbt"}
    assert lab.read_back() == lab.contents(lab.web01)


@pytest.mark.slow
def test_the_task_may_do_without(lab: Backups) -> None:
    lab.track()
    lab.backs_up(cbt="never")
    assert len(lab.snapshots(lab.web01)) == 1
    change(lab, 1)
    assert BLOCKS not in lab.backs_up(cbt="never")["operations"]
    change(lab, 2)
    assert BLOCKS in lab.backs_up()["operations"]
    change(lab, 3)
    done = lab.backs_up(cbt="never")
    assert done["reason"] == "what changed of disk 'disk 0' (xvda) is not to be had: cbt is never"
    assert [lab.hows(), lab.read_back()] == [{"0": "full", "1": "full"}, lab.contents(lab.web01)]


def test_tracking_that_was_interrupted_is_noticed(lab: Backups) -> None:
    lab.track()
    lab.backs_up()
    for uuid in lab.disk_uuids(lab.web01).values():
        vdi = lab.db.one("VDI", uuid=uuid)
        lab.call("VDI.disable_cbt", vdi)
        change(lab, 1)
        lab.call("VDI.enable_cbt", vdi)
    done = lab.backs_up()
    assert len(done["warnings"]) == 2
    assert "could not be read by changed blocks" in done["warnings"][0]
    assert "Source and target VDI are unrelated" in done["warnings"][0]
    assert (lab.hows(), done["backup"]["parent"]) == ({"0": "full", "1": "full"}, "")
    assert lab.read_back() == lab.contents(lab.web01)
    change(lab, 2)
    lab.backs_up()
    assert [lab.hows(), lab.read_back()] == [{"0": "cbt", "1": "cbt"}, lab.contents(lab.web01)]


@pytest.mark.slow
def test_tracking_that_was_turned_off_makes_a_whole_one_that_keeps_its_base(lab: Backups) -> None:
    lab.track()
    lab.backs_up()
    lab.call("VDI.disable_cbt", lab.db.one("VDI", uuid=lab.disk_uuids(lab.web01)["1"]))
    change(lab, 1)
    done = lab.backs_up()
    why = "its changes are not tracked (changed block tracking is off)"
    assert done["reason"] == f"what changed of disk 'disk 1' (xvdb) is not to be had: {why}"
    assert len(lab.snapshots(lab.web01)) == 1, "not all of its disks can do without their data"
    change(lab, 2)
    lab.backs_up()
    assert lab.hows() == {"0": "cbt", "1": "delta"}
    assert lab.read_back() == lab.contents(lab.web01)


def test_a_network_that_is_not_for_it_any_more(lab: Backups) -> None:
    lab.track()
    lab.backs_up()
    lab.call("network.remove_purpose", lab.network, "nbd")
    change(lab, 1)
    assert lab.backs_up()["reason"] == "what changed of disk 'disk 0' (xvda) is not to be had: no network of the pool is for NBD"
    assert len(lab.snapshots(lab.web01)) == 1
    change(lab, 2)
    assert lab.backs_up()["reason"] == ""
    assert lab.hows() == {"0": "delta", "1": "delta"}
    lab.call("network.add_purpose", lab.network, "insecure_nbd")
    change(lab, 3)
    lab.backs_up()
    assert (lab.hows(), lab.snapshots(lab.web01)) == ({"0": "cbt", "1": "cbt"}, [])
    assert lab.read_back() == lab.contents(lab.web01)


@pytest.mark.slow
def test_hosts_that_do_not_serve_the_disk_are_done_without(lab: Backups) -> None:
    """While the base still has its data what changed is found out from that, else the disk is read whole."""
    lab.track()
    lab.backs_up(cbt="never")
    for how in ("delta", "full"):
        change(lab, len(how))
        for _attempt in range(4):
            lab.sim.faults.cut_transfer("nbd", 40)
        read, kept = lab.backs_up()["warnings"]
        assert "Disk 'disk 1' (xvdb) of VM 'web01' could not be read by changed blocks: The disk could not be read over NBD: " in read
        assert kept.startswith("The snapshot keeps its data until the next backup")
        assert [lab.hows(), lab.read_back()] == [{"0": "cbt", "1": how}, lab.contents(lab.web01)]
        assert len(lab.snapshots(lab.web01)) == 1
        change(lab, 1)
        assert "warnings" not in lab.backs_up()
        assert [lab.hows(), lab.snapshots(lab.web01)] == [{"0": "cbt", "1": "cbt"}, []]


# what happens to the base ------------------------------------------------------------------
def test_data_that_does_not_go_now_goes_with_the_next(lab: Backups) -> None:
    lab.track()
    lab.sim.faults.fail("VDI.data_destroy", error=["VDI_IN_USE", "OpaqueRef:it", "data_destroy"])
    done = lab.run()
    (warning,) = done["warnings"]
    assert "could not be removed and stays until the next backup: VDI.data_destroy was refused: VDI_IN_USE" in warning
    done = lab.run(if_older_than="20h")
    assert done["operations"] == ["VDI.data_destroy"]
    lab.is_clean()
    lab.sim.faults.fail("VDI.data_destroy", error=["VDI_IN_USE", "OpaqueRef:it", "data_destroy"])
    change(lab, 1)
    lab.run()
    change(lab, 2)
    assert lab.backs_up()["operations"] == NEXT
    assert [lab.hows(), lab.read_back()] == [{"0": "cbt", "1": "cbt"}, lab.contents(lab.web01)]


@pytest.mark.slow
def test_a_base_that_somebody_removed(lab: Backups) -> None:
    lab.track()
    lab.backs_up()
    (base,) = [disk.snapshot for disk in lab.manifest().disks if disk.device == "1"]
    lab.call("VDI.destroy", lab.db.one("VDI", uuid=base))
    change(lab, 1)
    done = lab.backs_up()
    assert done["reason"] == "the snapshot of disk 'disk 1' (xvdb) is not on the pool any more"
    assert lab.read_back() == lab.contents(lab.web01)


def test_a_vm_that_was_reverted_is_backed_up_whole(lab: Backups) -> None:
    snapshot = lab.call("VM.snapshot", lab.web01, "mine")
    lab.track()
    lab.backs_up()
    change(lab, 1)
    lab.backs_up()
    lab.call("VM.revert", snapshot)
    done = lab.backs_up()
    assert done["reason"] == "disk 'disk 0' (xvda) has taken the place of 'disk 0'"
    assert lab.read_back() == lab.contents(lab.web01)
    assert lab.snapshots(lab.web01)[0] == "mine"


@pytest.mark.slow
def test_two_repositories_and_two_vms_keep_their_own_bases(lab: Backups, tmp_path: Path) -> None:
    lab.track()
    other = Backups(lab.sim, lab.session, lab._run, tmp_path / "other", like=lab)
    for turn in (1, 2):
        change(lab, turn)
        for one in (lab, other):
            one.run()
            assert one.read_back() == one.contents(one.web01)
    assert lab.hows() == other.hows() == {"0": "cbt", "1": "cbt"}
    held = [v for v in lab.db.all("VDI").values() if v["type"] == "cbt_metadata"]
    assert len(held) == 4


@pytest.mark.slow
def test_a_base_keeps_its_data_while_no_host_can_be_read_from(lab: Backups) -> None:
    lab.track()
    endpoint = t.cast("t.Any", next(iter(lab.sim.world.machines.values())).endpoint)
    endpoint.server.later(endpoint.nbd.shut()).result(5)
    why = "could not be read by changed blocks: The disk could not be read over NBD: Cannot reach nbd://"
    (warning,) = lab.run()["warnings"]
    assert f"The snapshot keeps its data until the next backup, as that {why}" in warning
    assert len(lab.snapshots(lab.web01)) == 1
    change(lab, 1)
    lab.write(1)
    warnings = lab.run()["warnings"]
    assert [why in warning for warning in warnings] == [True] * 3
    assert (lab.hows(), len(lab.snapshots(lab.web01))) == ({"0": "delta", "1": "delta"}, 1)
    endpoint.server.later(endpoint.nbd.listen()).result(5)
    change(lab, 2)
    assert "warnings" not in lab.backs_up()
    assert [lab.hows(), lab.read_back(), lab.snapshots(lab.web01)] == [{"0": "cbt", "1": "cbt"}, lab.contents(lab.web01), []]


@pytest.mark.slow
def test_full_ones_between_do_not_matter(lab: Backups) -> None:
    lab.track()
    lab.start()
    lab.backs_up()
    change(lab, 1)
    lab.backs_up(mode="full")
    change(lab, 2)
    lab.backs_up()
    assert [lab.hows(), lab.read_back()] == [{"0": "cbt", "1": "cbt"}, lab.contents(lab.web01)]
    change(lab, 3)
    done = lab.backs_up(full_every=2)
    assert done["reason"] == "full_every is 2"
    change(lab, 4)
    lab.backs_up(full_every=2)
    assert [lab.hows(), lab.read_back()] == [{"0": "cbt", "1": "cbt"}, lab.contents(lab.web01)]


def test_a_disk_that_is_new_or_left_out(lab: Backups) -> None:
    lab.track()
    lab.backs_up()
    lab.attach(lab.web01, lab.vdi("more", size=4 * MIB), 2)
    lab.track(purpose="")
    change(lab, 1)
    lab.backs_up()
    assert lab.hows() == {"0": "cbt", "1": "cbt", "2": "full"}
    assert lab.snapshots(lab.web01) == []
    change(lab, 2)
    lab.backs_up(ignore_disks=["more"])
    assert lab.hows() == {"0": "cbt", "1": "cbt"}
    assert lab.read_back() == lab.contents(lab.web01)[:2]


def test_changed_blocks_that_take_too_long_are_given_up(lab: Backups, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.track()
    lab.backs_up()
    change(lab, 1)
    before, far = lab.everything(), Shown.far

    def slow(shown: Shown, size: int, total: int) -> None:
        time.sleep(1.1)
        far(shown, size, total)

    with monkeypatch.context() as patch:
        patch.setattr(Shown, "far", slow)
        with pytest.raises(Timeout, match="bytes after 1 seconds and was ended"):
            lab.run(wait_timeout=1)
    assert lab.everything() == before
    assert lab.backs_up()["reason"] == ""
