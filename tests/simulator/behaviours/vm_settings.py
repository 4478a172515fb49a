# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fields of a VM that have more to them than being set: template or not, vCPUs, boot, firmware. Rules: xen-api ocaml/xapi/xapi_vm.ml."""

from __future__ import annotations

import typing as t

from .. import guests, implicit, provisioning, vm_operations, vm_records
from ..errors import Fault
from ..modeltypes import NULL
from ..vm_running import refresh, running
from . import message

if t.TYPE_CHECKING:
    from ..dispatch import Call

# maps and values the model lists as messages of their own though they only set a field
VCPU_ORDER = "VCPU values must satisfy: 0 < VCPUs_at_startup \N{LESS-THAN OR EQUAL TO} VCPUs_max"
PLAIN_MAPS = ("platform", "other_config")
PLAIN = (
    "actions_after_crash", "order", "start_delay", "shutdown_delay", "has_vendor_device", "suspend_VDI",
    "protection_policy",
)  # fmt: skip


def _register_plain() -> None:
    for field in PLAIN_MAPS:
        for verb, make in (("set_", implicit.setter), ("add_to_", implicit.adder), ("remove_from_", implicit.remover)):
            message(f"VM.{verb}{field}")(make("VM", field))
    for field in PLAIN:
        message(f"VM.set_{field}")(implicit.setter("VM", field))


_register_plain()


# what is forbidden ---------------------------------------------------------------------------------------------------
def _then_refresh(handler: t.Callable[..., t.Any]) -> t.Callable[..., None]:
    def changed(call: Call, vm: str, *args: t.Any) -> None:
        handler(call, vm, *args)
        refresh(call.db, vm)

    return changed


for _verb, _make in (("set_", implicit.setter), ("add_to_", implicit.adder), ("remove_from_", implicit.remover)):
    message(f"VM.{_verb}blocked_operations")(_then_refresh(_make("VM", "blocked_operations")))


# templates -----------------------------------------------------------------------------------------------------------
@message("VM.set_is_a_template")
def set_is_a_template(call: Call, self: str, value: bool) -> None:
    """A template runs nowhere and is in no group; a VM made from one counts as installed now."""
    db, record = call.db, call.db.get("VM", self)
    if value:
        vm_operations.check(db, self, "make_into_template")
        if call.pool.pool["ha_enabled"] and record["ha_restart_priority"] == "restart":
            raise Fault("VM_IS_PROTECTED", self)
        for vusb in list(record["VUSBs"]):
            db.destroy("VUSB", vusb)
        for proxy in [ref for ref, p in db.all("PVS_proxy").items() if p["VIF"] in record["VIFs"]]:
            db.destroy("PVS_proxy", proxy)
        guests.forget(db, self)
        db.set("VM", self, metrics=NULL, guest_metrics=NULL, ha_always_run=False, groups=[])
    elif db.exists("VM_metrics", record["metrics"]):
        db.set("VM_metrics", record["metrics"], install_time=call.world.clock.iso())
    db.set("VM", self, is_a_template=value)
    refresh(db, self)


@message("VM.provision")
def provision(call: Call, vm: str) -> None:
    """A template becomes a VM and gets its disks."""
    with running(call, vm, "provision"):
        set_is_a_template(call, vm, False)
        provisioning.make_disks(call, vm)


# processors ----------------------------------------------------------------------------------------------------------
@message("VM.set_VCPUs_max")
def set_vcpus_max(call: Call, self: str, value: int) -> None:
    """Not below the number it starts with."""
    vm_operations.check(call.db, self, "changing_VCPUs")
    if value < max(1, call.db.get("VM", self)["VCPUs_at_startup"]):
        raise Fault("INVALID_VALUE", VCPU_ORDER, str(value))
    call.db.set("VM", self, VCPUs_max=value)
    vm_records.update_overhead(call.db, self)


@message("VM.set_VCPUs_at_startup")
def set_vcpus_at_startup(call: Call, self: str, value: int) -> None:
    """Counts from the next start on; at most VCPUs_max."""
    if not 1 <= value <= call.db.get("VM", self)["VCPUs_max"]:
        raise Fault("INVALID_VALUE", VCPU_ORDER, str(value))
    call.db.set("VM", self, VCPUs_at_startup=value)
    vm_records.update_overhead(call.db, self)


@message("VM.set_VCPUs_number_live")
def set_vcpus_number_live(call: Call, self: str, nvcpu: int) -> None:
    """A guest that plays along gets or loses processors while it runs."""
    with running(call, self, "changing_VCPUs_live"):
        record = call.db.get("VM", self)
        if not 1 <= nvcpu <= record["VCPUs_max"]:
            raise Fault("INVALID_VALUE", VCPU_ORDER, str(nvcpu))
        call.db.set("VM", self, VCPUs_at_startup=nvcpu)
        call.db.set("VM_metrics", record["metrics"], VCPUs_number=nvcpu)


@message("VM.add_to_VCPUs_params_live")
def add_to_vcpus_params_live(call: Call, self: str, key: str, value: str) -> None:
    """Scheduling of a running guest."""
    vm_operations.check(call.db, self, "changing_VCPUs_live")
    implicit.adder("VM", "VCPUs_params")(call, self, key, value)


# start-up and firmware -----------------------------------------------------------------------------------------------
@message("VM.set_HVM_boot_policy")
def set_hvm_boot_policy(call: Call, self: str, value: str) -> None:
    """Any policy makes it HVM, none makes it PV."""
    call.db.set("VM", self, HVM_boot_policy=value, domain_type="hvm" if value else "pv")
    vm_records.update_overhead(call.db, self)
    refresh(call.db, self)


@message("VM.set_domain_type")
def set_domain_type(call: Call, self: str, value: str) -> None:
    """The old boot policy follows."""
    policy = (call.db.get("VM", self)["HVM_boot_policy"] or "BIOS order") if value == "hvm" else ""
    call.db.set("VM", self, domain_type=value, HVM_boot_policy=policy)
    vm_records.update_overhead(call.db, self)
    refresh(call.db, self)


def _nvram(make: t.Callable[[str, str], implicit.Handler]) -> t.Callable[..., None]:
    handler = make("VM", "NVRAM")

    def changed(call: Call, self: str, *args: t.Any) -> None:
        vm_operations.check(call.db, self, "changing_NVRAM")
        handler(call, self, *args)

    return changed


for _verb, _make in (("set_", implicit.setter), ("add_to_", implicit.adder), ("remove_from_", implicit.remover)):
    message(f"VM.{_verb}NVRAM")(_nvram(_make))


@message("VM.set_bios_strings")
def set_bios_strings(call: Call, self: str, value: dict[str, str]) -> None:
    """Once, before the first start. Raises VM_BIOS_STRINGS_ALREADY_SET."""
    if call.db.get("VM", self)["bios_strings"]:
        raise Fault("VM_BIOS_STRINGS_ALREADY_SET")
    call.db.set("VM", self, bios_strings={**guests.BIOS, **value})


@message("VM.copy_bios_strings")
def copy_bios_strings(call: Call, vm: str, host: str) -> None:
    """Those of a host, once, before the first start."""
    set_bios_strings(call, vm, call.db.get("host", host)["bios_strings"])


# high availability ---------------------------------------------------------------------------------------------------
@message("VM.set_ha_restart_priority")
def set_ha_restart_priority(call: Call, self: str, value: str) -> None:
    """restart, best-effort or nothing; a running one is protected at once. Raises INVALID_VALUE."""
    if value not in ("restart", "best-effort", ""):
        raise Fault("INVALID_VALUE", "ha_restart_priority", value)
    running_now = call.db.get("VM", self)["power_state"] == "Running"
    always = value == "restart" if running_now else call.db.get("VM", self)["ha_always_run"]
    call.db.set("VM", self, ha_restart_priority=value, ha_always_run=always)


@message("VM.set_ha_always_run")
def set_ha_always_run(call: Call, self: str, value: bool) -> None:
    """The old name of the same."""
    set_ha_restart_priority(call, self, "restart" if value else "")
