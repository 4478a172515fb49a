# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values as the database file spells them: blanks quoted with ``%``, sets ``('a' 'b')``, maps ``(('k' 'v'))``, nested names with ``__``.

Rules: xen-api ocaml/database/xml_spaces.ml, string_marshall_helper.ml, ocaml/libs/sexpr.
"""

from __future__ import annotations

import re
import typing as t

from .modeltypes import EPOCH, NULL, Type

_PROTECTED = re.compile(r"%([._tnr%])")
_PLAIN = {".": " ", "_": "  ", "t": "\t", "n": "\n", "r": "\r", "%": "%"}
_PROTECT = str.maketrans({" ": "%.", "\t": "%t", "\n": "%n", "\r": "%r", "%": "%%"})
_SIGN = re.compile(
    r"""\s*(?:(?P<open>\()|(?P<close>\))|'(?P<single>(?:[^'\\]|\\.)*)'|"(?P<double>(?:[^"\\]|\\.)*)"|(?P<word>[^\s()'"]+))""", re.S
)
_ESCAPE = re.compile(r"\\(.)", re.S)

Tree = t.Union[str, list["Tree"]]  # noqa: UP007 - an alias that names itself


class Unreadable(ValueError):
    """A value that is not spelled as one of its type."""


def unprotect(text: str) -> str:
    """The value behind its quoting; ``%_`` is two blanks (databases before 2017)."""
    return _PROTECTED.sub(lambda found: _PLAIN[found.group(1)], text) if "%" in text else text


def protect(text: str) -> str:
    """Blanks and percent signs quoted."""
    return text.translate(_PROTECT)


def tree(text: str) -> Tree:
    """Nested lists of strings out of an s-expression."""
    stack: list[list[Tree]] = [[]]
    at = 0
    while at < len(text.rstrip()):
        found = _SIGN.match(text, at)
        if not found:
            raise Unreadable(text[at : at + 40])
        at = found.end()
        if found["open"]:
            stack.append([])
        elif found["close"]:
            if len(stack) < 2:
                raise Unreadable(text)
            closed = stack.pop()
            stack[-1].append(closed)
        else:
            word = next(v for v in (found["single"], found["double"], found["word"]) if v is not None)
            stack[-1].append(_ESCAPE.sub(r"\1", word))
    if len(stack) != 1 or len(stack[0]) != 1:
        raise Unreadable(text)
    return stack[0][0]


def _pairs(text: str) -> t.Iterator[tuple[str, str]]:
    for pair in tree(text):
        if not isinstance(pair, list) or len(pair) != 2:
            raise Unreadable(text)
        key, value = pair
        yield str(key), value if isinstance(value, str) else written(value)


def written(value: Tree) -> str:
    """The inverse of ``tree``."""
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("'", "\\'")
        return f"'{escaped}'"
    return f"({' '.join(map(written, value))})"


_READ: dict[str, t.Callable[[str], t.Any]] = {
    "int": lambda text: int(text or 0),
    "float": lambda text: float(text or 0),
    "bool": lambda text: text == "true",
    "datetime": lambda text: text or EPOCH,
    "ref": lambda text: text or NULL,
}


def read(type_: Type, text: str) -> t.Any:
    """The native value. Raises Unreadable."""
    try:
        if type_.kind == "set":
            return [read(type_.items[0], str(element)) for element in tree(text)] if text else []
        if type_.kind == "map":
            return {read(type_.items[0], k): read(type_.items[1], v) for k, v in _pairs(text)} if text else {}
        if type_.kind == "option":
            return None if text in ("", "()") else read(type_.items[0], str(tree(text)[0]))
        return _READ.get(type_.kind, str)(text)
    except (ValueError, IndexError) as e:
        raise Unreadable(f"{text[:60]!r}: {e}") from e


def write(value: t.Any) -> str:
    """A native value as text, not protected yet."""
    if value is None:
        return "()"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.16g}"
    if isinstance(value, dict):
        return written([[write(k), write(v)] for k, v in value.items()])
    if isinstance(value, list):
        return written([write(v) for v in value])
    return str(value)


# groups of fields whose names are nested in the database: name__label, memory__static_max; and where they are not
_NESTED = ("name", "memory", "VCPUs", "actions", "PV", "HVM", "API_version", "qos", "io")
_FLAT = {("pool", "name"), ("VM_guest_metrics", "PV")}


def column(cls: str, field: str) -> str:
    """A field's name in the database file."""
    for group in _NESTED:
        if field.startswith(f"{group}_") and (cls, group) not in _FLAT:
            return f"{group}__{field[len(group) + 1 :]}"
    return field
