# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Snapshots: taken, edited, made into templates, deleted, thinned out; what cannot be is said before."""

from __future__ import annotations

import threading
import typing as t

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.errors import Ambiguous, InvalidChange, NotFound

from .guest_lab import NULL, Guests

Run = t.Callable[..., t.Any]


@pytest.fixture
def lab(simulator: Run, session_to: Run) -> Guests:
    sim = simulator(1)
    return Guests(sim, session_to(sim))


# taking --------------------------------------------------------------------------------
def test_a_snapshot_is_taken_once(lab: Guests, converges: Run) -> None:
    vm = lab.vm("web", "root", "data", running=True)
    done = converges("xen_snapshot", vm="web", name="before", description="as it was", tags=["b", "a"], other_config={"who": "me"})
    assert done["operations"] == ["VM.snapshot", "VM.set_name_description", "VM.set_tags", "VM.set_other_config"]
    assert (done["snapshot"]["kind"], done["snapshot"]["vm"], done["snapshot"]["tags"]) == ("disk", "web", ["a", "b"])
    assert lab.snapshots(vm) == ["before"]
    record = lab.named("before")
    assert (record["name_description"], record["other_config"]["who"]) == ("as it was", "me")
    assert lab.record(vm)["power_state"] == "Running"


def test_memory_is_kept_when_asked_for(lab: Guests, converges: Run) -> None:
    vm = lab.vm("web", "root", running=True)
    done = converges("xen_snapshot", vm="web", name="awake", kind="memory")
    assert (done["operations"], done["snapshot"]["kind"]) == (["VM.checkpoint"], "memory")
    assert lab.record(vm)["power_state"] == "Running"


def test_another_vms_snapshot_of_the_name_is_not_this_ones(lab: Guests, run: Run) -> None:
    first, second = lab.vm("web", "root"), lab.vm("db", "root")
    run("xen_snapshot", vm="web", name="s")
    assert run("xen_snapshot", vm="db", name="s")["changed"]
    assert (lab.snapshots(first), lab.snapshots(second)) == (["s"], ["s"])
    with pytest.raises(Ambiguous, match=r"2 snapshots are named 's': .*VM 'web'.*Give vm"):
        run("xen_snapshot", name="s", state="absent")


@pytest.mark.parametrize("word", ["scratch", "xvdb", "1", "uuid"])
def test_disks_are_left_out_by_name_device_position_or_uuid(lab: Guests, run: Run, word: str) -> None:
    lab.vm("db", "root", "scratch")
    uuid = lab.record(lab.db.one("VDI", name_label="scratch"), "VDI")["uuid"]
    run("xen_snapshot", vm="db", name="s", ignore_disks=[uuid if word == "uuid" else word])
    assert lab.disks(lab.db.one("VM", name_label="s")) == {"0": "root"}


def test_a_snapshot_is_renamed_and_edited_by_its_uuid(lab: Guests, run: Run, converges: Run) -> None:
    vm = lab.vm("web", "root")
    uuid = run("xen_snapshot", vm="web", name="s")["snapshot"]["uuid"]
    done = converges("xen_snapshot", uuid=uuid, name="better", other_config={"base_template_name": None})
    assert done["operations"] == ["VM.set_name_label", "VM.set_other_config"]
    assert lab.snapshots(vm) == ["better"]
    assert "base_template_name" not in lab.named("better")["other_config"]


def test_the_kind_is_fixed_once_taken(lab: Guests, run: Run) -> None:
    lab.vm("web", "root", running=True)
    run("xen_snapshot", vm="web", name="s")
    with pytest.raises(InvalidChange, match="'s' is of kind disk, the task wants memory"):
        run("xen_snapshot", vm="web", name="s", kind="memory")


def test_a_template_is_made_of_a_snapshot(lab: Guests, converges: Run) -> None:
    lab.vm("web", "root", running=True)
    done = converges("xen_snapshot", vm="web", name="golden", as_template="Web 1.0")
    assert done["operations"] == ["VM.snapshot", "VM.clone"]
    made = lab.named("Web 1.0")
    assert (made["is_a_template"], made["is_a_snapshot"], made["power_state"]) == (True, False, "Halted")
    again = converges("xen_snapshot", name="golden", vm="web", as_template="Web 1.1")
    assert again["operations"] == ["VM.clone"]


def test_a_snapshot_somebody_is_taking_is_waited_for(lab: Guests, run: Run) -> None:
    vm = lab.vm("web", "root")
    lab.db.set("VM", vm, current_operations={"OpaqueRef:task": "snapshot"})

    def finish() -> None:
        lab.call("VM.snapshot", vm, "s")
        lab.db.set("VM", vm, current_operations={})

    threading.Timer(0.5, finish).start()
    assert run("xen_snapshot", vm="web", name="s")["changed"] is False
    assert lab.snapshots(vm) == ["s"]


# refusals --------------------------------------------------------------------------------
def test_what_cannot_be_is_said_before_the_first_call(lab: Guests, run: Run) -> None:
    lab.vm("bare", "root", agent=False, running=True)
    lab.vm("web", "root", "data", running=True)
    lab.vm("off", "root")
    paused = lab.vm("still", "root", running=True)
    lab.call("VM.pause", paused)
    shared = lab.vm("cluster", "root")
    lab.attach(shared, lab.vdi("quorum", sharable=True), 1)
    mark = lab.sim.mark()
    cases: list[tuple[dict[str, t.Any], str]] = [
        ({"vm": "bare", "kind": "memory"}, "'bare' cannot keep its memory: its guest tools do not run. Install or start them"),
        ({"vm": "off", "kind": "memory"}, "'off' is halted: there is no memory"),
        ({"vm": "still", "kind": "memory"}, "'still' is paused: .*Unpause it first"),
        ({"vm": "web", "kind": "quiesced"}, "'web' cannot be snapshotted quiesced: releases since 8.1 never do"),
        ({"vm": "web", "kind": "memory", "ignore_disks": ["data"]}, "Only kind: disk can leave disks out"),
        ({"vm": "web", "ignore_disks": ["swap"]}, r"'web' has no disk 'swap'. It has 'root' \(xvda\), 'data' \(xvdb\)"),
        ({"vm": "cluster"}, "'cluster' cannot be snapshotted: 'quorum' may be used by several VMs at once. Leave it out"),
        ({"vm": "nobody"}, "No VM is named 'nobody'"),
        ({}, "no snapshot 's', and the task does not say of which VM"),
        ({"uuid": "1-2", "name": None}, "The pool has no snapshot '1-2'"),
        ({"vm": "web", "state": "reverted"}, "VM 'web' has no snapshot 's'. There is none"),
    ]
    for options, told in cases:
        for check in (True, False):
            with pytest.raises((InvalidChange, NotFound), match=told):
                run("xen_snapshot", check=check, **{"name": "s", **options})
    assert lab.sim.calls(mark) == []
    assert run("xen_snapshot", vm="cluster", name="s", ignore_disks=["quorum"])["changed"]


def test_a_chain_that_becomes_too_long_is_warned_of_and_refused(lab: Guests, run: Run) -> None:
    lab.vm("old", "root")
    disk = lab.db.one("VDI", name_label="root")
    for number, told in ((26, "warning"), (30, "refused")):
        _chain(lab, disk, number)
        if told == "warning":
            (said,) = run("xen_snapshot", vm="old", name="s", check=True)["warnings"]
            assert "lies in 26 images; at 30" in said
            assert "full copy" in said
            assert "another SR" in said
            assert "coalesce" in said
        else:
            with pytest.raises(InvalidChange, match=r"data of 'root' lies in 30 images already.*full copy"):
                run("xen_snapshot", vm="old", name="s")


def _chain(lab: Guests, disk: str, length: int) -> None:
    """The disk and hidden images below it."""
    above = disk
    for _number in range(length - 1):
        below = lab.db.create("VDI", SR=lab.record(disk, "VDI")["SR"], name_label="base copy", managed=False, type="user", virtual_size=1)
        lab.db.set("VDI", above, sm_config={"vhd-parent": lab.record(below, "VDI")["uuid"]})
        above = below


# deleting ----------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", ["disk", "memory"])
def test_a_snapshot_goes_with_its_disks_and_memory(lab: Guests, run: Run, converges: Run, kind: str) -> None:
    vm = lab.vm("web", "root", "data", running=True)
    before = lab.vdis()
    run("xen_snapshot", vm="web", name="s", kind=kind)
    assert len(lab.vdis()) > len(before) + 1
    done = converges("xen_snapshot", vm="web", name="s", state="absent")
    assert done["operations"][-1] == "VM.destroy"
    assert (lab.vdis(), lab.snapshots(vm), lab.record(vm)["power_state"]) == (before, [], "Running")


def test_what_is_gone_stays_gone(lab: Guests, converges: Run) -> None:
    lab.vm("web", "root")
    assert converges("xen_snapshot", vm="web", name="s", state="absent")["changed"] is False
    assert converges("xen_snapshot", vm="nobody", name="s", state="absent")["changed"] is False


def test_a_disk_that_others_use_stays(lab: Guests, run: Run) -> None:
    lab.vm("web", "root")
    run("xen_snapshot", vm="web", name="s")
    snapshot = lab.named("s")
    disk = lab.record(snapshot["VBDs"][0], "VBD")["VDI"]
    helper = lab.vm("backup")
    vbd = {"userdevice": "0", "bootable": False, "mode": "RO", "type": "Disk", "unpluggable": True, "other_config": {}}
    lab.call("VBD.create", {"VM": helper, "VDI": disk, "empty": False, "qos_algorithm_type": "", "qos_algorithm_params": {}, **vbd})
    assert run("xen_snapshot", vm="web", name="s", state="absent")["operations"] == ["VM.destroy"]
    assert lab.db.exists("VDI", disk)


def _taken(lab: Guests, vm: str, *names: str, tags: t.Sequence[str] = ()) -> None:
    """One a day."""
    for day, name in enumerate(names, 1):
        ref = lab.call("VM.snapshot", vm, name)
        lab.db.set("VM", ref, snapshot_time=f"202601{day:02}T00:00:00Z", tags=list(tags))


def test_the_newest_of_a_pattern_are_kept_and_nothing_else_is_touched(lab: Guests, converges: Run) -> None:
    vm, other = lab.vm("db", "root"), lab.vm("web", "root")
    _taken(lab, vm, "nightly-1", "by hand", "nightly-2", "nightly-3", "weekly-1")
    _taken(lab, other, "nightly-1", "nightly-2", "nightly-3")
    done = converges("xen_snapshot", vm="db", state="pruned", matching="nightly-*", keep=2)
    assert [d["name"] for d in done["deleted"]] == ["nightly-1"]
    assert [d["name"] for d in done["kept"]] == ["nightly-3", "nightly-2"]
    assert done["snapshot"] == {"snapshots": ["weekly-1", "nightly-3", "nightly-2", "by hand"]}
    assert lab.snapshots(vm) == ["by hand", "nightly-2", "nightly-3", "weekly-1"]
    assert len(lab.snapshots(other)) == 3
    assert lab.vdis().count("root") == 2 + 4 + 3


def test_only_what_has_the_tags_is_pruned(lab: Guests, run: Run) -> None:
    vm = lab.vm("db", "root")
    _taken(lab, vm, "a-1", "a-2", tags=["auto", "db"])
    _taken(lab, vm, "a-3", tags=["auto"])
    run("xen_snapshot", vm="db", state="pruned", tagged=["auto", "db"], keep=0)
    assert lab.snapshots(vm) == ["a-3"]


@pytest.mark.parametrize(
    ("options", "told"), [({"keep": 3}, "which snapshots may be deleted"), ({"keep": -1, "matching": "*"}, "fewer than none")]
)
def test_pruning_needs_to_know_what(lab: Guests, run: Run, options: dict[str, t.Any], told: str) -> None:
    _taken(lab, lab.vm("db", "root"), "a", "b", "c", "d")
    with pytest.raises(InvalidChange, match=told):
        run("xen_snapshot", vm="db", state="pruned", **options)


def test_nothing_is_left_behind(lab: Guests, run: Run) -> None:
    """Whatever was taken and deleted, the disks are those there were."""
    lab.vm("web", "root", "data", running=True)
    before = lab.vdis()
    for number in range(4):
        run("xen_snapshot", vm="web", name=f"s{number}", kind="memory" if number % 2 else "disk")
    run("xen_snapshot", vm="web", state="pruned", matching="*", keep=0)
    assert lab.vdis() == before
    assert lab.named("web")["parent"] == NULL
