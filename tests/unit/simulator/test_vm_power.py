# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VMs are started, stopped, paused, suspended."""

from __future__ import annotations

import threading

import pytest

from ansible_collections.domzero.xen.tests.simulator.modeltypes import NULL

from .conversation import settle, until
from .hosting import GIB, Hosting, hosting


@pytest.fixture
def pool() -> Hosting:
    return hosting()


def test_a_started_vm_is_on_a_host_with_its_devices_metrics_and_screen(pool: Hosting) -> None:
    vm = pool.vm(disk=True)
    drive, card = pool.drive(vm), pool.vif(vm)
    free = pool("host.compute_free_memory", pool.host)
    pool("VM.start", vm, False, False)
    record = pool.record("VM", vm)
    assert (record["power_state"], record["resident_on"], record["domid"]) == ("Running", pool.host, 1)
    assert record["scheduled_to_be_resident_on"] == NULL
    assert record["memory_target"] == record["memory_dynamic_max"]
    assert record["last_boot_CPU_flags"]["features"] == pool.record("host", pool.host)["cpu_info"]["features_hvm"]
    assert [pool.record("VBD", vbd)["device"] for vbd in record["VBDs"]] == ["xvda", "xvdd"]
    assert pool.record("VBD", drive)["currently_attached"]
    assert pool.record("VIF", card)["currently_attached"]
    assert pool.record("PIF", pool.pif("eth1"))["currently_attached"]  # the guest's network came up
    assert pool.record("VM_metrics", record["metrics"])["current_domain_type"] == "hvm"
    assert pool.record("VM_metrics", record["metrics"])["VCPUs_number"] == 1
    assert [pool.record("console", c)["protocol"] for c in record["consoles"]] == ["rfb"]
    assert free - pool("host.compute_free_memory", pool.host) == record["memory_dynamic_min"] + record["memory_overhead"]
    metrics = pool.record("host_metrics", pool.record("host", pool.host)["metrics"])
    assert metrics["memory_free"] == pool("host.compute_free_memory", pool.host)
    assert pool.told(vm) == ["VM_STARTED"]


def test_only_a_vm_that_was_given_an_agent_reports_one(pool: Hosting) -> None:
    silent, talking = pool.running("silent", agent=False), pool.running("talking")
    nothing, said = (pool.record("VM_guest_metrics", pool.record("VM", vm)["guest_metrics"]) for vm in (silent, talking))
    assert (nothing["PV_drivers_detected"], nothing["networks"]) == (False, {})
    assert said["networks"] == {"0/ip": "10.0.0.60", "0/ipv4/0": "10.0.0.60"}
    assert said["PV_drivers_detected"]
    pool("VM.set_xenstore_data", silent, {"vm-data/sim-agent": "10.0.0.61"})
    assert "clean_shutdown" not in pool.allowed(silent)  # it had to be there before the start
    pool("VM.hard_reboot", silent)
    assert "clean_shutdown" in pool.allowed(silent)


def test_a_vm_started_paused_reports_once_it_runs(pool: Hosting) -> None:
    vm = pool.vm()
    pool("VM.start", vm, True, False)
    assert pool.state(vm) == "Paused"
    assert pool.allowed(vm) == {"metadata_export", "hard_reboot", "hard_shutdown", "unpause", "snapshot"}
    pool("VM.unpause", vm)
    assert "clean_shutdown" in pool.allowed(vm)
    pool("VM.pause", vm)
    assert pool.state(vm) == "Paused"
    assert pool.told(vm) == ["VM_STARTED", "VM_UNPAUSED", "VM_PAUSED"]


@pytest.mark.parametrize(
    ("method", "message"), [("VM.clean_shutdown", "VM_SHUTDOWN"), ("VM.hard_shutdown", "VM_SHUTDOWN"), ("VM.shutdown", "VM_SHUTDOWN")]
)
def test_a_vm_that_was_shut_down_leaves_nothing_behind(pool: Hosting, method: str, message: str) -> None:
    vm = pool.running(disk=True)
    pool.db.set("VM", vm, pending_guidances=["restart_device_model", "reboot_host"], requires_reboot=True)
    free = pool("host.compute_free_memory", pool.host)
    pool(method, vm)
    record = pool.record("VM", vm)
    assert (record["power_state"], record["resident_on"], record["domid"], record["consoles"]) == ("Halted", NULL, -1, [])
    assert (record["pending_guidances"], record["requires_reboot"]) == (["reboot_host"], False)
    assert not pool.record("VBD", record["VBDs"][0])["currently_attached"]
    assert pool("host.compute_free_memory", pool.host) > free
    assert pool.told(vm)[-1] == message


def test_a_guest_without_agent_is_shut_down_by_force_only(pool: Hosting) -> None:
    vm = pool.running(agent=False)
    assert pool.refused("VM.clean_shutdown", vm) == ["VM_LACKS_FEATURE", vm]
    pool("VM.shutdown", vm)
    assert pool.state(vm) == "Halted"


def test_a_clean_shutdown_takes_the_guest_some_time(pool: Hosting) -> None:
    vm = pool.running()
    before = pool.machine.world.clock.now()
    pool("VM.clean_shutdown", vm)
    assert pool.machine.world.clock.now() - before >= 5


def test_force_ends_a_clean_shutdown_that_takes_too_long() -> None:
    pool = hosting(speed=0)
    vm = pool.running()
    pool.machine.world.set_speed(0.5)  # ten real seconds
    task = pool("Async.VM.clean_shutdown", vm)
    until(pool.machine.world, lambda: pool.db.get("VM", vm)["current_operations"] == {task: "clean_shutdown"})
    assert pool.allowed(vm) == {"hard_shutdown", "hard_reboot"}
    pool("VM.hard_shutdown", vm)
    assert pool.state(vm) == "Halted"
    pool.machine.world.set_speed(0)
    until(pool.machine.world, lambda: pool.record("task", task)["status"] == "cancelled")
    assert pool.record("task", task)["error_info"] == ["TASK_CANCELLED", task]
    assert pool.db.get("VM", vm)["current_operations"] == {}


def test_an_operation_waits_for_the_one_before() -> None:
    pool = hosting(speed=0)
    vm = pool.running()
    pool.machine.world.set_speed(20)
    shutting = threading.Thread(target=lambda: pool("VM.clean_shutdown", vm))
    shutting.start()
    until(pool.machine.world, lambda: "clean_shutdown" in pool.db.get("VM", vm)["current_operations"].values())
    assert pool.refused("VM.pause", vm) == ["VM_BAD_POWER_STATE", vm, "running", "halted"]
    shutting.join()


@pytest.mark.parametrize(("method", "how"), [("VM.clean_reboot", "rebooted cleanly"), ("VM.hard_reboot", "rebooted forcibly")])
def test_a_reboot_gives_the_vm_a_new_domain(pool: Hosting, method: str, how: str) -> None:
    vm = pool.running()
    pool(method, vm)
    assert (pool.state(vm), pool.record("VM", vm)["domid"]) == ("Running", 2)
    assert how in list(pool.db.all("message").values())[-1]["body"]


def test_a_suspended_guest_keeps_its_devices_and_has_an_image(pool: Hosting) -> None:
    vm = pool.running(disk=True)
    pool("VM.suspend", vm)
    record = pool.record("VM", vm)
    image = pool.record("VDI", record["suspend_VDI"])
    assert (record["power_state"], record["resident_on"], record["domid"]) == ("Suspended", NULL, -1)
    assert (image["type"], image["SR"]) == ("suspend", pool.sr)
    assert image["virtual_size"] > record["memory_static_max"]
    assert pool.record("VBD", record["VBDs"][0])["currently_attached"]
    pool("VM.resume", vm, False, False)
    assert pool.state(vm) == "Running"
    assert not pool.db.exists("VDI", record["suspend_VDI"])
    assert pool.told(vm) == ["VM_STARTED", "VM_SUSPENDED", "VM_RESUMED"]


def test_the_image_goes_to_the_vms_own_sr_first(pool: Hosting) -> None:
    vm = pool.running()
    pool.db.set("pool", pool.machine.pool.pool_ref, suspend_image_SR=NULL)
    pool.db.set("host", pool.host, suspend_image_sr=NULL)
    assert pool.refused("VM.suspend", vm) == ["VM_NO_SUSPEND_SR", vm]
    assert pool.state(vm) == "Running"
    pool("VM.set_suspend_SR", vm, pool.sr)
    pool("VM.suspend", vm)
    assert pool.record("VDI", pool.record("VM", vm)["suspend_VDI"])["SR"] == pool.sr


def test_forcing_a_suspended_guest_down_drops_its_image(pool: Hosting) -> None:
    vm = pool.running()
    pool("VM.suspend", vm)
    image = pool.record("VM", vm)["suspend_VDI"]
    pool("VM.hard_shutdown", vm)
    assert (pool.state(vm), pool.record("VM", vm)["suspend_VDI"]) == ("Halted", NULL)
    assert not pool.db.exists("VDI", image)


# where ---------------------------------------------------------------------------------------------------------------
def test_a_vm_that_is_too_big_says_by_how_much(pool: Hosting) -> None:
    vm = pool.vm()
    pool("VM.set_memory", vm, 500 * GIB)
    error = pool.refused("VM.start", vm, False, False)
    record = pool.record("VM", vm)
    assert error[:2] == ["HOST_NOT_ENOUGH_FREE_MEMORY", str(500 * GIB + record["memory_overhead"])]
    assert int(error[2]) == pool("host.compute_free_memory", pool.host)
    assert pool("VM.get_possible_hosts", vm) == [pool.host]
    assert pool.refused("VM.assert_can_boot_here", vm, pool.host) == error


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"VCPUs_max": 0}, ["INVALID_VALUE", "VCPUs_max", "0"]),
        ({"VCPUs_at_startup": 0}, ["INVALID_VALUE", "VCPUs-at-startup", "0"]),
        ({"VCPUs_at_startup": 2}, ["VALUE_NOT_SUPPORTED", "VCPUs-at-startup", "2", "value greater than VCPUs-max"]),
        ({"memory_dynamic_min": 1 << 40}, ["MEMORY_CONSTRAINT_VIOLATION"]),
        ({"VCPUs_max": 99, "VCPUs_at_startup": 99}, ["HOST_NOT_ENOUGH_PCPUS", "99", "8"]),
    ],
)
def test_what_no_host_would_start_is_refused(pool: Hosting, fields: dict[str, int], error: list[str]) -> None:
    assert pool.refused("VM.start", pool.vm(**fields), False, False) == error


def test_many_processors_are_fine_where_that_is_asked_for(pool: Hosting) -> None:
    vm = pool.vm(VCPUs_max=99, VCPUs_at_startup=99)
    pool("VM.add_to_platform", vm, "vcpu-unrestricted", "true")
    pool("VM.start", vm, False, False)


def test_with_several_hosts_none_suits_is_all_that_is_said() -> None:
    pool = hosting(2)
    vm = pool.vm()
    pool("VM.set_memory", vm, 500 * GIB)
    assert pool.refused("VM.start", vm, False, False) == ["NO_HOSTS_AVAILABLE"]


def test_a_vm_starts_where_it_belongs_or_where_it_is_told() -> None:
    pool = hosting(2)
    member = next(host for host in pool.db.all("host") if host != pool.host)
    near = pool.vm("near", affinity=pool.host)
    pool("VM.start", near, False, False)
    assert pool.record("VM", near)["resident_on"] == pool.host
    anywhere = pool.running("anywhere")
    assert pool.record("VM", anywhere)["resident_on"] == member  # a host that is not the coordinator is preferred
    told = pool.vm("told")
    pool("VM.start_on", told, pool.host, False, False)
    assert pool.record("VM", told)["resident_on"] == pool.host
    pool("host.disable", member)
    assert pool.refused("VM.start_on", pool.vm(), member, False, False) == ["HOST_DISABLED", member]
    assert set(pool("VM.get_possible_hosts", anywhere)) == {pool.host, member}  # it runs there already


def test_nothing_starts_on_a_host_that_is_being_emptied() -> None:
    pool = hosting(2)
    pool.db.set("host", pool.host, current_operations={"OpaqueRef:t": "evacuate"})
    assert pool.refused("VM.start_on", pool.vm(), pool.host, False, False) == ["HOST_EVACUATE_IN_PROGRESS", pool.host]


def test_a_vm_needs_its_storage_and_networks_on_the_host() -> None:
    pool = hosting(2)
    member = next(host for host in pool.db.all("host") if host != pool.host)
    stored = pool.vm("stored", disk=True)
    assert pool.refused("VM.start_on", stored, member, False, False) == ["VM_REQUIRES_SR", stored, pool.sr]
    network = pool.network()
    pool("VLAN.create", pool.pif("eth1"), 7, network)
    wired = pool.vm("wired")
    pool.vif(wired, network=network)
    assert pool.refused("VM.start_on", wired, member, False, False) == ["VM_REQUIRES_NETWORK", wired, network]
    assert pool("VM.get_possible_hosts", wired) == [pool.host]


def test_one_disk_is_not_written_by_two_guests(pool: Hosting) -> None:
    vdi = pool.vdi()
    first, second = pool.vm("first"), pool.vm("second")
    for vm in (first, second):
        pool.vbd(vm, vdi)
    pool("VM.start", first, False, False)
    assert pool.refused("VM.start", second, False, False) == ["VDI_IN_USE", vdi]
    assert pool.record("VM", second)["scheduled_to_be_resident_on"] == NULL


# hosts that go ---------------------------------------------------------------------------------------------------------
def test_a_guest_of_a_host_that_lost_power_is_halted() -> None:
    pool = hosting(2)
    member = next(m for m in pool.machine.world.machines.values() if m is not pool.machine)
    vm = pool.vm(affinity=member.host_ref)
    pool.vif(vm)
    pool("VM.start", vm, False, False)
    with pool.machine.world.lock:
        pool.machine.world.after(0, "agent leaves", machine=member.name, back=None, rebooted=True)
    settle(pool.machine.world)
    record = pool.record("VM", vm)
    assert (record["power_state"], record["resident_on"], record["domid"]) == ("Halted", NULL, -1)
    assert not pool.record("VIF", record["VIFs"][0])["currently_attached"]
    assert "start" in pool.allowed(vm)


def test_only_a_domain_that_is_lost_can_be_reset() -> None:
    pool = hosting(2)
    vm = pool.running()
    host = pool.record("VM", vm)["resident_on"]
    dom0 = pool.record("host", pool.host)["control_domain"]
    assert pool.refused("VM.power_state_reset", dom0) == ["CANNOT_RESET_CONTROL_DOMAIN", dom0]
    assert pool.refused("VM.power_state_reset", vm) == ["DOMAIN_EXISTS", vm, "1"]
    pool.db.set("host_metrics", pool.record("host", host)["metrics"], live=False)
    pool("VM.power_state_reset", vm)
    assert pool.state(vm) == "Halted"
    assert "start" in pool.allowed(vm)
    assert not pool.machine.world.breaches
