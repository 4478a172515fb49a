# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fields of a VM that have more to them than being set: template or not, vCPUs, boot, firmware. Rules: xen-api ocaml/xapi/xapi_vm.ml."""

from __future__ import annotations

import typing as t

from .. import guests, implicit, provisioning, vm_operations, vm_records
from ..disks.guest import Disks
from ..errors import Fault
from ..modeltypes import NULL
from ..vm_running import refresh, running
from . import message

if t.TYPE_CHECKING:
    from ..dispatch import Call

# maps and values the model lists as messages of their own though they only set a field
VCPU_ORDER = "VCPU values must satisfy: 0 < VCPUs_at_startup \N{LESS-THAN OR EQUAL TO} VCPUs_max"
PLAIN_MAPS = ("platform", "other_config")
NOT_NEGATIVE = ("order", "start_delay", "shutdown_delay")
SETTABLE_STRINGS = (
    "bios-vendor", "bios-version", "system-manufacturer", "system-product-name", "system-version", "system-serial-number",
    "baseboard-manufacturer", "baseboard-product-name", "baseboard-version", "baseboard-serial-number", "baseboard-asset-tag",
    "baseboard-location-in-chassis", "enclosure-asset-tag",
)  # fmt: skip
LONGEST_STRING = 512


def _register_plain() -> None:
    for field in PLAIN_MAPS:
        for verb, make in (("set_", implicit.setter), ("add_to_", implicit.adder), ("remove_from_", implicit.remover)):
            message(f"VM.{verb}{field}")(make("VM", field))
    for field in NOT_NEGATIVE:
        message(f"VM.set_{field}")(_not_negative(field))


def _not_negative(field: str) -> implicit.Handler:
    def change(call: Call, vm: str, value: int) -> None:
        if value < 0:
            raise Fault("INVALID_VALUE", f"{field} must be non-negative", str(value))
        call.db.set("VM", vm, **{field: value})

    return change


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
    """xapi has not done it since it leaves domains to xenopsd."""
    vm_operations.check(call.db, self, "changing_VCPUs_live")
    raise Fault("NOT_IMPLEMENTED", "add_to_VCPUs_params_live")


@message("VM.set_actions_after_crash")
def set_actions_after_crash(call: Call, self: str, value: str) -> None:
    """Only PV domains are dumped. Raises VALUE_NOT_SUPPORTED [field, value, why]."""
    why = "option would leak a domain; VMs and not domains are managed by this API" if value == "rename_restart" else ""
    if value.startswith("coredump") and call.db.get("VM", self)["domain_type"] != "pv":
        why = "cannot invoke a coredump of an HVM or PV-in-PVH domain"
    if why:
        raise Fault("VALUE_NOT_SUPPORTED", "VM.actions_after_crash", value, why)
    call.db.set("VM", self, actions_after_crash=value)


# what is plugged in and kept -----------------------------------------------------------------------------------------
@message("VM.set_has_vendor_device")
def set_has_vendor_device(call: Call, self: str, value: bool) -> None:
    """Of a halted one."""
    vm_operations.assert_power_state(call.db, self, "Halted")
    call.db.set("VM", self, has_vendor_device=value)


@message("VM.set_suspend_VDI")
def set_suspend_vdi(call: Call, self: str, value: str) -> None:
    """An equal image takes the place of a suspended VM's. Raises SUSPEND_VDI_REPLACEMENT_IS_NOT_IDENTICAL."""
    db = call.db
    vm_operations.assert_power_state(db, self, "Suspended")
    new, old = db.get("VDI", value), db.get("VM", self)["suspend_VDI"]
    if new["type"] == "cbt_metadata":
        raise Fault("VDI_INCOMPATIBLE_TYPE", self, "cbt_metadata")
    if old != value and db.exists("VDI", old):
        sums = [Disks(call.world).digest(vdi["uuid"]) for vdi in (db.get("VDI", old), new)]
        if sums[0] != sums[1]:
            named = (f"{vdi['uuid']} : {digest}" for vdi, digest in zip((db.get("VDI", old), new), sums))
            raise Fault("SUSPEND_VDI_REPLACEMENT_IS_NOT_IDENTICAL", *named)
    db.set("VM", self, suspend_VDI=value)


@message("VM.set_protection_policy")
def set_protection_policy(call: Call, self: str, value: str) -> None:
    """There are none any more."""
    call.db.get("VM", self)
    raise Fault("MESSAGE_REMOVED")


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
    if value == "unspecified":
        raise Fault("INVALID_VALUE", "domain_type", value)
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
    """Once, before the first start. Raises VM_BIOS_STRINGS_ALREADY_SET; INVALID_VALUE for a key or value that can't be."""
    if call.db.get("VM", self)["bios_strings"]:
        raise Fault("VM_BIOS_STRINGS_ALREADY_SET")
    for key, text in value.items():
        wrong = _wrong_string(key, text)
        if wrong:
            raise Fault("INVALID_VALUE", key, wrong)
    call.db.set("VM", self, bios_strings={**guests.BIOS, **value})


def _wrong_string(key: str, text: str) -> str | None:
    if key not in SETTABLE_STRINGS:
        return "Unknown key"
    if not text:
        return "Value provided is empty"
    if len(text) > LONGEST_STRING:
        return f"{text} has length more than {LONGEST_STRING} characters"
    return None if text.isascii() and text.isprintable() else f"{text} has non-printable ASCII characters"


@message("VM.copy_bios_strings")
def copy_bios_strings(call: Call, vm: str, host: str) -> None:
    """Those of a host, once, before the first start. Raises VM_BIOS_STRINGS_ALREADY_SET."""
    if call.db.get("VM", vm)["bios_strings"]:
        raise Fault("VM_BIOS_STRINGS_ALREADY_SET")
    call.db.set("VM", vm, bios_strings={**guests.BIOS, **call.db.get("host", host)["bios_strings"]})


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
