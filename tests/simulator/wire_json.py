# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""JSON-RPC 1.0 and 2.0 as xapi speaks them: no batches, no notifications, a ``jsonrpc`` member other than "2.0" is not understood."""

from __future__ import annotations

import json
import typing as t

from .errors import Fault


class Malformed(Exception):
    """The body is no request."""


class Request(t.NamedTuple):
    """A call; ``version`` is "1.0" or "2.0"."""

    method: str
    params: list[t.Any]
    id: t.Any
    version: str


def decode_call(body: bytes) -> Request:
    """The request in a body. Raises Malformed."""
    try:
        raw = json.loads(body)
    except ValueError as e:
        raise Malformed(str(e)) from e
    if not isinstance(raw, dict) or not isinstance(raw.get("method"), str) or raw.get("id") is None:
        raise Malformed("neither a notification nor a batch is understood")
    version = raw.get("jsonrpc", "1.0")
    if "jsonrpc" in raw and version != "2.0":
        raise Malformed(f"version {version}")
    params = raw.get("params", [])
    if isinstance(params, dict):
        params = list(params.values())
    if not isinstance(params, list):
        raise Malformed("params")
    return Request(raw["method"], params, raw["id"], version)


def success(request: Request, native: t.Any) -> str:
    """A whole answer."""
    if request.version == "2.0":
        return json.dumps({"jsonrpc": "2.0", "result": native, "id": request.id})
    return json.dumps({"result": native, "error": None, "id": request.id})


def failure(request: Request, fault: Fault) -> str:
    """A whole answer that tells of an error."""
    if request.version == "2.0":
        error = {"code": 1, "message": fault.code, "data": list(fault.params)}
        return json.dumps({"jsonrpc": "2.0", "error": error, "id": request.id})
    return json.dumps({"result": None, "error": fault.description, "id": request.id})
