# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is to happen at a later time: named actions with JSON arguments, so that a restart finds them again."""

from __future__ import annotations

import logging
import threading
import typing as t

if t.TYPE_CHECKING:
    from .world import World

Action = t.Callable[..., None]
ACTIONS: dict[str, Action] = {}


def scheduled(name: str) -> t.Callable[[Action], Action]:
    """Registers what ``World.after(seconds, name, **args)`` runs: called with the world and the arguments, the lock held."""

    def register(function: Action) -> Action:
        if name in ACTIONS:
            raise ValueError(f"two actions called {name}")
        ACTIONS[name] = function
        return function

    return register


class Agenda:
    """Entries (due, action, args) and the one thread that runs them."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.entries: list[dict[str, t.Any]] = []
        self._changed = threading.Condition(world.lock)
        self._thread: threading.Thread | None = None
        self._stopped = False

    def add(self, due: float, action: str, args: dict[str, t.Any]) -> None:
        """LookupError for an action nobody registered."""
        if action not in ACTIONS:
            raise LookupError(f"no action {action}")
        self.entries.append({"due": due, "action": action, "args": args})
        self.start()
        self.wake()

    def start(self) -> None:
        """Begins to run what is due."""
        if self._thread is None and not self._stopped:
            self._thread = threading.Thread(target=self._run, daemon=True, name="agenda")
            self._thread.start()

    def wake(self) -> None:
        """Something about it or the clock has changed."""
        with self.world.lock:
            self._changed.notify_all()

    def stop(self) -> None:
        """Runs nothing any more."""
        with self.world.lock:
            self._stopped = True
            self._changed.notify_all()

    def pass_time(self, seconds: float) -> None:
        """Virtual seconds pass for the caller; what is due meanwhile happens. Call with the lock held."""
        clock = self.world.clock
        end = clock.now() + seconds
        while not clock.speed and self.entries:  # nobody waits, so nobody else gets the lock
            due = self._first_due()
            if due > end:
                break
            clock.sleep(due - clock.now())
            self._act()
        clock.sleep(end - clock.now())

    def _first_due(self) -> float:
        self.entries.sort(key=lambda entry: t.cast("float", entry["due"]))
        return t.cast("float", self.entries[0]["due"])

    def _run(self) -> None:
        with self.world.lock:
            while not self._stopped:
                clock = self.world.clock
                rest = self._first_due() - clock.now() if self.entries else None
                if rest is None or (rest > 0 and clock.speed):
                    self._changed.wait(None if rest is None else clock.real(rest))
                    continue
                if rest > 0:
                    clock.sleep(rest)
                self._act()

    def _act(self) -> None:
        """Runs the first entry."""
        entry = self.entries.pop(0)
        try:
            ACTIONS[entry["action"]](self.world, **entry["args"])
        except Exception:  # a bug in one action must not keep the others from running
            logging.getLogger(__name__).exception("%s failed", entry["action"])
        self.world.save()
