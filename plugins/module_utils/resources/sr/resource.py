# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Storage repositories as a resource: found, read, and handed to what plans their creation, change or removal."""

from __future__ import annotations

import typing as t

from ... import hosts, tasks
from ...errors import Ambiguous, NotFound
from ...plan import Plan
from ...resource import Found, Resource
from .change import Change
from .creation import Creation
from .pbds import pbds_of
from .removal import plan_removal
from .state import TABLE, State
from .task import OPTIONS, Task


class Sr(Resource):
    plural = "srs"
    states = ("present", "absent", "forgotten")
    table = TABLE
    options = OPTIONS

    @property
    def task(self) -> Task:
        return Task(self.session, self.objects, self.params, self.label)

    def find(self) -> Found | None:
        """By uuid or name; of several local SRs of one name that of the host given. Raises Ambiguous."""
        found = self._known()
        if not found and self.params.get("state") == "present" and self._creation_ended():
            found = self._known()
        return found

    def _known(self) -> Found | None:
        text = self.params.get("uuid") or self.params["name"]
        found = self.objects.named("SR", text)
        if self.params.get("host") and not self.params.get("uuid"):
            host = self.task.host()
            here = [ref for ref in found if host in pbds_of(self.objects, ref)]
            # one without any PBD is what an interrupted run leaves
            found = here or [ref for ref in found if not pbds_of(self.objects, ref)]
        if len(found) > 1:
            shown = ", ".join(f"{self.objects.get('SR', ref)['uuid']} ({self._where(ref)})" for ref in found)
            raise Ambiguous(f"{len(found)} SRs are named {text!r}: {shown}.", hint="Tell them apart with host or uuid.")
        return Found(found[0], self.objects.get("SR", found[0])) if found else None

    def _where(self, ref: str) -> str:
        names = self.task.names(pbds_of(self.objects, ref))
        return f"on {', '.join(names)}" if names else "on no host"

    def observe(self, found: Found) -> dict[str, t.Any]:
        return State.of(found, self.objects).told(self.objects)

    def facts(self, found: Found) -> dict[str, t.Any]:
        """Sizes in bytes, -1 where xapi does not know them yet."""
        record = found.record
        sizes = {key: int(record[key]) for key in ("physical_size", "physical_utilisation", "virtual_allocation")}
        pbds = pbds_of(self.objects, found.ref).items()
        attachment = {hosts.name_of(self.objects, host): pbd["currently_attached"] for host, (_ref, pbd) in pbds}
        return {**sizes, "attachment": attachment, "disks": len(record["VDIs"]), "sm_config": dict(record["sm_config"])}

    def plan(self, found: Found | None) -> Plan:
        if self.params["state"] != "present":
            plan = Plan(self.observe(found) if found else {}, {})
            if found:
                plan_removal(plan, self.objects, found, self.label, self.params)
            return plan
        plan = Change(self.task, found).plan() if found else Creation(self.task, self.find).plan()
        self.task.plan_scan(plan, self._ref)
        return plan

    def _ref(self) -> str:
        self.objects.forget()
        found = self.find()
        if not found:
            raise NotFound(f"SR {self.label!r} is not there any more.")
        return found.ref

    def _creation_ended(self) -> bool:
        """Waits for an SR.create whose answer somebody lost: it may make the very SR. Whether there was one."""

        def pending() -> bool:
            found = self.session.call("task.get_all_records").values()
            return any(tasks.is_of(task, "SR.create") for task in found)

        if not pending():
            return False
        tasks.wait_until("an SR.create that is under way", lambda: not pending(), timeout=600)
        self.objects.forget()
        return True
