# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where xapi would put the guests of a host that is emptied (cases of ocaml/tests/test_xapi_ha_vm_failover.ml, sizes in GiB)."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.domzero.xen.tests.simulator import evacuation_plan
from ansible_collections.domzero.xen.tests.simulator.evacuation_plan import Grouped


def _grouped(guests: t.Iterable[str], **present: dict[str, int]) -> Grouped:
    """Guests named vm1_red are of group red."""
    group_of = {guest: guest.partition("_")[2] for guest in guests if "_" in guest}
    return Grouped(group_of, {group: present.get(group, {}) for group in group_of.values()})


def test_the_biggest_goes_where_most_room_is() -> None:
    assert evacuation_plan.pack({"a": 5, "b": 9, "c": 4}, {"x": 10, "y": 12}) == {"b": "y", "a": "x", "c": "x"}


def test_who_does_not_fit_into_the_largest_hole_is_left_out_and_the_others_go_on() -> None:
    assert evacuation_plan.pack({"big": 13, "small": 2}, {"x": 10, "y": 12}) == {"small": "y"}
    assert evacuation_plan.pack({"a": 1}, {}) == {}


def test_a_host_that_is_equal_to_another_after_a_guest_is_taken_again() -> None:
    assert evacuation_plan.pack({"a": 4, "b": 3}, {"x": 10, "y": 6}) == {"a": "x", "b": "x"}


@pytest.mark.parametrize(
    ("guests", "free", "expected"),
    [
        (
            {"vm4_red": 24, "vm3_red": 23, "vm2_red": 22, "vm1_red": 21},
            {"master": 200, "slave2": 60},
            {"vm4_red": "master", "vm3_red": "slave2", "vm2_red": "master", "vm1_red": "slave2"},
        ),
        (
            {"vm1": 85, "vm2": 65, "vm3_red": 30, "vm2_red": 20, "vm1_red": 10},
            {"master": 100, "slave2": 90, "slave3": 70},
            {"vm2_red": "slave2", "vm1_red": "slave3", "vm3_red": "slave3", "vm2": "slave2", "vm1": "master"},
        ),
        (
            {"vm1": 95, "vm2": 75, "vm3_red": 30, "vm2_red": 20, "vm1_red": 10},
            {"master": 100, "slave2": 80, "slave3": 70},
            {"vm1_red": "slave3", "vm2_red": "slave3", "vm3_red": "slave3", "vm2": "slave2", "vm1": "master"},
        ),
    ],
    ids=["spread evenly", "no breach", "packed"],
)
def test_three_plans_are_tried_in_turn(guests: dict[str, int], free: dict[str, int], expected: dict[str, str]) -> None:
    assert evacuation_plan.make(guests, free, _grouped(guests), 3) == expected


@pytest.mark.parametrize(
    ("guests", "free", "expected"),
    [
        (
            {"a_1": 120, "b_2": 60, "c_2": 130, "d_1": 1, "e_2": 2, "f_1": 3, "g_2": 4},
            {"master": 512, "slave2": 256},
            {"c_2": "master", "a_1": "slave2", "b_2": "slave2", "g_2": "master", "f_1": "master", "e_2": "slave2", "d_1": "slave2"},
        ),
        (
            {"a_1": 120, "b_2": 60, "c_2": 130, "d_1": 1, "e_2": 6, "f_1": 5, "g_2": 7},
            {"master": 512, "slave2": 510},
            {"c_2": "slave2", "a_1": "master", "b_2": "master", "g_2": "slave2", "e_2": "master", "f_1": "master", "d_1": "slave2"},
        ),
    ],
)
def test_groups_are_spread_together(guests: dict[str, int], free: dict[str, int], expected: dict[str, str]) -> None:
    assert evacuation_plan.make(guests, free, _grouped(guests), 3) == expected


def test_guests_of_the_group_that_are_elsewhere_count() -> None:
    guests = {"vm1_red": 120, "vm2": 120}
    plan = evacuation_plan.make(guests, {"master": 512, "slave2": 136}, _grouped(guests, red={"slave2": 1}), 3)
    assert plan["vm1_red"] == "master"


def test_groups_do_not_count_in_a_pool_of_two() -> None:
    guests = {"vm1_red": 10, "vm2_red": 9}
    assert set(evacuation_plan.make(guests, {"other": 100}, _grouped(guests), 2).values()) == {"other"}
    assert evacuation_plan.make({"vm1_red": 20, "vm2_red": 10}, {"x": 40, "y": 15}, _grouped(guests), 2)["vm2_red"] == "x"
