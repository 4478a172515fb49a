# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Snapshots are deleted, with their disks and the memory they keep."""

from __future__ import annotations

import fnmatch
import typing as t

from ...errors import InvalidChange
from ...plan import Plan
from ...refs import Objects, Record
from ...resource import Found
from .disks import alone, disks_of
from .telling import path


def remove(plan: Plan, objects: Objects, found: Found) -> None:
    """The disks first: while the record is there, an interrupted run is finished by the next one. A disk others use stays."""
    ref, record = found.ref, found.record
    name = f"snapshot {record['name_label']!r}"
    if record["power_state"] != "Halted":
        plan.add("VM.hard_shutdown", ref, what=f"discard the memory that {name} keeps", slow=True)
    for disk in alone(objects, disks_of(objects, record), ref):
        plan.add("VDI.destroy", disk.vdi, what=f"delete disk {disk} of {name}", slow=True)
    plan.add("VM.destroy", ref, what=f"delete {name}", slow=True)


def newest_first(objects: Objects, rows: t.Mapping[str, Record]) -> list[Found]:
    """Of two from the same second the one that stands on the other is newer."""
    found, table = (Found(ref, r) for ref, r in rows.items()), objects.all("VM")
    return sorted(found, key=lambda f: (str(f.record["snapshot_time"]), len(path(table, f.ref)), f.record["uuid"]), reverse=True)


def prune(plan: Plan, objects: Objects, rows: t.Mapping[str, Record], params: Record) -> None:
    """All but the newest of those that match. Raises InvalidChange when nothing says which ones that may be."""
    pattern, tags = params.get("matching"), set(params.get("tagged") or ())
    if not pattern and not tags:
        raise InvalidChange("The task does not say which snapshots may be deleted.", hint="Give matching (nightly-*) or tagged.")
    if params["keep"] < 0:
        raise InvalidChange(f"keep is {params['keep']}: fewer than none cannot be kept.")
    every = newest_first(objects, rows)
    matched = [
        f for f in every if (not pattern or fnmatch.fnmatchcase(f.record["name_label"], pattern)) and tags <= set(f.record.get("tags", ()))
    ]
    kept, gone = matched[: params["keep"]], matched[params["keep"] :]
    for found in reversed(gone):
        remove(plan, objects, found)
    left = [f for f in every if f not in gone]
    plan.before, plan.after = {"snapshots": _names(every)}, {"snapshots": _names(left)}
    plan.facts.update(deleted=[_told(f) for f in gone], kept=[_told(f) for f in kept])
    plan.silent = True  # there is no one object to look at afterwards


def _names(found: t.Iterable[Found]) -> list[str]:
    return [f.record["name_label"] for f in found]


def _told(found: Found) -> dict[str, str]:
    return {"name": found.record["name_label"], "uuid": found.record["uuid"], "time": str(found.record["snapshot_time"])}
