# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.domzero.xen.tests.simulator.modeltypes import NULL
from ansible_collections.domzero.xen.tests.unit.simulator import storing
from ansible_collections.domzero.xen.tests.unit.simulator.storing import NFS, Storing

GIB = 1 << 30


@pytest.fixture
def pool() -> Storing:
    return storing.pool(1)


@pytest.fixture
def nfs(pool: Storing) -> str:
    return pool.sr("nfs", NFS)


def guest_with(pool: Storing, disk: str, **fields: object) -> str:
    guest = pool.db.create("VM", name_label="guest", power_state="Running", resident_on=pool.host)
    vbd: dict[str, t.Any] = {"currently_attached": True, "empty": False, "mode": "RW", **fields}
    return pool.db.create("VBD", VM=guest, VDI=disk, **vbd)


def test_a_disk_in_use_is_neither_resized_nor_destroyed_nor_copied(pool: Storing, nfs: str) -> None:
    disk = pool.vdi(nfs)
    guest_with(pool, disk)
    assert pool.refused("VDI.resize", disk, 2 * GIB) == ["VDI_IN_USE", disk, "resize"]
    assert pool.refused("VDI.destroy", disk) == ["VDI_IN_USE", disk, "destroy"]
    assert pool.refused("VDI.copy", disk, nfs, NULL, NULL) == ["VDI_IN_USE", disk, "copy"]
    pool("VDI.snapshot", disk, {})


def test_a_disk_that_is_only_read_may_be_copied(pool: Storing, nfs: str) -> None:
    disk = pool.vdi(nfs)
    guest_with(pool, disk, mode="RO")
    pool("VDI.copy", disk, nfs, NULL, NULL)


def test_a_busy_disk_refuses_all_but_a_second_copy(pool: Storing, nfs: str) -> None:
    disk = pool.vdi(nfs)
    pool.db.set("VDI", disk, current_operations={"OpaqueRef:t": "copy"})
    assert pool.refused("VDI.resize", disk, 2 * GIB) == ["OTHER_OPERATION_IN_PROGRESS", "VDI", disk, "copy", "OpaqueRef:t"]
    pool("VDI.copy", disk, nfs, NULL, NULL)


def test_a_busy_device_keeps_its_disk_busy(pool: Storing, nfs: str) -> None:
    disk = pool.vdi(nfs)
    guest_with(pool, disk, currently_attached=False, current_operations={"OpaqueRef:t": "attach"})
    assert pool.refused("VDI.destroy", disk) == ["OTHER_OPERATION_IN_PROGRESS", "VDI", disk, "attach", "OpaqueRef:t"]


def test_a_disk_several_guests_may_write_to_has_no_snapshot(pool: Storing, nfs: str) -> None:
    disk = pool.vdi(nfs, sharable=True)
    assert pool.refused("VDI.snapshot", disk, {}) == ["VDI_IS_SHARABLE", disk]
    assert "snapshot" not in pool.record("VDI", disk)["allowed_operations"]


def test_a_disk_that_is_reset_at_boot_is_neither_copied_nor_tracked(pool: Storing, nfs: str) -> None:
    disk = pool.vdi(nfs)
    pool("VDI.set_on_boot", disk, "reset")
    calls: list[list[t.Any]] = [["VDI.snapshot", disk, {}], ["VDI.copy", disk, nfs, NULL, NULL], ["VDI.enable_cbt", disk]]
    for call in calls:
        assert pool.refused(*call) == ["VDI_ON_BOOT_MODE_INCOMPATIBLE_WITH_OPERATION"], call[0]


def test_changed_blocks_are_tracked_where_the_driver_can(pool: Storing, nfs: str) -> None:
    disk = pool.vdi(nfs)
    pool("VDI.enable_cbt", disk)
    assert pool.record("VDI", disk)["cbt_enabled"]
    assert pool.refused("VDI.set_on_boot", disk, "reset") == ["VDI_CBT_ENABLED", disk]
    pool("VDI.disable_cbt", disk)
    snapshot = pool("VDI.snapshot", disk, {})
    assert pool.refused("VDI.enable_cbt", snapshot)[0] == "OPERATION_NOT_ALLOWED"
    dummy = pool.sr("dummy", {})
    assert pool.refused("VDI.enable_cbt", pool.vdi(dummy)) == ["SR_OPERATION_NOT_SUPPORTED", dummy]


def test_only_a_tracked_snapshot_loses_its_data(pool: Storing, nfs: str) -> None:
    disk = pool.vdi(nfs)
    assert pool.refused("VDI.data_destroy", disk)[0] == "OPERATION_NOT_ALLOWED"
    snapshot = pool("VDI.snapshot", disk, {})
    assert pool.refused("VDI.data_destroy", snapshot) == ["VDI_NO_CBT_METADATA", snapshot]
    pool("VDI.enable_cbt", disk)
    snapshot = pool("VDI.snapshot", disk, {})
    pool("VDI.data_destroy", snapshot)
    assert pool.record("VDI", snapshot)["type"] == "cbt_metadata"
    assert pool.refused("VDI.snapshot", snapshot, {}) == ["VDI_INCOMPATIBLE_TYPE", snapshot, "CBT metadata"]


def test_a_device_of_a_host_is_no_disk_to_destroy(pool: Storing) -> None:
    drives = pool.db.one("SR", name_label="DVD drives")
    pool.machine.world.storage.directory("xcp00", "/dev/xapi/cd").images["sr0"] = GIB
    pool("SR.scan", drives)
    (drive,) = pool.record("SR", drives)["VDIs"]
    assert pool.record("VDI", drive)["read_only"]
    assert pool.refused("VDI.destroy", drive) == ["SR_OPERATION_NOT_SUPPORTED", drives]
    assert "destroy" not in pool.record("VDI", drive)["allowed_operations"]


def test_statistics_of_an_sr_are_not_destroyed(pool: Storing, nfs: str) -> None:
    disk = pool.vdi(nfs, type="rrd")
    assert pool.refused("VDI.destroy", disk) == ["VDI_HAS_RRDS", disk]


def test_high_availability_keeps_its_disks(pool: Storing, nfs: str) -> None:
    disk = pool.vdi(nfs, type="redo_log")
    assert pool.refused("VDI.copy", disk, nfs, NULL, NULL)[0] == "OPERATION_NOT_ALLOWED"
    pool.db.set("pool", pool.machine.pool.pool_ref, ha_enabled=True)
    assert pool.refused("VDI.destroy", disk) == ["HA_IS_ENABLED"]


def test_a_rolling_upgrade_allows_no_new_features(pool: Storing, nfs: str) -> None:
    disk = pool.vdi(nfs)
    pool("pool.add_to_other_config", pool.machine.pool.pool_ref, "rolling_upgrade_in_progress", "true")
    assert pool.refused("VDI.set_on_boot", disk, "reset") == ["NOT_SUPPORTED_DURING_UPGRADE"]


def test_few_drivers_grow_a_disk_in_use(pool: Storing, nfs: str) -> None:
    assert pool.refused("VDI.resize_online", pool.vdi(nfs), 2 * GIB) == ["SR_OPERATION_NOT_SUPPORTED", nfs]


@pytest.mark.parametrize(("field", "value"), [("virtual_size", 5), ("read_only", True), ("sharable", True)])
def test_what_only_drivers_know_is_not_set_by_a_client(pool: Storing, nfs: str, field: str, value: object) -> None:
    assert pool.refused(f"VDI.set_{field}", pool.vdi(nfs), value) == ["PERMISSION_DENIED", ""]


def test_a_disk_of_a_running_guest_changes_neither_boot_mode_nor_caching(pool: Storing, nfs: str) -> None:
    disk = pool.vdi(nfs)
    guest = pool.record("VBD", guest_with(pool, disk))["VM"]
    for call in (("VDI.set_on_boot", disk, "reset"), ("VDI.set_allow_caching", disk, True)):
        assert pool.refused(*call) == ["VM_BAD_POWER_STATE", guest, "halted", "running"], call[0]
