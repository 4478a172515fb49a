# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The grammar of xl.cfg: tokens, statements and values, each with its place in the text.

It is the one of libxlutil (tools/libs/util/libxlu_cfg_l.l and libxlu_cfg_y.y in Xen): keys in small letters; atoms, which are quoted
strings and words that begin with a digit; lists of atoms and lists; `=` and `+=`; statements ended by a newline or `;`; comments ended
by a newline.
"""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ..errors import InvalidChange

# A value as it is read. A word of digits is an int; every other atom is a str.
Value = t.Union[int, str, "list[Value]"]

TOKEN = re.compile(
    r"""(?P<key>[a-z][._0-9a-z]*)
      | (?P<number>[0-9][0-9a-fx]*)
      | (?P<blank>[ \t]+)
      | (?P<add>\+=)
      | (?P<mark>[,\[\]=;])
      | (?P<newline>\n|\#[^\n]*\n)
      | (?P<string>'(?:[^'\\\n]|\\[^\n])*'|"(?:[^"\\\n]|\\[^\n])*")
    """,
    re.VERBOSE,
)
KEY = re.compile(r"[a-z][._0-9a-z]*")
INTEGER = re.compile(r"0x[0-9a-f]+|0[0-7]*|[1-9][0-9]*")
ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "'": "'", '"': '"', "\\": "\\"}
WRITTEN = {char: "\\" + letter for letter, char in ESCAPES.items() if letter not in "'\""}


@dataclasses.dataclass(frozen=True)
class Token:
    """Attributes: kind ("key", "number", "string", "newline", "add", "end", or a mark itself), text, start, end, line (from 1)."""

    kind: str
    text: str
    start: int
    end: int
    line: int


@dataclasses.dataclass(frozen=True)
class Node:
    """A value and where it stands.

    Attributes: value, start, end, items (the nodes of a list), word (the text of an atom without its quotes, of a number as it is written).
    """

    value: Value
    start: int
    end: int
    items: tuple[Node, ...] = ()
    word: str = ""


@dataclasses.dataclass(frozen=True)
class Statement:
    """`key = value` or `key += value`, from `start` to the end of its value."""

    key: str
    adds: bool
    node: Node
    start: int
    line: int

    @property
    def end(self) -> int:
        return self.node.end


def number_of(text: str) -> int | str:
    """What strtol(3) with base 0 makes of a word; the word itself where it is no number ("12ab")."""
    if not INTEGER.fullmatch(text):
        return text
    return int(text, 16 if text.startswith("0x") else 8 if text.startswith("0") else 10)


def tokens(text: str, where: str) -> t.Iterator[Token]:
    """Raises InvalidChange for what is no token."""
    at, line = 0, 1
    while at < len(text):
        match = TOKEN.match(text, at)
        if not match:
            raise InvalidChange(f"{where}:{line}: {stray(text, at)}")
        kind = str(match.lastgroup)
        if kind != "blank":
            yield Token(match[0] if kind == "mark" else kind, match[0], at, match.end(), line)
        line += match[0].count("\n")
        at = match.end()
    yield Token("end", "the end of the file", at, at, line)


def stray(text: str, at: int) -> str:
    """What is wrong with text in which no token begins."""
    rest = text[at:].split("\n", 1)[0]
    if rest[0] in "'\"":
        return f"the string {rest} is not closed on its line."
    if rest[0] == "#":
        return "the last line is a comment without a newline at its end, which xl refuses."
    if rest[0].isalpha():
        return f"{rest.split()[0]!r} is neither a key (small letters, digits, _) nor a number; a text needs quotes."
    return f"{rest[0]!r} has no meaning here; a text needs quotes, and a number has no sign."


class Reader:
    """One pass over the text. `statements` are what it says."""

    def __init__(self, text: str, where: str):
        self._where = where
        self._tokens = list(tokens(text, where))
        self._at = 0
        self.statements: list[Statement] = []
        while self._now.kind != "end":
            if self._now.kind in ("newline", ";"):
                self._at += 1
            else:
                self._statement()

    @property
    def _now(self) -> Token:
        return self._tokens[self._at]

    def _wrong(self, expected: str) -> InvalidChange:
        found = "the end of the line" if self._now.kind == "newline" else self._now.text
        return InvalidChange(f"{self._where}:{self._now.line}: {expected} was expected, not {found}.")

    def _take(self, *kinds: str, expected: str = "") -> Token:
        token = self._now
        if token.kind not in kinds:
            raise self._wrong(expected)
        self._at += token.kind != "end"
        return token

    def _newlines(self) -> None:
        while self._now.kind == "newline":
            self._at += 1

    def _statement(self) -> None:
        key = self._take("key", expected="a key")
        adds = self._take("=", "add", expected=f"= or += after {key.text}").kind == "add"
        node = self._value()
        self._take("newline", ";", "end", expected=f"the end of the line after the value of {key.text}")
        self.statements.append(Statement(key.text, adds, node, key.start, key.line))

    def _value(self) -> Node:
        token = self._take("string", "number", "[", expected="a quoted text, a number or [")
        if token.kind == "[":
            return self._list(token.start)
        word = token.text if token.kind == "number" else self._unquoted(token)
        return Node(number_of(word) if token.kind == "number" else word, token.start, token.end, word=word)

    def _list(self, start: int) -> Node:
        items: list[Node] = []
        self._newlines()
        while self._now.kind != "]":
            items.append(self._value())
            self._newlines()
            if self._now.kind != "]":
                self._take(",", expected=", or ] in the list")
                self._newlines()
        end = self._take("]").end
        return Node([item.value for item in items], start, end, tuple(items))

    def _unquoted(self, token: Token) -> str:
        def char(match: re.Match[str]) -> str:
            if match[1] not in ESCAPES:
                raise InvalidChange(f"{self._where}:{token.line}: {match[0]} in {token.text} is no escape that xl knows.")
            return ESCAPES[match[1]]

        return re.sub(r"\\(.)", char, token.text[1:-1])


def checked_key(key: str) -> str:
    """Raises InvalidChange."""
    if not KEY.fullmatch(key):
        raise InvalidChange(f"{key!r} cannot be a key of xl.cfg.", hint="A key has small letters, digits, _ and ., a letter first.")
    return key


def written(value: object, key: str, quote: str = '"') -> str:
    """A value as it stands in a file. Raises InvalidChange for what xl.cfg cannot express."""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, int) and value >= 0:
        return str(value)
    if isinstance(value, list):
        items = [written(item, key, "'") for item in value]
        return f"[ {', '.join(items)} ]" if items else "[]"
    if not isinstance(value, (str, int)):
        raise InvalidChange(f"{key} cannot be {value!r} in xl.cfg.", hint="A value is a text, a number or a list of these.")
    text = "".join(WRITTEN.get(char, "\\" + char if char == quote else char) for char in str(value))
    if re.search(r"[\x00-\x08\x0e-\x1f\x7f]", text):
        raise InvalidChange(f"{key} has a control character, which xl.cfg cannot express.")
    return quote + text + quote
