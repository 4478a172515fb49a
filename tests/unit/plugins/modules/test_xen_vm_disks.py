# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The disks of a VM: made, grown, moved, attached, detached, removed with it or kept."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.errors import Ambiguous, InvalidChange, NotFound, XenError

Run = Start = t.Callable[..., t.Any]
DEBIAN, PLAIN = "Debian Bookworm 12", "Other install media"
AGENT = {"vm-data/sim-agent": "10.0.0.60"}
GIB = 1 << 30
CLONED = ["VM.clone", "VM.remove_from_other_config", "VM.provision"]


@pytest.fixture
def sim(simulator: Start, run: Run) -> t.Any:
    """A pool with two shared SRs, the first its default."""
    started = simulator("examples")
    for name, path in (("Filer", "/export/vms"), ("More", "/export/more")):
        run("xen_sr", name=name, type="nfs", server="127.40.0.10", path=path, default=name == "Filer")
    return started


def disks(sim: t.Any, vm: str = "web1") -> list[tuple[str, str, int]]:
    """Position, name and size in GiB of the disks the pool knows of a VM."""
    db = sim.world.pools[0].db
    vbds = [db.get("VBD", ref) for ref in db.get("VM", db.one("VM", name_label=vm))["VBDs"]]
    rows = [(v["userdevice"], db.get("VDI", v["VDI"])) for v in vbds if v["type"] == "Disk"]
    return sorted((place, r["name_label"], r["virtual_size"] // GIB) for place, r in rows)


def names(sim: t.Any) -> list[str]:
    """Of all disks in the two SRs; none may bear a mark."""
    db = sim.world.pools[0].db
    srs = {db.one("SR", name_label=name) for name in ("Filer", "More")}
    rows = [r for r in db.all("VDI").values() if r["SR"] in srs and r["managed"]]
    assert not [r for r in rows if any(key.startswith("domzero.xen/for") for key in r["other_config"])]
    return sorted(r["name_label"] for r in rows)


# made with the VM --------------------------------------------------------------------
def test_a_vm_gets_the_disks_its_template_wants(sim: t.Any, converges: Run) -> None:
    done = converges("xen_vm", name="web1", template=DEBIAN)
    assert disks(sim) == [("0", "web1 0", 10)]
    (disk,) = done["vm"]["disks"]
    assert (disk["sr"], disk["keep"], disk["bootable"], disk["image_format"]) == ("Filer", False, True, "vhd")


def test_the_list_is_laid_over_them(sim: t.Any, converges: Run) -> None:
    given = [{"name": "root", "size": "20 GiB", "tags": ["b", "a"]}, {"name": "data", "size": "1 GiB", "sr": "More", "keep": True}]
    done = converges("xen_vm", name="web1", template=DEBIAN, disks=given)
    assert disks(sim) == [("0", "root", 20), ("1", "data", 1)]
    assert [d["sr"] for d in done["vm"]["disks"]] == ["Filer", "More"]
    assert [d["keep"] for d in done["vm"]["disks"]] == [False, True]
    assert done["operations"][:3] == CLONED and done["operations"].count("VDI.create") == 2


def test_the_sr_of_the_vm_is_that_of_its_disks(sim: t.Any, converges: Run) -> None:
    done = converges("xen_vm", name="web1", template=DEBIAN, sr="More", disks=[{"size": "5 GiB"}])
    assert [d["sr"] for d in done["vm"]["disks"]] == ["More"]


def test_without_any_sr_nothing_is_begun(sim: t.Any, run: Run) -> None:
    run("xen_sr", name="Filer", default=False)
    mark = sim.mark()
    for check in (True, False):
        with pytest.raises(InvalidChange, match="The pool has no default SR"):
            run("xen_vm", check=check, name="web1", template=DEBIAN)
    assert sim.calls(mark) == []


@pytest.mark.parametrize("clone", ["fast", "full"])
def test_disks_of_an_own_template_are_grown_named_and_moved(sim: t.Any, run: Run, converges: Run, clone: str) -> None:
    run("xen_vm", name="gold", template=DEBIAN, disks=[{"name": "gold root", "size": "4 GiB", "tags": ["gold"]}])
    given = [{"name": "root", "size": "8 GiB", "other_config": {"k": "v"}}, {"name": "data", "size": "1 GiB"}]
    done = converges("xen_vm", name="web1", from_vm="gold", clone=clone, disks=given)
    assert disks(sim) == [("0", "root", 8), ("1", "data", 1)]
    assert disks(sim, "gold") == [("0", "gold root", 4)]
    assert "VDI.resize" in done["operations"]
    moved = converges("xen_vm", name="web2", from_vm="gold", clone=clone, disks=[{"name": "root", "sr": "More"}])
    assert moved["vm"]["disks"][0]["sr"] == "More" and "VDI.pool_migrate" in moved["operations"]


def test_disks_of_the_template_that_are_not_wanted_go(sim: t.Any, run: Run, converges: Run) -> None:
    run("xen_vm", name="gold", template=PLAIN, disks=[{"name": "a", "size": "1 GiB"}, {"name": "b", "size": "1 GiB"}])
    converges("xen_vm", name="web1", from_vm="gold", disks=[{"position": 0}], prune_disks=True)
    assert disks(sim) == [("0", "a", 1)]
    assert names(sim) == ["a", "a", "b"]


@pytest.mark.slow
@pytest.mark.parametrize("cut", ["cut_before_change", "cut_after_change"])
@pytest.mark.parametrize("nth", range(4, 11))
def test_an_interrupted_run_leaves_no_disk_behind(sim: t.Any, run: Run, cut: str, nth: int) -> None:
    options = {"name": "web1", "template": DEBIAN, "disks": [{"name": "root", "size": "2 GiB"}, {"name": "data", "size": "1 GiB"}]}
    getattr(sim.faults, cut)(nth)
    run("xen_vm", **options)
    assert run("xen_vm", **options)["changed"] is False
    assert names(sim) == ["data", "root"]


@pytest.mark.parametrize("method", ["VDI.create", "VBD.create", "VDI.remove_from_other_config"])
@pytest.mark.parametrize("nth", [1, 2])
def test_what_a_failed_run_began_is_taken_by_the_next(sim: t.Any, run: Run, method: str, nth: int) -> None:
    options = {"name": "web1", "template": DEBIAN, "disks": [{"name": "root", "size": "2 GiB"}, {"name": "data", "size": "1 GiB"}]}
    sim.faults.fail(method, nth=nth, error=["INTERNAL_ERROR", "out of luck"])
    with pytest.raises(XenError, match="out of luck"):
        run("xen_vm", **options)
    run("xen_vm", **options)
    assert run("xen_vm", **options)["changed"] is False
    assert names(sim) == ["data", "root"]


def test_what_a_failed_run_began_goes_with_the_vm(sim: t.Any, run: Run) -> None:
    sim.faults.fail("VBD.create", error=["INTERNAL_ERROR", "out of luck"])
    with pytest.raises(XenError, match="out of luck"):
        run("xen_vm", name="web1", template=DEBIAN)
    run("xen_vm", name="web1", state="absent")
    assert names(sim) == []


# changed -----------------------------------------------------------------------------
@pytest.fixture
def web1(sim: t.Any, run: Run) -> t.Any:
    """A halted VM with two disks, root and data."""
    run("xen_vm", name="web1", template=PLAIN, disks=[{"name": "root", "size": "2 GiB"}, {"name": "data", "size": "1 GiB"}])
    return sim


@pytest.fixture
def running(web1: t.Any, run: Run) -> t.Any:
    """It runs, with guest tools."""
    run("xen_vm", name="web1", xenstore_data=AGENT, power_state="running")
    return web1


def test_settings_follow_the_task(web1: t.Any, converges: Run) -> None:
    given = {
        "name": "data", "description": "d", "bootable": True, "keep": True, "tags": ["x"], "other_config": {"a": 1}, "cbt": True,
        "qos": {"class": "real_time", "priority": 7},
    }  # fmt: skip
    done = converges("xen_vm", name="web1", disks=[given])
    told = done["vm"]["disks"][1]
    assert told["qos"] == {"class": "real_time", "priority": 7} and told["cbt"] is True and told["other_config"] == {"a": "1"}
    done = converges("xen_vm", name="web1", disks=[{"name": "data", "keep": False, "qos": {"class": "none"}, "other_config": {"a": None}}])
    assert done["operations"] == [
        "VBD.set_qos_algorithm_type", "VBD.set_qos_algorithm_params", "VBD.add_to_other_config", "VDI.remove_from_other_config",
    ]  # fmt: skip


def test_a_disk_is_added_and_others_stay(web1: t.Any, converges: Run) -> None:
    done = converges("xen_vm", name="web1", disks=[{"name": "more", "size": "1 GiB"}])
    assert done["operations"] == ["VDI.create", "VBD.create", "VDI.remove_from_other_config"]
    assert disks(web1) == [("0", "root", 2), ("1", "data", 1), ("2", "more", 1)]


def test_a_raw_disk_stays_one(web1: t.Any, converges: Run) -> None:
    done = converges("xen_vm", name="web1", disks=[{"name": "more", "size": "1 GiB", "image_format": "raw", "mode": "ro"}])
    assert (done["vm"]["disks"][2]["image_format"], done["vm"]["disks"][2]["mode"]) == ("raw", "ro")


def test_the_place_of_another_drive_is_left_alone(web1: t.Any, run: Run, converges: Run) -> None:
    run("xen_vm", name="web1", cd={})
    with pytest.raises(InvalidChange, match="Position 3 of VM 'web1' is that of a CD"):
        run("xen_vm", name="web1", disks=[{"position": 3, "size": "1 GiB"}])
    converges("xen_vm", name="web1", disks=[{"name": f"more {n}", "size": "1 GiB"} for n in range(2)])
    assert [place for place, _name, _size in disks(web1)] == ["0", "1", "2", "4"]


def test_a_disk_is_known_by_its_place_and_renamed(web1: t.Any, converges: Run) -> None:
    assert converges("xen_vm", name="web1", disks=[{"position": 1, "name": "archive"}])["operations"] == ["VDI.set_name_label"]


def test_disks_change_places(web1: t.Any, converges: Run) -> None:
    done = converges("xen_vm", name="web1", disks=[{"name": "data", "position": 0}, {"name": "root", "position": 1}])
    assert done["operations"] == ["VBD.set_userdevice"] * 3
    assert disks(web1) == [("0", "data", 1), ("1", "root", 2)]
    converges("xen_vm", name="web1", disks=[{"name": "root", "position": 5}, {"size": "1 GiB", "position": 1}])
    assert disks(web1) == [("0", "data", 1), ("1", "web1 1", 1), ("5", "root", 2)]


@pytest.mark.slow
@pytest.mark.parametrize("cut", ["cut_before_change", "cut_after_change"])
@pytest.mark.parametrize("nth", [1, 2, 3])
def test_an_interrupted_change_of_places_is_finished(web1: t.Any, run: Run, cut: str, nth: int) -> None:
    getattr(web1.faults, cut)(nth)
    run("xen_vm", name="web1", disks=[{"name": "data", "position": 0}, {"name": "root", "position": 1}])
    assert disks(web1) == [("0", "data", 1), ("1", "root", 2)]


def test_a_clone_has_its_disks_in_other_places(web1: t.Any, converges: Run) -> None:
    given = [{"name": "data", "position": 0, "size": "3 GiB"}, {"name": "root", "position": 1, "description": "system"}]
    converges("xen_vm", name="web2", from_vm="web1", disks=given)
    assert disks(web1, "web2") == [("0", "data", 3), ("1", "root", 2)]


def test_a_disk_grows_and_never_shrinks(web1: t.Any, run: Run, converges: Run) -> None:
    assert converges("xen_vm", name="web1", disks=[{"name": "data", "size": "3 GiB"}])["operations"] == ["VDI.resize"]
    mark = web1.mark()
    for check in (True, False):
        with pytest.raises(InvalidChange, match="'data' is 3 GiB large and cannot shrink to 1 GiB"):
            run("xen_vm", check=check, name="web1", description="new", disks=[{"name": "data", "size": "1 GiB"}])
    assert web1.calls(mark) == []


def test_a_disk_is_removed_only_when_the_task_says_so(web1: t.Any, converges: Run) -> None:
    assert converges("xen_vm", name="web1", disks=[{"name": "root"}])["changed"] is False
    assert converges("xen_vm", name="web1", disks=[{"name": "root"}], prune_disks=True)["operations"] == ["VDI.destroy"]
    assert (disks(web1), names(web1)) == ([("0", "root", 2)], ["root"])


def test_a_disk_that_is_kept_is_only_detached(web1: t.Any, run: Run, converges: Run) -> None:
    run("xen_vm", name="web1", disks=[{"name": "data", "keep": True}])
    assert converges("xen_vm", name="web1", disks=[{"name": "root"}], prune_disks=True)["operations"] == ["VBD.destroy"]
    assert names(web1) == ["data", "root"]


def test_an_existing_disk_is_attached_and_kept(web1: t.Any, run: Run, converges: Run) -> None:
    uuid = run("xen_vdi", name="mails", size="1 GiB")["vdi"]["uuid"]
    done = converges("xen_vm", name="web1", disks=[{"vdi": "mails", "size": "2 GiB", "description": "old"}])
    assert done["vm"]["disks"][2]["keep"] is True
    assert disks(web1)[2] == ("2", "mails", 2)
    assert converges("xen_vm", name="web1", disks=[{"vdi": uuid, "position": 5}])["operations"] == ["VBD.set_userdevice"]


@pytest.mark.parametrize(
    ("given", "error", "told"),
    [
        ([{"vdi": "nothing"}], NotFound, "No VDI is named 'nothing'"),
        ([{"name": "new"}], InvalidChange, "does not say how large"),
        ([{"name": "new", "size": "1 GiB", "sr": "nowhere"}], NotFound, "No SR is named 'nowhere'"),
        ([{"name": "new", "size": "5 TiB"}], InvalidChange, "a VHD holds"),
        ([{"position": 7, "size": "1 GiB"}, {"position": 7, "size": "1 GiB"}], InvalidChange, "Two disks of VM 'web1'"),
        ([{"position": 300, "size": "1 GiB"}], InvalidChange, "Positions are 0 to 254"),
        ([{"name": "root", "position": 1}], InvalidChange, "Disk 'data' is at position 1"),
        ([{"name": "root", "image_format": "raw"}], InvalidChange, "is in format vhd"),
    ],
)
def test_bad_input_is_refused_before_any_call(web1: t.Any, run: Run, given: list[t.Any], error: type[XenError], told: str) -> None:
    mark = web1.mark()
    for check in (True, False):
        with pytest.raises(error) as caught:
            run("xen_vm", check=check, name="web1", description="new", disks=given)
        assert told in str(caught.value)
    assert web1.calls(mark) == []


def test_two_disks_of_one_name_need_their_positions(web1: t.Any, run: Run) -> None:
    run("xen_vdi", uuid=run("xen_vdi", name="root")["vdi"]["uuid"], name="data")
    with pytest.raises(Ambiguous, match="2 disks named 'data', at 0 and 1"):
        run("xen_vm", name="web1", disks=[{"name": "data", "size": "5 GiB"}])
    assert run("xen_vm", name="web1", disks=[{"name": "data", "position": 1, "size": "5 GiB"}])["changed"] is True


def test_a_thick_sr_without_space_is_refused(web1: t.Any, run: Run) -> None:
    db = web1.world.pools[0].db
    db.set("SR", db.one("SR", name_label="More"), type="lvmoiscsi", physical_size=20 * GIB, physical_utilisation=15 * GIB)
    given = [{"name": f"d{n}", "size": "3 GiB", "sr": "More"} for n in range(2)]
    with pytest.raises(InvalidChange, match="6 GiB are wanted in SR 'More', 5 GiB are free"):
        run("xen_vm", name="web1", disks=given)


# while it runs -----------------------------------------------------------------------
def test_a_running_vm_gets_and_loses_a_disk(running: t.Any, converges: Run) -> None:
    done = converges("xen_vm", name="web1", disks=[{"name": "more", "size": "1 GiB"}])
    assert done["operations"] == [
        "VDI.create", "VBD.create", "VBD.plug", "VBD.remove_from_other_config", "VDI.remove_from_other_config",
    ]  # fmt: skip
    done = converges("xen_vm", name="web1", disks=[{"name": "root"}, {"name": "data"}], prune_disks=True)
    assert done["operations"] == ["VBD.unplug", "VDI.destroy"]


@pytest.mark.slow
@pytest.mark.parametrize("cut", ["cut_before_change", "cut_after_change"])
@pytest.mark.parametrize("nth", range(1, 6))
@pytest.mark.parametrize("existing", [True, False])
def test_an_interrupted_addition_is_finished(running: t.Any, run: Run, cut: str, nth: int, existing: bool) -> None:
    entry: dict[str, t.Any] = {"vdi": "mails", "size": "2 GiB"} if existing else {"name": "mails", "size": "2 GiB"}
    if existing:
        run("xen_vdi", name="mails", size="1 GiB")
    getattr(running.faults, cut)(nth)
    run("xen_vm", name="web1", disks=[entry])
    running.faults.clear()
    assert run("xen_vm", name="web1", disks=[entry])["changed"] is False
    (facts,) = run("xen_vm_info", name="web1")["facts"].values()
    assert [d["plugged"] for d in facts["disks"]] == [True, True, True]
    assert names(running) == ["data", "mails", "root"]


def test_what_was_begun_otherwise_is_begun_again(web1: t.Any, run: Run) -> None:
    web1.faults.fail("VBD.create", error=["INTERNAL_ERROR", "out of luck"])
    with pytest.raises(XenError, match="out of luck"):
        run("xen_vm", name="web1", disks=[{"name": "more", "size": "1 GiB"}])
    run("xen_vm", name="web1", disks=[{"name": "more", "size": "2 GiB", "sr": "More"}])
    assert disks(web1)[2] == ("2", "more", 2)
    assert names(web1) == ["data", "more", "root"]


def test_a_guest_without_drivers_is_halted_for_it_where_that_is_allowed(web1: t.Any, run: Run) -> None:
    run("xen_vm", name="web1", xenstore_data={"vm-data/sim-agent": "none"}, power_state="running")
    given = {"name": "web1", "disks": [{"name": "more", "size": "1 GiB"}], "force": True}
    with pytest.raises(InvalidChange, match="restart VM 'web1' to attach disk 'more'"):
        run("xen_vm", **given)
    done = run("xen_vm", **given, allow_disruption=True)
    assert done["operations"].index("VM.hard_shutdown") < done["operations"].index("VBD.create") < done["operations"].index("VM.start")
    assert "VBD.plug" not in done["operations"]


@pytest.mark.parametrize(
    ("change", "why"),
    [({"size": "5 GiB"}, "grow disk 'data'"), ({"position": 9}, "change the drive"), ({"mode": "ro"}, "change the drive")],
)
def test_what_a_plugged_disk_cannot_bear_needs_a_halt(running: t.Any, run: Run, change: dict[str, t.Any], why: str) -> None:
    with pytest.raises(InvalidChange, match=f"restart VM 'web1' to {why}"):
        run("xen_vm", name="web1", disks=[{"name": "data", **change}])
    done = run("xen_vm", name="web1", disks=[{"name": "data", **change}], allow_disruption=True)
    assert "VM.clean_shutdown" in done["operations"] and done["vm"]["power_state"] == "running"


def test_a_disk_grows_in_a_running_vm_where_the_sr_can(running: t.Any, run: Run) -> None:
    db = running.world.pools[0].db
    driver = db.one("SM", type="nfs")
    db.set("SM", driver, features={**db.get("SM", driver)["features"], "VDI_RESIZE_ONLINE": 1})
    done = run("xen_vm", check=True, name="web1", disks=[{"name": "data", "size": "5 GiB"}])
    assert done["operations"] == ["VDI.resize_online"]


@pytest.mark.parametrize("state", ["running", "halted"])
def test_a_disk_goes_to_another_sr(running: t.Any, run: Run, converges: Run, state: str) -> None:
    run("xen_vm", name="web1", power_state=state, disks=[{"name": "data", "tags": ["t"], "cbt": True, "other_config": {"a": "b"}}])
    done = converges("xen_vm", name="web1", disks=[{"name": "data", "sr": "More"}])
    assert "VDI.pool_migrate" in done["operations"] and done["vm"]["power_state"] == state
    told = done["vm"]["disks"][1]
    assert (told["sr"], told["tags"], told["cbt"], told["other_config"]) == ("More", ["t"], True, {"a": "b"})


@pytest.mark.slow
@pytest.mark.parametrize("cut", ["cut_before_change", "cut_after_change"])
@pytest.mark.parametrize("nth", range(1, 5))
def test_an_interrupted_move_is_finished(running: t.Any, run: Run, cut: str, nth: int) -> None:
    given = {"name": "web1", "disks": [{"name": "data", "sr": "More", "tags": ["t"], "other_config": {"a": "b"}}]}
    getattr(running.faults, cut)(nth)
    run("xen_vm", **given)
    assert run("xen_vm", **given)["changed"] is False
    assert names(running) == ["data", "root"]


# removed -----------------------------------------------------------------------------
def test_what_the_vm_owns_goes_with_it_and_the_rest_is_named(web1: t.Any, run: Run) -> None:
    run("xen_vdi", name="mails", size="1 GiB")
    run("xen_vm", name="web1", disks=[{"name": "data", "keep": True}, {"vdi": "mails"}])
    predicted = run("xen_vm", check=True, name="web1", state="absent")
    done = run("xen_vm", name="web1", state="absent")
    assert predicted["operations"] == done["operations"] == ["VDI.destroy", "VM.destroy"]
    assert [(d["name"], d["sr"]) for d in done["kept_disks"]] == [("data", "Filer"), ("mails", "Filer")]
    assert names(web1) == ["data", "mails"]


def test_a_disk_that_another_vm_has_stays(web1: t.Any, run: Run) -> None:
    db = web1.world.pools[0].db
    other = db.create("VM", name_label="web2", power_state="Halted")
    db.create("VBD", VM=other, VDI=db.one("VDI", name_label="data"), userdevice="0", type="Disk", mode="RO")
    done = run("xen_vm", name="web1", state="absent")
    assert [d["name"] for d in done["kept_disks"]] == ["data"]


@pytest.mark.parametrize("cut", ["cut_before_change", "cut_after_change"])
@pytest.mark.parametrize("nth", [1, 2, 3])
def test_an_interrupted_removal_is_finished(web1: t.Any, run: Run, cut: str, nth: int) -> None:
    getattr(web1.faults, cut)(nth)
    run("xen_vm", name="web1", state="absent")
    assert names(web1) == []
    assert run("xen_vm", name="web1", state="absent")["changed"] is False


# told --------------------------------------------------------------------------------
def test_what_is_listed_changes_nothing(running: t.Any, run: Run) -> None:
    (told,) = run("xen_vm_info", name="web1")["vms"]
    assert run("xen_vm", **told)["changed"] is False


def test_identity_and_chain_of_each_disk_are_told(running: t.Any, run: Run, session: t.Any) -> None:
    vdi = run("xen_vdi", name="data")["vdi"]["uuid"]
    session.call("VDI.snapshot", session.call("VDI.get_by_uuid", vdi), {})
    run("xen_sr", name="Filer", scan=True)
    (facts,) = run("xen_vm_info", name="web1")["facts"].values()
    root, data = facts["disks"]
    assert (root["device"], root["chain_length"], root["plugged"]) == ("xvda", 1, True)
    assert (data["vdi"], data["sr"], data["image_format"], data["chain_length"], len(data["parents"])) == (vdi, "Filer", "vhd", 2, 1)
