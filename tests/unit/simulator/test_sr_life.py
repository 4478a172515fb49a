# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.domzero.xen.tests.simulator.fresh_pool import sm_types
from ansible_collections.domzero.xen.tests.unit.simulator import storing
from ansible_collections.domzero.xen.tests.unit.simulator.storing import NFS, NFS_ISO, Storing


@pytest.fixture
def pool() -> Storing:
    return storing.pool()


def test_an_introduced_sr_has_no_pbd_and_unknown_sizes(pool: Storing) -> None:
    record = pool.record("SR", pool("SR.introduce", "", "old", "", "NFS", "user", True, {}))
    assert (record["type"], record["PBDs"], record["physical_size"], record["physical_utilisation"]) == ("nfs", [], -1, -1)


def test_a_uuid_is_introduced_once(pool: Storing) -> None:
    uuid = "11111111-2222-3333-4444-555555555555"
    pool("SR.introduce", uuid, "a", "", "nfs", "user", True, {})
    assert pool.refused("SR.introduce", uuid, "b", "", "nfs", "user", True, {}) == ["SR_UUID_EXISTS", uuid]


@pytest.mark.parametrize("type_", ["nfs", "lvmoiscsi"])
def test_a_forgotten_sr_comes_back_with_its_disks(pool: Storing, type_: str) -> None:
    config = NFS if type_ == "nfs" else pool.iscsi
    sr = pool.sr(type_, config)
    uuid = pool.record("SR", sr)["uuid"]
    disk = pool.record("VDI", pool.vdi(sr, name_label="data"))
    pool.detach(sr)
    pool("SR.forget", sr)
    assert not pool.db.find("VDI", uuid=disk["uuid"])
    again = pool("SR.introduce", uuid, "again", "", type_, "user", True, {})
    pool("PBD.plug", pool("PBD.create", {"SR": again, "host": pool.host, "device_config": config}))
    found = pool.record("VDI", pool.db.one("VDI", uuid=disk["uuid"]))
    assert (found["SR"], found["virtual_size"]) == (again, disk["virtual_size"])
    assert found["name_label"] == ("data" if type_ == "lvmoiscsi" else ""), "only volume groups keep names"


def test_an_sr_that_is_not_there_cannot_be_plugged(pool: Storing) -> None:
    sr = pool("SR.introduce", "", "gone", "", "nfs", "user", True, {})
    pbd = pool("PBD.create", {"SR": sr, "host": pool.host, "device_config": NFS})
    assert pool.refused("PBD.plug", pbd)[0] == "SR_BACKEND_FAILURE_73"


@pytest.mark.parametrize("call", ["SR.forget", "SR.destroy"])
def test_an_attached_sr_is_not_removed(pool: Storing, call: str) -> None:
    sr = pool.sr("nfs", NFS)
    assert pool.refused(call, sr) == ["SR_HAS_PBD", sr]


def test_a_destroyed_sr_is_gone_from_its_storage(pool: Storing) -> None:
    sr = pool.sr("nfs", NFS)
    uuid = pool.record("SR", sr)["uuid"]
    pool.detach(sr)
    pool("SR.destroy", sr)
    assert not pool.db.exists("SR", sr)
    assert pool.machine.world.storage.repository(uuid) is None


def test_an_sr_without_pbd_or_with_disks_is_not_destroyed(pool: Storing) -> None:
    bare = pool("SR.introduce", "", "bare", "", "nfs", "user", True, {})
    assert pool.refused("SR.destroy", bare) == ["SR_HAS_NO_PBDS", bare]
    full = pool.sr("nfs", NFS)
    pool.vdi(full)
    pool.detach(full)
    assert pool.refused("SR.destroy", full) == ["SR_NOT_EMPTY"]


def test_disks_the_pool_forgot_keep_an_sr_from_being_destroyed(pool: Storing) -> None:
    sr = pool.sr("nfs", NFS)
    pool("VDI.forget", pool.vdi(sr))
    pool.detach(sr)
    assert pool.refused("SR.destroy", sr) == ["SR_NOT_EMPTY"]


def test_an_indestructible_sr_and_a_cache_sr_stay(pool: Storing) -> None:
    sr = pool.sr("nfs", NFS)
    pool.detach(sr)
    pool.db.set("host", pool.host, local_cache_sr=sr)
    assert pool.refused("SR.destroy", sr) == ["SR_IS_CACHE_SR", pool.host]
    pool("SR.add_to_other_config", sr, "indestructible", "true")
    assert pool.refused("SR.destroy", sr) == ["SR_INDESTRUCTIBLE", sr]


def test_the_images_of_a_library_outlive_its_sr(pool: Storing) -> None:
    sr = pool.sr("iso", NFS_ISO)
    assert pool.record("SR", sr)["sm_config"] == {"iso_type": "nfs_iso"}
    names = sorted(pool.record("VDI", vdi)["name_label"] for vdi in pool.record("SR", sr)["VDIs"])
    assert names == ["debian-12.7.0-amd64-netinst.iso", "ubuntu-24.04-live-server-amd64.iso"]
    pool.detach(sr)
    pool("SR.forget", sr)
    assert len(pool.record("SR", pool.sr("iso", NFS_ISO))["VDIs"]) == 2


# fields and questions ------------------------------------------------------------------------------------------------
def test_a_shared_sr_with_several_pbds_stays_shared(pool: Storing) -> None:
    sr = pool.sr("nfs", NFS)
    error = pool.refused("SR.set_shared", sr, False)
    assert (error[0], set(error[1:])) == ("SR_HAS_MULTIPLE_PBDS", set(pool.record("SR", sr)["PBDs"]))
    single = pool.sr("nfs", NFS, shared=False)
    pool("SR.set_shared", single, True)
    pool("SR.set_shared", single, False)
    assert not pool.record("SR", single)["shared"]


def test_an_sr_is_renamed_where_it_is_attached(pool: Storing) -> None:
    sr = pool.sr("lvmoiscsi", pool.iscsi)
    pool("SR.set_name_label", sr, "renamed")
    pool("SR.set_name_description", sr, "described")
    assert pool.record("SR", sr)["name_label"] == "renamed"
    (written,) = pool.san[0].repositories.values()
    assert (written.name_label, written.name_description) == ("renamed", "described")
    pool.detach(sr)
    assert pool.refused("SR.set_name_label", sr, "x") == ["SR_HAS_NO_PBDS", sr]


def test_a_heartbeat_needs_an_sr_that_every_host_has(pool: Storing) -> None:
    sr = pool.sr("nfs", NFS)
    pool("SR.assert_can_host_ha_statefile", sr)
    pool("PBD.unplug", pool.record("SR", sr)["PBDs"][1])
    assert pool.refused("SR.assert_can_host_ha_statefile", sr) == ["SR_HAS_NO_PBDS", sr]
    library = pool.sr("iso", NFS_ISO)
    assert pool.refused("SR.assert_can_host_ha_statefile", library) == ["SR_OPERATION_NOT_SUPPORTED", library]
    pool("SR.assert_supports_database_replication", pool.sr("lvmoiscsi", pool.iscsi))


def test_a_heartbeat_needs_space(pool: Storing) -> None:
    sr = pool.sr("lvmoiscsi", pool.iscsi)
    pool("SR.assert_can_host_ha_statefile", sr)
    pool.vdi(sr, 1020 << 30)
    pool.db.set("SR", sr, physical_utilisation=(1 << 40) - 1)
    assert pool.refused("SR.assert_can_host_ha_statefile", sr) == ["SR_SOURCE_SPACE_INSUFFICIENT", sr]


def test_an_unplugged_sr_may_be_forgotten_but_not_destroyed_while_it_has_disks(pool: Storing) -> None:
    sr = pool.sr("nfs", NFS)
    assert not {"forget", "destroy"} & set(pool.record("SR", sr)["allowed_operations"])
    pool.vdi(sr)
    pool.detach(sr)
    assert "forget" in pool.record("SR", sr)["allowed_operations"]
    assert "destroy" not in pool.record("SR", sr)["allowed_operations"]


def test_a_running_operation_blocks_the_others(pool: Storing) -> None:
    sr = pool.sr("nfs", NFS)
    pool.db.set("SR", sr, current_operations={"OpaqueRef:task": "scan"})
    assert pool.refused("SR.scan", sr) == ["OTHER_OPERATION_IN_PROGRESS", "SR", sr, "scan", "OpaqueRef:task"]


def test_the_types_of_the_pool_are_listed(pool: Storing) -> None:
    assert sorted(pool("SR.get_supported_types")) == sorted(sm_types())
