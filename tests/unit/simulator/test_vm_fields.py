# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Setters of a VM that look at what they are given, and what of it a new VM keeps."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.domzero.xen.tests.simulator.modeltypes import NULL

from .hosting import GIB, Hosting, hosting


@pytest.fixture
def pool() -> Hosting:
    return hosting()


@pytest.mark.parametrize("field", ["order", "start_delay", "shutdown_delay"])
def test_orders_and_delays_are_not_negative(pool: Hosting, field: str) -> None:
    vm = pool.vm()
    assert pool.refused(f"VM.set_{field}", vm, -1) == ["INVALID_VALUE", f"{field} must be non-negative", "-1"]
    pool(f"VM.set_{field}", vm, 0)


@pytest.mark.parametrize(
    ("strings", "error"),
    [
        ({"frob": "x"}, ["frob", "Unknown key"]),
        ({"bios-vendor": ""}, ["bios-vendor", "Value provided is empty"]),
        ({"bios-vendor": "x" * 513}, ["bios-vendor", f"{'x' * 513} has length more than 512 characters"]),
        ({"bios-vendor": "\xe9"}, ["bios-vendor", "\xe9 has non-printable ASCII characters"]),
    ],
)
def test_bios_strings_are_known_short_and_printable(pool: Hosting, strings: dict[str, str], error: list[str]) -> None:
    vm = pool.vm()
    assert pool.refused("VM.set_bios_strings", vm, strings) == ["INVALID_VALUE", *error]
    pool("VM.set_bios_strings", vm, {"system-manufacturer": "ACME"})
    assert pool.record("VM", vm)["bios_strings"]["system-manufacturer"] == "ACME"
    assert pool.refused("VM.set_bios_strings", vm, {}) == ["VM_BIOS_STRINGS_ALREADY_SET"]


def test_what_is_deprecated_or_was_never_done_is_refused_as_on_a_host(pool: Hosting) -> None:
    vm = pool.running()
    assert pool.refused("VM.add_to_VCPUs_params_live", vm, "weight", "512") == ["NOT_IMPLEMENTED", "add_to_VCPUs_params_live"]
    assert pool.refused("VM.set_protection_policy", vm, NULL) == ["MESSAGE_REMOVED"]
    assert pool.refused("VM.set_domain_type", vm, "unspecified") == ["INVALID_VALUE", "domain_type", "unspecified"]
    before = pool.record("VM", vm)
    pool("VM.set_memory_target_live", vm, GIB)
    assert pool.record("VM", vm) == before


@pytest.mark.parametrize(
    ("method", "values", "needed"),
    [
        ("set_has_vendor_device", [True], "halted"),
        ("set_suspend_VDI", ["OpaqueRef:nope"], "suspended"),
        ("set_memory_target_live", [1], "running"),
    ],
)
def test_some_fields_need_a_power_state(pool: Hosting, method: str, values: list[t.Any], needed: str) -> None:
    state = "halted" if needed == "running" else "running"
    vm = pool.vm() if state == "halted" else pool.running()
    assert pool.refused(f"VM.{method}", vm, *values) == ["VM_BAD_POWER_STATE", vm, needed, state]


def test_only_an_equal_image_takes_the_place_of_a_suspended_vms(pool: Hosting) -> None:
    vm = pool.running()
    pool("VM.suspend", vm)
    image = pool.record("VM", vm)["suspend_VDI"]
    equal = pool("VDI.copy", image, pool.sr)
    other = pool.vdi()
    error = pool.refused("VM.set_suspend_VDI", vm, other)
    assert error[0] == "SUSPEND_VDI_REPLACEMENT_IS_NOT_IDENTICAL"
    assert error[1].startswith(pool.record("VDI", image)["uuid"])
    pool("VM.set_suspend_VDI", vm, equal)
    pool("VM.resume", vm, False, False)
    assert pool.state(vm) == "Running"


def test_only_an_ordinary_vm_is_in_an_appliance_or_has_a_schedule(pool: Hosting) -> None:
    appliance = pool("VM_appliance.create", {"name_label": "shop", "name_description": ""})
    assert pool.refused("VM.set_appliance", pool.template, appliance)[0] == "OPERATION_NOT_ALLOWED"
    assert pool.refused("VM.set_snapshot_schedule", pool.vm(), "OpaqueRef:nope") == ["INVALID_VALUE", "OpaqueRef:nope"]


def test_a_created_vm_blocks_nothing_and_has_metrics(pool: Hosting) -> None:
    source = {**pool.record("VM", pool.vm()), "blocked_operations": {"start": "no"}, "tags": ["web"]}
    record = pool.record("VM", pool("VM.create", source))
    assert (record["blocked_operations"], record["tags"], record["power_state"]) == ({}, ["web"], "Halted")
    assert pool.record("VM_metrics", record["metrics"])["VCPUs_utilisation"] == {0: 0.0}


def test_a_copy_remembers_what_its_source_last_ran_on(pool: Hosting) -> None:
    vm = pool.running()
    pool("VM.hard_shutdown", vm)
    assert pool.record("VM", pool("VM.clone", vm, "clone"))["last_boot_CPU_flags"] == pool.record("VM", vm)["last_boot_CPU_flags"] != {}


@pytest.mark.parametrize(
    ("value", "domain", "fine"),
    [
        ("rename_restart", "pv", False),
        ("coredump_and_restart", "hvm", False),
        ("coredump_and_destroy", "pv", True),
        ("preserve", "hvm", True),
    ],
)
def test_a_domain_that_crashes_is_neither_renamed_nor_dumped_unless_it_is_pv(pool: Hosting, value: str, domain: str, fine: bool) -> None:
    vm = pool.vm(domain_type=domain)
    if fine:
        pool("VM.set_actions_after_crash", vm, value)
        assert pool.record("VM", vm)["actions_after_crash"] == value
    else:
        assert pool.refused("VM.set_actions_after_crash", vm, value)[:3] == ["VALUE_NOT_SUPPORTED", "VM.actions_after_crash", value]


# drives and cards ----------------------------------------------------------------------------------------------------
def test_a_drive_whose_vm_moves_is_not_added(pool: Hosting) -> None:
    vm = pool.vm()
    pool.db.add_to_map("VM", vm, "current_operations", "OpaqueRef:task", "pool_migrate")
    assert pool.refused("VBD.create", pool.vbd_record(vm, pool.vdi())) == [
        "OTHER_OPERATION_IN_PROGRESS", "VM", vm, "pool_migrate", "OpaqueRef:task"
    ]  # fmt: skip


def test_the_first_thing_wrong_with_a_drive_is_told(pool: Hosting) -> None:
    vm = pool.vm()
    wrong = pool.vbd_record(vm, "OpaqueRef:nope", type="CD", mode="RW", empty=False)
    assert pool.refused("VBD.create", wrong) == ["HANDLE_INVALID", "VDI", "OpaqueRef:nope"]
    assert pool.refused("VBD.create", {**wrong, "empty": True}) == ["VBD_CDS_MUST_BE_READONLY"]


def test_a_card_stays_where_its_host_can_follow() -> None:
    pool = hosting(2)
    vm = pool.running(agent=True)
    vif = pool.record("VM", vm)["VIFs"]
    pool("VM.hard_shutdown", vm)
    card = vif[0] if vif else pool.vif(vm)
    pool("VM.start_on", vm, pool.host, False, False)
    other = next(host for host in pool.db.all("host") if host != pool.host)
    far = pool.network("far")
    pool("VLAN.create", pool.pif("eth1", host=other), 7, far)
    assert pool.refused("VIF.move", card, far) == ["HOST_CANNOT_ATTACH_NETWORK", pool.host, far]
