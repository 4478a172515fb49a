# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""xl.cfg as libxlu reads it (tools/libs/util/libxlu_cfg_l.l and libxlu_cfg_y.y of Xen), with the words it complains in.

Written apart from the collection's own parser on purpose: what one of them misreads, the other tells.
"""

from __future__ import annotations

import re
import typing as t

from .errors import Failed

Value = t.Union[str, int, "list[Value]"]
TOKEN = re.compile(
    r"""(?P<blank>[ \t\r]+|\#[^\n]*)
      |(?P<NEWLINE>\n)
      |(?P<IDENT>[a-zA-Z_]\w*)
      |(?P<NUMBER>0x[0-9a-fA-F]+|[0-9]+)
      |(?P<STRING>'(?:\\.|[^'\n\\])*'|"(?:\\.|[^"\n\\])*")
      |(?P<sign>\+=|[][=,;])
      |(?P<other>[^\n])""",
    re.VERBOSE,
)
NAMES = {"NEWLINE": "NEWLINE", "IDENT": "IDENT", "NUMBER": "NUMBER", "STRING": "STRING"}
ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v", "\\": "\\", "'": "'", '"': '"', "\n": ""}


class Token(t.NamedTuple):
    kind: str
    text: str
    line: int


def tokens(text: str) -> list[Token]:
    found: list[Token] = []
    line = 1
    for match in TOKEN.finditer(text):
        kind, part = str(match.lastgroup), match.group()
        if kind == "sign":
            kind = f"'{part}'" if len(part) == 1 else "PLUSEQ"
        if kind != "blank":
            found.append(Token(kind, part, line))
        line += part.count("\n")
    return [*found, Token("END", "", line)]


def unquoted(text: str) -> str:
    return re.sub(r"\\(.)", lambda m: ESCAPES.get(m.group(1), m.group(1)), text[1:-1])


class Settings(dict):  # type: ignore[type-arg]
    """Values by their names. Attributes: lines (where each stands)."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: dict[str, int] = {}


class Parser:
    def __init__(self, text: str, where: str):
        self._tokens, self._where, self._at = tokens(text), where, 0

    @property
    def now(self) -> Token:
        return self._tokens[self._at]

    def take(self, *kinds: str) -> Token:
        token = self.now
        if token.kind not in kinds:
            near = {"NEWLINE": "<newline>", "END": "<end-of-file>"}.get(token.kind, f"`{token.text}'")
            said = {"END": "end of file", "other": "invalid token"}.get(token.kind, token.kind)
            expecting = "$end" if kinds == ("END",) else " or ".join(kinds)
            raise Failed(
                1, f"{self._where}:{token.line}: config parsing error near {near}: syntax error, unexpected {said}, expecting {expecting}",
                "Failed to parse config: Invalid argument",
            )  # fmt: skip
        self._at += 1
        return token

    def file(self) -> Settings:
        settings = Settings()
        while self.now.kind != "END":
            if self.now.kind in ("NEWLINE", "';'"):
                self._at += 1
                continue
            token = self.take("IDENT")
            name = token.text
            settings.lines[name] = token.line
            operator = self.take("'='", "PLUSEQ").kind
            value = self.value()
            if operator == "PLUSEQ" and name in settings:
                before = settings[name]
                value = [*before, *t.cast("list[Value]", value)] if isinstance(before, list) else str(before) + str(value)
            settings[name] = value
            if self.now.kind not in ("END", "NEWLINE", "';'"):
                self.take("END")  # as the grammar has it: nothing else may follow
        return settings

    def value(self) -> Value:
        token = self.take("STRING", "NUMBER", "'['")
        if token.kind == "STRING":
            return unquoted(token.text)
        if token.kind == "NUMBER":
            return int(token.text, 0) if not re.fullmatch("0[0-7]+", token.text) else int(token.text, 8)
        values: list[Value] = []
        while True:
            self.newlines()
            if self.now.kind == "']'":
                break
            values.append(self.value())
            self.newlines()
            if self.now.kind != "','":
                break
            self._at += 1
        self.take("']'")
        return values

    def newlines(self) -> None:
        while self.now.kind == "NEWLINE":
            self._at += 1


def parse(text: str, where: str) -> Settings:
    """Raises Failed with what xl says of a file it cannot read."""
    return Parser(text, where).file()
