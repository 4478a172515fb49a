# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Full backups of VMs: an .xva of the VM itself or of a snapshot that goes again."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.errors import InvalidChange
from ansible_collections.domzero.xen.plugins.module_utils.formats import ova, xva

from ..conftest import Start
from .backup_lab import Backups

AT_REST = ["http/get_export", "http/get_export_metadata", "repository/commit"]
SNAPSHOT = ["VM.add_to_other_config", "VM.set_is_a_template", "VM.set_name_label", "http/get_export_metadata", "http/get_export"]
LIVE = ["VM.snapshot", *SNAPSHOT, "repository/commit", "VDI.destroy", "VDI.destroy", "VM.destroy"]


@pytest.fixture
def lab(simulator: Start, session_to: t.Any, run: t.Any, tmp_path: Path) -> Backups:
    sim = simulator(1)
    return Backups(sim, session_to(sim), run, tmp_path / "repository")


@pytest.mark.parametrize("compression", ["none", *(pytest.param(name, marks=pytest.mark.slow) for name in ("gzip", "zstd"))])
def test_a_halted_vm_is_exported_as_it_is(lab: Backups, compression: str) -> None:
    done = lab.backs_up(mode="full", compression=compression, verify=True)
    assert done["operations"] == AT_REST
    told, file = lab.manifest(), lab.newest().path / "vm.xva"
    assert (told.form, told.parent, told.details["compression"]) == ("xva", "", compression)
    assert {disk.device: (disk.vdi, disk.file) for disk in told.disks} == {k: (v, "") for k, v in lab.disk_uuids(lab.web01).items()}
    found = xva.verify(file)
    assert (found.compression, found.sha256) == (compression, told.files[0].sha256)
    assert compression == "zstd" or lab.read_xva() == lab.contents(lab.web01)
    assert lab.snapshots(lab.web01) == []


def test_a_vm_that_runs_is_exported_through_a_snapshot_which_goes(lab: Backups) -> None:
    lab.start()
    assert lab.backs_up(mode="full")["operations"] == LIVE
    (vm,) = ova.describe(xva.look_into(lab.newest().path / "vm.xva")[1])["vms"]
    assert (vm["name"], vm["is_a_template"]) == ("web01", False)
    assert lab.read_xva() == lab.contents(lab.web01)
    assert lab.snapshots(lab.web01) == []


@pytest.mark.slow
def test_the_base_of_the_increments_stays(lab: Backups) -> None:
    lab.start()
    lab.backs_up()
    kept = lab.snapshots(lab.web01)
    lab.backs_up(mode="full")
    assert lab.snapshots(lab.web01) == kept


@pytest.mark.slow
def test_disks_are_left_out_of_a_halted_vm_by_way_of_a_snapshot(lab: Backups) -> None:
    done = lab.backs_up(mode="full", ignore_disks=["xvdb"])
    assert done["operations"] == [*LIVE[:-3], "VDI.destroy", "VM.destroy"]
    assert [disk.device for disk in lab.manifest().disks] == ["0"]
    assert lab.read_xva() == lab.contents(lab.web01)[:1]


def test_the_memory_is_kept_when_asked(lab: Backups) -> None:
    lab.start()
    done = lab.backs_up(mode="full", consistency="memory")
    assert done["operations"] == ["VM.checkpoint", *SNAPSHOT, "repository/commit", "VM.hard_shutdown", *LIVE[-3:]]
    assert lab.named("web01")["power_state"] == "Running"
    assert state_in(lab) == "Suspended"
    assert len(xva.look_into(lab.newest().path / "vm.xva")[1].disks()) == 3, "two disks, and the memory"
    assert lab.manifest().details["consistency"] == "memory"


@pytest.mark.slow
def test_the_memory_of_a_suspended_vm_is_in_it(lab: Backups) -> None:
    lab.start()
    lab.call("VM.suspend", lab.web01)
    assert lab.backs_up(mode="full")["operations"] == AT_REST
    assert state_in(lab) == "Suspended"
    assert len(xva.look_into(lab.newest().path / "vm.xva")[1].disks()) == 3


def state_in(lab: Backups) -> str:
    description = xva.look_into(lab.newest().path / "vm.xva")[1]
    (vm,) = description.all("VM").values()
    return str(vm["power_state"])


def test_what_cannot_be_is_told(lab: Backups) -> None:
    cases: list[tuple[dict[str, t.Any], str]] = [
        ({"consistency": "memory"}, r"VM 'web01' is halted: there is no memory that a snapshot would keep\. Take consistency: disk\."),
        ({"consistency": "quiesce"}, "VM 'web01' cannot be snapshotted quiesced"),
    ]
    for params, sentence in cases:
        for check in (True, False):
            with pytest.raises(InvalidChange, match=sentence):
                lab.run(mode="full", check=check, **params)
    lab.start()
    with pytest.raises(InvalidChange, match=r"disks that are left out, which consistency: memory cannot do\. Take consistency: disk"):
        lab.run(mode="full", consistency="memory", ignore_disks=["0"])
    assert lab.backups() == []


@pytest.mark.slow
def test_a_blocked_export_is_told(lab: Backups) -> None:
    lab.call("VM.add_to_blocked_operations", lab.web01, "export", "no")
    for check in (True, False):
        with pytest.raises(InvalidChange, match="VM 'web01' blocks the operation export"):
            lab.run(mode="full", check=check)


def test_disks_are_left_out_of_a_suspended_vm_by_way_of_a_snapshot_without_memory(lab: Backups) -> None:
    lab.start()
    lab.call("VM.suspend", lab.web01)
    there = lab.everything()
    done = lab.backs_up(mode="full", ignore_disks=["xvdb"])
    assert done["operations"] == [*LIVE[:-3], "VDI.destroy", "VM.destroy"]
    assert done.get("warnings", []) == []
    assert lab.everything() == there
