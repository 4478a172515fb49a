# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An SR that the pool does not have yet: created, or introduced when it lies on the target already."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, replace

from ...errors import InvalidChange, XenError
from ...plan import Later, Plan
from ...resource import Found
from . import types
from .existing import to_introduce
from .pbds import Attachment, hosts_in_order, unattachable
from .probe import Existing
from .state import TABLE, State, part
from .target import Target
from .task import Task
from .types import Config, SrType

LABELS = part("tags", "other_config")


@dataclass(frozen=True)
class Creation:
    """find: the SR, once it is there."""

    task: Task
    find: t.Callable[[], Found | None]

    def plan(self) -> Plan:
        task, params = self.task, self.task.params
        self._refuse_unknown(params.get("type"))
        row = task.row(params.get("type"))
        said = types.merged({}, task.wish(row, creating=True))
        fields = self._fields(row, said)
        where = hosts_in_order(task.objects) if fields["shared"] else [task.host()]
        self._refuse_nameless_initiator(row, where)
        target = task.target(row, where[0])
        config, found = self._look(target, said)
        sr = to_introduce(row, found, task.objects, name=task.label, uuid=params.get("uuid") or "", choice=params["existing"])
        after = State(fields, task.sm_config({}), config, where, [], task.default(False))
        plan = Plan({}, {}, facts={"introduced": bool(sr)})
        ref, attached = self._introduce(plan, after, target, sr.uuid) if sr else self._create(plan, after, target)
        after = replace(after, attached=attached)
        plan.after = after.told(task.objects)
        LABELS.changes(plan, ref, task.objects, None, task.label)
        task.plan_rest(plan, ref, None, after)
        return plan

    def _look(self, target: Target, said: Config) -> tuple[Config, list[Existing]]:
        try:
            return target.complete(said)
        except XenError as e:
            if target.row.known:
                raise
            if self.task.params["existing"] == "overwrite":
                return said, []
            e.hint = "Set existing: overwrite to create the SR without looking at what lies there."
            raise

    @property
    def _effort(self) -> str:
        return "all" if self.task.params["attach"] == "all" else "best_effort"

    def _refuse_unknown(self, type_: str | None) -> None:
        if not type_:
            return
        row = types.of_name(type_)
        known = sorted(record["type"] for record in self.task.objects.all("SM").values())
        if row.name not in known:
            raise InvalidChange(
                f"The pool has no driver for SRs of type {row.name}.", hint=f"It has: {', '.join(known)}.", code="SR_UNKNOWN_DRIVER"
            )

    def _refuse_nameless_initiator(self, row: SrType, where: list[str]) -> None:
        if row.ask != "iscsi" or self.task.params.get("local_iqn"):
            return
        records = [self.task.objects.get("host", host) for host in where]
        nameless = [r["name_label"] for r in records if not (r.get("iscsi_iqn") or r["other_config"].get("iscsi_iqn"))]
        if nameless:
            raise InvalidChange(
                f"Host {', '.join(map(repr, nameless))} has no iSCSI IQN, so it cannot log in to an iSCSI target.",
                hint="Give it one (xen_host with iscsi_iqn).",
                code="SR_BACKEND_FAILURE_97",
            )

    def _fields(self, row: SrType, config: Config) -> dict[str, t.Any]:
        local = {**types.added(row, config), **config}.get("legacy_mode") == "true"
        by_type = {"content_type": row.content_type, "shared": row.shared and not local}
        given = {k: v for k, v in self.task.params.items() if v is not None}
        fields = TABLE.desire({}, {**by_type, **given, "type": row.name}, self.task.objects)
        if fields["shared"] and self.task.params.get("host"):
            raise InvalidChange(
                "host is for local SRs; a shared SR is attached to every host.", hint="Leave host out, or set shared: false."
            )
        return fields

    def _introduce(self, plan: Plan, after: State, target: Target, uuid: str) -> tuple[Later, list[str]]:
        task, f = self.task, after.fields
        plan.warnings.append(f"SR {task.label!r} was found on the target and is taken in with its disks ({uuid}).")
        ref = plan.add(
            "SR.introduce", uuid, f["name"], f["description"], f["type"], f["content_type"], f["shared"], after.sm_config,
            what=f"introduce SR {task.label!r}",
        )  # fmt: skip
        made = Attachment(task.objects, target.row, task.label, ref, {}, after.config, {}, after.hosts, self._effort, target)
        _there, attached, _config = made.plan(plan)
        if hosts_in_order(task.objects)[0] not in attached and attached:
            # only the coordinator scans when it attaches an SR
            plan.add("SR.scan", ref, what=f"find the disks of SR {task.label!r}", slow=True)
        return ref, attached

    def _create(self, plan: Plan, after: State, target: Target) -> tuple[Later, list[str]]:
        task, f = self.task, after.fields
        missing = unattachable(plan, task.objects, target, task.label, after.hosts, after.config, self._effort)
        ref = plan.add(
            "SR.create", after.hosts[0], after.config, 0,
            f["name"], f["description"], f["type"], f["content_type"], f["shared"], after.sm_config,
            what=f"create SR {task.label!r}", slow=True,
        )  # fmt: skip
        attached = [host for host in after.hosts if host not in missing]
        # xapi makes the SR even where a host then fails to attach it (xen-api: ocaml/xapi/xapi_sr.ml)
        plan.wait(f"attach SR {task.label!r} everywhere", lambda: self._check_attached(attached), timeout=60)
        return ref, attached

    def _check_attached(self, wanted: list[str]) -> bool:
        self.task.objects.forget()
        found = self.find()
        there = State.of(found, self.task.objects).attached if found else []
        if missing := [host for host in wanted if host not in there]:
            raise XenError(
                f"SR {self.task.label!r} is there now, but host {', '.join(self.task.names(missing))} did not attach it.",
                hint="Run the task again: it attaches the SR, or tells why it cannot.",
            )
        return True
