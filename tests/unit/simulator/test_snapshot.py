# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Snapshots, checkpoints and the way back."""

from __future__ import annotations

import pytest

from ansible_collections.domzero.xen.tests.simulator.modeltypes import NULL

from .hosting import GIB, Hosting, hosting


@pytest.fixture
def pool() -> Hosting:
    return hosting()


def _disks(pool: Hosting, vm: str) -> dict[str, str]:
    return {vbd["userdevice"]: vbd["VDI"] for vbd in (pool.record("VBD", ref) for ref in pool.record("VM", vm)["VBDs"])}


def test_a_snapshot_is_a_template_that_knows_its_vm(pool: Hosting) -> None:
    vm = pool.vm(disk=True)
    card = pool.vif(vm)
    pool("VM.start", vm, False, False)
    snapshot = pool("VM.snapshot", vm, "before")
    record = pool.record("VM", snapshot)
    assert (record["is_a_snapshot"], record["is_a_template"], record["power_state"]) == (True, True, "Halted")
    assert record["snapshot_info"] == {"power-state-at-snapshot": "Running", "disk-snapshot-type": "crash_consistent"}
    assert record["other_config"] == pool.record("VM", vm)["other_config"]  # the seed too
    assert pool.record("VIF", record["VIFs"][0])["MAC"] == pool.record("VIF", card)["MAC"]
    disk = pool.record("VDI", _disks(pool, snapshot)["0"])
    assert (disk["is_a_snapshot"], disk["snapshot_of"]) == (True, _disks(pool, vm)["0"])
    assert not pool.record("VBD", record["VBDs"][0])["currently_attached"]
    assert pool.record("VM", vm)["snapshots"] == [snapshot]
    assert pool.record("VM", vm)["parent"] == snapshot
    assert pool.state(vm) == "Running"
    assert pool.told(vm)[-1] == "VM_SNAPSHOTTED"


def test_snapshots_stand_on_one_another(pool: Hosting) -> None:
    vm = pool.vm()
    first, second = pool("VM.snapshot", vm, "1"), pool("VM.snapshot", vm, "2")
    assert pool.record("VM", second)["parent"] == first
    pool("VM.destroy", second)
    assert pool.record("VM", vm)["parent"] == first


def test_disks_can_be_left_out(pool: Hosting) -> None:
    vm = pool.vm(disk=True)
    second = pool.vdi()
    pool.vbd(vm, second, userdevice="1")
    assert set(_disks(pool, pool("VM.snapshot", vm, "s", [second]))) == {"0"}


def test_a_snapshot_that_fails_leaves_nothing(pool: Hosting) -> None:
    vm = pool.vm(disk=True)
    bad = pool.vdi(sharable=True)
    pool.vbd(vm, bad, userdevice="1")
    before = set(pool.db.all("VDI")), set(pool.db.all("VM"))
    assert pool.refused("VM.snapshot", vm, "s") == ["VDI_IS_SHARABLE", bad]
    assert (set(pool.db.all("VDI")), set(pool.db.all("VM"))) == before


def test_a_checkpoint_keeps_the_memory_and_the_guest_goes_on(pool: Hosting) -> None:
    vm = pool.running(disk=True)
    checkpoint = pool("VM.checkpoint", vm, "with memory")
    record = pool.record("VM", checkpoint)
    assert record["power_state"] == "Suspended"
    assert pool.record("VDI", record["suspend_VDI"])["type"] == "suspend"
    assert (pool.state(vm), pool.record("VM", vm)["suspend_VDI"]) == ("Running", NULL)
    assert pool.told(vm) == ["VM_STARTED", "VM_CHECKPOINTED"]


def test_a_checkpoint_needs_storage_that_makes_snapshots(pool: Hosting) -> None:
    vm = pool.running(disk=True)
    sm = pool.db.one("SM", type=pool.record("SR", pool.sr)["type"])
    pool.db.set("SM", sm, features={k: v for k, v in pool.record("SM", sm)["features"].items() if k != "VDI_SNAPSHOT"})
    assert pool.refused("VM.checkpoint", vm, "x") == ["SR_OPERATION_NOT_SUPPORTED", vm]
    assert pool.state(vm) == "Running"


# back ----------------------------------------------------------------------------------------------------------------
def test_going_back_restores_fields_disks_and_cards(pool: Hosting) -> None:
    vm = pool.vm("first name", disk=True)
    drive, card = pool.drive(vm), pool.vif(vm)
    old_disk, mac = _disks(pool, vm)["0"], pool.record("VIF", card)["MAC"]
    snapshot = pool("VM.snapshot", vm, "before")
    uuid = pool.record("VM", vm)["uuid"]
    pool("VM.set_name_label", vm, "second name")
    pool("VM.set_tags", vm, ["new"])
    pool("VM.set_memory", vm, GIB)
    pool("VIF.destroy", card)
    later = pool.vdi()
    pool.vbd(vm, later, userdevice="1")
    pool("VBD.insert", drive, pool.vdi(name_label="disc"))
    pool("VM.start", vm, False, False)
    pool("VM.revert", snapshot)
    record, disks = pool.record("VM", vm), _disks(pool, vm)
    assert (record["name_label"], record["uuid"], record["power_state"]) == ("first name", uuid, "Halted")
    assert record["memory_static_max"] == 256 << 20
    assert record["tags"] == ["new"]
    assert record["parent"] == snapshot
    assert (record["is_a_template"], record["is_a_snapshot"]) == (False, False)
    assert set(disks) == {"0", "3"}
    assert disks["3"] == NULL
    assert not pool.db.exists("VDI", old_disk)
    assert pool.record("VDI", _disks(pool, snapshot)["0"])["snapshot_of"] == disks["0"]
    assert not pool.record("VDI", disks["0"])["is_a_snapshot"]
    assert pool.db.exists("VDI", later)  # only detached
    assert pool.record("VIF", record["VIFs"][0])["MAC"] == mac
    assert pool.told(vm)[-2:] == ["VM_SHUTDOWN", "VM_SNAPSHOT_REVERTED"]
    assert "start" in pool.allowed(vm)
    pool("VM.start", vm, False, False)
    assert not pool.machine.world.breaches


def test_going_back_to_a_checkpoint_leaves_the_vm_suspended(pool: Hosting) -> None:
    vm = pool.running(disk=True)
    checkpoint = pool("VM.checkpoint", vm, "c")
    pool("VM.hard_shutdown", vm)
    pool("VM.revert", checkpoint)
    assert pool.state(vm) == "Suspended"
    assert pool.db.exists("VDI", pool.record("VM", checkpoint)["suspend_VDI"])
    pool("VM.resume", vm, False, False)
    assert pool.state(vm) == "Running"


def test_a_vm_that_is_gone_comes_back(pool: Hosting) -> None:
    vm = pool.vm("lost", disk=True)
    uuid = pool.record("VM", vm)["uuid"]
    snapshot = pool("VM.snapshot", vm, "s")
    pool("VM.destroy", vm)
    pool("VM.revert", snapshot)
    back = pool.db.one("VM", uuid=uuid)
    assert pool.record("VM", back)["name_label"] == "lost"
    assert pool.record("VM", snapshot)["snapshot_of"] == back
    pool("VM.start", back, False, False)


def test_only_a_snapshot_is_gone_back_to(pool: Hosting) -> None:
    vm = pool.vm()
    assert pool.refused("VM.revert", vm) == ["VM_REVERT_FAILED", vm, NULL]


def test_a_way_back_that_fails_names_both_and_leaves_the_vm_halted(pool: Hosting) -> None:
    vm = pool.running(disk=True)
    snapshot = pool("VM.snapshot", vm, "s")
    disk = _disks(pool, snapshot)["0"]
    pool.db.set("VDI", disk, current_operations={"OpaqueRef:t": "update"})
    before = _disks(pool, vm)
    assert pool.refused("VM.revert", snapshot) == ["VM_REVERT_FAILED", snapshot, vm]
    assert pool.state(vm) == "Halted"
    assert _disks(pool, vm) == before


def test_a_clone_of_a_checkpoint_is_halted(pool: Hosting) -> None:
    vm = pool.running(disk=True)
    checkpoint = pool("VM.checkpoint", vm, "c")
    made = pool("VM.clone", checkpoint, "copy")
    assert pool.state(made) == "Halted"
    assert not any(pool.record("VBD", vbd)["currently_attached"] for vbd in pool.record("VM", made)["VBDs"])
    assert pool.record("VM", made)["is_a_snapshot"] is False
