# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Snapshots are taken by schedule and kept up to a number."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.domzero.xen.tests.simulator import snapshot_schedules
from ansible_collections.domzero.xen.tests.simulator.clock import epoch, iso
from ansible_collections.domzero.xen.tests.simulator.modeltypes import NULL

from .conversation import until
from .hosting import Hosting, hosting


@pytest.fixture
def pool() -> Hosting:
    return hosting()


def _schedule(pool: Hosting, **fields: t.Any) -> str:
    plain = {"name_label": "nightly", "name_description": "", "enabled": True, "type": "snapshot", "retained_snapshots": 2}
    return str(pool("VMSS.create", {**plain, "frequency": "daily", "schedule": {"hour": "3", "min": "15"}, **fields}))


def _member(pool: Hosting, schedule: str, name: str = "guest", **options: t.Any) -> str:
    vm = pool.running(name, disk=True, **options)
    pool("VM.set_snapshot_schedule", vm, schedule)
    return vm


def test_a_schedule_takes_snapshots_and_keeps_the_newest(pool: Hosting) -> None:
    schedule = _schedule(pool)
    vm = _member(pool, schedule)
    disks = len(pool.db.all("VDI"))
    for _number in range(4):
        pool("VMSS.snapshot_now", schedule)
        pool.machine.world.clock.sleep(3600)
    snapshots = pool.record("VM", vm)["snapshots"]
    assert len(snapshots) == 2
    assert all(pool.record("VM", one)["is_vmss_snapshot"] for one in snapshots)
    assert pool.record("VM", snapshots[0])["name_label"].startswith("nightly_guest_")
    kept = [vdi for vdi in pool.db.all("VDI").values() if vdi["managed"]]
    assert len(kept) == disks + 2
    assert pool.record("VMSS", schedule)["last_run_time"] != "19700101T00:00:00Z"
    uuid = pool.record("VMSS", schedule)["uuid"]
    assert {m["name"] for m in pool.db.all("message").values() if m["obj_uuid"] == uuid} == {"VMSS_SNAPSHOT_SUCCEEDED"}
    assert not pool.machine.world.breaches


def test_snapshots_people_took_are_not_counted(pool: Hosting) -> None:
    schedule = _schedule(pool, retained_snapshots=1)
    vm = _member(pool, schedule)
    own = pool("VM.snapshot", vm, "mine", [])
    pool("VMSS.snapshot_now", schedule)
    pool("VMSS.snapshot_now", schedule)
    assert len(pool.record("VM", vm)["snapshots"]) == 2
    assert pool.db.exists("VM", own)


def test_memory_can_be_kept_too_and_what_fails_is_told(pool: Hosting) -> None:
    schedule = _schedule(pool, type="checkpoint")
    vm, silent = _member(pool, schedule), _member(pool, schedule, "silent", agent=False)
    pool("VMSS.snapshot_now", schedule)
    assert pool.record("VM", pool.record("VM", vm)["snapshots"][0])["power_state"] == "Suspended"
    assert pool.record("VM", silent)["snapshots"] == []
    (told,) = (m for m in pool.db.all("message").values() if m["name"] == "VMSS_SNAPSHOT_FAILED")
    assert "VM_LACKS_FEATURE" in told["body"]


def test_what_a_schedule_may_say(pool: Hosting) -> None:
    schedule = _schedule(pool)
    assert pool.refused("VMSS.set_retained_snapshots", schedule, 11) == ["INVALID_VALUE", "retained_snapshots", "11"]
    assert pool.refused("VMSS.set_schedule", schedule, {"min": "7"}) == ["INVALID_VALUE", "schedule:min", "7"]
    assert pool.refused("VMSS.add_to_schedule", schedule, "days", "Someday") == ["INVALID_VALUE", "schedule:days", "Someday"]
    assert pool.refused("VMSS.set_schedule", schedule, {"week": "7"}) == ["INVALID_VALUE", "schedule:week", "7"]
    pool("VMSS.set_frequency", schedule, "weekly")
    assert pool.record("VMSS", schedule)["schedule"] == {"hour": "3", "min": "15", "days": "Monday"}
    assert pool.refused("VMSS.add_to_schedule", schedule, "days", "Monday")[0] == "MAP_DUPLICATE_KEY"
    pool("VMSS.remove_from_schedule", schedule, "days")
    pool("VMSS.add_to_schedule", schedule, "days", "monday,Thursday")
    pool("VMSS.set_schedule", schedule, {"hour": "05"})  # the rest stays
    assert pool.record("VMSS", schedule)["schedule"] == {"hour": "05", "min": "15", "days": "Monday,Thursday"}
    pool("VMSS.set_type", schedule, "checkpoint")
    pool("VMSS.set_retained_snapshots", schedule, 5)
    record = pool.record("VMSS", schedule)
    assert (record["type"], record["retained_snapshots"], record["frequency"]) == ("checkpoint", 5, "weekly")
    pool("VMSS.set_frequency", schedule, "hourly")
    assert pool.record("VMSS", schedule)["schedule"] == {"min": "15"}


def test_a_schedule_with_vms_stays(pool: Hosting) -> None:
    schedule = _schedule(pool)
    vm = _member(pool, schedule)
    assert pool.refused("VMSS.destroy", schedule) == ["VMSS_HAS_VM"]
    assert pool.refused("VM.set_snapshot_schedule", pool.template, schedule) == ["VM_IS_TEMPLATE", pool.template]
    pool("VM.hard_shutdown", vm)
    assert "make_into_template" not in pool.allowed(vm)
    pool("VM.set_snapshot_schedule", vm, NULL)
    assert "make_into_template" in pool.allowed(vm)
    pool("VMSS.destroy", schedule)


@pytest.mark.parametrize(
    ("frequency", "schedule", "moment"),
    [
        ("hourly", {"min": "30"}, "20260304T09:30:00Z"),
        ("daily", {"hour": "3", "min": "15"}, "20260304T03:15:00Z"),
        ("daily", {"hour": "23", "min": "0"}, "20260303T23:00:00Z"),
        ("weekly", {"hour": "10", "min": "0", "days": "Monday,Wednesday"}, "20260302T10:00:00Z"),
        ("weekly", {"hour": "1", "min": "0", "days": "Wednesday"}, "20260304T01:00:00Z"),
    ],
)
def test_when_a_schedule_ran_last(frequency: str, schedule: dict[str, str], moment: str) -> None:
    now = epoch("20260304T09:45:00Z")  # a Wednesday
    record = {"frequency": frequency, "schedule": schedule, "last_run_time": "19700101T00:00:00Z"}
    assert iso(snapshot_schedules.last_moment(record, now)) == moment


def test_the_coordinator_takes_what_is_due_while_time_passes() -> None:
    pool = hosting(speed=10000)
    schedule = _schedule(pool, frequency="hourly", schedule={"min": "0"}, retained_snapshots=3)
    vm = _member(pool, schedule)
    until(pool.machine.world, lambda: len(pool.db.get("VM", vm)["snapshots"]) >= 3)
    times = [pool.record("VM", one)["snapshot_time"] for one in pool.record("VM", vm)["snapshots"]]
    assert len({epoch(time) // 3600 for time in times}) == len(times), "one an hour, however late a busy machine is"
    pool("VMSS.set_enabled", schedule, False)
    pool.machine.world.stop()
