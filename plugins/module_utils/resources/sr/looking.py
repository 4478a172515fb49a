# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A look at a target without anything else (the module xen_sr_probe)."""

from __future__ import annotations

import typing as t

from ...client import Session
from ...errors import ApiError, XenError
from ...hosts import name_of
from ...refs import Objects, Record
from . import probe, types
from .task import Task

ARGUMENTS: dict[str, dict[str, t.Any]] = {"type": {"type": "str", "required": True}, "host": {"type": "str"}, **types.arguments()}


def look(session: Session, params: Record, _check: bool) -> dict[str, t.Any]:
    """Everything the target tells, as plain lists. Raises XenError in one sentence."""
    task = Task(session, Objects(session), params, "")
    row, host = task.row(params["type"]), task.host()
    try:
        answer = task.target(row, host).look(types.merged({}, types.wanted(row, params)))
    except ApiError as e:
        if e.code == "RBAC_PERMISSION_DENIED":
            raise
        name = name_of(task.objects, host)
        raise XenError(f"Host {name!r} could not ask for SRs of type {row.name}: {probe.reason(e)}.", code=e.code, params=e.params) from e
    return {"changed": False, **answer.told()}
