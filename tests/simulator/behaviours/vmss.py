# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Snapshot schedules. Rules: xen-api ocaml/xapi/xapi_vmss.ml, map_check.ml."""

from __future__ import annotations

import typing as t

from .. import implicit, snapshot_schedules
from ..errors import Fault
from ..modeltypes import NULL
from ..snapshot_schedules import DAYS, DEFAULTS, KEYS
from ..vm_running import refresh
from . import message

if t.TYPE_CHECKING:
    from ..database import Record
    from ..dispatch import Call

FEWEST, MOST = 1, 10
QUARTERS = ("0", "15", "30", "45")


def _refuse_number(value: int) -> None:
    if not FEWEST <= value <= MOST:
        raise Fault("INVALID_VALUE", "retained_snapshots", str(value))


def _checked(key: str, value: str, known: t.Container[str] = tuple(DEFAULTS)) -> str:
    """The value as xapi spells it. Raises INVALID_VALUE [schedule:key, what is wrong]."""
    fine = key in known
    if key == "days":
        days = value.split(",")
        wrong = [day for day in days if day.capitalize() not in DAYS]
        if fine and (wrong or len({day.lower() for day in days}) < len(days)):
            raise Fault("INVALID_VALUE", f"schedule:{key}", wrong[-1] if wrong else value)
        value = ",".join(day.capitalize() for day in days)
    elif key == "min":
        fine = fine and value in QUARTERS
    elif key == "hour":
        fine = fine and value.isdigit() and int(value) < 24
    if not fine:
        raise Fault("INVALID_VALUE", f"schedule:{key}", value)
    return value


def _complete(frequency: str, schedule: t.Mapping[str, str]) -> dict[str, str]:
    """The keys the frequency needs and no others, the missing ones as they usually are."""
    return {key: _checked(key, schedule.get(key, DEFAULTS[key])) for key in KEYS[frequency]}


def _refuse_kind(call: Call, kind: str) -> None:
    restrictions = call.pool.pool["restrictions"]
    if restrictions.get("restrict_vmss") == "true":
        raise Fault("LICENCE_RESTRICTION", "VMSS")
    if kind == "checkpoint" and restrictions.get("restrict_checkpoint") == "true":
        raise Fault("LICENCE_RESTRICTION", "Checkpoint")


@message("VMSS.create")
def create(call: Call, record: Record) -> str:
    """Runs from its next moment on."""
    _refuse_kind(call, record["type"])
    _refuse_number(record["retained_snapshots"])
    for key, value in record["schedule"].items():
        _checked(key, value, KEYS[record["frequency"]])
    schedule = _complete(record["frequency"], record["schedule"])
    vmss = call.db.create("VMSS", **{**record, "schedule": schedule})
    snapshot_schedules.arm(call.world)
    return vmss


@message("VMSS.destroy")
def destroy(call: Call, self: str) -> None:
    """Not while a VM has it (VMSS_HAS_VM); its messages go with it."""
    if call.db.get("VMSS", self)["VMs"]:
        raise Fault("VMSS_HAS_VM")
    for told in call.db.find("message", obj_uuid=call.db.get("VMSS", self)["uuid"]):
        call.db.destroy("message", told)
    call.db.destroy("VMSS", self)


@message("VMSS.snapshot_now")
def snapshot_now(call: Call, vmss: str) -> str:
    """Of all its VMs; what went wrong is told by messages."""
    _refuse_kind(call, call.db.get("VMSS", vmss)["type"])
    return str(snapshot_schedules.take(call, vmss))


@message("VMSS.set_type")
def set_type(call: Call, self: str, value: str) -> None:
    """Disks only, or memory too."""
    _refuse_kind(call, value)
    call.db.set("VMSS", self, type=value)


@message("VMSS.set_frequency")
def set_frequency(call: Call, self: str, value: str) -> None:
    """The schedule gets the keys it lacks and loses those of another frequency."""
    call.db.set("VMSS", self, frequency=value, schedule=_complete(value, call.db.get("VMSS", self)["schedule"]))


@message("VMSS.set_schedule")
def set_schedule(call: Call, self: str, value: dict[str, str]) -> None:
    """min (0, 15, 30, 45), hour, days (Monday,Tuesday...); a key that is not given stays as it is."""
    given = {key: _checked(key, text) for key, text in value.items()}
    call.db.set("VMSS", self, schedule={**call.db.get("VMSS", self)["schedule"], **given})


@message("VMSS.add_to_schedule")
def add_to_schedule(call: Call, self: str, key: str, value: str) -> None:
    """One key, which must be new."""
    implicit.adder("VMSS", "schedule")(call, self, key, _checked(key, value))


@message("VMSS.remove_from_schedule")
def remove_from_schedule(call: Call, self: str, key: str) -> None:
    """One key, there or not."""
    call.db.remove_from_map("VMSS", self, "schedule", key)


@message("VMSS.set_retained_snapshots")
def set_retained_snapshots(call: Call, self: str, value: int) -> None:
    """1 to 10 of each VM; the rest goes with the next snapshot."""
    _refuse_number(value)
    call.db.set("VMSS", self, retained_snapshots=value)


@message("VMSS.set_last_run_time")
def set_last_run_time(call: Call, self: str, value: str) -> None:
    """What counts as done."""
    call.db.set("VMSS", self, last_run_time=value)


@message("VM.set_snapshot_schedule")
def set_snapshot_schedule(call: Call, self: str, value: str) -> None:
    """Of a VM, not of a template or snapshot. Raises INVALID_VALUE [schedule], VM_IS_TEMPLATE [vm]."""
    record = call.db.get("VM", self)
    if value not in (NULL, ""):
        if record["is_control_domain"] or not call.db.exists("VMSS", value):
            raise Fault("INVALID_VALUE", value)
        if record["is_a_template"]:
            raise Fault("VM_IS_TEMPLATE", self)
    call.db.set("VM", self, snapshot_schedule=value)
    refresh(call.db, self)
