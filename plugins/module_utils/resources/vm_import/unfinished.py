# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Imports that nobody brought to an end. The task of an upload bears the mark of the import, and the VM and disks it makes bear the task
(other_config and sm_config: import_task), so that the next run knows what became of it."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ... import tasks
from ...errors import InvalidChange, Timeout, XenError
from ...plan import Plan
from ...refs import NULL, Objects, Record

SETTLES = 5.0  # seconds in which an import whose client is gone has ended


@dataclass
class Unfinished:
    """vm: what an upload made that came to its end; tasks: theirs."""

    vm: str = ""
    tasks: list[str] = field(default_factory=list)

    def clear(self, plan: Plan, objects: Objects, label: str) -> None:
        """What failed uploads left goes, if they left anything, and then their tasks."""
        for cls, ref in [] if self.vm else made_by(objects, self.tasks):
            plan.add(f"{cls}.destroy", ref, what=f"remove what an import of {label} left", slow=True)
        self.forget(plan)

    def forget(self, plan: Plan) -> None:
        for ref in self.tasks:
            plan.add("task.destroy", ref, what="remove the task of an earlier import")


def look_for(objects: Objects, mark: str) -> Unfinished:
    """Raises InvalidChange if it is not unfinished but under way."""
    found = Unfinished()
    for ref, record in objects.session.call("task.get_all_records").items():
        if record["name_description"] != mark:
            continue
        record = _settled(objects, ref, record)
        if record["status"] == "pending" and "object_creation" in record["other_config"]:
            raise InvalidChange(
                "This import is under way already, begun by another task.", hint=f"Wait for it to end: {record['name_label']}."
            )
        found.tasks.append(ref)
        if record["status"] == "success":
            result = tasks.result_of(record["result"])
            refs = [result] if isinstance(result, str) else result
            found.vm = next((vm for vm in refs if vm in objects.all("VM")), found.vm)
    return found


def _settled(objects: Objects, ref: str, record: Record) -> Record:
    if record["status"] not in ("pending", "cancelling"):
        return record
    try:
        return tasks.ended(objects.session, ref, "the earlier import", SETTLES)
    except Timeout:
        return t.cast("Record", objects.session.call("task.get_record", ref))


def made_by(objects: Objects, refs: t.Collection[str]) -> list[tuple[str, str]]:
    """Disks and VMs that these imports made and that are still there."""
    vdis = [(ref, row) for ref, row in objects.all("VDI").items() if row["sm_config"].get("import_task", NULL) in refs]
    vms = [(ref, row) for ref, row in objects.all("VM").items() if row["other_config"].get("import_task", NULL) in refs]
    return [("VDI", ref) for ref, _row in vdis] + [("VM", ref) for ref, _row in vms]


def tidy_up(objects: Objects, task: str) -> list[str]:
    """An upload failed: the pool has removed what it made; should something be left, it goes. What could not be removed, by name."""
    left = []
    try:
        for cls, ref in made_by(objects, [task]):
            try:
                objects.session.call(f"{cls}.destroy", ref)
            except XenError:
                left.append(f"{cls} {objects.get(cls, ref)['name_label']!r} ({objects.get(cls, ref)['uuid']})")
    except XenError:
        return left  # the pool does not answer; the next run looks
    return left
