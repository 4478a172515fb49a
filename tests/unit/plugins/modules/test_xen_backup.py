# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Incremental backups of VMs: what is in them, and what remains on the pool."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.domzero.xen.plugins.module_utils import stream
from ansible_collections.domzero.xen.plugins.module_utils.backup import manifest as manifests
from ansible_collections.domzero.xen.plugins.module_utils.errors import InvalidChange, NotFound
from ansible_collections.domzero.xen.plugins.module_utils.formats import ova, xva
from ansible_collections.domzero.xen.plugins.module_utils.formats.compression import Damaged
from ansible_collections.domzero.xen.plugins.module_utils.formats.vhd_read import Vhd
from ansible_collections.domzero.xen.plugins.module_utils.module import perform
from ansible_collections.domzero.xen.plugins.module_utils.resources.backup import Backup
from ansible_collections.domzero.xen.plugins.module_utils.resources.backup.describing import Checked

from ..conftest import BadOptions, Start
from .backup_lab import Backups
from .transfer_lab import MIB

DISK = "http/get_export_raw_vdi"
WHOLE = ["VM.snapshot", "VM.add_to_other_config", "http/get_export_metadata", DISK, DISK, "repository/commit"]
OLD_BASE = ["VDI.destroy", "VDI.destroy", "VM.destroy"]


@pytest.fixture
def lab(simulator: Start, session_to: t.Any, run: t.Any, tmp_path: Path) -> Backups:
    sim = simulator(1)
    return Backups(sim, session_to(sim), run, tmp_path / "repository")


def test_a_vm_that_runs_is_backed_up_whole_and_then_its_changes(lab: Backups) -> None:
    lab.start()
    first = lab.backs_up()
    assert (first["operations"], first["reason"]) == (WHOLE, "it is the first one")
    then = lab.contents(lab.web01)
    lab.write(1)
    assert lab.read_back() == then, "the guest goes on writing, the backup stands for its moment"
    second = lab.backs_up()
    assert (second["operations"], second["reason"]) == (WHOLE + OLD_BASE, "")
    assert second["backup"]["parent"] == first["backup"]["stamp"]
    assert lab.read_back() == lab.contents(lab.web01)
    assert lab.hows() == {"0": "delta", "1": "delta"}
    assert lab.snapshots(lab.web01) == [f"domzero.xen backup {lab.repository_id[:8]} {second['backup']['stamp']}"]
    assert lab.named("web01")["power_state"] == "Running"


def test_what_the_guest_writes_meanwhile_is_in_the_next_one(lab: Backups) -> None:
    lab.start()
    lab.backs_up()
    lab.write(1)
    then = lab.contents(lab.web01)
    strike = lab.sim.faults.strike

    def struck(method: str, changing: bool) -> t.Any:
        if lab.snapshots(lab.web01)[1:]:  # from the snapshot on
            lab.write(len(lab.sim.calls()))
        return strike(method, changing)

    lab.sim.faults.strike = struck  # type: ignore[method-assign]
    lab.run()
    lab.sim.faults.strike = strike  # type: ignore[method-assign]
    assert lab.contents(lab.web01) != then
    assert lab.read_back() == then
    lab.backs_up()
    assert lab.read_back() == lab.contents(lab.web01)


@pytest.mark.slow
def test_each_increment_holds_what_changed_since_the_one_before(lab: Backups) -> None:
    disks = lab.disk_uuids(lab.web01)
    lab.backs_up()
    held = [lab.contents(lab.web01)]
    for seed in (1, 2, 3):
        lab.sim.disks.fill(disks["1"], 2 * MIB * seed, 5000, f"change {seed}")
        lab.backs_up()
        held.append(lab.contents(lab.web01))
        assert [disk.data for disk in lab.manifest().disks] == [0, 2 * MIB], "of the first disk nothing, of the second one block"
    backups = lab.backups()
    assert [lab.read_back(backup) for backup in backups] == held
    assert len(backups[-1].chain()) == 4
    assert len(lab.snapshots(lab.web01)) == 1


def test_an_increment_names_the_file_it_builds_on(lab: Backups) -> None:
    first = lab.backs_up()["backup"]["stamp"]
    lab.backs_up()
    newest = lab.newest()
    for disk in lab.manifest().disks:
        with Vhd(newest.path / disk.file) as file:
            assert file.header
            assert file.header.parent_name == f"../{first}/{disk.file}"
            assert (newest.path / file.header.parent_name).exists()
            assert file.header.parent_uuid == disk.parent_vhd
            assert file.footer.uuid == disk.vhd


def test_the_manifest_tells_what_a_restore_needs(lab: Backups) -> None:
    lab.call("VM.set_tags", lab.web01, ["web"])
    lab.call("VM.set_order", lab.web01, 3)
    lab.start()
    done = lab.backs_up(keep=True)["backup"]
    told = lab.manifest()
    vm, pool = lab.named("web01"), next(iter(lab.db.all("pool").values()))
    assert (told.kind, told.form, told.number, told.keep, told.subject.uuid, told.pool.uuid) == (
        "vm",
        "vhd",
        1,
        True,
        vm["uuid"],
        pool["uuid"],
    )
    assert (done["id"], done["stamp"]) == (told.id, told.stamp)
    assert [file.name for file in told.files] == ["metadata.xva", "disk0.vhd", "disk1.vhd"]
    assert {disk.device: disk.vdi for disk in told.disks} == lab.disk_uuids(lab.web01)
    kept = {v["uuid"] for v in lab.db.all("VDI").values() if v["is_a_snapshot"]}
    assert {disk.snapshot for disk in told.disks} == kept
    details = told.details
    assert (details["power_state"], details["tags"], details["order"], details["vtpm"]) == ("Running", ["web"], 3, False)
    assert details["networks"] == [{"device": "0", "network": lab.record(lab.network, "network")["name_label"], "mac": lab.mac()}]
    (described,) = ova.describe(xva.look_into(lab.newest().path / "metadata.xva")[1])["vms"]
    assert described["name"] == "web01"
    assert manifests.parse((lab.newest().path / "manifest.json").read_bytes()) == told


@pytest.mark.parametrize("state", ["Halted", *(pytest.param(state, marks=pytest.mark.slow) for state in ("Suspended", "Paused"))])
def test_a_vm_in_any_state_is_backed_up(lab: Backups, state: str) -> None:
    if state != "Halted":
        lab.start()
        lab.call("VM.suspend" if state == "Suspended" else "VM.pause", lab.web01)
    lab.backs_up()
    lab.write(1)
    warned = any("no memory" in warning for warning in lab.backs_up().get("warnings", []))
    assert warned == (state == "Suspended")
    assert lab.read_back() == lab.contents(lab.web01)
    assert lab.manifest().details["power_state"] == lab.named("web01")["power_state"] == state


def test_a_vm_without_disks_is_its_description(lab: Backups) -> None:
    lab.vm("empty")
    for _round in range(2):
        assert lab.backs_up(name="empty")["operations"] == ["http/get_export_metadata", "repository/commit"]
    assert [backup.state for backup in lab.backups("empty")] == ["good", "good"]


@pytest.mark.slow
def test_drives_for_discs_are_no_disks(lab: Backups) -> None:
    plain = {"userdevice": "3", "bootable": False, "mode": "RO", "type": "CD", "unpluggable": True, "other_config": {}}
    qos = {"qos_algorithm_type": "", "qos_algorithm_params": {}}
    lab.call("VBD.create", {"VM": lab.web01, "VDI": "OpaqueRef:NULL", "empty": True, **qos, **plain})
    assert lab.backs_up()["operations"] == WHOLE
    assert list(lab.hows()) == ["0", "1"]


@pytest.mark.slow
def test_a_virtual_tpm_is_in_the_description(lab: Backups) -> None:
    lab.call("VM.set_platform", lab.web01, {"device-model": "qemu-upstream-uefi"})
    lab.call("VTPM.create", lab.web01, False)
    lab.backs_up()
    assert lab.manifest().details["vtpm"] is True
    assert b"<value>VTPM</value>" in (lab.newest().path / "metadata.xva").read_bytes()


def test_disks_are_left_out_and_that_is_told(lab: Backups) -> None:
    lab.attach(lab.web01, lab.vdi("scratch [NOBAK]", size=4 * MIB), 2)
    lab.attach(lab.web01, lab.vdi("cache", size=4 * MIB, other_config={"domzero.xen:no-backup": "true"}), 4)
    lab.start()
    done = lab.backs_up(ignore_disks=["disk 1"])
    assert done["operations"] == [*WHOLE[:4], "repository/commit"]
    uuids = lab.disk_uuids(lab.web01)
    assert done["left_out"] == [
        {"device": "1", "name": "disk 1", "vdi": uuids["1"], "why": "the task ignores it"},
        {"device": "2", "name": "scratch [NOBAK]", "vdi": uuids["2"], "why": "its name has [NOBAK]"},
        {"device": "4", "name": "cache", "vdi": uuids["4"], "why": "its other_config has domzero.xen:no-backup"},
    ]
    assert list(lab.manifest().left_out) == done["left_out"]
    assert lab.hows() == {"0": "full"}
    assert len([v for v in lab.db.all("VDI").values() if v["is_a_snapshot"]]) == 1, "no snapshot of what is left out"
    again = lab.backs_up()
    assert (again["reason"], lab.hows()) == ("", {"0": "delta", "1": "full"}), "a disk that comes back is whole by itself"


def test_a_disk_to_leave_out_has_to_be_there(lab: Backups) -> None:
    with pytest.raises(InvalidChange, match=r"VM 'web01' has no disk 'log'\. It has 'disk 0' \(xvda\), 'disk 1' \(xvdb\)\."):
        lab.run(ignore_disks=["log"])


def test_nothing_is_done_while_the_newest_is_young_enough(lab: Backups) -> None:
    first = lab.backs_up(if_older_than="20h")
    mark, files = lab.sim.mark(), lab.files()
    for check in (True, False):
        again = lab.run(if_older_than="20h", check=check)
        assert (again["changed"], again["operations"], again["backup"]) == (False, [], first["backup"])
    assert (lab.sim.calls(mark), lab.files()) == ([], files)
    assert lab.run(if_older_than="0s")["changed"]
    with pytest.raises(InvalidChange, match=r"if_older_than '20 hours' is no length of time\. Say it with s, m, h, d or w"):
        lab.run(if_older_than="20 hours")


@pytest.mark.slow
def test_a_whole_one_comes_after_so_many(lab: Backups) -> None:
    reasons = [lab.backs_up(full_every=3)["reason"] for _round in range(5)]
    assert reasons == ["it is the first one", "", "", "full_every is 3", ""]
    assert len(lab.snapshots(lab.web01)) == 1


@pytest.mark.slow
def test_it_is_read_back(lab: Backups) -> None:
    lab.backs_up(verify=True)
    lab.backs_up(verify=True)


@pytest.mark.slow
def test_repositories_do_not_disturb_each_other(lab: Backups, tmp_path: Path) -> None:
    other = Backups(lab.sim, lab.session, lab._run, tmp_path / "other", like=lab)
    for one in (lab, other, lab, other):
        lab.write(len(lab.files()))
        done = one.backs_up()
        assert one.read_back() == lab.contents(lab.web01)
    assert done["reason"] == ""
    assert len(lab.backups()) == len(other.backups()) == 2
    assert len(lab.snapshots(lab.web01)) == 2


def test_a_vm_is_known_by_its_uuid_whatever_its_name(lab: Backups) -> None:
    lab.backs_up()
    lab.call("VM.set_name_label", lab.web01, "web02")
    lab.write(1)
    done = lab.backs_up(name="web02")
    assert (done["reason"], done["backup"]["name"]) == ("", "web02")
    assert len([path for path in lab.folder.glob("*/*") if path.is_dir()]) == 1
    assert lab.read_back(lab.newest("web02")) == lab.contents(lab.web01)
    with pytest.raises(NotFound, match="No VM is named 'web01'"):
        lab.run()
    with pytest.raises(InvalidChange, match=r"VM .* is named 'web02', not 'web01'"):
        lab.run(uuid=lab.record(lab.web01)["uuid"])


def test_what_speaks_against_it_is_said_before(lab: Backups) -> None:
    lab.start()
    cases: list[tuple[dict[str, t.Any], str]] = [
        ({"live": False}, r"VM 'web01' is running\. Halt it first, or set live: true\."),
        ({"consistency": "memory"}, r"An incremental backup of VM 'web01' holds its disks only, no memory\. Set mode: full"),
        ({"consistency": "quiesce"}, r"cannot be snapshotted quiesced: releases since 8\.1 never do.* Take consistency: memory"),
        ({"repository": str(lab.folder / "away")}, r"The repository .*/away is not there\."),
        ({"name": "web99"}, "No VM is named 'web99'"),
        ({"full_every": -1}, "full_every is -1"),
    ]
    for params, sentence in cases:
        for check in (True, False):
            mark = lab.sim.mark()
            with pytest.raises((InvalidChange, NotFound), match=sentence):
                lab.run(check=check, **params)
            assert lab.sim.calls(mark) == []
    with pytest.raises(BadOptions, match="name, uuid"):
        lab._run("xen_backup", repository=str(lab.folder), kind="vm")


@pytest.mark.slow
def test_a_disk_that_is_reset_at_boot_is_told(lab: Backups) -> None:
    (vdi,) = [ref for ref, v in lab.db.all("VDI").items() if v["name_label"] == "disk 1"]
    lab.call("VDI.set_on_boot", vdi, "reset")
    with pytest.raises(InvalidChange, match="'disk 1' is reset at every boot"):
        lab.run()


def test_another_task_at_work_is_named(lab: Backups) -> None:
    lab.backs_up()
    with (
        t.cast("t.Any", lab.subject()).lock("prune"),
        pytest.raises(InvalidChange, match=r"Another task \(.*prune\) works on .*VM 'web01'"),
    ):
        lab.run()
    lab.backs_up()


@pytest.mark.slow
def test_what_somebody_calls_like_ours_stays(lab: Backups) -> None:
    """Only marks of this repository count; a snapshot of another one, or of a person, is left alone."""
    lab.backs_up()
    lab.call("VM.snapshot", lab.web01, "before the update")
    lab.call("VM.snapshot", lab.web01, "domzero.xen backup 00000000 20260101T000000Z")
    lab.backs_up()
    assert len(lab.snapshots(lab.web01)) == 3


def test_how_far_it_is_is_told_here_and_on_the_pool(lab: Backups, session_to: t.Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the size that the head of the file tells, before all of it is there."""
    monkeypatch.setattr(stream, "ASK", 0.0)
    heard: list[tuple[str, float, int]] = []
    told: dict[str, float] = {}
    session = session_to(lab.sim)
    session.watch = lambda what, share, moved=0: heard.append((what, share, moved))
    strike = lab.sim.faults.strike

    def struck(method: str, changing: bool) -> t.Any:
        told.update({task["name_label"]: float(task["progress"]) for task in lab.db.all("task").values()})
        return strike(method, changing)

    lab.sim.faults.strike = struck  # type: ignore[method-assign]
    options = {"repository": str(lab.folder), "kind": "vm", "name": "web01"}
    perform(Backup, session, options)
    lab.sim.faults.strike = strike  # type: ignore[method-assign]
    disk = [(share, moved) for what, share, moved in heard if what == "Backup of web01: disk xvda" and moved]
    assert disk[-1] == (1.0, next(file.size for file in lab.manifest().files if file.name == "disk0.vhd"))
    assert disk == sorted(disk)
    assert 0 < told["Backup of web01: disk xvda"] <= 1


def test_a_disk_that_no_vhd_holds_is_told(lab: Backups) -> None:
    vm = lab.vm("large")
    vdi = lab.vdi("archive", size=MIB)
    lab.attach(vm, vdi, 0)
    with lab.sim.world.lock:
        lab.db.set("VDI", vdi, virtual_size=3 << 40)
    for check in (True, False):
        mark = lab.sim.mark()
        with pytest.raises(InvalidChange, match=r"Disk 'archive' \(xvda\) of VM 'large' is too large for a VHD \(3 TiB\)\. .*mode: full"):
            lab.run(name="large", check=check)
        assert lab.sim.calls(mark) == []
    assert lab.run(name="large", mode="full", check=True)["changed"]


@given(st.integers(0, 3071))
@settings(max_examples=20, deadline=None)
def test_a_description_that_is_cut_off_is_noticed_without_a_length(size: int) -> None:
    whole = b"ova.xml".ljust(512, b"\0") + b"x" * 1500 + bytes(36) + bytes(1024)
    assert len(whole) == 3072
    came = bytearray()
    checked = Checked(came.extend)
    checked.write(memoryview(whole)[:size])
    with pytest.raises(Damaged):
        checked.finish()
    checked.write(memoryview(whole)[size:])
    checked.finish()
    assert came == whole
