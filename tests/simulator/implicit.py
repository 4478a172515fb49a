# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The messages every class has because of its fields: three quarters of all there are."""

from __future__ import annotations

import functools
import typing as t

from . import query
from .errors import Fault
from .schema import MessageType

if t.TYPE_CHECKING:
    from .database import Record
    from .dispatch import Call

Handler = t.Callable[..., t.Any]


def snapshot(call: Call, cls: str, record: Record) -> Record:
    """A copy of a record with the fields this release shows."""
    visible = call.world.schema.visible(cls)
    return record.copy() if visible is None else {name: record[name] for name in visible}


def _get_all(cls: str) -> Handler:
    return lambda call: list(call.db.all(cls))


def _get_all_records(cls: str) -> Handler:
    return lambda call: {ref: snapshot(call, cls, record) for ref, record in call.db.all(cls).items()}


def _get_all_records_where(cls: str) -> Handler:
    def where(call: Call, expression: str) -> dict[str, Record]:
        holds = query.compile_expression(expression, call.world.schema.classes[cls])
        return {ref: snapshot(call, cls, record) for ref, record in call.db.all(cls).items() if holds(record)}

    return where


def _get_record(cls: str) -> Handler:
    return lambda call, ref: snapshot(call, cls, call.db.get(cls, ref))


def _get_by_uuid(cls: str) -> Handler:
    def by_uuid(call: Call, uuid: str) -> str:
        for ref, record in call.db.all(cls).items():
            if record["uuid"] == uuid:
                return ref
        raise Fault("UUID_INVALID", cls, uuid)

    return by_uuid


def _get_by_name_label(cls: str) -> Handler:
    return lambda call, label: call.db.find(cls, name_label=label)


def _create(cls: str) -> Handler:
    return lambda call, fields: call.db.create(cls, **fields)


def _destroy(cls: str) -> Handler:
    return lambda call, ref: call.db.destroy(cls, ref)


_WHOLE: dict[str, t.Callable[[str], Handler]] = {
    "get_all": _get_all,
    "get_all_records": _get_all_records,
    "get_all_records_where": _get_all_records_where,
    "get_record": _get_record,
    "get_by_uuid": _get_by_uuid,
    "get_by_name_label": _get_by_name_label,
    "create": _create,
    "destroy": _destroy,
}


def _getter(cls: str, field: str) -> Handler:
    return lambda call, ref: call.db.get(cls, ref)[field]


def setter(cls: str, field: str) -> Handler:
    return lambda call, ref, value: call.db.set(cls, ref, **{field: value})


def adder(cls: str, field: str) -> Handler:
    """For a map: one key, which must be new. For a set: one element, which may be there already."""

    def add(call: Call, ref: str, key: t.Any, *value: t.Any) -> None:
        held = call.db.get(cls, ref)[field]
        if not value:
            call.db.set(cls, ref, **{field: held if key in held else [*held, key]})
        elif key in held:
            raise Fault("MAP_DUPLICATE_KEY", cls, field, ref, str(key))
        else:
            call.db.add_to_map(cls, ref, field, key, value[0])

    return add


def remover(cls: str, field: str) -> Handler:
    """One key of a map or one element of a set; a missing one is no error."""

    def remove(call: Call, ref: str, key: t.Any) -> None:
        held = call.db.get(cls, ref)[field]
        if isinstance(held, dict):
            call.db.remove_from_map(cls, ref, field, key)
        else:
            call.db.set(cls, ref, **{field: [v for v in held if v != key]})

    return remove


_BY_FIELD: tuple[tuple[str, t.Callable[[str, str], Handler]], ...] = (
    ("add_to_", adder),
    ("remove_from_", remover),
    ("add_", adder),
    ("remove_", remover),
    ("set_", setter),
    ("get_", _getter),
)


def handler(message: MessageType) -> Handler | None:
    """What follows from the fields for this message, if anything does."""
    return _handler(message.cls, message.name) if message.implicit or _sets_a_map(message) else None


def _sets_a_map(message: MessageType) -> bool:
    """Some keys of these maps have roles of their own, so xapi lists the messages as its own; they do what their name says."""
    for prefix in ("set_", "add_to_", "remove_from_"):
        name = message.name.removeprefix(prefix)
        if name in ("other_config", "blocked_operations", "platform") and name != message.name:
            return True
    return False


@functools.cache
def _handler(cls: str, name: str) -> Handler | None:
    whole = _WHOLE.get(name)
    if whole:
        return whole(cls)
    for prefix, make in _BY_FIELD:
        if name.startswith(prefix):
            return make(cls, name.removeprefix(prefix))
    return None
