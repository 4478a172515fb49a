# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""xl.cfg files, read and changed so that nothing else in them moves."""

from __future__ import annotations

import re
import typing as t

from ..errors import InvalidChange, NotFound, XenError
from .grammar import Reader, Statement, Value, checked_key, written
from .lists import relisted

T = t.TypeVar("T")
# Where text is replaced, and by what.
Edit = tuple[int, int, str]


class Cfg:
    """One file: keys with values, and the text they stand in.

    `str()` gives the text. Two of them are equal when they say the same.
    """

    def __init__(self, text: str = "", where: str = ""):
        """Raises InvalidChange, naming file and line, for what xl would refuse."""
        self.where = where or "xl.cfg"
        self._read(text)

    @classmethod
    def parse(cls, text: str, where: str = "") -> Cfg:
        """Args: where (the file's name for messages)."""
        return cls(text, where)

    @classmethod
    def read(cls, path: str) -> Cfg:
        """Raises NotFound where there is no such file."""
        try:
            with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
                return cls(file.read(), path)
        except FileNotFoundError:
            raise NotFound(f"There is no file {path}.") from None
        except OSError as e:
            raise XenError(f"{path} cannot be read: {e.strerror}.") from None

    def _read(self, text: str) -> None:
        statements = Reader(text, self.where).statements
        values: dict[str, Value] = {}
        words: dict[str, str] = {}
        for one in statements:
            word = one.node.word
            if one.adds and one.key in values:
                before, value = values[one.key], one.node.value
                if isinstance(before, list) and isinstance(value, list):
                    values[one.key] = before + value
                elif isinstance(before, list) or isinstance(value, list):
                    raise InvalidChange(f"{self.where}:{one.line}: += cannot join a list and a single value of {one.key}.")
                else:  # numbers too are joined as the words they are
                    word = values[one.key] = words[one.key] + word
            else:
                values[one.key] = one.node.value
            words[one.key] = word
        self._text, self._statements, self._values = text, statements, values

    def __str__(self) -> str:
        return self._text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Cfg) and self._values == other._values

    __hash__ = None  # type: ignore[assignment]

    def __contains__(self, key: object) -> bool:
        return key in self._values

    def keys(self) -> list[str]:
        """In the order of the file."""
        return list(self._values)

    def items(self) -> list[tuple[str, Value]]:
        """Keys with their values, in the order of the file."""
        return list(self._values.items())

    @t.overload
    def get(self, key: str) -> Value | None: ...

    @t.overload
    def get(self, key: str, default: T) -> Value | T: ...

    def get(self, key: str, default: object = None) -> object:
        """What xl would see: of a key that is set twice the last."""
        return self._values.get(key, default)

    def set(self, key: str, value: Value) -> None:
        """Gives a key its value where it stands; a new key comes last. Nothing happens when xl sees that value already.

        Comments stay. Raises InvalidChange for what xl.cfg cannot express.
        """
        checked_key(key)
        text = written(value, key)
        if key in self and same(self._values[key], value):
            return
        if key not in self:
            end = "" if not self._text or self._text.endswith("\n") else "\n"
            self._read(f"{self._text}{end}{key} = {text}\n")
            return
        first, *more = self._effective(key)
        edits = [self._without(one) for one in more]
        if first.adds:  # with nothing before it to add to
            edits.append((first.start, first.node.start, f"{key} = "))
        if isinstance(first.node.value, list) and isinstance(value, list):
            edits.append((first.node.start, first.node.end, relisted(self._text, first.node, value, key)))
        else:
            quote = self._text[first.node.start]
            edits.append((first.node.start, first.node.end, written(value, key, quote if quote in "'\"" else '"')))
        self._edit(edits)

    def remove(self, key: str) -> None:
        """Takes a key out, with each of its lines; other lines and the comments on them stay."""
        self._edit([self._without(one) for one in self._statements if one.key == key])

    def _effective(self, key: str) -> list[Statement]:
        """The statements that make the value: the last `=` and each `+=` after it."""
        mine = [one for one in self._statements if one.key == key]
        start = max((i for i, one in enumerate(mine) if not one.adds), default=0)
        return mine[start:]

    def _without(self, one: Statement) -> Edit:
        """The edit that takes a statement out: its whole lines, or its part of a line that has others."""
        start = self._text.rfind("\n", 0, one.start) + 1
        rest = re.compile(r"[ \t]*(?:;[ \t]*)?(?:#[^\n]*)?(?:\n|$)").match(self._text, one.end)
        if rest and not self._text[start : one.start].strip():
            return start, rest.end(), ""
        mark = re.compile(r"[ \t]*;[ \t]*").match(self._text, one.end)
        return one.start, mark.end() if mark else one.end, ""

    def _edit(self, edits: list[Edit]) -> None:
        text = self._text
        for start, end, new in sorted(edits, reverse=True):
            text = text[:start] + new + text[end:]
        self._read(text)


def same(one: Value, other: Value) -> bool:
    """Whether xl sees no difference: it keeps numbers as the words they are."""
    if isinstance(one, list) or isinstance(other, list):
        both = isinstance(one, list) and isinstance(other, list)
        return both and len(one) == len(other) and all(map(same, one, other))  # type: ignore[arg-type]
    return str(plain(one)) == str(plain(other))


def plain(value: Value) -> Value:
    return int(value) if isinstance(value, bool) else value
