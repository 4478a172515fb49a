# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The appliance and the VM groups a restored VM was in; an import puts it into none (xen-api: import.ml, handle VM)."""

from __future__ import annotations

import typing as t

from ...plan import Later, Plan
from ...refs import Objects, Record

WORDS = {"VM_appliance": "appliance", "VM_group": "VM group"}


def rejoin(plan: Plan, objects: Objects, vm: str | Later, details: Record, label: str) -> None:
    """Into those that the pool has by name; of the others a warning tells. details: of the manifest."""
    if appliance := _found(plan, objects, "VM_appliance", [details.get("appliance")], label):
        plan.add("VM.set_appliance", vm, appliance[0], what=f"put {label} into its appliance")
    if groups := _found(plan, objects, "VM_group", details.get("groups") or [], label):
        plan.add("VM.set_groups", vm, groups, what=f"put {label} into its VM groups")


def _found(plan: Plan, objects: Objects, cls: str, names: t.Iterable[t.Any], label: str) -> list[str]:
    """References."""
    found: list[str] = []
    for name in [str(name) for name in names if name]:
        known = cls != "VM_group" or all("groups" in vm for vm in objects.all("VM").values())  # older releases have no groups
        there = objects.named(cls, name) if known else []
        found += there if len(there) == 1 else []
        if len(there) != 1:
            plan.warnings.append(
                f"{label} was in {WORDS[cls]} {name!r}, which {'is not the only one of that name' if there else 'is not here'}."
            )
    return found
