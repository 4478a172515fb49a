# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A dump of a pool's database with one more key in pool.other_config, so that the database says itself where it came from.

All other bytes stay. Attributes and s-expressions as in db_dump.py; a single blank between two words is read by every release.
"""

from __future__ import annotations

import re
import typing as t
import xml.parsers.expat

from .compression import Damaged

_VALUE = rb"""(?:"[^"]*"|'[^']*')"""
_ROW = re.compile(rb"<row\b(?:\s+[\w:.-]+\s*=\s*" + _VALUE + rb")*\s*/?>")
_ATTRIBUTE = re.compile(rb"\sother_config\s*=\s*(" + _VALUE + rb")")
_EMPTY = (b"", b"()")


def marked(data: bytes, key: str, value: str) -> bytes:
    """data: a sound dump; key and value: plain words, without quotes or blanks. Raises Damaged where there is no row of a pool."""
    row = _ROW.match(data, _pool_row(data))
    if row is None:
        raise Damaged("The row of the pool cannot be read.")
    found = _ATTRIBUTE.search(row[0])
    if found is None:
        at = row.start() + len(b"<row")
        return data[:at] + f" other_config=\"(('{key}' '{value}'))\"".encode() + data[at:]
    start, end = (row.start() + at for at in found.span(1))
    delimiter, text = data[start : start + 1], data[start + 1 : end - 1]
    quote = b"'" if delimiter == b'"' else b"&apos;"
    return data[: start + 1] + _with(text, quote, key.encode(), value.encode()) + data[end - 1 :]


def _with(text: bytes, quote: bytes, key: bytes, value: bytes) -> bytes:
    """A map as it is spelled, with one pair instead of the one of the same key."""
    mark, blank = rb"(?:'|&apos;|&#39;)", rb"(?:%\.|\s)"
    old = rb"\(" + blank + rb"*" + mark + re.escape(key) + mark + blank + rb"+" + mark + rb"[^'&]*" + mark + blank + rb"*\)" + blank + rb"*"
    rest = re.sub(old, b"", text)
    pair = b"(" + quote + key + quote + b" " + quote + value + quote + b")"
    return b"(" + pair + b")" if rest in _EMPTY else b"(" + pair + b" " + rest[1:]


def _pool_row(data: bytes) -> int:
    """Where the row of the pool begins. Raises Damaged."""
    found: list[int] = []
    table = ""
    parser = xml.parsers.expat.ParserCreate()

    def start(tag: str, attributes: dict[str, t.Any]) -> None:
        nonlocal table
        if tag == "table":
            table = attributes.get("name", "")
        elif tag == "row" and table == "pool":
            found.append(parser.CurrentByteIndex)

    parser.StartElementHandler = start
    try:
        parser.Parse(data, True)
    except xml.parsers.expat.ExpatError as e:
        raise Damaged(f"It is no whole XML document: line {e.lineno}, column {e.offset}.") from None
    except (LookupError, ValueError) as e:
        raise Damaged(f"Its encoding is none that is known: {e}.") from None
    if len(found) != 1:
        raise Damaged(f"It is of {len(found)} pools.")
    return found[0]
