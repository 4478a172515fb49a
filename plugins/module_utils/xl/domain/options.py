# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One key of xl.cfg(5) as an option: what may be given for it, how it is written in the file, and how it is told."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ...errors import InvalidChange
from ...formats.sizes import size

MIB = 2**20
# What Ansible is told of a type: type of the option, and of its elements.
ARGUMENTS = {
    "str": ("str", ""),
    "int": ("int", ""),
    "bool": ("bool", ""),
    "mib": ("str", ""),
    "strings": ("list", "str"),
    "ints": ("list", "int"),
    "words": ("raw", ""),
    "devices": ("list", "raw"),
    "raw_list": ("list", "raw"),
}


def choices(*words: str) -> tuple[str, ...]:
    return words


def mib(value: t.Any, name: str) -> int:
    """MiB of 512, "512", "1 GiB": a plain number is MiB, as in xl.cfg(5). Raises InvalidChange."""
    text = str(value).strip()
    if re.fullmatch(r"\d+", text):
        return int(text)
    try:
        number = size(text)
    except InvalidChange:
        raise InvalidChange(f"{name}: {text!r} is not a size.", hint="Give MiB as a number, or a size such as 1 GiB.") from None
    if number % MIB:
        raise InvalidChange(f"{name}: {text} is not a whole number of MiB.")
    return number // MIB


@dataclasses.dataclass(frozen=True)
class Option:
    """One key.

    Attributes:
        name: of the key and of the option.
        type: a key of ARGUMENTS; "words" is a string or a list of strings, "mib" a size, "devices" a list of specifications.
        path: where `xl create -n` and `xl list -l` tell it, in parts separated by "/".
        change: how it changes in a domain that runs: "restart" (not without), "never" (not compared), or what live.py has for it.
        choices: what it may be; empty for anything.
        secret: not told.
    """

    name: str
    type: str
    path: str
    change: str = "restart"
    choices: tuple[str, ...] = ()
    secret: bool = False

    def argument(self) -> dict[str, t.Any]:
        """As Ansible's argument_spec has it."""
        kind, elements = ARGUMENTS[self.type]
        told: dict[str, t.Any] = {"type": kind}
        if elements:
            told["elements"] = elements
        if self.choices:
            told["choices"] = list(self.choices)
        if kind != "bool" and ("pass" in self.name or "key" in self.name):
            told["no_log"] = self.secret  # Ansible would guess it from the name
        return told

    def written(self, value: t.Any) -> t.Any:
        """A value of the task as the file has it; None where the key is to go ("" and []). Raises InvalidChange. Not of devices."""
        if value in ("", []):
            return None
        if self.type == "mib":
            return mib(value, self.name)
        if self.type in ("int", "bool"):
            return int(value)
        if self.type == "ints":
            return [int(one) for one in value]
        if self.type == "words" and isinstance(value, bool):
            return int(value)
        return line(value, self.name)

    def told(self, value: t.Any) -> t.Any:
        """A value of the file in the vocabulary of the module, for telling and comparing. Not of devices."""
        if self.type in ("int", "bool", "mib"):
            number = value if isinstance(value, int) else whole(str(value))
            return value if number is None else bool(number) if self.type == "bool" else number
        if self.type == "ints":
            return [whole(str(one)) if whole(str(one)) is not None else one for one in listed(value)]
        if self.type in ("strings", "raw_list"):
            return [texts(one) for one in listed(value)]
        return texts(value)


def line(value: t.Any, name: str) -> t.Any:
    """Strings, in lists as deep as given. Raises InvalidChange for what one line of the file cannot hold."""
    if isinstance(value, (list, tuple)):
        return [line(one, name) for one in value]
    if isinstance(value, dict):
        raise InvalidChange(f"{name}: a dictionary is not understood here: {value}.", hint="Give a string or a list of strings.")
    text = str(value)
    if "\n" in text:
        raise InvalidChange(f"{name}: a value of xl.cfg has one line only.")
    return text


def texts(value: t.Any) -> t.Any:
    return [texts(one) for one in value] if isinstance(value, list) else str(value)


def listed(value: t.Any) -> list[t.Any]:
    return value if isinstance(value, list) else [value]


def whole(text: str) -> int | None:
    """The number of "12", "0x1f" or "017"; None for others."""
    text = text.strip()
    if re.fullmatch(r"[+-]?0[xX][0-9a-fA-F]+", text):
        return int(text, 16)
    if re.fullmatch(r"[+-]?0[0-7]+", text):
        return int(text, 8)
    return int(text) if re.fullmatch(r"[+-]?\d+", text) else None
