# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Long calls: started as Async.*, waited for through event.from, cancelled when the run is interrupted."""

from __future__ import annotations

import contextlib
import html
import re
import time
import typing as t

from .client import LAST_CALLS, Session
from .errors import ApiError, ConnectionFailed, OutcomeUnknown, Timeout, Untrusted, XenError

Progress = t.Callable[[float], None]
POLL = 30.0  # seconds one event.from may block
# while a host or its agent restarts, these say "not yet"
NOT_YET = {"HOST_STILL_BOOTING", "HOST_IS_SLAVE", "SESSION_INVALID", "SESSION_AUTHENTICATION_FAILED", "HOST_OFFLINE", "CANNOT_CONTACT_HOST"}


def run(session: Session, method: str, params: t.Sequence[t.Any], *, timeout: float, progress: Progress | None = None) -> t.Any:
    """The result of a call made as a task, waited for at most timeout seconds.

    Raises ApiError as the call itself would, Timeout (the task goes on), OutcomeUnknown when the task was lost.
    """
    task = session.call(f"Async.{method}", *params)
    try:
        record = ended(session, task, method, timeout, progress)
    except BaseException as e:
        if not isinstance(e, Exception):  # interrupted: do not leave work behind that nobody waits for
            quietly(session, "task.cancel", task)
        raise
    quietly(session, "task.destroy", task)
    if record["status"] == "success":
        return result_of(record["result"])
    raise ApiError(method, record["error_info"] or ["TASK_CANCELLED", task])


def result_of(fragment: str) -> t.Any:
    """A task's result is a piece of XML-RPC: a value, or an array of values (xen-api: taskHelper.ml)."""
    values = [html.unescape(value) for value in re.findall(r"<value>([^<]*)</value>", fragment)]
    if "<array>" in fragment:
        return values
    return values[0] if values else ""


def ended(session: Session, task: str, method: str, timeout: float, progress: Progress | None = None) -> dict[str, t.Any]:
    """The record of a task once it has ended, waited for at most timeout seconds. Raises Timeout, OutcomeUnknown, ApiError."""
    token, end, reached = "", time.monotonic() + timeout, 0.0
    while True:
        left = end - time.monotonic()
        if left <= 0:
            raise Timeout(f"{method} had reached {reached:.0%} after {timeout:g} seconds and goes on.", hint=f"Its task is {task}.")
        block = min(POLL, left)
        try:
            batch = session.call("event.from", [f"task/{task}"], token, block, timeout=block + session.endpoint.timeout, renew=False)
        except ConnectionFailed as e:
            raise OutcomeUnknown(f"{method}: the connection was lost while its task was running: {e.message}") from e
        except ApiError as e:
            if e.code not in NOT_YET:
                raise
            raise OutcomeUnknown(f"{method}: the coordinator restarted while its task was running.") from e
        token = batch["token"]
        for event in batch["events"]:
            if event["operation"] == "del":
                raise OutcomeUnknown(f"{method}: its task was removed by somebody else.")
            record = event["snapshot"]
            reached = float(record["progress"])
            if progress:
                progress(reached)
            if session.watch:
                session.watch(method, reached)
            if record["status"] not in ("pending", "cancelling"):
                return t.cast("dict[str, t.Any]", record)


def is_of(task: t.Mapping[str, t.Any], *methods: str) -> bool:
    """Whether the record is of a task that goes on with one of these calls, made as a task or not (xen-api: ocaml/xapi/taskHelper.ml)."""
    return bool(task["status"] == "pending" and task["name_label"].removeprefix("Async.") in methods)


def quietly(session: Session, method: str, *params: t.Any) -> None:
    """A call that does no harm if it fails."""
    with contextlib.suppress(XenError):
        session.call(method, *params, timeout=LAST_CALLS)


def wait_until(what: str, ready: t.Callable[[], object], *, timeout: float, pause: float = 0.2) -> None:
    """Ask again and again until ready() is true.

    ready may return a string: what is still missing, which a Timeout repeats. Connections that fail and hosts that are
    still starting count as "not yet". Untrusted and OutcomeUnknown pass: more waiting will not help, a new plan may.
    """
    end, seen = time.monotonic() + timeout, "nothing yet"
    while True:
        try:
            state = ready()
            if state is True:
                return
            seen = str(state) if isinstance(state, str) else seen
        except Untrusted:
            raise
        except ConnectionFailed as e:
            seen = e.message
        except ApiError as e:
            if e.code not in NOT_YET:
                raise
            seen = e.message
        if time.monotonic() >= end:
            raise Timeout(f"Waited {timeout:g} seconds for {what}; last seen: {seen}")
        time.sleep(pause)
        pause = min(pause * 1.5, 3.0)
