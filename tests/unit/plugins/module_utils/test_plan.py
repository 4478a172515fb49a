# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.errors import XenError
from ansible_collections.domzero.xen.plugins.module_utils.plan import Operation, Plan, Wait


class Noting:
    """Carries out a plan by writing it down; fails at one method."""

    def __init__(self, failing: str = ""):
        self.made: list[tuple[str, list[t.Any]]] = []
        self.failing = failing

    def call(self, operation: Operation, params: t.Sequence[t.Any]) -> t.Any:
        if operation.method == self.failing:
            raise XenError("It is full.")
        self.made.append((operation.method, list(params)))
        return f"OpaqueRef:{len(self.made)}"

    def wait(self, step: Wait, _params: t.Sequence[t.Any]) -> None:
        self.made.append(("wait", [step.what]))


def test_an_operation_may_use_the_result_of_an_earlier_one_however_deep_it_is():
    plan, runner = Plan({}, {}), Noting()
    vm = plan.add("VM.clone", "OpaqueRef:template", "web1")
    plan.wait("the clone", lambda: True, timeout=1)
    vif = plan.add("VIF.create", {"VM": vm, "device": "0", "allowed": [vm]})
    plan.add("VIF.plug", vif)
    plan.apply(runner)
    assert runner.made == [
        ("VM.clone", ["OpaqueRef:template", "web1"]),
        ("wait", ["the clone"]),
        ("VIF.create", [{"VM": "OpaqueRef:1", "device": "0", "allowed": ["OpaqueRef:1"]}]),
        ("VIF.plug", ["OpaqueRef:3"]),
    ]


def test_an_error_tells_the_step_in_words_and_what_was_done_before():
    plan = Plan({}, {})
    plan.add("network.create")
    plan.add("VLAN.create", what="create VLAN 100")
    plan.add("network.add_tags")
    runner = Noting(failing="VLAN.create")
    with pytest.raises(XenError) as failed:
        plan.apply(runner)
    assert str(failed.value) == "Could not create VLAN 100: It is full."
    assert failed.value.done == ["network.create"]
    assert [method for method, _params in runner.made] == ["network.create"], "nothing is done after a failure"


def test_a_plan_without_operations_changes_nothing():
    plan = Plan({"a": 1}, {"a": 2})
    plan.wait("nothing", lambda: True, timeout=1)
    assert not plan.changed
    assert plan.operations == []


def test_what_a_plan_would_interrupt_is_known_before_it_is_carried_out():
    plan = Plan({}, {})
    plan.add("network.set_MTU")
    plan.add("host.reboot", disruptive="reboot host 'x'")
    assert plan.disruptions == ["reboot host 'x'"]
