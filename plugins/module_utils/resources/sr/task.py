# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a task says of an SR, whether it is there already or not."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ... import hosts, tasks
from ...client import Session
from ...errors import InvalidChange
from ...fields import text_map
from ...plan import Later, Plan
from ...refs import NULL, Objects, Record
from . import types
from .state import State
from .target import Target
from .types import SrType, Wish

OPTIONS: dict[str, dict[str, t.Any]] = {
    "sm_config": {"type": "dict"},
    "host": {"type": "str"},
    "default": {"type": "bool"},
    "attach": {"type": "str", "choices": ["all", "best_effort", "as_is"], "default": "all"},
    "existing": {"type": "str", "choices": ["auto", "introduce", "keep", "overwrite"], "default": "auto"},
    "update_password": {"type": "str", "choices": ["on_create", "always"], "default": "on_create", "no_log": False},
    "destroy_data": {"type": "bool", "default": False},
    "scan": {"type": "bool", "default": False},
    "allow_disruption": {"type": "bool", "default": False},
    "lun": {"type": "int"},
    **types.arguments(),
}


@dataclass(frozen=True)
class Task:
    session: Session
    objects: Objects
    params: Record
    label: str

    def row(self, type_: str | None) -> SrType:
        """The row of a type. Raises InvalidChange for options that an SR of the type does not have."""
        if not type_:
            raise InvalidChange(
                f"The pool has no SR {self.label!r}, and the task does not say of which type it is to be.", hint="Give type."
            )
        row = types.of_name(type_)
        foreign = [o for o in ("lun", *types.arguments()) if self.params.get(o) is not None and o not in row.options]
        if foreign:
            raise InvalidChange(
                f"An SR of type {row.name} has no {' and no '.join(foreign)}.", hint=f"It has: {', '.join(sorted(row.options))}."
            )
        return row

    def wish(self, row: SrType, *, creating: bool) -> Wish:
        """device_config as far as the task names it."""
        want = types.wanted(row, self.params)
        # Target.complete finds the SCSI id of that LUN
        return {**want, "LUNid": str(self.params["lun"])} if creating and self.params.get("lun") is not None else want

    def sm_config(self, have: t.Mapping[str, str]) -> dict[str, str]:
        wanted = {**have, **text_map(self.params.get("sm_config") or {})}
        return {k: v for k, v in wanted.items() if v is not None}

    def default(self, have: bool) -> bool:
        return have if self.params.get("default") is None else bool(self.params["default"])

    def host(self) -> str:
        """Where a local SR is made, and from where a target is looked at: the host given, else the coordinator."""
        return hosts.resolve(self.objects, self.params["host"]) if self.params.get("host") else hosts.coordinator(self.objects)

    def target(self, row: SrType, host: str, own: str = "") -> Target:
        return Target(self.session, self.objects, row, host, own)

    def names(self, refs: t.Iterable[str]) -> list[str]:
        return sorted(hosts.name_of(self.objects, host) for host in refs)

    def plan_rest(self, plan: Plan, ref: str | Later, before: State | None, after: State) -> None:
        """What is the same for a new SR and an old one."""
        if before and before.sm_config != after.sm_config:
            plan.add("SR.set_sm_config", ref, after.sm_config, what=f"set sm_config of SR {self.label!r}")
        if after.default != (before.default if before else False):
            what = f"make SR {self.label!r} the pool's default" if after.default else f"make SR {self.label!r} not the pool's default"
            plan.add("pool.set_default_SR", hosts.pool_of(self.objects)[0], ref if after.default else NULL, what=what)
        plan.facts["attached_to"] = self.names(after.attached)

    def plan_scan(self, plan: Plan, find: t.Callable[[], str]) -> None:
        """A scan manages nothing, so it is no operation: it is a step without a change. find() tells the SR's reference."""

        def scanned() -> bool:
            tasks.run(self.session, "SR.scan", (find(),), timeout=3600)
            return True

        if self.params["scan"]:
            plan.wait(f"scan SR {self.label!r}", scanned, timeout=3600)
