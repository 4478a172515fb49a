# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import hashlib
import json
import os
import resource
import typing as t
from pathlib import Path

import pytest
from dissect.archive.xva import XVA

from ansible_collections.domzero.xen.plugins.module_utils.errors import ApiError, ConnectionFailed, InvalidChange, NotFound, XenError
from ansible_collections.domzero.xen.plugins.module_utils.formats import ova, xva

from ..conftest import Result, Run, Start
from .transfer_lab import MIB, Estate

LIVE = ["VM.snapshot", "VM.add_to_other_config", "VM.set_is_a_template", "VM.set_name_label", "http/get_export"]
GONE = ["VDI.destroy", "VDI.destroy", "VM.destroy"]


@pytest.fixture
def estate(simulator: Start, session_to: t.Callable[[t.Any], t.Any]) -> Estate:
    sim = simulator(1)
    return Estate(sim, session_to(sim))


@pytest.fixture
def dest(tmp_path: Path) -> Path:
    return tmp_path / "web01.xva"


@pytest.fixture
def exports(estate: Estate, run: Run, dest: Path) -> t.Callable[..., Result]:
    """Predict, do the same, do nothing; and leave the pool as it was."""

    def exports(**params: t.Any) -> Result:
        wanted = {"name": "web01", "dest": str(dest), **params}
        before, mark = estate.everything(), estate.sim.mark()
        predicted = run("xen_vm_export", check=True, **wanted)
        assert estate.sim.calls(mark) == []
        done = run("xen_vm_export", **wanted)
        assert (predicted["changed"], predicted["operations"], predicted["diff"]) == (done["changed"], done["operations"], done["diff"])
        assert done["changed"]
        assert estate.everything() == before
        mark = estate.sim.mark()
        again = run("xen_vm_export", **wanted)
        assert not again["changed"]
        assert again["export"] == done["export"]
        assert estate.sim.calls(mark) == []
        return done

    return exports


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_a_halted_vm_becomes_a_file(estate: Estate, exports: t.Callable[..., Result], dest: Path, compression: str) -> None:
    done = exports(compression=compression)
    assert done["operations"] == ["http/get_export"]
    told = done["export"]
    assert (told["name"], told["uuid"], told["compression"]) == ("web01", estate.named("web01")["uuid"], compression)
    assert (told["size"], told["sha256"]) == (dest.stat().st_size, hashlib.sha256(dest.read_bytes()).hexdigest())
    assert json.loads(Path(told["manifest"]).read_text())["sha256"] == told["sha256"]
    assert sorted(p.name for p in dest.parent.iterdir()) == ["web01.xva", "web01.xva.manifest.json"]
    found = xva.verify(dest)
    assert (found.compression, found.sha256) == (compression, told["sha256"])
    assert ova.describe(found.ova)["vms"][0]["name"] == "web01"


def test_other_peoples_tools_read_the_disks(estate: Estate, exports: t.Callable[..., Result], dest: Path) -> None:
    exports()
    with dest.open("rb") as file:
        archive = XVA(file)
        read = [archive.open(ref) for ref in sorted(archive.disks())]
        assert sorted(hashlib.sha256(disk.read()).hexdigest() for disk in read) == sorted(estate.contents(estate.web01))


def test_a_vm_that_runs_is_exported_through_a_snapshot(estate: Estate, exports: t.Callable[..., Result], dest: Path) -> None:
    estate.start()
    contents = estate.contents(estate.web01)
    done = exports()
    assert done["operations"] == LIVE + GONE
    assert estate.named("web01")["power_state"] == "Running"
    (vm,) = ova.describe(xva.look_into(dest)[1])["vms"]
    assert (vm["name"], vm["is_a_template"]) == ("web01", False)
    assert done["export"]["uuid"] == estate.named("web01")["uuid"]
    with dest.open("rb") as file:
        archive = XVA(file)
        assert sorted(hashlib.sha256(archive.open(ref).read()).hexdigest() for ref in archive.disks()) == sorted(contents)


def test_a_suspended_vm_needs_no_snapshot(estate: Estate, exports: t.Callable[..., Result]) -> None:
    estate.start()
    estate.sim.world.clock.speed = 0
    estate.call("VM.suspend", estate.web01)
    assert exports()["operations"] == ["http/get_export"]


def test_the_description_alone_is_taken_from_a_vm_that_runs(estate: Estate, exports: t.Callable[..., Result], dest: Path) -> None:
    estate.start()
    assert exports(metadata_only=True)["operations"] == ["http/get_export_metadata"]
    assert xva.verify(dest).metadata_only


def test_it_can_be_read_back(exports: t.Callable[..., Result]) -> None:
    assert exports(verify=True)["changed"]


def test_a_finished_file_is_exported_again_only_when_asked_or_when_it_is_another(estate: Estate, run: Run, dest: Path) -> None:
    wanted = {"name": "web01", "dest": str(dest)}
    first = run("xen_vm_export", **wanted)
    estate.write(1)
    assert not run("xen_vm_export", **wanted)["changed"]
    forced = run("xen_vm_export", force=True, **wanted)
    assert forced["changed"]
    assert forced["export"]["sha256"] != first["export"]["sha256"]
    assert run("xen_vm_export", compression="gzip", **wanted)["changed"]
    assert xva.verify(dest).compression == "gzip"
    os.truncate(dest, 5000)
    assert run("xen_vm_export", compression="gzip", **wanted)["changed"], "a file that has become shorter is not finished"
    dest.unlink()
    assert run("xen_vm_export", compression="gzip", **wanted)["changed"]


def test_a_file_that_was_changed_is_exported_again(estate: Estate, run: Run, dest: Path) -> None:
    wanted = {"name": "web01", "dest": str(dest)}
    run("xen_vm_export", **wanted)
    whole = dest.read_bytes()
    os.utime(dest)
    assert not run("xen_vm_export", **wanted)["changed"], "it is newer than its manifest and still the same"
    dest.write_bytes(whole[:-5000] + b"x" + whole[-4999:])
    assert run("xen_vm_export", **wanted)["changed"]
    xva.verify(dest)


def test_a_file_of_somebody_else_is_not_written_over(estate: Estate, run: Run, dest: Path) -> None:
    dest.write_bytes(b"mine")
    for check in (True, False):
        with pytest.raises(InvalidChange, match=r"web01\.xva is there already, and is no export of VM 'web01'"):
            run("xen_vm_export", name="web01", dest=str(dest), check=check)
    assert dest.read_bytes() == b"mine"
    estate.vm("web02")
    run("xen_vm_export", name="web02", dest=str(dest), force=True)
    with pytest.raises(InvalidChange, match="is there already"):
        run("xen_vm_export", name="web01", dest=str(dest))


@pytest.mark.parametrize(
    ("params", "error", "told"),
    [
        ({"name": "nobody"}, NotFound, "No VM is named 'nobody'"),
        ({"dest": "/no/such/folder/x.xva"}, InvalidChange, "The folder /no/such/folder is not there"),
        ({"dest": "/tmp"}, InvalidChange, "/tmp is a folder"),
        ({"live": False}, InvalidChange, "'web01' is Running. Halt it first"),
    ],
)
def test_bad_input_is_told_before_anything_is_done(
    estate: Estate, run: Run, dest: Path, params: Result, error: type[XenError], told: str
) -> None:
    estate.start()
    mark = estate.sim.mark()
    for check in (True, False):
        with pytest.raises(error, match=told):
            run("xen_vm_export", check=check, **{"name": "web01", "dest": str(dest), **params})
    assert estate.sim.calls(mark) == []


def test_what_the_vm_blocks_is_told(estate: Estate, run: Run, dest: Path) -> None:
    estate.call("VM.add_to_blocked_operations", estate.web01, "export", "true")
    with pytest.raises(InvalidChange, match="blocks the operation export"):
        run("xen_vm_export", name="web01", dest=str(dest), check=True)


@pytest.mark.parametrize("running", [False, True])
@pytest.mark.parametrize("after", [0, 10_000, 3 * MIB])
def test_a_connection_that_breaks_leaves_nothing(estate: Estate, run: Run, dest: Path, running: bool, after: int) -> None:
    if running:
        estate.start()
    before = estate.everything()
    estate.sim.faults.cut_transfer("/export", after)
    with pytest.raises((ConnectionFailed, ApiError), match="export VM 'web01'"):
        run("xen_vm_export", name="web01", dest=str(dest))
    assert list(dest.parent.iterdir()) == []
    assert estate.everything() == before
    assert run("xen_vm_export", name="web01", dest=str(dest))["changed"]
    assert xva.verify(dest).blocks > 2


def test_an_earlier_export_stays_when_the_next_one_fails(estate: Estate, run: Run, dest: Path) -> None:
    first = run("xen_vm_export", name="web01", dest=str(dest))
    estate.sim.faults.cut_transfer("/export", MIB)
    with pytest.raises(XenError):
        run("xen_vm_export", name="web01", dest=str(dest), force=True)
    again = run("xen_vm_export", name="web01", dest=str(dest))
    assert not again["changed"]
    assert again["export"] == first["export"]


@pytest.mark.parametrize("running", [False, True])
def test_a_full_disk_is_told_and_nothing_is_left(estate: Estate, run: Run, dest: Path, running: bool) -> None:
    if running:
        estate.start()
    before = estate.everything()
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    estate.sim.world.save()
    resource.setrlimit(resource.RLIMIT_FSIZE, (MIB + 5, limit[1]))
    try:
        with pytest.raises(XenError, match=r"web01\.xva could not be written after .* Make room"):
            run("xen_vm_export", name="web01", dest=str(dest))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert list(dest.parent.iterdir()) == []
    assert estate.everything() == before


CHANGES = range(1, 10)


@pytest.mark.parametrize("kind", ["before", "after"])
@pytest.mark.parametrize("nth", CHANGES)
def test_a_live_export_that_is_cut_off_at_any_call_comes_to_its_end(estate: Estate, run: Run, dest: Path, kind: str, nth: int) -> None:
    """task.create, the snapshot, its mark, name and so on, task.destroy, the removal."""
    estate.start()
    before = estate.everything()
    getattr(estate.sim.faults, f"cut_{kind}_change")(nth)
    try:
        run("xen_vm_export", name="web01", dest=str(dest))
    except XenError:
        run("xen_vm_export", name="web01", dest=str(dest))
    estate.sim.faults.clear()
    run("xen_vm_export", name="web01", dest=str(dest))
    assert xva.verify(dest).blocks > 2
    vms, disks, tasks = estate.everything()
    assert (vms, disks) == before[:2]
    assert [name for name in tasks if not name.startswith(("Export of", "Async."))] == before[2]


def test_the_snapshot_a_killed_task_left_is_removed_by_the_next(estate: Estate, run: Run, dest: Path) -> None:
    estate.start()
    before = estate.everything()
    for name, marked in (("domzero.xen export", False), ("web01", True)):
        left = estate.call("VM.snapshot", estate.web01, name)
        if marked:
            estate.call("VM.add_to_other_config", left, "domzero.xen:export", estate.record(left)["uuid"])
    estate.call("VM.snapshot", estate.web01, "mine")
    done = run("xen_vm_export", name="web01", dest=str(dest))
    assert done["operations"] == GONE + GONE + LIVE + GONE
    assert estate.everything()[0] == sorted([*before[0], "mine"])


def test_a_template_is_exported_by_its_uuid(estate: Estate, run: Run, dest: Path) -> None:
    uuid = estate.named("Other install media")["uuid"]
    assert run("xen_vm_export", uuid=uuid, dest=str(dest))["changed"]
    assert ova.describe(xva.look_into(dest)[1])["vms"][0]["is_a_template"]
    with pytest.raises(InvalidChange, match="is named 'Other install media', not 'web01'"):
        run("xen_vm_export", uuid=uuid, name="web01", dest=str(dest))


def test_disks_that_only_another_host_sees_are_fetched_there(simulator: Start, session_to: t.Any, run: Run, tmp_path: Path) -> None:
    sim = simulator(2)
    estate = Estate(sim, session_to(sim))
    sr = estate.local_sr(of_a_member=True)
    vm = estate.vm("far")
    estate.attach(vm, estate.call("VDI.create", {**PLAIN, "SR": sr}), 0)
    done = run("xen_vm_export", name="far", dest=str(tmp_path / "far.xva"))
    assert done["export"]["size"] > 2 * MIB


PLAIN = {
    "name_label": "far disk", "virtual_size": 3 * MIB, "type": "user", "sharable": False, "read_only": False, "other_config": {},
}  # fmt: skip


def test_snapshots_of_a_vm_that_came_out_of_a_live_export_are_its_owners(estate: Estate, run: Run, dest: Path, tmp_path: Path) -> None:
    """It bears the mark of that export, and hands it on to them."""
    estate.start()
    run("xen_vm_export", name="web01", dest=str(dest))
    run("xen_vm_import", src=str(dest), name="copy01")
    copy = estate.db.one("VM", name_label="copy01")
    estate.call("VM.start", copy, False, False)
    mine, again = estate.call("VM.snapshot", copy, "mine"), {"name": "copy01", "dest": str(tmp_path / "copy01.xva")}
    predicted, done = run("xen_vm_export", check=True, **again), run("xen_vm_export", **again)
    assert done["operations"] == predicted["operations"] == [LIVE[0], "VM.remove_from_other_config", *LIVE[1:], *GONE]
    assert estate.contents(mine) == estate.contents(copy)


def test_a_disk_of_a_left_snapshot_that_another_vm_has_stays(estate: Estate, run: Run, dest: Path) -> None:
    estate.start()
    left = estate.call("VM.snapshot", estate.web01, "domzero.xen export")
    vdi = estate.record(estate.record(left)["VBDs"][0], "VBD")["VDI"]
    estate.attach(estate.vm("rescue"), vdi, 0)
    done = run("xen_vm_export", name="web01", dest=str(dest))
    assert done["operations"] == [*GONE[1:], *LIVE, *GONE]
    assert estate.record(vdi, "VDI")["is_a_snapshot"]
