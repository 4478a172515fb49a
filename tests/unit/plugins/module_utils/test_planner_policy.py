# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rolling upgrades on paper: small pools in which it can be seen what is right, and the words where nothing is."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.planner.clock import Limits, Speed, course
from ansible_collections.domzero.xen.plugins.module_utils.planner.evacuation import evacuation
from ansible_collections.domzero.xen.plugins.module_utils.planner.model import Action, Host, NoPlan, Plan, Policy, Pool, Vm, version_of
from ansible_collections.domzero.xen.plugins.module_utils.planner.upgrade import plan

GIB = 1024
OLD, NEW = version_of("8.2.1"), version_of("8.3.0")
Sizes = dict[str, list[int]]


def pool(memory: int | dict[str, int], vms: Sizes, *, ties: dict[str, dict[str, t.Any]] | None = None, **hosts: dict[str, t.Any]) -> Pool:
    """memory and vms (by host) in GiB; VMs are called a0, a1 on host a. ties: of VMs; hosts: what is special about them."""
    sizes = memory if isinstance(memory, dict) else dict.fromkeys(vms, memory)
    found = tuple(Host(name, sizes[name] * GIB, **{"version": OLD, **hosts.get(name, {})}) for name in sizes)
    running = [(f"{host}{n}", host, size) for host in vms for n, size in enumerate(vms[host])]
    return Pool(
        found, tuple(Vm(name, host, size * GIB, **(ties or {}).get(name, {})) for name, host, size in running), next(iter(sizes)), NEW
    )


def told(given: Pool, **policy: t.Any) -> str:
    with pytest.raises(NoPlan) as caught:
        plan(given, Policy(**policy))
    return str(caught.value)


def moves(found: Plan) -> list[tuple[str, str]]:
    return [(action.vm, action.host) for action in found.actions if action.op == "migrate"]


def ends(given: Pool, found: Plan) -> dict[str, str]:
    return {vm.id: vm.host for vm in given.vms} | dict(moves(found))


FIXED = {"movable": False, "reason": "VM_HAS_PCI_ATTACHED"}


def test_the_coordinator_is_first_and_each_vm_of_the_others_moves_once() -> None:
    given = pool(10, {"a": [4], "b": [4], "c": [4]})
    found = plan(given, Policy())
    assert found.waves[0] == ["a"]
    assert found.moves == found.bound.moves == 4
    assert found.moved == found.bound.memory == 16 * GIB


def test_a_pool_that_is_upgraded_needs_nothing() -> None:
    found = plan(pool(10, {"a": [4], "b": [4]}, a={"version": NEW}, b={"version": NEW}), Policy())
    assert (found.actions, found.waves, found.moved) == ([], [], 0)


def test_a_pool_that_is_half_upgraded_goes_on_from_there() -> None:
    given = pool(10, {"a": [4], "b": [4], "c": [4]}, a={"version": NEW}, b={"usable": False})
    found = plan(given, Policy())
    assert sorted(host for wave in found.waves for host in wave) == ["b", "c"]
    assert found.moves == 2
    assert ("c0", "b") in moves(found) or ("b0", "a") in moves(found)


def test_only_the_hosts_asked_for_are_upgraded_and_vms_may_stay_on_the_others() -> None:
    given = pool(10, {"a": [4], "b": [4], "c": [4]})
    found = plan(Pool(given.hosts, given.vms, "a", NEW, frozenset("a")), Policy())
    assert found.waves == [["a"]]
    assert found.moves == 1
    with pytest.raises(NoPlan, match=r"The coordinator a has to be upgraded before any other host, .*Upgrade it as well as b"):
        plan(Pool(given.hosts, given.vms, "a", NEW, frozenset("b")), Policy())


def test_a_host_that_needs_no_reboot_keeps_its_vms() -> None:
    given = pool(10, {"a": [4], "b": [4], "c": [9]}, c={"evacuate": False})
    found = plan(given, Policy())
    assert found.waves[0] == ["a"]
    assert Action("upgrade", "c") in found.actions
    assert "c0" not in dict(moves(found))
    every = plan(pool(10, {"a": [9], "b": [9]}, a={"evacuate": False}, b={"evacuate": False}), Policy())
    assert every.actions == [Action("upgrade", "a"), Action("upgrade", "b")]


def test_hosts_are_rebooted_without_a_new_version_where_they_are_due() -> None:
    due = {"version": NEW, "due": True}
    found = plan(pool(10, {"a": [4], "b": [4], "c": [4]}, a=due, b=due, c={"version": NEW}), Policy(return_home="always"))
    assert found.waves == [["a"], ["b"]]
    assert ends(pool(10, {"a": [4], "b": [4], "c": [4]}), found) == {"a0": "a", "b0": "b", "c0": "c"}


def test_vms_that_cannot_be_moved_are_named_or_stopped_or_their_host_is_left_out() -> None:
    given = pool(10, {"a": [2], "b": [2, 3], "c": []}, ties={"b1": FIXED})
    assert told(given) == (
        "VMs cannot be moved: on host b: b1 (VM_HAS_PCI_ATTACHED). "
        "Shut them down first, or let unmovable be shutdown, suspend or skip_host."
    )
    stopped = plan(given, Policy(unmovable="shutdown")).actions
    at = stopped.index(Action("upgrade", "b"))
    assert stopped[at - 1 : at + 2] == [Action("stop", "b", "b1"), Action("upgrade", "b"), Action("start", "b", "b1")]
    left = plan(given, Policy(unmovable="skip_host"))
    assert left.skipped == {"b": "VMs on it cannot be moved: b1 (VM_HAS_PCI_ATTACHED)"}
    assert [host for wave in left.waves for host in wave] == ["a", "c"]
    first = pool(10, {"a": [2], "b": [2]}, ties={"a0": FIXED})
    assert "has to be upgraded before any other host, and VMs on it cannot be moved: a0" in told(first, unmovable="skip_host")


def test_several_hosts_go_down_together_where_their_vms_fit() -> None:
    given = pool(40, {name: [4, 4] for name in "abcdefgh"})
    found = plan(given, Policy(max_hosts_down=4))
    assert found.waves[0] == ["a"]
    assert max(len(wave) for wave in found.waves) == 4
    assert found.moved == found.bound.memory


def test_vms_return_as_asked() -> None:
    ties = {"b0": {"affinity": "c"}, "c0": {"affinity": "c"}}
    given = pool(10, {"a": [2], "b": [2], "c": [2]}, ties=ties)
    home = plan(given, Policy(return_home="always"))
    assert ends(given, home) == {"a0": "a", "b0": "b", "c0": "c"}
    liked = plan(given, Policy(return_home="affinity"))
    assert {vm: host for vm, host in ends(given, liked).items() if vm in ties} == {"b0": "c", "c0": "c"}
    assert liked.moved <= home.moved


def test_a_half_done_upgrade_brings_vms_home_that_are_away_already() -> None:
    away = {"a0": {"home": "c"}, "a1": {"home": "b"}}
    given = pool(10, {"a": [2, 3, 1], "b": [], "c": [2]}, ties=away, a={"version": NEW}, b={"version": NEW})
    found = plan(given, Policy(return_home="always"))
    assert ends(given, found) == {"a0": "c", "a1": "b", "a2": "a", "c0": "c"}
    assert moves(found)[0] == ("a1", "b"), "its home is upgraded: nothing to wait for"
    assert sorted(vm for vm, _host in moves(found)) == ["a0", "a1", "c0", "c0"]
    assert (found.moved, found.bound.memory, found.away) == (9 * GIB, 9 * GIB, [])
    assert moves(plan(given, Policy())) == [("c0", "b")], "nobody asked for them to be home"


def test_where_nothing_is_left_to_upgrade_vms_just_go_home_where_they_fit() -> None:
    away = {"a0": {"home": "b"}, "a1": {"home": "gone"}, "a2": {"home": "b"}}
    given = pool(10, {"a": [6, 1, 2], "b": [1]}, ties=away, a={"version": NEW}, b={"version": NEW})
    assert moves(plan(given, Policy(return_home="always"))) == [("a0", "b"), ("a2", "b")]
    crowded = pool(10, {"a": [6, 1, 2], "b": [8]}, ties=away, a={"version": NEW}, b={"version": NEW})
    found = plan(crowded, Policy(return_home="always"))
    assert (moves(found), found.away) == ([("a2", "b")], ["a0"])
    older = pool(10, {"a": [6], "b": []}, ties=away, a={"version": NEW}, b={"due": False})
    assert plan(older, Policy(return_home="always")).away == ["a0"], "a VM is never moved to an older host"


def test_members_of_a_group_never_meet_unless_that_is_only_a_wish() -> None:
    group = {"group": "db"}
    given = pool(10, {"a": [2], "b": [2], "c": [2]}, ties={"a0": group, "b0": group, "c0": group})
    assert told(given) == (
        "a0, b0, c0 have to be on different hosts, and there are too few for that while a or b or c is upgraded. "
        "Shut one of them down, or let anti_affinity be soft."
    )
    assert plan(given, Policy(anti_affinity="soft")).breaches > 0
    two = pool(10, {"a": [2], "b": [2], "c": []}, ties={"a0": group, "b0": group})
    assert plan(two, Policy()).breaches == plan(two, Policy(anti_affinity="soft")).breaches == 0


def test_a_vm_that_fits_nowhere_is_named_with_the_largest_hole_there_can_be() -> None:
    given = pool({"a": 100, "b": 80, "c": 64}, {"a": [96], "b": [], "c": []})
    assert told(given) == (
        "VM a0 on host a needs 96 GiB; the largest hole that can be made is 80 GiB on host b. Shut it down, or make it smaller."
    )


def test_a_vm_tied_to_its_host_is_named() -> None:
    given = pool(10, {"a": [2], "b": []}, ties={"a0": {"allowed": frozenset("a")}})
    assert told(given) == "VM a0 on host a may run on no other host that is up. Shut it down."
    newer = pool(10, {"a": [2], "b": []}, a={"version": version_of("8.2.2")})
    assert told(newer) == "VM a0 on host a may run on no other host that is up: a VM is never moved to an older version. Shut it down."


def test_vms_that_may_run_on_too_few_hosts_between_them_are_named() -> None:
    both = {"allowed": frozenset("bc")}
    given = pool(10, {"a": [], "b": [6], "c": [5]}, ties={"b0": both, "c0": both})
    assert told(given).startswith(
        "Host b cannot be emptied: b0, c0 take 11 GiB and may run only on c meanwhile, with 10 GiB for VMs. "
        "Shut one of them down, or let it run on other hosts."
    )
    assert plan(pool(11, {"a": [], "b": [6], "c": [5]}, ties={"b0": both, "c0": both}), Policy()).moves == 3


def test_memory_that_is_missing_is_counted() -> None:
    assert told(pool(10, {"a": [3, 3, 2], "b": [4, 4], "c": [4, 3]})) == (
        "Host a cannot be emptied: its VMs take 8 GiB, and the other hosts have 5 GiB free in all. "
        "Memory is short by 3 GiB: shut VMs down, or add a host."
    )


def test_memory_in_the_wrong_pieces_is_told_apart_from_too_little() -> None:
    given = pool(10, {"a": [6], "b": [5], "c": [5]}, ties={"b0": {"allowed": frozenset("b")}, "c0": {"allowed": frozenset("c")}})
    only = Pool(given.hosts, given.vms, "a", NEW, frozenset("a"))
    with pytest.raises(NoPlan) as caught:
        plan(only, Policy())
    assert str(caught.value) == (
        "Host a cannot be emptied: its VMs take 6 GiB, and the other hosts have 10 GiB free, but not in the right pieces. "
        "VM a0 needs 6 GiB; the largest hole that can be made is 5 GiB on host b. Shut a VM down, or make some smaller."
    )


def test_the_two_vms_make_way_that_give_least_more_than_is_needed() -> None:
    found = plan(pool(20, {"a": [10], "b": [9, 4, 3], "c": [13]}), Policy())
    assert moves(found)[:3] in ([("b1", "c"), ("b2", "c"), ("a0", "b")], [("b2", "c"), ("b1", "c"), ("a0", "b")])
    assert found.moved == (10 + 16 + 13 + 10 + 7) * GIB, "all once, what was on the coordinator and what made way twice"


def test_a_small_vm_makes_way_for_a_large_one() -> None:
    given = pool(10, {"a": [8], "b": [3, 4], "c": [2, 2]})
    found = plan(given, Policy())
    assert found.bound.hole == 2 * GIB
    assert found.moved == found.bound.memory


def test_vms_change_places_where_no_room_is_left_in_one_piece() -> None:
    given = pool(16, {"a": [10], "b": [5, 6], "c": [7, 4], "d": [5, 6]})
    found = plan(given, Policy())
    assert found.waves[0] == ["a"]
    assert set(ends(given, found)) == {vm.id for vm in given.vms}


def test_one_host_is_emptied_and_others_make_room_for_that() -> None:
    given = pool(10, {"a": [2], "b": [8], "c": [3, 2]})
    found = evacuation(given, "b", Policy())
    assert moves(found) == [("b0", "a")]
    full = pool(10, {"a": [3], "b": [8], "c": [3, 2]})
    assert moves(evacuation(full, "b", Policy())) == [("a0", "c"), ("b0", "a")]
    assert {action.op for action in found.actions} == {"migrate"}
    assert "b" not in ends(given, found).values()
    newer = pool(10, {"a": [2], "b": [2], "c": []}, a={"version": NEW}, b={"version": NEW})
    assert moves(evacuation(newer, "b", Policy())) == [("b0", "a")]
    fixed = pool(10, {"a": [], "b": [2]}, ties={"b0": FIXED})
    assert evacuation(fixed, "b", Policy(unmovable="suspend")).actions == [Action("stop", "b", "b0")]
    for unmovable in ("fail", "skip_host"):
        with pytest.raises(NoPlan, match="b0"):
            evacuation(fixed, "b", Policy(unmovable=unmovable))


@pytest.mark.parametrize(("older", "newer"), [("8.2.1", "8.10.0"), ("8.2", "8.2.1"), (1, 2), ("7.6.0", "8.2.1-xcpng")])
def test_versions_are_compared_by_their_numbers(older: t.Any, newer: t.Any) -> None:
    assert version_of(older) < version_of(newer)
    assert version_of("8.2") == version_of("8.2.0")


def test_the_clock_knows_that_a_card_is_shared_and_nothing_runs_while_the_coordinator_reboots() -> None:
    given = pool(200, {"a": [], "b": [50, 50, 50, 50], "c": []}, a={"version": NEW}, c={"version": NEW})
    found = [Action("migrate", "a" if n < 2 else "c", f"b{n}", "b") for n in range(4)]
    speed = Speed(nic=50, stream=20, setup=1, dirty=1, outgoing=4)
    assert course(given, [found[:1]], speed, Limits()).minutes == pytest.approx(1 + 50 / 20)
    assert course(given, [found], speed, Limits()).minutes == pytest.approx(1 + 50 * 4 / 50)
    assert course(given, [found], speed, Limits(1, 1)).minutes == pytest.approx(4 * (1 + 50 / 20))
    old = pool(10, {"a": [], "b": [2], "c": []})
    both = [Action("upgrade", "a"), Action("migrate", "c", "b0", "b")]
    assert course(old, [both], speed, Limits()).began == [0.0, 15.0]


def test_a_plan_that_cannot_go_on_is_told() -> None:
    given = pool(10, {"a": [8], "b": [8]})
    with pytest.raises(RuntimeError, match="cannot go on at"):
        course(given, [[Action("migrate", "b", "a0", "a")]], Speed(), Limits())
