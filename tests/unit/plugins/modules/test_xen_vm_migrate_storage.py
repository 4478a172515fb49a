# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A VM's disks go to other storage of their pool, with the VM or without."""

from __future__ import annotations

import typing as t
from concurrent.futures import ThreadPoolExecutor

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.errors import Ambiguous, ApiError, InvalidChange

from .moving_lab import DISK, GIB, Lab

Run = t.Callable[..., t.Any]


@pytest.fixture
def lab(simulator, session_to) -> Lab:
    sim = simulator(2)
    lab = Lab(sim, session_to(sim))
    lab.shared_sr()
    return lab


def local(lab: Lab, host: str) -> str:
    """The uuid of a host's local SR; all have one name."""
    return str(lab("SR.get_uuid", lab.local_sr(host)))


def srs(lab: Lab, vm: str) -> list[str]:
    """The SR of each disk."""
    vbds = sorted((lab("VBD.get_record", ref) for ref in lab("VM.get_VBDs", vm)), key=lambda vbd: vbd["userdevice"])
    return [lab("SR.get_uuid", lab("VDI.get_SR", vbd["VDI"])) for vbd in vbds if vbd["type"] == "Disk"]


def count(lab: Lab) -> int:
    return len([vdi for vdi in lab("VDI.get_all_records").values() if vdi["managed"] and vdi["name_label"].startswith("disk")])


def codes(refused: pytest.ExceptionInfo[InvalidChange]) -> list[str]:
    return [reason["code"] for reason in refused.value.facts["reasons"]]


# moving ------------------------------------------------------------------------------
def test_the_disks_of_a_running_guest_move_one_by_one(lab: Lab, converges: Run) -> None:
    vm = lab.running(disks=3, sr=lab.local_sr("xcp00"))
    done = converges("xen_vm_migrate", name="web1", sr="NFS")
    assert done["operations"] == ["VDI.pool_migrate"] * 3
    assert done["vm"]["disks"] == {"0": "NFS", "1": "NFS", "2": "NFS"}
    assert lab.where(vm) == "xcp00"
    assert count(lab) == 3


def test_the_disks_of_a_halted_guest_move(lab: Lab, converges: Run) -> None:
    vm = lab.vm(disks=2)
    done = converges("xen_vm_migrate", name="web1", host="xcp01", sr="Local storage")
    assert done["vm"]["host"] == ""
    assert srs(lab, vm) == [local(lab, "xcp01")] * 2


def test_the_disks_of_a_halted_guest_go_from_one_hosts_storage_to_that_of_another(lab: Lab, converges: Run) -> None:
    vm = lab.vm(disks=2, sr=lab.local_sr("xcp00"))
    done = converges("xen_vm_migrate", name="web1", sr=local(lab, "xcp01"))
    assert done["operations"] == ["host.migrate_receive", "VM.migrate_send"]
    assert srs(lab, vm) == [local(lab, "xcp01")] * 2
    with pytest.raises(InvalidChange, match="No host has all the SRs"):
        converges("xen_vm_migrate", name="web1", disks={"0": local(lab, "xcp00")})


def test_single_disks_are_named_by_place_name_or_uuid(lab: Lab, converges: Run) -> None:
    vm = lab.running(disks=3, sr=lab.local_sr("xcp00"))
    third = next(v["uuid"] for v in lab("VDI.get_all_records").values() if v["name_label"] == "disk 2")
    there, here = lab("SR.get_uuid", lab.shared_sr()), local(lab, "xcp00")
    converges("xen_vm_migrate", name="web1", disks={"0": "NFS"})
    assert srs(lab, vm) == [there, here, here]
    converges("xen_vm_migrate", name="web1", disks={"disk 1": "NFS"})
    assert srs(lab, vm) == [there, there, here]
    lab.sim.world.clock.set_speed(0)
    converges_once = converges("xen_vm_migrate", name="web1", srs={here: "NFS"}, disks={"0": here})
    assert converges_once["changed"] is True
    assert srs(lab, vm) == [here, there, there]
    assert third not in [v["uuid"] for v in lab("VDI.get_all_records").values()]  # a disk that moved is another VDI


def test_guest_and_local_disks_go_to_another_host_together(lab: Lab, converges: Run) -> None:
    vm = lab.running(disks=2, sr=lab.local_sr("xcp00"))
    done = converges("xen_vm_migrate", name="web1", host="xcp01", sr="Local storage")
    assert done["operations"] == ["host.migrate_receive", "VM.migrate_send"]
    assert lab.where(vm) == "xcp01"
    assert srs(lab, vm) == [local(lab, "xcp01")] * 2
    assert count(lab) == 2


def test_only_the_local_disk_moves_with_the_guest(lab: Lab, converges: Run) -> None:
    vm = lab.vm(disks=1)
    lab.disk(vm, lab.local_sr("xcp00"), "1")
    lab("VM.start_on", vm, lab.host("xcp00"), False, False)
    done = converges("xen_vm_migrate", name="web1", host="xcp01", disks={"1": "NFS"})
    assert done["vm"]["disks"] == {"0": "NFS", "1": "NFS"}
    assert lab.where(vm) == "xcp01"


def test_snapshots_go_with_the_disk(lab: Lab, converges: Run) -> None:
    vm = lab.running(disks=1, sr=lab.local_sr("xcp00"))
    lab("VM.snapshot", vm, "before", [])
    converges("xen_vm_migrate", name="web1", sr="NFS")
    assert len(lab("VM.get_snapshots", vm)) == 1


# obstacles ---------------------------------------------------------------------------
def test_all_that_speaks_against_it_is_told_at_once(lab: Lab, run: Run) -> None:
    vm = lab.running(disks=3, sr=lab.local_sr("xcp00"))
    first, second, third = (lab("VBD.get_VDI", vbd) for vbd in lab("VM.get_VBDs", vm))
    lab.bend("VDI", first, cbt_enabled=True)
    lab.bend("VDI", second, sm_config={"key_hash": "abc"})
    lab.bend("VDI", third, on_boot="reset", physical_utilisation=1 << 50)
    mark = lab.sim.mark()
    for check in (True, False):
        with pytest.raises(InvalidChange) as refused:
            run("xen_vm_migrate", name="web1", sr="NFS", check=check)
        assert sorted(codes(refused)) == ["SR_FULL", "VDI_CBT_ENABLED", "VDI_IS_ENCRYPTED", "VDI_ON_BOOT_MODE_INCOMPATIBLE_WITH_OPERATION"]
    assert lab.made(mark) == []


def test_a_disk_takes_its_whole_size_on_thick_storage_and_what_it_holds_on_thin(lab: Lab, run: Run) -> None:
    lab.running(disks=2, sr=lab.local_sr("xcp00"))
    target = lab.shared_sr()
    lab.bend("SR", target, physical_size=GIB, physical_utilisation=0)
    assert run("xen_vm_migrate", name="web1", sr="NFS", check=True)["changed"]
    lab.bend("SR", target, type="lvmoiscsi")
    with pytest.raises(InvalidChange, match=r"SR 'NFS' has 1 GiB free, the disks take 2 GiB\. Make room there or choose another SR"):
        run("xen_vm_migrate", name="web1", sr="NFS", check=True)


def test_what_a_disk_on_thick_storage_holds_nobody_knows(lab: Lab, run: Run) -> None:
    vm = lab.running(disks=1, sr=lab.local_sr("xcp00"))
    lab.bend("SR", lab.local_sr("xcp00"), type="lvm")
    lab.bend("VDI", lab("VBD.get_VDI", lab("VM.get_VBDs", vm)[0]), physical_utilisation=1 << 50)
    assert run("xen_vm_migrate", name="web1", sr="NFS", check=True)["changed"]


def test_storage_that_cannot_mirror_is_named(lab: Lab, run: Run) -> None:
    lab.running(disks=1, sr=lab.local_sr("xcp00"))
    (driver,) = [ref for ref, sm in lab("SM.get_all_records").items() if sm["type"] == "nfs"]
    lab.bend("SM", driver, features={"VDI_SNAPSHOT": 1}, capabilities=["VDI_SNAPSHOT"])
    with pytest.raises(InvalidChange, match=r"SR 'NFS' of type nfs cannot take part in storage migration \(it lacks VDI_MIRROR_IN\)"):
        run("xen_vm_migrate", name="web1", sr="NFS")


def test_an_sr_that_the_host_lacks_is_named(lab: Lab, run: Run) -> None:
    lab.running(disks=1)
    with pytest.raises(InvalidChange, match="Host 'xcp00' does not have SR"):
        run("xen_vm_migrate", name="web1", sr=local(lab, "xcp01"))


def test_an_iso_library_takes_no_disks(lab: Lab, run: Run) -> None:
    lab.running(disks=1)
    with pytest.raises(InvalidChange, match="library of discs"):
        run("xen_vm_migrate", name="web1", sr="XCP-ng Tools")


def test_an_sr_whose_name_several_have_is_that_of_the_host_or_asked_for(lab: Lab, run: Run) -> None:
    vm = lab.running(disks=1)
    assert run("xen_vm_migrate", name="web1", sr="Local storage")["changed"] is True
    assert srs(lab, vm) == [local(lab, "xcp00")]
    lab.vm("halted", disks=1)
    with pytest.raises(Ambiguous, match="2 objects of class SR"):
        run("xen_vm_migrate", name="halted", sr="Local storage")


def test_a_disk_that_another_guest_has_too_stays(lab: Lab, run: Run) -> None:
    vm = lab.vm(disks=1)
    lab.drive(lab.vm("other"), lab("VBD.get_VDI", lab("VM.get_VBDs", vm)[0]), "1")
    with pytest.raises(InvalidChange, match="attached to VM 'other' as well"):
        run("xen_vm_migrate", name="web1", host="xcp01", sr="Local storage")


def test_old_releases_move_the_storage_of_guests_with_one_snapshot_and_six_disks_only(lab: Lab, run: Run) -> None:
    vm = lab.running(disks=7, sr=lab.local_sr("xcp00"))
    for n in range(2):
        lab("VM.snapshot", vm, f"s{n}", [])
    host = lab.host("xcp00")
    lab.bend("host", host, software_version={**lab("host.get_software_version", host), "platform_version": "2.7.0"})
    with pytest.raises(InvalidChange) as refused:
        run("xen_vm_migrate", name="web1", sr="NFS")
    assert codes(refused) == ["VM_HAS_TOO_MANY_SNAPSHOTS", "OPERATION_NOT_ALLOWED"]


def test_a_protected_guest_keeps_to_shared_storage(lab: Lab, run: Run) -> None:
    vm = lab.running(disks=1)
    lab.bend("VM", vm, ha_restart_priority="restart", ha_always_run=True)
    lab.bend("pool", lab("pool.get_all")[0], ha_enabled=True)
    with pytest.raises(InvalidChange, match="is protected by high availability, and SR"):
        run("xen_vm_migrate", name="web1", sr="Local storage")


# faults and interruption -------------------------------------------------------------
def test_what_fails_leaves_all_where_it_was(lab: Lab, run: Run) -> None:
    vm = lab.running(disks=2, sr=lab.local_sr("xcp00"))
    before = srs(lab, vm)
    lab.sim.faults.fail("VM.migrate_send", error=["MIRROR_FAILED", "vdi"])
    with pytest.raises(ApiError, match="The copy of a disk broke off"):
        run("xen_vm_migrate", name="web1", host="xcp01", sr="Local storage")
    assert (lab.where(vm), srs(lab, vm), count(lab)) == ("xcp00", before, 2)


def test_a_disk_that_was_left_where_it_was_to_go_is_named(lab: Lab, run: Run) -> None:
    vm = lab.running(disks=1, sr=lab.local_sr("xcp00"))
    lab.sim.world.clock.set_speed(4)

    def breaks_off() -> None:
        lab.moving(vm)
        lab("VDI.create", {**DISK, "name_label": "disk 0", "SR": lab.shared_sr()})
        lab("task.cancel", next(iter(lab("VM.get_current_operations", vm))))

    with ThreadPoolExecutor(1) as beside:
        broken = beside.submit(breaks_off)
        with pytest.raises(ApiError, match=r"Left unfinished where it was to go: disk 'disk 0' \([0-9a-f-]{36}\)"):
            run("xen_vm_migrate", name="web1", sr="NFS")
        broken.result()


@pytest.mark.parametrize("cut", ["cut_before_change", "cut_after_change"])
@pytest.mark.parametrize("nth", [1, 2, 3])
@pytest.mark.parametrize("options", [{"sr": "NFS"}, {"host": "xcp01", "sr": "NFS"}], ids=["disks", "all"])
def test_an_interrupted_task_ends_where_it_would_have(lab: Lab, run: Run, cut: str, nth: int, options: dict[str, t.Any]) -> None:
    vm = lab.running(disks=3, sr=lab.local_sr("xcp00"))
    getattr(lab.sim.faults, cut)(nth)
    run("xen_vm_migrate", name="web1", **options)
    assert srs(lab, vm) == [lab("SR.get_uuid", lab.shared_sr())] * 3
    assert lab.where(vm) == options.get("host", "xcp00")
    assert count(lab) == 3
    assert run("xen_vm_migrate", name="web1", **options)["changed"] is False
