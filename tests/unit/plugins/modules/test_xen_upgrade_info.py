# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""xen_upgrade_info over the wire: where an upgrade stands."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.errors import XenError
from ansible_collections.domzero.xen.plugins.module_utils.upgrade import marks
from ansible_collections.domzero.xen.tests.simulator import agent

from ..conftest import carry_out
from .upgrade_state_lab import ISO, RUN, Lab, until


@pytest.fixture
def lab() -> t.Iterator[Lab]:
    made = Lab()
    made.hide(made.named("SR", "isos"), "lab3")
    yield made
    made.stop()


def told(lab: Lab, **options: t.Any) -> dict[str, t.Any]:
    mark, before = lab.sim.mark(), lab.sim.received
    found = carry_out("xen_upgrade_info", {"session": lab.login, **options})
    assert lab.sim.calls(mark) == []
    assert lab.sim.received - before < 20
    return found


def test_where_nothing_was_begun_that_is_told(lab):
    found = told(lab)
    assert (found["begun"], found["alive"], found["run"], found["aside"], found["options"]) == (False, False, "", {}, {})
    assert (found["discs"], found["home"], found["stopped"], found["hosts_down"], found["hosts_disabled"]) == ([], {}, {}, [], [])


def test_what_was_begun_is_told_as_it_was_noted(lab):
    login = lab.login_again()
    begun = lab.task("begun", login=login, run=RUN, method="reboot", options={"hosts": ["lab1"]}, phase="working")
    found = told(lab)
    assert {key: found[key] for key in ("run", "id", "since")} == {key: begun[key] for key in ("run", "id", "since")}
    assert (found["begun"], found["phase"], found["method"], found["options"]) == (True, "working", "reboot", {"hosts": ["lab1"]})
    assert found["by"].startswith("root@")
    assert {**found["aside"], "discs": found["discs"]} == begun["aside"]
    assert found["discs"] == [{"vm": "special-disc", "disc": ISO}]


def test_what_it_tells_can_be_handed_back(lab):
    lab.task("begun", run=RUN, method="reboot", options={"a": [1]}, phase="working")
    found = told(lab)
    again = lab.task("begun", **{key: found[key] for key in ("run", "method", "options", "phase")})
    assert again["changed"] is False


def test_a_run_lives_as_long_as_it_makes_calls(lab):
    login = lab.login_again()
    lab.task("begun", login=login, run=RUN)
    assert told(lab, takeover_after=60)["alive"] is True
    until(lambda: told(lab, takeover_after=2)["alive"] is False)
    carry_out("xen_session", {"session": login, "state": "absent"})
    assert told(lab, takeover_after=0)["alive"] is False


def test_vms_that_are_away_or_stopped_and_hosts_that_are_not_back_are_named(lab):
    one, two = (lab.db.get("host", lab.named("host", name))["uuid"] for name in ("lab1", "lab2"))
    for vm, key, value in (("web1", marks.HOME, two), ("web2", marks.HOME, two), ("halted", marks.STOPPED, f"shutdown {one}"),
                           ("asleep", marks.STOPPED, f"suspend {two}"), ("web0", marks.STOPPED, f"shutdown {one}")):  # fmt: skip
        lab.call("VM.add_to_other_config", lab.named("VM", vm), key, value)
    lab.task("begun", run=RUN)
    lab.call("host.disable", lab.named("host", "lab1"))
    with lab.sim.world.lock:
        agent.power_off(lab.sim.world.machines["lab3"])
    until(lambda: told(lab)["hosts_down"] == ["lab3"])
    found = told(lab)
    assert found["home"] == {"web1": "lab2"}  # the others are at home, or run again
    assert found["stopped"] == {"asleep": {"how": "suspend", "host": "lab2"}, "halted": {"how": "shutdown", "host": "lab1"}}
    assert found["hosts_disabled"] == ["lab1"]


def test_a_journal_that_cannot_be_read_is_told_by_its_key(lab):
    lab.call("pool.add_to_other_config", lab.ref, "domzero.xen:upgrade-4", "{")
    with pytest.raises(XenError, match=r"domzero\.xen:upgrade-4 in its other_config. cannot be read. Remove that key"):
        told(lab)
