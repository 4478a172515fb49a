# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Graphics, USB and PCI cards of hosts go to guests; guests share memory and keep away from one another."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.domzero.xen.tests.simulator import invariants, site
from ansible_collections.domzero.xen.tests.simulator.modeltypes import NULL

from .hosting import GIB, Hosting


@pytest.fixture
def pool() -> t.Iterator[Hosting]:
    world = site.build(site.load("examples"), speed=0)
    world.watch = True
    asked = Hosting(world.machines["xcp00"])
    yield asked
    assert not world.breaches
    assert not invariants.check(world)


def _vm(pool: Hosting, name: str = "guest") -> str:
    return pool.vm(name, agent=True)


def _kind(pool: Hosting, name: str) -> str:
    return pool.db.one("VGPU_type", model_name=name)


def _group(pool: Hosting) -> str:
    return next(iter(pool.db.all("GPU_group")))


def _member(pool: Hosting) -> str:
    return next(host for host in pool.db.all("host") if host != pool.host)


# graphics ------------------------------------------------------------------------------------------------------------
def test_cards_of_one_kind_are_one_group_that_knows_its_types(pool: Hosting) -> None:
    (group,) = pool.db.all("GPU_group").values()
    assert group["name_label"] == "Group of NVIDIA Corporation GA102GL [A40] GPUs"
    assert len(group["PGPUs"]) == 2
    assert {pool.record("VGPU_type", kind)["model_name"] for kind in group["enabled_VGPU_types"]} == {
        "passthrough", "NVIDIA A40-4Q", "NVIDIA A40-8Q",
    }  # fmt: skip
    assert pool("GPU_group.get_remaining_capacity", _group(pool), _kind(pool, "NVIDIA A40-4Q")) == 24


def test_a_guest_has_a_part_of_a_card_while_it_runs(pool: Hosting) -> None:
    vm, kind = _vm(pool), _kind(pool, "NVIDIA A40-4Q")
    vgpu = pool("VGPU.create", vm, _group(pool), "0", {}, kind)
    pool("VM.start_on", vm, pool.host, False, False)
    card = pool.record("VGPU", vgpu)["resident_on"]
    assert pool.record("PGPU", card)["host"] == pool.host
    assert pool("PGPU.get_remaining_capacity", card, kind) == 11
    assert pool("PGPU.get_remaining_capacity", card, _kind(pool, "NVIDIA A40-8Q")) == 0  # one type at a time
    assert pool.refused("VM.pool_migrate", vm, _member(pool), {}) == ["VM_HAS_VGPU", vm]
    assert pool.refused("VGPU.destroy", vgpu)[0] == "OPERATION_NOT_ALLOWED"
    assert pool.refused("PGPU.remove_enabled_VGPU_types", card, kind)[0] == "PGPU_IN_USE_BY_VM"
    pool("VM.hard_shutdown", vm)
    assert pool.record("VGPU", vgpu)["resident_on"] == NULL
    pool("VGPU.destroy", vgpu)


def test_a_vm_has_its_parts_of_graphics_cards_back_after_a_revert(pool: Hosting) -> None:
    vm, kind = _vm(pool), _kind(pool, "NVIDIA A40-8Q")
    before = pool("VGPU.create", vm, _group(pool), "0", {}, kind)
    snapshot = pool("VM.snapshot", vm, "with a card")
    pool("VGPU.destroy", before)
    pool("VM.revert", snapshot)
    (after,) = pool.record("VM", vm)["VGPUs"]
    assert (after != before, pool.record("VGPU", after)["type"]) == (True, kind)
    pool("VM.revert", snapshot)
    assert len(pool.record("VM", vm)["VGPUs"]) == 1


def test_a_whole_card_is_had_once(pool: Hosting) -> None:
    first, second = _vm(pool, "first"), _vm(pool, "second")
    for vm in (first, second):
        pool("VGPU.create", vm, _group(pool), "0", {}, NULL)
    pool("VM.start_on", first, pool.host, False, False)
    assert pool.refused("VM.start_on", second, pool.host, False, False) == ["VM_REQUIRES_GPU", second, _group(pool)]
    pool("VM.start", second, False, False)
    assert pool.record("VM", second)["resident_on"] == _member(pool)


def test_what_a_graphics_card_is_refused_for(pool: Hosting) -> None:
    vm, group = _vm(pool), _group(pool)
    pool("VGPU.create", vm, group, "0", {}, NULL)
    assert pool.refused("VGPU.create", vm, group, "0", {}, NULL) == ["DEVICE_ALREADY_EXISTS", "0"]
    assert pool.refused("VGPU.create", vm, group, "x", {}, NULL) == ["INVALID_DEVICE", "x"]
    empty = pool("GPU_group.create", "mine", "", {})
    assert pool.refused("VGPU.create", vm, empty, "1", {}, NULL) == ["GPU_GROUP_CONTAINS_NO_PGPUS", empty]
    assert pool.refused("GPU_group.destroy", group)[0] == "GPU_GROUP_CONTAINS_VGPU"
    card = pool.record("GPU_group", group)["PGPUs"][0]
    pool("PGPU.set_GPU_group", card, empty)
    assert pool.record("GPU_group", empty)["PGPUs"] == [card]
    pool("PGPU.set_enabled_VGPU_types", card, [_kind(pool, "NVIDIA A40-8Q")])
    assert pool.record("GPU_group", empty)["enabled_VGPU_types"] == [_kind(pool, "NVIDIA A40-8Q")]
    running = pool.running("running")
    assert pool.refused("VGPU.create", running, group, "0", {}, NULL) == ["VM_BAD_POWER_STATE", running, "halted", "running"]


# USB, PCI ------------------------------------------------------------------------------------------------------------
def test_a_usb_device_goes_to_a_guest_and_keeps_it_there(pool: Hosting) -> None:
    vm, (pusb,) = _vm(pool), pool.db.all("PUSB")
    group = pool.record("PUSB", pusb)["USB_group"]
    empty = pool("USB_group.create", "empty", "", {})
    assert pool.refused("VUSB.create", vm, empty, {}) == ["USB_GROUP_CONTAINS_NO_PUSBS", empty]
    vusb = pool("VUSB.create", vm, group, {})
    assert pool.refused("VM.start_on", vm, pool.host, False, False) == ["VM_REQUIRES_VUSB", vm, group]
    pool("PUSB.set_passthrough_enabled", pusb, True)
    assert pool.refused("VUSB.create", vm, group, {}) == ["USB_GROUP_CONFLICT", group]
    assert pool.refused("VM.start_on", vm, _member(pool), False, False) == ["VM_REQUIRES_VUSB", vm, group]
    pool("VM.start", vm, False, False)
    assert pool.record("VUSB", vusb)["currently_attached"]
    assert pool.refused("VM.snapshot", vm, "x", []) == ["VM_HAS_VUSBS", vm]
    assert pool.refused("PUSB.set_passthrough_enabled", pusb, False) == ["USB_ALREADY_ATTACHED", pusb, vm]
    assert pool.refused("VUSB.destroy", vusb)[0] == "OPERATION_NOT_ALLOWED"
    pool("VUSB.unplug", vusb)
    assert pool.refused("VUSB.unplug", vusb) == ["DEVICE_ALREADY_DETACHED", vusb]
    pool("VUSB.destroy", vusb)
    pool("PUSB.set_passthrough_enabled", pusb, False)


def test_a_pci_card_of_the_host_is_the_guests(pool: Hosting) -> None:
    vm = _vm(pool)
    pool("VM.add_to_other_config", vm, "pci", "0/0000:5e:00.0")
    assert pool.refused("VM.start_on", vm, _member(pool), False, False)[0] == "INTERNAL_ERROR"
    assert pool.state(vm) == "Halted"
    pool("VM.start_on", vm, pool.host, False, False)
    (card,) = pool.record("VM", vm)["attached_PCIs"]
    assert pool.record("PCI", card)["pci_id"] == "0000:5e:00.0"
    assert pool.refused("VM.suspend", vm) == ["VM_HAS_PCI_ATTACHED", vm]
    pool("VM.clean_shutdown", vm)
    assert pool.record("VM", vm)["attached_PCIs"] == []


# memory --------------------------------------------------------------------------------------------------------------
def test_a_guests_memory_follows_its_range(pool: Hosting) -> None:
    vm = _vm(pool)
    pool("VM.set_memory_limits", vm, GIB, 4 * GIB, GIB, 2 * GIB)
    pool("VM.start_on", vm, pool.host, False, False)
    metrics = pool.record("VM", vm)["metrics"]
    assert pool.record("VM_metrics", metrics)["memory_actual"] == 2 * GIB
    pool("VM.set_memory_dynamic_range", vm, 3 * GIB, 4 * GIB)
    assert pool.record("VM_metrics", metrics)["memory_actual"] == pool.record("VM", vm)["memory_target"] == 4 * GIB
    assert pool.refused("VM.set_memory_static_max", vm, 8 * GIB)[0] == "VM_BAD_POWER_STATE"
    assert pool.refused("VM.set_memory_dynamic_max", vm, 8 * GIB) == ["MEMORY_CONSTRAINT_VIOLATION_ORDER"]


def test_guests_share_what_a_host_has(pool: Hosting) -> None:
    vms = [_vm(pool, f"guest{number}") for number in range(2)]
    for vm in vms:
        pool("VM.set_memory_limits", vm, 16 * GIB, 48 * GIB, 16 * GIB, 48 * GIB)
        pool("VM.start_on", vm, pool.host, False, False)
    sizes = [pool.record("VM_metrics", pool.record("VM", vm)["metrics"])["memory_actual"] for vm in vms]
    assert sizes[0] == sizes[1] < 32 * GIB
    pool("VM.clean_shutdown", vms[0])
    assert pool.record("VM", vms[1])["memory_target"] == min(48 * GIB, pool("host.compute_free_memory", pool.host) + 16 * GIB)


# groups, requests ----------------------------------------------------------------------------------------------------
def test_members_of_an_anti_affinity_group_start_on_different_hosts(pool: Hosting) -> None:
    group = pool("VM_group.create", {"name_label": "apart", "name_description": "", "placement": "anti_affinity"})
    vms = [_vm(pool, f"guest{number}") for number in range(4)]
    for vm in vms:
        pool("VM.set_affinity", vm, pool.host)
        pool("VM.set_groups", vm, [group])
        pool("VM.start", vm, False, False)
    places = [pool.record("VM", vm)["resident_on"] for vm in vms]
    assert places.count(pool.host) == 2
    assert set(pool.record("VM_group", group)["VMs"]) == set(vms)
    other = pool("VM_group.create", {"name_label": "other", "name_description": "", "placement": "normal"})
    assert pool.refused("VM.set_groups", vms[0], [group, other]) == ["TOO_MANY_GROUPS"]
    assert pool.refused("VM.set_groups", pool.template, [group])[0] == "OPERATION_NOT_ALLOWED"


def test_requests_xapi_never_fulfils(pool: Hosting) -> None:
    vm = pool.running()
    assert pool.refused("VM.send_sysrq", vm, "h") == ["NOT_IMPLEMENTED", "send_sysrq"]
    assert pool.refused("VM.send_trigger", vm, "nmi") == ["NOT_IMPLEMENTED", "send_trigger"]
    assert pool.refused("VM.call_plugin", vm, "mine", "x", {}) == ["XENAPI_MISSING_PLUGIN", "mine"]
    assert pool.refused("VM.call_plugin", vm, "guest-agent-operation", "run-script", {})[:2] == [
        "XENAPI_PLUGIN_FAILURE", "failed to execute fn",
    ]  # fmt: skip
    pool.db.set("VM", vm, pending_guidances=["restart_device_model"])
    pool("VM.restart_device_models", vm)
    assert pool.record("VM", vm)["pending_guidances"] == []


def test_secure_boot_needs_uefi_and_keys(pool: Hosting) -> None:
    vm = _vm(pool)
    pool("VM.set_HVM_boot_params", vm, {"order": "cd", "firmware": "bios"})
    assert pool("VM.get_secureboot_readiness", vm) == "not_supported"
    assert pool.refused("VM.set_uefi_mode", vm, "user")[0] == "OPERATION_NOT_ALLOWED"
    pool("VM.set_HVM_boot_params", vm, {"order": "cd", "firmware": "uefi"})
    pool("VM.set_platform", vm, {"secureboot": "false"})
    assert pool("VM.get_secureboot_readiness", vm) == "disabled"
    pool("VM.set_platform", vm, {"secureboot": "true"})
    assert pool("VM.get_secureboot_readiness", vm) == "first_boot"
    pool("VM.set_uefi_mode", vm, "user")
    assert pool("VM.get_secureboot_readiness", vm) == "ready"
