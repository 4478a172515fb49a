# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The types of the data model, parsed from their published spelling (``(string -> VDI ref) map``)."""

from __future__ import annotations

import functools
import typing as t
from dataclasses import dataclass

NULL = "OpaqueRef:NULL"
EPOCH = "19700101T00:00:00Z"
_SCALARS = frozenset({"string", "int", "float", "bool", "datetime", "void"})


@dataclass(frozen=True)
class Type:
    """``kind`` is string, int, float, bool, datetime, void, ref, record, enum, set, map, option or other;
    ``name`` the class or enum; ``items`` the element type, or key and value."""

    kind: str
    name: str = ""
    items: tuple[Type, ...] = ()


def _map_sides(inner: str) -> tuple[str, str]:
    depth = 0
    for i, char in enumerate(inner):
        depth += (char == "(") - (char == ")")
        if depth == 0 and inner.startswith(" -> ", i):
            return inner[:i], inner[i + 4 :]
    raise ValueError(f"not a map: {inner}")


@functools.cache
def parse(text: str) -> Type:
    """The type behind its spelling; an unknown spelling becomes kind ``other``."""
    if text in _SCALARS:
        return Type(text)
    for suffix in ("set", "option"):
        if text.endswith(f" {suffix}"):
            return Type(suffix, items=(parse(text[: -len(suffix) - 1]),))
    if text.endswith(" map"):
        key, value = _map_sides(text[1:-5])
        return Type("map", items=(parse(key), parse(value)))
    for suffix in ("ref", "record"):
        if text.endswith(f" {suffix}") and not text.startswith("<"):
            return Type(suffix, text[: -len(suffix) - 1])
    if text.startswith("enum "):
        return Type("enum", text[5:])
    return Type("other", text)


def default_value(type_: Type, text: str) -> t.Any:
    """The value behind a default as the data model spells it (``"x"``, ``{}``, ``1.``, ``{"a" -> "b"}``, ``Null``)."""
    if type_.kind == "string":
        return text.strip('"')
    if type_.kind == "int":
        return int(text)
    if type_.kind == "float":
        return float(text)
    if type_.kind == "bool":
        return text == "true"
    if type_.kind == "ref":
        return NULL if text == "Null" else text
    inner = text.strip("{}").strip()
    if type_.kind == "set":
        return [default_value(type_.items[0], part.strip()) for part in inner.split(",") if part.strip()]
    if type_.kind == "map":
        pairs = [part.split(" -> ") for part in inner.split(",") if part.strip()]
        return {default_value(type_.items[0], k.strip()): default_value(type_.items[1], v.strip()) for k, v in pairs}
    return text


def blank(type_: Type, enums: t.Mapping[str, t.Sequence[str]]) -> t.Any:
    """The value of a field nobody set."""
    if type_.kind == "enum":
        return enums[type_.name][0]
    empty = {"int": 0, "float": 0.0, "bool": False, "datetime": EPOCH, "ref": NULL, "option": None}
    if type_.kind == "set":
        return []
    if type_.kind in ("map", "record"):
        return {}
    return empty.get(type_.kind, "")
