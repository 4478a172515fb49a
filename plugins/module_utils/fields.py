# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One declarative row per manageable field of a XenAPI class.

From a row follow: the Ansible option, how the value is read from a record, when it differs, and which call changes it.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .errors import InvalidChange
from .formats.sizes import size
from .plan import Later, Plan
from .refs import NULL, Objects, Record

# option type -> Ansible's type
ANSIBLE_TYPES = {"str": "str", "int": "int", "bool": "bool", "dict": "dict", "tags": "list", "set": "list", "ref": "str", "size": "str"}


def text_map(value: t.Mapping[t.Any, t.Any]) -> dict[str, str | None]:
    """XenAPI's maps hold strings; YAML's booleans and numbers are written as XenAPI writes them, null removes a key."""
    return {str(k): None if v is None else str(v).lower() if isinstance(v, bool) else str(v) for k, v in value.items()}


@dataclass(frozen=True)
class Field:
    """A row.

    api: XenAPI's field; option: Ansible's; default: what the server gives a new object (not an option default);
    writable: False refuses a change after creation; setter: the message that changes it where it is not set_<api>;
    ref: the class a reference points to; creatable: whether create() takes it.
    """

    api: str
    option: str
    type: str = "str"
    default: object = None
    writable: bool = True
    required: bool = False
    choices: tuple[str, ...] = ()
    ref: str = ""
    setter: str = ""
    creatable: bool = True
    aliases: tuple[str, ...] = ()

    def argument(self) -> dict[str, t.Any]:
        spec: dict[str, t.Any] = {"type": ANSIBLE_TYPES[self.type]}
        if self.type in ("tags", "set"):
            spec["elements"] = "str"
        extra = {"required": self.required, "choices": list(self.choices), "aliases": list(self.aliases)}
        return {**spec, **{k: v for k, v in extra.items() if v}}

    def read(self, record: Record, objects: Objects) -> t.Any:
        """The option's value in a record; None where the host's release does not have the field."""
        if self.api not in record:
            return None
        value = record[self.api]
        if self.type in ("int", "size"):
            return int(value)
        if self.type in ("tags", "set"):
            return sorted(value)
        if self.type == "ref":
            return objects.label(self.ref, value)
        return dict(value) if self.type == "dict" else value

    def wanted(self, have: t.Any, want: t.Any, objects: Objects) -> t.Any:
        """The value after the change. Maps may hold keys of others, so those are kept; sets are taken whole."""
        if self.type == "dict":
            merged = {**(have or {}), **text_map(want)}
            return {k: v for k, v in merged.items() if v is not None}
        if self.type in ("tags", "set"):
            return sorted({str(v) for v in want})
        if self.type == "ref":
            return objects.label(self.ref, objects.resolve(self.ref, want)) if want else ""
        return size(want) if self.type == "size" else want

    def wire(self, value: t.Any, objects: Objects) -> t.Any:
        if self.type == "ref":
            return objects.resolve(self.ref, value) if value else NULL
        return value


@dataclass(frozen=True)
class Table:
    """The fields of one class that are plain: read from the record, written by one call each."""

    cls: str
    fields: tuple[Field, ...]

    def arguments(self) -> dict[str, dict[str, t.Any]]:
        return {f.option: f.argument() for f in self.fields}

    def observe(self, record: Record, objects: Objects) -> dict[str, t.Any]:
        return {f.option: f.read(record, objects) for f in self.fields}

    def desire(self, observed: t.Mapping[str, t.Any], params: Record, objects: Objects) -> dict[str, t.Any]:
        """Observed state with the user's words laid over it; an option left out (None) is not managed."""
        return {
            f.option: have if want is None else f.wanted(have, want, objects)
            for f in self.fields
            for have, want in [(observed.get(f.option, self._default(f, objects)), params.get(f.option))]
        }

    def _default(self, f: Field, objects: Objects) -> t.Any:
        """What a new object has, as it will be read; None for a field this release lacks."""
        if self._lacks(f, objects):
            return None
        return list(f.default) if isinstance(f.default, tuple) else f.default

    def _lacks(self, f: Field, objects: Objects) -> bool:
        """Whether records of this release do not have the field, as far as there is one to look at."""
        known = next(iter(objects.all(self.cls).values()), None)
        return known is not None and f.api not in known

    def _unknown(self, f: Field, label: str) -> InvalidChange:
        return InvalidChange(
            f"{f.option} of {self.cls} {label!r} is not known to this host's release.", hint=f"Leave it out: no {self.cls}.{f.api}."
        )

    def changes(self, plan: Plan, ref: str | Later, objects: Objects, record: Record | None = None, label: str = "") -> None:
        """One call for each field that differs. Raises InvalidChange for a fixed one or one this release lacks."""
        for f in self.fields:
            have, want = plan.before.get(f.option, f.default), plan.after[f.option]
            if have == want:
                continue
            if record is not None and f.api not in record:
                raise self._unknown(f, label)
            if not f.writable:
                raise InvalidChange(
                    f"{f.option} of {self.cls} {label!r} is fixed when it is created: it is {have!r}, the task wants {want!r}."
                )
            message = f.setter or f"set_{f.api}"
            plan.add(f"{self.cls}.{message}", ref, f.wire(want, objects), what=f"set {f.option} of {self.cls} {label!r}")

    def record(self, after: t.Mapping[str, t.Any], objects: Objects) -> dict[str, t.Any]:
        """The record for create(): every field it takes, as the plan wants it. Raises InvalidChange for one this release lacks."""
        given = [f for f in self.fields if f.creatable and after[f.option] is not None]
        for f in given:
            if self._lacks(f, objects):
                raise self._unknown(f, str(after.get("name", "")))
        return {f.api: f.wire(after[f.option], objects) for f in given}
