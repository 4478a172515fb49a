# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a VM allows: each rule once, in the order they are looked at."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.domzero.xen.tests.simulator.modeltypes import NULL
from ansible_collections.domzero.xen.tests.simulator.operations import rules

from .hosting import Hosting, hosting

MOVES = ("suspend", "checkpoint", "pool_migrate", "migrate_send")


@pytest.fixture
def pool() -> Hosting:
    return hosting()


def test_a_blocked_operation_is_refused_before_anything_else(pool: Hosting) -> None:
    vm = pool.vm()
    pool("VM.add_to_blocked_operations", vm, "pause", "not now")
    assert pool.refused("VM.pause", vm) == ["OPERATION_BLOCKED", vm, "not now"]
    pool("VM.add_to_blocked_operations", vm, "start", "because")
    assert "start" not in pool.allowed(vm)
    pool("VM.set_blocked_operations", vm, {})
    assert "start" in pool.allowed(vm)


@pytest.mark.parametrize("state", ["Halted", "Paused", "Running", "Suspended"])
def test_every_operation_needs_its_power_state(pool: Hosting, state: str) -> None:
    vm = pool.vm(power_state=state, domain_type="pv", resident_on=pool.host if state in ("Running", "Paused") else NULL)
    table = rules("VM")["power_states"]
    for operation, states in table.items():
        if operation.startswith("_") or states == "_all" or state in states:
            continue
        error = pool.why_not(vm, operation)
        assert error == ["VM_BAD_POWER_STATE", vm, ", ".join(states).lower(), state.lower()], operation


def test_a_suspended_snapshot_and_where_the_pool_wants_it_any_suspended_vm_can_be_cloned(pool: Hosting) -> None:
    vm = pool.vm(power_state="Suspended")
    assert "clone" not in pool.allowed(vm)
    pool.db.add_to_map("pool", pool.machine.pool.pool_ref, "other_config", "allow_clone_suspended_vm", "true")
    pool("VM.update_allowed_operations", vm)
    assert "clone" in pool.allowed(vm)
    pool.db.remove_from_map("pool", pool.machine.pool.pool_ref, "other_config", "allow_clone_suspended_vm")
    pool.db.set("VM", vm, is_a_template=True, is_a_snapshot=True)
    pool("VM.update_allowed_operations", vm)
    assert "copy" in pool.allowed(vm)


@pytest.mark.parametrize(
    ("running", "wanted", "fits"),
    [
        (["copy"], "clone", True),
        (["copy", "export"], "copy", True),
        (["copy"], "snapshot", False),
        (["checkpoint"], "snapshot", True),
        (["snapshot_with_quiesce"], "snapshot", True),
        (["migrate_send"], "clean_shutdown", True),
        (["migrate_send"], "pause", False),
        (["clean_shutdown"], "hard_shutdown", True),
        (["hard_shutdown"], "hard_shutdown", False),
        (["clean_reboot"], "hard_reboot", True),
        (["hard_shutdown"], "hard_reboot", False),
    ],
)
def test_what_runs_decides_what_may_begin(pool: Hosting, running: list[str], wanted: str, fits: bool) -> None:
    state = "Running" if {*running, wanted} & {"clean_shutdown", "hard_shutdown", "hard_reboot", "pause", "checkpoint"} else "Halted"
    tasks = {f"OpaqueRef:{name}": name for name in running}
    vm = pool.vm(power_state=state, domain_type="pv", resident_on=pool.host if state == "Running" else NULL, current_operations=tasks)
    if fits:
        pool("VM.assert_operation_valid", vm, wanted)
    else:
        assert pool.why_not(vm, wanted) == ["OTHER_OPERATION_IN_PROGRESS", "VM", vm, running[0], f"OpaqueRef:{running[0]}"]


def test_several_running_operations_are_named_together(pool: Hosting) -> None:
    vm = pool.vm(current_operations={"OpaqueRef:a": "copy", "OpaqueRef:b": "export"})
    assert pool.why_not(vm, "start") == ["OTHER_OPERATION_IN_PROGRESS", "VM", vm, "{copy,export}", "{OpaqueRef:a,OpaqueRef:b}"]


def test_templates_are_only_copied_provisioned_and_changed(pool: Hosting) -> None:
    own = pool("VM.clone", pool.template, "own")
    for operation in ("start", "snapshot", "create_vtpm", "make_into_template"):
        assert pool.why_not(own, operation) == ["VM_IS_TEMPLATE", own, operation]
    assert {"destroy", "migrate_send", "provision", "clone"} <= pool.allowed(own)
    assert pool.refused("VM.destroy", pool.template) == ["VM_IS_TEMPLATE", pool.template, "destroy"]
    assert pool.why_not(own, "create_template") == ["VM_IS_TEMPLATE", own, "(unknown operation)"]


def test_snapshots_are_only_reverted_copied_and_removed(pool: Hosting) -> None:
    snapshot = pool("VM.snapshot", pool.vm(), "before")
    assert pool.why_not(snapshot, "start") == ["VM_IS_SNAPSHOT", snapshot, "start"]
    assert pool.allowed(snapshot) == {"revert", "clone", "copy", "export", "destroy", "metadata_export"}


def test_only_templates_are_provisioned_and_only_snapshots_reverted(pool: Hosting) -> None:
    vm = pool.vm()
    assert pool.why_not(vm, "provision") == ["PROVISION_ONLY_ALLOWED_ON_TEMPLATE"]
    assert pool.why_not(vm, "revert") == ["REVERT_ONLY_ALLOWED_ON_SNAPSHOT"]


def test_a_guest_that_must_stay_does_not_move(pool: Hosting) -> None:
    vm = pool.vm()
    pool("VM.add_to_platform", vm, "nomigrate", "true")
    pool("VM.start", vm, False, False)
    for operation in MOVES:
        assert pool.why_not(vm, operation) == ["VM_IS_IMMOBILE", vm]
    pool("VM.remove_from_platform", vm, "nomigrate")
    assert pool.why_not(vm, "suspend") == ["VM_IS_IMMOBILE", vm]  # what it was started with counts


def test_nested_virtualisation_fixes_the_memory(pool: Hosting) -> None:
    vm = pool.vm(platform={"nested-virt": "true"})
    assert pool.why_not(vm, "changing_dynamic_range") == ["VM_IS_USING_NESTED_VIRT", vm]
    assert pool.why_not(vm, "migrate_send") == ["VM_IS_IMMOBILE", vm]


def test_control_domains_are_left_alone(pool: Hosting) -> None:
    dom0 = pool.record("host", pool.host)["control_domain"]
    for operation in ("pause", "clean_shutdown", "snapshot", "hard_shutdown"):
        assert pool.why_not(dom0, operation)[0] == "OPERATION_NOT_ALLOWED"
    pool("VM.assert_operation_valid", dom0, "changing_dynamic_range")


def test_without_agent_the_guest_can_not_be_asked(pool: Hosting) -> None:
    vm = pool.running(agent=False)
    for operation in (*MOVES, "clean_shutdown", "clean_reboot", "changing_VCPUs_live"):
        assert pool.why_not(vm, operation) == ["VM_LACKS_FEATURE", vm], operation
    assert pool.allowed(vm) == {
        "sysprep", "metadata_export", "changing_dynamic_range", "hard_reboot", "hard_shutdown", "pause", "snapshot",
    }  # fmt: skip


def test_a_reported_feature_is_enough_even_without_drivers(pool: Hosting) -> None:
    vm = pool.running(agent=False)
    pool.db.set("VM_guest_metrics", pool.record("VM", vm)["guest_metrics"], other={"feature-poweroff": "1"})
    pool("VM.assert_operation_valid", vm, "clean_shutdown")
    assert pool.why_not(vm, "suspend") == ["VM_LACKS_FEATURE", vm]


def test_a_pv_guest_needs_no_agent(pool: Hosting) -> None:
    vm = pool.vm(agent=False, domain_type="pv")
    pool("VM.start", vm, False, False)
    assert {"clean_shutdown", "suspend", "pool_migrate"} <= pool.allowed(vm)


def test_a_guest_may_say_why_it_can_not_be_suspended(pool: Hosting) -> None:
    vm = pool.running()
    metrics = pool.record("VM", vm)["guest_metrics"]
    pool.db.add_to_map("VM_guest_metrics", metrics, "other", "data-cant-suspend-reason", "a GPU")
    for operation in MOVES:
        assert pool.why_not(vm, operation) == ["VM_NON_SUSPENDABLE", vm, "a GPU"]


def test_quiesced_snapshots_are_never_supported(pool: Hosting) -> None:
    vm = pool.running()
    assert pool.why_not(vm, "snapshot_with_quiesce") == ["VM_SNAPSHOT_WITH_QUIESCE_NOT_SUPPORTED", vm]


def test_a_disk_that_is_reset_at_each_start_is_not_kept(pool: Hosting) -> None:
    vm = pool.running(disk=True)
    vdi = pool.record("VBD", pool.record("VM", vm)["VBDs"][0])["VDI"]
    pool.db.set("VDI", vdi, on_boot="reset")
    for operation in ("suspend", "checkpoint", "snapshot"):
        assert pool.why_not(vm, operation) == ["VDI_ON_BOOT_MODE_INCOMPATIBLE_WITH_OPERATION"]
    pool("VM.assert_operation_valid", vm, "pool_migrate")
    pool.db.set("VDI", vdi, allow_caching=True)
    assert pool.why_not(vm, "pool_migrate") == ["VDI_ON_BOOT_MODE_INCOMPATIBLE_WITH_OPERATION"]


def _pci(pool: Hosting, vm: str) -> None:
    pool.db.set("VM", vm, attached_PCIs=[pool.db.create("PCI", host=pool.host)])


def _vgpu(pool: Hosting, vm: str) -> None:
    pool.db.create("VGPU", VM=vm, GPU_group=pool.db.create("GPU_group"))


def _vusb(pool: Hosting, vm: str) -> None:
    pool.db.create("VUSB", VM=vm, USB_group=pool.db.create("USB_group"))


@pytest.mark.parametrize(
    ("add", "code", "operations"),
    [(_pci, "VM_HAS_PCI_ATTACHED", MOVES), (_vgpu, "VM_HAS_VGPU", MOVES), (_vusb, "VM_HAS_VUSBS", (*MOVES, "snapshot"))],
)
def test_devices_of_the_host_tie_a_guest_to_it(
    pool: Hosting, add: t.Callable[[Hosting, str], None], code: str, operations: t.Iterable[str]
) -> None:
    vm = pool.running()
    add(pool, vm)
    for operation in operations:
        assert pool.why_not(vm, operation) == [code, vm]


def test_a_halted_vm_with_a_vgpu_can_be_sent_away(pool: Hosting) -> None:
    vm = pool.vm()
    _vgpu(pool, vm)
    pool("VM.assert_operation_valid", vm, "migrate_send")


@pytest.mark.parametrize(
    ("field", "cls", "code"),
    [
        ("appliance", "VM_appliance", "VM_IS_PART_OF_AN_APPLIANCE"),
        ("protection_policy", "VMPP", "VM_ASSIGNED_TO_PROTECTION_POLICY"),
        ("snapshot_schedule", "VMSS", "VM_ASSIGNED_TO_SNAPSHOT_SCHEDULE"),
    ],
)
def test_a_vm_that_is_in_something_does_not_become_a_template(pool: Hosting, field: str, cls: str, code: str) -> None:
    vm = pool.vm()
    other = pool.db.create(cls)
    pool.db.set("VM", vm, **{field: other})
    assert pool.refused("VM.set_is_a_template", vm, True) == [code, vm, other]


def test_only_system_domains_offer_services(pool: Hosting) -> None:
    vm = pool.vm()
    assert pool.why_not(vm, "query_services") == ["NOT_SYSTEM_DOMAIN", vm]
    pool("VM.add_to_other_config", vm, "is_system_domain", "true")
    pool("VM.assert_operation_valid", vm, "query_services")


def test_during_an_upgrade_little_is_allowed(pool: Hosting) -> None:
    vm = pool.vm()
    pool.db.add_to_map("pool", pool.machine.pool.pool_ref, "other_config", "rolling_upgrade_in_progress", "true")
    assert pool.why_not(vm, "snapshot") == ["NOT_SUPPORTED_DURING_UPGRADE"]
    pool("VM.assert_operation_valid", vm, "start")


def test_a_vm_has_one_tpm_which_goes_only_while_it_is_halted(pool: Hosting) -> None:
    vm = pool.vm()
    vtpm = pool("VTPM.create", vm, False)
    assert pool.refused("VTPM.create", vm, False) == ["VTPM_MAX_AMOUNT_REACHED", "1"]
    assert pool.record("VTPM", vtpm)["allowed_operations"] == ["destroy"]
    pool("VM.start", vm, False, False)
    assert pool.record("VTPM", vtpm)["allowed_operations"] == []
    assert pool.refused("VTPM.destroy", vtpm) == ["VM_BAD_POWER_STATE", vm, "halted", "running"]
    pool("VM.hard_shutdown", vm)
    pool("VTPM.destroy", vtpm)
    assert "create_vtpm" in pool.allowed(vm)


def test_some_operations_are_never_listed(pool: Hosting) -> None:
    hidden = set(rules("VM")["never_in_allowed_operations"])
    assert not hidden & (pool.allowed(pool.vm()) | pool.allowed(pool.running()))
