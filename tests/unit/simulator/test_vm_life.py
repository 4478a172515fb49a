# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VMs are made, copied, changed and removed."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.domzero.xen.tests.simulator.modeltypes import NULL

from .hosting import GIB, TEMPLATE, Hosting, hosting

MIB = 1 << 20


@pytest.fixture
def pool() -> Hosting:
    return hosting()


def _record(**fields: t.Any) -> dict[str, t.Any]:
    plain: dict[str, t.Any] = {
        "name_label": "new", "user_version": 1, "is_a_template": False, "affinity": NULL, "memory_static_max": GIB, "VCPUs_params": {},
        "memory_dynamic_max": GIB, "memory_dynamic_min": GIB, "memory_static_min": GIB, "VCPUs_max": 1, "VCPUs_at_startup": 1,
        "actions_after_shutdown": "destroy", "actions_after_reboot": "restart", "actions_after_crash": "restart", "PV_bootloader": "",
        "PV_kernel": "", "PV_ramdisk": "", "PV_args": "", "PV_bootloader_args": "", "PV_legacy_args": "", "PCI_bus": "",
        "HVM_boot_policy": "BIOS order", "HVM_boot_params": {}, "platform": {}, "other_config": {}, "recommendations": "",
    }  # fmt: skip
    return {**plain, **fields}


def test_a_new_vm_is_halted_and_has_a_seed_for_its_addresses(pool: Hosting) -> None:
    vm = pool("VM.create", _record())
    record = pool.record("VM", vm)
    assert (record["power_state"], record["domid"], record["domain_type"]) == ("Halted", -1, "hvm")
    assert record["other_config"]["mac_seed"]
    assert record["memory_overhead"] == pool("VM.compute_memory_overhead", vm) > 0
    assert "start" in pool.allowed(vm)
    assert pool.record("VM", pool("VM.create", _record(HVM_boot_policy="")))["domain_type"] == "pv"


def test_sizes_are_looked_at_when_the_vm_starts_not_when_it_is_made(pool: Hosting) -> None:
    vm = pool("VM.create", _record(memory_static_max=1, VCPUs_max=0))
    assert pool.refused("VM.start", vm, False, False)[0] == "INVALID_VALUE"


def test_a_clone_of_a_template_is_a_template_that_is_not_the_products(pool: Hosting) -> None:
    vm = pool("VM.clone", pool.template, "mine")
    source, record = pool.record("VM", pool.template), pool.record("VM", vm)
    assert (record["is_a_template"], record["is_default_template"]) == (True, False)
    assert "default_template" not in record["other_config"]
    assert record["other_config"]["base_template_name"] == TEMPLATE
    assert record["other_config"]["mac_seed"] != source["other_config"]["mac_seed"]
    assert record["uuid"] != source["uuid"]
    assert record["memory_static_max"] == source["memory_static_max"]
    assert pool.record("VM_metrics", record["metrics"])["uuid"] != pool.record("VM_metrics", source["metrics"])["uuid"]


@pytest.mark.parametrize("method", ["VM.clone", "VM.copy"])
def test_a_copy_has_disks_and_addresses_of_its_own_and_the_same_disc(pool: Hosting, method: str) -> None:
    vm = pool.vm(disk=True)
    disc = pool.vdi(name_label="disc")
    pool.drive(vm, disc)
    pool.drive(vm, userdevice="4")
    card = pool.vif(vm)
    pool.db.set("VM", vm, blocked_operations={"start": "x"}, order=3, tags=["kept"], generation_id="1:1")
    made = pool(method, vm, "copy", *([NULL] if method == "VM.copy" else []))
    record = pool.record("VM", made)
    vbds = {vbd["userdevice"]: vbd for vbd in (pool.record("VBD", ref) for ref in record["VBDs"])}
    disk = pool.record("VBD", pool.record("VM", vm)["VBDs"][0])["VDI"]
    assert set(vbds) == {"0", "3", "4"}
    assert vbds["0"]["VDI"] not in (disk, NULL)
    assert pool.record("VDI", vbds["0"]["VDI"])["virtual_size"] == pool.record("VDI", disk)["virtual_size"]
    assert vbds["0"]["other_config"] == {"owner": ""}
    assert vbds["3"]["VDI"] == disc
    assert vbds["4"]["empty"]
    assert pool.record("VIF", record["VIFs"][0])["MAC"] != pool.record("VIF", card)["MAC"]
    assert (record["blocked_operations"], record["order"], record["tags"]) == ({}, 0, ["kept"])
    assert record["generation_id"] not in ("", "1:1")


def test_a_copy_can_go_to_another_sr_but_not_to_discs(pool: Hosting) -> None:
    vm = pool.vm(disk=True)
    iso = pool.db.create("SR", type="iso", content_type="iso")
    assert pool.refused("VM.copy", vm, "x", iso)[0] == "OPERATION_NOT_ALLOWED"


def test_a_copy_that_fails_leaves_nothing(pool: Hosting) -> None:
    vm = pool.vm(disk=True)
    pool.vbd(vm, pool.vdi(size=300 * GIB), userdevice="1")
    before = set(pool.db.all("VDI")), set(pool.db.all("VM"))
    pool.db.set("VDI", pool.record("VBD", pool.record("VM", vm)["VBDs"][1])["VDI"], on_boot="reset")
    assert pool.refused("VM.copy", vm, "x", NULL)[0] == "VDI_COPY_FAILED"
    assert (set(pool.db.all("VDI")), set(pool.db.all("VM"))) == before


# provisioning --------------------------------------------------------------------------------------------------------
def _template_with_disks(pool: Hosting, sr: str) -> str:
    disks = f'<provision><disk device="0" size="{GIB}" sr="{sr}" bootable="true" type="system"/></provision>'
    template = str(pool("VM.clone", pool.template, "with disks"))
    pool("VM.set_other_config", template, {"disks": disks, "postinstall": "x", "kept": "y"})
    return template


def test_provisioning_makes_the_disks_the_template_asks_for(pool: Hosting) -> None:
    vm = _template_with_disks(pool, pool.record("SR", pool.sr)["uuid"])
    pool("VM.provision", vm)
    record = pool.record("VM", vm)
    vbd = pool.record("VBD", record["VBDs"][0])
    vdi = pool.record("VDI", vbd["VDI"])
    assert (record["is_a_template"], record["other_config"]) == (False, {"kept": "y"})
    assert (vbd["bootable"], vbd["unpluggable"], vbd["mode"], vbd["other_config"]) == (True, False, "RW", {"owner": ""})
    assert (vdi["virtual_size"], vdi["type"], vdi["name_label"]) == (GIB, "system", "0")
    assert pool.record("VM_metrics", record["metrics"])["install_time"] > "2000"


def test_a_template_as_shipped_names_no_sr(pool: Hosting) -> None:
    vm = _template_with_disks(pool, "")
    assert pool.refused("VM.provision", vm) == ["UUID_INVALID", "sr", ""]
    assert pool.record("VM", vm)["VBDs"] == []


def test_a_vm_becomes_a_template_and_back(pool: Hosting) -> None:
    vm = pool.vm()
    pool("VM.set_is_a_template", vm, True)
    record = pool.record("VM", vm)
    assert (record["is_a_template"], record["metrics"]) == (True, NULL)
    assert "start" not in pool.allowed(vm)
    pool("VM.set_is_a_template", vm, False)
    assert "start" in pool.allowed(vm)


# sizes ---------------------------------------------------------------------------------------------------------------
def test_memory_limits_keep_their_order(pool: Hosting) -> None:
    vm = pool.vm()
    pool("VM.set_memory_limits", vm, GIB // 2, GIB, GIB // 2, GIB)
    for method, args in (
        ("VM.set_memory_dynamic_max", [2 * GIB]),
        ("VM.set_memory_dynamic_range", [GIB // 4, GIB]),
        ("VM.set_memory_static_min", [GIB]),
        ("VM.set_memory_static_range", [GIB, GIB // 2]),
    ):
        assert pool.refused(method, vm, *args) == ["MEMORY_CONSTRAINT_VIOLATION_ORDER"], method
    pool("VM.set_memory_static_max", vm, 2 * GIB)
    pool("VM.set_memory_dynamic_max", vm, 2 * GIB)
    pool("VM.set_memory_dynamic_min", vm, GIB)
    record = pool.record("VM", vm)
    limits = [record[f"memory_{name}"] for name in ("static_min", "dynamic_min", "dynamic_max", "static_max")]
    assert limits == [GIB // 2, GIB, 2 * GIB, 2 * GIB]


def test_a_vm_whose_least_memory_is_less_than_its_template_recommends_does_not_start(pool: Hosting) -> None:
    vm = pool.vm()
    pool("VM.set_memory_limits", vm, GIB // 2, GIB, GIB, GIB)
    restriction = '<restrictions><restriction field="memory-static-min" min="{}"/></restrictions>'
    pool("VM.set_recommendations", vm, restriction.format(GIB // 2 + 1))
    assert pool.refused("VM.start", vm, False, False)[0] == "MEMORY_CONSTRAINT_VIOLATION"
    pool("VM.set_recommendations", vm, restriction.format(GIB // 2))
    pool("VM.start", vm, False, False)


def test_xen_needs_more_for_a_bigger_guest(pool: Hosting) -> None:
    vm = pool.vm()
    pool("VM.set_memory", vm, GIB)
    pool("VM.set_VCPUs_max", vm, 4)
    assert pool.record("VM", vm)["memory_overhead"] == 15 * MIB
    pool("VM.set_HVM_shadow_multiplier", vm, 2.0)
    assert pool.record("VM", vm)["memory_overhead"] == 27 * MIB
    assert pool.refused("VM.set_HVM_shadow_multiplier", vm, 0.5)[:2] == ["INVALID_VALUE", "multiplier"]
    largest = pool("VM.maximise_memory", vm, GIB, False)
    assert GIB - 30 * MIB < largest < GIB


def test_the_size_of_a_running_guest_changes_within_its_limits(pool: Hosting) -> None:
    vm = pool.running()
    assert pool.refused("VM.set_memory_static_max", vm, 2 * GIB) == ["VM_BAD_POWER_STATE", vm, "halted", "running"]
    pool("VM.set_memory_dynamic_min", vm, 128 * MIB)
    assert pool.record("VM", vm)["memory_dynamic_min"] == 128 * MIB


def test_processor_numbers_keep_their_order(pool: Hosting) -> None:
    vm = pool.vm()
    assert pool.refused("VM.set_VCPUs_at_startup", vm, 2)[0] == "INVALID_VALUE"
    pool("VM.set_VCPUs_max", vm, 4)
    pool("VM.set_VCPUs_at_startup", vm, 2)
    assert pool.refused("VM.set_VCPUs_max", vm, 1)[0] == "INVALID_VALUE"
    pool("VM.start", vm, False, False)
    assert pool.refused("VM.set_VCPUs_max", vm, 8) == ["VM_BAD_POWER_STATE", vm, "halted", "running"]
    pool("VM.set_VCPUs_number_live", vm, 3)
    assert pool.record("VM_metrics", pool.record("VM", vm)["metrics"])["VCPUs_number"] == 3


def test_boot_policy_and_domain_type_go_together(pool: Hosting) -> None:
    vm = pool.vm()
    pool("VM.set_domain_type", vm, "pv")
    assert pool.record("VM", vm)["HVM_boot_policy"] == ""
    pool("VM.set_HVM_boot_policy", vm, "BIOS order")
    assert pool.record("VM", vm)["domain_type"] == "hvm"


def test_firmware_strings_are_set_once(pool: Hosting) -> None:
    vm = pool.vm()
    pool("VM.set_bios_strings", vm, {"bios-vendor": "Lab"})
    assert pool.record("VM", vm)["bios_strings"]["bios-vendor"] == "Lab"
    assert pool.refused("VM.copy_bios_strings", vm, pool.host) == ["VM_BIOS_STRINGS_ALREADY_SET"]


def test_restart_priorities_are_known_by_name(pool: Hosting) -> None:
    vm = pool.running()
    assert pool.refused("VM.set_ha_restart_priority", vm, "always") == ["INVALID_VALUE", "ha_restart_priority", "always"]
    pool("VM.set_ha_restart_priority", vm, "restart")
    assert pool.record("VM", vm)["ha_always_run"]
    pool("VM.set_ha_always_run", vm, False)
    assert pool.record("VM", vm)["ha_restart_priority"] == ""


def test_free_places_are_listed(pool: Hosting) -> None:
    vm = pool.vm(disk=True)
    pool.vif(vm, device="1")
    assert "0" not in pool("VM.get_allowed_VBD_devices", vm)
    assert pool("VM.get_allowed_VIF_devices", vm) == [str(n) for n in range(16) if n != 1]


# the end -------------------------------------------------------------------------------------------------------------
def test_a_destroyed_vm_leaves_only_its_disks(pool: Hosting) -> None:
    vm = pool.vm(disk=True)
    card = pool.vif(vm)
    pool("VTPM.create", vm, False)
    record = pool.record("VM", vm)
    vdi = pool.record("VBD", record["VBDs"][0])["VDI"]
    left = {cls: set(pool.db.all(cls)) for cls in ("VBD_metrics", "VIF_metrics", "VM_metrics")}
    pool("VM.destroy", vm)
    assert not pool.db.all("VBD")
    assert not pool.db.exists("VIF", card)
    assert not pool.db.all("VTPM")
    assert pool.db.exists("VDI", vdi)
    assert all(len(set(pool.db.all(cls))) == len(before) - 1 for cls, before in left.items())
    assert pool.refused("VM.destroy", vm) == ["HANDLE_INVALID", "VM", vm]


def test_a_suspended_vm_can_be_destroyed_a_running_or_protected_one_can_not(pool: Hosting) -> None:
    vm = pool.running()
    assert pool.refused("VM.destroy", vm) == ["VM_BAD_POWER_STATE", vm, "halted, suspended", "running"]
    pool("VM.suspend", vm)
    pool("VM.destroy", vm)
    protected = pool.vm(ha_restart_priority="restart", ha_always_run=True)
    pool.db.set("pool", pool.machine.pool.pool_ref, ha_enabled=True)
    assert pool.refused("VM.destroy", protected) == ["VM_IS_PROTECTED", protected]


def test_a_vm_is_agile_when_nothing_ties_it_to_a_host(pool: Hosting) -> None:
    free, tied = pool.vm("free"), pool.vm("tied", disk=True)
    pool("VM.assert_agile", free)
    assert pool.refused("VM.assert_agile", tied) == ["HA_CONSTRAINT_VIOLATION_SR_NOT_SHARED", pool.sr]
