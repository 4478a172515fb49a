# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts are disabled, rebooted, shut down, powered on, removed."""

from __future__ import annotations

import socket

import pytest

from ansible_collections.domzero.xen.tests.simulator.running import InProcess
from ansible_collections.domzero.xen.tests.simulator.world import World

from .conversation import Asked, build, settle, until

ENABLED = {"vm_migrate", "provision", "vm_resume", "enable", "evacuate", "vm_start"}


@pytest.fixture
def world() -> World:
    return build(2, joined=True, xcp01={"power_on": "wake-on-lan"})


@pytest.fixture
def pool(world: World) -> Asked:
    return Asked(world.machines["xcp00"])


@pytest.fixture
def member(world: World) -> str:
    return world.machines["xcp01"].host_ref


def _allowed(asked: Asked, host: str) -> set[str]:
    return set(asked.record("host", host)["allowed_operations"])


# enabled and disabled ------------------------------------------------------------------------------------------------
def test_a_disabled_host_allows_what_an_enabled_one_does_not(pool: Asked, member: str) -> None:
    assert _allowed(pool, member) == ENABLED
    pool("host.disable", member)
    assert _allowed(pool, member) == ENABLED | {"apply_updates", "reboot", "shutdown"}
    pool("host.enable", member)
    assert _allowed(pool, member) == ENABLED


@pytest.mark.parametrize("method", ["host.reboot", "host.shutdown"])
def test_an_enabled_host_stays(pool: Asked, member: str, method: str) -> None:
    assert pool.refused(method, member) == ["HOST_NOT_DISABLED"]


def test_a_host_with_pending_guidance_is_not_enabled(pool: Asked, member: str) -> None:
    pool.db.set("host", member, enabled=False, pending_guidances=["reboot_host"])
    assert pool.refused("host.enable", member) == ["HOST_PENDING_MANDATORY_GUIDANCE_NOT_EMPTY", member]


def test_a_host_on_its_way_down_is_not_enabled() -> None:
    world = build(2, joined=True, speed=1)
    pool, member = Asked(world.machines["xcp00"]), world.machines["xcp01"].host_ref
    pool("host.disable", member)
    pool("host.shutdown", member)
    assert pool.refused("host.enable", member) == ["HOST_DISABLED_UNTIL_REBOOT", member]
    world.stop()


# what keeps it from going --------------------------------------------------------------------------------------------
@pytest.mark.parametrize("method", ["host.reboot", "host.shutdown"])
def test_a_host_with_running_guests_stays(pool: Asked, member: str, method: str) -> None:
    vm = pool.db.create("VM", power_state="Running", resident_on=member)
    pool("host.disable", member)
    assert pool.refused(method, member) == ["HOST_IN_USE", member, "vm", vm]


def test_paused_guests_do_not_count_and_are_lost(pool: Asked, member: str, world: World) -> None:
    vm = pool.db.create("VM", power_state="Paused", resident_on=member)
    vif = pool.db.create("VIF", VM=vm, network=pool.network(), currently_attached=True)
    pool("host.disable", member)
    pool("host.reboot", member)
    settle(world)
    assert (pool.record("VM", vm)["power_state"], pool.record("VIF", vif)["currently_attached"]) == ("Halted", False)


def test_a_disk_of_the_control_domain_keeps_the_host(pool: Asked, member: str) -> None:
    domain = pool.record("host", member)["control_domain"]
    vbd = pool.db.create("VBD", VM=domain, currently_attached=True)
    pool("host.disable", member)
    assert pool.refused("host.reboot", member) == ["HOST_IN_USE", member, "vbd", vbd]


@pytest.mark.parametrize(
    ("running", "asked"), [("evacuate", "provision"), ("vm_migrate", "evacuate"), ("apply_updates", "reboot"), ("provision", "provision")]
)
def test_operations_that_exclude_each_other(pool: Asked, member: str, running: str, asked: str) -> None:
    pool.db.set("host", member, enabled=False, current_operations={"OpaqueRef:t": running})
    pool("host.disable", member)
    assert asked not in _allowed(pool, member)


def test_a_busy_host_is_named_with_its_task(pool: Asked, member: str) -> None:
    pool("host.disable", member)
    pool.db.set("host", member, current_operations={"OpaqueRef:t": "vm_migrate"})
    assert pool.refused("host.reboot", member) == ["OTHER_OPERATION_IN_PROGRESS", "host", member, "vm_migrate", "OpaqueRef:t"]


# reboot --------------------------------------------------------------------------------------------------------------
def test_a_reboot_takes_the_host_away_for_two_minutes() -> None:
    world = build(2, joined=True, speed=600)
    pool, machine = Asked(world.machines["xcp00"]), world.machines["xcp01"]
    pool("host.disable", machine.host_ref)
    start = world.clock.now()
    pool("host.reboot", machine.host_ref)
    until(world, lambda: machine.power == "booting")
    metrics = pool.record("host", machine.host_ref)["metrics"]
    assert not pool.record("host_metrics", metrics)["live"]
    assert pool.refused("host.disable", machine.host_ref) == ["HOST_OFFLINE", machine.host_ref]
    until(world, lambda: machine.power == "on")
    assert world.clock.now() - start >= 120
    until(world, lambda: machine.host_record()["enabled"])
    assert pool.record("host_metrics", metrics)["live"]


def test_after_a_reboot_storage_is_attached_and_cards_are_up(pool: Asked, member: str, world: World) -> None:
    vlan = pool("VLAN.create", pool.pif("eth1", member), 7, pool.network())
    before = float(pool.record("host", member)["other_config"]["boot_time"])
    pool("host.disable_display", member)
    pool("host.disable", member)
    pool("host.reboot", member)
    settle(world)
    assert all(pool.record("PBD", pbd)["currently_attached"] for pbd in pool.record("host", member)["PBDs"])
    assert all(pool.record("PIF", pool.pif(f"eth{n}", member))["currently_attached"] for n in range(4))
    assert not pool.record("PIF", pool.record("VLAN", vlan)["untagged_PIF"])["currently_attached"]
    assert float(pool.record("host", member)["other_config"]["boot_time"]) > before
    assert pool.record("host", member)["display"] == "disabled"


def test_a_host_disabled_for_good_stays_so_after_a_reboot(pool: Asked, member: str, world: World) -> None:
    pool("host.disable", member, False)
    pool("host.reboot", member)
    settle(world)
    assert not pool.record("host", member)["enabled"]
    pool("host.enable", member)
    pool("host.restart_agent", member)
    settle(world)
    assert pool.record("host", member)["enabled"]


def test_a_restarted_toolstack_leaves_the_hosts_interfaces_alone(pool: Asked, member: str, world: World) -> None:
    vlan = pool("VLAN.create", pool.pif("eth1", member), 7, pool.network())
    pool("host.restart_agent", member)
    settle(world)
    assert pool.record("PIF", pool.record("VLAN", vlan)["untagged_PIF"])["currently_attached"]


def test_a_coordinator_takes_the_pool_away_while_it_reboots(pool: Asked, world: World) -> None:
    pool("host.disable", pool.host)
    pool("host.reboot", pool.host)
    with world.lock:
        until(world, lambda: True)
    until(world, lambda: pool.machine.power != "on" or not world.agenda)
    settle(world)
    assert pool.refused("pool.get_all") == ["SESSION_INVALID", pool.session]
    again = Asked(pool.machine)
    assert all(host["enabled"] for host in again.db.all("host").values())


def test_a_host_that_does_not_come_back_stays_dead(pool: Asked, member: str, world: World) -> None:
    world.faults.keep_down("xcp01")
    pool("host.disable", member)
    pool("host.reboot", member)
    settle(world)
    assert world.machines["xcp01"].power == "off"
    assert not pool.record("host_metrics", pool.record("host", member)["metrics"])["live"]


# off and on ----------------------------------------------------------------------------------------------------------
def _switch_off(pool: Asked, member: str) -> None:
    pool("host.disable", member)
    pool("host.shutdown", member)
    settle(pool.machine.world)


def test_a_host_is_powered_on_as_its_mode_says(pool: Asked, member: str, world: World) -> None:
    _switch_off(pool, member)
    assert world.machines["xcp01"].power == "off"
    assert "power_on" in _allowed(pool, member)
    pool("host.power_on", member)
    assert world.machines["xcp01"].power == "on"
    settle(world)
    assert pool.record("host", member)["enabled"]


def test_power_on_says_why_not(pool: Asked, member: str) -> None:
    assert pool.refused("host.power_on", member) == ["HOST_IS_LIVE", member]
    _switch_off(pool, member)
    pool("host.set_power_on_mode", member, "", {})
    assert pool.refused("host.power_on", member) == ["HOST_POWER_ON_MODE_DISABLED"]
    pool("host.set_power_on_mode", member, "own-script", {})
    assert pool.refused("host.power_on", member) == ["XENAPI_MISSING_PLUGIN", "own-script"]


def test_a_host_that_does_not_come_up_is_given_up(pool: Asked, member: str, world: World) -> None:
    _switch_off(pool, member)
    world.faults.keep_down("xcp01")
    assert pool.refused("host.power_on", member)[0] == "XENAPI_PLUGIN_FAILURE"


def test_a_toolstack_can_end_for_good(pool: Asked, world: World) -> None:
    pool("host.shutdown_agent")
    settle(world)
    assert pool.machine.power == "off"


# removal -------------------------------------------------------------------------------------------------------------
def test_a_host_that_answers_is_not_removed(pool: Asked, member: str) -> None:
    for method in ("host.destroy", "host.declare_dead"):
        assert pool.refused(method, member) == ["HOST_IS_LIVE", member]
        assert pool.refused(method, pool.host) == ["HOST_IS_LIVE", pool.host]


def test_a_dead_host_is_removed_with_all_it_had(pool: Asked, member: str, world: World) -> None:
    _switch_off(pool, member)
    vm = pool.db.create("VM", power_state="Suspended", resident_on=member)
    assert pool.refused("host.destroy", member) == ["HOST_HAS_RESIDENT_VMS", member]
    pool.db.destroy("VM", vm)
    pool("host.destroy", member)
    assert list(pool.db.all("host")) == [pool.host]
    assert {pif["host"] for pif in pool.db.all("PIF").values()} == {pool.host}
    assert pool.pool["cpu_info"]["cpu_count"] == "8"
    with world.lock:
        world.after(0, "agent starts", machine="xcp01", rebooted=True)
    settle(world)
    assert world.machines["xcp01"].power == "off"


def test_guests_of_a_host_declared_dead_are_halted(pool: Asked, member: str) -> None:
    _switch_off(pool, member)
    vm = pool.db.create("VM", power_state="Running", resident_on=member)
    pool("host.declare_dead", member)
    assert pool.record("VM", vm)["power_state"] == "Halted"


# on the wire ---------------------------------------------------------------------------------------------------------
def test_a_rebooting_host_does_not_listen_and_then_does() -> None:
    world = build(2, joined=True, speed=300)
    with InProcess(world) as simulator:
        pool, machine = Asked(world.machines["xcp00"]), world.machines["xcp01"]

        def answers() -> bool:
            with socket.socket() as probe:
                probe.settimeout(1)
                return probe.connect_ex((machine.address, simulator.hosts[1].port)) == 0

        pool("host.disable", machine.host_ref)
        assert answers()
        pool("host.reboot", machine.host_ref)
        until(world, lambda: not answers())
        until(world, answers)
        assert not pool.record("host", machine.host_ref)["enabled"]
        until(world, lambda: pool.record("host", machine.host_ref)["enabled"])
