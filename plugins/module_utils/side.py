# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A session for a thread of its own, and many things done at once with such sessions."""

from __future__ import annotations

import threading
import typing as t
from collections import deque
from concurrent.futures import ThreadPoolExecutor, wait

from .client import Session
from .mirror import Mirror

Item = t.TypeVar("Item")
Done = t.TypeVar("Done")
ENDING = ("task.cancel", "task.destroy")  # what is still called when the run is to end
BLOCK = 2.0  # seconds until a thread that waits notices it


class Interrupted(BaseException):
    """The run was told to end."""


class Side(Session):
    """A session somebody else opened, over a connection of its own, for a thread that can be told to stop.

    What it has read of the pool it keeps from one task to the next.
    """

    def __init__(self, session: Session):
        super().__init__(session.endpoint)
        self._session, self._login_params = session._session, session._login_params
        self._handed, self._stopping, self._told = session.handle, threading.Event(), False
        self.mirror = Mirror(self)

    def work_on(self, name: str, watch: t.Callable[..., None] | None) -> None:
        """How far long calls are is told with the name of the object."""
        self.watch = (lambda what, *far: watch(what if name in what else f"{name}: {what}", *far)) if watch else None

    def call(self, method: str, *params: t.Any, **more: t.Any) -> t.Any:
        if method not in ENDING:
            self.go_on()
        if method == "event.from":
            params = (*params[:2], min(params[2], BLOCK))
        return super().call(method, *params, **more)

    @property
    def stopped(self) -> bool:
        return self._stopping.is_set()

    def go_on(self) -> None:
        """Raises Interrupted once the thread is to end. Only once: what is called after that puts in order what was begun."""
        if self.stopped and not self._told:
            self._told = True
            raise Interrupted

    def stop(self) -> None:
        """It cancels what it waits for, and begins nothing more."""
        self._stopping.set()

    def end(self) -> None:
        """A session that took the place of the one handed over is its own."""
        if self.handle == self._handed:
            self.abandon()
        self.log_out()


class Sides:
    """Threads with a session each, which last from one call of each() to the next."""

    def __init__(self, session: Session):
        self._session = session
        self._sides: list[Side] = []

    def each(
        self, items: t.Sequence[Item], parallel: int, name: t.Callable[[Item], str], work: t.Callable[[Side, Item], Done]
    ) -> list[Done]:
        """What work makes of each item, in their order; at most so many at once. name: what progress is told with.

        Interrupted, it lets none begin, waits until those under way have put things in order, and passes the interruption on.
        """
        if not items:
            return []
        count = min(parallel, len(items))
        self._sides += [Side(self._session) for _new in range(len(self._sides), count)]
        sides, waiting, done = self._sides[:count], deque(enumerate(items)), dict[int, Done]()

        def serve(side: Side) -> None:
            while not side.stopped:
                try:
                    n, item = waiting.popleft()
                except IndexError:
                    return
                side.work_on(name(item), self._session.watch)
                done[n] = work(side, item)

        with ThreadPoolExecutor(count) as threads:
            running = [threads.submit(serve, side) for side in sides]
            try:
                wait(running)
            except BaseException:  # interrupted: end what is under way, and wait until it has
                for side in sides:
                    side.stop()
                raise
        for one in running:
            one.result()
        return [done[n] for n in range(len(items))]

    def end(self) -> None:
        for side in self._sides:
            side.end()
