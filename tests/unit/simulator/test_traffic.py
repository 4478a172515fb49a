# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long guests are on their way, and what becomes of those that do not arrive."""

from __future__ import annotations

import threading
import typing as t

import pytest

from ansible_collections.domzero.xen.tests.simulator.modeltypes import NULL
from ansible_collections.domzero.xen.tests.simulator.traffic import GIB, Motion
from ansible_collections.domzero.xen.tests.simulator.world import World

from .conversation import until
from .upgrading import Lab, lab

PATIENT = 0.2  # real seconds that a thread may take to begin, on a busy machine too


@pytest.fixture
def pool() -> t.Iterator[Lab]:
    with lab(special=False) as found:
        yield found


def _sent(motion: Motion, *trips: tuple[str, str, float], speed: float = 0) -> list[float]:
    """Minutes until each of these (source, target, GiB) is there, all begun together."""
    world = World(speed=speed)
    world.traffic.motion, world.traffic.breath = motion, PATIENT
    begun, took = 0.0, [0.0] * len(trips)

    def send(number: int, source: str, target: str, size: float) -> None:
        with world.lock:
            world.traffic.send(source, target, size * GIB, lambda _fraction: None)
            took[number] = (world.clock.now() - begun) / 60

    threads = [threading.Thread(target=send, args=(number, *trip)) for number, trip in enumerate(trips)]
    with world.lock:
        for thread in threads:
            thread.start()
        threading.Event().wait(0.05)  # all of them stand before the lock
        begun = world.clock.now()
    for thread in threads:
        thread.join(20)
    world.stop()
    return took


def test_one_guest_is_as_quick_as_its_stream() -> None:
    assert _sent(Motion(host=50, stream=20), ("a", "b", 40)) == [pytest.approx(2.0, abs=0.01)]
    assert _sent(Motion(host=50, stream=20, setup=18, dirty=1.5), ("a", "b", 40)) == [pytest.approx(3.3, abs=0.01)]


def test_guests_share_the_wire_they_leave_by() -> None:
    assert _sent(Motion(host=60), ("a", "b", 30), ("a", "c", 30)) == [pytest.approx(1.0, abs=0.01)] * 2
    assert _sent(Motion(host=60), ("a", "b", 30), ("c", "d", 30)) == [pytest.approx(0.5, abs=0.01)] * 2


def test_guests_share_the_wire_they_enter_by() -> None:
    assert _sent(Motion(host=60), ("a", "c", 30), ("b", "c", 30)) == [pytest.approx(1.0, abs=0.01)] * 2


def test_who_stays_behind_is_quicker_once_the_other_is_there() -> None:
    small, big = _sent(Motion(host=60), ("a", "b", 15), ("a", "b", 45))
    assert (small, big) == (pytest.approx(0.5, abs=0.01), pytest.approx(1.0, abs=0.01))


def test_more_than_may_at_once_wait() -> None:
    took = _sent(Motion(host=60, at_once=1), ("a", "b", 30), ("a", "c", 30), ("d", "c", 30))
    assert max(took) > 0.99
    assert sorted(took)[0] == pytest.approx(0.5, abs=0.01)


def test_the_same_holds_when_time_passes() -> None:
    small, big = _sent(Motion(host=60), ("a", "b", 15), ("a", "b", 45), speed=20)
    assert (small, big) == (pytest.approx(0.5, abs=0.2), pytest.approx(1.0, abs=0.2))


# guests of a pool ----------------------------------------------------------------------------------------------------
def test_a_host_is_emptied_by_as_many_at_a_time_as_asked_for(pool: Lab) -> None:
    def minutes(batch: int) -> float:
        before = pool.world.clock.now()
        pool("host.evacuate", pool.ref("lab1"), NULL, batch)
        return (pool.world.clock.now() - before) / 60

    pool.world.traffic.motion, pool.world.traffic.breath = Motion(host=600, stream=20), PATIENT
    here = pool.guests("lab1")
    one = minutes(1)
    for vm in here:
        pool("VM.pool_migrate", vm, pool.ref("lab1"), {})
    assert minutes(10) < one * 0.7
    assert pool.db.find("task", name_label="Async.VM.pool_migrate") == []


def test_a_guest_that_was_shut_down_meanwhile_is_no_reason_to_stop(pool: Lab) -> None:
    pool.world.set_speed(50)
    (gone, *others), host = pool.guests("lab2"), pool.ref("lab2")
    task = pool("Async.host.evacuate", host, NULL, 1)
    until(pool.world, lambda: any(pool.record("VM", vm)["current_operations"] for vm in [gone, *others]))
    waiting = next(vm for vm in [gone, *others] if not pool.record("VM", vm)["current_operations"])
    pool("VM.hard_shutdown", waiting)
    pool.world.set_speed(0)
    until(pool.world, lambda: pool.db.get("task", task)["status"] != "pending")
    assert pool.record("task", task)["status"] == "success"
    assert pool.guests("lab2") == []


def test_a_migration_breaks_in_the_middle_on_demand(pool: Lab) -> None:
    vm, source, target = pool.named("app1-01"), pool.ref("lab1"), pool.ref("lab3")
    pool.world.faults.fail_migration("VM_MIGRATE_FAILED", vm=pool.record("VM", vm)["uuid"])
    pool("VM.pool_migrate", pool.named("app1-02"), target, {})
    error = pool.refused("VM.pool_migrate", vm, target, {})
    assert error[:4] == ["VM_MIGRATE_FAILED", vm, source, target]
    assert len(error) == 5
    record = pool.record("VM", vm)
    assert (record["resident_on"], record["power_state"], record["scheduled_to_be_resident_on"]) == (source, "Running", NULL)
    assert record["current_operations"] == {}
    pool("VM.pool_migrate", vm, target, {})
    assert pool.guests("lab3").count(vm) == 1


def test_another_code_gets_the_guest_unless_parameters_are_given(pool: Lab) -> None:
    vm, target = pool.named("app1-01"), pool.ref("lab3")
    pool.world.faults.fail_migration("VM_MIGRATE_CONTACT_REMOTE_SERVICE_FAILED", nth=2)
    pool.world.faults.fail_migration("VM_SUSPEND_TIMEOUT", vm, "1200.")
    assert pool.refused("VM.pool_migrate", vm, target, {}) == ["VM_SUSPEND_TIMEOUT", vm, "1200."]
    assert pool.refused("VM.pool_migrate", vm, target, {})[0] == "VM_MIGRATE_CONTACT_REMOTE_SERVICE_FAILED"


def test_an_evacuation_stops_at_a_migration_that_fails(pool: Lab) -> None:
    vm = pool.named("app2-02")
    pool.world.faults.fail_migration("VM_MIGRATE_FAILED", vm=pool.record("VM", vm)["uuid"])
    pool("host.disable", pool.ref("lab2"))
    assert pool.refused("host.evacuate", pool.ref("lab2"))[:2] == ["VM_MIGRATE_FAILED", vm]
    until(pool.world, lambda: pool.guests("lab2") == [vm])
    pool("host.evacuate", pool.ref("lab2"))


def test_a_guest_that_ignores_a_suspend_can_not_leave(pool: Lab) -> None:
    vm = pool.named("app1-01")
    pool("VM.set_xenstore_data", vm, {"vm-data/sim-suspend": "ignore"})
    assert pool.refused("VM.pool_migrate", vm, pool.host, {}) == ["VM_FAILED_SUSPEND_ACKNOWLEDGMENT", vm]
    assert pool.refused("VM.suspend", vm) == ["VM_FAILED_SUSPEND_ACKNOWLEDGMENT", vm]
    assert pool.state(vm) == "Running"
    pool("VM.set_xenstore_data", vm, {"vm-data/sim-suspend": "30"})
    before = pool.world.clock.now()
    pool("VM.pool_migrate", vm, pool.host, {})
    assert pool.world.clock.now() - before >= 30


def test_workload_balancing_has_nothing_to_recommend(pool: Lab) -> None:
    assert pool.refused("host.retrieve_wlb_evacuate_recommendations", pool.host) == ["WLB_NOT_INITIALIZED"]
    pool.db.set("pool", pool.machine.pool.pool_ref, wlb_url="https://wlb:8012")
    assert pool.refused("host.retrieve_wlb_evacuate_recommendations", pool.host) == ["WLB_DISABLED"]


def test_a_guest_is_not_started_where_guests_leave(pool: Lab) -> None:
    for host in ("lab1", "lab2", "lab3"):
        pool("host.disable", pool.ref(host))
    pool.db.set("host", pool.host, current_operations={"OpaqueRef:t": "evacuate"})
    halted = pool.named("halted")
    assert pool.refused("VM.start", halted, False, False) == ["NO_HOSTS_AVAILABLE"]
    assert pool.refused("VM.start_on", halted, pool.host, False, False) == ["HOST_EVACUATE_IN_PROGRESS", pool.host]
    pool.db.set("host", pool.host, current_operations={})
