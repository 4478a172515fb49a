# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VMs that are started and stopped together; what a running VM can be asked."""

from __future__ import annotations

import pytest

from ansible_collections.domzero.xen.tests.simulator.modeltypes import NULL

from .hosting import Hosting, hosting


@pytest.fixture
def pool() -> Hosting:
    return hosting()


@pytest.fixture
def appliance(pool: Hosting) -> str:
    return str(pool("VM_appliance.create", {"name_label": "app", "name_description": ""}))


def _member(pool: Hosting, appliance: str, name: str, order: int, *, agent: bool = True) -> str:
    vm = pool.vm(name, agent=agent)
    pool("VM.set_order", vm, order)
    pool("VM.set_appliance", vm, appliance)
    return vm


def _allowed(pool: Hosting, appliance: str) -> set[str]:
    return set(pool.record("VM_appliance", appliance)["allowed_operations"])


def test_an_appliance_is_started_upwards_and_stopped_downwards(pool: Hosting, appliance: str) -> None:
    late, early = _member(pool, appliance, "late", 2), _member(pool, appliance, "early", 1)
    pool("VM_appliance.start", appliance, False)
    pool("VM_appliance.clean_shutdown", appliance)
    told = [(m["name"], m["obj_uuid"]) for m in pool.db.all("message").values()]
    uuids = {vm: pool.record("VM", vm)["uuid"] for vm in (early, late)}
    assert told == [
        ("VM_STARTED", uuids[early]), ("VM_STARTED", uuids[late]), ("VM_SHUTDOWN", uuids[late]), ("VM_SHUTDOWN", uuids[early]),
    ]  # fmt: skip


def test_what_an_appliance_allows_follows_from_its_vms(pool: Hosting, appliance: str) -> None:
    assert pool.refused("VM_appliance.start", appliance, False) == ["OPERATION_NOT_ALLOWED", "Appliance has no VMs."]
    vm = _member(pool, appliance, "a", 0)
    assert _allowed(pool, appliance) == {"start"}
    assert pool.refused("VM_appliance.shutdown", appliance)[0] == "OPERATION_NOT_ALLOWED"
    pool("VM.start", vm, False, False)
    assert _allowed(pool, appliance) == {"clean_shutdown", "hard_shutdown", "shutdown"}
    pool.db.set("VM_appliance", appliance, current_operations={"OpaqueRef:t": "start"})
    error = pool.refused("VM_appliance.shutdown", appliance)
    assert error == ["OTHER_OPERATION_IN_PROGRESS", "VM_appliance", appliance, "start", "OpaqueRef:t"]
    pool.db.set("VM_appliance", appliance, current_operations={})
    pool("VM.set_appliance", vm, NULL)
    assert _allowed(pool, appliance) == set()


def test_vms_that_did_not_follow_are_named(pool: Hosting, appliance: str) -> None:
    deaf, good = _member(pool, appliance, "deaf", 0, agent=False), _member(pool, appliance, "good", 0)
    pool("VM_appliance.start", appliance, False)
    error = pool.refused("VM_appliance.clean_shutdown", appliance)
    assert error == ["OPERATION_PARTIALLY_FAILED", "VM_appliance.clean_shutdown", deaf]
    assert pool.state(good) == "Halted"
    pool("VM_appliance.hard_shutdown", appliance)
    assert pool.state(deaf) == "Halted"


def test_a_running_vm_tells_about_itself(pool: Hosting) -> None:
    vm = pool.running()
    names = [source["name_label"] for source in pool("VM.get_data_sources", vm)]
    assert names == ["cpu0", "memory", "memory_target"]
    assert pool("VM.query_data_source", vm, "cpu0") == 0.0
    assert pool.refused("VM.query_data_source", vm, "none")[0] == "INTERNAL_ERROR"
    assert pool("VM.get_boot_record", vm)["uuid"] == pool.record("VM", vm)["uuid"]
    pool("VM.hard_shutdown", vm)
    assert pool.refused("VM.get_data_sources", vm) == ["VM_BAD_POWER_STATE", vm, "running", "halted"]
    assert pool.refused("VM.get_boot_record", vm) == ["VM_BAD_POWER_STATE", vm, "paused, suspended, running", "halted"]


def test_who_starts_vms_in_order_waits_as_long_as_they_ask() -> None:
    pool = hosting()
    clock = pool.machine.world.clock
    vm = pool.vm()
    pool("VM.set_start_delay", vm, 300)
    pool("VM.set_shutdown_delay", vm, 200)
    before = clock.now()
    pool("VM.start", vm, False, False)
    started = clock.now()
    pool("VM.clean_shutdown", vm)
    assert started - before >= 300
    assert clock.now() - started >= 200
