# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.domzero.xen.tests.simulator.behaviours.sr_types.vhd import LONGEST_CHAIN
from ansible_collections.domzero.xen.tests.simulator.modeltypes import NULL
from ansible_collections.domzero.xen.tests.unit.simulator import storing
from ansible_collections.domzero.xen.tests.unit.simulator.conversation import settle
from ansible_collections.domzero.xen.tests.unit.simulator.storing import NFS, NFS_ISO, Storing

MIB = 1 << 20
GIB = 1 << 30


@pytest.fixture
def pool() -> Storing:
    return storing.pool(1)


@pytest.fixture
def nfs(pool: Storing) -> str:
    return pool.sr("nfs", NFS)


def use(pool: Storing, sr: str) -> tuple[int, int]:
    record = pool.record("SR", sr)
    return record["physical_utilisation"], record["virtual_allocation"]


# making and growing --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("asked", "got"), [(0, 2 * MIB), (1, 2 * MIB), (2 * MIB, 2 * MIB), (2 * MIB + 1, 4 * MIB), (GIB, GIB)])
def test_a_size_is_rounded_up_to_2_mib(pool: Storing, nfs: str, asked: int, got: int) -> None:
    assert pool.record("VDI", pool.vdi(nfs, asked))["virtual_size"] == got


def test_a_dummy_sr_takes_any_size(pool: Storing) -> None:
    assert pool.record("VDI", pool.vdi(pool.sr("dummy", {}), 1000))["virtual_size"] == 1000


@pytest.mark.parametrize("size", [2041 * GIB, -1])
def test_an_impossible_size_is_refused(pool: Storing, nfs: str, size: int) -> None:
    assert pool.refused("VDI.create", fields_of(nfs, size))[0] == "SR_BACKEND_FAILURE_79"


def fields_of(sr: str, size: int = GIB, **more: object) -> dict[str, object]:
    return {"SR": sr, "virtual_size": size, "type": "user", "sharable": False, "read_only": False, "other_config": {}, **more}


def test_a_thick_sr_runs_out_of_space_and_a_thin_one_does_not(pool: Storing, nfs: str) -> None:
    pool.vdi(nfs, 2000 * GIB)
    pool.vdi(nfs, 2000 * GIB)
    thick = pool.sr("lvmoiscsi", pool.iscsi)
    pool.vdi(thick, 900 * GIB)
    assert pool.refused("VDI.create", fields_of(thick, 200 * GIB))[0] == "SR_BACKEND_FAILURE_44"
    assert pool.refused("VDI.resize", pool.vdi(thick, GIB), 200 * GIB)[0] == "SR_BACKEND_FAILURE_44"


def test_a_thick_disk_takes_whole_extents_and_its_metadata(pool: Storing) -> None:
    thick = pool.sr("lvmoiscsi", pool.iscsi)
    taken = pool.record("VDI", pool.vdi(thick, GIB))["physical_utilisation"]
    assert taken % (4 * MIB) == 0
    assert GIB < taken < GIB + 16 * MIB
    assert use(pool, thick) == (taken, GIB)


def test_a_thin_disk_takes_next_to_nothing(pool: Storing, nfs: str) -> None:
    assert pool.record("VDI", pool.vdi(nfs, GIB))["physical_utilisation"] < MIB


def test_a_disk_has_the_fields_it_was_given(pool: Storing, nfs: str) -> None:
    wanted: dict[str, t.Any] = {
        "name_label": "n",
        "name_description": "d",
        "sharable": True,
        "other_config": {"a": "b"},
        "tags": ["t"],
        "xenstore_data": {"x": "y"},
    }
    record = pool.record("VDI", pool("VDI.create", fields_of(nfs, **wanted)))
    assert {name: record[name] for name in wanted} == wanted
    assert (record["location"], record["managed"], record["metadata_of_pool"]) == (record["uuid"], True, "")


def test_a_disk_for_tracking_is_not_made(pool: Storing, nfs: str) -> None:
    assert pool.refused("VDI.create", fields_of(nfs, type="cbt_metadata")) == ["VDI_INCOMPATIBLE_TYPE", NULL, "CBT metadata"]


def test_an_unplugged_sr_takes_no_disk(pool: Storing, nfs: str) -> None:
    disk = pool.vdi(nfs)
    pool.detach(nfs)
    for call in (("VDI.create", fields_of(nfs)), ("VDI.resize", disk, 2 * GIB), ("VDI.destroy", disk), ("VDI.set_name_label", disk, "x")):
        assert pool.refused(*call) == ["SR_HAS_NO_PBDS", nfs], call[0]


def test_a_library_takes_a_file_with_the_name_it_was_given(pool: Storing) -> None:
    library = pool.sr("iso", NFS_ISO)
    disk = pool("VDI.create", fields_of(library, 5 * MIB, sm_config={"path": "config-drive.iso"}))
    record = pool.record("VDI", disk)
    assert (record["location"], record["read_only"]) == ("config-drive.iso", False)
    pool("SR.scan", library)
    assert pool.db.exists("VDI", disk)
    pool("VDI.destroy", disk)
    assert len(pool.record("SR", library)["VDIs"]) == 2


def test_a_disk_grows_but_does_not_shrink(pool: Storing, nfs: str) -> None:
    disk = pool.vdi(nfs, GIB)
    pool("VDI.resize", disk, 2 * GIB)
    assert pool.record("VDI", disk)["virtual_size"] == 2 * GIB
    assert pool.refused("VDI.resize", disk, GIB)[0] == "SR_BACKEND_FAILURE_79"


def test_a_destroyed_disk_is_gone_from_its_storage(pool: Storing, nfs: str) -> None:
    disk = pool.vdi(nfs)
    pool("VDI.destroy", disk)
    pool("SR.scan", nfs)
    assert pool.record("SR", nfs)["VDIs"] == []
    assert use(pool, nfs) == (0, 0)


def test_a_forgotten_disk_is_found_again(pool: Storing, nfs: str) -> None:
    disk = pool.vdi(nfs)
    uuid = pool.record("VDI", disk)["uuid"]
    pool("VDI.forget", disk)
    assert pool.record("SR", nfs)["VDIs"] == []
    pool("SR.scan", nfs)
    assert pool.db.one("VDI", uuid=uuid) != disk


# copies --------------------------------------------------------------------------------------------------------------
def test_a_snapshot_knows_its_disk_and_inherits_its_fields(pool: Storing, nfs: str) -> None:
    disk = pool("VDI.create", fields_of(nfs, name_label="n", name_description="d", other_config={"a": "b"}, tags=["t"], type="system"))
    copy = pool.record("VDI", pool("VDI.snapshot", disk, {}))
    assert (copy["is_a_snapshot"], copy["snapshot_of"], copy["SR"]) == (True, disk, nfs)
    assert copy["snapshot_time"] > "2026"
    for name in ("name_label", "name_description", "other_config", "tags", "type", "virtual_size"):
        assert copy[name] == pool.record("VDI", disk)[name], name
    assert pool.record("VDI", disk)["snapshots"] == pool.db.find("VDI", is_a_snapshot=True)


def test_the_clone_of_a_thick_snapshot_is_large_and_the_snapshot_stays_small(pool: Storing) -> None:
    thick = pool.sr("lvmoiscsi", pool.iscsi)
    snapshot = pool("VDI.snapshot", pool.vdi(thick, GIB), {})
    small = pool.record("VDI", snapshot)["physical_utilisation"]
    clone = pool("VDI.clone", snapshot, {})
    assert pool.record("VDI", clone)["physical_utilisation"] > GIB
    pool("SR.scan", thick)
    assert pool.record("VDI", snapshot)["physical_utilisation"] == small


def test_a_clone_is_a_disk_of_its_own(pool: Storing, nfs: str) -> None:
    clone = pool.record("VDI", pool("VDI.clone", pool.vdi(nfs), {}))
    assert (clone["is_a_snapshot"], clone["snapshot_of"], clone["virtual_size"]) == (False, NULL, GIB)


def test_disk_and_snapshot_stand_on_a_hidden_base_copy(pool: Storing, nfs: str) -> None:
    disk = pool.vdi(nfs)
    snapshot = pool("VDI.snapshot", disk, {})
    pool("SR.scan", nfs)
    (base,) = pool.db.find("VDI", managed=False)
    parents = {pool.record("VDI", vdi)["sm_config"]["vhd-parent"] for vdi in (disk, snapshot)}
    assert parents == {pool.record("VDI", base)["uuid"]}
    pool("VDI.destroy", snapshot)
    settle(pool.machine.world)
    assert not pool.db.exists("VDI", base), "one disk alone needs no base copy"
    assert "vhd-parent" not in pool.record("VDI", disk)["sm_config"]


def test_a_chain_of_snapshots_has_an_end(pool: Storing, nfs: str) -> None:
    disk = pool.vdi(nfs)
    for _snapshot in range(LONGEST_CHAIN - 1):  # the disk itself is one of its images
        pool("VDI.snapshot", disk, {})
    assert pool.refused("VDI.snapshot", disk, {})[0] == "SR_BACKEND_FAILURE_109"


def test_a_snapshot_of_a_dummy_disk_is_empty(pool: Storing) -> None:
    copy = pool.record("VDI", pool("VDI.snapshot", pool.vdi(pool.sr("dummy", {})), {}))
    assert (copy["virtual_size"], copy["read_only"], copy["sm_config"], copy["metadata_of_pool"]) == (0, True, {}, NULL)


def test_a_copy_in_another_sr_is_complete_and_named_the_same(pool: Storing, nfs: str) -> None:
    target = pool.sr("lvmoiscsi", pool.iscsi)
    copy = pool.record("VDI", pool("VDI.copy", pool.vdi(nfs, name_label="n"), target, NULL, NULL))
    assert (copy["SR"], copy["name_label"], copy["virtual_size"], copy["is_a_snapshot"]) == (target, "n", GIB, False)


def test_a_copy_over_a_disk_needs_a_large_one_that_can_be_written_to(pool: Storing, nfs: str) -> None:
    disk, same, small = pool.vdi(nfs), pool.vdi(nfs), pool.vdi(nfs, MIB)
    assert pool("VDI.copy", disk, NULL, NULL, same) == same
    assert pool.refused("VDI.copy", disk, NULL, NULL, small) == ["VDI_TOO_SMALL", small, str(GIB)]
    readable = pool.vdi(nfs, read_only=True)
    assert pool.refused("VDI.copy", disk, NULL, NULL, readable) == ["VDI_READONLY", readable]


def test_a_library_copies_nothing_by_snapshot(pool: Storing) -> None:
    library = pool.sr("iso", NFS_ISO)
    image = pool.record("SR", library)["VDIs"][0]
    calls: list[list[t.Any]] = [["VDI.snapshot", image, {}], ["VDI.clone", image, {}], ["VDI.resize", image, GIB]]
    for call in calls:
        assert pool.refused(*call) == ["SR_OPERATION_NOT_SUPPORTED", library], call[0]
    assert sorted(pool.record("VDI", image)["allowed_operations"]) == ["copy", "destroy", "forget"]


# introducing ---------------------------------------------------------------------------------------------------------
def introduced(sr: str, uuid: str, location: str) -> list[object]:
    return [uuid, "found", "", sr, "user", False, False, {"a": "b"}, location]


def test_a_disk_is_introduced_once_and_with_a_real_uuid(pool: Storing) -> None:
    sr, uuid = pool.sr("dummy", {}), "11111111-2222-3333-4444-555555555555"
    record = pool.record("VDI", pool("VDI.introduce", *introduced(sr, uuid, "there")))
    assert (record["uuid"], record["location"], record["name_label"], record["other_config"]) == (uuid, "there", "found", {"a": "b"})
    assert pool.refused("VDI.introduce", *introduced(sr, uuid, "there")) == ["LOCATION_NOT_UNIQUE", sr, "there"]
    assert pool.refused("VDI.introduce", *introduced(sr, "short", "elsewhere")) == ["UUID_INVALID", "VDI", "short"]


def test_files_are_not_introduced(pool: Storing, nfs: str) -> None:
    assert pool.refused("VDI.introduce", *introduced(nfs, "11111111-2222-3333-4444-555555555555", "x")) == [
        "SR_OPERATION_NOT_SUPPORTED",
        nfs,
    ]


def test_a_lun_is_bound_by_creating_a_disk_it_is_large_enough_for(pool: Storing) -> None:
    sr = pool.sr("iscsi", {key: value for key, value in pool.iscsi.items() if key != "SCSIid"})
    disk = pool.record("VDI", pool.vdi(sr, 400 * GIB))
    assert (disk["location"], disk["virtual_size"], disk["managed"]) == (pool.san[1].path, 500 * GIB, True)
    assert pool.refused("VDI.create", fields_of(sr, 1100 * GIB))[0] == "SR_BACKEND_FAILURE_78"
    assert pool.refused("VDI.snapshot", pool.db.one("VDI", location=pool.san[1].path), {}) == ["SR_OPERATION_NOT_SUPPORTED", sr]


def test_an_update_reads_the_size_again(pool: Storing, nfs: str) -> None:
    disk = pool.vdi(nfs)
    pool.db.set("VDI", disk, physical_utilisation=5)
    pool("VDI.update", disk)
    assert pool.record("VDI", disk)["physical_utilisation"] > 5
