# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks that are attached to VMs, plugged into running ones, detached, and moved while they are used."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.errors import InvalidChange, NotFound, XenError

Run = Start = t.Callable[..., t.Any]
NOTE, FORGET = "VDI.add_to_other_config", "VDI.remove_from_other_config"
AGENT = {"vm-data/sim-agent": "10.0.0.60"}


@pytest.fixture
def sim(simulator: Start, run: Run) -> t.Any:
    """Two SRs, a disk, VMs web1 (halted), app1 and the paravirtual pv1 (run, with guest tools) and old1 (runs without)."""
    started = simulator("examples")
    for name, path in (("Filer", "/export/vms"), ("More", "/export/more")):
        run("xen_sr", name=name, type="nfs", server="127.40.0.10", path=path, default=name == "Filer")
    run("xen_vdi", name="data", size="1 GiB")
    return started


@pytest.fixture
def vms(sim: t.Any, session: t.Any) -> None:
    template = next(ref for ref, r in session.call("VM.get_all_records").items() if r["name_label"] == "Other install media")
    for name in ("web1", "app1", "pv1", "old1"):
        vm = session.call("VM.clone", template, name)
        session.call("VM.provision", vm)
        if name == "pv1":
            session.call("VM.set_domain_type", vm, "pv")
            session.call("VM.set_PV_bootloader", vm, "pygrub")
        if name in ("app1", "pv1"):
            session.call("VM.set_xenstore_data", vm, AGENT)
        if name != "web1":
            session.call("VM.start", vm, False, False)


def vbds(sim: t.Any, vm: str) -> list[dict[str, t.Any]]:
    db = sim.world.pools[0].db
    return [db.get("VBD", ref) for ref in db.get("VM", db.one("VM", name_label=vm))["VBDs"] if db.get("VBD", ref)["type"] == "Disk"]


pytestmark = pytest.mark.usefixtures("vms")


def test_a_halted_vm_gets_a_disk_in_the_first_free_place(sim: t.Any, converges: Run) -> None:
    done = converges("xen_vdi", name="data", attached_to=[{"vm": "web1"}])
    assert done["operations"] == ["VBD.create"]
    assert done["vdi"]["attached_to"] == [{"vm": "web1", "position": 0, "mode": "rw", "bootable": False}]
    done = converges("xen_vdi", name="data", attached_to=[{"vm": "web1", "mode": "ro", "bootable": True}])
    assert done["operations"] == ["VBD.set_bootable", "VBD.set_mode"]


def test_a_new_disk_is_attached_at_once(sim: t.Any, converges: Run) -> None:
    done = converges("xen_vdi", name="more", size="1 GiB", attached_to=[{"vm": "web1", "position": 5}])
    assert done["operations"] == ["VDI.create", "VBD.create"]


def test_a_running_vm_gets_and_loses_a_disk(sim: t.Any, converges: Run) -> None:
    done = converges("xen_vdi", name="data", attached_to=[{"vm": "app1"}])
    assert done["operations"] == ["VBD.create", "VBD.plug"]
    assert done["vdi"]["attached_to"][0]["plugged"] is True
    assert converges("xen_vdi", name="data", attached_to=[])["operations"] == ["VBD.unplug", "VBD.destroy"]
    assert vbds(sim, "app1") == []


def test_the_drive_of_a_running_vm_is_made_anew_for_another_mode(sim: t.Any, converges: Run) -> None:
    pool = sim.world.pools[0]
    converges("xen_vdi", name="data", attached_to=[{"vm": "pv1", "mode": "rw"}])
    (drive,) = vbds(sim, "pv1")
    pool.db.set("VBD", pool.db.one("VBD", uuid=drive["uuid"]), other_config={"owner": "", "mine": "kept"})
    done = converges("xen_vdi", name="data", attached_to=[{"vm": "pv1", "mode": "ro"}])
    assert done["operations"] == ["VBD.unplug", NOTE, "VBD.destroy", "VBD.create", "VBD.plug", FORGET]
    (drive,) = vbds(sim, "pv1")
    assert (drive["mode"], drive["other_config"]) == ("RO", {"owner": "", "mine": "kept"})
    done = converges("xen_vdi", name="data", attached_to=[{"vm": "pv1", "mode": "rw", "plugged": False}])
    assert done["operations"] == ["VBD.unplug", NOTE, "VBD.destroy", "VBD.create", FORGET]


DRIVE = {"other_config": {"owner": "", "mine": "kept"}, "qos_algorithm_type": "ionice", "qos_algorithm_params": {"class": "idle"}}
DRIVE_KEYS = ("mode", "bootable", "userdevice", "currently_attached", *DRIVE)
ANEW = {"name": "data", "other_config": {"their": "own"}, "attached_to": [{"vm": "pv1", "mode": "ro"}]}


def _drive_at_5(sim: t.Any, run: Run) -> None:
    """With all that nobody but the drive knows: its owner, its QoS, that it boots, its place."""
    run("xen_vdi", name="data", other_config={"their": "own"}, attached_to=[{"vm": "pv1", "position": 5, "bootable": True}])
    with sim.world.lock:
        sim.world.pools[0].db.set("VBD", sim.world.pools[0].db.one("VBD", uuid=vbds(sim, "pv1")[0]["uuid"]), **DRIVE)


def _end(sim: t.Any) -> t.Any:
    db = sim.world.pools[0].db
    return [[d[key] for key in DRIVE_KEYS] for d in vbds(sim, "pv1")], db.get("VDI", db.one("VDI", name_label="data"))["other_config"]


@pytest.mark.parametrize("cut", ["cut_before_change", "cut_after_change", "refused"])
@pytest.mark.parametrize("nth", range(1, 7))
def test_a_drive_that_is_made_anew_loses_nothing_where_the_run_is_cut(sim: t.Any, run: Run, cut: str, nth: int) -> None:
    _drive_at_5(sim, run)
    if cut == "refused":  # the run ends there, and another one comes
        sim.faults.add("fail", None, nth=nth, error=["INTERNAL_ERROR", "out of luck"])
        with pytest.raises(XenError):
            run("xen_vdi", **ANEW)
        predicted = run("xen_vdi", check=True, **ANEW)["operations"]
        assert run("xen_vdi", **ANEW)["operations"] == predicted
    else:
        getattr(sim.faults, cut)(nth)
        run("xen_vdi", **ANEW)
    assert _end(sim) == ([["RO", True, "5", True, *DRIVE.values()]], {"their": "own"})
    assert run("xen_vdi", **ANEW)["changed"] is False


def test_a_note_of_a_drive_stays_until_a_task_says_who_has_the_disk(sim: t.Any, run: Run) -> None:
    _drive_at_5(sim, run)
    sim.faults.add("fail", "VBD.create", error=["INTERNAL_ERROR", "out of luck"])
    with pytest.raises(XenError):
        run("xen_vdi", **ANEW)
    sim.faults.clear()
    assert run("xen_vdi", name="data", other_config={"their": "own"})["changed"] is False
    assert run("xen_vdi_info", name="data")["vdis"][0]["other_config"] == {"their": "own"}
    assert run("xen_vdi", name="data", attached_to=[])["operations"] == [FORGET]
    assert run("xen_vdi", name="data", attached_to=[])["changed"] is False


def test_a_disk_does_not_move_while_its_drive_is_made_anew(sim: t.Any, run: Run) -> None:
    _drive_at_5(sim, run)
    for check in (True, False):
        with pytest.raises(InvalidChange, match="cannot be moved and get another mode in VM 'pv1' at once"):
            run("xen_vdi", check=check, **ANEW, sr="More", move=True)


def test_a_guest_without_drivers_has_to_be_halted(sim: t.Any, run: Run) -> None:
    for check in (True, False):
        with pytest.raises(InvalidChange, match=r"plugged into VM 'old1' now: its guest has no drivers"):
            run("xen_vdi", check=check, name="data", attached_to=[{"vm": "old1"}])
    assert vbds(sim, "old1") == []
    assert run("xen_vdi", name="data", attached_to=[{"vm": "old1", "plugged": False}])["operations"] == ["VBD.create"]


@pytest.mark.parametrize("cut", ["cut_before_change", "cut_after_change"])
@pytest.mark.parametrize("nth", [1, 2])
def test_a_disk_whose_plugging_was_interrupted_is_plugged(sim: t.Any, run: Run, cut: str, nth: int) -> None:
    getattr(sim.faults, cut)(nth)
    run("xen_vdi", name="data", attached_to=[{"vm": "app1"}])
    assert [(v["currently_attached"], v["userdevice"]) for v in vbds(sim, "app1")] == [(True, "0")]


def test_two_disks_cannot_be_in_one_place(sim: t.Any, run: Run) -> None:
    run("xen_vdi", name="data", attached_to=[{"vm": "web1", "position": 1}])
    with pytest.raises(InvalidChange, match="position 1 of VM 'web1': something else is there"):
        run("xen_vdi", name="other", size="1 GiB", attached_to=[{"vm": "web1", "position": 1}])
    with pytest.raises(InvalidChange, match="positions are 0 to 254"):
        run("xen_vdi", name="other", size="1 GiB", attached_to=[{"vm": "web1", "position": 300}])


def test_an_unknown_vm_is_told(sim: t.Any, run: Run) -> None:
    with pytest.raises(NotFound, match="No VM is named 'nobody'"):
        run("xen_vdi", name="data", attached_to=[{"vm": "nobody"}])


def test_a_disk_is_written_to_by_one_running_vm_only(sim: t.Any, run: Run) -> None:
    run("xen_vdi", name="data", attached_to=[{"vm": "app1"}])
    with pytest.raises(InvalidChange, match="it is not sharable"):
        run("xen_vdi", name="data", attached_to=[{"vm": "app1"}, {"vm": "old1"}])


def test_a_read_only_disk_is_not_attached_to_be_written_to(sim: t.Any, run: Run) -> None:
    run("xen_vdi", name="ro", size="1 GiB", read_only=True)
    with pytest.raises(InvalidChange, match="is read-only"):
        run("xen_vdi", name="ro", attached_to=[{"vm": "web1"}])
    assert run("xen_vdi", name="ro", attached_to=[{"vm": "web1", "mode": "ro"}])["changed"] is True


def test_what_is_listed_changes_nothing(sim: t.Any, run: Run) -> None:
    run("xen_vdi", name="data", attached_to=[{"vm": "app1"}])
    for entry in run("xen_vdi_info", sr="Filer")["vdis"]:
        assert run("xen_vdi", **entry)["changed"] is False


# moving ------------------------------------------------------------------------------
@pytest.mark.parametrize("vm", ["app1", "web1"])
def test_a_disk_moves_while_a_vm_has_it(sim: t.Any, converges: Run, vm: str) -> None:
    old = converges("xen_vdi", name="data", tags=["x"], cbt=True, attached_to=[{"vm": vm}])["vdi"]["uuid"]
    done = converges("xen_vdi", uuid=old, sr="More")
    assert "VDI.pool_migrate" in done["operations"]
    assert done["vdi"]["uuid"] != old and done["vdi"]["sr"] == "More" and done["vdi"]["tags"] == ["x"] and done["vdi"]["cbt"] is True
    assert [entry["vm"] for entry in done["vdi"]["attached_to"]] == [vm]


@pytest.mark.slow
@pytest.mark.parametrize("cut", ["cut_before_change", "cut_after_change"])
@pytest.mark.parametrize("nth", range(1, 6))
def test_an_interrupted_move_of_a_disk_in_use_is_finished(sim: t.Any, run: Run, cut: str, nth: int) -> None:
    old = run("xen_vdi", name="data", tags=["x"], cbt=True, attached_to=[{"vm": "app1"}])["vdi"]["uuid"]
    getattr(sim.faults, cut)(nth)
    run("xen_vdi", uuid=old, sr="More", cbt=True, tags=["x"])
    again = run("xen_vdi", uuid=old, sr="More", cbt=True, tags=["x"])
    assert again["changed"] is False and again["vdi"]["sr"] == "More" and again["vdi"]["name"] == "data"
    assert len([v for v in run("xen_vdi_info")["vdis"] if v["name"] == "data"]) == 1


def test_an_sr_that_does_not_mirror_is_told(sim: t.Any, run: Run) -> None:
    run("xen_vdi", name="data", attached_to=[{"vm": "web1"}])
    db = sim.world.pools[0].db
    driver = db.one("SM", type="nfs")
    db.set("SM", driver, features={k: v for k, v in db.get("SM", driver)["features"].items() if k != "VDI_MIRROR"})
    with pytest.raises(InvalidChange, match="SR 'Filer' has no VDI_MIRROR"):
        run("xen_vdi", name="data", sr="More", move=True)
