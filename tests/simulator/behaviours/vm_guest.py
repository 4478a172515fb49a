# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked of a guest or its firmware. Rules: xen-api ocaml/xapi/xapi_vm.ml."""

from __future__ import annotations

import base64
import typing as t

from .. import vm_operations
from ..errors import Fault
from ..vm_running import refresh
from . import message

if t.TYPE_CHECKING:
    from ..dispatch import Call

AGENT_PLUGIN = "guest-agent-operation"
GUEST_FUNCTIONS = ("run-script", "request-rdp-on", "request-rdp-off")
VARIABLES = "EFI-variables"  # in VM.NVRAM; the simulator's firmware keeps its mode there


@message("VM.call_plugin")
def call_plugin(call: Call, vm: str, plugin: str, fn: str, args: dict[str, str]) -> str:
    """Only the guest agent's own, whose functions no simulated guest has."""
    vm_operations.check(call.db, vm, "call_plugin")
    if plugin != AGENT_PLUGIN:
        raise Fault("XENAPI_MISSING_PLUGIN", plugin)
    what, text = "failed to find fn", f'The requested fn "{fn}" could not be found in plugin "{plugin}".'
    if fn in GUEST_FUNCTIONS:
        what, why = "failed to execute fn", "could not be executed for lack of guest agent control feature"
        text = f'The requested fn "{fn}" of plugin "{plugin}" {why}.'
    raise Fault("XENAPI_PLUGIN_FAILURE", what, text, text)


@message("VM.call_host_plugin")
def call_host_plugin(call: Call, vm: str, plugin: str, fn: str, args: dict[str, str]) -> str:
    """On the VM's host."""
    vm_operations.check(call.db, vm, "call_plugin")
    return str(call.call("host.call_plugin", call.db.get("VM", vm)["resident_on"], plugin, fn, args))


@message("VM.send_sysrq")
def send_sysrq(call: Call, vm: str, key: str) -> None:
    """xapi has never done it."""
    vm_operations.check(call.db, vm, "send_sysrq")
    raise Fault("NOT_IMPLEMENTED", "send_sysrq")


@message("VM.send_trigger")
def send_trigger(call: Call, vm: str, trigger: str) -> None:
    """xapi has never done it."""
    vm_operations.check(call.db, vm, "send_trigger")
    raise Fault("NOT_IMPLEMENTED", "send_trigger")


@message("VM.restart_device_models")
def restart_device_models(call: Call, self: str) -> None:
    """A migration to where the guest is."""
    call.call("VM.pool_migrate", self, call.db.get("VM", self)["resident_on"], {})


@message("VM.retrieve_wlb_recommendations")
def retrieve_wlb_recommendations(call: Call, vm: str) -> None:
    """There is no workload balancing server."""
    call.db.get("VM", vm)
    raise Fault("WLB_NOT_INITIALIZED")


# groups --------------------------------------------------------------------------------------------------------------
@message("VM.set_groups")
def set_groups(call: Call, self: str, value: list[str]) -> None:
    """At most one. Raises TOO_MANY_GROUPS, OPERATION_NOT_ALLOWED for what is no ordinary VM."""
    record = call.db.get("VM", self)
    for group in value:
        call.db.get("VM_group", group)
    if record["is_control_domain"] or record["is_a_template"] or record["is_a_snapshot"]:
        raise Fault("OPERATION_NOT_ALLOWED", "Control domains, templates and snapshots cannot be in VM groups")
    if len(value) > 1:
        raise Fault("TOO_MANY_GROUPS")
    call.db.set("VM", self, groups=value)
    refresh(call.db, self)


# secure boot ---------------------------------------------------------------------------------------------------------
def _is_uefi(record: dict[str, t.Any]) -> bool:
    return bool(record["HVM_boot_params"].get("firmware") == "uefi")


@message("VM.set_uefi_mode")
def set_uefi_mode(call: Call, self: str, mode: str) -> str:
    """Which keys the firmware has: setup has none, user the pool's. Only of a halted UEFI VM."""
    vm_operations.check(call.db, self, "changing_NVRAM")
    if not _is_uefi(call.db.get("VM", self)):
        raise Fault("OPERATION_NOT_ALLOWED", "The VM does not boot with UEFI")
    call.db.add_to_map("VM", self, "NVRAM", VARIABLES, base64.b64encode(mode.encode()).decode())
    return ""


@message("VM.get_secureboot_readiness")
def get_secureboot_readiness(call: Call, self: str) -> str:
    """Whether secure boot would work at the next start."""
    record = call.db.get("VM", self)
    if not _is_uefi(record):
        return "not_supported"
    if record["platform"].get("secureboot") not in ("true", "auto"):
        return "disabled"
    kept = record["NVRAM"].get(VARIABLES)
    if kept is None:
        return "first_boot"
    return "setup_mode" if kept == base64.b64encode(b"setup").decode() else "ready"
