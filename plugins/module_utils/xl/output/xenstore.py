# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""xenstore: `xenstore-ls [-f] [-p]`."""

from __future__ import annotations

import re
import typing as t

# A key, its value in quotes, and permissions with -p.
LINE = re.compile(r'(?P<indent> *)(?P<key>.*?) = "(?P<value>(?:[^"\\]|\\.)*)"(?P<cut>\.\.\.)?(?: +\((?P<permissions>[^)]*)\))?\s*')
ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f", "v": "\v", "a": "\a"}


def flat(text: str, path: str = "") -> dict[str, str]:
    """Values by path, of either form. Args: path (what xenstore-ls was asked for; -f names whole paths itself)."""
    told: dict[str, str] = {}
    above: list[str] = [path.rstrip("/")]
    for match in filter(None, map(LINE.fullmatch, text.splitlines())):
        key = match["key"]
        if not key.startswith("/"):
            del above[len(match["indent"]) + 1 :]
            above.append(key)
            key = "/".join(above)
        told[key] = plain(match["value"])
    return told


def plain(value: str) -> str:
    """Without the escapes of xenstore-ls: C's, and \\nnn in octal for other bytes, which are UTF-8."""

    def char(match: re.Match[str]) -> str:
        return chr(int(match[1], 8)) if match[1] else ESCAPES.get(match[2], match[2])

    found = re.sub(r"\\(?:([0-7]{1,3})|(.))", char, value)
    try:
        return found.encode("latin-1").decode("utf-8")
    except ValueError:
        return found


def tree(values: t.Mapping[str, str], path: str = "/") -> dict[str, t.Any]:
    """Below `path`, nested: a key with others below it is a dict, whose own value is "" and left out unless there is one (under "")."""
    told: dict[str, t.Any] = {}
    start = path.rstrip("/") + "/"
    for key, value in values.items():
        if key.startswith(start):
            *folders, last = key[len(start) :].split("/")
            here = told
            for folder in folders:
                below = here.get(folder)
                if not isinstance(below, dict):
                    below = here[folder] = {"": below} if below else {}
                here = below
            here[last] = value
    return told
