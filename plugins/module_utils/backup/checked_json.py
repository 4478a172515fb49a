# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""JSON files that know their own checksum: every bit that changes and every byte that is missing shows.

The second line is `  "checksum": "<64 hexadecimal digits>",`, the SHA-256 of all other lines:
grep -v '^  "checksum"' manifest.json | sha256sum
"""

from __future__ import annotations

import hashlib
import json
import re
import typing as t

from ..formats.compression import Damaged

SCHEMA = 1
_HEAD = b"{\n"
_CHECKSUM = re.compile(rb'\{\n  "checksum": "([0-9a-f]{64})",\n')


class Newer(Damaged):
    """Sound, but made by a newer release of the collection."""


def dump(found: t.Mapping[str, t.Any]) -> bytes:
    """ASCII, keys in order, indented by two. Raises ValueError, TypeError for what is no JSON."""
    data = json.dumps({**found, "schema": SCHEMA}, sort_keys=True, indent=2, allow_nan=False).encode() + b"\n"
    return b'%s  "checksum": "%s",\n%s' % (_HEAD, hashlib.sha256(data).hexdigest().encode(), data[len(_HEAD) :])


def parse(data: bytes) -> dict[str, t.Any]:
    """What was dumped, schema included. Raises Damaged, Newer."""
    head = _CHECKSUM.match(data)
    if not head:
        raise Damaged("It is damaged: its checksum is not there.")
    if hashlib.sha256(_HEAD + data[head.end() :]).hexdigest().encode() != head[1]:
        raise Damaged("It is damaged: its checksum does not fit.")
    try:
        found = json.loads(_HEAD + data[head.end() :])
    except (ValueError, RecursionError):
        raise Damaged("It is damaged: it is no JSON.") from None
    if not isinstance(found, dict) or found.get("schema") != SCHEMA:
        schema = found.get("schema") if isinstance(found, dict) else None
        raise Newer(f"It was made by a newer release of the collection (schema {schema}).", hint="Use that release.")
    return found
