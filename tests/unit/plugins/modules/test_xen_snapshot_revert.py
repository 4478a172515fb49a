# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way back to a snapshot: what becomes of the VM, of its disks, and of a task that is cut off."""

from __future__ import annotations

import contextlib
import typing as t

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.errors import ApiError, InvalidChange, XenError

from .guest_lab import Guests

Run = t.Callable[..., t.Any]
BACK = {"vm": "web", "name": "s", "state": "reverted"}


@pytest.fixture
def lab(simulator: Run, session_to: Run) -> Guests:
    sim = simulator(1)
    return Guests(sim, session_to(sim))


def state(lab: Guests, vm: str) -> str:
    return str(lab.record(vm)["power_state"])


def test_a_halted_vm_is_taken_back_and_every_time_again(lab: Guests, run: Run) -> None:
    vm = lab.vm("web", "root")
    run("xen_snapshot", vm="web", name="s")
    lab.call("VM.set_name_label", vm, "other")
    for name in ("other", "web"):
        mark = lab.sim.mark()
        predicted = run("xen_snapshot", check=True, **{**BACK, "vm": name})
        assert lab.sim.calls(mark) == []
        done = run("xen_snapshot", **{**BACK, "vm": name})
        assert done == predicted
        assert (done["changed"], done["operations"], done["power_state"]) == (True, ["VM.revert"], "halted")
        assert done["snapshot"]["vm"] == "web"
    assert lab.vdis().count("root") == 2


def test_a_vm_that_runs_is_switched_off_only_if_the_task_allows_it(lab: Guests, run: Run) -> None:
    vm = lab.vm("web", "root", running=True)
    run("xen_snapshot", vm="web", name="s")
    with pytest.raises(InvalidChange, match="This would switch VM 'web' off by force"):
        run("xen_snapshot", **BACK)
    assert run("xen_snapshot", **BACK, allow_disruption=True)["power_state"] == "halted"
    assert state(lab, vm) == "Halted"


@pytest.mark.parametrize(
    ("kind", "runs", "power_state", "then"),
    [
        ("disk", True, "leave", "Halted"),
        ("disk", True, "as_before", "Running"),
        ("disk", False, "as_before", "Halted"),
        ("disk", False, "running", "Running"),
        ("memory", True, "leave", "Suspended"),
        ("memory", True, "as_before", "Running"),
        ("memory", False, "running", "Running"),
    ],
)
def test_what_becomes_of_the_vm(lab: Guests, run: Run, kind: str, runs: bool, power_state: str, then: str) -> None:
    vm = lab.vm("web", "root", running=True)
    run("xen_snapshot", vm="web", name="s", kind=kind)
    if not runs:
        lab.call("VM.hard_shutdown", vm)
    predicted = run("xen_snapshot", **BACK, power_state=power_state, allow_disruption=True, check=True)
    done = run("xen_snapshot", **BACK, power_state=power_state, allow_disruption=True)
    assert predicted == done
    assert (state(lab, vm), done["power_state"]) == (then, then.lower())
    assert "domzero.xen:ran_before_revert" not in lab.named("s")["other_config"]


def test_a_disk_added_since_is_named_and_keeps_its_data(lab: Guests, run: Run) -> None:
    vm = lab.vm("web", "root", "scratch")
    run("xen_snapshot", vm="web", name="s", ignore_disks=["scratch"])
    later = lab.vdi("later")
    lab.attach(vm, later, 2)
    done = run("xen_snapshot", **BACK)
    assert [d["name"] for d in done["detached"]] == ["scratch", "later"]
    assert lab.record(later, "VDI")["uuid"] in done["warnings"][0]
    assert "Snapshot 's' has no 'later' and 'scratch' of VM 'web': that is detached only and keeps its data" in done["warnings"][0]
    assert lab.disks(vm) == {"0": "root"}
    assert lab.vdis().count("later") == lab.vdis().count("scratch") == 1


@pytest.mark.parametrize("by", ["name", "uuid"])
def test_a_vm_that_was_deleted_comes_back(lab: Guests, run: Run, by: str) -> None:
    vm = lab.vm("web", "root")
    uuid = lab.record(vm)["uuid"]
    run("xen_snapshot", vm="web", name="s")
    lab.call("VM.destroy", vm)
    assert run("xen_snapshot_info", vm="web")["snapshots"][0]["vm"] == ""
    done = run("xen_snapshot", **{**BACK, "vm": "web" if by == "name" else uuid}, power_state="running")
    assert done["operations"] == ["VM.revert", "VM.start"]
    assert (lab.named("web")["power_state"], lab.named("web")["uuid"]) == ("Running", uuid)


def test_a_way_back_that_fails_is_taken_again_and_the_vm_runs_then(lab: Guests, run: Run) -> None:
    vm = lab.vm("web", "root", running=True)
    run("xen_snapshot", vm="web", name="s")
    disk = lab.record(lab.named("s")["VBDs"][0], "VBD")["VDI"]
    lab.db.set("VDI", disk, current_operations={"OpaqueRef:task": "update"})
    with pytest.raises(ApiError, match=r"Could not take VM 'web' back to snapshot 's': .*VM_REVERT_FAILED.*may be run again"):
        run("xen_snapshot", **BACK, power_state="as_before", allow_disruption=True)
    assert state(lab, vm) == "Halted"
    lab.db.set("VDI", disk, current_operations={})
    assert run("xen_snapshot", **BACK, power_state="as_before")["power_state"] == "running"
    assert state(lab, vm) == "Running"


# cut off -----------------------------------------------------------------------------------
def whole(lab: Guests) -> t.Any:
    """What is there, without references."""
    vms = [
        (
            r["name_label"],
            r["power_state"],
            r["is_a_snapshot"],
            r["is_a_template"],
            len(r["VBDs"]),
            r["name_description"],
            sorted(r["tags"]),
        )
        for r in lab.db.all("VM").values()
        if not r["is_control_domain"]
    ]
    notes = [key for r in lab.db.all("VM").values() for key in r["other_config"] if key.startswith("domzero")]
    return sorted(vms), lab.vdis(), notes


def taken(lab: Guests, run: Run) -> None:
    run("xen_snapshot", vm="web", name="s")


def taken_with_memory(lab: Guests, run: Run) -> None:
    run("xen_snapshot", vm="web", name="s", kind="memory")


def nothing(lab: Guests, run: Run) -> None:
    pass


def many(lab: Guests, run: Run) -> None:
    for name in ("n1", "n2", "n3"):
        run("xen_snapshot", vm="web", name=name)


STORIES: dict[str, tuple[t.Callable[[Guests, Run], None], dict[str, t.Any]]] = {
    "taken": (nothing, {"vm": "web", "name": "s", "description": "d", "tags": ["t"], "as_template": "T"}),
    "taken with memory": (nothing, {"vm": "web", "name": "s", "kind": "memory", "description": "d"}),
    "deleted": (taken, {"vm": "web", "name": "s", "state": "absent"}),
    "deleted with memory": (taken_with_memory, {"vm": "web", "name": "s", "state": "absent"}),
    "pruned": (many, {"vm": "web", "state": "pruned", "matching": "n*", "keep": 1}),
    "reverted": (taken, {**BACK, "power_state": "as_before", "allow_disruption": True}),
    "reverted with memory": (taken_with_memory, {**BACK, "power_state": "as_before", "allow_disruption": True}),
}


CUTS = [("cut_after_change", True), ("cut_after_change", False), ("cut_before_change", True), ("cut_before_change", False)]
QUICK = [("taken", *CUTS[1]), ("deleted", *CUTS[1]), ("reverted", *CUTS[1])]


def sweep() -> t.Iterator[t.Any]:
    for story, how, goes_on in [(story, *cut) for story in STORIES for cut in CUTS]:
        marks = [] if (story, how, goes_on) in QUICK else [pytest.mark.slow]
        yield pytest.param(story, how, goes_on, marks=marks, id=f"{story}, {how}, {'same' if goes_on else 'next'} run")


@pytest.mark.parametrize(("story", "how", "goes_on"), list(sweep()))
def test_wherever_a_task_is_cut_off_it_ends_the_same(
    story: str, how: str, goes_on: bool, simulator: Run, session_to: Run, run: Run
) -> None:
    prepare, task = STORIES[story]

    def fresh() -> Guests:
        sim = simulator(1)
        lab = Guests(sim, session_to(sim))
        lab.vm("web", "root", "data", "logs", running=True)
        prepare(lab, run)
        return lab

    lab = fresh()
    mark = lab.sim.mark()
    run("xen_snapshot", **task)
    calls, wanted = len(lab.sim.calls(mark)), whole(lab)
    assert calls
    for number in range(1, calls + 1):
        lab = fresh()
        for nth in range(number, number + (1 if goes_on else 5)):  # five in a row are more than one run bears
            getattr(lab.sim.faults, how)(nth)
        with contextlib.suppress(XenError):
            run("xen_snapshot", **task)
        lab.sim.faults.clear()
        run("xen_snapshot", **task)
        assert whole(lab) == wanted, f"cut off at call {number} of {calls}"
