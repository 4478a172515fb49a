# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading a mapping key by key, so that each mistake is named with its place in the file."""

from __future__ import annotations

import re
import typing as t

V = t.TypeVar("V")
_UNITS = {"": 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}


class SiteError(ValueError):
    """What is wrong with a site, and where."""

    def __init__(self, where: str, problem: str) -> None:
        super().__init__(f"{where}: {problem}")


def size(text: object, where: str) -> int:
    """Bytes from ``64GiB``, ``1 TiB`` or a plain number."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?) ?([KMGT]iB|B|)", str(text))
    if not match:
        raise SiteError(where, f"{text!r} is no size (write 64GiB, 1TiB or bytes)")
    return int(float(match.group(1)) * _UNITS[match.group(2)])


class Reader:
    """``take`` each known key, then ``done`` complains about the rest."""

    def __init__(self, where: str, value: object) -> None:
        if not isinstance(value, dict):
            raise SiteError(where, f"a mapping is needed here, not {value!r}")
        self.where, self.value = where, value
        self.known: set[str] = set()

    def at(self, key: str) -> str:
        """Name of the place below."""
        return f"{self.where}.{key}" if self.where else key

    def raw(self, key: str, default: object = None) -> t.Any:
        """The value as it stands; a default of ``...`` makes the key mandatory."""
        self.known.add(key)
        if key not in self.value and default is ...:
            raise SiteError(self.where or "site", f"{key!r} is missing")
        return self.value.get(key, default)

    def text(self, key: str, default: object = ...) -> str:
        """A string; a number is taken as its digits."""
        found = self.raw(key, default)
        if not isinstance(found, (str, int, float)) or isinstance(found, bool):
            raise SiteError(self.at(key), f"a text is needed here, not {found!r}")
        return str(found)

    def number(self, key: str, default: object = ...) -> int:
        """A whole number."""
        found = self.raw(key, default)
        if not isinstance(found, int) or isinstance(found, bool):
            raise SiteError(self.at(key), f"a whole number is needed here, not {found!r}")
        return found

    def flag(self, key: str, default: bool) -> bool:
        """True or false."""
        found = self.raw(key, default)
        if not isinstance(found, bool):
            raise SiteError(self.at(key), f"true or false is needed here, not {found!r}")
        return found

    def size(self, key: str, default: object = ...) -> int:
        """Bytes."""
        return size(self.raw(key, default), self.at(key))

    def choice(self, key: str, default: object, among: t.Iterable[str], what: str) -> str:
        """One of several names."""
        found, names = self.text(key, default), list(among)
        if found not in names:
            raise SiteError(self.at(key), f"no {what} {found!r} (known: {', '.join(sorted(names))})")
        return found

    def each(self, key: str, make: t.Callable[[Reader], V]) -> list[V]:
        """A list of mappings, each made into something and complete."""
        found = self.raw(key, [])
        if not isinstance(found, list):
            raise SiteError(self.at(key), f"a list is needed here, not {found!r}")
        return [self._one(f"{self.at(key)}[{i}]", value, make) for i, value in enumerate(found)]

    def inside(self, key: str, make: t.Callable[[Reader], V]) -> V:
        """One mapping (empty if missing)."""
        return self._one(self.at(key), self.raw(key, {}), make)

    @staticmethod
    def _one(where: str, value: object, make: t.Callable[[Reader], V]) -> V:
        reader = Reader(where, value)
        made = make(reader)
        reader.done()
        return made

    def texts(self, key: str, default: object = ()) -> list[str]:
        """A list of strings."""
        found = self.raw(key, default)
        if not isinstance(found, (list, tuple)) or not all(isinstance(x, (str, int)) for x in found):
            raise SiteError(self.at(key), f"a list of names is needed here, not {found!r}")
        return [str(x) for x in found]

    def done(self) -> None:
        """Every key was one we know."""
        unknown = sorted(str(k) for k in self.value if k not in self.known)
        if unknown:
            raise SiteError(self.where or "site", f"unknown key {', '.join(map(repr, unknown))} (known: {', '.join(sorted(self.known))})")
