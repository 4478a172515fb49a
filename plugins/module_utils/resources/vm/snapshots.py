# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What becomes of a VM's snapshots when it goes. They are made and reverted to by a module of their own."""

from __future__ import annotations

import typing as t

from ...errors import InvalidChange
from ...plan import Plan
from ..snapshot import removal
from .part import Part, Subject


class Snapshots(Part):
    options: t.ClassVar[dict[str, dict[str, t.Any]]] = {"snapshots": {"type": "str", "choices": ["delete", "keep"]}}

    def observe(self, subject: Subject) -> dict[str, t.Any]:
        return {}

    def desire(self, have: t.Mapping[str, t.Any], subject: Subject) -> dict[str, t.Any]:
        return {}

    def remove(self, plan: Plan, subject: Subject) -> None:
        table = self.objects.all("VM")
        there = {ref: table[ref] for ref in subject.record["snapshots"] if ref in table}
        if not there:
            return
        names = sorted(record["name_label"] for record in there.values())
        wanted = self.params.get("snapshots")
        if not wanted:
            raise InvalidChange(
                f"VM {self.label!r} has snapshots: {', '.join(names)}.", hint="Set snapshots: delete if they are to go with it, or keep."
            )
        if wanted == "keep":
            plan.facts["kept_snapshots"] = names
            return
        plan.facts["deleted_snapshots"] = names
        for found in removal.newest_first(self.objects, there):
            removal.remove(plan, self.objects, found)

    def facts(self, subject: Subject) -> dict[str, t.Any]:
        table = self.objects.all("VM")
        rows = [table[ref] for ref in subject.record["snapshots"] if ref in table]
        told = [{"name": row["name_label"], "uuid": row["uuid"], "time": str(row["snapshot_time"])} for row in rows]
        return {"snapshots": sorted(told, key=lambda row: (row["time"], row["uuid"]))}
