# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""SRs that a pool has: fields, attachment and its repair, configuration, passwords, removal. Types, targets: in files of their own."""

from __future__ import annotations

import json
import typing as t

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.errors import Ambiguous, ApiError, InvalidChange, NotFound, XenError

from .sr_lab import CHAP, FAR, NFS, Run, attached, db_of, forget_pbd, give_address, lab, pbds, sr_of, unplug

__all__ = ["lab"]


# fields --------------------------------------------------------------------------
def test_everything_that_can_be_said_is_set_when_an_sr_is_created(lab: t.Any, converges: Run) -> None:
    done = converges(
        "xen_sr", **NFS, description="ours", tags=["b", "a"], other_config={"x": True}, sm_config={"nosubdir": True}, default=True
    )
    assert done["operations"] == ["SR.create", "SR.set_tags", "SR.set_other_config", "pool.set_default_SR"]
    record = sr_of(lab, "VMs")
    assert (record["name_description"], record["tags"], record["other_config"]) == ("ours", ["a", "b"], {"x": "true"})
    assert record["sm_config"] == {"nosubdir": "true"}
    assert done["sr"]["default"] is True


def test_only_what_differs_is_set(lab: t.Any, converges: Run) -> None:
    converges("xen_sr", **NFS, other_config={"theirs": 1})
    done = converges("xen_sr", **NFS, description="new", other_config={"ours": 2}, sm_config={"a": "b"})
    assert done["operations"] == ["SR.set_name_description", "SR.set_other_config", "SR.set_sm_config"]
    assert sr_of(lab, "VMs")["other_config"] == {"theirs": "1", "ours": "2"}


def test_what_the_driver_keeps_in_sm_config_stays_and_is_not_shown(lab: t.Any, converges: Run) -> None:
    converges("xen_sr", **CHAP)
    done = converges("xen_sr", **CHAP, sm_config={"mine": "x"})
    assert done["sr"]["sm_config"] == {"mine": "x"}
    assert sr_of(lab, "San")["sm_config"]["use_vhd"] == "true"
    assert converges("xen_sr", **CHAP, sm_config={"mine": None})["sr"]["sm_config"] == {}


def test_an_sr_needs_no_more_than_its_name_once_it_is_there(lab: t.Any, converges: Run) -> None:
    converges("xen_sr", **CHAP)
    assert converges("xen_sr", name="San")["changed"] is False


def test_an_sr_is_renamed_by_its_uuid(lab: t.Any, converges: Run) -> None:
    uuid = converges("xen_sr", **NFS)["sr"]["uuid"]
    assert converges("xen_sr", name="New name", uuid=uuid)["operations"] == ["SR.set_name_label"]
    assert sr_of(lab, "New name")["uuid"] == uuid


def test_the_type_is_fixed(lab: t.Any, run: Run) -> None:
    run("xen_sr", **NFS)
    with pytest.raises(InvalidChange, match="'VMs' is of type nfs, the task wants ext"):
        run("xen_sr", name="VMs", type="ext", device="/dev/sdb")


def test_the_content_type_is_fixed(lab: t.Any, run: Run) -> None:
    run("xen_sr", **NFS)
    with pytest.raises(InvalidChange, match="content_type of SR 'VMs' is fixed"):
        run("xen_sr", name="VMs", content_type="iso")


def test_the_default_sr_is_another_one_and_then_none(lab: t.Any, converges: Run) -> None:
    db = db_of(lab)
    converges("xen_sr", **NFS, default=True)
    assert lab.world.pools[0].pool["default_SR"] == db.one("SR", name_label="VMs")
    assert converges("xen_sr", name="VMs", default=False)["operations"] == ["pool.set_default_SR"]
    assert lab.world.pools[0].pool["default_SR"] == "OpaqueRef:NULL"


def test_an_sr_without_a_type_cannot_be_made(lab: t.Any, run: Run) -> None:
    with pytest.raises(InvalidChange, match="no SR 'New', and the task does not say of which type"):
        run("xen_sr", name="New")


# hosts ------------------------------------------------------------------------------
def test_local_srs_of_one_name_are_told_apart_by_host(lab: t.Any, converges: Run, run: Run) -> None:
    with pytest.raises(Ambiguous, match=r"2 SRs are named 'Local storage': .*\(on xcp0[01]\)"):
        run("xen_sr", name="Local storage", description="x")
    done = converges("xen_sr", name="Local storage", host="xcp01", description="of the second")
    assert done["operations"] == ["SR.set_name_description"]
    assert done["sr"]["host"] == "xcp01"


def test_a_local_sr_of_that_name_on_another_host_is_another_sr(lab: t.Any, converges: Run) -> None:
    first = converges("xen_sr", name="Scratch", type="ext", device="/dev/sdb", host="xcp00")
    second = converges("xen_sr", name="Scratch", type="ext", device="/dev/sdb", host="xcp01")
    assert first["sr"]["uuid"] != second["sr"]["uuid"]


def test_a_local_sr_cannot_move(lab: t.Any, run: Run) -> None:
    uuid = run("xen_sr", name="Scratch", type="ext", device="/dev/sdb")["sr"]["uuid"]
    with pytest.raises(InvalidChange, match="lies on host xcp00 and cannot move to xcp01"):
        run("xen_sr", name="Scratch", uuid=uuid, host="xcp01")


def test_a_shared_sr_has_no_host(lab: t.Any, run: Run) -> None:
    with pytest.raises(InvalidChange, match="host is for local SRs"):
        run("xen_sr", **NFS, host="xcp01")


def test_a_library_in_a_directory_is_local(lab: t.Any, converges: Run) -> None:
    done = converges("xen_sr", name="Images", type="iso", location="/srv/images", host="xcp01")
    assert (done["sr"]["shared"], done["sr"]["host"], done["attached_to"]) == (False, "xcp01", ["xcp01"])
    assert pbds(lab, "Images")["xcp01"]["device_config"] == {"location": "/srv/images", "legacy_mode": "true"}


def test_a_local_sr_becomes_a_shared_one_and_is_attached_everywhere(lab: t.Any, converges: Run) -> None:
    converges("xen_sr", **NFS, shared=False)
    assert converges("xen_sr", **NFS, shared=True)["operations"] == ["SR.set_shared", "PBD.create", "PBD.plug"]
    assert attached(lab, "VMs") == {"xcp00": True, "xcp01": True}


def test_an_sr_of_several_hosts_cannot_become_a_local_one(lab: t.Any, run: Run) -> None:
    run("xen_sr", **NFS)
    with pytest.raises(InvalidChange, match="known to 2 hosts"):
        run("xen_sr", name="VMs", shared=False)


# repair ----------------------------------------------------------------------------
def test_an_sr_is_attached_where_it_is_not(lab: t.Any, converges: Run) -> None:
    converges("xen_sr", **CHAP)
    unplug(lab, "San", "xcp01")
    done = converges("xen_sr", name="San")
    assert done["operations"] == ["PBD.plug"]
    assert done["diff"]["before"]["attach"] == "as_is"
    assert done["diff"]["after"]["attach"] == "all"
    assert attached(lab, "San") == {"xcp00": True, "xcp01": True}


def test_a_host_that_does_not_know_the_sr_gets_it_with_its_password(lab: t.Any, converges: Run) -> None:
    converges("xen_sr", **CHAP)
    forget_pbd(lab, "San", "xcp01")
    assert converges("xen_sr", name="San")["operations"] == ["PBD.create", "PBD.plug"]
    mine, theirs = (pbds(lab, "San")[host]["device_config"] for host in ("xcp00", "xcp01"))
    assert mine["chappassword_secret"] != theirs["chappassword_secret"]
    assert {k: v for k, v in mine.items() if "secret" not in k} == {k: v for k, v in theirs.items() if "secret" not in k}


def test_an_sr_that_no_host_knows_is_attached_with_what_the_task_says(lab: t.Any, converges: Run, run: Run) -> None:
    converges("xen_sr", **CHAP)
    forget_pbd(lab, "San", "xcp00", "xcp01")
    with pytest.raises(InvalidChange, match="needs target and iqn"):
        run("xen_sr", name="San")
    done = converges("xen_sr", **{**CHAP, "scsi_id": None})
    assert done["operations"] == ["PBD.create", "PBD.plug"] * 2


def test_an_sr_that_no_host_knows_is_not_attached_to_the_wrong_target(lab: t.Any, run: Run) -> None:
    run("xen_sr", **{**NFS, "path": "/export/more"}, existing="keep")
    run("xen_sr", **{**NFS, "name": "Other"})
    forget_pbd(lab, "VMs", "xcp00", "xcp01")
    with pytest.raises(InvalidChange, match=r"'VMs' .* is not on the target"):
        run("xen_sr", **NFS)


def test_a_host_that_cannot_reach_the_server_is_named_before_anything_is_done(lab: t.Any, run: Run) -> None:
    give_address(lab, "xcp00")
    for check in (True, False):
        with pytest.raises(InvalidChange, match="'Far' cannot be attached to host 'xcp01'") as e:
            run("xen_sr", check=check, **FAR)
    assert "xen_pif" in str(e.value)
    assert lab.calls() == []


def test_with_best_effort_a_host_that_cannot_reach_the_server_is_a_warning(lab: t.Any, converges: Run) -> None:
    give_address(lab, "xcp00")
    done = converges("xen_sr", **FAR, attach="best_effort")
    assert done["attached_to"] == ["xcp00"]
    assert "'Far' is not attached to host 'xcp01'" in done["warnings"][0]
    assert attached(lab, "Far") == {"xcp00": True, "xcp01": False}


def test_the_host_is_attached_once_it_has_an_address(lab: t.Any, converges: Run) -> None:
    give_address(lab, "xcp00")
    converges("xen_sr", **FAR, attach="best_effort")
    give_address(lab, "xcp01")
    assert converges("xen_sr", **FAR)["operations"] == ["PBD.plug"]


def test_what_is_detached_stays_so_as_is(lab: t.Any, converges: Run) -> None:
    converges("xen_sr", **NFS)
    unplug(lab, "VMs", "xcp01")
    assert converges("xen_sr", **NFS, attach="as_is")["changed"] is False


def test_a_host_that_is_down_is_a_warning(lab: t.Any, converges: Run) -> None:
    db = db_of(lab)
    host = db.get("host", db.one("host", name_label="xcp01"))
    converges("xen_sr", **NFS)
    unplug(lab, "VMs", "xcp01")
    db.set("host_metrics", host["metrics"], live=False)
    done = converges("xen_sr", **NFS)
    assert done["changed"] is False
    assert "host 'xcp01', which is down" in done["warnings"][0]


def test_a_host_that_fails_to_attach_a_new_sr_is_named_and_the_next_run_repairs_it(lab: t.Any, run: Run) -> None:
    everywhere = {"name": "Files", "type": "file", "location": "/srv/vhds", "shared": True}
    place = next(p for p in lab.world.storage.local["xcp01"] if p.path == "/srv/vhds")
    lab.world.storage.local["xcp01"].remove(place)
    with pytest.raises(XenError, match="'Files' is there now, but host xcp01 did not attach it") as e:
        run("xen_sr", **everywhere)
    assert e.value.done == ["SR.create"]
    lab.world.storage.local["xcp01"].append(lab.world.storage.local_place("xcp00", "directory", "/srv/vhds"))
    assert run("xen_sr", **everywhere)["operations"] == ["PBD.plug"]


def test_an_unknown_uuid_is_told(lab: t.Any, run: Run) -> None:
    with pytest.raises(NotFound, match="neither in the pool nor on the target"):
        run("xen_sr", **NFS, uuid="00000000-0000-0000-0000-000000000000")


def test_a_refusal_by_a_host_names_host_and_sr(lab: t.Any, run: Run) -> None:
    run("xen_sr", **NFS)
    unplug(lab, "VMs", "xcp01")
    lab.faults.fail("PBD.plug", error=["SR_BACKEND_FAILURE_73", "", "NFS mount error", ""])
    with pytest.raises(ApiError, match=r"Could not attach SR 'VMs' to host 'xcp01': .*NFS mount error") as e:
        run("xen_sr", **NFS)
    assert e.value.code == "SR_BACKEND_FAILURE_73"


def test_the_result_and_the_calls_hold_no_password(lab: t.Any, run: Run) -> None:
    assert "open-it" not in json.dumps(run("xen_sr", **CHAP))
