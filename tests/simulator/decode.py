# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parameters as they come from a wire -> native values, refused in xapi's own words (xen-api: ocaml-rpc's generated conversions)."""

from __future__ import annotations

import re
import typing as t

from .errors import Fault
from .modeltypes import Type
from .schema import Schema

_INT64 = range(-(2**63), 2**63)
_INTEGER = re.compile(r"[-+]?\d+")
_DATE = re.compile(r"(\d{4})-?(\d\d)-?(\d\d)T(\d\d):?(\d\d):?(\d\d)(?:\.\d+)?(Z?)")


class WireDate(str):
    """A date that came tagged as one."""


def show(value: t.Any) -> str:
    """A wire value as ocaml-rpc prints it in its complaints."""
    if value is None:
        return "N"
    if isinstance(value, bool):
        return f"B({str(value).lower()})"
    if isinstance(value, int):
        return f"I({value})"
    if isinstance(value, float):
        return f"F({value:g})"
    if isinstance(value, WireDate):
        return f"D({value})"
    if isinstance(value, str):
        return f"S({value})"
    if isinstance(value, list):
        return f"[{';'.join(map(show, value))}]"
    return "{" + ";".join(f"{k}:{show(v)}" for k, v in value.items()) + "}"


def failure(text: str) -> Fault:
    """How an uncaught OCaml failure reaches the client."""
    return Fault("INTERNAL_ERROR", f'Failure("{text}")')


def _string(value: t.Any) -> str:
    if not isinstance(value, str):
        raise failure(f"Expected string, got '{show(value)}'")
    return str(value)


def _int(value: t.Any) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise failure(f"Expected int, got '{show(value)}'")
    if isinstance(value, str) and _INTEGER.fullmatch(value):
        value = int(value)
    if not isinstance(value, int) or value not in _INT64:
        raise failure("Int64.of_string")
    return value


def _float(value: t.Any) -> float:
    try:
        if isinstance(value, bool) or not isinstance(value, (int, float, str)):
            raise ValueError
        return float(value)
    except ValueError:
        raise failure("float_of_string" if isinstance(value, str) else f"Expected float, got '{show(value)}'") from None


def _bool(value: t.Any) -> bool:
    if not isinstance(value, bool):
        raise failure(f"Expected bool, got '{show(value)}'")
    return value


def _datetime(value: t.Any) -> str:
    found = _DATE.fullmatch(value) if isinstance(value, str) else None
    if not found:
        raise failure(f"Expected datetime, got '{show(value)}'")
    year, month, day, hour, minute, second, _zone = found.groups()
    return f"{year}{month}{day}T{hour}:{minute}:{second}Z"


_SCALAR: dict[str, t.Callable[[t.Any], t.Any]] = {
    "string": _string,
    "ref": _string,
    "int": _int,
    "float": _float,
    "bool": _bool,
    "datetime": _datetime,
}


def record(cls: str, value: t.Any, schema: Schema) -> dict[str, t.Any]:
    """The constructor's fields out of a record; what it does not take is dropped, what may be missing gets its default."""
    if not isinstance(value, dict):
        raise failure(f"Expected dictionary, got '{show(value)}'")
    known, out = schema.classes[cls], {}
    for name, mandatory in known.constructor.items():
        if name in value:
            out[name] = decode(known.fields[name].type, value[name], schema)
        elif mandatory:
            raise Fault("INTERNAL_ERROR", f'Server_helpers.Dispatcher_FieldNotFound("{name}")')
        else:
            out[name] = known.fields[name].fresh()
    return out


def decode(type_: Type, value: t.Any, schema: Schema) -> t.Any:
    """The native value; raises INTERNAL_ERROR with the text xapi has for it."""
    scalar = _SCALAR.get(type_.kind)
    if scalar:
        return scalar(value)
    if type_.kind == "enum":
        wanted = _string(value).lower()  # ocaml-rpc compares the names of variants in lower case
        found = next((name for name in schema.enums[type_.name] if name.lower() == wanted), None)
        if found is None:
            raise failure("Unknown tag/contents")
        return found
    if type_.kind == "set":
        if not isinstance(value, list):
            raise failure(f"Expected array, got '{show(value)}'")
        return [decode(type_.items[0], v, schema) for v in value]
    if type_.kind == "map":
        if not isinstance(value, dict):
            raise failure(f"Expected dictionary, got '{show(value)}'")
        return {decode(type_.items[0], k, schema): decode(type_.items[1], v, schema) for k, v in value.items()}
    if type_.kind == "option":
        return None if value is None else decode(type_.items[0], value, schema)
    if type_.kind == "record":
        return record(type_.name, value, schema)
    return value
