# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tasks a client sees and owns (xen-api: ocaml/xapi/xapi_task.ml)."""

from __future__ import annotations

import typing as t
import uuid

from .. import tasks
from ..dispatch import Call
from ..errors import Fault
from . import message


def _own(call: Call, ref: str, action: str) -> dict[str, t.Any]:
    """The record; another user's task is for pool operators only. Raises HANDLE_INVALID, RBAC_PERMISSION_DENIED."""
    record = call.db.get("task", ref)
    session = call.db.get("session", call.session)
    if session["is_local_superuser"] or record["user"] == session["auth_user_name"] or "pool.sync_database" in session["rbac_permissions"]:
        return record
    raise Fault("RBAC_PERMISSION_DENIED", f"task.{action}/any", "No permission in user session")


@message("task.create")
def create(call: Call, label: str, description: str) -> str:
    """A task of the client's own, which it must end and destroy."""
    return tasks.create(call, label, description)


@message("task.destroy")
def destroy(call: Call, ref: str) -> None:
    """A pending one vanishes when it ends."""
    if _own(call, ref, "destroy")["status"] == tasks.PENDING:
        _operate(call, ref, "destroy")
    else:
        call.db.destroy("task", ref)


@message("task.cancel")
def cancel(call: Call, ref: str) -> None:
    """Accepted without effect where the task can't be cancelled."""
    if "cancel" in _own(call, ref, "cancel")["allowed_operations"]:
        _operate(call, ref, "cancel")


def _operate(call: Call, ref: str, operation: str) -> None:
    call.db.add_to_map("task", ref, "current_operations", f"DummyRef:|{uuid.uuid4()}|task.{operation}", operation)


@message("task.set_status")
def set_status(call: Call, ref: str, value: str) -> None:
    """Ends a task of the client's own, when the status is a final one."""
    _own(call, ref, "set_status")
    call.db.set("task", ref, status=value)
    if value in ("success", "failure", "cancelled"):
        progress = call.db.get("task", ref)["progress"]
        tasks.finish(call.db, ref, call.world.clock.iso(), value)
        if call.db.exists("task", ref):
            call.db.set("task", ref, progress=progress)


@message("task.set_progress")
def set_progress(call: Call, ref: str, value: float) -> None:
    """Of a task of the client's own."""
    _own(call, ref, "set_progress")
    call.db.set("task", ref, progress=value)


@message("task.set_result")
def set_result(call: Call, ref: str, value: str) -> None:
    """Of a task of the client's own."""
    _own(call, ref, "set_result")
    call.db.set("task", ref, result=value)


@message("task.set_error_info")
def set_error_info(call: Call, ref: str, value: list[str]) -> None:
    """Of a task of the client's own."""
    _own(call, ref, "set_error_info")
    call.db.set("task", ref, error_info=value)
