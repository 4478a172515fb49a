# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.domzero.xen.tests.simulator import site
from ansible_collections.domzero.xen.tests.simulator.behaviours.sr_types import drivers
from ansible_collections.domzero.xen.tests.simulator.fresh_pool import sm_types
from ansible_collections.domzero.xen.tests.unit.simulator import storing
from ansible_collections.domzero.xen.tests.unit.simulator.storing import CIFS_ISO, NFS, NFS_ISO, SMB, Storing


@pytest.fixture
def pool() -> Storing:
    return storing.pool()


def test_there_is_a_driver_for_every_known_type() -> None:
    assert set(drivers()) == set(sm_types())


@pytest.mark.parametrize(
    ("type_", "config"), [("nfs", NFS), ("smb", SMB), ("iso", NFS_ISO), ("iso", CIFS_ISO), ("dummy", {})], ids=lambda x: str(x)[:12]
)
def test_a_shared_sr_is_attached_on_every_host(pool: Storing, type_: str, config: dict[str, str]) -> None:
    assert pool.pbds(pool.sr(type_, config)) == {"xcp00": True, "xcp01": True}


def test_the_coordinators_pbd_comes_first_whoever_is_named(pool: Storing) -> None:
    member = next(host for host in pool.db.all("host") if host != pool.host)
    sr = pool.sr("nfs", NFS, host=member)
    assert pool.record("PBD", pool.record("SR", sr)["PBDs"][0])["host"] == pool.host


def test_an_sr_of_one_host_has_one_pbd(pool: Storing) -> None:
    member = next(host for host in pool.db.all("host") if host != pool.host)
    assert pool.pbds(pool.sr("nfs", NFS, shared=False, host=member)) == {"xcp01": True}


def test_a_volume_group_on_a_lun_is_noted_in_sm_config(pool: Storing) -> None:
    record = pool.record("SR", pool.sr("lvmoiscsi", pool.iscsi))
    devserial = f"scsi-{pool.iscsi['SCSIid']}"
    assert record["sm_config"] == {"allocation": "thick", "use_vhd": "true", "devserial": devserial, "multipathable": "true"}
    assert record["physical_size"] == 1 << 40


def test_sizes_are_those_of_the_medium(pool: Storing) -> None:
    record = pool.record("SR", pool.sr("nfs", NFS))
    assert (record["physical_size"], record["physical_utilisation"], record["virtual_allocation"]) == (2 << 40, 0, 0)


def test_a_type_is_written_in_small_letters(pool: Storing) -> None:
    assert pool.record("SR", pool.sr("NFS", NFS))["type"] == "nfs"


def test_a_member_without_an_address_there_is_left_unplugged() -> None:
    pool = storing.pool(addresses=False)
    pool.address(pool.host, "172.16.0.200")
    assert pool.pbds(pool.sr("nfs", NFS)) == {"xcp00": True, "xcp01": False}


def test_a_coordinator_without_an_address_there_gets_no_sr() -> None:
    pool = storing.pool(addresses=False)
    assert pool.no_sr("nfs", NFS)[0] == "SR_BACKEND_FAILURE_108"
    assert pool.no_sr("lvmoiscsi", pool.iscsi)[0] == "SR_BACKEND_FAILURE_141"


@pytest.mark.parametrize(
    ("type_", "config", "code"),
    [
        ("nfs", {}, 102),
        ("nfs", {"server": "172.16.0.10"}, 101),
        ("nfs", {**NFS, "serverpath": "/export/nothing"}, 73),
        ("nfs", {**NFS, "server": "nobody.example"}, 140),
        ("nfs", {**NFS, "server": "172.16.0.99"}, 108),
        ("nfs", {**NFS, "nfsversion": "5"}, 202),
        ("smb", {}, 102),
        ("smb", {**SMB, "password": "wrong"}, 111),
        ("smb", {**SMB, "server": r"\\127.20.0.10\nothing"}, 111),
        ("iso", {}, 94),
        ("iso", {**CIFS_ISO, "cifspassword": "wrong"}, 222),
        ("iso", {**CIFS_ISO, "vers": "2.0"}, 227),
        ("iso", {**CIFS_ISO, "location": "127.20.0.10"}, 225),
        ("iso", {**NFS_ISO, "location": "172.16.0.10:/nothing"}, 222),
        ("iso", {"location": "/nothing", "legacy_mode": "true"}, 226),
        ("lvmoiscsi", {}, 95),
        ("lvmoiscsi", {"target": "172.16.0.20"}, 96),
        ("lvmoiscsi", {"target": "172.16.0.20", "targetIQN": "iqn.2024-01.lab.example:other"}, 83),
        ("lvmoiscsi", {"target": "172.16.0.20", "targetIQN": storing.IQN}, 107),
        ("lvmoiscsi", {"target": "172.16.0.20", "targetIQN": storing.IQN, "SCSIid": "3600nothing"}, 19),
        ("lvmoiscsi", {"target": "172.16.0.20", "port": "99999"}, 142),
        ("lvmoiscsi", {"target": "172.16.0.99"}, 141),
        ("lvmohba", {}, 107),
        ("ext", {}, 90),
        ("ext", {"device": "sdb"}, 91),
        ("ext", {"device": "/dev/nothing"}, 19),
        ("ext", {"device": "/dev/sda"}, 105),
        ("file", {}, 94),
        ("hba", {}, 19),
        ("cephfs", {"server": "filer"}, 101),
        ("glusterfs", {}, 102),
        ("moosefs", {}, 102),
        ("linstor", {}, 5004),
        ("linstor", {"group-name": "g"}, 5005),
        ("linstor", {"group-name": "g", "redundancy": "2"}, 5006),
    ],
    ids=str,
)
def test_the_driver_says_what_is_wrong_and_nothing_is_left(pool: Storing, type_: str, config: dict[str, str], code: int) -> None:
    error = pool.no_sr(type_, config)
    assert error[0] == f"SR_BACKEND_FAILURE_{code}"
    assert len(error) == 4


def test_a_host_without_initiator_name_has_no_iscsi(pool: Storing) -> None:
    pool.db.set("host", pool.host, iscsi_iqn="")
    assert pool.no_sr("lvmoiscsi", pool.iscsi)[0] == "SR_BACKEND_FAILURE_97"
    pool.sr("lvmoiscsi", {**pool.iscsi, "localIQN": "iqn.2024-01.com.example:mine"})


def test_a_target_with_chap_wants_its_password(pool: Storing) -> None:
    server = pool.machine.world.storage.server_at("san")
    assert server
    server.targets[0].user, server.targets[0].password = "xen", "chap-secret"
    assert pool.no_sr("lvmoiscsi", {**pool.iscsi, "chapuser": "xen", "chappassword": "wrong"})[0] == "SR_BACKEND_FAILURE_68"
    pool.sr("lvmoiscsi", {**pool.iscsi, "chapuser": "xen", "chappassword": "chap-secret"})


def test_an_unknown_type_is_refused(pool: Storing) -> None:
    assert pool.no_sr("floppy", {}) == ["SR_UNKNOWN_DRIVER", "floppy"]


def test_the_key_xapi_adds_itself_is_refused(pool: Storing) -> None:
    assert pool.no_sr("nfs", {**NFS, "SRmaster": "true"})[:2] == ["VALUE_NOT_SUPPORTED", "SRmaster"]


def test_no_sr_is_made_during_a_rolling_upgrade(pool: Storing) -> None:
    pool("pool.add_to_other_config", pool.machine.pool.pool_ref, "rolling_upgrade_in_progress", "true")
    assert pool.no_sr("nfs", NFS) == ["NOT_SUPPORTED_DURING_UPGRADE"]


def test_a_lun_or_device_of_another_sr_is_in_use(pool: Storing) -> None:
    pool.sr("lvmoiscsi", pool.iscsi)
    assert pool.no_sr("lvmoiscsi", pool.iscsi) == ["SR_DEVICE_IN_USE"]
    assert pool.no_sr("ext", {"device": "/dev/sda3"}, shared=False) == ["SR_DEVICE_IN_USE"]


def test_a_new_volume_group_ends_what_was_on_the_lun(pool: Storing) -> None:
    old = pool.sr("lvmoiscsi", pool.iscsi)
    uuid = pool.record("SR", old)["uuid"]
    pool.detach(old)
    pool("SR.forget", old)
    assert uuid in pool.san[0].repositories
    pool.sr("lvmoiscsi", pool.iscsi)
    assert uuid not in pool.san[0].repositories


def test_an_old_form_of_create_is_deprecated(pool: Storing) -> None:
    assert pool.refused("SR.make", pool.host, {}, 0, "n", "", "nfs", "user", {}) == ["MESSAGE_DEPRECATED"]


def test_local_and_clustered_types_work_where_the_site_has_them() -> None:
    host = {
        "name": "a", "address": "127.9.0.1", "nics": [{"device": "eth0", "segment": "lan"}],
        "disks": [{"device": f"/dev/sd{letter}", "size": "100GiB"} for letter in "bcdef"],
        "directories": [{"path": "/mnt/vhds"}, {"path": "/tank"}],
        "hba": [{"scsi_id": "3600a", "size": "50GiB"}, {"scsi_id": "3600b", "size": "50GiB", "id": 1}],
    }  # fmt: skip
    paths = {"cephfs": [{"path": "/ceph"}], "moosefs": [{"path": "/moose"}], "glusterfs": [{"volume": "vol0"}]}
    lan = {"name": "cluster", "address": "127.9.0.9", "segment": "lan", **paths, "iscsi": [{"iqn": "iqn.x", "luns": [{"size": "1GiB"}]}]}
    world = site.build(site.parse({"segments": ["lan"], "hosts": [host], "storage": [lan], "linstor": [{"group": "g"}]}), speed=0)
    asked = Storing(next(iter(world.machines.values())))
    wanted = {
        "ext": {"device": "/dev/sdb"}, "xfs": {"device": "/dev/sdc"}, "largeblock": {"device": "/dev/sdd"},
        "lvm": {"device": "/dev/sde,/dev/sdf"},
        "file": {"location": "/mnt/vhds"}, "zfs": {"location": "/tank"}, "lvmohba": {"SCSIid": "3600a"}, "lvmofcoe": {"SCSIid": "3600b"},
        "cephfs": {"server": "127.9.0.9", "serverpath": "/ceph"}, "moosefs": {"masterhost": "cluster", "rootpath": "/moose"},
        "glusterfs": {"server": "cluster:/vol0"}, "linstor": {"group-name": "g", "redundancy": "1"}, "hba": {},
        "udev": {"location": "/dev/mine"},
        "shm": {"location": "/dev/shm/x"}, "iscsi": {"target": "127.9.0.9", "targetIQN": "iqn.x"},
    }  # fmt: skip
    for type_, config in wanted.items():
        assert asked.pbds(asked.sr(type_, config, shared=False)) == {"a": True}, type_
    writable = set(wanted) - {"hba", "iscsi", "udev", "shm"}
    for sr, record in list(asked.db.all("SR").items()):
        if record["type"] in writable and record["name_label"] in writable:
            asked.vdi(sr)


# introducing, forgetting, destroying ---------------------------------------------------------------------------------
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
