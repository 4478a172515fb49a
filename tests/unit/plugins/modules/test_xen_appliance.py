# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Appliances: their VMs and the order of them; starting and shutting down; what is told can be handed back."""

from __future__ import annotations

import contextlib
import typing as t

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.errors import ApiError, InvalidChange, NotFound, Timeout, XenError

from .guest_lab import NULL, Guests

Run = t.Callable[..., t.Any]
SHOP = {"name": "shop", "vms": [{"vm": "web", "order": 2}, {"vm": "db", "start_delay": 30}, {"vm": "app", "order": 1}]}


@pytest.fixture
def lab(simulator: Run, session_to: Run) -> Guests:
    sim = simulator(1)
    lab = Guests(sim, session_to(sim))
    for name in ("web", "db", "app"):
        lab.vm(name, "root")
    return lab


def states(lab: Guests) -> set[str]:
    return {str(lab.named(name)["power_state"]) for name in ("web", "db", "app")}


def test_an_appliance_has_its_vms_in_their_order(lab: Guests, converges: Run) -> None:
    done = converges("xen_appliance", **SHOP, description="all of it")
    assert [vm["vm"] for vm in done["appliance"]["vms"]] == ["db", "app", "web"]
    assert done["appliance"]["power_state"] == "halted"
    assert done["operations"][0] == "VM_appliance.create"
    assert (lab.named("web")["order"], lab.named("db")["start_delay"]) == (2, 30)
    fewer = converges("xen_appliance", name="shop", vms=[{"vm": "db"}, {"vm": "web", "order": 5}])
    assert fewer["operations"] == ["VM.set_appliance", "VM.set_order"]
    assert lab.named("app")["appliance"] == NULL
    assert lab.named("db")["start_delay"] == 30  # not named, so left alone


def test_it_starts_and_shuts_down(lab: Guests, converges: Run) -> None:
    done = converges("xen_appliance", **SHOP, power_state="running")
    assert done["operations"][-1] == "VM_appliance.start"
    assert states(lab) == {"Running"}
    assert converges("xen_appliance", name="shop", power_state="halted")["operations"] == ["VM_appliance.clean_shutdown"]
    assert states(lab) == {"Halted"}
    assert converges("xen_appliance", name="shop", power_state="paused")["operations"] == ["VM_appliance.start"]
    assert converges("xen_appliance", name="shop", power_state="running")["operations"] == ["VM.unpause"] * 3


def test_what_is_suspended_is_resumed(lab: Guests, converges: Run, run: Run) -> None:
    run("xen_appliance", **SHOP, power_state="running")
    lab.call("VM.suspend", lab.db.one("VM", name_label="web"))
    lab.call("VM.hard_shutdown", lab.db.one("VM", name_label="app"))
    told = run("xen_appliance_info", name="shop")
    assert "power_state" not in told["appliances"][0]
    assert next(iter(told["facts"].values()))["power_states"] == {"app": "halted", "db": "running", "web": "suspended"}
    assert converges("xen_appliance", name="shop", power_state="running")["operations"] == ["VM.resume", "VM_appliance.start"]


def test_a_vm_without_tools_is_switched_off_only_by_force(lab: Guests, converges: Run, run: Run) -> None:
    lab.vm("mute", "root", agent=False)
    vms = [*SHOP["vms"], {"vm": "mute"}]
    run("xen_appliance", name="shop", vms=vms, power_state="running")
    mark = lab.sim.mark()
    with pytest.raises(InvalidChange, match="cannot be shut down cleanly, since their guest tools do not run: 'mute'"):
        run("xen_appliance", name="shop", power_state="halted")
    assert lab.sim.calls(mark) == []
    converges("xen_appliance", name="shop", power_state="halted", force=True)
    assert states(lab) == {"Halted"}


def test_memory_of_a_suspended_vm_is_not_thrown_away_unasked(lab: Guests, run: Run) -> None:
    run("xen_appliance", **SHOP, power_state="running")
    lab.call("VM.suspend", lab.db.one("VM", name_label="web"))
    with pytest.raises(InvalidChange, match="throw away what VM 'web' had in memory"):
        run("xen_appliance", name="shop", power_state="halted")
    run("xen_appliance", name="shop", power_state="halted", allow_disruption=True)
    assert states(lab) == {"Halted"}


def test_its_vms_stay_when_it_goes(lab: Guests, converges: Run) -> None:
    converges("xen_appliance", **SHOP)
    assert converges("xen_appliance", name="shop", state="absent")["operations"] == [*["VM.set_appliance"] * 3, "VM_appliance.destroy"]
    assert lab.named("web")["appliance"] == NULL


def test_a_vm_is_taken_from_another_appliance_only_if_the_task_says_so(lab: Guests, converges: Run, run: Run) -> None:
    run("xen_appliance", **SHOP)
    with pytest.raises(InvalidChange, match=r"in another appliance already: 'web \(shop\)'"):
        run("xen_appliance", name="other", vms=[{"vm": "web"}])
    converges("xen_appliance", name="other", vms=[{"vm": "web"}], take_over=True)
    assert [vm["vm"] for vm in run("xen_appliance_info", name="shop")["appliances"][0]["vms"]] == ["db", "app"]


@pytest.mark.parametrize(
    ("vms", "told"),
    [
        ([{"vm": "web"}, {"vm": "web", "order": 1}], "'web' is named twice"),
        ([{"vm": "web", "start_delay": -1}], "start_delay of VM 'web' is negative"),
        ([{"vm": "Other install media"}], "No VM is named 'Other install media'"),
    ],
)
def test_bad_members_are_refused(lab: Guests, run: Run, vms: t.Any, told: str) -> None:
    with pytest.raises((InvalidChange, NotFound), match=told):
        run("xen_appliance", name="shop", vms=vms)
    assert not lab.db.all("VM_appliance")


@pytest.mark.parametrize("how", ["cut_before_change", "cut_after_change"])
def test_wherever_a_task_is_cut_off_it_ends_the_same(how: str, simulator: Run, session_to: Run, run: Run) -> None:
    calls = 1 + 3 + 3 + 1
    for number in range(1, calls + 1):
        sim = simulator(1)
        lab = Guests(sim, session_to(sim))
        for name in ("web", "db", "app"):
            lab.vm(name)
        getattr(sim.faults, how)(number)
        with contextlib.suppress(XenError):
            run("xen_appliance", **SHOP, power_state="running")
        sim.faults.clear()
        run("xen_appliance", **SHOP, power_state="running")
        assert run("xen_appliance", **SHOP, power_state="running")["changed"] is False
        assert len(lab.db.all("VM_appliance")) == 1
        assert states(lab) == {"Running"}


@pytest.mark.parametrize("speed", [0, 20])
def test_what_does_not_hear_is_named_or_switched_off(simulator: Run, session_to: Run, run: Run, speed: int) -> None:
    """At once, and when nobody wants to wait any longer."""
    sim = simulator(1, speed=speed)
    lab = Guests(sim, session_to(sim))
    for name in ("web", "deaf"):
        lab.vm(name, "root")
    deaf = lab.db.one("VM", name_label="deaf")
    lab.call("VM.add_to_xenstore_data", deaf, "vm-data/sim-shutdown", "ignore")
    vms = [{"vm": "web", "order": 1}, {"vm": "deaf"}]
    run("xen_appliance", name="shop", vms=vms, power_state="running")
    lab.wait_for_tools("web", "deaf")
    with pytest.raises((ApiError, Timeout), match="Could not shut appliance 'shop' down"):
        run("xen_appliance", name="shop", power_state="halted", shutdown_timeout=1)
    assert lab.record(deaf)["power_state"] == "Running"
    done = run("xen_appliance", name="shop", power_state="halted", shutdown_timeout=1, force=True)
    assert done["appliance"]["power_state"] == "halted"
