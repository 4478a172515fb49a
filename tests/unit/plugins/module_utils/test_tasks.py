# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import threading
import time

import pytest

from ansible_collections.domzero.xen.plugins.module_utils import tasks
from ansible_collections.domzero.xen.plugins.module_utils.errors import ApiError, ConnectionFailed, OutcomeUnknown, Timeout, Untrusted

NETWORK = {"name_label": "made", "name_description": "", "MTU": 1500, "other_config": {}, "tags": []}


@pytest.fixture
def sim(simulator):
    """Its clock goes as fast as ours, so that a task can be watched."""
    return simulator(1, speed=1)


def pending(sim) -> list[str]:
    with sim.world.lock:
        return [ref for ref, r in sim.world.pools[0].db.all("task").items() if r["status"] == "pending"]


def test_a_task_returns_what_the_call_itself_would(sim, session):
    ref = tasks.run(session, "network.create", [NETWORK], timeout=5)
    assert session.call("network.get_name_label", ref) == "made"


def test_a_finished_task_is_removed(sim, session):
    tasks.run(session, "network.create", [NETWORK], timeout=5)
    assert sim.world.pools[0].db.all("task") == {}


def test_a_task_without_result_returns_nothing(sim, session):
    (host,) = session.call("host.get_all")
    assert tasks.run(session, "host.disable", [host], timeout=5) == ""
    assert session.call("host.get_enabled", host) is False


@pytest.mark.parametrize(
    ("fragment", "value"),
    [
        ("<value>OpaqueRef:1</value>", "OpaqueRef:1"),
        ("<value><array><data><value>a</value><value>b</value></data></array></value>", ["a", "b"]),
        ("<value><array><data></data></array></value>", []),
        ("<value></value>", ""),
        ("", ""),
        ("<value>&lt;a&gt; &amp; b</value>", "<a> & b"),
    ],
)
def test_the_result_is_read_out_of_its_xml(fragment, value):
    assert tasks.result_of(fragment) == value


def test_a_failed_task_is_the_error_of_the_call(sim, session):
    sim.faults.fail("network.create", error=["LICENCE_RESTRICTION", "networks"])
    with pytest.raises(ApiError, match=r"network\.create was refused: LICENCE_RESTRICTION \[networks\].*licence") as failed:
        tasks.run(session, "network.create", [NETWORK], timeout=5)
    assert (failed.value.code, failed.value.params) == ("LICENCE_RESTRICTION", ["networks"])
    assert sim.world.pools[0].db.all("task") == {}


def test_progress_is_told_while_it_goes(sim, session):
    sim.faults.slow("network.create", 2)
    seen: list[float] = []
    threading.Timer(0.8, lambda: [sim.world.pools[0].db.set("task", ref, progress=0.5) for ref in pending(sim)]).start()
    tasks.run(session, "network.create", [NETWORK], timeout=5, progress=seen.append)
    assert seen == [0.0, 0.5, 1.0]


def test_a_task_that_takes_too_long_tells_what_was_reached_and_goes_on(sim, session):
    sim.faults.slow("network.create", 3)
    threading.Timer(0.5, lambda: [sim.world.pools[0].db.set("task", ref, progress=0.25) for ref in pending(sim)]).start()
    with pytest.raises(Timeout, match=r"network\.create had reached 25% after 1\.5 seconds and goes on.*OpaqueRef:"):
        tasks.run(session, "network.create", [NETWORK], timeout=1.5)
    assert len(pending(sim)) == 1
    until(lambda: not pending(sim))
    assert sim.world.pools[0].db.find("network", name_label="made")


def test_a_run_that_is_interrupted_cancels_its_task(sim, session):
    sim.faults.slow("network.create", 5)

    def interrupt(_fraction: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tasks.run(session, "network.create", [NETWORK], timeout=5, progress=interrupt)
    (task,) = sim.world.pools[0].db.all("task").values()
    assert "cancel" in task["current_operations"].values()


def test_a_cancelled_task_is_an_error(sim, session):
    sim.faults.slow("network.create", 2)
    threading.Timer(0.5, lambda: [cancel(sim, ref) for ref in pending(sim)]).start()
    with pytest.raises(ApiError) as failed:
        tasks.run(session, "network.create", [NETWORK], timeout=5)
    assert failed.value.code == "TASK_CANCELLED"
    assert not sim.world.pools[0].db.find("network", name_label="made")


def cancel(sim, ref: str) -> None:
    with sim.world.lock:
        sim.world.pools[0].db.set("task", ref, current_operations={"x": "cancel"})


def test_a_task_somebody_removed_has_an_unknown_outcome(sim, session):
    sim.faults.slow("network.create", 2)
    threading.Timer(0.5, lambda: [sim.world.pools[0].db.destroy("task", ref) for ref in pending(sim)]).start()
    with pytest.raises(OutcomeUnknown, match="removed by somebody else"):
        tasks.run(session, "network.create", [NETWORK], timeout=5)


def test_a_task_lost_in_a_restart_of_the_coordinator_has_an_unknown_outcome(sim, session):
    sim.faults.slow("network.create", 5)
    machine = next(iter(sim.world.machines.values()))

    def restart() -> None:
        while not pending(sim):
            time.sleep(0.005)
        with sim.world.lock:
            machine.go_down()
        time.sleep(0.3)
        with sim.world.lock:
            machine.come_up()

    threading.Thread(target=restart, daemon=True).start()
    with pytest.raises(OutcomeUnknown, match=r"restarted|connection was lost"):
        tasks.run(session, "network.create", [NETWORK], timeout=10)


# states -----------------------------------------------------------------------------------------------------------------
def until(ready) -> None:
    tasks.wait_until("it", ready, timeout=60, pause=0.02)


def test_a_state_is_waited_for():
    started = time.monotonic()
    until(lambda: time.monotonic() > started + 0.1)


def test_a_state_that_does_not_come_tells_what_is_missing():
    with pytest.raises(Timeout, match=r"Waited 0\.1 seconds for all SRs; last seen: 2 SRs are not attached"):
        tasks.wait_until("all SRs", lambda: "2 SRs are not attached", timeout=0.1, pause=0.02)


def test_a_host_that_does_not_answer_yet_is_waited_for():
    answers = iter([ConnectionFailed("down"), ApiError("x", ["HOST_STILL_BOOTING"]), "nearly", True])

    def ready() -> object:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    until(ready)
    assert next(answers, None) is None


@pytest.mark.parametrize(
    "error", [ApiError("x", ["RBAC_PERMISSION_DENIED"]), Untrusted("another certificate"), OutcomeUnknown("plan anew")]
)
def test_an_error_that_will_not_pass_ends_the_waiting_at_once(error: Exception):
    def ready() -> object:
        raise error

    with pytest.raises(type(error)):
        until(ready)
