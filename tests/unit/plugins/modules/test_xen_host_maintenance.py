# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host is emptied by a plan, and gets back what left it; on the pool that is to be upgraded."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.errors import InvalidChange, XenError
from ansible_collections.domzero.xen.plugins.module_utils.upgrade import marks
from ansible_collections.domzero.xen.tests.simulator import upgrade_lab

from .moving_lab import GIB
from .test_xen_vm_moves import Pool

Run = t.Callable[..., t.Any]
ENTER: dict[str, t.Any] = {"name": "lab0", "enabled": False, "evacuate": True, "remember": True}
LEAVE: dict[str, t.Any] = {"name": "lab0", "enabled": True, "bring_back": True}
THERE = ("app0-01", "app0-02", "app0-03", "web0")


@pytest.fixture
def lab(simulator: t.Any, session_to: t.Any) -> Pool:
    sim = simulator(upgrade_lab.build(special=False))
    return Pool(sim, session_to(sim))


@pytest.fixture
def special(simulator: t.Any, session_to: t.Any) -> Pool:
    sim = simulator(upgrade_lab.build(special=True))
    return Pool(sim, session_to(sim))


def places(lab: Pool) -> dict[str, str]:
    return {vm["name_label"]: lab.at(vm["name_label"]) for vm in lab("VM.get_all_records").values() if ours(vm)}


def noted(lab: Pool) -> dict[str, dict[str, str]]:
    names = [vm["name_label"] for vm in lab("VM.get_all_records").values() if ours(vm)]
    return {name: found for name in names if (found := lab.marks(name))}


def ours(vm: dict[str, t.Any]) -> bool:
    return not vm["is_a_template"] and not vm["is_control_domain"]


def test_a_host_is_emptied_and_gets_back_what_left_it(lab: Pool, converges: Run) -> None:
    before = places(lab)
    done = converges("xen_host", **ENTER)
    assert done["operations"] == ["host.disable", *["VM.add_to_other_config", "VM.pool_migrate"] * 4]
    assert sorted(row["vm"] for row in done["moved"]) == sorted(THERE)
    assert {lab.at(vm) for vm in THERE} <= {"lab1", "lab2", "lab3"}
    assert noted(lab) == {vm: {marks.HOME: lab.uuid("host", "lab0")} for vm in THERE}
    done = converges("xen_host", **LEAVE)
    assert done["operations"] == ["host.enable", *["VM.pool_migrate", "VM.remove_from_other_config"] * 4]
    assert (places(lab), noted(lab)) == (before, {})


def test_nobody_remembers_where_vms_were_unless_asked_to(lab: Pool, run: Run) -> None:
    run("xen_host", **{**ENTER, "remember": False})
    assert noted(lab) == {}
    done = run("xen_host", **LEAVE)
    assert (done["operations"], done["moved"]) == (["host.enable"], [])


def tight(lab: Pool) -> None:
    """No host has room for a VM of lab0 with 8 GiB but lab3 once one of its VMs has made way."""
    for name, room in (("lab1", 3), ("lab2", 5), ("lab3", 5)):
        metrics = lab("host.get_metrics", lab.host(name))
        free = int(lab("host.compute_free_memory", lab.host(name)))
        total = int(lab("host_metrics.get_memory_total", metrics))
        lab.bend("host_metrics", metrics, memory_total=total - free + room * GIB)
    for vm in ("app0-02", "app0-03", "web0"):
        lab("VM.hard_shutdown", lab.one("VM", vm))


def test_others_make_way_where_a_vm_fits_nowhere_and_return_home_after(lab: Pool, converges: Run) -> None:
    tight(lab)
    before = places(lab)
    stuck = lab("host.get_vms_which_prevent_evacuation", lab.host("lab0"))
    assert [words[0] for words in stuck.values()] == ["HOST_NOT_ENOUGH_FREE_MEMORY"]
    done = converges("xen_host", **ENTER)
    assert len(done["moved"]) == 2
    assert done["moved"][-1]["vm"] == "app0-01"
    assert lab.at("app0-01") == "lab3"
    done = converges("xen_host", **LEAVE)
    assert len(done["moved"]) == 2
    assert (places(lab), noted(lab)) == (before, {})


def test_why_a_host_cannot_be_emptied_is_told_at_once(special: Pool, run: Run) -> None:
    mark = special.sim.mark()
    for check in (True, False):
        with pytest.raises(InvalidChange, match="Host 'lab3' cannot be emptied: ") as caught:
            run("xen_host", check=check, name="lab3", enabled=False, evacuate=True)
        assert "'special-toolless' has no guest tools running" in str(caught.value)
        assert "'special-pci' uses a PCI device of its host" in str(caught.value)
    assert special.sim.calls(mark) == []


@pytest.mark.parametrize("host", ["lab1", "lab2", "lab3"])
def test_vms_that_cannot_move_are_stopped_and_started_again(special: Pool, run: Run, host: str) -> None:
    before = places(special)
    done = run("xen_host", **{**ENTER, "name": host}, unmovable="shutdown")
    stopped = {row["vm"] for row in done["stopped"]}
    assert stopped == {"lab1": {"special-deaf"}, "lab2": {"special-local"}, "lab3": {"special-pci", "special-toolless"}}[host]
    assert host not in places(special).values()
    done = run("xen_host", **{**LEAVE, "name": host})
    assert {row["vm"] for row in done["started"]} == stopped
    assert (places(special), noted(special)) == (before, {})
    assert run("xen_host", **{**LEAVE, "name": host})["changed"] is False


def test_a_disc_that_no_other_host_can_read_is_back_in_its_drive_afterwards(special: Pool, converges: Run) -> None:
    lab = special
    (drive,) = (
        ref for ref, vbd in lab("VBD.get_all_records").items() if vbd["type"] == "CD" and vbd["VM"] == lab.one("VM", "special-disc")
    )
    disc = lab("VBD.get_VDI", drive)
    for ref, pbd in lab("PBD.get_all_records").items():
        if pbd["SR"] == lab("VDI.get_SR", disc) and pbd["host"] != lab.host("lab0"):
            lab("PBD.unplug", ref)
    converges("xen_host", **ENTER)
    assert lab("VBD.get_empty", drive)
    done = converges("xen_host", **LEAVE)
    assert done["operations"].count("VBD.insert") == 1
    assert (lab("VBD.get_VDI", drive), lab("VBD.get_other_config", drive), noted(lab)) == (disc, {}, {})


@pytest.mark.parametrize("host", ["lab0", "lab2"])
def test_a_reboot_empties_the_host_and_brings_all_back(lab: Pool, session_to: t.Any, run: Run, host: str) -> None:
    before = places(lab)
    task = {"name": host, "evacuate": True, "bring_back": True, "reboot": "always", "allow_disruption": True}
    predicted = run("xen_host", check=True, **task)
    done = run("xen_host", **task)
    assert done["operations"] == predicted["operations"]
    assert done["operations"][-2:] == ["VM.pool_migrate", "VM.remove_from_other_config"]
    assert done["operations"].index("host.reboot") < done["operations"].index("host.enable")
    assert [row["to"] for row in done["moved"][-4:]] == [host] * 4
    lab = Pool(lab.sim, session_to(lab.sim))  # the sessions of a coordinator end with it
    assert (places(lab), noted(lab)) == (before, {})


def test_a_host_is_switched_off_empty_and_on_again_with_its_vms(special: Pool, converges: Run) -> None:
    before = places(special)
    off = {"name": "lab2", "power_state": "halted", "evacuate": True, "remember": True, "unmovable": "shutdown", "allow_disruption": True}
    assert converges("xen_host", **off)["operations"][-1] == "host.shutdown"
    done = converges("xen_host", name="lab2", power_state="running", bring_back=True)
    assert [row["vm"] for row in done["started"]] == ["special-local"]
    assert (places(special), noted(special)) == (before, {})


def test_a_vm_there_is_no_room_for_stays_where_it_is(lab: Pool, run: Run) -> None:
    run("xen_host", **ENTER)
    metrics = lab("host.get_metrics", lab.host("lab0"))
    free = int(lab("host.compute_free_memory", lab.host("lab0")))
    lab.bend("host_metrics", metrics, memory_total=int(lab("host_metrics.get_memory_total", metrics)) - free + 9 * GIB)
    done = run("xen_host", **LEAVE)
    assert len(done["moved"]) == 1
    assert len([warning for warning in done["warnings"] if "stays on host" in warning]) == 3
    assert run("xen_host", **LEAVE)["changed"] is False


def test_a_network_carries_the_migrations(lab: Pool, run: Run) -> None:
    network = next(r["name_label"] for r in lab("network.get_all_records").values() if "eth2" in r["name_label"])
    mark = lab.sim.mark()
    run("xen_host", **ENTER, network=network)
    used = {call["params"][2]["network"] for call in lab.sim.calls(mark) if call["method"].endswith("pool_migrate")}
    assert used == {lab.one("network", network)}


def test_workload_balancing_says_where_vms_go(lab: Pool, converges: Run) -> None:
    lab.bend("pool", lab("pool.get_all")[0], wlb_enabled=True)
    done = converges("xen_host", **ENTER)
    assert done["operations"] == ["host.disable", *["VM.add_to_other_config"] * 4, "host.evacuate"]
    assert "lab0" not in places(lab).values()


# faults ------------------------------------------------------------------------------------------------------------------
def test_a_migration_that_fails_is_named_and_the_next_run_goes_on(lab: Pool, run: Run) -> None:
    lab.sim.faults.fail_migration("VM_MIGRATE_FAILED", vm=lab.uuid("VM", "web0"))
    with pytest.raises(XenError, match=r"^Could not move VM 'web0' .*VM_MIGRATE_FAILED") as caught:
        run("xen_host", **ENTER)
    assert caught.value.code == "VM_MIGRATE_FAILED"
    assert lab.at("web0") == "lab0"
    done = run("xen_host", **ENTER)
    assert [row["vm"] for row in done["moved"]] == ["web0"]


CALLS = 9


def test_that_many_calls_change_something(lab: Pool, run: Run) -> None:
    assert len(run("xen_host", check=True, **ENTER)["operations"]) == CALLS
    run("xen_host", **ENTER)
    assert len(run("xen_host", check=True, **LEAVE)["operations"]) == CALLS


EACH = [pytest.param(nth, marks=[] if nth % 4 == 1 else pytest.mark.slow) for nth in range(1, CALLS + 1)]


@pytest.mark.parametrize("nth", EACH)
@pytest.mark.parametrize("fault", ["cut-before", "cut-after", "fail"])
def test_whatever_call_is_lost_the_host_is_emptied_and_filled_again(lab: Pool, run: Run, fault: str, nth: int) -> None:
    before = places(lab)
    for task in (ENTER, LEAVE):
        lab.sim.faults.clear()
        lab.sim.faults.add(fault, None, nth=nth, error=["INTERNAL_ERROR", "out of luck"])
        try:
            run("xen_host", **task)
        except XenError:
            assert fault == "fail"
        lab.sim.faults.clear()
        run("xen_host", **task)
        assert run("xen_host", **task)["changed"] is False
        if task is ENTER:
            assert "lab0" not in places(lab).values()
    assert (places(lab), noted(lab)) == (before, {})


@pytest.mark.slow
@pytest.mark.parametrize("nth", range(1, 20))
@pytest.mark.parametrize("cut", ["cut_before_change", "cut_after_change"])
def test_a_connection_lost_around_a_reboot_is_no_harm(lab: Pool, run: Run, cut: str, nth: int) -> None:
    before = places(lab)
    getattr(lab.sim.faults, cut)(nth)
    run("xen_host", name="lab2", evacuate=True, bring_back=True, reboot="always", allow_disruption=True)
    assert (places(lab), noted(lab)) == (before, {})
    assert lab("host.get_enabled", lab.host("lab2"))
