# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Changes an ova.xml: only what is told changes, all the rest stays as it was written, with its types (xen-api: xva.ml, export.ml)."""

from __future__ import annotations

import copy
import typing as t
from xml.etree import ElementTree

from .compression import Damaged
from .ova import NULL, parse

Element = ElementTree.Element
_TYPED = ("string", "int", "i4", "boolean", "double", "dateTime.iso8601")


class Description:
    """The objects of an ova.xml by their names in it (Ref:N). Raises Damaged where it is not readable."""

    def __init__(self, text: bytes):
        parse(text)
        self._root = ElementTree.fromstring(text)
        self._list = _need(_members(self._root)["objects"].find("array/data"))
        self.objects: dict[str, tuple[str, dict[str, Element]]] = {}
        self._elements: dict[str, Element] = {}
        for element in self._list:
            described = _members(element)
            name = _text(described["id"])
            self.objects[name] = (_text(described["class"]), _members(described["snapshot"]))
            self._elements[name] = element

    # looking --------------------------------------------------------------------
    def refs(self, cls: str) -> list[str]:
        """Of that class, as they follow one another."""
        return [ref for ref, (its, _fields) in self.objects.items() if its == cls]

    def get(self, ref: str, field: str) -> str:
        """A value as text; "" for one that is not there."""
        found = self.objects[ref][1].get(field)
        return "" if found is None else _text(found)

    def map(self, ref: str, field: str) -> dict[str, str]:
        """A field that maps text to text."""
        found = self.objects[ref][1].get(field)
        return {} if found is None else {key: _text(value) for key, value in _members(found).items()}

    # changing -------------------------------------------------------------------
    def put(self, ref: str, field: str, text: str) -> None:
        """A value that is there gets another text; what the release that wrote it did not know is not added."""
        found = self.objects[ref][1].get(field)
        if found is not None:
            _put(found, text)

    def empty(self, ref: str, field: str) -> None:
        """A list or a map with nothing in it."""
        found = self.objects[ref][1].get(field)
        for inside in [] if found is None else [place for path in ("array/data", "struct") if (place := found.find(path)) is not None]:
            inside.clear()

    def put_key(self, ref: str, field: str, key: str, text: str | None) -> None:
        """A key of a map; None: it goes."""
        found = self.objects[ref][1].get(field)
        if found is None:
            return
        struct = _need(found.find("struct"))
        for member in [one for one in struct if one.findtext("name") == key]:
            struct.remove(member)
        if text is not None:
            member = ElementTree.SubElement(struct, "member")
            ElementTree.SubElement(member, "name").text = key
            ElementTree.SubElement(member, "value").text = text

    def take(self, ref: str, field: str, other: Description, from_: str) -> None:
        """A value that refers to nothing, as it is in another description; where that has none, ours stays."""
        mine, theirs = self.objects[ref][1].get(field), other.objects[from_][1].get(field)
        if mine is not None and theirs is not None:
            mine.clear()
            mine.text = theirs.text
            mine.extend(copy.deepcopy(list(theirs)))

    def remove(self, refs: t.Collection[str]) -> None:
        """Objects go, and with them what refers to them: from lists, and as NULL elsewhere."""
        for ref in refs:
            self._list.remove(self._elements.pop(ref))
            del self.objects[ref]
        for _cls, fields in self.objects.values():
            for value in fields.values():
                _forget(value, refs)

    def dump(self) -> bytes:
        """The ova.xml."""
        # a carriage return as it is would be read as the end of a line
        return ElementTree.tostring(self._root, encoding="unicode").replace("\r", "&#13;").encode()


def _need(found: Element | None) -> Element:
    if found is None:
        raise Damaged("The description in it (ova.xml) is not readable: it is not built as it should be.")
    return found


def _members(value: Element) -> dict[str, Element]:
    """The values of a struct by name."""
    found = {}
    for member in _need(value.find("struct")):
        found[member.findtext("name") or ""] = _need(member.find("value"))
    return found


def _text(value: Element) -> str:
    typed = next((child for child in value if child.tag in _TYPED), value)
    return typed.text or ""


def _put(value: Element, text: str) -> None:
    typed = next((child for child in value if child.tag in _TYPED), value)
    typed.text = text


def _forget(value: Element, refs: t.Collection[str]) -> None:
    if (data := value.find("array/data")) is not None:
        for item in [item for item in data if _text(item) in refs]:
            data.remove(item)
    elif (struct := value.find("struct")) is not None:
        for member in [one for one in struct if _text(_need(one.find("value"))) in refs]:
            struct.remove(member)
    elif _text(value) in refs:
        _put(value, NULL)
