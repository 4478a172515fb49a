# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An SR that the pool has: its fields, its attachments (repair), its configuration, its passwords."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ...errors import InvalidChange
from ...plan import Plan
from ...resource import Found
from . import types
from .pbds import Attachment, Pbds, hosts_in_order, pbds_of
from .state import TABLE, State, part
from .task import Task
from .types import SrType

SHARED = part("shared")
OTHERS = part("name", "description", "content_type", "tags", "other_config")


@dataclass(frozen=True)
class Change:
    task: Task
    found: Found

    def plan(self) -> Plan:
        task, found = self.task, self.found
        self._refuse_type()
        row, pbds, before = task.row(found.record["type"]), pbds_of(task.objects, found.ref), State.of(found, task.objects)
        after = replace(
            before,
            fields=TABLE.desire(before.fields, {**task.params, "type": None}, task.objects),
            sm_config=task.sm_config(before.sm_config),
            default=task.default(before.default),
        )
        plan = Plan(before.told(task.objects), after.told(task.objects))
        self._refuse_move(after, pbds)
        # first: only a shared SR takes a second PBD
        SHARED.changes(plan, found.ref, task.objects, found.record, task.label)
        there, attached, config = self._attachment(row, pbds, after).plan(plan)
        after = replace(after, hosts=there, attached=attached, config=config)
        plan.after = after.told(task.objects)
        # afterwards: a new name is passed on to the driver, which needs the SR attached (xen-api: ocaml/xapi/xapi_sr.ml)
        OTHERS.changes(plan, found.ref, task.objects, found.record, task.label)
        task.plan_rest(plan, found.ref, before, after)
        self._renew_secrets(plan, row, pbds)
        return plan

    def _refuse_type(self) -> None:
        have, want = self.found.record["type"], self.task.params.get("type")
        if want and types.of_name(want) != types.of_name(have):
            raise InvalidChange(
                f"SR {self.task.label!r} is of type {have}, the task wants {want}: the type is fixed when it is created.",
                hint="Give the new SR another name, or remove the old one first.",
            )

    def _refuse_move(self, after: State, pbds: Pbds) -> None:
        task = self.task
        if not after.fields["shared"] and len(pbds) > 1 and task.params.get("shared") is False:
            raise InvalidChange(
                f"SR {task.label!r} is known to {len(pbds)} hosts and cannot become a local one.", code="SR_HAS_MULTIPLE_PBDS"
            )
        if not after.fields["shared"] and task.params.get("host") and pbds and task.host() not in pbds:
            there = ", ".join(task.names(pbds))
            raise InvalidChange(
                f"SR {task.label!r} lies on host {there} and cannot move to {task.params['host']}.", hint="Correct host or uuid."
            )

    def _attachment(self, row: SrType, pbds: Pbds, after: State) -> Attachment:
        task, ref, effort = self.task, self.found.ref, self.task.params["attach"]
        where = hosts_in_order(task.objects) if after.fields["shared"] else list(pbds) or [task.host()]
        target = task.target(row, where[0], ref)
        config, want = after.config, task.wish(row, creating=not pbds)
        if not pbds and effort != "as_is":
            # no PBD tells how to reach it, the task has to
            config, srs = target.complete(types.merged({}, want))
            want = {}
            uuid = self.found.record["uuid"]
            if srs and uuid not in {s.uuid for s in srs}:
                raise InvalidChange(f"SR {task.label!r} ({uuid}) is not on the target.", hint="Correct where it lies.")
        return Attachment(task.objects, row, task.label, ref, pbds, config, want, where, effort, target)

    def _renew_secrets(self, plan: Plan, row: SrType, pbds: Pbds) -> None:
        """update_password: always. In place: the next login uses it."""
        task = self.task
        given = {f"{k.api}_secret": k for k in row.keys if k.secret and task.params.get(k.option) is not None}
        if task.params["update_password"] != "always" or not given:
            return
        kept = {uuid: given[key] for _ref, pbd in pbds.values() for key, uuid in pbd["device_config"].items() if key in given}
        for ref, secret in task.objects.all("secret").items():
            key = kept.get(secret["uuid"])
            if key and secret["value"] != task.params[key.option]:
                plan.add("secret.set_value", ref, task.params[key.option], what=f"renew {key.option} of SR {task.label!r}")
