# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks of a backup get onto a VM that is there."""

from __future__ import annotations

import typing as t
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.domzero.xen.plugins.module_utils import stream
from ansible_collections.domzero.xen.plugins.module_utils.errors import InvalidChange, NotFound, XenError
from ansible_collections.domzero.xen.plugins.module_utils.formats import xva, xva_read
from ansible_collections.domzero.xen.plugins.module_utils.formats.compression import Damaged
from ansible_collections.domzero.xen.plugins.module_utils.formats.ova_edit import Description
from ansible_collections.domzero.xen.plugins.module_utils.resources.restore import content, description

from ..conftest import Result, Run, Start
from .restore_lab import MIB, RESTORED, Restores
from .transfer_lab import SIZES

USUAL = [("vhd", "before"), ("vhd", "during"), ("packed", "before")]
KINDS: dict[str, dict[str, t.Any]] = {"vhd": {}, "xva": {"mode": "full"}, "packed": {"mode": "full", "compression": "zstd"}}
ALL = [
    pytest.param(form, verify, id=f"{name}-{verify}", marks=() if (name, verify) in USUAL else pytest.mark.slow)
    for name, form in KINDS.items()
    for verify in ("before", "during", "never")
]
MADE = ["VDI.create", "http/put_import_raw_vdi", "VDI.add_to_other_config", "task.destroy"]
ATTACHED = ["VBD.create", "VDI.remove_from_other_config"]


@pytest.fixture
def estate(simulator: Start, session_to: t.Callable[[t.Any], t.Any], run: Run, tmp_path: Path) -> Restores:
    sim = simulator(1)
    return Restores(sim, session_to(sim), run, tmp_path / "backups")


@pytest.fixture
def before(estate: Restores) -> list[str]:
    """Two backups of web01; what was on its disks when the newest was made. They hold something else by now."""
    estate.run()
    estate.write(1)
    estate.run()
    contents = estate.contents(estate.web01)
    estate.write(2)
    return contents


def given(estate: Restores, **params: t.Any) -> Result:
    return {"repository": str(estate.folder), "name": "web01", "onto": "web01", **params}


@pytest.mark.parametrize(("form", "verify"), ALL)
def test_they_are_attached_beside_the_others(estate: Restores, converges: Run, form: dict[str, t.Any], verify: str) -> None:
    contents = estate.contents(estate.web01)
    estate.run(**form)
    estate.write(1)
    now = estate.contents(estate.web01)
    done = converges("xen_restore", **given(estate, verify=verify))
    assert done["operations"] == [*MADE, *ATTACHED] * 2
    assert done["vm"]["disks"] == {"0": "disk 0", "1": "disk 1", "2": "disk 0", "3": "disk 1"}
    assert done["vm"]["restored"] == {"0": "2", "1": "3"}
    assert estate.contents(estate.web01) == [*now, *contents]
    estate.is_clean()
    assert estate.marks() == []


def test_one_of_them_from_an_increment(estate: Restores, before: list[str], converges: Run) -> None:
    done = converges("xen_restore", **given(estate, disks=["0"]))
    assert done["vm"]["restored"] == {"0": "2"}
    assert estate.contents(estate.web01)[2] == before[0]


def places(estate: Restores) -> dict[str, tuple[str, str, bool, str]]:
    """SR, mode, bootable and owner's mark of the drives of web01."""
    drives = [estate.record(ref, "VBD") for ref in estate.named("web01")["VBDs"]]
    return {
        one["userdevice"]: (estate.record(one["VDI"], "VDI")["SR"], one["mode"], one["bootable"], one["other_config"].get("owner", ""))
        for one in drives
        if one["type"] == "Disk"
    }


@pytest.mark.parametrize("form", [KINDS["vhd"], KINDS["xva"]], ids=["vhd", "xva"])
def test_each_disk_of_a_vm_that_is_lost_gets_back_onto_its_own_sr(
    simulator: Start, session_to: t.Callable[[t.Any], t.Any], run: Run, converges: Run, tmp_path: Path, form: dict[str, t.Any]
) -> None:
    sim = simulator("examples")
    estate = Restores(sim, session_to(sim), run, tmp_path / "backups")
    run("xen_sr", name="Filer", type="nfs", server="127.40.0.10", path="/export/vms")
    drive = estate.attach(estate.web01, estate.vdi("disk 2", "Filer", size=4 * MIB), 5)
    estate.call("VBD.set_bootable", drive, True)
    estate.call("VBD.set_mode", drive, "RO")
    estate.call("VBD.add_to_other_config", drive, "owner", "me")
    estate.run(**form)
    contents, were = estate.contents(estate.web01), places(estate)
    assert len({place[0] for place in were.values()}) == 2
    beside = run("xen_restore", repository=str(estate.folder), name="web01", new_name="web02")
    (warning,) = beside["warnings"]
    assert "VM 'web02' were on several SRs ('Filer', 'Local storage'); all get onto the pool's default SR" in warning
    estate.loses()
    bare = converges("xen_restore", repository=str(estate.folder), name="web01", preserve=True, disks=[])
    assert (bare["vm"]["disks"], bare.get("warnings", [])) == ({}, [])
    done = converges("xen_restore", **given(estate, replace=True))
    assert done["vm"]["restored"] == {"0": "0", "1": "1", "5": "5"}
    estate.web01 = estate.one("web01")
    assert (estate.contents(estate.web01), places(estate)) == (contents, were)
    estate.is_clean(tasks=False)  # the SR's are there
    assert estate.marks() == []


@pytest.mark.parametrize("form", [KINDS["vhd"], KINDS["xva"]], ids=["vhd", "xva"])
def test_they_take_the_place_of_those_that_are_there(estate: Restores, converges: Run, form: dict[str, t.Any]) -> None:
    estate.run(**form)
    contents, old = estate.contents(estate.web01), estate.disk_uuids(estate.web01)
    drive = estate.db.one("VBD", VM=estate.web01, userdevice="0")
    estate.call("VBD.set_bootable", drive, True)
    estate.call("VBD.add_to_other_config", drive, "owner", "")
    estate.write(2)
    assert estate.contents(estate.web01) != contents
    done = converges("xen_restore", **given(estate, replace=True))
    assert done["operations"] == [*MADE, "VBD.destroy", *ATTACHED] * 2
    assert estate.contents(estate.web01) == contents
    assert set(old.values()) & set(estate.disk_uuids(estate.web01).values()) == set()
    assert all(estate.db.find("VDI", uuid=uuid) for uuid in old.values()), "what was replaced stays"
    made = estate.record(estate.db.one("VBD", VM=estate.web01, userdevice="0"), "VBD")
    assert (made["bootable"], made["other_config"], made["mode"]) == (True, {"owner": ""}, "RW")


def test_a_disk_too_large_for_a_vhd_goes_as_a_tar(estate: Restores) -> None:
    """The same bytes, and little more than what is on the disk."""
    estate.run(mode="full")
    backup, target = estate.newest(), str(estate.vdi("target", size=SIZES[0]))
    assert backup.manifest
    with content.opened(backup, replace(backup.manifest.disks[0], virtual_size=3 << 40), "") as sent:
        assert (sent.format, sent.size < 8 * MIB) == ("tar", True)
    path = backup.path / "vm.xva"
    ref = description.devices(Description(xva.description_of(path)))["0"]
    with xva_read.disk(path, ref) as data:
        sent = content._as_tar(SIZES[0], xva_read.extents(path)[ref], data)
        stream.upload(estate.session, "/import_raw_vdi", {"vdi": target, "format": "tar"}, sent.source, sent.size, what="test")
    assert estate.sim.disks.digest(estate.record(target, "VDI")["uuid"]) == estate.contents(estate.web01)[0]


def test_what_was_replaced_goes_when_that_is_wanted(estate: Restores, before: list[str], converges: Run) -> None:
    old = estate.disk_uuids(estate.web01)
    done = converges("xen_restore", **given(estate, replace=True, remove_replaced=True, disks=["1"]))
    assert done["operations"] == [*MADE, "VBD.destroy", "VBD.create", "VDI.destroy", "VDI.remove_from_other_config"]
    assert not estate.db.find("VDI", uuid=old["1"])
    assert estate.db.find("VDI", uuid=old["0"])
    assert estate.contents(estate.web01)[1] == before[1]


def test_another_vm_gets_them_while_it_runs(estate: Restores, before: list[str], converges: Run) -> None:
    other = estate.vm("rescue", "system", running=True)
    estate.wait_for_tools("rescue")
    done = converges("xen_restore", **given(estate, onto="rescue", disks=["0"]))
    assert done["operations"] == [*MADE, "VBD.create", "VBD.plug", "VDI.remove_from_other_config"]
    assert estate.sim.disks.digest(estate.disk_uuids(other)["1"]) == before[0]
    assert estate.record(estate.db.one("VBD", VM=other, userdevice="1"), "VBD")["currently_attached"]


def test_a_disk_that_somebody_detached_is_not_attached_again(estate: Restores, before: list[str], run: Run) -> None:
    run("xen_restore", **given(estate, disks=["0"]))
    estate.call("VBD.destroy", estate.db.one("VBD", VM=estate.web01, userdevice="2"))
    assert not run("xen_restore", **given(estate, disks=["0"]))["changed"]
    assert before


BAD: list[tuple[Result, type[XenError], str]] = [
    ({"onto": "nobody"}, NotFound, "No VM is named 'nobody'"),
    ({"disks": ["7"]}, InvalidChange, r"has no disk 7\. It has: 0 \(disk 0\), 1 \(disk 1\)"),
    ({"sr": "nowhere"}, NotFound, "No SR is named 'nowhere'"),
    ({"sr": "XCP-ng Tools"}, InvalidChange, "cannot hold disks of VMs"),
    ({"remove_replaced": True}, InvalidChange, "remove_replaced is of no use without replace"),
    ({"preserve": True}, InvalidChange, "preserve is of no use here: the disks go onto a VM"),
    ({"start": True}, InvalidChange, "start is of no use here"),
    ({"backup": "20200101T000000Z"}, NotFound, "There is no backup '20200101T000000Z' of VM 'web01'"),
    ({"name": "web99"}, NotFound, r"no backups of VM 'web99'.*There are backups of: web01"),
]  # fmt: skip


def test_bad_input_is_told_before_anything_is_done(estate: Restores, run: Run) -> None:
    estate.run()
    before, mark = estate.everything(), estate.sim.mark()
    for params, error, told in BAD:
        for check in (True, False):
            with pytest.raises(error, match=told):
                run("xen_restore", check=check, **given(estate, **params))
    assert estate.sim.calls(mark) == []
    assert estate.everything() == before


def test_the_disks_of_a_running_vm_are_not_replaced(estate: Restores, before: list[str], run: Run) -> None:
    estate.start()
    with pytest.raises(InvalidChange, match=r"Disks of VM 'web01' cannot be replaced: it is running\. Halt it first"):
        run("xen_restore", **given(estate, replace=True))
    estate.call("VM.hard_shutdown", estate.web01)
    assert before


def test_a_place_that_is_not_a_disks_is_not_taken(estate: Restores, before: list[str], run: Run) -> None:
    estate.call("VBD.destroy", estate.db.one("VBD", VM=estate.web01, userdevice="1"))
    plain = {"bootable": False, "mode": "RO", "unpluggable": True, "other_config": {}, "qos_algorithm_type": "", "qos_algorithm_params": {}}
    estate.call("VBD.create", {"VM": estate.web01, "VDI": "OpaqueRef:NULL", "userdevice": "1", "type": "CD", "empty": True, **plain})
    with pytest.raises(InvalidChange, match="has a drive of type CD there"):
        run("xen_restore", **given(estate, replace=True))
    assert before


def test_a_full_sr_is_told_before(estate: Restores, before: list[str], run: Run) -> None:
    sr = estate.sr()
    with estate.sim.world.lock:
        estate.db.set("SR", sr, physical_utilisation=int(estate.record(sr, "SR")["physical_size"]) - MIB)
    mark = estate.sim.mark()
    with pytest.raises(InvalidChange, match=r"(have .* of data|are wanted in)"):
        run("xen_restore", **given(estate))
    assert estate.sim.calls(mark) == []
    assert before


def restored(estate: Restores) -> list[str]:
    return [ref for ref, row in estate.db.all("VDI").items() if RESTORED in row["other_config"] and not row["is_a_snapshot"]]


@pytest.mark.parametrize("copied", ["VM.snapshot", "VM.clone"])
def test_a_snapshot_or_a_clone_of_a_restored_disk_is_not_taken_for_it(
    estate: Restores, before: list[str], converges: Run, run: Run, copied: str
) -> None:
    run("xen_restore", **given(estate, disks=["0"]))
    (disk,) = restored(estate)
    estate.call(copied, estate.web01, "copy")
    estate.call("VDI.destroy", disk)
    done = converges("xen_restore", **given(estate, disks=["0"]))
    assert done["operations"] == [*MADE, *ATTACHED]
    assert estate.contents(estate.web01)[2] == before[0]


def test_what_was_restored_beside_another_is_not_taken_for_its_replacement(
    estate: Restores, before: list[str], converges: Run, run: Run
) -> None:
    run("xen_restore", **given(estate, disks=["0"]))
    mark = estate.sim.mark()
    for check in (True, False):
        with pytest.raises(InvalidChange, match=r"Disk 'disk 0' of this backup was restored already, to place 2 of VM 'web01'"):
            run("xen_restore", check=check, **given(estate, disks=["0"], replace=True))
    assert estate.sim.calls(mark) == []
    (disk,) = restored(estate)
    estate.call("VDI.destroy", disk)
    converges("xen_restore", **given(estate, disks=["0"], replace=True))
    assert estate.contents(estate.web01)[0] == before[0]


def test_a_disk_that_another_vm_has_too_is_not_removed(estate: Restores, before: list[str], converges: Run, run: Run) -> None:
    other, disk = estate.vm("other"), estate.db.one("VDI", uuid=estate.disk_uuids(estate.web01)["0"])
    estate.attach(other, disk, 5)
    held = estate.everything()
    for check in (True, False):
        with pytest.raises(InvalidChange, match=r"Disk 'disk 0' cannot be removed .*: VM 'other' has it, too\. Leave remove_replaced out"):
            run("xen_restore", check=check, **given(estate, disks=["0"], replace=True, remove_replaced=True))
    assert estate.everything() == held
    converges("xen_restore", **given(estate, disks=["0"], replace=True))
    assert (estate.contents(estate.web01)[0], disk in estate.db.all("VDI")) == (before[0], True)


@pytest.mark.slow
def test_one_that_is_under_way_is_left_alone(estate: Restores, before: list[str], run: Run) -> None:
    made = estate.newest().manifest
    assert made
    task = estate.call("task.create", "Restore of disk disk 0", f"{RESTORED} {made.id} onto {estate.named('web01')['uuid']}")
    with pytest.raises(InvalidChange, match="This restore is under way already, begun by another task"):
        run("xen_restore", **given(estate))
    estate.call("task.set_status", task, "cancelled")
    assert run("xen_restore", **given(estate))["operations"][0] == "task.destroy"
    assert before


@pytest.mark.parametrize("verify", ["before", "during"])
def test_a_damaged_file_is_found(estate: Restores, before: list[str], run: Run, verify: str) -> None:
    path = estate.backups()[0].path / "disk0.vhd"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    everything = estate.everything()
    with pytest.raises(Damaged, match=r"is damaged: .*disk0\.vhd: its SHA-256 is \w+, not \w+\. There is no other that is sound"):
        run("xen_restore", **given(estate, verify=verify, disks=["0"]))
    assert estate.everything() == everything
    assert run("xen_restore", **given(estate, disks=["1"]))["changed"], "the other disk is sound"
    assert before
