# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is looked at before an SR is made: servers, exports, targets, LUNs, devices, and what lies there already."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.errors import InvalidChange, NotFound, XenError

from .sr_lab import CHAP, ISOS, NFS, Run, attached, db_of, forget_sr, lab, sr_of

__all__ = ["lab"]
TWO = {"name": "San", "type": "lvmoiscsi", "target": "127.60.0.10", "iqn": "iqn.2024-01.lab:two"}
DISK = {"name": "Scratch", "type": "ext", "device": "/dev/sdb"}


def refused(lab: t.Any, run: Run, match: str, *hints: str, code: str = "", **task: t.Any) -> None:
    """In check mode and for real, in one sentence, before anything is changed."""
    mark = lab.mark()
    for check in (True, False):
        with pytest.raises(XenError, match=match) as e:
            run("xen_sr", check=check, **task)
        assert all(hint in str(e.value) for hint in hints), str(e.value)
        assert e.value.code == code
    assert lab.calls(mark) == []


def without_iqn(lab: t.Any, *names: str) -> None:
    db = db_of(lab)
    for host in (db.one("host", name_label=name) for name in names):
        db.set("host", host, iscsi_iqn="", other_config={})


# servers -------------------------------------------------------------------------------
def test_an_export_that_is_not_there_is_told_with_those_that_are(lab: t.Any, run: Run) -> None:
    exports = "/export/vms, /export/more, /export/iso"
    refused(lab, run, "127.60.0.10 has no export /nope", exports, code="SR_BACKEND_FAILURE_73", **{**NFS, "path": "/nope"})


def test_without_a_path_the_exports_are_told(lab: t.Any, run: Run) -> None:
    refused(lab, run, "An SR of type nfs needs path", "/export/vms", **{**NFS, "path": None})


def test_a_server_that_does_not_answer_is_told(lab: t.Any, run: Run) -> None:
    refused(lab, run, "'xcp00' cannot reach the NFS server 127.60.0.99", code="SR_BACKEND_FAILURE_108", **{**NFS, "server": "127.60.0.99"})


def test_a_directory_below_an_export_that_cannot_be_mounted_is_told(lab: t.Any, run: Run) -> None:
    refused(lab, run, r"cannot mount 127.60.0.10:/export/vms/deep", code="SR_BACKEND_FAILURE_73", **{**NFS, "path": "/export/vms/deep"})


def test_a_library_on_an_export_that_is_not_there_is_told(lab: t.Any, run: Run) -> None:
    refused(lab, run, "has no export /nope", "/export/iso", name="ISOs", type="iso", location="127.60.0.10:/nope")


def test_a_wrong_password_of_a_share_is_told(lab: t.Any, run: Run) -> None:
    refused(lab, run, "cannot mount //127.60.0.10/isos", "smb_password", code="SR_BACKEND_FAILURE_111", **{**ISOS, "smb_password": "wrong"})


def test_a_share_that_is_not_there_is_told(lab: t.Any, run: Run) -> None:
    task = {"name": "X", "type": "smb", "location": "//127.60.0.10/nope", "smb_username": "writer", "smb_password": "write-it"}
    refused(lab, run, "'xcp00' cannot use .*nope for an SR of type smb", code="SR_BACKEND_FAILURE_111", **task)


# targets and LUNs ------------------------------------------------------------------------
def test_an_iqn_that_is_not_there_is_told_with_those_that_are(lab: t.Any, run: Run) -> None:
    refused(lab, run, "127.60.0.10 has no iqn.nope", "iqn.2024-01.lab:two, iqn.2024-01.lab:one", **{**TWO, "iqn": "iqn.nope"})


def test_without_an_iqn_the_targets_are_told(lab: t.Any, run: Run) -> None:
    refused(lab, run, "type lvmoiscsi needs iqn", "iqn.2024-01.lab:two", **{**TWO, "iqn": None})


def test_an_iscsi_server_that_does_not_answer_is_told(lab: t.Any, run: Run) -> None:
    refused(lab, run, "cannot reach the iSCSI target 127.60.0.99", code="SR_BACKEND_FAILURE_141", **{**TWO, "target": "127.60.0.99"})


def test_a_wrong_chap_password_is_told_without_repeating_it(lab: t.Any, run: Run) -> None:
    with pytest.raises(XenError) as e:
        run("xen_sr", **{**CHAP, "chap_password": "let me in"})
    assert "chap_password" in str(e.value)
    assert "let me in" not in f"{e.value} {e.value.params}"


def test_several_luns_have_to_be_chosen_from(lab: t.Any, run: Run) -> None:
    refused(lab, run, "has 2 LUNs, the task does not say which", "lun 0 (scsi_id lun-a, 500 GiB", "lun 1 (scsi_id lun-b", **TWO)


def test_a_lun_that_is_not_there_is_told(lab: t.Any, run: Run) -> None:
    refused(lab, run, "has no LUN with lun 5", "lun 0 (scsi_id lun-a", lun=5, **TWO)
    refused(lab, run, "has no LUN with scsi_id lun-x", scsi_id="lun-x", **TWO)
    refused(lab, run, "has no LUN with lun 0 and scsi_id lun-b", lun=0, scsi_id="lun-b", **TWO)


def test_a_lun_is_found_by_its_number(lab: t.Any, converges: Run) -> None:
    assert converges("xen_sr", lun=1, **TWO)["sr"]["scsi_id"] == "lun-b"


def test_the_only_lun_needs_no_choice(lab: t.Any, converges: Run) -> None:
    assert converges("xen_sr", **{**CHAP, "scsi_id": None})["sr"]["scsi_id"] == "lun-c"


def test_a_host_without_an_iqn_is_named(lab: t.Any, run: Run) -> None:
    without_iqn(lab, "xcp01")
    refused(lab, run, "Host 'xcp01' has no iSCSI IQN", "xen_host", code="SR_BACKEND_FAILURE_97", lun=0, **TWO)


def test_an_sr_with_an_iqn_of_its_own_needs_none_of_the_host(lab: t.Any, converges: Run) -> None:
    without_iqn(lab, "xcp00", "xcp01")
    assert converges("xen_sr", lun=0, local_iqn="iqn.of.its.own", **TWO)["sr"]["local_iqn"] == "iqn.of.its.own"


def test_without_a_scsi_id_the_luns_of_the_adapters_are_told(lab: t.Any, run: Run) -> None:
    refused(lab, run, "'xcp00' sees 2 LUNs", "scsi_id hba-0", "scsi_id hba-1", name="Fc", type="lvmohba")
    refused(lab, run, "'xcp00' sees no LUN hba-9", "scsi_id hba-0", name="Fc", type="lvmohba", scsi_id="hba-9")


# used already ------------------------------------------------------------------------------
def test_a_lun_that_another_sr_uses_is_refused_with_its_name(lab: t.Any, run: Run) -> None:
    run("xen_sr", lun=0, **TWO)
    refused(lab, run, "lun-a is used by SR 'San' of this pool already", lun=0, **{**TWO, "name": "Other"})
    refused(lab, run, "lun-a is used by SR 'San'", lun=0, existing="overwrite", **{**TWO, "name": "Other"})


def test_a_lun_of_an_adapter_that_another_sr_uses_is_refused(lab: t.Any, run: Run) -> None:
    run("xen_sr", name="Fc", type="lvmohba", scsi_id="hba-0")
    refused(lab, run, "hba-0 is used by SR 'Fc'", name="Fc2", type="lvmofcoe", scsi_id="hba-0")


def test_a_device_that_another_sr_uses_is_refused_on_that_host_only(lab: t.Any, run: Run, converges: Run) -> None:
    run("xen_sr", **DISK)
    refused(lab, run, "/dev/sdb,/dev/sdc is used by SR 'Scratch'", name="Other", type="lvm", device="/dev/sdb,/dev/sdc")
    converges("xen_sr", name="Other", type="lvm", device="/dev/sdb", host="xcp01")


def test_a_device_that_is_not_there_is_told(lab: t.Any, run: Run) -> None:
    refused(lab, run, "'xcp00' cannot use /dev/sdz for an SR of type ext", code="SR_BACKEND_FAILURE_19", **{**DISK, "device": "/dev/sdz"})


def test_the_system_disk_is_told(lab: t.Any, run: Run) -> None:
    refused(lab, run, "'xcp00' cannot use /dev/sda", code="SR_BACKEND_FAILURE_105", **{**DISK, "device": "/dev/sda"})


# what lies there -----------------------------------------------------------------------------
@pytest.mark.parametrize("task", [{**TWO, "lun": 0}, DISK], ids=["lun", "disk"])
def test_the_sr_of_a_lun_or_disk_is_taken_in(task: dict[str, t.Any], lab: t.Any, converges: Run) -> None:
    uuid = forget_sr(lab, converges, task)
    done = converges("xen_sr", **task)
    assert (done["introduced"], done["sr"]["uuid"]) == (True, uuid)
    assert done["operations"][0] == "SR.introduce"
    assert "was found on the target and is taken in" in done["warnings"][0]
    assert all(attached(lab, task["name"]).values())


def test_the_sr_of_another_name_on_a_lun_is_refused(lab: t.Any, run: Run, converges: Run) -> None:
    uuid = forget_sr(lab, converges, {**TWO, "lun": 0})
    refused(lab, run, f"does not know: 'San' \\({uuid}\\)", "introduce", "overwrite", lun=0, **{**TWO, "name": "Other"})
    done = converges("xen_sr", lun=0, existing="introduce", **{**TWO, "name": "Other"})
    assert done["sr"]["uuid"] == uuid


@pytest.mark.parametrize("task", [{**TWO, "lun": 0}, DISK], ids=["lun", "disk"])
def test_an_sr_is_written_over_only_when_the_task_says_so(task: dict[str, t.Any], lab: t.Any, converges: Run) -> None:
    uuid = forget_sr(lab, converges, task)
    done = converges("xen_sr", existing="overwrite", **task)
    assert done["operations"] == ["SR.create"]
    assert done["sr"]["uuid"] != uuid


def test_an_sr_of_another_type_on_the_disk_is_seen(lab: t.Any, run: Run, converges: Run) -> None:
    forget_sr(lab, converges, {**DISK, "name": "Elsewhere"})
    refused(lab, run, "holds an SR of type ext", "overwrite", **{**DISK, "type": "lvm"})


def test_an_sr_of_a_file_server_may_be_another_pool_s(lab: t.Any, run: Run, converges: Run) -> None:
    uuid = forget_sr(lab, converges, NFS)
    refused(lab, run, f"does not know: {uuid}", "existing: introduce", "existing: keep", **NFS)
    assert converges("xen_sr", **NFS, existing="introduce")["sr"]["uuid"] == uuid


def test_a_new_sr_is_made_beside_those_of_a_file_server(lab: t.Any, converges: Run) -> None:
    uuid = forget_sr(lab, converges, NFS)
    done = converges("xen_sr", **NFS, existing="keep")
    assert done["sr"]["uuid"] != uuid
    assert set(lab.world.storage.server_at("near").place("nfs", "/export/vms").repositories) == {uuid, done["sr"]["uuid"]}


def test_srs_of_this_pool_on_the_same_export_are_in_nobody_s_way(lab: t.Any, converges: Run) -> None:
    converges("xen_sr", **NFS)
    assert converges("xen_sr", **{**NFS, "name": "Second"})["operations"] == ["SR.create"]


def test_several_srs_have_to_be_told_apart_by_uuid(lab: t.Any, run: Run, converges: Run) -> None:
    uuids = [forget_sr(lab, converges, NFS, existing=how) for how in ("auto", "keep")]
    refused(lab, run, "The target holds 2 SRs", *uuids, existing="introduce", **NFS)
    assert converges("xen_sr", **NFS, uuid=uuids[1])["sr"]["uuid"] == uuids[1]


def test_a_uuid_that_is_not_on_the_target_is_told_with_those_that_are(lab: t.Any, run: Run, converges: Run) -> None:
    uuid = forget_sr(lab, converges, NFS)
    refused(lab, run, "neither in the pool nor on the target", uuid, **NFS, uuid="00000000-0000-0000-0000-000000000000")


def test_a_library_is_taken_in_by_any_uuid(lab: t.Any, converges: Run) -> None:
    uuid = forget_sr(lab, converges, ISOS)
    done = converges("xen_sr", **ISOS, uuid=uuid)
    assert (done["introduced"], done["sr"]["uuid"]) == (True, uuid)
    assert len(sr_of(lab, "ISOs")["VDIs"]) == 1


@pytest.mark.parametrize(("task", "existing"), [(NFS, "overwrite"), ({**TWO, "lun": 0}, "keep")])
def test_what_makes_no_sense_for_the_type_is_refused(task: dict[str, t.Any], existing: str, lab: t.Any, run: Run) -> None:
    refused(lab, run, f"existing: {existing}", **task, existing=existing)


def test_errors_of_the_rule_are_those_a_task_can_tell_apart(lab: t.Any, run: Run) -> None:
    with pytest.raises(NotFound):
        run("xen_sr", **NFS, uuid="00000000-0000-0000-0000-000000000000")
    with pytest.raises(InvalidChange):
        run("xen_sr", **NFS, existing="overwrite")
