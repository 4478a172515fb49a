# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A template that goes, with the disks that are its own."""

from __future__ import annotations

from ...disks import OWNER
from ...errors import InvalidChange
from ...plan import Plan
from ...refs import Objects, Record
from ...vms import is_default
from ..vm.part import Subject


def plan(plan_: Plan, objects: Objects, subject: Subject, label: str) -> None:
    """Disks first: a run that breaks off leaves a template that still names the others. Raises InvalidChange for a protected one."""
    refuse(objects, subject, label)
    for ref in _own(objects, subject):
        name = objects.get("VDI", ref)["name_label"]
        plan_.add("VDI.destroy", ref, what=f"delete disk {name!r} of template {label!r}", slow=True)
    kept = _kept(objects, subject)
    if kept:
        plan_.warnings.append(f"Disks of template {label!r} stay, as they are not its own: {', '.join(kept)}.")
    plan_.add("VM.destroy", subject.ref, what=f"delete template {label!r}", slow=True)


def refuse(objects: Objects, subject: Subject, label: str) -> None:
    """Raises InvalidChange for a template that must not be deleted."""
    if is_default(subject.record):
        raise InvalidChange(
            f"{label!r} is a stock template, and those are not deleted: the host makes it anew when it is updated.",
            hint="Hide it from XenCenter with other_config: {HideFromXenCenter: true} and allow_default: true.",
        )
    snapshots = [objects.get("VM", ref)["name_label"] for ref in subject.record["snapshots"] if ref in objects.all("VM")]
    if snapshots:
        raise InvalidChange(
            f"Template {label!r} still has snapshots, of the time when it was a VM: {', '.join(map(repr, sorted(snapshots)))}.",
            hint="Delete them first (xen_snapshot).",
        )
    why = subject.record["blocked_operations"].get("destroy")
    if why is not None:
        raise InvalidChange(f"Template {label!r} must not be deleted, somebody has blocked that: {why}.", code="OPERATION_BLOCKED")


def _disks(objects: Objects, subject: Subject) -> list[tuple[Record, str]]:
    rows = objects.all("VDI")
    return [(vbd, vbd["VDI"]) for vbd in subject.vbds.values() if vbd["type"] == "Disk" and vbd["VDI"] in rows]


def _is_own(objects: Objects, subject: Subject, vbd: Record, vdi: str) -> bool:
    others = [ref for ref in objects.get("VDI", vdi)["VBDs"] if ref not in subject.vbds]
    return OWNER in vbd["other_config"] and not others


def _own(objects: Objects, subject: Subject) -> list[str]:
    return list(dict.fromkeys(vdi for vbd, vdi in _disks(objects, subject) if _is_own(objects, subject, vbd, vdi)))


def _kept(objects: Objects, subject: Subject) -> list[str]:
    return sorted(
        f"{objects.get('VDI', vdi)['name_label']} ({objects.get('VDI', vdi)['uuid']})"
        for vbd, vdi in _disks(objects, subject)
        if not _is_own(objects, subject, vbd, vdi)
    )
