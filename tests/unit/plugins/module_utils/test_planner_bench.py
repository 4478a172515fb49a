# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""tests/bench/plan-upgrade as a program, and what others do on paper."""

from __future__ import annotations

import json
import subprocess
import typing as t
from pathlib import Path

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.planner.clock import Limits, course
from ansible_collections.domzero.xen.plugins.module_utils.planner.model import NoPlan
from ansible_collections.domzero.xen.plugins.module_utils.planner.stages import stages as apart
from ansible_collections.domzero.xen.plugins.module_utils.planner.upgrade import plan as made
from ansible_collections.domzero.xen.tests.bench import rolling_upgrade
from ansible_collections.domzero.xen.tests.bench.upgrades.checker import check
from ansible_collections.domzero.xen.tests.bench.upgrades.executor import Broken, minutes
from ansible_collections.domzero.xen.tests.bench.upgrades.formats import policy_of, pool_of, speed_of, written
from ansible_collections.domzero.xen.tests.bench.upgrades.instances import FAMILIES, Instance, instance
from ansible_collections.domzero.xen.tests.bench.upgrades.peers import PEERS, GivesUp
from ansible_collections.domzero.xen.tests.bench.upgrades.replanning import carried_out
from ansible_collections.domzero.xen.tests.bench.upgrades.tight import TIGHT, large
from ansible_collections.domzero.xen.tests.bench.upgrades.xapi import emptied
from ansible_collections.domzero.xen.tests.tools.checkout import CHECKOUT

PROGRAM = CHECKOUT / "tests/bench/plan-upgrade"


def run(path: Path, *arguments: str, within: Path) -> subprocess.CompletedProcess[str]:
    """From a folder that has nothing to do with the checkout, and with nothing in the environment that leads to it."""
    return subprocess.run(
        [str(PROGRAM), str(path), *arguments], cwd=within, env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=False
    )


def planned(given: t.Any, tmp_path: Path, *arguments: str) -> dict[str, t.Any]:
    path = tmp_path / "instance.json"
    path.write_text(json.dumps(given))
    done = run(path, *arguments, within=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    out: dict[str, t.Any] = json.loads(done.stdout)
    return out


@pytest.mark.parametrize("stages", ["waves", "none", "overlap"])
def test_a_plan_is_printed(tmp_path: Path, stages: str) -> None:
    given = instance("mixed", 8, 6, 0.6, 1)
    plan = planned(given, tmp_path, "--max-hosts-down", "4", "--stages", stages)
    assert plan["error"] is None
    assert all(("stage" in action) == (stages != "none") for action in plan["actions"])
    check(given, plan)


@pytest.mark.parametrize(("older", "newer"), [(1, 2), ("8.2.1", "8.10.0")])
def test_versions_are_numbers_or_dotted_and_vms_come_home(tmp_path: Path, older: t.Any, newer: t.Any) -> None:
    given = instance("homog", 3, 6, 0.5, 1)
    given["target"] = newer
    for host in given["hosts"]:
        host["version"] = older
    assert check(given, planned(given, tmp_path, "--goal", "home")).away == []


def test_no_plan_is_an_answer_too(tmp_path: Path) -> None:
    given = instance("homog", 3, 6, 0.6, 1)
    given["vms"].append({**given["vms"][0], "id": "huge", "memory": given["hosts"][0]["memory"] * 2})
    plan = planned(given, tmp_path)
    assert plan["actions"] == []
    assert "VM huge on host" in plan["error"]


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"hosts": []}, "is missing or not known"),
        ([], "instance.json"),
        ({"hosts": [], "vms": [], "coordinator": "h0", "target": 1}, "the coordinator h0 is none of the hosts"),
    ],
)
def test_what_is_no_instance_is_told_in_one_line(tmp_path: Path, given: t.Any, text: str) -> None:
    path = tmp_path / "instance.json"
    path.write_text(json.dumps(given))
    done = run(path, within=tmp_path)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert text in done.stderr
    assert run(tmp_path / "none.json", within=tmp_path).returncode == 2


def peers_of(given: Instance) -> dict[str, dict[str, t.Any]]:
    """The plans of those that do not give up."""
    out = {}
    for name, peer in PEERS.items():
        try:
            out[name] = written(peer(pool_of(given)).actions)
        except GivesUp:
            continue
    return out


@pytest.mark.parametrize("family", FAMILIES)
def test_what_others_do_keeps_the_rules_but_for_groups(family: str) -> None:
    given = instance(family, 8, 6, 0.5, 1)
    plans = peers_of(given)
    assert set(plans) == set(PEERS)
    outcomes = {name: check(given, plan, hard=False) for name, plan in plans.items()}
    assert outcomes["xc_update"].away == []
    assert outcomes["xc_update"].most == 2
    assert outcomes["xo_rpu"].moves >= outcomes["xapi_loop"].moves


def test_xapi_gives_up_where_one_vm_fits_no_single_target() -> None:
    given = instance("homog", 3, 6, 0.5, 1)
    given["vms"][0]["allowed"] = ["h0", "h1"]
    given["vms"][0]["host"] = "h0"
    with pytest.raises(GivesUp, match="cannot boot on every host"):
        PEERS["xapi_loop"](pool_of(given))


def test_a_case_of_the_bench_holds_ours_and_theirs_side_by_side() -> None:
    case = rolling_upgrade.played(instance("homog", 8, 6, 0.5, 1))
    row = rolling_upgrade.summary([case])
    assert (row["instances"], row["feasible_by_any"], row["solved_by_all"]) == (1, 1, 1)
    assert row["ours_k1"]["gib_over_bound"] <= row["xapi_loop"]["gib_over_bound"]
    assert row["ours_k4"]["minutes"] <= row["ours_k1"]["minutes"] <= row["xo_rpu"]["minutes"]
    assert row["ours_home_k1"]["away"] == 0


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("goal", "down"), [("moves", 1), ("home", 4)])
def test_the_simulator_and_the_planners_own_clock_tell_the_same_time(family: str, goal: str, down: int) -> None:
    given = instance(family, 8, 8, 0.6, 1)
    pool = pool_of(given)
    actions = made(pool, policy_of(given, goal, down)).actions
    for parts in ([actions], apart(pool, actions, down, overlap=False), apart(pool, actions, down)):
        assert minutes(given, written(parts), down) == pytest.approx(course(pool, parts, speed_of(given), Limits(down)).minutes)
    for peer in PEERS.values():
        theirs = peer(pool)
        limits = {number: limit for number, limit in enumerate(theirs.limits) if limit}
        known = course(pool, theirs.actions, speed_of(given), [Limits(1, limit) for limit in theirs.limits]).minutes
        assert minutes(given, written(theirs.actions, limits)) == pytest.approx(known)


def test_the_simulator_carries_out_nothing_that_is_against_the_rules() -> None:
    given = instance("homog", 3, 4, 0.4, 1)
    good = written([made(pool_of(given), policy_of(given, "moves", 1)).actions])["actions"]
    for bad in (good[1:], [*good[:1], *good], [{"op": "upgrade", "host": "h1"}, *good]):
        with pytest.raises(Broken):
            minutes(given, {"actions": bad})


@pytest.mark.parametrize("kind", TIGHT)
@pytest.mark.parametrize("goal", ["moves", "home"])
def test_plans_for_pools_with_hardly_any_room_are_valid_and_made_wherever_a_peer_gets_through(kind: str, goal: str) -> None:
    for hosts, vms, seed in ((3, 4, 1), (4, 5, 2), (5, 8, 3)):
        given = TIGHT[kind](hosts, vms, seed)
        try:
            found = made(pool_of(given), policy_of(given, goal, 2))
        except NoPlan:
            assert not peers_of(given)
            continue
        outcome = check(given, written([found.actions]))
        assert goal == "moves" or outcome.away == []


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("goal", ["moves", "home"])
def test_an_upgrade_whose_waves_are_planned_one_by_one_moves_no_more(family: str, goal: str) -> None:
    given = instance(family, 8, 10, 0.75, 11)
    at_once = made(pool_of(given), policy_of(given, goal, 1))
    outcome = check(given, written([carried_out(given, goal, 1)]))
    assert outcome.moved <= at_once.moved * 1.002
    assert outcome.most <= 2
    assert goal == "moves" or outcome.away == []


def test_a_host_is_emptied_that_xapi_refuses_to_empty() -> None:
    given = large(3, 0, 1)
    assert emptied(given, given["coordinator"]) == {"xapi": "HOST_NOT_ENOUGH_FREE_MEMORY", "ours": ""}
