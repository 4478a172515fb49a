# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from ansible_collections.domzero.xen.tests.unit.simulator import storing
from ansible_collections.domzero.xen.tests.unit.simulator.storing import IQN, NFS, NFS_ISO, SMB, Storing, text

TARGET = {"target": "172.16.0.20"}


@pytest.fixture
def pool() -> Storing:
    return storing.pool()


def listed(pool: Storing, type_: str, config: dict[str, str], code: int) -> ET.Element:
    """What the third parameter of the driver's error lists."""
    error = pool.refused("SR.probe", pool.host, config, type_, {})
    assert error[:2] == [f"SR_BACKEND_FAILURE_{code}", ""]
    return ET.fromstring(error[3])


def test_exports_are_listed_when_no_path_is_given(pool: Storing) -> None:
    found = listed(pool, "nfs", {"server": "172.16.0.10"}, 101)
    assert (found.tag, text(found, "Export/Path")) == ("nfs-exports", ["/export/vms", "/export/iso"])
    assert text(found, "Export/Target") == ["172.16.0.10"] * 2
    assert text(found, "Export/Accesslist") == ["*"] * 2


def test_texts_stand_between_tabs_and_newlines(pool: Storing) -> None:
    raw = pool("SR.probe", pool.host, NFS, "nfs", {})
    assert raw == '<?xml version="1.0" ?>\n<SRlist/>\n'
    pool.sr("nfs", NFS)
    assert "\t\t<UUID>\n\t\t\t" in pool("SR.probe", pool.host, NFS, "nfs", {})


def test_an_sr_is_found_on_its_export_also_after_it_was_forgotten(pool: Storing) -> None:
    sr = pool.sr("nfs", NFS)
    uuid = pool.record("SR", sr)["uuid"]
    pool.detach(sr)
    pool("SR.forget", sr)
    assert text(pool.probe("nfs", NFS), "SR/UUID") == [uuid]


def test_the_versions_of_a_server_are_told_when_asked_for(pool: Storing) -> None:
    assert text(pool.probe("nfs", {**NFS, "probeversion": ""}), "SupportedVersions/Version") == ["3", "4"]
    assert not text(pool.probe("nfs", NFS), "SupportedVersions/Version")


def test_targets_are_listed_when_none_is_given_and_a_star_ends_the_list(pool: Storing) -> None:
    found = listed(pool, "lvmoiscsi", TARGET, 96)
    assert text(found, "TGT/Index") == ["0", "1"]
    assert text(found, "TGT/TargetIQN") == [IQN, "*"]
    assert text(found, "TGT/IPAddress") == ["172.16.0.20"] * 2
    assert not text(found, "TGT/Port")


def test_the_port_of_a_target_is_told_when_it_is_unusual(pool: Storing) -> None:
    server = pool.machine.world.storage.server_at("san")
    assert server
    server.targets[0].port = 3261
    assert text(listed(pool, "lvmoiscsi", {**TARGET, "port": "3261"}, 96), "TGT/Port") == ["3261"]
    assert pool.refused("SR.probe", pool.host, TARGET, "lvmoiscsi", {})[0] == "SR_BACKEND_FAILURE_141"


def test_luns_are_listed_when_none_is_given(pool: Storing) -> None:
    found = listed(pool, "lvmoiscsi", {**TARGET, "targetIQN": IQN}, 107)
    assert text(found, "LUN/SCSIid") == [lun.path for lun in pool.san]
    assert text(found, "LUN/LUNid") == ["0", "1"]
    assert text(found, "LUN/size") == [str(1 << 40), str(500 << 30)]


def test_an_iscsi_target_lists_luns_in_use_too(pool: Storing) -> None:
    pool.sr("lvmoiscsi", pool.iscsi)
    found = listed(pool, "lvmoiscsi", {**TARGET, "targetIQN": IQN}, 107)
    assert text(found, "LUN/SCSIid") == [lun.path for lun in pool.san]


def test_a_star_stands_for_all_targets(pool: Storing) -> None:
    assert len(listed(pool, "lvmoiscsi", {**TARGET, "targetIQN": "*"}, 107).findall("LUN")) == 2


def test_an_unknown_target_lists_the_known_ones(pool: Storing) -> None:
    assert text(listed(pool, "lvmoiscsi", {**TARGET, "targetIQN": "iqn.x"}, 83), "TGT/TargetIQN") == [IQN, "*"]


def test_a_volume_group_is_found_on_its_lun_with_device_and_size(pool: Storing) -> None:
    uuid = pool.record("SR", pool.sr("lvmoiscsi", pool.iscsi, name="vms"))["uuid"]
    found = pool.probe("lvmoiscsi", pool.iscsi)
    assert text(found, "SR/UUID") == [uuid]
    assert text(found, "SR/Devlist") == [f"/dev/disk/by-id/scsi-{pool.iscsi['SCSIid']}"]
    assert text(found, "SR/size") == [str(1 << 40)]
    assert not text(found, "SR/name_label")


def test_names_are_told_with_metadata(pool: Storing) -> None:
    pool.sr("lvmoiscsi", pool.iscsi, name="vms")
    found = pool.probe("lvmoiscsi", pool.iscsi, {"metadata": "true"})
    assert (text(found, "SR/name_label"), text(found, "SR/pool_metadata_detected")) == (["vms"], ["false"])


def test_a_local_sr_is_found_on_its_device(pool: Storing) -> None:
    local = pool.record("SR", pool.pool["default_SR"])
    assert text(pool.probe("ext", {"device": "/dev/sda3"}), "SR/UUID") == [local["uuid"]]


def test_an_sr_is_found_on_its_share(pool: Storing) -> None:
    uuid = pool.record("SR", pool.sr("smb", SMB))["uuid"]
    assert text(pool.probe("smb", SMB), "SR/UUID") == [uuid]


def test_luns_behind_adapters_are_listed(pool: Storing) -> None:
    world = pool.machine.world
    lun = world.storage.add_local("xcp00", pool.san[1])
    found = listed(pool, "lvmohba", {}, 107)
    assert (found.tag, text(found, "BlockDevice/SCSIid"), text(found, "BlockDevice/size")) == ("Devlist", [lun.path], [str(lun.size)])
    assert len(found.findall("Adapter")) == 1
    pool.sr("lvmohba", {"SCSIid": lun.path}, shared=False)
    assert not listed(pool, "lvmohba", {}, 107).findall("BlockDevice"), "LUNs in use are left out here"


def test_an_iso_library_cannot_be_probed(pool: Storing) -> None:
    error = pool.refused("SR.probe", pool.host, NFS_ISO, "iso", {})
    assert (error[0], len(error)) == ("SR_BACKEND_FAILURE", 4)


def test_the_richer_probe_is_not_for_these_drivers(pool: Storing) -> None:
    assert pool.refused("SR.probe_ext", pool.host, NFS, "nfs", {}) == ["SR_OPERATION_NOT_SUPPORTED"]


def test_an_unknown_type_cannot_be_probed(pool: Storing) -> None:
    assert pool.refused("SR.probe", pool.host, {}, "floppy", {}) == ["SR_UNKNOWN_DRIVER", "floppy"]


def test_the_named_host_is_the_one_that_looks(pool: Storing) -> None:
    member = next(host for host in pool.db.all("host") if host != pool.host)
    pool("PIF.reconfigure_ip", pool.pif("eth2", member), "None", "", "", "", "")
    assert pool.refused("SR.probe", member, NFS, "nfs", {})[0] == "SR_BACKEND_FAILURE_108"
    pool("SR.probe", pool.host, NFS, "nfs", {})


def test_a_scan_finds_new_images_and_forgets_those_that_are_gone(pool: Storing) -> None:
    sr = pool.sr("iso", NFS_ISO)
    library = pool.machine.world.storage.server_at("filer")
    assert library
    images = library.of_kind("nfs")[1].images
    images |= {"new.ISO": 1 << 20, "notes.txt": 1, "folder/deep.iso": 1}
    del images["debian-12.7.0-amd64-netinst.iso"]
    pool("SR.scan", sr)
    found = {pool.record("VDI", vdi)["location"]: pool.record("VDI", vdi) for vdi in pool.record("SR", sr)["VDIs"]}
    assert sorted(found) == ["new.ISO", "ubuntu-24.04-live-server-amd64.iso"]
    assert (found["new.ISO"]["virtual_size"], found["new.ISO"]["read_only"]) == (1 << 20, True)


def test_a_folder_of_a_library_can_be_the_library(pool: Storing) -> None:
    library = pool.machine.world.storage.server_at("filer")
    assert library
    library.of_kind("nfs")[1].images["folder/deep.iso"] = 1
    sr = pool.sr("iso", {**NFS_ISO, "iso_path": "/folder"})
    assert [pool.record("VDI", vdi)["location"] for vdi in pool.record("SR", sr)["VDIs"]] == ["deep.iso"]


def test_an_unplugged_sr_is_not_scanned(pool: Storing) -> None:
    sr = pool.sr("nfs", NFS)
    pool.detach(sr)
    assert pool.refused("SR.scan", sr) == ["SR_HAS_NO_PBDS", sr]


def test_a_server_that_went_away_fails_the_scan(pool: Storing) -> None:
    sr = pool.sr("nfs", NFS)
    server = pool.machine.world.storage.server_at("filer")
    assert server
    server.up = False
    assert pool.refused("SR.scan", sr)[0] == "SR_BACKEND_FAILURE_108"


def test_an_update_brings_sizes_up_to_date_which_no_client_sets(pool: Storing) -> None:
    sr = pool.sr("nfs", NFS)
    assert pool.refused("SR.set_physical_size", sr, 5) == ["PERMISSION_DENIED", ""]
    pool.db.set("SR", sr, physical_size=5)
    pool("SR.update", sr)
    assert pool.record("SR", sr)["physical_size"] == 2 << 40
    pool.detach(sr)
    assert pool.refused("SR.update", sr) == ["SR_HAS_NO_PBDS", sr]
