# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Snapshot schedules: when they are due, taking and keeping snapshots (xen-api: ocaml/xapi/xapi_vmss.ml, its plugin vmss).

The coordinator looks every quarter of an hour of virtual time. Where time does not count (speed 0) schedules do not run by themselves, for
there they would run without end; VMSS.snapshot_now works always.
"""

from __future__ import annotations

import datetime
import threading
import typing as t

from . import hosts
from .agenda import scheduled
from .clock import epoch, iso
from .dispatch import Call
from .errors import Fault

if t.TYPE_CHECKING:
    from .database import Database, Record
    from .world import Pool, World

TICK = "snapshot schedules"
QUARTER = 900.0
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
KEYS = {"hourly": ("min",), "daily": ("hour", "min"), "weekly": ("hour", "min", "days")}
DEFAULTS = {"min": "0", "hour": "0", "days": "Monday"}
MESSAGES = {"snapshot": "VM.snapshot", "checkpoint": "VM.checkpoint", "snapshot_with_quiesce": "VM.snapshot_with_quiesce"}


def arm(world: World) -> None:
    """Somebody looks at the schedules from now on."""
    if world.clock.speed and not any(entry["action"] == TICK for entry in world.agenda):
        now = world.clock.now()
        world.after(QUARTER - now % QUARTER, TICK)


@scheduled(TICK)
def look(world: World) -> None:
    """What is due is taken, in a thread of its own for it takes time; then on to the next quarter."""
    if any(pool.db.all("VMSS") for pool in world.pools):
        arm(world)
    for pool in world.pools:
        if pool.coordinator.power != "on":
            continue
        for ref, record in list(pool.db.all("VMSS").items()):
            if record["enabled"] and record["VMs"] and is_due(record, world.clock.now()):
                pool.db.set("VMSS", ref, last_run_time=world.clock.iso())
                threading.Thread(target=_run, args=(world, pool, ref), daemon=True, name=f"VMSS {record['name_label']}").start()


def _run(world: World, pool: Pool, vmss: str) -> None:
    with world.lock:
        take(Call(world, pool.coordinator, "", "VMSS.snapshot_now"), vmss)
        world.save()


def is_due(record: Record, now: float) -> bool:
    """Whether its last moment was less than a quarter of an hour ago and nothing was taken since."""
    moment = last_moment(record, now)
    return moment <= now < moment + QUARTER and epoch(record["last_run_time"]) < moment


def last_moment(record: Record, now: float) -> float:
    """When it should have run the last time, in seconds since 1970; times of the schedule are UTC."""
    schedule, frequency = {**DEFAULTS, **record["schedule"]}, record["frequency"]
    at = datetime.datetime.fromtimestamp(now, datetime.UTC).replace(minute=int(schedule["min"]), second=0, microsecond=0)
    step = datetime.timedelta(hours=1) if frequency == "hourly" else datetime.timedelta(days=1)
    if frequency != "hourly":
        at = at.replace(hour=int(schedule["hour"]))
    days = {day.strip().capitalize() for day in schedule["days"].split(",")} if frequency == "weekly" else set(DAYS)
    while at.timestamp() > now or DAYS[at.weekday()] not in days:
        at -= step
    return at.timestamp()


# taking --------------------------------------------------------------------------------------------------------------
def take(call: Call, vmss: str) -> bool:
    """A snapshot of every VM of the schedule; what is beyond its number goes. Messages tell what happened; whether all went well."""
    db, record = call.db, dict(call.db.get("VMSS", vmss))
    well = True
    for vm in record["VMs"]:
        try:
            _take_one(call, record, vm)
        except Fault as fault:
            well = False
            _tell(call, record, vm, "VMSS_SNAPSHOT_FAILED", ", ".join(fault.description))
        else:
            _tell(call, record, vm, "VMSS_SNAPSHOT_SUCCEEDED", "")
    if db.exists("VMSS", vmss):
        db.set("VMSS", vmss, last_run_time=call.world.clock.iso())
    return well


def _take_one(call: Call, record: Record, vm: str) -> None:
    name = f"{record['name_label']}_{call.db.get('VM', vm)['name_label']}_{iso(call.world.clock.now())}"
    ignored: list[list[str]] = [[]] if record["type"] == "snapshot" else []
    made = call.call(MESSAGES[record["type"]], vm, name, *ignored)
    call.db.set("VM", made, is_vmss_snapshot=True)
    for old in scheduled_snapshots(call.db, vm)[: -record["retained_snapshots"]]:
        drop(call, old)


def scheduled_snapshots(db: Database, vm: str) -> list[str]:
    """Snapshots schedules took of the VM, oldest first."""
    kept = [ref for ref in db.get("VM", vm)["snapshots"] if db.get("VM", ref)["is_vmss_snapshot"]]
    return sorted(kept, key=lambda ref: str(db.get("VM", ref)["snapshot_time"]))


def drop(call: Call, snapshot: str) -> None:
    """A snapshot with its disks."""
    db = call.db
    record = db.get("VM", snapshot)
    disks = [db.get("VBD", vbd)["VDI"] for vbd in record["VBDs"] if db.get("VBD", vbd)["type"] != "CD"]
    call.call("VM.destroy", snapshot)
    for vdi in (*disks, record["suspend_VDI"]):
        if db.exists("VDI", vdi):
            call.call("VDI.destroy", vdi)


def _tell(call: Call, record: Record, vm: str, name: str, why: str) -> None:
    guest = call.db.get("VM", vm)
    body = f"VMSS: {record['name_label']}; VM: {guest['name_label']} ({guest['uuid']}){'; ' + why if why else ''}"
    hosts.alert(call.db, call.world.clock.iso(), name, "VMSS", record["uuid"], body, priority=3 if why else 5)
