# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Virtual time, and what is to happen at a point of it."""

from __future__ import annotations

import threading
import time

import pytest

from ansible_collections.domzero.xen.tests.simulator.clock import Clock, epoch, iso
from ansible_collections.domzero.xen.tests.simulator.world import ACTIONS, World, scheduled

DONE: list[tuple[str, float]] = []


@scheduled("note it")
def note_it(world: World, what: str) -> None:
    DONE.append((what, world.clock.now()))


def test_dates_are_written_as_xenapi_has_them() -> None:
    assert iso(0) == "19700101T00:00:00Z"
    assert epoch("20261121T02:40:26Z") == epoch("20261121T02:40:26")
    assert epoch(iso(1_795_228_824)) == 1_795_228_824


def test_a_minute_passes_in_seconds_at_high_speed() -> None:
    clock, begin = Clock(600), time.monotonic()
    before = clock.now()
    clock.sleep(60)
    passed = clock.now() - before
    real = time.monotonic() - begin
    assert 60 <= passed <= 600 * real
    assert real < 20


def test_nobody_waits_at_speed_zero_and_time_passes_all_the_same() -> None:
    clock, begin = Clock(0), time.monotonic()
    before = clock.now()
    clock.sleep(3600)
    assert clock.now() - before >= 3600
    assert time.monotonic() - begin < 20


def test_a_sleeper_notices_another_speed() -> None:
    clock = Clock(1)
    sleeper = threading.Thread(target=clock.sleep, args=(3600,))
    sleeper.start()
    time.sleep(0.05)
    clock.set_speed(0)
    sleeper.join(5)
    assert not sleeper.is_alive()


def test_others_go_on_while_somebody_sleeps() -> None:
    world = World(speed=1)
    with world.lock:
        threading.Timer(0.05, world.set_speed, (0,)).start()  # needs the lock
        world.clock.sleep(3600)


@pytest.mark.parametrize("speed", [0, 100])
def test_actions_are_run_in_their_order(speed: float) -> None:
    DONE.clear()
    world = World(speed=speed)
    begin = world.clock.now()
    with world.lock:
        world.after(60, "note it", what="second")
        world.after(10, "note it", what="first")
    end = time.monotonic() + 30
    while len(DONE) < 2 and time.monotonic() < end:
        time.sleep(0.01)
    world.stop()
    assert [what for what, _when in DONE] == ["first", "second"]
    assert DONE[0][1] >= begin + 10
    assert DONE[1][1] >= begin + 60
    assert not world.agenda


def test_an_action_nobody_registered_is_refused() -> None:
    with pytest.raises(LookupError, match="no action dance"):
        World().after(1, "dance")
    assert "agent starts" in ACTIONS
