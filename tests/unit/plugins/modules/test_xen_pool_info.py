# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest

Run = Start = t.Callable[..., t.Any]


def test_the_pool_is_told_in_the_words_of_the_options(simulator: Start, run: Run) -> None:
    simulator(3)
    (pool,) = run("xen_pool_info")["pools"]
    assert pool["coordinator"] == "xcp00"
    assert [member["name"] for member in pool["members"]] == ["xcp01", "xcp02"]
    assert pool["ha"] == {"enabled": False, "heartbeat_srs": [], "host_failures_to_tolerate": 0}


def test_another_pool_than_asked_for_is_not_told(simulator: Start, run: Run) -> None:
    simulator(1)
    assert run("xen_pool_info", name="Lab")["pools"] == []


def test_the_hosts_are_told_beside_the_coordinator_first(simulator: Start, run: Run) -> None:
    sim = simulator(3)
    last = list(sim.world.machines.values())[2]
    sim.world.pools[0].db.set("host", last.host_ref, enabled=False)
    told = run("xen_pool_info")
    facts = told["facts"][told["pools"][0]["uuid"]]
    assert [(h["name"], h["coordinator"], h["live"], h["enabled"]) for h in facts["hosts"]] == [
        ("xcp00", True, True, True),
        ("xcp01", False, True, True),
        ("xcp02", False, True, False),
    ]
    assert facts["cpu_info"]["cpu_count"] == "24"


def test_what_info_tells_can_be_handed_back(simulator: Start, run: Run) -> None:
    sim = simulator(3)
    run("xen_sr", name="VM disks", type="nfs", server="127.10.0.10", path="/export/vms")
    run("xen_pool", name="Lab", ha={"enabled": True, "heartbeat_srs": ["VM disks"], "host_failures_to_tolerate": 1}, default_sr="VM disks")
    (told,) = run("xen_pool_info")["pools"]
    mark = sim.mark()
    assert run("xen_pool", **told)["changed"] is False
    assert sim.calls(mark) == []


@pytest.mark.parametrize("release", ["xenserver-6.5", "xenserver-7.0", "xenserver-7.6", "xcp-ng-8.2", "xenserver-8"])
def test_what_info_tells_of_an_older_release_can_be_handed_back(release: str, simulator: Start, run: Run) -> None:
    simulator(2, release=release)
    (told,) = run("xen_pool_info")["pools"]
    assert run("xen_pool", **told)["changed"] is False
