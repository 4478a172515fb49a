# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The expressions of get_all_records_where (xen-api: ocaml/database/db_filter_parse.mly)."""

from __future__ import annotations

import re
import typing as t

from .errors import Fault

if t.TYPE_CHECKING:
    from .database import Record
    from .schema import ClassType

Test = t.Callable[["Record"], bool]
_TOKEN = re.compile(r"""\s*(?:(?P<word>true|false|and|or|not|field)\b|(?P<text>"[^"]*"|'[^']*')|(?P<sign>[()=]))""")


def _refused(text: str, why: str) -> Fault:
    return Fault("INVALID_VALUE", text, f'Failure("{why}")')


def _tokens(text: str) -> list[str]:
    out, at, end = [], 0, len(text.rstrip())
    while at < end:
        found = _TOKEN.match(text, at)
        if not found:
            raise _refused(text, "lexing: empty token")
        out.append(found.group(found.lastgroup or 0))
        at = found.end()
    return out


def as_text(value: t.Any) -> str:
    """A field's value as the database holds it, to compare with."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return "(" + " ".join(f"'{v}'" for v in value) + ")"
    if isinstance(value, dict):
        return "(" + " ".join(f"('{k}' '{v}')" for k, v in value.items()) + ")"
    return str(value)


class _Parser:
    """``or`` binds weaker than ``and``, ``not`` strongest."""

    def __init__(self, text: str, cls: ClassType) -> None:
        self.text, self.cls, self.rest = text, cls, _tokens(text)

    def whole(self) -> Test:
        test = self.either()
        if self.rest:
            raise self.stuck()
        return test

    def stuck(self) -> Fault:
        return _refused(self.text, "Parsing.Parse_error")

    def take(self, *wanted: str) -> str | None:
        return self.rest.pop(0) if self.rest and self.rest[0] in wanted else None

    def either(self) -> Test:
        tests = [self.all()]
        while self.take("or"):
            tests.append(self.all())
        return tests[0] if len(tests) == 1 else lambda r: any(test(r) for test in tests)

    def all(self) -> Test:
        tests = [self.single()]
        while self.take("and"):
            tests.append(self.single())
        return tests[0] if len(tests) == 1 else lambda r: all(test(r) for test in tests)

    def single(self) -> Test:
        if self.take("not"):
            test = self.single()
            return lambda r: not test(r)
        if self.take("("):
            test = self.either()
            if not self.take(")"):
                raise self.stuck()
            return test
        left = self.value()
        if not self.take("="):
            return lambda r: left(r) == "true"
        right = self.value()
        return lambda r: left(r) == right(r)

    def value(self) -> t.Callable[[Record], str]:
        if self.take("field"):
            name = self.literal()
            for known in (name, name.replace("__", "_")):
                if known in self.cls.fields or known == "_ref":
                    return lambda r: as_text(r[known])
            raise _refused(self.text, f"no field {name}")
        constant = self.take("true", "false") or self.literal()
        return lambda r: constant

    def literal(self) -> str:
        if not self.rest or self.rest[0][0] not in "\"'":
            raise self.stuck()
        return self.rest.pop(0)[1:-1]


def compile_expression(text: str, cls: ClassType) -> Test:
    """A test for records of the class; raises INVALID_VALUE [expression, reason]."""
    return _Parser(text, cls).whole()
