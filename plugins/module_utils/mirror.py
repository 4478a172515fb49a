# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A pool's records, read in bulk; and kept up to date through event.from for the items of one loop (xen-api: xapi_event.ml)."""

from __future__ import annotations

import typing as t

from .client import Session
from .errors import ApiError
from .model import INTEGERS

Record = t.Mapping[str, t.Any]
Table = dict[str, Record]
# classes that have no events, or change with every call
NOT_KEPT = frozenset({"session", "user", "event", "task", "message", "blob"})


def read(session: Session, cls: str) -> Table:
    """All records of a class, by reference."""
    rows: Table = session.call(f"{cls}.get_all_records")
    for field in INTEGERS.get(cls, ()):
        for record in rows.values():
            _as_integer(record, field)
    return rows


def _as_integer(record: Record, field: str) -> None:
    """XML-RPC brings integers as strings; every reader is to see the same."""
    if isinstance(record.get(field), str):
        t.cast("dict[str, t.Any]", record)[field] = int(record[field])


class Mirror:
    """What was read once through a session. A table handed out is never changed; a newer one takes its place."""

    def __init__(self, session: Session):
        self.session = session
        self._tables: dict[str, Table] = {}
        self._token = ""

    def table(self, cls: str) -> Table:
        """As of the last catch_up, or later."""
        if cls in NOT_KEPT:
            return read(self.session, cls)
        if cls not in self._tables:
            if not self._token:  # from before the first read: what changes meanwhile is told again
                self._token = self.session.call("event.from", ["pool"], "", 0.0)["token"]
            self._tables[cls] = read(self.session, cls)
        return self._tables[cls]

    def catch_up(self) -> None:
        """Learn what has changed: one request, whatever the number of classes."""
        if not self._tables:
            return
        try:
            batch = self.session.call("event.from", sorted(map(str.lower, self._tables)), self._token, 0.0)
        except ApiError:
            self.forget()
            return
        self._token = batch["token"]
        self._take(batch["events"])
        counts = batch["valid_ref_counts"]
        for cls in [cls for cls, table in self._tables.items() if int(counts.get(cls.lower(), -1)) != len(table)]:
            del self._tables[cls]  # something was missed: read it again

    def forget(self) -> None:
        self._tables.clear()
        self._token = ""

    def _take(self, events: t.Iterable[t.Mapping[str, t.Any]]) -> None:
        names = {cls.lower(): cls for cls in self._tables}
        copied: set[str] = set()
        for event in events:
            cls = names[event["class"].lower()]
            if cls not in copied:
                self._tables[cls] = dict(self._tables[cls])
                copied.add(cls)
            if event["operation"] == "del":
                self._tables[cls].pop(event["ref"], None)
                continue
            record = event["snapshot"]
            for field in INTEGERS.get(cls, ()):
                _as_integer(record, field)
            self._tables[cls][event["ref"]] = record
