# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.errors import XenError

from .sr_lab import CHAP, NFS, Run, give_address, lab

__all__ = ["lab"]
TARGET = {"type": "lvmoiscsi", "target": "127.60.0.10"}


def test_an_nfs_server_tells_its_exports(lab: t.Any, run: Run) -> None:
    told = run("xen_sr_probe", type="nfs", server="127.60.0.10")
    assert [x["path"] for x in told["exports"]] == ["/export/vms", "/export/more", "/export/iso"]
    assert told["changed"] is False
    assert lab.calls() == []


def test_an_export_tells_its_srs(lab: t.Any, run: Run) -> None:
    uuid = run("xen_sr", **NFS)["sr"]["uuid"]
    told = run("xen_sr_probe", **{k: v for k, v in NFS.items() if k != "name"})
    assert [sr["uuid"] for sr in told["srs"]] == [uuid]


def test_an_iscsi_server_tells_its_targets_then_its_luns_then_its_srs(lab: t.Any, run: Run) -> None:
    run("xen_sr", **CHAP)
    assert [x["iqn"] for x in run("xen_sr_probe", **TARGET)["iqns"]] == ["iqn.2024-01.lab:two", "iqn.2024-01.lab:one"]
    luns = run("xen_sr_probe", **TARGET, iqn="iqn.2024-01.lab:two")["luns"]
    assert [(x["lun"], x["scsi_id"], x["size"] >> 30) for x in luns] == [(0, "lun-a", 500), (1, "lun-b", 200)]
    asked = {k: v for k, v in CHAP.items() if k != "name"}
    assert len(run("xen_sr_probe", **asked)["srs"]) == 1


def test_the_adapters_of_a_host_tell_their_luns(lab: t.Any, run: Run) -> None:
    assert [x["scsi_id"] for x in run("xen_sr_probe", type="lvmohba")["devices"]] == ["hba-0", "hba-1"]


def test_a_disk_tells_the_sr_on_it(lab: t.Any, run: Run) -> None:
    local = run("xen_sr_info", name="Local storage")["srs"]
    told = run("xen_sr_probe", type="ext", device="/dev/sda3", host="xcp01")
    assert [sr["uuid"] for sr in told["srs"]] == [sr["uuid"] for sr in local if sr["host"] == "xcp01"]


def test_the_server_of_a_library_is_asked_in_its_own_way(lab: t.Any, run: Run) -> None:
    assert run("xen_sr_probe", type="iso", location="127.60.0.10:/export/iso")["srs"] == []


def test_another_host_may_see_what_the_coordinator_does_not(lab: t.Any, run: Run) -> None:
    give_address(lab, "xcp01")
    asked = {"type": "nfs", "server": "172.16.0.10"}
    with pytest.raises(XenError, match="'xcp00' could not ask for SRs of type nfs") as e:
        run("xen_sr_probe", **asked)
    assert e.value.code == "SR_BACKEND_FAILURE_108"
    assert run("xen_sr_probe", **asked, host="xcp01")["exports"]


def test_a_type_that_cannot_be_asked_is_told(lab: t.Any, run: Run) -> None:
    with pytest.raises(XenError, match="could not ask for SRs of type zfs"):
        run("xen_sr_probe", type="zfs", location="/srv/vhds")
