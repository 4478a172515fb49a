# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages: what happened to an object, newest first (xen-api: ocaml/xapi/xapi_message.ml)."""

from __future__ import annotations

import typing as t

from ..clock import epoch
from ..database import Record
from ..dispatch import Call
from ..errors import Fault
from . import message

_CLASSES = {"Host": "host", "Pool": "pool"}  # the others are spelled as their class is


def _newest_first(call: Call, keep: t.Callable[[Record], bool] = lambda _record: True) -> dict[str, Record]:
    records = [(ref, record.copy()) for ref, record in call.db.all("message").items() if keep(record)]
    return dict(reversed(records))


@message("message.create")
def create(call: Call, name: str, priority: int, cls: str, obj_uuid: str, body: str) -> str:
    """About an object that exists. Raises UUID_INVALID [class, uuid]."""
    about = _CLASSES.get(cls, cls)
    if not call.db.find(about, uuid=obj_uuid):
        raise Fault("UUID_INVALID", about, obj_uuid)
    now = call.world.clock.iso()
    return call.db.create("message", name=name, priority=priority, cls=cls, obj_uuid=obj_uuid, body=body, timestamp=now)


@message("message.destroy")
def destroy(call: Call, ref: str) -> None:
    """Raises HANDLE_INVALID."""
    call.db.destroy("message", ref)


@message("message.destroy_many")
def destroy_many(call: Call, refs: list[str]) -> None:
    """All of them or, if one is unknown, those before it."""
    for ref in refs:
        call.db.destroy("message", ref)


@message("message.destroy_all")
def destroy_all(call: Call, filters: dict[str, str]) -> None:
    """Those that pass all filters: before, after (dates), priority."""
    tests: dict[str, t.Callable[[Record, str], bool]] = {
        "before": lambda record, date: record["timestamp"] < date,
        "after": lambda record, date: record["timestamp"] > date,
        "priority": lambda record, priority: str(record["priority"]) == priority,
    }
    unknown = filters.keys() - tests.keys()
    if unknown:
        raise Fault("INVALID_VALUE", "filters", ", ".join(sorted(unknown)))
    for ref in _newest_first(call, lambda record: all(tests[name](record, value) for name, value in filters.items())):
        call.db.destroy("message", ref)


@message("message.get_all")
def get_all(call: Call) -> list[str]:
    """Newest first."""
    return list(_newest_first(call))


@message("message.get_all_records")
def get_all_records(call: Call) -> dict[str, Record]:
    """Newest first."""
    return _newest_first(call)


@message("message.get_all_records_where")
def get_all_records_where(call: Call, expr: str) -> dict[str, Record]:
    """xapi does not look at the expression."""
    return _newest_first(call)


@message("message.get_since")
def get_since(call: Call, since: str) -> dict[str, Record]:
    """Later than a date."""
    return _newest_first(call, lambda record: epoch(record["timestamp"]) > epoch(since))


@message("message.get")
def get(call: Call, cls: str, obj_uuid: str, since: str) -> dict[str, Record]:
    """About one object, later than a date."""
    return {ref: r for ref, r in get_since(call, since).items() if (r["cls"], r["obj_uuid"]) == (cls, obj_uuid)}


@message("message.get_record")
def get_record(call: Call, ref: str) -> Record:
    """Raises HANDLE_INVALID."""
    return call.db.get("message", ref).copy()


@message("message.get_by_uuid")
def get_by_uuid(call: Call, uuid: str) -> str:
    """Raises UUID_INVALID."""
    found = call.db.find("message", uuid=uuid)
    if not found:
        raise Fault("UUID_INVALID", "message", uuid)
    return found[0]
