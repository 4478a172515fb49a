# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plain fields of a VM: read from the record, written by one call each."""

from __future__ import annotations

import typing as t

from ...errors import InvalidChange
from ...fields import Field, Table
from ...refs import Objects, Record, told_names
from ...storage import Storage

NAME = Field("name_label", "name")
FIELDS = (
    Field("name_description", "description", default=""),
    Field("tags", "tags", "tags", default=()),
    Field("affinity", "affinity", "ref", default="", ref="host"),
    Field("suspend_SR", "suspend_sr", "ref", default="", ref="SR"),
    Field("actions_after_shutdown", "actions_after_shutdown", choices=("destroy", "restart")),
    Field("actions_after_reboot", "actions_after_reboot", choices=("destroy", "restart")),
    Field(
        "actions_after_crash",
        "actions_after_crash",
        choices=("destroy", "coredump_and_destroy", "restart", "coredump_and_restart", "preserve", "rename_restart"),
    ),
    Field("xenstore_data", "xenstore_data", "dict", default={}),
    Field("blocked_operations", "blocked_operations", "dict", default={}),
    Field("appliance", "appliance", "ref", default="", ref="VM_appliance"),
    Field("order", "order", "int", default=0),
    Field("start_delay", "start_delay", "int", default=0),
    Field("shutdown_delay", "shutdown_delay", "int", default=0),
    Field("snapshot_schedule", "snapshot_schedule", "ref", default="", ref="VMSS"),
    Field("ha_restart_priority", "ha_restart_priority", choices=("restart", "best-effort", "")),
)
COUNTS = ("order", "start_delay", "shutdown_delay")
# xen-api: datamodel_vm.ml (vm_operations)
OPERATIONS = (
    "snapshot", "clone", "copy", "create_template", "revert", "checkpoint", "snapshot_with_quiesce", "provision", "start", "start_on",
    "pause", "unpause", "clean_shutdown", "clean_reboot", "hard_shutdown", "power_state_reset", "hard_reboot", "suspend", "csvm",
    "resume", "resume_on", "pool_migrate", "migrate_send", "get_boot_record", "send_sysrq", "send_trigger", "query_services", "shutdown",
    "call_plugin", "changing_memory_live", "awaiting_memory_live", "changing_dynamic_range", "changing_static_range",
    "changing_memory_limits", "changing_shadow_memory", "changing_shadow_memory_live", "changing_VCPUs", "changing_VCPUs_live",
    "changing_NVRAM", "assert_operation_valid", "data_source_op", "update_allowed_operations", "make_into_template", "import", "export",
    "metadata_export", "reverting", "destroy", "create_vtpm", "sysprep",
)  # fmt: skip


class Plain(Table):
    """The plain fields of a VM, and what they cannot be."""

    def desire(self, observed: t.Mapping[str, t.Any], params: Record, objects: Objects) -> dict[str, t.Any]:
        """Raises InvalidChange."""
        want = super().desire(observed, params, objects)
        label = params.get("name") or params.get("uuid")
        negative = next((option for option in COUNTS if (params.get(option) or 0) < 0 and want[option] != observed.get(option)), "")
        if negative:
            raise InvalidChange(f"{negative} of VM {label!r} cannot be {params[negative]}.", hint="Give 0 or more; delays are in seconds.")
        known = {*OPERATIONS, *(observed.get("blocked_operations") or ())}
        unknown = [name for name in params.get("blocked_operations") or {} if name not in known and name not in known_to(objects)]
        if unknown:
            raise InvalidChange(
                f"blocked_operations of VM {label!r} names {unknown[0]!r}, which is no operation.", hint=told_names(unknown[0], OPERATIONS)
            )
        crash = want["actions_after_crash"]
        if crash != observed.get("actions_after_crash"):
            refuse_crash_action(crash, params.get("domain_type") or observed.get("domain_type"), label)
        if params.get("suspend_sr") and want["suspend_sr"] != observed.get("suspend_sr"):
            Storage(objects).for_disks(params["suspend_sr"])
        return want


def refuse_crash_action(action: t.Any, domain_type: t.Any, label: t.Any) -> None:
    """What no host does (xapi_vm_helpers.ml). Raises InvalidChange."""
    told = f"actions_after_crash of VM {label!r} cannot be {action}"
    if action == "rename_restart":
        raise InvalidChange(f"{told}: hosts do not keep a crashed domain beside its VM.", hint="Set restart.")
    if str(action).startswith("coredump") and domain_type not in ("pv", None):
        raise InvalidChange(f"{told}: only paravirtual VMs are dumped.", hint="Set destroy, restart or preserve.")


def known_to(objects: Objects) -> set[str]:
    """Operations of a newer release, as far as any VM allows them."""
    return {name for vm in objects.all("VM").values() for name in vm["allowed_operations"]}
