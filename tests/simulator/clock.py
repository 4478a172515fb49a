# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Virtual time: with speed 60 a minute passes in one second; with speed 0 nobody waits."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime

ISO = "%Y%m%dT%H:%M:%SZ"


def iso(epoch: float) -> str:
    """Seconds since 1970 as XenAPI writes a date."""
    return datetime.fromtimestamp(epoch, UTC).strftime(ISO)


def epoch(date: str) -> float:
    """The inverse of ``iso``; a date without zone counts as UTC."""
    return datetime.strptime(date.rstrip("Z") + "Z", ISO).replace(tzinfo=UTC).timestamp()


class Clock:
    """``lock`` is given back while somebody sleeps."""

    def __init__(self, speed: float = 1.0, lock: threading.RLock | None = None, start: float | None = None) -> None:
        self._ticks = threading.Condition(lock or threading.RLock())
        self.speed = speed
        self._base = time.time() if start is None else start
        self._since = time.monotonic()

    def now(self) -> float:
        """Virtual seconds since 1970."""
        return self._base + (time.monotonic() - self._since) * (self.speed or 1.0)

    def iso(self) -> str:
        """Now, as XenAPI writes it."""
        return iso(self.now())

    def set_speed(self, speed: float) -> None:
        """From now on; sleepers notice."""
        with self._ticks:
            self._base, self._since = self.now(), time.monotonic()
            self.speed = speed
            self._ticks.notify_all()

    def real(self, seconds: float) -> float:
        """How long that many virtual seconds take."""
        return seconds / self.speed if self.speed else 0.0

    def sleep(self, seconds: float) -> None:
        """Virtual seconds pass; the lock is free meanwhile."""
        with self._ticks:
            end = self.now() + seconds
            while (rest := end - self.now()) > 0:
                if not self.speed:
                    self._base += rest
                    break
                self._ticks.wait(self.real(rest))
