# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A task that does everything a pool can do, cut off at each of its changing calls in turn, ends where it would have ended."""

from __future__ import annotations

import typing as t

import pytest

Run = Start = t.Callable[..., t.Any]
Sim = t.Any
CALLS = ("set_name_label", "set_tags", "join", "join", "designate_new_master", "enable_ha", "set_ha_host_failures_to_tolerate")


def task(sim: Sim) -> dict[str, t.Any]:
    members = [{"name": host.name, "address": host.url} for host in sim.hosts[1:]]
    return {"name": "Lab", "tags": ["lab"], "members": members}


def build(run: Run, sim: Sim) -> dict[str, t.Any]:
    run("xen_pool", **task(sim))
    run("xen_pool", coordinator="xcp01", allow_disruption=True)
    ha = {"enabled": True, "heartbeat_srs": ["VM disks"], "host_failures_to_tolerate": 1}
    told = run("xen_pool", **task(sim), ha=ha)["pool"]
    return {option: told[option] for option in ("name", "tags", "coordinator", "ha")} | {"members": [m["name"] for m in told["members"]]}


@pytest.fixture
def alone(simulator: Start, run: Run) -> Sim:
    """Three hosts that are pools of their own, with an SR for all in the first one's."""
    sim = simulator(3, joined=False)
    run("xen_sr", name="VM disks", type="nfs", server="127.10.0.10", path="/export/vms")
    return sim


WANTED = {
    "name": "Lab",
    "tags": ["lab"],
    "coordinator": "xcp01",
    "ha": {"enabled": True, "heartbeat_srs": ["VM disks"], "host_failures_to_tolerate": 1},
    "members": ["xcp00", "xcp02"],
}


def test_the_points_of_interruption_are_all_there_are(alone: Sim, run: Run) -> None:
    mark = alone.mark()
    assert build(run, alone) == WANTED
    assert [call["method"] for call in alone.calls(mark)] == [f"pool.{name}" for name in CALLS]


@pytest.mark.parametrize("cut", ["cut_before_change", "cut_after_change"])
@pytest.mark.parametrize("n", range(1, len(CALLS) + 1))
def test_a_task_that_is_cut_off_ends_where_it_would_have_ended(n: int, cut: str, alone: Sim, run: Run) -> None:
    getattr(alone.faults, cut)(n)
    assert build(run, alone) == WANTED
    assert len(alone.world.pools) == 1
    assert len(alone.world.pools[0].db.all("host")) == 3
