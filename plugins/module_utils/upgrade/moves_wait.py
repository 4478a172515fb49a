# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Many long calls waited for at once, through one event.from: courses of calls that say what they wait for and go on when it is there."""

from __future__ import annotations

import functools
import time
import typing as t
from dataclasses import dataclass

from .. import tasks
from ..client import Session
from ..errors import ApiError, OutcomeUnknown, Timeout, XenError
from ..plan import Operation
from ..refs import NULL, Record

ANSWERS = 600.0  # seconds until a pool whose coordinator restarted must answer


@dataclass(frozen=True)
class For:
    """What a course waits for: the end of a task, or that a VM rests. until: on the clock of time.monotonic; what: in words."""

    cls: str
    ref: str
    what: str
    until: float

    @property
    def key(self) -> str:
        return f"{self.cls}/{self.ref}"

    def come(self, record: Record) -> bool:
        if self.cls == "task":
            return record["status"] not in ("pending", "cancelling")
        return rests(record)


Course = t.Generator[For, Record, None]


def rests(vm: Record) -> bool:
    """Whether nothing is under way with a VM."""
    return not vm["current_operations"] and vm["scheduled_to_be_resident_on"] == NULL


class Courses:
    """session.watch is told how far tasks are. A course that fails ends in itself: what it raises comes out of begin or proceed."""

    def __init__(self, session: Session):
        self.session = session
        self._token = ""
        self._going: dict[int, tuple[Course, For]] = {}

    def __len__(self) -> int:
        return len(self._going)

    def begin(self, number: int, course: Course) -> bool:
        """Run it up to its first wait; whether it has ended."""
        return self._advance(number, course, functools.partial(next, course))

    def proceed(self) -> list[int]:
        """Wait until something happens; the numbers of the courses that have ended."""
        try:
            events = self._events()
        except XenError as e:
            if isinstance(e, ApiError) and e.code not in tasks.NOT_YET:
                raise
            return self._lost(f"the connection was lost: {e.message}")
        ended = [number for event in events for number in self._hear(event)]
        now = time.monotonic()
        late = [number for number, (_course, wait) in self._going.items() if wait.until <= now]
        return ended + [number for number in late if self._throw(number, lambda wait: Timeout(f"{wait.what} took too long."))]

    def cancel(self) -> None:
        """What is waited for is to end: nobody will hear of it."""
        for course, wait in self._going.values():
            if wait.cls == "task":
                tasks.quietly(self.session, "task.cancel", wait.ref)
            course.close()
        self._going.clear()

    # parts -----------------------------------------------------------------------------------------------------------
    def _advance(self, number: int, course: Course, step: t.Callable[[], For]) -> bool:
        self._going.pop(number, None)
        try:
            self._going[number] = (course, step())
        except StopIteration:
            return True
        return False

    def _throw(self, number: int, error: t.Callable[[For], XenError]) -> bool:
        course, wait = self._going[number]
        return self._advance(number, course, functools.partial(course.throw, error(wait)))

    def _events(self) -> list[t.Any]:
        nearest = min(wait.until for _course, wait in self._going.values())
        block = max(0.0, min(tasks.POLL, nearest - time.monotonic()))
        classes = sorted({wait.key for _course, wait in self._going.values()})
        timeout = block + self.session.endpoint.timeout
        batch = self.session.call("event.from", classes, self._token, block, timeout=timeout, renew=False)
        self._token = batch["token"]
        return t.cast("list[t.Any]", batch["events"])

    def _hear(self, event: Record) -> list[int]:
        key = f"{event['class']}/{event['ref']}"
        concerned = [number for number, (_course, wait) in self._going.items() if wait.key == key]
        if event["operation"] == "del":
            return [n for n in concerned if self._throw(n, lambda wait: OutcomeUnknown(f"{wait.what}: it is not there any more."))]
        record, out = event["snapshot"], []
        for number in concerned:
            course, wait = self._going[number]
            if self.session.watch and wait.cls == "task":
                self.session.watch(wait.what, float(record["progress"]))
            if wait.come(record) and self._advance(number, course, functools.partial(course.send, record)):
                out.append(number)
        return out

    def _lost(self, why: str) -> list[int]:
        """Tasks may have ended unheard of: each course looks for itself, once the pool answers again."""
        self._token = ""
        answer(self.session)
        return [n for n in list(self._going) if self._throw(n, lambda wait: OutcomeUnknown(f"{wait.what}: {why}"))]


def answer(session: Session) -> None:
    """Wait until the pool can be asked again. Raises Timeout."""
    tasks.wait_until("the pool to answer again", lambda: bool(session.call("pool.get_all")), timeout=ANSWERS)


def made(session: Session, operation: Operation, params: t.Sequence[t.Any], until: float, label: str) -> t.Generator[For, Record, t.Any]:
    """One long call as part of a course. Raises as tasks.run does."""
    task = session.call(f"Async.{operation.method}", *params)
    wait = For("task", task, f"{label}: {operation.method}", until)
    record = yield wait
    tasks.quietly(session, "task.destroy", task)
    if record["status"] == "success":
        return tasks.result_of(record["result"])
    raise ApiError(operation.method, record["error_info"] or ["TASK_CANCELLED", task])
