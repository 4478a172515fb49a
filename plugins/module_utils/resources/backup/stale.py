# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tasks on the pool that a killed backup left: they would show for a day how far it had come."""

from __future__ import annotations

from ...plan import Plan
from ...refs import Objects
from ...tasks import quietly
from .snapshots import MARK


class Stale:
    """Of one VM, host or pool (uuid) and one repository. note: the description of their tasks; "" as long as there is no repository."""

    def __init__(self, repository: str, uuid: str):
        self.note = f"{MARK} {repository} {uuid}" if repository else ""

    def remove(self, plan: Plan, objects: Objects) -> None:
        """Those that are there, while nobody else works on the same backups."""
        rows = objects.session.call("task.get_all_records") if self.note else {}
        found = [ref for ref, record in rows.items() if record["name_description"] == self.note]

        def end(task: str) -> None:
            """One that still goes on, as far as the pool knows, is ended first: else it would stay. None of it does harm if it fails."""
            quietly(objects.session, "task.set_status", task, "cancelled")
            quietly(objects.session, "task.destroy", task)

        for ref in found:
            plan.add("task.destroy", ref, what="remove the task of a backup that was killed", run=end)
