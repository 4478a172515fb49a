# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The same for several hosts at once, each in a thread with a connection of its own."""

from __future__ import annotations

import typing as t
from concurrent.futures import ThreadPoolExecutor, wait

from ..client import Session
from ..side import Side

MOST = 32  # threads
T = t.TypeVar("T")


def at_once(session: Session, names: t.Mapping[str, str], do: t.Callable[[Session, str], T]) -> dict[str, T]:
    """What do(session, key) returns for every key of names, which are told with its progress. Raises what the first of them raised.

    Interrupted, it ends what is under way, and waits until it has.
    """
    if not names:
        return {}
    sides = {key: _side(session, name) for key, name in names.items()}
    try:
        with ThreadPoolExecutor(min(len(sides), MOST)) as threads:
            running = {key: threads.submit(do, side, key) for key, side in sides.items()}
            try:
                wait(running.values())
            except BaseException:
                for side in sides.values():
                    side.stop()
                raise
        return {key: one.result() for key, one in running.items()}
    finally:
        for side in sides.values():
            side.end()


def _side(session: Session, name: str) -> Side:
    side = Side(session)
    side.mirror = None  # it looks seldom, and the pool's events begin anew when the coordinator restarts
    side.work_on(name, session.watch)
    return side
