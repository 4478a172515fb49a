# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Schedules that take snapshots of VMs by themselves (VMSS). Rules: xen-api ocaml/xapi/xapi_vmss.ml, map_check.ml."""

from __future__ import annotations

import typing as t

from ..client import Session
from ..errors import InvalidChange
from ..fields import Field, Table
from ..members import Members
from ..plan import Later, Plan
from ..refs import NULL, Record
from ..resource import TASK, Found, Resource
from ..wiring import quoted

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MINUTES = (0, 15, 30, 45)
KEYS = {"hourly": ("min",), "daily": ("hour", "min"), "weekly": ("days", "hour", "min")}
DEFAULTS: dict[str, t.Any] = {"min": 0, "hour": 0, "days": ["Monday"]}
MOST = 10
SINCE = "XenServer 7.2"


class SnapshotSchedule(Resource):
    plural = "snapshot_schedules"
    table = Table(
        "VMSS",
        (
            Field("name_label", "name"),
            Field("name_description", "description", default=""),
            Field("type", "type", default="snapshot", choices=("snapshot", "checkpoint", "snapshot_with_quiesce")),
            Field("retained_snapshots", "retained_snapshots", "int", default=7),
            Field("frequency", "frequency", default="daily", choices=tuple(KEYS)),
            Field("enabled", "enabled", "bool", default=True),
        ),
    )
    options: t.ClassVar[dict[str, dict[str, t.Any]]] = {
        "schedule": {
            "type": "dict",
            "options": {
                "min": {"type": "int", "choices": list(MINUTES)},
                "hour": {"type": "int"},
                "days": {"type": "list", "elements": "str"},
            },
        },
        "vms": {"type": "list", "elements": "str"},
        "take_over": {"type": "bool", "default": False},
        "snapshot_now": {"type": "bool", "default": False},
    }
    rules: t.ClassVar[dict[str, t.Any]] = {"required_one_of": [["name", "uuid"]]}

    def __init__(self, session: Session, params: Record):
        super().__init__(session, params)
        self.members = Members(self.objects, "VMSS", "snapshot_schedule", "snapshot schedule")

    @classmethod
    def key(cls) -> str:
        return "snapshot_schedule"

    def candidates(self) -> dict[str, Record]:
        return self.members.owners(SINCE)

    # what is and what is to be --------------------------------------------------------
    def observe(self, found: Found) -> dict[str, t.Any]:
        frequency, held = found.record["frequency"], found.record["schedule"]
        told = {key: _read(key, held[key]) if key in held else DEFAULTS[key] for key in KEYS[frequency]}
        return {**super().observe(found), "schedule": told, "vms": self.members.of(found.record)}

    def facts(self, found: Found) -> dict[str, t.Any]:
        last = str(found.record["last_run_time"])
        return {"last_run_time": "" if last.startswith("1970") else last}

    def desire(self, before: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
        after = super().desire(before)
        if not 1 <= after["retained_snapshots"] <= MOST:
            raise InvalidChange(
                f"Schedule {self.label!r} cannot keep {after['retained_snapshots']} snapshots of each VM.", hint=f"It keeps 1 to {MOST}."
            )
        vms = self.params.get("vms")
        after["vms"] = before.get("vms", []) if vms is None else self.members.wanted(vms)
        after["schedule"] = self._schedule(after["frequency"], before.get("schedule", {}))
        return after

    def _schedule(self, frequency: str, have: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
        given = {key: value for key, value in (self.params.get("schedule") or {}).items() if value is not None}
        foreign = sorted(set(given) - set(KEYS[frequency]))
        if foreign:
            needed = ", ".join(KEYS[frequency])
            raise InvalidChange(f"A schedule that is {frequency} has no {' and no '.join(foreign)}.", hint=f"It has: {needed}.")
        if not 0 <= given.get("hour", 0) <= 23:
            raise InvalidChange(f"{given['hour']} is no hour of a day.", hint="Give 0 to 23, by the clock of the coordinator.")
        if "days" in given:
            given["days"] = _days(given["days"])
        return {key: given.get(key, have.get(key, DEFAULTS[key])) for key in KEYS[frequency]}

    # changing -------------------------------------------------------------------------
    def create(self, plan: Plan) -> Later:
        self._refuse_quiesce(plan)
        record = {**self.table.record(plan.after, self.objects), "schedule": _wire(plan.after["schedule"])}
        ref = plan.add("VMSS.create", record, what=f"create snapshot schedule {self.label!r}")
        self._join(plan, ref)
        return ref

    def update(self, plan: Plan, found: Found) -> None:
        self._refuse_quiesce(plan)
        super().update(plan, found)
        if plan.before["schedule"] != plan.after["schedule"]:
            plan.add("VMSS.set_schedule", found.ref, _wire(plan.after["schedule"]), what=f"set the times of schedule {self.label!r}")
        self.members.plan_leaving(plan, plan.before["vms"], plan.after["vms"], self.label)
        self._join(plan, found.ref)

    def destroy(self, plan: Plan, found: Found) -> None:
        """xapi refuses while it has VMs (VMSS_HAS_VM); their snapshots stay."""
        for ref, vm in self.objects.all("VM").items():
            if vm.get("snapshot_schedule", NULL) == found.ref:
                label = self.members.vms.label(ref)
                plan.add("VM.set_snapshot_schedule", ref, NULL, what=f"take VM {label!r} out of schedule {self.label!r}")
        super().destroy(plan, found)

    def _join(self, plan: Plan, ref: str | Later) -> None:
        joining = set(plan.after["vms"]) - set(plan.before.get("vms", []))
        self.members.plan_joining(plan, ref, joining, self.label, take_over=self.params["take_over"])
        if self.params["snapshot_now"]:
            if not plan.after["vms"]:
                raise InvalidChange(f"Schedule {self.label!r} has no VMs to take snapshots of.", hint="Give vms.")
            plan.add("VMSS.snapshot_now", ref, what=f"take the snapshots of schedule {self.label!r}", run=self._now)

    def _now(self, ref: str) -> str:
        """There is no task for it, so the answer takes as long as the snapshots do."""
        return str(self.session.call("VMSS.snapshot_now", ref, timeout=TASK))

    def _refuse_quiesce(self, plan: Plan) -> None:
        vms = {vm: self.objects.get("VM", self.members.vms.resolve(vm)) for vm in plan.after["vms"]}
        unable = [vm for vm, record in vms.items() if "snapshot_with_quiesce" not in record["allowed_operations"]]
        changed = any(plan.before.get(option) != plan.after[option] for option in ("type", "vms"))
        if plan.after["type"] == "snapshot_with_quiesce" and unable and changed:
            raise InvalidChange(
                f"These VMs cannot be snapshotted quiesced: {quoted(unable)}. Releases since 8.1 never do.", hint="Take type: snapshot."
            )


def _days(given: t.Iterable[str]) -> list[str]:
    """In the order of the week. Raises InvalidChange."""
    names = {day.lower(): day for day in DAYS}
    wrong = [day for day in given if str(day).strip().lower() not in names]
    if wrong or not given:
        raise InvalidChange(f"{wrong[0]!r} is no day." if wrong else "There is no day in days.", hint=f"Days are {', '.join(DAYS)}.")
    return sorted({names[str(day).strip().lower()] for day in given}, key=DAYS.index)


def _read(key: str, text: str) -> t.Any:
    if key == "days":
        return sorted({day.strip().capitalize() for day in text.split(",")} & set(DAYS), key=DAYS.index)
    return int(text)


def _wire(schedule: t.Mapping[str, t.Any]) -> dict[str, str]:
    return {key: ",".join(value) if key == "days" else str(value) for key, value in schedule.items()}
