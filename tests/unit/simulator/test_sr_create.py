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
    pool.db.remove_from_map("host", pool.host, "other_config", "iscsi_iqn")  # where older releases have it
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
