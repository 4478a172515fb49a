# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Async calls and the tasks behind them, and tasks of the client's own."""

from __future__ import annotations

import typing as t

import pytest

from .conversation import Asked, build, until


@pytest.fixture
def ask() -> Asked:
    return Asked(build().machines["xcp00"])


def ended(ask: Asked, task: str) -> dict[str, t.Any]:
    """The record of the task when it is over."""
    until(ask.machine.world, lambda: ask.db.get("task", task)["status"] != "pending")
    return t.cast("dict[str, t.Any]", ask("task.get_record", task))


def test_a_call_may_be_left_running(ask: Asked) -> None:
    task = ask("Async.network.create", {"name_label": "n", "other_config": {}})
    record = ended(ask, task)
    (network,) = ask("network.get_by_name_label", "n")
    assert (record["status"], record["result"], record["progress"]) == ("success", f"<value>{network}</value>", 1.0)
    assert (record["name_label"], record["error_info"], record["allowed_operations"]) == ("Async.network.create", [], [])
    assert record["resident_on"] == ask.host
    assert record["finished"] >= record["created"]
    assert "session" not in record
    assert "user" not in record


def test_a_result_of_nothing_is_an_empty_value(ask: Asked) -> None:
    task = ask("Async.network.destroy", ask.network("n"))
    assert ended(ask, task)["result"] == "<value></value>"


def test_an_error_is_found_in_the_task(ask: Asked) -> None:
    record = ended(ask, ask("Async.network.destroy", "OpaqueRef:x"))
    assert (record["status"], record["error_info"], record["result"]) == ("failure", ["HANDLE_INVALID", "network", "OpaqueRef:x"], "")


def test_wrong_parameters_are_refused_before_there_is_a_task(ask: Asked) -> None:
    before = ask("task.get_all")
    assert ask.refused("Async.network.create", {"name_label": 5})[0] == "INTERNAL_ERROR"
    assert ask.refused("Async.network.create")[0] == "MESSAGE_PARAMETER_COUNT_MISMATCH"
    assert ask("task.get_all") == before


def test_a_synchronous_call_leaves_no_task(ask: Asked) -> None:
    ask.network("n")
    assert ask("task.get_all") == []


def test_a_task_is_pending_until_its_work_is_done_and_can_be_cancelled(ask: Asked) -> None:
    world = ask.machine.world
    world.set_speed(1)
    world.faults.slow("network.create", 3600)
    task = ask("Async.network.create", {"name_label": "n", "other_config": {}})
    record = ask("task.get_record", task)
    assert (record["status"], record["finished"], record["allowed_operations"]) == ("pending", "19700101T00:00:00Z", ["cancel"])
    ask("task.cancel", task)
    assert list(ask("task.get_current_operations", task).values()) == ["cancel"]
    world.set_speed(0)
    record = ended(ask, task)
    assert (record["status"], record["error_info"]) == ("cancelled", ["TASK_CANCELLED", task])
    assert ask("network.get_by_name_label", "n") == []


def test_a_task_that_is_over_can_not_be_cancelled_but_destroyed(ask: Asked) -> None:
    task = ask("Async.network.destroy", ask.network("n"))
    ended(ask, task)
    ask("task.cancel", task)
    assert ask("task.get_status", task) == "success"
    ask("task.destroy", task)
    assert ask.refused("task.get_record", task) == ["HANDLE_INVALID", "task", task]


def test_a_pending_task_that_is_destroyed_vanishes_when_it_ends(ask: Asked) -> None:
    world = ask.machine.world
    world.set_speed(1)
    world.faults.slow("network.create", 3600)
    task = ask("Async.network.create", {"name_label": "n", "other_config": {}})
    ask("task.destroy", task)
    assert ask("task.get_status", task) == "pending"
    world.set_speed(0)
    until(world, lambda: not ask.db.exists("task", task))
    assert len(ask("network.get_by_name_label", "n")) == 1


def test_a_client_may_have_tasks_of_its_own(ask: Asked) -> None:
    task = ask("task.create", "mine", "d")
    ask("task.set_progress", task, 0.5)
    assert (ask("task.get_status", task), ask("task.get_progress", task)) == ("pending", 0.5)
    ask("task.set_result", task, "r")
    ask("task.set_status", task, "success")
    record = ask("task.get_record", task)
    assert (record["status"], record["result"], record["progress"]) == ("success", "r", 0.5)
    assert record["finished"] != "19700101T00:00:00Z"
    ask("task.add_to_other_config", task, "k", "v")
    assert ask("task.get_other_config", task) == {"k": "v"}


def test_old_tasks_are_cleared_away(ask: Asked) -> None:
    clock = ask.machine.world.clock
    over, open_ = ask("task.create", "over", ""), ask("task.create", "open", "")
    ask("task.set_status", over, "success")
    clock.sleep(70 * 60)
    ask("task.create", "later", "")
    assert open_ in ask("task.get_all")
    assert over not in ask("task.get_all")
    clock.sleep(25 * 3600)
    ask("task.create", "a day later", "")
    assert open_ not in ask("task.get_all")


def test_of_many_finished_tasks_the_oldest_go(ask: Asked) -> None:
    for number in range(210):
        ask("task.set_status", ask("task.create", f"t{number}", ""), "success")
    assert 200 <= len(ask("task.get_all")) <= 202
    assert ask("task.get_by_name_label", "t0") == []
    assert ask("task.get_by_name_label", "t209")
