# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Virtual disks on their own: made, copied, grown, moved, snapshot, removed. Attaching has a file of its own."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.errors import Ambiguous, ApiError, InvalidChange, NotFound

Run = Start = t.Callable[..., t.Any]
GIB, MIB = 1 << 30, 1 << 20
LOCAL = "Local storage"


@pytest.fixture
def sim(simulator: Start, run: Run) -> t.Any:
    """One host with thin local storage, the pool's default, and thick storage on a LUN."""
    started = simulator("examples")
    for name, path in (("Filer", "/export/vms"), ("More", "/export/more")):
        run("xen_sr", name=name, type="nfs", server="127.40.0.10", path=path, default=name == "Filer")
    return started


def vdis(sim: t.Any, **fields: t.Any) -> list[dict[str, t.Any]]:
    db = sim.world.pools[0].db
    return [db.get("VDI", ref) for ref in db.find("VDI", **fields)]


def change(sim: t.Any, name: str, **fields: t.Any) -> None:
    db = sim.world.pools[0].db
    db.set("VDI", db.one("VDI", name_label=name), **fields)


def vm(sim: t.Any, name: str, disk: str = "", *, state: str = "Halted") -> str:
    """A VM that has a disk; its state is written, nothing boots."""
    db = sim.world.pools[0].db
    host = db.one("host", name_label="xcp00")
    metrics = db.create("VM_guest_metrics", PV_drivers_detected=True, can_use_hotplug_vbd="yes")
    fields = {"power_state": state, "resident_on": host} if state == "Running" else {"power_state": state}
    ref = db.create("VM", name_label=name, domain_type="hvm", guest_metrics=metrics, **fields)
    if disk:
        vdi = db.one("VDI", name_label=disk)
        db.create("VBD", VM=ref, VDI=vdi, userdevice="0", type="Disk", mode="RW", currently_attached=state == "Running", unpluggable=True)
        allowed = [o for o in db.get("VDI", vdi)["allowed_operations"] if state != "Running" or o in ("snapshot", "clone")]
        db.set("VDI", vdi, allowed_operations=allowed)
    return str(ref)


# making ------------------------------------------------------------------------------
def test_a_disk_is_made_in_the_default_sr(sim: t.Any, converges: Run) -> None:
    made = converges("xen_vdi", name="data", size="10 GiB", description="d", tags=["b", "a"], other_config={"k": 1})
    assert made["operations"] == ["VDI.create"]
    assert made["vdi"]["sr"] == "Filer" and made["vdi"]["size"] == 10 * GIB and made["vdi"]["image_format"] == "vhd"
    assert made["vdi"]["tags"] == ["a", "b"] and made["vdi"]["other_config"] == {"k": "1"}


def test_a_disk_is_stored_raw_where_the_task_says_so(sim: t.Any, converges: Run) -> None:
    assert converges("xen_vdi", name="data", size="1 GiB", image_format="raw")["vdi"]["image_format"] == "raw"
    assert converges("xen_vdi", name="data", sr="More", move=True)["vdi"]["image_format"] == "raw"


def test_a_raw_disk_in_a_volume_group_stays_one(sim: t.Any, run: Run, converges: Run) -> None:
    run("xen_sr", name="Thick", type="lvmoiscsi", target="127.40.0.10", iqn="iqn.2024-01.lab.example:san.pool", lun=1)
    assert converges("xen_vdi", name="data", sr="Thick", size="1 GiB", image_format="raw")["vdi"]["image_format"] == "raw"


def test_a_size_is_rounded_as_the_driver_does(sim: t.Any, converges: Run) -> None:
    assert converges("xen_vdi", name="data", size=10 * MIB + 1)["vdi"]["size"] == 12 * MIB


def test_without_default_sr_the_task_has_to_name_one(sim: t.Any, run: Run) -> None:
    run("xen_sr", name="Filer", default=False)
    with pytest.raises(InvalidChange, match="no default SR, and the task names none"):
        run("xen_vdi", name="data", size="1 GiB")
    assert run("xen_vdi", name="data", size="1 GiB", sr="More")["vdi"]["sr"] == "More"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"name": "data"}, "does not say how large"),
        ({"name": "data", "size": "3 TiB"}, "a VHD holds 1.992 TiB at most"),
        ({"name": "data", "size": "big"}, "is not a size"),
        ({"name": "data", "size": 0}, "is 0 bytes"),
        ({"name": "data", "size": "1 GiB", "sr": "XenServer Tools"}, "cannot hold disks of VMs"),
        ({"name": "data", "size": "1 GiB", "on_boot": "reset", "cbt": True}, "cannot be tracked while it is reset"),
    ],
)
def test_a_disk_that_cannot_be_is_refused_before_any_call(sim: t.Any, run: Run, options: dict[str, t.Any], told: str) -> None:
    mark = sim.mark()
    if options.get("sr"):
        options = {**options, "sr": next(s["name_label"] for s in sim.world.pools[0].db.all("SR").values() if s["is_tools_sr"])}
    for check in (True, False):
        with pytest.raises(InvalidChange, match=told):
            run("xen_vdi", check=check, **options)
    assert sim.calls(mark) == []


def test_a_thin_sr_that_could_fill_up_is_warned_of(sim: t.Any, run: Run) -> None:
    made = run("xen_vdi", name="data", size="1.5 TiB", sr="More")
    assert "thin" in made["warnings"][0]


def test_a_thick_sr_without_space_is_refused(sim: t.Any, run: Run) -> None:
    db = sim.world.pools[0].db
    db.set("SR", db.one("SR", name_label="More"), type="lvmoiscsi", physical_size=20 * GIB, physical_utilisation=15 * GIB)
    with pytest.raises(InvalidChange, match="10 GiB are wanted in SR 'More', 5 GiB are free"):
        run("xen_vdi", name="data", size="10 GiB", sr="More")


def test_settings_follow_the_task(sim: t.Any, converges: Run) -> None:
    converges("xen_vdi", name="data", size="1 GiB")
    done = converges(
        "xen_vdi", name="data", description="new", on_boot="reset", allow_caching=True, other_config={"a": "b"}, xenstore_data={"c": "d"}
    )
    assert done["vdi"]["on_boot"] == "reset" and done["vdi"]["allow_caching"] is True
    assert converges("xen_vdi", name="data", other_config={"a": None})["vdi"]["other_config"] == {}


def test_changed_blocks_are_tracked_or_not(sim: t.Any, converges: Run) -> None:
    assert converges("xen_vdi", name="data", size="1 GiB", cbt=True)["operations"] == ["VDI.create", "VDI.enable_cbt"]
    assert converges("xen_vdi", name="data", cbt=False)["operations"] == ["VDI.disable_cbt"]


@pytest.mark.parametrize("option", [{"type": "system"}, {"read_only": True}, {"sharable": True}, {"image_format": "raw"}])
def test_what_is_fixed_at_creation_is_refused(sim: t.Any, run: Run, option: dict[str, t.Any]) -> None:
    run("xen_vdi", name="data", size="1 GiB")
    with pytest.raises(InvalidChange, match="fixed when it is created"):
        run("xen_vdi", name="data", **option)


def test_the_name_changes_with_the_uuid(sim: t.Any, run: Run, converges: Run) -> None:
    uuid = run("xen_vdi", name="data", size="1 GiB")["vdi"]["uuid"]
    assert converges("xen_vdi", uuid=uuid, name="old data")["vdi"]["name"] == "old data"


# which one ---------------------------------------------------------------------------
def test_disks_of_one_name_are_told_apart_by_sr(sim: t.Any, run: Run) -> None:
    first = run("xen_vdi", name="data", size="1 GiB", sr="Filer")["vdi"]["uuid"]
    second = run("xen_vdi", name="data", size="2 GiB", sr="More")["vdi"]["uuid"]
    assert first != second
    with pytest.raises(Ambiguous, match=r"2 disks are named 'data': .*SR 'Filer'.*SR 'More'|SR 'More'.*SR 'Filer'"):
        run("xen_vdi", name="data", size="3 GiB")
    assert run("xen_vdi", name="data", sr="More")["vdi"]["uuid"] == second


def test_a_uuid_nobody_has_is_told(sim: t.Any, run: Run) -> None:
    with pytest.raises(NotFound, match="No VDI has the uuid 1234"):
        run("xen_vdi", uuid="1234", size="1 GiB")
    assert run("xen_vdi", uuid="1234", state="absent")["changed"] is False


# growing -----------------------------------------------------------------------------
def test_a_disk_grows_and_never_shrinks(sim: t.Any, run: Run, converges: Run) -> None:
    converges("xen_vdi", name="data", size="1 GiB")
    assert converges("xen_vdi", name="data", size="2 GiB")["operations"] == ["VDI.resize"]
    for check in (True, False):
        with pytest.raises(InvalidChange, match="is 2 GiB large and cannot shrink to 1 GiB"):
            run("xen_vdi", check=check, name="data", size="1 GiB")


def test_a_disk_of_a_running_vm_grows_where_the_sr_can(sim: t.Any, run: Run) -> None:
    run("xen_vdi", name="data", size="1 GiB")
    vm(sim, "web1", "data", state="Running")
    with pytest.raises(InvalidChange, match="cannot grow while VM 'web1' has it"):
        run("xen_vdi", name="data", size="2 GiB")
    db = sim.world.pools[0].db
    driver = db.one("SM", type="nfs")
    db.set("SM", driver, features={**db.get("SM", driver)["features"], "VDI_RESIZE_ONLINE": 1})
    assert run("xen_vdi", name="data", size="2 GiB", check=True)["operations"] == ["VDI.resize_online"]


# copies ------------------------------------------------------------------------------
def test_a_copy_may_be_larger_and_elsewhere(sim: t.Any, converges: Run) -> None:
    converges("xen_vdi", name="data", size="1 GiB")
    made = converges("xen_vdi", name="copy", source="data", sr="More", size="2 GiB")
    assert made["operations"] == ["VDI.create", "VDI.copy", "VDI.remove_from_other_config"]
    assert (made["vdi"]["sr"], made["vdi"]["size"], made["vdi"]["other_config"]) == ("More", 2 * GIB, {})


def test_a_copy_is_not_smaller(sim: t.Any, run: Run) -> None:
    run("xen_vdi", name="data", size="2 GiB")
    with pytest.raises(InvalidChange, match="the disk it is a copy of has 2 GiB"):
        run("xen_vdi", name="copy", source="data", size="1 GiB")


def test_a_disk_that_is_written_to_is_not_copied(sim: t.Any, run: Run) -> None:
    run("xen_vdi", name="data", size="1 GiB")
    vm(sim, "web1", "data", state="Running")
    with pytest.raises(InvalidChange, match="while VM 'web1' writes to it"):
        run("xen_vdi", name="copy", source="data")


@pytest.mark.parametrize("cut", ["cut_before_change", "cut_after_change"])
@pytest.mark.parametrize("nth", [1, 2, 3])
def test_an_interrupted_copy_is_finished(sim: t.Any, run: Run, cut: str, nth: int) -> None:
    run("xen_vdi", name="data", size="1 GiB")
    getattr(sim.faults, cut)(nth)
    run("xen_vdi", name="copy", source="data")
    assert run("xen_vdi", name="copy", source="data")["changed"] is False
    assert [v["other_config"] for v in vdis(sim, name_label="copy")] == [{}]


# snapshots ---------------------------------------------------------------------------
def test_a_snapshot_has_a_name_of_its_own(sim: t.Any, run: Run, converges: Run) -> None:
    converges("xen_vdi", name="data", size="1 GiB", other_config={"a": "b"})
    made = converges("xen_vdi", name="before", snapshot_of="data", description="x")
    assert made["vdi"]["name"] == "before" and made["vdi"]["other_config"] == {"a": "b"} and made["vdi"]["description"] == "x"
    facts = run("xen_vdi_info", name="before")["facts"][made["vdi"]["uuid"]]
    assert facts["snapshot"] is True and facts["chain_length"] == 2
    assert facts["snapshot_of"] == run("xen_vdi", name="data")["vdi"]["uuid"]
    assert all(not v["other_config"].get("domzero.xen/snapshot") for v in vdis(sim))


@pytest.mark.slow
@pytest.mark.parametrize("cut", ["cut_before_change", "cut_after_change"])
@pytest.mark.parametrize("nth", range(1, 6))
def test_an_interrupted_snapshot_is_finished(sim: t.Any, run: Run, cut: str, nth: int) -> None:
    run("xen_vdi", name="data", size="1 GiB")
    getattr(sim.faults, cut)(nth)
    run("xen_vdi", name="before", snapshot_of="data")
    assert run("xen_vdi", name="before", snapshot_of="data")["changed"] is False
    assert [v["name_label"] for v in vdis(sim, is_a_snapshot=True)] == ["before"]
    assert all(not v["other_config"] for v in vdis(sim, name_label="data") + vdis(sim, name_label="before"))


def test_a_chain_that_is_full_takes_no_snapshot(sim: t.Any, run: Run, session: t.Any) -> None:
    run("xen_vdi", name="data", size="1 GiB")
    data = sim.world.pools[0].db.one("VDI", name_label="data")
    for _n in range(28):
        session.call("VDI.snapshot", data, {})
    run("xen_sr", name="Filer", scan=True)
    assert "chain of 30 images" in run("xen_vdi", name="last", snapshot_of="data")["warnings"][0]
    run("xen_sr", name="Filer", scan=True)
    with pytest.raises(InvalidChange, match="the limit"):
        run("xen_vdi", name="one more", snapshot_of="data")


# moving ------------------------------------------------------------------------------
def test_a_disk_nobody_has_is_copied_and_removed(sim: t.Any, run: Run, converges: Run) -> None:
    old = converges("xen_vdi", name="data", size="1 GiB", tags=["a"], other_config={"k": "v"})["vdi"]["uuid"]
    done = converges("xen_vdi", name="data", sr="More", move=True)
    assert done["operations"] == ["VDI.create", "VDI.copy", "VDI.destroy", "VDI.remove_from_other_config"]
    assert done["vdi"]["sr"] == "More" and done["vdi"]["uuid"] != old
    assert (done["vdi"]["tags"], done["vdi"]["other_config"]) == (["a"], {"k": "v"})
    again = run("xen_vdi", uuid=old, sr="More")
    assert again["changed"] is False and again["vdi"]["uuid"] == done["vdi"]["uuid"]


@pytest.mark.slow
@pytest.mark.parametrize("cut", ["cut_before_change", "cut_after_change"])
@pytest.mark.parametrize("nth", range(1, 5))
@pytest.mark.parametrize("by_name", [True, False])
def test_an_interrupted_move_is_finished(sim: t.Any, run: Run, cut: str, nth: int, by_name: bool) -> None:
    uuid = run("xen_vdi", name="data", size="1 GiB")["vdi"]["uuid"]
    which = {"name": "data", "move": True} if by_name else {"uuid": uuid}
    getattr(sim.faults, cut)(nth)
    run("xen_vdi", **which, sr="More")
    assert run("xen_vdi", **which, sr="More")["changed"] is False
    assert [v["other_config"] for v in vdis(sim, name_label="data")] == [{"domzero.xen/moved_from": uuid}]


def test_a_disk_moves_and_grows_at_once(sim: t.Any, run: Run, converges: Run) -> None:
    uuid = run("xen_vdi", name="data", size="1 GiB")["vdi"]["uuid"]
    assert converges("xen_vdi", uuid=uuid, sr="More", size="2 GiB")["vdi"]["size"] == 2 * GIB


# removing ----------------------------------------------------------------------------
def test_a_disk_is_removed(sim: t.Any, run: Run, converges: Run) -> None:
    run("xen_vdi", name="data", size="1 GiB")
    assert converges("xen_vdi", name="data", state="absent")["operations"] == ["VDI.destroy"]
    assert vdis(sim, name_label="data") == []


def test_a_disk_in_use_is_not_removed(sim: t.Any, run: Run) -> None:
    run("xen_vdi", name="data", size="1 GiB")
    vm(sim, "web1", "data", state="Running")
    with pytest.raises(InvalidChange, match="in use by VM 'web1'"):
        run("xen_vdi", name="data", state="absent")


def test_a_disk_of_a_halted_vm_needs_the_tasks_word(sim: t.Any, run: Run) -> None:
    run("xen_vdi", name="data", size="1 GiB")
    vm(sim, "web1", "data")
    with pytest.raises(InvalidChange, match="take disk 'data' from VM 'web1'"):
        run("xen_vdi", name="data", state="absent")
    assert run("xen_vdi", name="data", state="absent", allow_disruption=True)["changed"] is True


def test_a_failure_tells_what_the_sr_said(sim: t.Any, run: Run) -> None:
    sim.faults.fail("VDI.create", error=["SR_BACKEND_FAILURE_44", "", "There is insufficient space", ""])
    with pytest.raises(ApiError, match="Could not create disk 'data'"):
        run("xen_vdi", name="data", size="1 GiB")
