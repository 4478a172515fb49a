# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Snapshot schedules are told in the words of the module that manages them: in a pool of our own and in those of real databases."""

from __future__ import annotations

import typing as t

import pytest

from .guest_lab import Guests
from .info_lab import DUMPS, handed_back, made_and_handed_back, world_of

Run = t.Callable[..., t.Any]
MANY = ("xen_snapshot_schedule", "snapshot_schedules")
WISHES: list[dict[str, t.Any]] = [
    {"name": "a", "frequency": "weekly", "schedule": {"days": ["Friday"]}, "vms": ["web"]},
    {"name": "b", "frequency": "hourly", "vms": ["db"], "enabled": False},
    {"name": "c", "type": "checkpoint"},
]


def test_what_is_told_can_be_handed_back(simulator: Run, session_to: Run, run: Run) -> None:
    sim = simulator(1)
    lab = Guests(sim, session_to(sim))
    for name in ("web", "db"):
        lab.vm(name)
    made_and_handed_back(sim, run, *MANY, WISHES)


@pytest.mark.parametrize("dump", DUMPS, ids=lambda path: path.stem)
def test_those_of_real_pools_can_be_handed_back(simulator: Run, run: Run, dump: t.Any) -> None:
    handed_back(simulator(world_of(dump)), run, *MANY)
