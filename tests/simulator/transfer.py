# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies objects of one database into another: new references, same uuids, references between them rewritten."""

from __future__ import annotations

import typing as t

from .modeltypes import NULL, Type

if t.TYPE_CHECKING:
    from .database import Database, Record
    from .schema import Schema


def derived_fields(schema: Schema) -> set[tuple[str, str]]:
    """Sets the database computes from the references on the other side."""
    classes = schema.classes
    published = [r for r in schema.relations if r[1] in classes[r[0]].fields and r[3] in classes[r[2]].fields]
    return {(other, back) for cls, field, other, back in published if classes[cls].fields[field].type.kind == "ref"}


class Transfer:
    """Say what stands for what and what is copied, then ``run``."""

    def __init__(self, source: Database, target: Database) -> None:
        self.source, self.target = source, target
        self.map = {NULL: NULL}
        self._pending: list[tuple[str, str, Record]] = []
        self._derived = derived_fields(target.schema)

    def same(self, old: str, new: str) -> None:
        """An object of the target stands for one of the source."""
        self.map[old] = new

    def add(self, cls: str, ref: str, **changes: t.Any) -> None:
        """The object is copied, with other values in some fields; one of the same uuid in the target stands for it instead."""
        if ref in self.map or not self.source.exists(cls, ref):
            return
        record = self.source.get(cls, ref)
        present = self.target.find(cls, uuid=record["uuid"]) if "uuid" in record else []
        if present:
            self.same(ref, present[0])
            return
        self.map[ref] = self.target.create(cls, uuid=record["uuid"])
        self._pending.append((cls, ref, changes))

    def add_where(self, cls: str, field: str, refs: t.Collection[str], **changes: t.Any) -> None:
        """All objects whose field is one of these references."""
        for ref, record in list(self.source.all(cls).items()):
            if record[field] in refs:
                self.add(cls, ref, **changes)

    def run(self) -> None:
        """Fills the copies; references to what was not copied become null."""
        for cls, ref, changes in self._pending:
            fields = self.target.schema.classes[cls].fields
            record = self.source.get(cls, ref)
            names = [n for n in fields if (cls, n) not in self._derived and n != "uuid" and n not in changes]
            values = {name: self._rewrite(fields[name].type, record[name]) for name in names}
            self.target.set(cls, self.map[ref], **values, **changes)
        self._pending.clear()

    def _rewrite(self, type_: Type, value: t.Any) -> t.Any:
        if type_.kind == "ref":
            return self.map.get(value, NULL)
        if type_.kind == "set" and type_.items[0].kind == "ref":
            return [self.map[ref] for ref in value if ref in self.map]
        if type_.kind == "map":
            key, item = type_.items
            return {self._rewrite(key, k): self._rewrite(item, v) for k, v in value.items() if self._known(key, k) and self._known(item, v)}
        return value

    def _known(self, type_: Type, value: t.Any) -> bool:
        return type_.kind != "ref" or value in self.map
