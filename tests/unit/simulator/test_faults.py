# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes wrong on demand, and only then."""

from __future__ import annotations

import pytest

from ansible_collections.domzero.xen.tests.simulator.faults import Cut, Faults

from .conversation import Asked, build, until

NEW = {"name_label": "n", "other_config": {}}


@pytest.fixture
def ask() -> Asked:
    return Asked(build(2, joined=True).machines["xcp00"])


@pytest.fixture
def faults(ask: Asked) -> Faults:
    return ask.machine.world.faults


def count(ask: Asked) -> int:
    return len(ask("network.get_by_name_label", "n"))


def test_the_nth_call_of_a_method_fails_and_has_no_effect(ask: Asked, faults: Faults) -> None:
    faults.fail("network.create", nth=2, error=["HOST_OFFLINE", "OpaqueRef:x"])
    ask("network.create", NEW)
    ask("network.get_all")
    assert ask.refused("network.create", NEW) == ["HOST_OFFLINE", "OpaqueRef:x"]
    ask("network.create", NEW)
    assert count(ask) == 2
    assert not faults.triggers
    assert ask.machine.world.calls[1]["error"] == ["HOST_OFFLINE", "OpaqueRef:x"]


def test_an_async_call_fails_in_its_task(ask: Asked, faults: Faults) -> None:
    faults.fail("network.create", error=["HOST_OFFLINE", "OpaqueRef:x"])
    task = ask("Async.network.create", NEW)
    until(ask.machine.world, lambda: ask("task.get_status", task) == "failure")
    assert ask("task.get_error_info", task) == ["HOST_OFFLINE", "OpaqueRef:x"]
    assert count(ask) == 0


def test_a_connection_ends_before_or_after_a_call(ask: Asked, faults: Faults) -> None:
    faults.cut_before("network.create")
    with pytest.raises(Cut, match="before it took effect"):
        ask("network.create", NEW)
    assert count(ask) == 0
    faults.cut_after("network.create")
    with pytest.raises(Cut, match="after it took effect"):
        ask("network.create", NEW)
    assert count(ask) == 1


def test_the_nth_change_of_any_kind_is_cut_off(ask: Asked, faults: Faults) -> None:
    faults.cut_after_change(2)
    network = ask("network.create", NEW)
    ask("network.get_record", network)
    with pytest.raises(Cut):
        ask("network.set_name_description", network, "d")
    assert ask("network.get_name_description", network) == "d"
    faults.cut_before_change(1)
    with pytest.raises(Cut):
        ask("network.destroy", network)
    assert count(ask) == 1


def test_an_async_call_is_cut_off_when_its_work_is_done_or_never_begins(ask: Asked, faults: Faults) -> None:
    faults.cut_after("network.create")
    with pytest.raises(Cut):
        ask("Async.network.create", NEW)
    assert count(ask) == 1
    tasks = ask("task.get_all")
    faults.cut_before("network.create")
    with pytest.raises(Cut):
        ask("Async.network.create", NEW)
    assert count(ask) == 1
    assert ask("task.get_all") == tasks


def test_a_call_takes_longer(ask: Asked, faults: Faults) -> None:
    clock = ask.machine.world.clock
    faults.slow("network.create", 500)
    before = clock.now()
    ask("network.create", NEW)
    assert clock.now() - before >= 500


def test_a_host_stays_away_until_all_is_well_again(ask: Asked, faults: Faults) -> None:
    member = ask.machine.world.machines["xcp01"]
    faults.keep_down("xcp01")
    member.go_down()
    member.come_up()
    assert member.power == "off"
    faults.clear()
    member.come_up()
    assert member.power == "on"


def test_what_is_still_to_come_can_be_told(faults: Faults) -> None:
    faults.fail("VLAN.create", nth=3, error=["X", "y"])
    faults.cut_after_change(2)
    assert [str(trigger) for trigger in faults.triggers] == [
        "call 3 from now of VLAN.create: fails with X y",
        "call 2 from now of any changing method: cut-after",
    ]
    faults.fail_migration("VM_MIGRATE_FAILED", nth=2)
    faults.slow_boot("xcp01", 90)
    assert faults.listed()[2:] == ["migration 2 from now of any VM: VM_MIGRATE_FAILED", "the next boot of xcp01 takes 90 s more"]
    faults.clear()
    assert faults.listed() == []
    with pytest.raises(LookupError, match="no fault dance"):
        faults.add("dance", None)
