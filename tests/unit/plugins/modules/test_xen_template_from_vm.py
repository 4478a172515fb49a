# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Templates made of VMs and snapshots, with their disks; and what goes with them."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.errors import InvalidChange, NotFound, XenError

from .moving_lab import Lab

Run = Start = t.Callable[..., t.Any]
GOLDEN = {"name": "Web", "from_vm": "golden", "allow_disruption": True}
COPY = {"name": "Web", "from_vm": "golden", "from_snapshot": "ready"}


@pytest.fixture
def lab(simulator: Start, session_to: t.Callable[..., t.Any]) -> Lab:
    """A halted VM golden with two disks, and its snapshot ready."""
    sim = simulator(1)
    made = Lab(sim, session_to(sim))
    vm = made.vm("golden")
    for place in ("0", "1"):
        vdi = made.disk(vm, made.local_sr("xcp00"), place)
        vbd = next(ref for ref, r in made.db.all("VBD").items() if r["VDI"] == vdi)
        made("VBD.add_to_other_config", vbd, "owner", "")
    made.card(vm, made.one("network", "Pool-wide network associated with eth0"))
    return made


@pytest.fixture
def snapshot(lab: Lab) -> str:
    return str(lab("VM.snapshot", lab.one("VM", "golden"), "ready"))


def names(lab: Lab, *, template: bool) -> list[str]:
    rows = lab.db.all("VM").values()
    kind = [r for r in rows if r["is_a_template"] == template and not r["is_a_snapshot"] and not r["is_control_domain"]]
    return sorted(r["name_label"] for r in kind if r["other_config"].get("default_template") != "true")


def disks(lab: Lab) -> int:
    return len([r for r in lab.db.all("VDI").values() if r["managed"] and r["SR"] == lab.local_sr("xcp00")])


def without_host_disks(lab: Lab, run: Run, name: str) -> list[str]:
    uuid = run("xen_template", name=name)["template"]["uuid"]
    return [disk["device"] for disk in run("xen_template_info", name=name)["facts"][uuid]["disks"]]


# conversion --------------------------------------------------------------------------
def test_a_halted_vm_becomes_a_template(lab: Lab, converges: Run) -> None:
    before = disks(lab)
    done = converges("xen_template", **GOLDEN, description="Made by hand")
    assert done["operations"] == ["VM.set_name_description", "VM.set_is_a_template", "VM.set_name_label"]
    assert (names(lab, template=True), names(lab, template=False)) == (["Web"], [])
    assert disks(lab) == before


def test_a_vm_may_keep_its_name_when_it_becomes_a_template(lab: Lab, converges: Run) -> None:
    assert converges("xen_template", **{**GOLDEN, "name": "golden"})["operations"] == ["VM.set_is_a_template"]


def test_that_there_is_no_vm_afterwards_has_to_be_meant(lab: Lab, run: Run) -> None:
    with pytest.raises(InvalidChange, match="there is no VM 'golden' any more"):
        run("xen_template", name="Web", from_vm="golden")
    assert names(lab, template=False) == ["golden"]


def test_a_running_vm_is_not_converted(lab: Lab, run: Run) -> None:
    lab("VM.start", lab.one("VM", "golden"), False, False)
    with pytest.raises(InvalidChange, match="VM 'golden' is running: only a halted one becomes"):
        run("xen_template", **GOLDEN)


def test_a_vm_of_an_appliance_is_not_converted(lab: Lab, run: Run) -> None:
    appliance = lab("VM_appliance.create", {"name_label": "shop", "name_description": ""})
    lab("VM.set_appliance", lab.one("VM", "golden"), appliance)
    with pytest.raises(InvalidChange, match="part of an appliance"):
        run("xen_template", **GOLDEN)


def test_the_name_of_another_vm_is_not_taken(lab: Lab, run: Run) -> None:
    lab.vm("Web")
    with pytest.raises(InvalidChange, match="A VM is named 'Web' already"):
        run("xen_template", **GOLDEN)


def test_an_unknown_vm_is_told(lab: Lab, run: Run) -> None:
    with pytest.raises(NotFound, match="No VM is named 'gold'"):
        run("xen_template", name="Web", from_vm="gold")


# snapshots ---------------------------------------------------------------------------
@pytest.mark.usefixtures("snapshot")
def test_a_snapshot_is_copied_and_its_vm_stays(lab: Lab, converges: Run, run: Run) -> None:
    done = converges("xen_template", **COPY, tags=["web"])
    assert done["operations"] == ["VM.clone", "VM.set_tags", "VM.set_name_label"]
    assert (done["clone"], done["chain_length"] > 1) == ("fast", True)
    assert (names(lab, template=True), names(lab, template=False)) == (["Web"], ["golden"])
    assert without_host_disks(lab, run, "Web") == ["0", "1"]


@pytest.mark.usefixtures("snapshot")
def test_a_full_copy_shares_nothing(lab: Lab, converges: Run) -> None:
    done = converges("xen_template", **COPY, clone="full")
    assert (done["operations"][0], done["clone"], done["chain_length"]) == ("VM.copy", "full", 1)


@pytest.mark.usefixtures("snapshot")
def test_a_snapshot_is_no_source(lab: Lab, run: Run) -> None:
    with pytest.raises(NotFound, match="No template is named 'ready'"):
        run("xen_template", name="Web", source="ready")
    with pytest.raises(NotFound, match="No snapshot is named 'later'"):
        run("xen_template", **{**COPY, "from_snapshot": "later"})


# removal -----------------------------------------------------------------------------
@pytest.mark.usefixtures("snapshot")
def test_a_template_goes_with_its_disks(lab: Lab, converges: Run) -> None:
    before = disks(lab)
    converges("xen_template", **COPY)
    assert disks(lab) == before + 2
    assert converges("xen_template", name="Web", state="absent")["operations"] == ["VDI.destroy", "VDI.destroy", "VM.destroy"]
    assert disks(lab) == before


def test_a_disk_that_another_vm_uses_stays(lab: Lab, run: Run, converges: Run) -> None:
    run("xen_template", **GOLDEN)
    shared = next(r["VDI"] for r in lab.db.all("VBD").values() if r["VM"] == lab.one("VM", "Web") and r["userdevice"] == "1")
    lab.drive(lab.vm("web1"), shared, "3")
    done = run("xen_template", name="Web", state="absent")
    assert done["operations"] == ["VDI.destroy", "VM.destroy"]
    assert "stay, as they are not its own: disk 1" in done["warnings"][0]


@pytest.mark.usefixtures("snapshot")
def test_a_template_with_snapshots_is_not_deleted(lab: Lab, run: Run) -> None:
    run("xen_template", **GOLDEN)
    with pytest.raises(InvalidChange, match="still has snapshots"):
        run("xen_template", name="Web", state="absent")


# interruption ------------------------------------------------------------------------
STORIES: dict[str, tuple[dict[str, t.Any], int]] = {
    "convert": ({**GOLDEN, "description": "x", "tags": ["web"], "provision_disks": [{"size": "1 GiB"}]}, 5),
    "copy": ({**COPY, "description": "x", "limits": {"vcpus_max": 4}, "memory": "1 GiB"}, 5),
    "copy full": ({**COPY, "clone": "full", "description": "x"}, 3),
    "copy stock": ({"name": "Web", "source": "Debian Bookworm 12", "install_repository": "http://deb.debian.org/debian"}, 3),
}


@pytest.mark.parametrize("kind", [*(pytest.param(cut, marks=pytest.mark.slow) for cut in ("cut-before", "cut-after")), "fail"])
@pytest.mark.parametrize(("story", "nth"), [(story, nth) for story, (_options, calls) in STORIES.items() for nth in range(1, calls + 1)])
@pytest.mark.usefixtures("snapshot")
def test_a_task_that_is_cut_off_is_finished_by_itself_or_the_next(lab: Lab, run: Run, story: str, nth: int, kind: str) -> None:
    before, options = disks(lab), STORIES[story][0]
    lab.sim.faults.add(kind, None, nth=nth, error=["INTERNAL_ERROR", "out of luck"])
    try:
        run("xen_template", **options)
    except XenError:
        run("xen_template", **options)
    assert lab.sim.faults.triggers == [], "it was not cut off"
    assert run("xen_template", **options)["changed"] is False
    assert names(lab, template=True) == ["Web"]
    assert disks(lab) == before + (2 if "from_snapshot" in options else 0)


@pytest.mark.parametrize("nth", range(1, 4))
@pytest.mark.parametrize("cut", ["cut_before_change", "cut_after_change"])
@pytest.mark.usefixtures("snapshot")
def test_a_deletion_that_is_cut_off_leaves_no_disk(lab: Lab, run: Run, nth: int, cut: str) -> None:
    before = disks(lab)
    run("xen_template", **COPY)
    getattr(lab.sim.faults, cut)(nth)
    run("xen_template", name="Web", state="absent")
    assert (names(lab, template=True), disks(lab)) == ([], before)


@pytest.mark.parametrize("method", ["VM.set_tags", "VM.set_name_label"])
@pytest.mark.usefixtures("snapshot")
def test_what_a_failed_task_has_begun_is_finished_or_removed(lab: Lab, run: Run, method: str) -> None:
    before = disks(lab)
    for end in ("present", "absent"):
        lab.sim.faults.fail(method, error=["INTERNAL_ERROR", "out of luck"])
        with pytest.raises(Exception, match="out of luck"):
            run("xen_template", **COPY, tags=["web"])
        assert names(lab, template=True) == ["Web (unfinished)"]
        assert run("xen_template", **COPY, tags=["web"], state=end)["changed"] is True
        run("xen_template", name="Web", state="absent")
        assert (names(lab, template=True), disks(lab)) == ([], before)


@pytest.mark.usefixtures("snapshot")
def test_what_was_begun_of_another_source_is_not_taken(lab: Lab, run: Run) -> None:
    lab.sim.faults.fail("VM.set_name_label", error=["INTERNAL_ERROR", "out of luck"])
    with pytest.raises(Exception, match="out of luck"):
        run("xen_template", name="Web", source="Debian Bookworm 12")
    done = run("xen_template", name="Web", source="Other install media")
    assert done["operations"][:2] == ["VM.destroy", "VM.clone"]
    assert names(lab, template=True) == ["Web"]
