# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""XML-RPC as ocaml-rpc writes and reads it: integers and strings without a type tag, ``<nil/>``, dates with a trailing Z."""

from __future__ import annotations

import base64
import typing as t
from xml.etree import ElementTree

from .decode import WireDate
from .errors import Fault
from .modeltypes import Type
from .schema import Schema

Encoder = t.Callable[[t.Any], str]
VOID = "<value></value>"


class Malformed(Exception):
    """The body is no method call."""


def _escape(text: str) -> str:
    if "&" in text or "<" in text or ">" in text:
        text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return text


def _string(value: t.Any) -> str:
    return f"<value>{_escape(value)}</value>"


def _scalar(value: t.Any) -> str:
    return f"<value>{value}</value>"


def _bool(value: t.Any) -> str:
    return "<value><boolean>1</boolean></value>" if value else "<value><boolean>0</boolean></value>"


def _float(value: t.Any) -> str:
    return f"<value><double>{value:.16g}</double></value>"


def _datetime(value: t.Any) -> str:
    return f"<value><dateTime.iso8601>{value}</dateTime.iso8601></value>"


def _array(items: t.Iterable[str]) -> str:
    return f"<value><array><data>{''.join(items)}</data></array></value>"


def _struct(members: t.Iterable[tuple[str, str]]) -> str:
    inside = "".join([f"<member><name>{name}</name>{value}</member>" for name, value in members])
    return f"<value><struct>{inside}</struct></value>"


def _untyped(value: t.Any) -> str:
    """A value whose type the model does not tell."""
    if value is None:
        return "<value><nil/></value>"
    if isinstance(value, bool):
        return _bool(value)
    if isinstance(value, float):
        return _float(value)
    if isinstance(value, WireDate):
        return _datetime(value)
    if isinstance(value, dict):
        return _struct((_escape(str(k)), _untyped(v)) for k, v in value.items())
    if isinstance(value, (list, tuple)):
        return _array(map(_untyped, value))
    return _string(str(value))


_SCALARS: dict[str, Encoder] = {
    "string": _string, "ref": _scalar, "enum": _scalar, "int": _scalar, "bool": _bool, "float": _float, "datetime": _datetime,
    "void": lambda _value: VOID,
}  # fmt: skip


def _record(cls: str, schema: Schema) -> Encoder:
    members = {name: (f"<member><name>{name}</name>", encoder(f.type, schema)) for name, f in schema.classes[cls].fields.items()}

    def encode(value: t.Any) -> str:
        parts = ["<value><struct>"]
        for name, item in value.items():
            prefix, inner = members[name]
            parts += (prefix, inner(item), "</member>")
        parts.append("</struct></value>")
        return "".join(parts)

    return encode


def _event(schema: Schema) -> Encoder:
    """One event; its snapshot is a record of the class it names."""

    def encode(event: t.Any) -> str:
        members = [(name, _untyped(v)) for name, v in event.items() if name != "snapshot"]
        if event.get("snapshot") is not None:
            cls = schema.by_lower[event["class"]]
            members.append(("snapshot", encoder(Type("record", cls), schema)(event["snapshot"])))
        return _struct(members)

    return encode


def _batch(schema: Schema) -> Encoder:
    """The answer of event.from, the only place with tagged integers."""
    event = _event(schema)

    def encode(value: t.Any) -> str:
        counts = _struct((cls, f"<value><i4>{count}</i4></value>") for cls, count in value["valid_ref_counts"].items())
        members = (("events", _array(map(event, value["events"]))), ("valid_ref_counts", counts), ("token", _string(value["token"])))
        return _struct(members)

    return encode


_ENCODERS: dict[tuple[int, Type], Encoder] = {}


def encoder(type_: Type, schema: Schema) -> Encoder:
    """What writes values of this type, made once."""
    key = (id(schema), type_)
    found = _ENCODERS.get(key)
    if found is None:
        found = _ENCODERS[key] = _make(type_, schema)
    return found


def _make(type_: Type, schema: Schema) -> Encoder:
    if type_.kind in _SCALARS:
        return _SCALARS[type_.kind]
    if type_.kind == "set" and type_.items[0] == Type("record", "event"):
        event = _event(schema)
        return lambda value: _array(map(event, value))
    if type_.kind == "set":
        item = encoder(type_.items[0], schema)
        return lambda value: _array([item(v) for v in value])
    if type_.kind == "map":
        item = encoder(type_.items[1], schema)
        return lambda value: _struct([(_escape(str(k)), item(v)) for k, v in value.items()])
    if type_.kind == "option":
        item = encoder(type_.items[0], schema)
        return lambda value: "<value><nil/></value>" if value is None else item(value)
    if type_.kind == "record":
        return _record(type_.name, schema)
    return _batch(schema) if type_.name == "an event batch" else _untyped


def value(type_: Type, native: t.Any, schema: Schema) -> str:
    """The ``<value>`` element."""
    return encoder(type_, schema)(native)


def _response(element: str) -> str:
    return f'<?xml version="1.0"?><methodResponse><params><param>{element}</param></params></methodResponse>'


def success(type_: Type, native: t.Any, schema: Schema) -> str:
    """A whole answer."""
    return _response(_struct((("Status", _string("Success")), ("Value", value(type_, native, schema)))))


def failure(fault: Fault) -> str:
    """A whole answer that tells of an error."""
    return _response(_struct((("Status", _string("Failure")), ("ErrorDescription", _array(map(_string, fault.description))))))


def bare(native: t.Any) -> str:
    """An answer without Status, as system.listMethods has it."""
    return _response(_untyped(native))


# reading -------------------------------------------------------------------------------------------------------------
def _child(element: ElementTree.Element) -> ElementTree.Element | None:
    return element[0] if len(element) else None


def _decode_struct(element: ElementTree.Element) -> dict[str, t.Any]:
    return {member.findtext("name", ""): _decode_member(member) for member in element.findall("member")}


def _decode_member(member: ElementTree.Element) -> t.Any:
    found = member.find("value")
    if found is None:
        raise Malformed("a member without a value")
    return decode_value(found)


_READERS: dict[str, t.Callable[[ElementTree.Element], t.Any]] = {
    "string": lambda e: e.text or "",
    "int": lambda e: int(e.text or ""),
    "i4": lambda e: int(e.text or ""),
    "i8": lambda e: int(e.text or ""),
    "boolean": lambda e: e.text == "1",
    "double": lambda e: float(e.text or ""),
    "dateTime.iso8601": lambda e: WireDate(e.text or ""),
    "nil": lambda _e: None,
    "base64": lambda e: base64.b64decode(e.text or "").decode(errors="replace"),
    "array": lambda e: [decode_value(v) for v in e.findall("data/value")],
    "struct": _decode_struct,
}


def decode_value(element: ElementTree.Element) -> t.Any:
    """The value in a ``<value>`` element."""
    inner = _child(element)
    if inner is None:
        return element.text or ""
    try:
        return _READERS[inner.tag](inner)
    except (KeyError, ValueError) as e:
        raise Malformed(f"<{inner.tag}>: {e}") from e


def decode_call(body: bytes) -> tuple[str, list[t.Any]]:
    """Method name and parameters. Raises Malformed."""
    try:
        root = ElementTree.fromstring(body)
    except ElementTree.ParseError as e:
        raise Malformed(str(e)) from e
    if root.tag != "methodCall":
        raise Malformed(f"<{root.tag}> where <methodCall> was expected")
    if root.find("params") is None:
        raise Malformed("no <params>")
    params = [decode_value(v) for v in root.findall("params/param/value")]
    return root.findtext("methodName", "").strip(), params
