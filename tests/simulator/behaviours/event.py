# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""event.from and its elders (xen-api: ocaml/xapi/xapi_event.ml)."""

from __future__ import annotations

import re
import time
import typing as t

from ..database import Database, Stamp
from ..dispatch import Call
from ..errors import Fault
from ..implicit import snapshot
from ..schema import EVENTLESS
from . import message

BATCH_SECONDS = 0.05
_TOKEN = re.compile(r"\d+,\d+")


class _Subscription:
    """What a client wants to hear of; a class nobody knows is never heard of."""

    def __init__(self, call: Call, wanted: list[str]) -> None:
        by_lower = call.world.schema.by_lower
        self.classes: dict[str, set[str] | None] = {}  # None: every object
        for text in wanted:
            cls, *ref = text.split("/")
            if len(ref) > 1 or not cls:
                raise Fault("EVENT_SUBSCRIPTION_PARSE_FAILURE", text)
            for name in by_lower.values() if cls == "*" else filter(None, [by_lower.get(cls.lower())]):
                if name not in EVENTLESS:
                    self._add(name, ref)
        self.tasks_only = self.classes.keys() <= {"task"}

    def _add(self, cls: str, ref: list[str]) -> None:
        known = self.classes.setdefault(cls, set())
        if known is not None:
            self.classes[cls] = known | set(ref) if ref else None

    def covers(self, cls: str, ref: str) -> bool:
        refs = self.classes.get(cls, set())
        return refs is None or ref in refs


def _event(generation: int, cls: str, operation: str, ref: str) -> dict[str, t.Any]:
    return {"id": str(generation), "timestamp": "0.0", "class": cls.lower(), "operation": operation, "ref": ref}


def _since(stamps: dict[str, Stamp], token: int) -> t.Iterator[tuple[str, Stamp]]:
    """Newest change first; the table is in that order."""
    for ref in reversed(stamps):
        if stamps[ref].modified <= token:
            return
        yield ref, stamps[ref]


def _gather(call: Call, wanted: _Subscription, token: int) -> list[dict[str, t.Any]]:
    """At most one event for each object: what a client that stopped at this generation has to be told."""
    db, found = call.db, []
    for cls in wanted.classes:
        for ref, stamp in _since(db.stamps[cls], token):
            if wanted.covers(cls, ref):
                event = _event(stamp.modified, cls, "add" if stamp.created > token else "mod", ref)
                event["snapshot"] = snapshot(call, cls, db.get(cls, ref))
                found.append((stamp.modified, event))
    for gone in reversed(db.gone):
        if gone.deleted <= token:
            break
        if gone.created <= token and wanted.covers(gone.cls, gone.ref):
            found.append((gone.deleted, _event(gone.deleted, gone.cls, "del", gone.ref)))
    found.sort(key=lambda pair: pair[0])
    return [event for _generation, event in found]


def _messages_generation(db: Database) -> int:
    stamps = db.stamps["message"]
    return stamps[next(reversed(stamps))].modified if stamps else 0


def _token(db: Database) -> str:
    return f"{db.generation:020d},{_messages_generation(db):020d}"


def _counts(call: Call) -> dict[str, int]:
    return {cls.lower(): len(table) for cls, table in call.db.tables.items()}


def _wait(call: Call, gather: t.Callable[[], list[dict[str, t.Any]]], seconds: float, pause: float) -> list[dict[str, t.Any]]:
    """Events as soon as there are any, none after so many (real) seconds. Raises SESSION_INVALID when the client logged out."""
    end = time.monotonic() + seconds
    events = gather()
    while not events and (rest := end - time.monotonic()) > 0 and not call.world.stopped:
        call.world.changed.wait(rest)
        if not call.db.exists("session", call.session):
            raise Fault("SESSION_INVALID", call.session)
        events = gather()
        if events and pause:
            call.world.pause(pause)
            events = gather()
    return events


@message("event.from")
def from_(call: Call, classes: list[str], token: str, timeout: float) -> dict[str, t.Any]:
    """Blocks until one of the objects has changed since the token; an empty token stands for the beginning."""
    wanted = _Subscription(call, classes)
    if token and not _TOKEN.fullmatch(token):
        raise Fault("EVENT_FROM_TOKEN_PARSE_FAILURE", token)
    since = int(token.split(",")[0]) if token else 0
    events = _wait(call, lambda: _gather(call, wanted, since), timeout, 0.0 if wanted.tasks_only else BATCH_SECONDS)
    return {"events": events, "valid_ref_counts": _counts(call), "token": _token(call.db)}


@message("event.inject")
def inject(call: Call, cls: str, ref: str) -> str:
    """A change of an object that changes nothing; event.from tells of it with a token not before the one returned."""
    name = call.world.schema.by_lower.get(cls.lower(), cls)
    if name not in call.db.tables or not call.db.exists(name, ref):
        raise Fault("HANDLE_INVALID", cls, ref)
    call.db.touch(name, ref)
    return _token(call.db)


# The elders: a subscription is kept with the session, and each change since is told once.
_LEGACY: dict[tuple[int, str], dict[str, t.Any]] = {}


def _legacy(call: Call) -> dict[str, t.Any]:
    try:
        return _LEGACY[id(call.db), call.session]
    except KeyError:
        raise Fault("SESSION_NOT_REGISTERED", call.session) from None


@message("event.register")
def register(call: Call, classes: list[str]) -> None:
    """From now on event.next tells of these classes."""
    _Subscription(call, classes)
    held = _LEGACY.setdefault((id(call.db), call.session), {"classes": [], "since": call.db.generation})
    held["classes"] = [*held["classes"], *classes]


@message("event.unregister")
def unregister(call: Call, classes: list[str]) -> None:
    """No more of these."""
    held = _LEGACY.get((id(call.db), call.session))
    if held:
        held["classes"] = [c for c in held["classes"] if c not in classes]
        if not held["classes"]:
            del _LEGACY[id(call.db), call.session]


@message("event.next")
def next_(call: Call) -> list[dict[str, t.Any]]:
    """Blocks until something changed."""
    held = _legacy(call)
    wanted = _Subscription(call, held["classes"])
    events = _wait(call, lambda: _gather(call, wanted, held["since"]), 3600.0, BATCH_SECONDS)
    held["since"] = call.db.generation
    now = call.world.clock.iso()
    return [{**e, "timestamp": now, "obj_uuid": e.get("snapshot", {}).get("uuid", "")} for e in events]


@message("event.get_current_id")
def get_current_id(call: Call) -> int:
    """Of the elders' own counting, which starts with the first event told."""
    return 0
