# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Snapshots that are there for backups: taken, recognised by their mark, removed."""

from __future__ import annotations

import typing as t

from ...client import Session
from ...errors import InvalidChange
from ...plan import Plan
from ...refs import Objects, Record
from ...resource import Found
from ..snapshot import refusals, removal
from ..snapshot.cost import Cost
from ..snapshot.disks import Disk, everything, image_of
from ..snapshot.refusals import MEMORY, METHODS, QUIESCED

MARK = "domzero.xen:backup"  # other_config: id of the repository, stamp of the backup, the snapshot's own uuid
NAME = "domzero.xen backup"  # the name begins with it until there is a mark, and afterwards
KINDS = {"disk": refusals.DISK, "quiesce": QUIESCED, "memory": MEMORY}
WORKING = ("snapshot", "snapshot_with_quiesce", "checkpoint")


def name(repository: str, stamp: str) -> str:
    return f"{NAME} {repository[:8]} {stamp}"


def mark(repository: str, stamp: str, uuid: str) -> str:
    """uuid: the snapshot's own, for clones of it inherit the mark, and so do their snapshots (xapi_vm_clone.ml)."""
    return f"{repository} {stamp} {uuid}"


def stamp_of(record: Record, repository: str) -> str:
    """Of the backup of that repository it was taken for; "" for a snapshot that is none of ours."""
    words = str(record["other_config"].get(MARK, "")).split()
    if len(words) == 3 and words[2] == record["uuid"]:
        return words[1] if words[0] == repository else ""
    lead = f"{NAME} {repository[:8]} "
    return str(record["name_label"]).removeprefix(lead) if record["name_label"].startswith(lead) else ""


def ours(objects: Objects, vm: str, repository: str) -> list[Found]:
    """Those of a VM that were taken for its backups in that repository, the oldest first.

    A VM that was lost and restored with its uuid is another object; those of the lost one are its as well.
    """
    if not repository:
        return []
    table = objects.all("VM")
    told = f"('uuid' '{table[vm]['uuid']}')"

    def belongs(record: Record) -> bool:
        return record["snapshot_of"] == vm or (record["snapshot_of"] not in table and told in record.get("snapshot_metadata", ""))

    rows = [Found(ref, r) for ref, r in table.items() if r["is_a_snapshot"] and belongs(r)]
    return sorted((f for f in rows if stamp_of(f.record, repository)), key=lambda f: stamp_of(f.record, repository))


def remove(plan: Plan, objects: Objects, found: Found) -> None:
    removal.remove(plan, objects, found)


def busy(objects: Objects, vm: str, repository: str) -> str:
    """What a task that is dead may have left at work: a snapshot that is being taken, a disk that is still being read; "" for nothing."""
    under_way = sorted(set(objects.get("VM", vm)["current_operations"].values()) & set(WORKING))
    if under_way:
        return ", ".join(under_way)
    vbds, domains = objects.all("VBD"), {ref for ref, vm in objects.all("VM").items() if vm["is_control_domain"]}
    for found in ours(objects, vm, repository):
        for disk in everything(objects, found.record):
            readers = [vbds[v] for v in disk.record["VBDs"] if v in vbds and vbds[v]["VM"] in domains]
            if found.record["current_operations"] or any(v["currently_attached"] for v in readers):
                return f"disk {disk} of snapshot {found.record['name_label']!r} is being read"
    return ""


def check(
    session: Session, objects: Objects, plan: Plan, vm: Found, taken: t.Sequence[Disk], disks: t.Sequence[Disk], params: Record
) -> None:
    """Raises InvalidChange where a snapshot with these disks cannot be taken; plan gets warnings and the cost."""
    kind, label = KINDS[params["consistency"]], str(vm.record["name_label"])
    try:
        refusals.check_kind(vm.record, label, kind)
        refusals.check_disks(objects, vm.record, label, taken, disks)
        refusals.check_allowed(session, vm.ref, vm.record, label, kind)
    except InvalidChange as e:
        e.hint = _in_our_words(e.hint)
        raise
    if kind != refusals.DISK and len(taken) < len(disks):
        raise InvalidChange(
            f"VM {label!r} has disks that are left out, which consistency: {params['consistency']} cannot do.",
            hint="Take consistency: disk, or back up all disks.",
        )
    what = f"A snapshot of VM {label!r}"
    image = image_of(objects, vm.record) if kind == MEMORY else None
    refusals.check_chains(plan, objects, taken, what)
    cost = Cost(objects)
    cost.copies([*taken, *([image] if image else [])])
    if kind == MEMORY and vm.record["power_state"] == "Running":
        cost.memory(vm.record)
    cost.check(plan, what, strict=params["check_space"])
    plan.facts["cost"] = cost.told()


def _in_our_words(hint: str) -> str:
    """What the task calls kind where it is one of xen_snapshot."""
    return hint.replace("kind: memory", "consistency: memory (with mode: full)").replace("kind: disk", "consistency: disk")


def method(consistency: str) -> str:
    return f"VM.{METHODS[KINDS[consistency]]}"
