# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""SRs whose configuration or password changes, that are scanned, forgotten and destroyed."""

from __future__ import annotations

import json
import typing as t

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.errors import InvalidChange

from .sr_lab import CHAP, ISOS, NFS, Run, attached, db_of, forget_pbd, lab, pbds, running_vm, sr_of, unplug

__all__ = ["lab"]
MOVED = {**NFS, "options": "hard"}


def disk(sim: t.Any, sr: str, name: str = "disk", size: int = 20 << 30, **fields: t.Any) -> str:
    db = db_of(sim)
    return t.cast("str", db.create("VDI", SR=db.one("SR", name_label=sr), name_label=name, virtual_size=size, managed=True, **fields))


def secrets(sim: t.Any, sr: str) -> list[str]:
    """What the secrets of its attachments hold."""
    db = db_of(sim)
    uuids = [value for pbd in pbds(sim, sr).values() for key, value in pbd["device_config"].items() if key.endswith("_secret")]
    return [db.get("secret", db.one("secret", uuid=uuid))["value"] for uuid in uuids]


# another configuration -------------------------------------------------------------
def test_another_configuration_is_a_disruption_that_the_task_must_allow(lab: t.Any, run: Run) -> None:
    run("xen_sr", **NFS)
    mark = lab.mark()
    with pytest.raises(InvalidChange, match="detach SR 'VMs' from host 'xcp00' to change options") as e:
        run("xen_sr", **MOVED)
    assert "allow_disruption" in str(e.value)
    assert lab.calls(mark) == []


def test_the_attachments_are_replaced_host_by_host(lab: t.Any, converges: Run) -> None:
    converges("xen_sr", **NFS)
    done = converges("xen_sr", **MOVED, allow_disruption=True)
    assert done["operations"] == ["PBD.unplug", "PBD.destroy", "PBD.create", "PBD.plug"] * 2
    assert {pbd["device_config"]["options"] for pbd in pbds(lab, "VMs").values()} == {"hard"}
    assert attached(lab, "VMs") == {"xcp00": True, "xcp01": True}


def test_only_the_host_whose_configuration_differs_is_touched(lab: t.Any, converges: Run) -> None:
    converges("xen_sr", **NFS)
    converges("xen_sr", **MOVED, allow_disruption=True)
    db = db_of(lab)
    pbd = db.one("PBD", SR=db.one("SR", name_label="VMs"), host=db.one("host", name_label="xcp01"))
    db.set("PBD", pbd, device_config={"server": "127.60.0.10", "serverpath": "/export/vms"})
    assert converges("xen_sr", **MOVED, allow_disruption=True)["operations"] == ["PBD.unplug", "PBD.destroy", "PBD.create", "PBD.plug"]


def test_a_key_of_device_config_is_set_and_removed(lab: t.Any, converges: Run) -> None:
    converges("xen_sr", **NFS, device_config={"mine": 1})
    assert converges("xen_sr", **NFS, device_config={"mine": None}, allow_disruption=True)["changed"] is True
    assert all("mine" not in pbd["device_config"] for pbd in pbds(lab, "VMs").values())


def test_a_detached_sr_is_changed_without_a_disruption(lab: t.Any, converges: Run) -> None:
    converges("xen_sr", **NFS)
    unplug(lab, "VMs", "xcp00", "xcp01")
    assert "PBD.unplug" not in converges("xen_sr", **MOVED)["operations"]


def test_a_change_as_is_leaves_detached_what_is_detached(lab: t.Any, converges: Run) -> None:
    converges("xen_sr", **NFS)
    unplug(lab, "VMs", "xcp01")
    converges("xen_sr", **MOVED, attach="as_is", allow_disruption=True)
    assert attached(lab, "VMs") == {"xcp00": True, "xcp01": False}
    assert {pbd["device_config"]["options"] for pbd in pbds(lab, "VMs").values()} == {"hard"}


def test_a_running_vm_keeps_the_configuration(lab: t.Any, run: Run) -> None:
    run("xen_sr", **NFS)
    running_vm(lab, "VMs")
    with pytest.raises(InvalidChange, match="running VMs use it: 'root' of VM 'web1'"):
        run("xen_sr", **MOVED, allow_disruption=True)


def test_all_of_a_configuration_has_to_be_given_to_change_it(lab: t.Any, run: Run) -> None:
    """An interruption between two attachments would lose what the task does not say."""
    run("xen_sr", **CHAP)
    with pytest.raises(InvalidChange, match=r"attachments are replaced. Give scsi_id, chap_password too"):
        run("xen_sr", name="San", target="127.60.0.10", iqn=CHAP["iqn"], multihomed=True, allow_disruption=True)


def test_values_the_driver_takes_anyway_are_no_change(lab: t.Any, converges: Run) -> None:
    converges("xen_sr", **CHAP)
    converges("xen_sr", **ISOS)
    assert converges("xen_sr", **CHAP, port=3260, multihomed=False, allocation="thick")["changed"] is False
    assert converges("xen_sr", **{**ISOS, "location": r"\\127.60.0.10\isos"}, smb_version="3.0")["changed"] is False


def test_the_new_server_has_to_be_reachable(lab: t.Any, run: Run) -> None:
    run("xen_sr", **NFS)
    with pytest.raises(InvalidChange, match=r"host 'xcp00': .*; host 'xcp01': "):
        run("xen_sr", **{**NFS, "server": "172.16.0.10"}, allow_disruption=True)


# passwords ---------------------------------------------------------------------------
def test_another_password_is_not_noticed_unless_asked_for(lab: t.Any, converges: Run) -> None:
    converges("xen_sr", **CHAP)
    changed = {**CHAP, "chap_password": "renewed"}
    assert converges("xen_sr", **changed)["changed"] is False
    done = converges("xen_sr", **changed, update_password="always")
    assert done["operations"] == ["secret.set_value"] * 2
    assert secrets(lab, "San") == ["renewed", "renewed"]
    assert "renewed" not in json.dumps(done)


def test_a_password_where_there_was_none_replaces_the_attachments(lab: t.Any, converges: Run, run: Run) -> None:
    lab.world.storage.server_at("near").place("smb", "isos").user = ""
    converges("xen_sr", name="ISOs", type="iso", location=ISOS["location"])
    with pytest.raises(InvalidChange, match="to change smb_username, smb_password"):
        run("xen_sr", **ISOS)
    converges("xen_sr", **ISOS, allow_disruption=True)
    assert all("cifspassword_secret" in pbd["device_config"] for pbd in pbds(lab, "ISOs").values())


def test_secrets_go_with_the_attachments_they_belong_to(lab: t.Any, converges: Run) -> None:
    before = set(db_of(lab).all("secret"))
    converges("xen_sr", **CHAP)
    converges("xen_sr", **CHAP, multihomed=True, allow_disruption=True)
    assert secrets(lab, "San") == ["open-it", "open-it"]
    converges("xen_sr", name="San", state="forgotten")
    assert set(db_of(lab).all("secret")) == before


# scan ------------------------------------------------------------------------------
def test_a_scan_finds_new_images_and_is_no_change(lab: t.Any, run: Run) -> None:
    run("xen_sr", **ISOS)
    lab.world.storage.server_at("near").place("smb", "isos").images["new.iso"] = 1 << 30
    mark = lab.mark()
    assert run("xen_sr", check=True, name="ISOs", scan=True)["changed"] is False
    assert lab.calls(mark) == []
    assert run("xen_sr", name="ISOs", scan=True)["changed"] is False
    assert {db_of(lab).get("VDI", ref)["name_label"] for ref in sr_of(lab, "ISOs")["VDIs"]} == {"windows.iso", "new.iso"}


def test_a_new_sr_is_scanned_too(lab: t.Any, run: Run) -> None:
    run("xen_sr", **ISOS, scan=True)
    assert [call["method"] for call in lab.calls()] == ["SR.create", "SR.scan"]


# away ------------------------------------------------------------------------------
@pytest.mark.parametrize("state", ["absent", "forgotten"])
def test_an_sr_that_is_not_there_is_gone(state: str, lab: t.Any, converges: Run) -> None:
    assert converges("xen_sr", name="Nothing", state=state)["changed"] is False
    assert converges("xen_sr", name="Nothing", uuid="1234", state=state)["changed"] is False


@pytest.mark.parametrize("state", ["absent", "forgotten"])
def test_an_sr_in_use_stays(state: str, lab: t.Any, run: Run) -> None:
    run("xen_sr", **NFS)
    running_vm(lab, "VMs", "xcp01")
    with pytest.raises(InvalidChange, match="'VMs' would be detached, but running VMs use it: 'root' of VM 'web1'") as e:
        run("xen_sr", name="VMs", state=state, destroy_data=True)
    assert e.value.code == "VDI_IN_USE"


def test_a_forgotten_sr_is_no_default_any_more(lab: t.Any, converges: Run) -> None:
    converges("xen_sr", **NFS, default=True)
    assert converges("xen_sr", name="VMs", state="forgotten")["operations"][-2:] == ["pool.set_default_SR", "SR.forget"]


def test_an_sr_with_disks_is_not_destroyed_without_a_word(lab: t.Any, run: Run) -> None:
    run("xen_sr", **NFS)
    disk(lab, "VMs", "root of web1")
    mark = lab.mark()
    with pytest.raises(InvalidChange, match=r"'VMs' holds 1 disks: root of web1 \(20 GiB\)") as e:
        run("xen_sr", name="VMs", state="absent")
    assert e.value.code == "SR_NOT_EMPTY"
    assert "destroy_data" in str(e.value)
    assert lab.calls(mark) == []


def test_the_disks_are_destroyed_first_when_the_task_says_so(lab: t.Any, converges: Run, request: pytest.FixtureRequest) -> None:
    converges("xen_sr", **NFS)
    session = request.getfixturevalue("session")
    for name in ("a", "b"):
        record = {"SR": db_of(lab).one("SR", name_label="VMs"), "virtual_size": 2 << 30, "type": "user", "name_label": name}
        session.call("VDI.create", {**record, "sharable": False, "read_only": False, "other_config": {}})
    done = converges("xen_sr", name="VMs", state="absent", destroy_data=True)
    assert done["operations"] == ["VDI.destroy"] * 2 + ["PBD.unplug"] * 2 + ["SR.destroy"]
    assert done["destroyed_disks"] == ["a (2 GiB)", "b (2 GiB)"]


def test_a_detached_sr_with_disks_has_to_be_attached_to_destroy_it(lab: t.Any, run: Run) -> None:
    run("xen_sr", **NFS)
    disk(lab, "VMs")
    unplug(lab, "VMs", "xcp00", "xcp01")
    with pytest.raises(InvalidChange, match="cannot be destroyed while it is detached"):
        run("xen_sr", name="VMs", state="absent", destroy_data=True)


def test_an_sr_that_no_host_knows_cannot_be_destroyed(lab: t.Any, run: Run) -> None:
    run("xen_sr", **NFS)
    forget_pbd(lab, "VMs", "xcp00", "xcp01")
    with pytest.raises(InvalidChange, match="attached to no host") as e:
        run("xen_sr", name="VMs", state="absent")
    assert e.value.code == "SR_HAS_NO_PBDS"


def test_a_library_of_images_can_only_be_forgotten(lab: t.Any, run: Run) -> None:
    run("xen_sr", **ISOS)
    with pytest.raises(InvalidChange, match="library of files") as e:
        run("xen_sr", name="ISOs", state="absent", destroy_data=True)
    assert "state: forgotten" in str(e.value)


def test_an_indestructible_sr_is_not_destroyed(lab: t.Any, run: Run) -> None:
    run("xen_sr", **NFS, other_config={"indestructible": True})
    with pytest.raises(InvalidChange, match="marked as indestructible"):
        run("xen_sr", name="VMs", state="absent")


def test_a_host_s_cache_is_not_destroyed(lab: t.Any, run: Run) -> None:
    run("xen_sr", name="Scratch", type="ext", device="/dev/sdb")
    db = db_of(lab)
    db.set("host", db.one("host", name_label="xcp00"), local_cache_sr=db.one("SR", name_label="Scratch"))
    with pytest.raises(InvalidChange, match="the cache of host 'xcp00'"):
        run("xen_sr", name="Scratch", state="absent")


@pytest.mark.parametrize("state", ["absent", "forgotten"])
def test_the_tools_stay(state: str, lab: t.Any, run: Run) -> None:
    with pytest.raises(InvalidChange, match="holds the tools"):
        run("xen_sr", name="XCP-ng Tools", state=state)
