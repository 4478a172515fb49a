# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drives of VMs: each rule once."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.domzero.xen.tests.simulator.modeltypes import NULL

from .hosting import Hosting, hosting


@pytest.fixture
def pool() -> Hosting:
    return hosting()


def _allowed(pool: Hosting, vbd: str) -> set[str]:
    return set(pool.record("VBD", vbd)["allowed_operations"])


# making --------------------------------------------------------------------------------------------------------------
def test_a_drive_waits_until_the_vm_starts_or_it_is_plugged(pool: Hosting) -> None:
    for vm in (pool.vm("halted"), pool.running("running")):
        vbd = pool.vbd(vm, pool.vdi(), currently_attached=True, device="xvdz")
        assert not pool.record("VBD", vbd)["currently_attached"]
        assert pool.record("VBD", vbd)["device"] == ""
        assert pool.db.exists("VBD_metrics", pool.record("VBD", vbd)["metrics"])


def test_a_drive_of_a_suspended_vm_may_be_in_use_from_the_beginning(pool: Hosting) -> None:
    vbd = pool.vbd(pool.vm(power_state="Suspended"), pool.vdi(), currently_attached=True, device="xvda")
    assert pool.record("VBD", vbd)["currently_attached"]


def test_the_drives_of_a_disk_that_is_destroyed_go_with_it(pool: Hosting) -> None:
    vm, disk = pool.vm(), pool.vdi()
    vbd = pool.vbd(vm, disk)
    pool("VDI.destroy", disk)
    assert not pool.db.exists("VBD", vbd)
    assert vbd not in pool.record("VM", vm)["VBDs"]


def test_what_does_not_go_together_is_refused(pool: Hosting) -> None:
    vm, disk, read_only, metadata = pool.vm(), pool.vdi(), pool.vdi(), pool.vdi()
    pool.db.set("VDI", read_only, read_only=True)
    pool.db.set("VDI", metadata, type="cbt_metadata")
    cases: list[tuple[dict[str, t.Any], list[str]]] = [
        ({"vdi": disk, "type": "CD", "mode": "RW"}, ["VBD_CDS_MUST_BE_READONLY"]),
        ({"vdi": NULL}, ["VBD_NOT_REMOVABLE_MEDIA", "in constructor"]),
        ({"vdi": NULL, "empty": False}, ["HANDLE_INVALID", "VDI", NULL]),
        ({"vdi": read_only}, ["VDI_READONLY", read_only]),
        ({"vdi": metadata}, ["VDI_INCOMPATIBLE_TYPE", metadata, "CBT metadata"]),
        ({"vdi": disk, "userdevice": "seven"}, ["INVALID_DEVICE", "seven"]),
    ]
    for fields, error in cases:
        assert pool.refused("VBD.create", pool.vbd_record(vm, **fields)) == error


@pytest.mark.parametrize("name", ["0", "hda", "sda", "xvda"])
def test_one_place_has_many_names(pool: Hosting, name: str) -> None:
    vm = pool.vm(disk=True)
    assert pool.refused("VBD.create", pool.vbd_record(vm, pool.vdi(), userdevice=name)) == ["DEVICE_ALREADY_EXISTS", name]
    found = pool.vbd(vm, pool.vdi(), userdevice="autodetect")
    assert pool.record("VBD", found)["userdevice"] == "1"


def test_only_hvm_guests_have_floppies(pool: Hosting) -> None:
    vdi = pool.vdi()
    assert pool.refused("VBD.create", pool.vbd_record(pool.vm(domain_type="pv"), vdi, userdevice="fda"))[0] == "NOT_IMPLEMENTED"
    pool.vbd(pool.vm(), vdi, userdevice="fda")


def test_numbers_beyond_z_have_names_too(pool: Hosting) -> None:
    vm = pool.vm()
    vbd = pool.vbd(vm, pool.vdi(), userdevice="26")
    pool("VM.start", vm, False, False)
    assert pool.record("VBD", vbd)["device"] == "xvdaa"


def test_a_drive_in_use_stays(pool: Hosting) -> None:
    vm = pool.running(disk=True)
    vbd = pool.record("VM", vm)["VBDs"][0]
    uuids = pool.record("VBD", vbd)["uuid"], pool.record("VM", vm)["uuid"]
    assert pool.refused("VBD.destroy", vbd) == ["OPERATION_NOT_ALLOWED", f"VBD '{uuids[0]}' still attached to '{uuids[1]}'"]
    assert pool.refused("VBD.set_mode", vbd, "RO") == ["VM_BAD_POWER_STATE", vm, "halted", "running"]
    vdi = pool.record("VBD", vbd)["VDI"]
    assert "resize" not in pool.record("VDI", vdi)["allowed_operations"]
    pool("VM.hard_shutdown", vm)
    pool("VBD.set_mode", vbd, "RO")
    pool("VBD.destroy", vbd)
    assert "resize" in pool.record("VDI", vdi)["allowed_operations"]


# plugging ------------------------------------------------------------------------------------------------------------
def test_a_disk_is_plugged_into_a_running_guest_and_out_again(pool: Hosting) -> None:
    vm = pool.running()
    vbd = pool.vbd(vm, pool.vdi(), userdevice="1")
    assert {"plug", "attach"} <= _allowed(pool, vbd)
    assert pool.refused("VBD.unplug", vbd) == ["DEVICE_ALREADY_DETACHED", vbd]
    pool("VBD.plug", vbd)
    assert (pool.record("VBD", vbd)["currently_attached"], pool.record("VBD", vbd)["device"]) == (True, "xvdb")
    assert {"unplug", "unplug_force"} <= _allowed(pool, vbd)
    assert pool.refused("VBD.plug", vbd) == ["DEVICE_ALREADY_ATTACHED", vbd]
    pool("VBD.unplug", vbd)
    pool("VBD.plug", vbd)
    pool("VBD.unplug_force", vbd)
    assert not pool.record("VBD", vbd)["currently_attached"]


def test_only_a_running_guest_gets_a_disk(pool: Hosting) -> None:
    vm = pool.vm()
    vbd = pool.vbd(vm, pool.vdi())
    assert pool.refused("VBD.plug", vbd) == ["VM_BAD_POWER_STATE", vm, "running", "halted"]
    pool("VM.start", vm, True, False)
    assert pool.refused("VBD.unplug", vbd) == ["VM_BAD_POWER_STATE", vm, "running", "paused"]


def test_what_the_guest_can_decides_about_hotplug(pool: Hosting) -> None:
    vm = pool.running(agent=False)
    vbd = pool.vbd(vm, pool.vdi())
    metrics = pool.record("VM", vm)["guest_metrics"]
    assert pool.refused("VBD.plug", vbd) == ["VM_MISSING_PV_DRIVERS", vm]
    pool.db.set("VM_guest_metrics", metrics, can_use_hotplug_vbd="no", PV_drivers_detected=True)
    assert pool.refused("VBD.plug", vbd)[0] == "OPERATION_NOT_ALLOWED"
    pool.db.set("VM_guest_metrics", metrics, can_use_hotplug_vbd="yes", PV_drivers_detected=False)
    pool("VBD.plug", vbd)


def test_nothing_is_plugged_while_the_vm_leaves(pool: Hosting) -> None:
    vm = pool.running()
    vbd = pool.vbd(vm, pool.vdi())
    for operation in ("clean_shutdown", "hard_shutdown", "suspend", "pause"):
        pool.db.set("VM", vm, current_operations={"OpaqueRef:t": operation})
        assert pool.refused("VBD.plug", vbd)[0] == "OPERATION_NOT_ALLOWED"


def test_a_drive_does_one_thing_at_a_time(pool: Hosting) -> None:
    vm = pool.running()
    vbd = pool.vbd(vm, pool.vdi())
    pool.db.set("VBD", vbd, current_operations={"OpaqueRef:t": "attach"})
    assert pool.refused("VBD.plug", vbd) == ["OTHER_OPERATION_IN_PROGRESS", "VBD", vbd, "attach", "OpaqueRef:t"]


def test_what_is_not_unpluggable_stays(pool: Hosting) -> None:
    vm = pool.vm()
    vbd = pool.vbd(vm, pool.vdi(), unpluggable=False)
    pool("VM.start", vm, False, False)
    assert pool.refused("VBD.unplug", vbd) == ["VBD_NOT_UNPLUGGABLE", vbd]


def test_the_drive_of_an_hvm_guest_is_never_plugged(pool: Hosting) -> None:
    drive = pool.drive(pool.running())
    assert pool.refused("VBD.plug", drive)[0] == "OPERATION_NOT_ALLOWED"
    assert "plug" not in _allowed(pool, drive)


def test_a_read_only_disk_is_not_for_hvm_guests(pool: Hosting) -> None:
    vbd = pool.vbd(pool.running(), pool.vdi(), mode="RO")
    assert pool.refused("VBD.plug", vbd) == ["DISK_VBD_MUST_BE_READWRITE_FOR_HVM", vbd]


def test_a_disk_is_shared_only_by_readers(pool: Hosting) -> None:
    vdi = pool.vdi()
    writer = pool.running("writer")
    pool("VBD.plug", pool.vbd(writer, vdi))
    for mode in ("RW", "RO"):
        vbd = pool.vbd(pool.running(mode, domain_type="pv"), vdi, mode=mode)
        assert pool.refused("VBD.plug", vbd) == ["VDI_IN_USE", vdi]
        assert "plug" in _allowed(pool, vbd)  # never shown there
        assert pool.refused("VBD.assert_attachable", vbd) == ["VDI_IN_USE", vdi]
    pool.db.set("VDI", vdi, sharable=True)
    pool("VBD.plug", vbd)


def test_a_disk_that_is_not_managed_or_busy_is_not_plugged(pool: Hosting) -> None:
    vdi = pool.vdi()
    vbd = pool.vbd(pool.running(), vdi)
    pool.db.set("VDI", vdi, current_operations={"OpaqueRef:t": "snapshot"})
    assert pool.refused("VBD.plug", vbd) == ["OTHER_OPERATION_IN_PROGRESS", "VDI", vdi, "snapshot", "OpaqueRef:t"]
    pool.db.set("VDI", vdi, current_operations={}, managed=False)
    assert pool.refused("VBD.plug", vbd) == ["VDI_NOT_MANAGED", vbd]


def test_a_disk_must_be_where_the_guest_is() -> None:
    pool = hosting(2)
    vm = pool.running()
    assert pool.record("VM", vm)["resident_on"] != pool.host
    vbd = pool.vbd(vm, pool.vdi())
    assert pool.refused("VBD.plug", vbd) == ["VM_REQUIRES_SR", vm, pool.sr]


# discs ---------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("runs", [False, True])
def test_discs_are_laid_in_and_taken_out(pool: Hosting, runs: bool) -> None:
    vm = pool.running() if runs else pool.vm()
    drive, disc = pool.drive(vm), pool.vdi()
    assert pool.refused("VBD.eject", drive) == ["VBD_IS_EMPTY", drive]
    pool("VBD.insert", drive, disc)
    assert (pool.record("VBD", drive)["VDI"], pool.record("VBD", drive)["empty"]) == (disc, False)
    assert "eject" in _allowed(pool, drive)
    assert pool.refused("VBD.insert", drive, disc) == ["VBD_NOT_EMPTY", drive]
    pool("VBD.eject", drive)
    assert (pool.record("VBD", drive)["VDI"], pool.record("VBD", drive)["empty"]) == (NULL, True)


def test_only_a_cd_drive_takes_discs(pool: Hosting) -> None:
    disk = pool.vbd(pool.vm(), pool.vdi())
    for method, args in (("VBD.insert", [pool.vdi()]), ("VBD.eject", [])):
        assert pool.refused(method, disk, *args) == ["VBD_NOT_REMOVABLE_MEDIA", disk]


def test_the_disc_of_a_suspended_guest_stays(pool: Hosting) -> None:
    vm = pool.vm()
    drive = pool.drive(vm, pool.vdi())
    pool("VM.start", vm, False, False)
    pool("VM.suspend", vm)
    assert pool.refused("VBD.eject", drive) == ["VM_BAD_POWER_STATE", vm, "halted, running", "suspended"]


def test_a_disk_is_served_nowhere_while_no_network_is_for_that(pool: Hosting) -> None:
    vdi = pool.vdi()
    assert pool("VDI.get_nbd_info", vdi) == []
    pool("network.add_purpose", pool.network(), "nbd")  # on which no host has an address
    assert pool("VDI.get_nbd_info", vdi) == []


def test_no_driver_reverts_a_disk_in_place(pool: Hosting) -> None:
    snapshot = pool("VDI.snapshot", pool.vdi(), {})
    assert pool.refused("VDI.revert", snapshot) == ["SR_OPERATION_NOT_SUPPORTED", pool.sr]
