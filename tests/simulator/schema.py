# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The published data model as typed tables, cut to one release if asked."""

from __future__ import annotations

import functools
import json
import typing as t
from dataclasses import dataclass, field
from pathlib import Path

from .modeltypes import Type, blank, default_value, parse

DATA = Path(__file__).parent / "data"
# classes that never produce events
_PUBLISHED = {  # calls whose name in the source is another than on the wire
    "pool.transition_to_master": "pool.emergency_transition_to_master",
    "pool.slave_reset_master": "pool.emergency_reset_master",
}
EVENTLESS = frozenset({"session", "user", "data_source", "sr_stat", "probe_result", "vdi_nbd_server_info", "event", "auth"})
# fields xapi keeps but never shows; relations name one of them
HIDDEN = {"task": {"session": "session ref", "user": "string"}}
NEVER = 1 << 30  # a release that does not come


@dataclass(frozen=True)
class FieldType:
    """One field: qualifier RW, RO (dynamic) or StaticRO (given at creation)."""

    name: str
    type: Type
    qualifier: str
    default: t.Any
    since: int  # index of the release that brought it

    def fresh(self) -> t.Any:
        """A default nobody else holds."""
        return self.default.copy() if isinstance(self.default, (list, dict)) else self.default


@dataclass(frozen=True)
class Param:
    """One parameter of a message; only trailing ones are optional."""

    name: str
    type: Type
    optional: bool = False
    default: t.Any = None


@dataclass(frozen=True)
class MessageType:
    """One message; ``params`` without the session."""

    cls: str
    name: str
    result: Type
    params: tuple[Param, ...]
    takes_session: bool
    roles: frozenset[str] | None  # None: not restricted to roles
    asynchronous: bool
    implicit: bool
    since: int
    removed: int | None
    internal: bool = False  # known to exist, for the hosts of a pool only

    @property
    def method(self) -> str:
        """The name on the wire."""
        return f"{self.cls}.{self.name}"

    @functools.cached_property
    def mandatory(self) -> int:
        """How many parameters must be given."""
        return sum(not p.optional for p in self.params)


@dataclass(frozen=True)
class ClassType:
    """One class: its fields in the order of records, its messages, the fields its constructor takes (True: must be given)."""

    name: str
    fields: dict[str, FieldType]
    messages: dict[str, MessageType]
    constructor: dict[str, bool]
    since: int


@dataclass(frozen=True)
class Schema:
    """The model as one release shows it; the tables of the database always hold every field."""

    classes: dict[str, ClassType]
    enums: dict[str, tuple[str, ...]]
    relations: tuple[tuple[str, str, str, str], ...]  # class, field, class, field: many side first
    releases: tuple[tuple[str, str], ...]  # code name and product name, oldest first
    rolesets: tuple[frozenset[str], ...]
    emergency: frozenset[str]
    version: tuple[int, int]  # of the database
    release: int  # index into releases
    by_lower: dict[str, str] = field(default_factory=dict)

    def visible(self, cls: str) -> tuple[str, ...] | None:
        """The fields clients of this release see; None when these are all."""
        return self._visible[cls]

    @functools.cached_property
    def _visible(self) -> dict[str, tuple[str, ...] | None]:
        out: dict[str, tuple[str, ...] | None] = {}
        for cls in self.classes.values():
            names = tuple(f.name for f in cls.fields.values() if f.since <= self.release)
            out[cls.name] = None if len(names) == len(cls.fields) else names
        return out

    def message(self, cls: str, name: str) -> MessageType | None:
        """The message if this release has it."""
        known = self.classes.get(cls)
        found = known.messages.get(name) if known else None
        return found if found and known and max(found.since, known.since) <= self.release else None

    def blank_record(self, cls: str) -> dict[str, t.Any]:
        """A record of defaults; lists and maps are fresh."""
        return {name: f.fresh() for name, f in self.classes[cls].fields.items()}


def _since(lifecycle: dict[str, t.Any], order: dict[str, int]) -> int:
    return min((order[lifecycle[key]] for key in ("pub", "proto") if lifecycle.get(key) in order), default=0)


def _params(raw: list[dict[str, t.Any]]) -> tuple[bool, tuple[Param, ...]]:
    takes_session = bool(raw) and raw[0]["n"] == "session_id"
    rest = raw[1:] if takes_session else raw
    return takes_session, tuple(Param(p["n"], parse(p["t"]), p.get("opt", False), p.get("default")) for p in rest)


class _Loader:
    def __init__(self, model: dict[str, t.Any]) -> None:
        self.model, self.meta = model, model["meta"]
        self.order = {code: i for i, (code, _name) in enumerate(self.meta["releases_oldest_first"])}
        self.enums = {e["name"]: tuple(e["values"]) for c in model["classes"] for e in c["enums"]}
        self.rolesets = tuple(frozenset(r) for r in self.meta["rolesets"])

    def field(self, raw: dict[str, t.Any]) -> FieldType:
        type_ = parse(raw["type"])
        default = default_value(type_, raw["default"]) if "default" in raw else blank(type_, self.enums)
        return FieldType(raw["name"], type_, raw["qual"], default, _since(raw["lc"], self.order))

    def message(self, cls: str, raw: dict[str, t.Any]) -> MessageType:
        takes_session, params = _params(raw["params"])
        roles = self.rolesets[raw["roles"]] if raw.get("roles") is not None and takes_session else None
        return MessageType(
            cls, raw["name"], parse(raw["result"]), params, takes_session, roles, bool(raw.get("async")), bool(raw.get("implicit")),
            _since(raw["lc"], self.order), self.order.get(raw["lc"].get("rem")),
        )  # fmt: skip

    def messages(self, raw: dict[str, t.Any]) -> dict[str, MessageType]:
        cls = raw["name"]
        found = {m["name"]: self.message(cls, m) for m in raw["messages"]}
        if "get_all_records" in found:  # in every release, published in none
            like = found["get_all_records"]
            found["get_all_records_where"] = MessageType(
                cls, "get_all_records_where", like.result, (Param("expr", Type("string")),), True, like.roles, False, True, like.since, None
            )
        for name in raw.get("undocumented_messages", ()):
            found.setdefault(name, MessageType(cls, name, Type("void"), (), True, None, False, False, 0, None, internal=True))
        return found

    def cls(self, raw: dict[str, t.Any]) -> ClassType:
        fields = {f["name"]: self.field(f) for f in raw["fields"]}
        for name, spelling in HIDDEN.get(raw["name"], {}).items():
            fields[name] = FieldType(name, parse(spelling), "RO", blank(parse(spelling), self.enums), NEVER)
        constructor = {name.rstrip("*"): name.endswith("*") for name in raw["ctor_args"]}
        return ClassType(raw["name"], fields, self.messages(raw), constructor, _since(raw["lc"], self.order))

    def schema(self) -> Schema:
        classes = {c["name"]: self.cls(c) for c in self.model["classes"]}
        relations = tuple((*many.split("."), *one.split(".")) for many, one in self.meta["relations_many_to_one_side_first"])
        emergency = frozenset(_PUBLISHED.get(name, name[0].lower() + name[1:]) for name in self.meta["emergency_calls_ocaml_ids"])
        major, minor = map(int, self.meta["db_schema"].split("."))
        releases = tuple((code, name) for code, name in self.meta["releases_oldest_first"])
        return Schema(
            classes, self.enums, relations, releases, self.rolesets, emergency, (major, minor), len(releases) - 1,
            {name.lower(): name for name in classes},
        )  # fmt: skip


@functools.cache
def _newest() -> Schema:
    return _Loader(json.loads((DATA / "xenapi.json").read_text(encoding="utf-8"))).schema()


def release_index(name: str, releases: t.Sequence[tuple[str, str]]) -> int:
    """Place of a release given by code name (``stockholm``, ``24.19.0``) or product name; LookupError names what is known."""
    wanted = name.casefold()
    for i, (code, product) in enumerate(releases):
        if wanted in (code.casefold(), product.casefold()):
            return i
    raise LookupError(f"no release {name!r}; known: {', '.join(code for code, _product in releases)}")


@functools.cache
def load(release: str | None = None) -> Schema:
    """The model, as the named release shows it (default: the newest)."""
    newest = _newest()
    if release is None:
        return newest
    values = {name: getattr(newest, name) for name in newest.__dataclass_fields__}
    return Schema(**{**values, "release": release_index(release, newest.releases)})


def message_names(schema: Schema) -> list[str]:
    """All messages this release publishes, with their Async forms."""
    every = [m for c in schema.classes.values() for m in c.messages.values() if not m.internal and m.since <= schema.release]
    return [m.method for m in every] + [f"Async.{m.method}" for m in every if m.asynchronous]
