# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Snapshot schedules are told in the words of the module that manages them: in a pool of our own and in those of real databases."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.domzero.xen.tests.simulator import load_db
from ansible_collections.domzero.xen.tests.simulator.schema import DATA

from .guest_lab import Guests

Run = t.Callable[..., t.Any]
DUMPS = sorted((DATA / "state-dbs").glob("*.xml"))
WISHES: list[dict[str, t.Any]] = [
    {"name": "a", "frequency": "weekly", "schedule": {"days": ["Friday"]}, "vms": ["web"]},
    {"name": "b", "frequency": "hourly", "vms": ["db"], "enabled": False},
    {"name": "c", "type": "checkpoint"},
]


def handed_back(sim: t.Any, run: Run) -> int:
    """How many there are, each of which changes nothing when it is handed back."""
    told, mark = run("xen_snapshot_schedule_info")["snapshot_schedules"], sim.mark()
    for one in told:
        assert run("xen_snapshot_schedule", **one)["operations"] == [], one
    assert sim.calls(mark) == []
    return len(told)


def test_what_is_told_can_be_handed_back(simulator: Run, session_to: Run, run: Run) -> None:
    sim = simulator(1)
    lab = Guests(sim, session_to(sim))
    for name in ("web", "db"):
        lab.vm(name)
    for wish in WISHES:
        run("xen_snapshot_schedule", **wish)
    assert handed_back(sim, run) == len(WISHES)
    first = WISHES[0]["name"]
    (one,) = run("xen_snapshot_schedule_info", name=first)["snapshot_schedules"]
    assert one["name"] == first
    assert run("xen_snapshot_schedule_info", uuid=one["uuid"])["snapshot_schedules"] == [one]
    assert run("xen_snapshot_schedule_info", name="nothing")["snapshot_schedules"] == []


@pytest.mark.parametrize("dump", DUMPS, ids=lambda path: path.stem)
def test_those_of_real_pools_can_be_handed_back(simulator: Run, run: Run, dump: t.Any) -> None:
    world = load_db.world_of(load_db.parse(dump.read_bytes()), speed=0, release=None, username="root", password="xapi-test")
    handed_back(simulator(world), run)
