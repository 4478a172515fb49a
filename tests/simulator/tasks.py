# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tasks behind Async calls (xen-api: ocaml/xapi/taskHelper.ml, xapi_task.ml)."""

from __future__ import annotations

import threading
import typing as t

from . import wire_xml
from .clock import epoch
from .errors import Fault
from .modeltypes import EPOCH, NULL, Type

if t.TYPE_CHECKING:
    from .database import Database
    from .dispatch import Call

PENDING = "pending"


def create(call: Call, label: str, description: str = "", *, cancellable: bool = False) -> str:
    """A pending task of the caller's session on this host."""
    collect_garbage(call.db, call.world.clock.now())
    return call.db.create(
        "task", name_label=label, name_description=description, created=call.world.clock.iso(), finished=EPOCH, status=PENDING,
        session=call.session, user=user_of(call), resident_on=call.machine.host_ref, progress=0.0, type="<none/>", result="",
        error_info=[], subtask_of=call.task or NULL, allowed_operations=["cancel"] if cancellable else [], backtrace="()",
    )  # fmt: skip


def user_of(call: Call) -> str:
    """Whose call it is."""
    return str(call.db.get("session", call.session)["auth_user_name"]) if call.db.exists("session", call.session) else ""


def collect_garbage(db: Database, now: float) -> None:
    """Finished tasks go after 65 minutes, pending ones after a day, the oldest finished ones when there are more than 200."""
    finished = []
    for ref, record in list(db.all("task").items()):
        pending = record["status"] == PENDING
        if now - epoch(record["created" if pending else "finished"]) > (24 * 3600 if pending else 65 * 60):
            db.destroy("task", ref)
        elif not pending:
            finished.append((record["finished"], ref))
    for _date, ref in sorted(finished, key=lambda pair: str(pair[0]))[: max(0, len(db.all("task")) - 200)]:
        db.destroy("task", ref)


def finish(db: Database, ref: str, now: str, status: str, **fields: t.Any) -> None:
    """Ends a task; one whose destruction was asked for vanishes."""
    if not db.exists("task", ref):
        return
    db.set("task", ref, status=status, finished=now, progress=1.0, allowed_operations=[], **fields)
    if "destroy" in db.get("task", ref)["current_operations"].values():
        db.destroy("task", ref)


def cancelled(db: Database, ref: str | None) -> bool:
    """Whether somebody asked for the task's end."""
    return ref is not None and db.exists("task", ref) and "cancel" in db.get("task", ref)["current_operations"].values()


def check_cancelled(call: Call) -> None:
    """Raises TASK_CANCELLED [task]."""
    if call.task and cancelled(call.db, call.task):
        raise Fault("TASK_CANCELLED", call.task)


def progress(call: Call, fraction: float) -> None:
    """Notes how far the task is; raises TASK_CANCELLED [task]."""
    check_cancelled(call)
    if call.task and call.db.exists("task", call.task):
        call.db.set("task", call.task, progress=float(fraction))


def start(call: Call, work: t.Callable[[], t.Any], result: Type) -> tuple[str, threading.Thread]:
    """Runs the work in a thread of its own and returns the task at once."""
    ref = call.task = create(call, f"Async.{call.method}", cancellable=True)
    world, db = call.world, call.db

    def body() -> None:
        with world.lock:
            try:
                finish_with(work(), result)
            except Fault as e:
                fail(e)
            except Exception as e:  # a bug in a behaviour must not leave a task pending for ever
                fail(Fault("INTERNAL_ERROR", f"{type(e).__name__}: {e}"))
                raise

    def finish_with(value: t.Any, type_: Type) -> None:
        finish(db, ref, world.clock.iso(), "success", result=wire_xml.value(type_, value, world.schema))

    def fail(fault: Fault) -> None:
        status = "cancelled" if fault.code == "TASK_CANCELLED" else "failure"
        finish(db, ref, world.clock.iso(), status, error_info=fault.description)

    thread = threading.Thread(target=body, daemon=True, name=f"Async.{call.method}")
    thread.start()
    return ref, thread
