# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A session for a thread of its own."""

from __future__ import annotations

import threading
import typing as t

from .client import Session
from .mirror import Mirror

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
        self._handed, self._stopping = session.handle, threading.Event()
        self.mirror = Mirror(self)

    def work_on(self, name: str, watch: t.Callable[[str, float], None] | None) -> None:
        """How far long calls are is told with the name of the object."""
        self.watch = (lambda method, share: watch(f"{name}: {method}", share)) if watch else None

    def call(self, method: str, *params: t.Any, **more: t.Any) -> t.Any:
        if self._stopping.is_set() and method not in ENDING:
            raise Interrupted
        if method == "event.from":
            params = (*params[:2], min(params[2], BLOCK))
        return super().call(method, *params, **more)

    def stop(self) -> None:
        """It cancels what it waits for, and begins nothing more."""
        self._stopping.set()

    def end(self) -> None:
        """A session that took the place of the one handed over is its own."""
        if self.handle == self._handed:
            self.abandon()
        self.log_out()
