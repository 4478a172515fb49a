# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Running guests move inside a pool."""

from __future__ import annotations

import pytest

from ansible_collections.domzero.xen.tests.simulator.modeltypes import NULL

from .hosting import GIB, Hosting, hosting


@pytest.fixture
def pool() -> Hosting:
    return hosting(2)


@pytest.fixture
def member(pool: Hosting) -> str:
    return next(host for host in pool.db.all("host") if host != pool.host)


def _here(pool: Hosting, **options: bool) -> str:
    """A guest on the coordinator."""
    vm = pool.vm(**options)
    pool("VM.start_on", vm, pool.host, False, False)
    return vm


def test_a_guest_goes_on_on_the_other_host(pool: Hosting, member: str) -> None:
    vm = pool.vm()
    pool.vif(vm)
    pool("VM.start_on", vm, pool.host, False, False)
    pool.db.set("VM", vm, pending_guidances=["restart_device_model", "restart_vm"])
    console = pool.record("VM", vm)["consoles"][0]
    free = pool("host.compute_free_memory", member)
    pool("VM.pool_migrate", vm, member, {"live": "true"})
    record = pool.record("VM", vm)
    assert (record["power_state"], record["resident_on"], record["scheduled_to_be_resident_on"]) == ("Running", member, NULL)
    assert record["pending_guidances"] == ["restart_vm"]
    assert pool.record("VIF", record["VIFs"][0])["currently_attached"]
    assert pool.record("PIF", pool.pif("eth1", member))["currently_attached"]  # its network came up there
    assert not pool.db.exists("console", console)
    assert pool.record("host", member)["address"] in pool.record("console", record["consoles"][0])["location"]
    assert pool("host.compute_free_memory", member) < free
    assert pool.record("host", member)["current_operations"] == {}
    assert pool.told(vm)[-1] == "VM_MIGRATED"
    assert not pool.machine.world.breaches


def test_a_guest_may_go_to_its_own_host(pool: Hosting) -> None:
    vm = _here(pool)
    pool("VM.pool_migrate", vm, pool.host, {})
    assert pool.record("VM", vm)["resident_on"] == pool.host


def test_what_keeps_a_guest_is_said(pool: Hosting, member: str) -> None:
    silent, stored, big = _here(pool, agent=False), _here(pool, disk=True), pool.vm("big")
    assert pool.refused("VM.pool_migrate", silent, member, {}) == ["VM_LACKS_FEATURE", silent]
    assert pool.refused("VM.pool_migrate", stored, member, {}) == ["VM_REQUIRES_SR", stored, pool.sr]
    assert pool.refused("VM.pool_migrate", big, member, {}) == ["VM_BAD_POWER_STATE", big, "running", "halted"]
    pool("VM.set_memory", big, 40 * GIB)
    pool("VM.start_on", big, pool.host, False, False)
    other = pool.vm("other")
    pool("VM.set_memory", other, 40 * GIB)
    pool("VM.start_on", other, member, False, False)
    assert pool.refused("VM.pool_migrate", big, member, {})[0] == "HOST_NOT_ENOUGH_FREE_MEMORY"
    assert pool.refused("VM.pool_migrate", big, "OpaqueRef:x", {}) == ["HANDLE_INVALID", "host", "OpaqueRef:x"]


def test_force_does_without_the_guests_agreement_and_the_processors(pool: Hosting, member: str) -> None:
    vm = _here(pool, agent=False)
    pool.db.set("VM", vm, last_boot_CPU_flags={"vendor": "x", "features": "ffffffff-ffffffff"})
    pool("VM.pool_migrate", vm, member, {"force": "true"})
    assert pool.record("VM", vm)["resident_on"] == member


def test_other_processors_and_disabled_hosts_are_no_place(pool: Hosting, member: str) -> None:
    vm = _here(pool)
    pool("host.disable", member)
    assert pool.refused("VM.pool_migrate", vm, member, {}) == ["HOST_DISABLED", member]
    pool("host.enable", member)
    pool.db.set("VM", vm, last_boot_CPU_flags={"vendor": "x", "features": "ffffffff-ffffffff"})
    assert pool.refused("VM.pool_migrate", vm, member, {})[:3] == ["VM_INCOMPATIBLE_WITH_THIS_HOST", vm, member]


def test_during_an_upgrade_guests_go_upwards_only(pool: Hosting, member: str) -> None:
    vm = _here(pool)
    pool.db.add_to_map("host", member, "software_version", "xen", "4.0.0")
    pool.db.add_to_map("pool", pool.machine.pool.pool_ref, "other_config", "rolling_upgrade_in_progress", "true")
    assert pool.refused("VM.pool_migrate", vm, member, {}) == ["NOT_SUPPORTED_DURING_UPGRADE"]
    assert pool.refused("VM.start_on", pool.vm("late"), member, False, False) == ["NOT_SUPPORTED_DURING_UPGRADE"]


def test_the_network_of_a_migration_must_carry_it(pool: Hosting, member: str) -> None:
    vm, lonely = _here(pool), pool.network()
    eth1, management = pool.pif("eth1", member), pool.pif("eth0", member)
    network = pool.record("PIF", eth1)["network"]
    assert pool.refused("VM.pool_migrate", vm, member, {"network": lonely}) == ["PIF_NOT_PRESENT", member, lonely]
    pool("PIF.unplug", eth1)
    assert pool.refused("VM.pool_migrate", vm, member, {"network": network}) == ["REQUIRED_PIF_IS_UNPLUGGED", eth1]
    pool("PIF.plug", eth1)
    assert pool.refused("VM.pool_migrate", vm, member, {"network": network}) == ["INTERFACE_HAS_NO_IP", eth1]
    assert pool.refused("VM.pool_migrate", vm, member, {"network": "nope"}) == ["INVALID_VALUE", "network", "nope"]
    uuid = pool.record("network", pool.record("PIF", management)["network"])["uuid"]
    pool("VM.pool_migrate", vm, member, {"network": uuid})


def test_a_host_is_emptied_and_can_be_shut_down(pool: Hosting, member: str) -> None:
    guests = [pool.vm(f"guest{n}") for n in range(3)]
    for vm in guests:
        pool("VM.start_on", vm, member, False, False)
    pool("host.disable", member)
    assert pool.refused("host.reboot", member)[:3] == ["HOST_IN_USE", member, "vm"]
    pool("host.evacuate", member)
    assert {pool.record("VM", vm)["resident_on"] for vm in guests} == {pool.host}
    assert all(pool.state(vm) == "Running" for vm in guests)
    pool("host.reboot", member)


def test_a_guest_that_can_not_move_keeps_its_host_from_being_emptied(pool: Hosting, member: str) -> None:
    vm = pool.vm(agent=False)
    pool("VM.start_on", vm, member, False, False)
    pool("host.disable", member)
    assert pool("host.get_vms_which_prevent_evacuation", member) == {vm: ["VM_LACKS_FEATURE", vm]}
    assert pool.refused("host.evacuate", member) == ["VM_LACKS_FEATURE", vm]
    assert pool.record("VM", vm)["resident_on"] == member
