# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the specification strings of xl.cfg have in common: "key=value,flag,..." and back.

xl prints much of what it does not understand, goes on and gives the domain a device that nobody asked for; here it is refused.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
import typing as t

from ..errors import InvalidChange

Device = dict[str, t.Any]

YES = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}


@dataclasses.dataclass(frozen=True)
class Key:
    """One key of a specification.

    Attributes:
        name: xl's.
        kind: "str", "int", "bool" (0 or 1) or "flag" (the bare word, which `off` takes back).
        choices: what it may be.
        pattern: what its text must match, and `like` says it in words.
        off: the word that switches a flag off; without one the flag is left out.
        least, most: of an int.
        octal: a leading 0 makes an int octal, as strtoul(3) has it; else it means nothing.
        free: commas and spaces are its own, since it takes the rest of the text.
    """

    name: str
    kind: str = "str"
    choices: tuple[str, ...] = ()
    pattern: str = ""
    like: str = ""
    off: str = ""
    least: int = 0
    most: int = 2**32 - 1
    octal: bool = False
    free: bool = False

    @property
    def option(self) -> str:
        """Its name in a dict."""
        return self.name.replace("-", "_")

    def value(self, given: t.Any, what: str) -> t.Any:
        """A value from a task or a text. Raises InvalidChange."""
        if self.kind in ("bool", "flag"):
            return self._truth(given, what)
        if self.kind == "int":
            return self._number(given, what)
        text = str(given)
        if self.choices and text not in self.choices:
            raise InvalidChange(f"{what}: {self.option} is {text!r}; it can be {', '.join(self.choices)}.")
        if self.pattern and not re.fullmatch(self.pattern, text):
            raise InvalidChange(f"{what}: {text!r} is no {self.option}.", hint=f"It is {self.like}." if self.like else "")
        if isinstance(given, (dict, list)) or "\n" in text or ("," in text and not self.free):
            raise InvalidChange(f"{what}: {self.option} cannot be {given!r}.", hint="It is one line without commas.")
        if text != text.strip() and not self.free:
            raise InvalidChange(f"{what}: {self.option} begins or ends with a space: {text!r}.")
        return text

    def _truth(self, given: t.Any, what: str) -> bool:
        if str(given).lower() not in YES:
            raise InvalidChange(f"{what}: {self.option} is {given!r}; it can be true or false.")
        return YES[str(given).lower()]

    def _number(self, given: t.Any, what: str) -> int:
        text = str(given)
        number = None if isinstance(given, bool) else number_in(text, self.octal)
        if number is None or not self.least <= number <= self.most:
            raise InvalidChange(f"{what}: {self.option} is {given!r}; it is a number from {self.least} to {self.most}.")
        return number

    def written(self, value: t.Any) -> str:
        """The part of the text, empty for a flag that has no word for off."""
        if self.kind == "flag":
            return self.name if value else self.off
        return f"{self.name}={int(value) if self.kind == 'bool' else value}"


def number_in(text: str, octal: bool) -> int | None:
    """12, 0x1f, 007; None for others."""
    if re.fullmatch(r"0x[0-9a-fA-F]+", text):
        return int(text, 16)
    if not re.fullmatch(r"[0-9]+", text):
        return None
    if octal and text.startswith("0"):
        return int(text, 8) if re.fullmatch(r"[0-7]+", text) else None
    return int(text)


class Spec:
    """The specification string of one kind of device.

    Attributes: name (xl.cfg's key, for messages), keys, required (of each device), aliases (names that mean another key).
    """

    def __init__(self, name: str, keys: t.Iterable[Key], *, required: tuple[str, ...] = (), aliases: t.Mapping[str, str] | None = None):
        self.name = name
        self.keys = {key.option: key for key in keys}
        self.required = required
        self.aliases = dict(aliases or {})
        self._names = {**{key.name: key.option for key in self.keys.values()}, **self.aliases}
        flags = [key for key in self.keys.values() if key.kind == "flag"]
        self._flags = {**{key.name: (key.option, True) for key in flags}, **{key.off: (key.option, False) for key in flags if key.off}}

    def parse(self, text: str) -> Device:
        """What a string says, in the vocabulary of the modules. Raises InvalidChange."""
        return self.checked(self.pairs(text))

    def pairs(self, text: str) -> Device:
        """Its keys as they stand there."""
        told: Device = {}
        for part in self.parts(text):
            self.put(told, part, text)
        return told

    def parts(self, text: str) -> list[str]:
        return [part.lstrip(" ") for part in text.split(",") if part.strip()]

    def put(self, told: Device, part: str, text: str) -> None:
        """Takes one part of a string in. Raises InvalidChange for what is neither key=value nor a flag, and for a key given twice."""
        name, mark, value = part.partition("=")
        key, found = (self._names.get(name, ""), value) if mark else self._flags.get(part, ("", ""))
        if not key or (mark and self.keys[key].kind == "flag"):
            raise InvalidChange(f"{self.name} {text!r}: {part!r} is not understood.", hint=self.hint(part))
        if self.keys[key].kind == "bool" and not re.fullmatch("[0-9]*", value):
            raise InvalidChange(f"{self.name} {text!r}: {key} is {value!r}; it can be 0 or 1.")
        if key in told and told[key] != found:
            raise InvalidChange(f"{self.name} {text!r}: {key} is given twice.")
        told[key] = bool(int(value)) if self.keys[key].kind == "bool" and value else found

    def option(self, name: str, shown: str) -> str:
        """The name of a key of a dict, which may be written as xl writes it. Raises InvalidChange."""
        plain = name.replace("-", "_")
        plain = self.aliases.get(plain, plain)
        if plain not in self.keys:
            raise InvalidChange(f"{self.name} {shown!r}: {name!r} is no key of it.", hint=self.hint(name))
        return plain

    def hint(self, name: str) -> str:
        near = difflib.get_close_matches(name.split("=")[0], self.keys, 1)
        return f"Is {near[0]} meant?" if near else f"There are {', '.join(self.keys)}."

    def checked(self, device: t.Mapping[str, t.Any]) -> Device:
        """A device with values as they are told: keys that are None go, others are checked. Raises InvalidChange."""
        if not isinstance(device, t.Mapping):
            raise InvalidChange(f"{self.name}: {device!r} is neither a text nor a dictionary.")
        shown = ", ".join(f"{name}={value}" for name, value in device.items())
        what = f"{self.name} {shown!r}"
        told: Device = {}
        for name, value in device.items():
            key = self.option(str(name), shown)
            if value is None or value == "":
                continue
            if key in told:
                raise InvalidChange(f"{what}: {key} is given twice.")
            told[key] = self.keys[key].value(value, what)
        told = {name: told[name] for name in self.keys if name in told and self.says(name, told[name])}
        missing = [name for name in self.required if name not in told]
        if missing:
            raise InvalidChange(f"{what}: {' and '.join(missing)} must be given.")
        self.rules(told, what)
        return told

    def says(self, name: str, value: t.Any) -> bool:
        """Whether a value has a part in the text."""
        key = self.keys[name]
        return bool(value) or (value is False and (key.kind == "bool" or bool(key.off))) or (key.kind == "int" and value is not None)

    def rules(self, device: Device, what: str) -> None:
        """What holds between keys. Raises InvalidChange."""

    def text(self, device: t.Mapping[str, t.Any]) -> str:
        """The string of a device. Raises InvalidChange."""
        told = self.checked(device)
        return ",".join(part for name, value in told.items() for part in [self.keys[name].written(value)] if part)

    def filled(self, device: Device) -> Device:
        """With the defaults that xl.cfg's manual pages name, for comparing."""
        return dict(device)

    def same(self, one: str | Device, other: str | Device) -> bool:
        """Whether two say the same."""
        first, second = (self.parse(each) if isinstance(each, str) else self.checked(each) for each in (one, other))
        return self.filled(first) == self.filled(second)
