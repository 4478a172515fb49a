# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Maintenance, reboot, shutdown and power-on of a host."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.client import Session
from ansible_collections.domzero.xen.plugins.module_utils.errors import InvalidChange, XenError
from ansible_collections.domzero.xen.tests.simulator.database import Database

Run = Start = t.Callable[..., t.Any]
Sim = t.Any
GIB = 1 << 30


def db_of(sim: Sim) -> Database:
    return t.cast("Database", sim.world.pools[0].db)


def machine(sim: Sim, host: int = 1) -> t.Any:
    return list(sim.world.machines.values())[host]


def record(sim: Sim, host: int = 1) -> dict[str, t.Any]:
    return t.cast("dict[str, t.Any]", db_of(sim).get("host", machine(sim, host).host_ref))


@pytest.fixture
def pair(simulator: Start) -> Sim:
    """A pool of two hosts whose members can be switched on from afar."""
    sim = simulator(2)
    for ref in db_of(sim).all("host"):
        db_of(sim).set("host", ref, power_on_mode="wake-on-lan")
    return sim


def guest(sim: Sim, host: int = 1, name: str = "web1") -> str:
    """A VM that runs on a host and can be migrated."""
    db = db_of(sim)
    metrics = db.create("VM_guest_metrics", other={"feature-suspend": "1"}, PV_drivers_detected=True)
    small = dict.fromkeys(("memory_static_max", "memory_dynamic_max", "memory_dynamic_min", "memory_static_min"), GIB)
    state = {"power_state": "Running", "resident_on": machine(sim, host).host_ref, "guest_metrics": metrics, "domid": 7}
    return db.create("VM", name_label=name, VCPUs_max=1, VCPUs_at_startup=1, domain_type="hvm", **small, **state)


def refused(run: Run, sim: Sim, words: str, **params: t.Any) -> InvalidChange:
    """A refusal that is the same in check mode, before any changing call."""
    mark = sim.mark()
    for check in (True, False):
        with pytest.raises(InvalidChange, match=words) as caught:
            run("xen_host", check=check, **{"name": "xcp01", **params})
    assert sim.calls(mark) == []
    return caught.value


# maintenance --------------------------------------------------------------------
def test_a_host_goes_into_maintenance_and_comes_back(pair: Sim, converges: Run) -> None:
    assert converges("xen_host", name="xcp01", enabled=False)["operations"] == ["host.disable"]
    assert converges("xen_host", name="xcp01", enabled=True)["operations"] == ["host.enable"]


def test_maintenance_leaves_vms_where_they_are(pair: Sim, converges: Run) -> None:
    vm = guest(pair)
    converges("xen_host", name="xcp01", enabled=False)
    assert db_of(pair).get("VM", vm)["resident_on"] == machine(pair).host_ref


def test_maintenance_moves_vms_on_demand(pair: Sim, converges: Run) -> None:
    vm = guest(pair)
    assert converges("xen_host", name="xcp01", enabled=False, evacuate=True)["operations"] == ["host.disable", "VM.pool_migrate"]
    assert db_of(pair).get("VM", vm)["resident_on"] == machine(pair, 0).host_ref


def test_vms_are_moved_from_a_host_that_is_in_maintenance_already(pair: Sim, converges: Run) -> None:
    guest(pair)
    converges("xen_host", name="xcp01", enabled=False)
    assert converges("xen_host", name="xcp01", enabled=False, evacuate=True)["operations"] == ["VM.pool_migrate"]


def test_vms_that_cannot_be_moved_are_named_before_anything_is_done(pair: Sim, run: Run) -> None:
    db_of(pair).set("VM", guest(pair), memory_static_max=999 * GIB, memory_dynamic_max=999 * GIB, memory_dynamic_min=999 * GIB)
    error = refused(run, pair, "Host 'xcp01' cannot be emptied: VM web1 on host xcp01 needs 999 GiB", enabled=False, evacuate=True)
    assert error.code == "HOST_NOT_ENOUGH_FREE_MEMORY"


# reboot ---------------------------------------------------------------------------
def test_a_reboot_takes_a_host_through_maintenance_and_waits_for_it(pair: Sim, run: Run) -> None:
    before = float(record(pair)["other_config"]["boot_time"])
    task = {"name": "xcp01", "reboot": "always", "allow_disruption": True}
    predicted = run("xen_host", check=True, **task)
    done = run("xen_host", **task)
    assert done == predicted
    assert done["operations"] == ["host.disable", "host.reboot", "host.enable"]
    assert float(record(pair)["other_config"]["boot_time"]) > before
    assert record(pair)["enabled"]
    pbds = [db_of(pair).get("PBD", pbd) for pbd in record(pair)["PBDs"]]
    assert all(pbd["currently_attached"] for pbd in pbds)


def test_a_host_in_maintenance_is_in_maintenance_after_a_reboot(pair: Sim, run: Run) -> None:
    run("xen_host", name="xcp01", enabled=False)
    done = run("xen_host", name="xcp01", reboot="always", allow_disruption=True)
    assert done["operations"] == ["host.reboot", "host.disable"]
    assert not record(pair)["enabled"]


def test_a_host_can_be_enabled_by_its_reboot(pair: Sim, run: Run) -> None:
    run("xen_host", name="xcp01", enabled=False)
    assert run("xen_host", name="xcp01", enabled=True, reboot="always", allow_disruption=True)["host"]["enabled"] is True


def test_a_reboot_moves_vms_first(pair: Sim, run: Run) -> None:
    guest(pair)
    done = run("xen_host", name="xcp01", reboot="always", evacuate=True, allow_disruption=True)
    assert done["operations"] == ["host.disable", "VM.pool_migrate", "host.reboot", "host.enable"]


def test_a_host_with_vms_is_not_rebooted(pair: Sim, run: Run) -> None:
    guest(pair)
    error = refused(run, pair, "VMs run on host 'xcp01': web1. Set evacuate: true", reboot="always", allow_disruption=True)
    assert error.code == "HOST_IN_USE"


def test_a_reboot_needs_the_word_of_the_task(pair: Sim, run: Run) -> None:
    refused(run, pair, "This would reboot host 'xcp01'", reboot="always")


@pytest.mark.parametrize(
    "asked",
    [
        {"pending_guidances": ["reboot_host"]},
        {"pending_guidances_recommended": ["reboot_host", "restart_toolstack"]},
        {"updates_requiring_reboot": ["OpaqueRef:update"]},
    ],
)
def test_an_update_that_asks_for_a_reboot_gets_it_once(asked: dict[str, t.Any], pair: Sim, converges: Run) -> None:
    db_of(pair).set("host", machine(pair).host_ref, **asked)
    done = converges("xen_host", name="xcp01", enabled=True, reboot="required", allow_disruption=True)
    assert done["operations"] == ["host.disable", "host.reboot", "host.enable"]


def test_packages_that_came_after_the_last_boot_ask_for_a_reboot(pair: Sim, converges: Run) -> None:
    later = float(record(pair)["other_config"]["boot_time"]) + 1
    db_of(pair).add_to_map("host", machine(pair).host_ref, "other_config", "rpm_patch_installation_time", f"{later:.0f}")
    done = converges("xen_host", name="xcp01", reboot="required", allow_disruption=True)
    assert "host.reboot" in done["operations"]


def test_without_need_a_host_is_not_rebooted(pair: Sim, converges: Run) -> None:
    assert converges("xen_host", name="xcp01", reboot="required", allow_disruption=True)["operations"] == []


def test_settings_are_made_before_the_reboot_that_brings_them(pair: Sim, run: Run) -> None:
    done = run("xen_host", name="xcp01", display="disabled", reboot="always", allow_disruption=True)
    assert done["operations"] == ["host.disable", "host.disable_display", "host.reboot", "host.enable"]
    assert done["host"]["display"] == "disabled"


def test_the_coordinator_reboots_and_the_task_finds_it_again(pair: Sim, run: Run) -> None:
    done = run("xen_host", name="xcp00", reboot="always", allow_disruption=True)
    assert done["host"]["enabled"] is True
    assert machine(pair, 0).power == "on"


def test_the_coordinator_is_not_rebooted_in_a_session_that_ends_with_it(pair: Sim, session: Session, run: Run) -> None:
    pins = [host.fingerprint_sha256 for host in pair.hosts]
    handed = {"url": session.endpoint.url, "ref": session.handle, "fingerprint": pins}
    refused(run, pair, "a session that was handed over ends with it", name="xcp00", session=handed, reboot="always", allow_disruption=True)


@pytest.mark.parametrize("cut", ["cut_before", "cut_after"])
@pytest.mark.parametrize("name", ["xcp00", "xcp01"])
def test_a_connection_lost_in_mid_reboot_is_no_harm(cut: str, name: str, pair: Sim, run: Run) -> None:
    getattr(pair.faults, cut)("host.reboot")
    done = run("xen_host", name=name, reboot="always", allow_disruption=True)
    assert done["host"]["enabled"] is True
    assert done["host"]["power_state"] == "running"


def test_a_host_that_does_not_come_back_is_named(pair: Sim, run: Run) -> None:
    pair.faults.keep_down("xcp01")
    with pytest.raises(XenError, match="Waited 1 seconds for host 'xcp01' to come back; last seen: it is not live") as failed:
        run("xen_host", name="xcp01", reboot="always", allow_disruption=True, wait_timeout=1)
    assert failed.value.done == ["host.disable", "host.reboot"]


@pytest.mark.slow(whole=True)
def test_an_sr_that_is_not_attached_again_is_named(pair: Sim, run: Run) -> None:
    sr = db_of(pair).create("SR", name_label="Filer", type="nfs", shared=True)
    db_of(pair).create("PBD", SR=sr, host=machine(pair).host_ref, currently_attached=True, device_config={"server": "192.0.2.1"})
    with pytest.raises(XenError, match="last seen: not attached: SR Filer"):
        run("xen_host", name="xcp01", reboot="always", allow_disruption=True, wait_timeout=2)


# off and on ------------------------------------------------------------------------
def test_a_member_is_switched_off_and_on(pair: Sim, converges: Run) -> None:
    off = converges("xen_host", name="xcp01", power_state="halted", allow_disruption=True)
    assert off["operations"] == ["host.disable", "host.shutdown"]
    assert (off["host"]["power_state"], off["host"]["enabled"]) == ("halted", False)
    assert machine(pair).power == "off"
    on = converges("xen_host", name="xcp01", power_state="running")
    assert on["operations"] == ["host.power_on", "host.enable"]
    assert (on["host"]["power_state"], on["host"]["enabled"]) == ("running", True)


def test_a_host_is_switched_on_into_maintenance(pair: Sim, converges: Run) -> None:
    converges("xen_host", name="xcp01", power_state="halted", allow_disruption=True)
    done = converges("xen_host", name="xcp01", power_state="running", enabled=False)
    assert done["operations"] == ["host.power_on", "host.disable"]


def test_a_host_is_switched_on_before_its_settings_are_made(pair: Sim, converges: Run) -> None:
    converges("xen_host", name="xcp01", power_state="halted", allow_disruption=True)
    done = converges("xen_host", name="xcp01", power_state="running", multipathing=True)
    assert done["operations"] == ["host.power_on", "host.set_multipathing", "host.enable"]


def test_switching_off_moves_vms_first(pair: Sim, converges: Run) -> None:
    guest(pair)
    done = converges("xen_host", name="xcp01", power_state="halted", evacuate=True, allow_disruption=True)
    assert done["operations"] == ["host.disable", "VM.pool_migrate", "host.shutdown"]


def test_a_host_with_vms_is_not_switched_off(pair: Sim, run: Run) -> None:
    guest(pair)
    assert refused(run, pair, "VMs run on host 'xcp01': web1", power_state="halted", allow_disruption=True).code == "HOST_IN_USE"


def test_switching_off_needs_the_word_of_the_task(pair: Sim, run: Run) -> None:
    refused(run, pair, "This would shut down host 'xcp01'", power_state="halted")


def test_the_loss_of_the_coordinator_is_told(pair: Sim, run: Run) -> None:
    refused(run, pair, "shut down host 'xcp00', the coordinator of xcp01", name="xcp00", power_state="halted")


@pytest.mark.slow(whole=True)
@pytest.mark.parametrize("cut", ["", "cut_after"])
def test_the_coordinator_is_switched_off_last(cut: str, pair: Sim, run: Run) -> None:
    run("xen_host", name="xcp01", power_state="halted", allow_disruption=True)
    if cut == "cut_after":
        pair.faults.cut_after("host.shutdown")
    task = {"name": "xcp00", "power_state": "halted", "allow_disruption": True}
    predicted = run("xen_host", check=True, **task)
    done = run("xen_host", **task)
    assert done == predicted
    assert done["host"]["power_state"] == "halted"
    assert machine(pair, 0).power == "off"


def test_a_host_without_a_mode_cannot_be_switched_on(pair: Sim, run: Run) -> None:
    db_of(pair).set("host", machine(pair).host_ref, power_on_mode="")
    run("xen_host", name="xcp01", power_state="halted", allow_disruption=True)
    error = refused(run, pair, "it has no power_on_mode", power_state="running")
    assert error.code == "HOST_POWER_ON_MODE_DISABLED"


@pytest.mark.parametrize(
    ("task", "words"),
    [
        ({"power_state": "halted", "enabled": True}, "cannot be enabled while it is halted"),
        ({"power_state": "halted", "reboot": "always"}, "cannot be halted and rebooted"),
    ],
)
def test_contradictions_are_refused(task: dict[str, t.Any], words: str, pair: Sim, run: Run) -> None:
    refused(run, pair, words, allow_disruption=True, **task)


@pytest.mark.parametrize("cut", ["cut_before", "cut_after"])
@pytest.mark.parametrize("method", ["host.disable", "host.power_on", "host.shutdown", "host.enable"])
def test_a_connection_lost_while_a_host_goes_and_comes_is_no_harm(method: str, cut: str, pair: Sim, run: Run) -> None:
    getattr(pair.faults, cut)(method)
    assert run("xen_host", name="xcp01", power_state="halted", allow_disruption=True)["host"]["power_state"] == "halted"
    assert run("xen_host", name="xcp01", power_state="running")["host"]["enabled"] is True
