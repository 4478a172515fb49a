# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A task on the pool for what is done here, so that whoever looks at the pool sees it."""

from __future__ import annotations

import time

from . import tasks
from .client import Session

ASK = 5.0  # seconds between two times that the pool is told


class Shown:
    """How far something is that the pool has no part in: told to who watches, and shown by a task of ours on the pool."""

    def __init__(self, session: Session, what: str, note: str = ""):
        self.session, self.what, self._note = session, what, note
        self._asked = time.monotonic()

    def __enter__(self) -> Shown:
        self.ref: str = self.session.call("task.create", self.what, self._note)
        return self

    def far(self, size: int, total: int) -> None:
        """Bytes that are there, of all."""
        self.session.go_on()
        share = min(1.0, size / total)
        if self.session.watch:
            self.session.watch(self.what, share, size)
        if time.monotonic() - self._asked > ASK:
            self._asked = time.monotonic()
            tasks.quietly(self.session, "task.set_progress", self.ref, share)

    def __exit__(self, kind: type[BaseException] | None, *_error: object) -> None:
        tasks.quietly(self.session, "task.set_status", self.ref, "cancelled" if kind else "success")
        tasks.quietly(self.session, "task.destroy", self.ref)
