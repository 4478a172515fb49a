# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""JSON-RPC 1.0 and 2.0 as xapi speaks them: no batches, no notifications, a ``jsonrpc`` member other than "2.0" is not understood."""

from __future__ import annotations

import json
import re
import typing as t

from .decode import show
from .errors import Fault

_UNWRITABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Early(Fault):
    """Raised before the call is looked at: the answer has neither the shape nor the id asked for (xen-api: ocaml/xapi/api_server.ml)."""


class Malformed(Exception):
    """The body is no request."""


class Request(t.NamedTuple):
    """A call; ``version`` is "1.0" or "2.0"."""

    method: str
    params: list[t.Any]
    id: t.Any
    version: str


def _field(name: str) -> Malformed:
    return Malformed(f"Invalid field '{name}' in request body")


def decode_call(body: bytes) -> Request:
    """The request in a body. Raises Malformed in the words of ocaml-rpc (src/lib/jsonrpc.ml)."""
    try:
        raw = json.loads(body)
    except ValueError as e:
        raise Malformed(str(e)) from e
    if not isinstance(raw, dict):
        raise Malformed("Invalid request body")
    method, version = raw.get("method"), raw.get("jsonrpc", "1.0")
    missing = [name for name in ("method", *([] if "jsonrpc" in raw else ["params"])) if name not in raw]
    if missing:
        raise Malformed(f"Required field {missing[0]} is missing")
    if not isinstance(method, str):
        raise _field("method")
    if "jsonrpc" in raw and version != "2.0":
        raise _field("jsonrpc")
    params = _params(raw.get("params"), version)
    if isinstance(raw.get("id"), bool) or not isinstance(raw.get("id"), (int, str)):
        raise _field("id")
    return Request(method, params, raw["id"], version)


def _params(given: t.Any, version: str) -> list[t.Any]:
    """In version 2 they may be missing; an object is one parameter, its names tell nothing."""
    if isinstance(given, list):
        return given
    if version == "2.0" and (given is None or isinstance(given, dict)):
        return [] if given is None else [given]
    raise _field("params")


def refuse_unwritable(params: list[t.Any]) -> None:
    """Text that XML could not carry is refused (xen-api: ocaml/idl/ocaml_backend/gen_server.ml). Raises Early."""
    for shown in map(show, params):
        if _UNWRITABLE.search(shown):
            raise Early("INVALID_VALUE", "Invalid UTF-8 string in parameter", shown)


def _text(answer: dict[str, t.Any]) -> str:
    return json.dumps(answer, separators=(",", ":"))


def success(request: Request, native: t.Any) -> str:
    """A whole answer."""
    if request.version == "2.0":
        return _text({"jsonrpc": "2.0", "result": native, "id": request.id})
    return _text({"result": native, "error": None, "id": request.id})


def failure(request: Request, fault: Fault) -> str:
    """A whole answer that tells of an error."""
    if isinstance(fault, Early):
        return _text({"jsonrpc": "2.0", "error": fault.description, "id": 0})
    if request.version == "2.0":
        error = {"code": 1, "message": fault.code, "data": list(fault.params)}
        return _text({"jsonrpc": "2.0", "error": error, "id": request.id})
    return _text({"result": None, "error": fault.description, "id": request.id})
