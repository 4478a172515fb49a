# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The objects of one pool: records by class and reference, derived back references, generations for event.from.

Values are native: int, float, bool, str, list for sets, dict for maps; dates are ``YYYYMMDDTHH:MM:SSZ``. Values are replaced, never
changed in place, so a copied record stays as it was.
"""

from __future__ import annotations

import typing as t
import uuid
from collections import defaultdict

from .errors import Fault
from .modeltypes import NULL
from .schema import Schema, load

Record = dict[str, t.Any]
GONE_KEPT = 5000  # deletions remembered for event.from; a client further behind starts again


class Stamp(t.NamedTuple):
    """When an object came and when it last changed, in generations."""

    created: int
    modified: int


class Gone(t.NamedTuple):
    """A deleted object."""

    cls: str
    ref: str
    created: int
    deleted: int


def new_ref() -> str:
    """References are random and never used again."""
    return f"OpaqueRef:{uuid.uuid4()}"


class _Relations:
    """For each field its other side: ``one[(VIF, network)] = (network, VIFs)``; ``both`` holds the set-to-set pairs."""

    def __init__(self, schema: Schema) -> None:
        self.one: dict[tuple[str, str], tuple[str, str]] = {}
        self.both: dict[tuple[str, str], tuple[str, str]] = {}
        self.derived: set[tuple[str, str]] = set()
        for cls, field, other, back in schema.relations:
            if field not in schema.classes[cls].fields or back not in schema.classes[other].fields:
                continue  # a side xapi does not publish
            kinds = schema.classes[cls].fields[field].type.kind, schema.classes[other].fields[back].type.kind
            if (cls, field) == (other, back):
                continue
            if kinds == ("ref", "set"):
                self.one[cls, field] = (other, back)
                self.derived.add((other, back))
            elif kinds == ("set", "set"):
                self.both[cls, field] = (other, back)
                self.both[other, back] = (cls, field)


class Database:
    """One pool's objects. Not locked: callers hold the world's lock."""

    def __init__(self, schema: Schema | None = None, changed: t.Callable[[], None] = lambda: None) -> None:
        self.schema = schema or load()
        self.tables: dict[str, dict[str, Record]] = {name: {} for name in self.schema.classes}
        self.generation = 0
        self.stamps: dict[str, dict[str, Stamp]] = defaultdict(dict)  # per class, oldest change first
        self.gone: list[Gone] = []
        self.dirty: dict[tuple[str, str], None] = {}  # changed since the state was last saved, in order
        self.changed = changed
        self._relations = _Relations(self.schema)

    # reading ---------------------------------------------------------------------------------------------------------
    def all(self, cls: str) -> dict[str, Record]:
        """Every record of a class by reference (live, read only)."""
        return self.tables[cls]

    def exists(self, cls: str, ref: str) -> bool:
        """Whether the object is there."""
        return ref in self.tables[cls]

    def get(self, cls: str, ref: str) -> Record:
        """The live record, read only. Raises HANDLE_INVALID [class, ref]."""
        try:
            return self.tables[cls][ref]
        except KeyError:
            raise Fault("HANDLE_INVALID", cls, ref) from None

    def find(self, cls: str, **where: t.Any) -> list[str]:
        """References of the objects whose fields equal."""
        return [ref for ref, record in self.tables[cls].items() if all(record[k] == v for k, v in where.items())]

    def one(self, cls: str, **where: t.Any) -> str:
        """The only such object; LookupError if there is none or more than one."""
        found = self.find(cls, **where)
        if len(found) != 1:
            raise LookupError(f"{len(found)} objects of class {cls} with {where}")
        return found[0]

    # changing --------------------------------------------------------------------------------------------------------
    def create(self, cls: str, /, *, ref: str | None = None, **fields: t.Any) -> str:
        """A new object with defaults for what is not given and a random uuid; an unknown field is a TypeError."""
        self._check_fields(cls, fields)
        ref = ref or new_ref()
        record = self.schema.blank_record(cls)
        if "uuid" in record:
            record["uuid"] = str(uuid.uuid4())
        self.tables[cls][ref] = record
        generation = self._next()
        self.stamps[cls][ref] = Stamp(generation, generation)
        self.dirty[cls, ref] = None
        self.set(cls, ref, **fields)
        return ref

    def set(self, cls: str, ref: str, /, **fields: t.Any) -> None:
        """The only way to change a record: back references follow, waiting clients learn of it. The same value again is no change."""
        record = self.get(cls, ref)
        self._check_fields(cls, fields)
        new = {name: value for name, value in fields.items() if record[name] != value or type(record[name]) is not type(value)}
        for name, value in new.items():
            old = record[name]
            record[name] = value.copy() if isinstance(value, (list, dict)) else value
            if (cls, name) in self._relations.one:
                self._follow(*self._relations.one[cls, name], ref, old, value)
            elif (cls, name) in self._relations.both:
                self._follow_set(*self._relations.both[cls, name], ref, old, value)
        if new:
            self.touch(cls, ref)

    def destroy(self, cls: str, ref: str) -> None:
        """The object goes; sets of references to it shrink, single references to it stay as they are."""
        record = self.get(cls, ref)
        for (own, name), (other, back) in self._relations.one.items():
            if own == cls:
                self._follow(other, back, ref, record[name], NULL)
        for (own, name), (other, back) in self._relations.both.items():
            if own == cls:
                self._follow_set(other, back, ref, record[name], [])
        del self.tables[cls][ref]
        stamp = self.stamps[cls].pop(ref)
        self.gone.append(Gone(cls, ref, stamp.created, self._next()))
        del self.gone[:-GONE_KEPT]
        self.dirty[cls, ref] = None
        self.changed()

    def add_to_map(self, cls: str, ref: str, field: str, key: t.Any, value: t.Any) -> None:
        """Sets one key of a map, whether it was there or not."""
        self.set(cls, ref, **{field: {**self.get(cls, ref)[field], key: value}})

    def remove_from_map(self, cls: str, ref: str, field: str, key: t.Any) -> None:
        """Takes one key out of a map; a missing one is no error."""
        self.set(cls, ref, **{field: {k: v for k, v in self.get(cls, ref)[field].items() if k != key}})

    def note(self, cls: str, ref: str, /, **fields: t.Any) -> None:
        """Changes a record without telling anybody (when a session was last used)."""
        self.get(cls, ref).update(fields)

    def touch(self, cls: str, ref: str) -> None:
        """Tells waiting clients that the object changed."""
        stamps = self.stamps[cls]
        created = stamps.pop(ref).created
        stamps[ref] = Stamp(created, self._next())
        self.dirty[cls, ref] = None
        self.changed()

    # inside ----------------------------------------------------------------------------------------------------------
    def _next(self) -> int:
        self.generation += 1
        return self.generation

    def _check_fields(self, cls: str, fields: t.Mapping[str, t.Any]) -> None:
        known = self.schema.classes[cls].fields
        for name, value in fields.items():
            if name not in known:
                raise TypeError(f"{cls} has no field {name}")
            if value and (cls, name) in self._relations.derived:
                raise TypeError(f"{cls}.{name} follows from the other side and can't be set")

    def _follow(self, other: str, back: str, ref: str, old: str, new: str) -> None:
        if old != new:
            self._back(other, old, back, ref, present=False)
            self._back(other, new, back, ref, present=True)

    def _follow_set(self, other: str, back: str, ref: str, old: list[str], new: list[str]) -> None:
        for left in set(old) - set(new):
            self._back(other, left, back, ref, present=False)
        for joined in set(new) - set(old):
            self._back(other, joined, back, ref, present=True)

    def _back(self, cls: str, holder: str, field: str, ref: str, *, present: bool) -> None:
        record = self.tables[cls].get(holder)
        if record is None or (ref in record[field]) == present:
            return
        record[field] = [*record[field], ref] if present else [r for r in record[field] if r != ref]
        self.touch(cls, holder)

    def derive(self) -> None:
        """Computes all derived sets anew (after rows were put in from elsewhere)."""
        for cls, field in self._relations.derived:
            for record in self.tables[cls].values():
                record[field] = []
        for (cls, field), (other, back) in self._relations.one.items():
            for ref, record in self.tables[cls].items():
                holder = self.tables[other].get(record[field])
                if holder is not None:
                    holder[back] = [*holder[back], ref]

    def clear(self) -> None:
        """Everything goes at once, as another database takes its place."""
        for cls, table in self.tables.items():
            for ref in table:
                self.gone.append(Gone(cls, ref, self.stamps[cls].pop(ref).created, self._next()))
                self.dirty[cls, ref] = None
            table.clear()
        del self.gone[:-GONE_KEPT]
        self.changed()

    def put(self, cls: str, ref: str, record: Record) -> None:
        """A row as it was saved or dumped; ``derive`` must follow."""
        self.tables[cls][ref] = {**self.schema.blank_record(cls), **record}
        generation = self._next()
        self.stamps[cls][ref] = Stamp(generation, generation)
        self.dirty[cls, ref] = None
