# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Guests' memory on its way between hosts: what leaves or enters a host shares its wire, so a migration takes as long as others let it.

Where time does not count (speed 0) the clock goes from one end of a migration to the next, once nobody has begun another for a breath.
"""

from __future__ import annotations

import contextlib
import threading
import typing as t
from collections import Counter
from dataclasses import dataclass

if t.TYPE_CHECKING:
    from .world import World

GIB = 1 << 30
BREATH = 0.003  # real seconds in which another migration may begin where time does not count; a busy machine may need more
STEPS = 10  # looks at a migration's progress
QUEUE_LOOK = 0.05  # real seconds between looks of one that waits for its turn
TINY = 1e-9


class Motion(t.NamedTuple):
    """How quickly guests move: a site's ``motion``. Rates in GiB per minute; 0 for no limit of its own."""

    host: float = 60.0  # in and out of each host
    stream: float = 0.0  # of one migration
    setup: float = 0.0  # seconds before the first byte
    dirty: float = 1.0  # how much of the memory is sent, as guests go on writing
    at_once: int = 0  # migrations into, and out of, a host; more wait


@dataclass(eq=False)
class Flow:
    """One guest: seconds until its first byte, bytes left."""

    source: str
    target: str
    setup: float
    left: float
    total: float

    @property
    def done(self) -> bool:
        """Nothing is left."""
        return self.left <= TINY


class Traffic:
    """All migrations of a world. Call with the world's lock held."""

    def __init__(self, world: World) -> None:
        self.world, self.motion, self.breath = world, Motion(), BREATH
        self.flows: list[Flow] = []
        self._queue: list[Flow] = []
        self._others: Counter[str] = Counter()  # migrations with disks that leave each host
        self._turn = threading.Condition(world.lock)
        self._changes = 0
        self._seen = world.clock.now()

    # how quickly -----------------------------------------------------------------------------------------------------
    def _rate(self, flow: Flow) -> float:
        """Bytes in a second, now."""
        running = [other for other in self.flows if not other.done and other.setup <= TINY]
        leaving = sum(other.source == flow.source for other in running) + self._others[flow.source]
        entering = sum(other.target == flow.target for other in running)
        share = self.motion.host / max(1, leaving, entering)
        return (min(share, self.motion.stream) if self.motion.stream else share) * GIB / 60

    def _next(self, flow: Flow) -> float:
        """Seconds until something changes for it."""
        return flow.setup if flow.setup > TINY else flow.left / self._rate(flow)

    def settle(self) -> None:
        """Brings all migrations up to now."""
        now = self.world.clock.now()
        rest, self._seen = max(0.0, now - self._seen), now
        while rest > TINY and (moving := [flow for flow in self.flows if not flow.done]):
            step = min(rest, *(self._next(flow) for flow in moving))
            rates = {flow: self._rate(flow) for flow in moving}
            for flow in moving:
                if flow.setup > TINY:
                    flow.setup = max(0.0, flow.setup - step)
                else:
                    flow.left = max(0.0, flow.left - rates[flow] * step)
            rest -= max(step, TINY)

    # one migration ---------------------------------------------------------------------------------------------------
    def send(self, source: str, target: str, size: float, watch: t.Callable[[float], None]) -> None:
        """Returns once so many bytes of memory have arrived; ``watch`` is told how much of it is there and may raise."""
        flow = Flow(source, target, self.motion.setup, size * self.motion.dirty, size * self.motion.dirty)
        self._await_turn(flow, watch)
        self.settle()
        self.flows.append(flow)
        self._changed()
        try:
            while not flow.done:
                self._wait(flow)
                watch(1.0 - flow.left / flow.total)
        finally:
            self.settle()
            self.flows.remove(flow)
            self._changed()

    def _await_turn(self, flow: Flow, watch: t.Callable[[float], None]) -> None:
        self._queue.append(flow)
        try:
            while self.motion.at_once and self._crowded(flow):
                self._turn.wait(QUEUE_LOOK)
                watch(0.0)
        finally:
            self._queue.remove(flow)

    def _crowded(self, flow: Flow) -> bool:
        """Whether as many as may are on one of its two wires, or wait there longer."""
        ahead = self.flows + self._queue[: self._queue.index(flow)]
        same = (sum(other.source == flow.source for other in ahead), sum(other.target == flow.target for other in ahead))
        return max(same) >= self.motion.at_once

    def _wait(self, flow: Flow) -> None:
        """Until it is done, or something changed, or it is time for a look."""
        clock = self.world.clock
        if clock.speed:
            self._turn.wait(clock.real(min(self._next(flow), flow.total / self._rate(flow) / STEPS)) + 0.001)
            self.settle()
            return
        before = self._changes
        self._turn.wait(self.breath)
        self.settle()
        moving = [other for other in self.flows if not other.done]
        if before == self._changes and flow in moving and min(moving, key=self._next) is flow:
            self.world.sleep(self._next(flow))
            self.settle()
            self._turn.notify_all()

    def wake(self) -> None:
        """The clock has changed."""
        self.settle()
        self._turn.notify_all()

    def _changed(self) -> None:
        self._changes += 1
        self._turn.notify_all()

    @contextlib.contextmanager
    def lane(self, host: str) -> t.Iterator[t.Callable[[], int]]:
        """Counts a migration with disks among those of its host; gives how many share the wire now."""
        self.settle()
        self._others[host] += 1
        self._changed()
        try:
            yield lambda: self._others[host] + sum(flow.source == host for flow in self.flows)
        finally:
            self.settle()
            self._others[host] -= 1
            self._changed()
