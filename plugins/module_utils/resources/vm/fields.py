# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plain fields of a VM: read from the record, written by one call each."""

from __future__ import annotations

from ...fields import Field

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
