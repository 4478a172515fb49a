# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""xen_upgrade is interrupted at every changing call: nothing that was set aside is lost. And two runs exclude each other."""

from __future__ import annotations

import random
import threading
import time
import typing as t

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.client import Session, is_read
from ansible_collections.domzero.xen.plugins.module_utils.errors import InvalidChange, XenError
from ansible_collections.domzero.xen.plugins.module_utils.refs import Objects
from ansible_collections.domzero.xen.plugins.module_utils.upgrade import journal, marks
from ansible_collections.domzero.xen.plugins.modules.xen_upgrade import MODULE

from ..conftest import carry_out, validated
from .upgrade_state_lab import RUN, Lab, dies, until

pytestmark = pytest.mark.slow

# changing calls of a task that nobody interrupts; held by the first test
POINTS = {"begun": 6, "paused": 8, "ended": 7, "aborted": 7}
WAYS = ("cut before", "cut after", "killed before", "killed after")
SHORT = 2.5  # seconds without a call after which a run is dead: XenAPI counts whole ones


@pytest.fixture
def lab() -> t.Iterator[Lab]:
    made = Lab(special=True)
    made.hide(made.named("SR", "isos"), "lab3")
    made.before = made.state()
    yield made
    made.stop()


def all_aside(lab: Lab) -> bool:
    state = lab.state()
    return (state["ha"][0], state["auto"], state["wlb"], lab.drive("special-disc")[1]["empty"]) == (False, None, False, True)


def interrupt(lab: Lab, state: str, nth: int, way: str) -> None:
    """One task of that state, interrupted in this way at its n-th changing call."""
    if way.startswith("killed"):
        assert dies(lab, state, nth, after=way.endswith("after"), run=RUN, takeover_after=0)
    else:
        (lab.sim.faults.cut_before_change if way.endswith("before") else lab.sim.faults.cut_after_change)(nth)
        lab.task(state, run=RUN)
    assert lab.sim.faults.listed() == []


def test_so_many_calls_there_are_to_interrupt(lab):
    for state, count in POINTS.items():
        if state != "begun":
            lab.task("begun", run=RUN)
        mark = lab.sim.mark()
        lab.task(state, run=RUN)
        assert len(lab.sim.calls(mark)) == count, state
        lab.task("ended", run=RUN)
    assert (lab.state(), lab.marks()) == (lab.before, [])


@pytest.mark.parametrize("way", WAYS)
def test_whatever_call_is_interrupted_nothing_that_was_set_aside_is_lost(lab, way):
    """One pool for all points of a way: each story ends with the pool as it was."""
    for state, count in POINTS.items():
        for nth in range(1, count + 1):
            if state != "begun":
                lab.task("begun", run=RUN)
            interrupt(lab, state, nth, way)
            # another control node goes on: first with what is set aside, then with giving it back
            lab.task("begun", run="another", takeover_after=0)
            assert all_aside(lab), (state, nth)
            lab.task("ended", run="another")
            assert (lab.state(), lab.marks()) == (lab.before, []), (state, nth)


@pytest.mark.parametrize("way", WAYS[2:])
@pytest.mark.parametrize("state", ["begun", "ended"])
def test_what_a_killed_run_left_is_given_back_by_the_next_one_without_beginning_again(lab, way, state):
    for nth in range(1, POINTS[state] + 1):
        if state != "begun":
            lab.task("begun", run=RUN)
        interrupt(lab, state, nth, way)
        lab.task("ended", takeover_after=0)
        assert (lab.state(), lab.marks()) == (lab.before, []), nth


# what each call is refused with, where it is
LIKELY = {
    "pool.disable_ha": ["HA_FAILED_TO_FORM_LIVESET"], "pool.enable_ha": ["VDI_NOT_AVAILABLE"], "VBD.eject": ["VBD_TRAY_LOCKED"],
    "VBD.insert": ["VDI_IN_USE"], "pool.set_ha_host_failures_to_tolerate": ["HA_OPERATION_WOULD_BREAK_FAILOVER_PLAN"],
}  # fmt: skip


@pytest.mark.parametrize("state", ["begun", "ended"])
def test_whatever_call_is_refused_once_the_task_is_finished_by_running_it_again(lab, state):
    if state != "begun":
        lab.task("begun", run=RUN)
    operations = lab.task(state, run=RUN, check=True)["operations"]
    for number, method in enumerate(operations):
        if state != "begun":
            lab.task("begun", run=RUN)
        lab.sim.faults.fail(method, nth=operations[: number + 1].count(method), error=LIKELY.get(method, ["INTERNAL_ERROR", "no"]))
        if method == "VBD.insert":
            assert lab.task(state, run=RUN)["still_aside"]
        else:
            with pytest.raises(XenError, match=r"^Could not "):
                lab.task(state, run=RUN)
        lab.task(state, run=RUN)
        assert state != "begun" or all_aside(lab)
        lab.task("ended", run=RUN)
        assert (lab.state(), lab.marks()) == (lab.before, []), method


def test_a_run_killed_twice_leaves_no_second_journal(lab):
    for nth in (1, 2, 3):
        dies(lab, "begun", nth, after=True, run=f"run-{nth}", takeover_after=0)
    assert lab.note().run == "run-3"
    lab.task("begun", run=RUN, takeover_after=0)
    assert len(lab.keys()) == 1
    assert lab.note().aside["ha"]["ntol"] == 1


def test_ha_that_a_run_that_died_is_just_turning_on_is_waited_for(lab):
    lab.task("begun", run=RUN)
    lab.sim.world.set_speed(10)
    assert dies(lab, "ended", POINTS["ended"] - 2, after=True, run=RUN)
    until(lambda: bool(lab.pool()["current_operations"]))
    lab.task("begun", run="another", takeover_after=0)
    assert all_aside(lab)
    lab.sim.world.set_speed(0)
    lab.task("ended", run="another")
    assert lab.state() == lab.before


def test_ha_that_is_to_be_turned_on_by_a_task_that_has_not_got_that_far_is_waited_for(lab):
    task, mark, seen = lab.session.call("task.create", "Async.pool.enable_ha", ""), lab.sim.mark(), []

    def ends() -> None:
        seen.append(lab.sim.calls(mark))
        with lab.sim.world.lock:
            lab.sim.world.pools[0].db.set("task", task, status="success")

    threading.Timer(1.0, ends).start()
    lab.task("begun", run=RUN)
    assert seen == [[]], "it began before"
    lab.task("ended", run=RUN)
    assert (lab.state(), lab.marks()) == (lab.before, [])


# two runs ---------------------------------------------------------------------------
class Alive:
    """A control node that goes on making calls in its session."""

    def __init__(self, lab: Lab, login: dict[str, t.Any]) -> None:
        self.session = Session.resume(lab.session.endpoint, login["ref"])
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._work)

    def _work(self) -> None:
        while not self.over.wait(0.2):
            self.session.call("pool.get_all")

    def __enter__(self) -> None:
        self.thread.start()

    def __exit__(self, *_exc: object) -> None:
        self.over.set()
        self.thread.join()


def test_a_run_that_is_at_work_is_left_alone(lab):
    first, second = lab.login_again(), lab.login_again()
    lab.task("begun", run="first", login=first)
    mark = lab.sim.mark()
    with Alive(lab, first):
        for state in ("begun", "ended"):
            with pytest.raises(InvalidChange, match=r"root@.* is upgrading this pool, since .* \(run 'first', phase 'begun'\)"):
                lab.task(state, login=second, takeover_after=60)
        assert carry_out("xen_upgrade_info", {"session": second})["alive"] is True
        ready = carry_out("xen_upgrade_preflight", {"session": second, "takeover_after": 60})
        assert ready["failed"]
        assert "is upgrading this pool" in ready["problems"][0]
    assert lab.sim.calls(mark) == []


def test_a_run_whose_session_makes_no_calls_is_taken_over_and_fenced_off(lab):
    first, second = lab.login_again(), lab.login_again()
    lab.task("begun", run="first", login=first, method="reboot", options={"a": 1})
    since = lab.note().since
    began = time.monotonic()
    done = lab.task("begun", run="second", login=second, takeover_after=SHORT)
    assert time.monotonic() - began < SHORT + 2
    assert (done["resumed"], done["since"], lab.note().run, lab.note().options) == (True, since, "second", {"a": 1})
    mark = lab.sim.mark()
    for state in ("ended", "paused", "aborted"):
        with pytest.raises(InvalidChange, match=r"was taken over by root@.*: it belongs to run 'second'"):
            lab.task(state, run="first", login=first)
    with pytest.raises(InvalidChange, match="taken over"):
        journal.must_own(Objects(lab.session), "first")
    journal.must_own(Objects(lab.session), "second")
    journal.must_own(Objects(lab.session), None)
    assert lab.sim.calls(mark) == []
    lab.task("ended", run="second", login=second)
    with pytest.raises(InvalidChange, match="No upgrade of this pool is under way"):
        journal.must_own(Objects(lab.session), "second")


def test_a_run_whose_session_has_ended_has_time_to_log_in_again(lab):
    first, again = lab.login_again(), lab.login_again()
    lab.task("begun", run="first", login=first)
    carry_out("xen_session", {"session": first, "state": "absent"})
    threading.Timer(0.7, lambda: lab.task("begun", run="first", login=again)).start()
    with pytest.raises(InvalidChange, match="is upgrading this pool"):
        lab.task("begun", run="second", takeover_after=20)
    carry_out("xen_session", {"session": again, "state": "absent"})
    assert lab.task("begun", run="second", takeover_after=1)["resumed"]


def test_a_run_that_carries_out_tasks_of_the_user_is_waited_for_longer(lab):
    first = lab.login_again()
    lab.task("begun", run="first", login=first, phase="command lab1")
    began = time.monotonic()
    assert lab.task("begun", run="second", takeover_after=0.05)["resumed"]
    assert time.monotonic() - began > 1
    lab.task("begun", run="third", takeover_after=0)


def test_a_paused_upgrade_is_nobodys(lab):
    first = lab.login_again()
    lab.task("begun", run="first", login=first)
    lab.task("paused", run="first", login=first)
    with Alive(lab, first):
        assert carry_out("xen_upgrade_info", {"session": lab.login})["alive"] is False
        assert lab.task("begun", run="second", takeover_after=60)["resumed"]


def test_after_a_restart_of_the_coordinator_the_same_run_notes_its_new_session(lab):
    first, again = lab.login_again(), lab.login_again()
    lab.task("begun", run="first", login=first)
    assert lab.task("begun", run="first", login=again)["operations"] == ["pool.add_to_other_config", "pool.remove_from_other_config"]
    uuid = Session.resume(lab.session.endpoint, again["ref"]).call("session.get_uuid", again["ref"])
    assert lab.note().session == uuid
    renewed = Session.resume(lab.session.endpoint, first["ref"])
    lab.sim.faults.cut_after_change(1)
    journal.renew(renewed, "first")
    assert len(lab.keys()) == 1
    assert lab.note().session == renewed.call("session.get_uuid", renewed.handle)
    journal.renew(renewed, None)
    with pytest.raises(InvalidChange, match="taken over"):
        journal.renew(renewed, "second")


class Overtaken(Session):
    """A run that is overtaken by another just before its first changing call."""

    def __init__(self, lab: Lab) -> None:
        super().__init__(lab.session.endpoint)
        self.log_in(lab.sim.username, lab.sim.password)
        self.lab: Lab | None = lab

    def call(self, method: str, *params: t.Any, **more: t.Any) -> t.Any:
        if self.lab and not is_read(method):
            lab, self.lab = self.lab, None
            lab.task("begun", run="faster", takeover_after=0)
        return super().call(method, *params, **more)


@pytest.mark.parametrize("left", [False, True], ids=["nothing was there", "a dead run was there"])
def test_of_two_runs_that_begin_at_the_same_moment_one_does(lab, left):
    if left:
        lab.task("begun", run="dead")
    slower = Overtaken(lab)
    with pytest.raises(InvalidChange, match="Another run began to upgrade this pool at the same moment"):
        MODULE.run(slower, validated(MODULE, {"session": lab.login, "state": "begun", "run": "slower", "takeover_after": 0}), False)
    assert lab.note().run == "faster"
    lab.task("ended", run="faster")
    assert (lab.state(), lab.marks()) == (lab.before, [])


@pytest.mark.parametrize("seed", range(12))
def test_whatever_runs_begin_pause_die_and_go_on_the_pool_is_as_it_was_in_the_end(lab, seed):
    chance = random.Random(seed)
    for number in range(8):
        state, nth = chance.choice(list(POINTS)), chance.randrange(1, 12)
        run = chance.choice([{}, {"run": f"run-{number}"}] if state == "begun" else [{}])
        dies(lab, state, nth, after=chance.random() < 0.5, takeover_after=0, **run)
        until(lambda: not lab.pool()["current_operations"])
        note = lab.note()
        # whatever is not as it was is noted: in the journal, or at the drive
        state_now = lab.state()
        missing = {"ha"} - ({"ha"} if state_now["ha"][0] else set()) | ({"auto_poweron"} if state_now["auto"] is None else set())
        missing |= set() if state_now["wlb"] else {"wlb"}
        assert missing <= set(note.aside if note else ()), (number, state, nth)
        drive = lab.drive("special-disc")[1]
        assert not drive["empty"] or marks.disc(drive)
    lab.task("ended", takeover_after=0)
    assert (lab.state(), lab.marks()) == (lab.before, [])
