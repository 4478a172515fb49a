# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Replays recorded exchanges against a server and says where its answers differ.

References and uuids of the recording are mapped to the server's own as they appear. Two answers are equal when: same HTTP status; for a
failure the same code and number of parameters, each equal after mapping (free text, marked by blanks, only has to be text); for a success
the same type at every place, the same keys in records, equal enumeration-like strings and booleans, and mapped references. What depends on
time or hardware is compared by type only.
"""

from __future__ import annotations

import http.client
import json
import re
import ssl
import time
import typing as t
import xmlrpc.client
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from . import comparison
from .comparison import ID, Mapping

# a task seen while it runs, events gathered while things happen, an object in the middle of an operation: how far they got is chance
RUNNING = re.compile(r"(task\.get_record\.\d|task\.get_record\.\w+\.\d|event\.from\.|VM\.get_record\.being_copied)")
CHANCE = frozenset(
    {"status", "progress", "result", "error_info", "current_operations", "allowed_operations", "events", "valid_ref_counts", "subtasks"}
)
MEMBER = re.compile(r"\.on_slave$")  # exchanges that went to the second host
PATIENCE = 4.0  # seconds for a task to end


@dataclass
class Answer:
    """HTTP status and body."""

    status: int
    body: bytes


class Server:
    """One host, over a connection that stays open."""

    def __init__(self, url: str, timeout: float = 90.0) -> None:
        self._parts, self._timeout = urlsplit(url), timeout
        self._connection: http.client.HTTPSConnection | None = None

    def request(self, method: str, path: str, body: str = "", headers: t.Mapping[str, str] | None = None) -> Answer:
        """The answer; a connection the server has closed is opened anew once."""
        try:
            return self._request(method, path, body, headers or {})
        except (http.client.HTTPException, ConnectionError):
            self.close()
            return self._request(method, path, body, headers or {})

    def _request(self, method: str, path: str, body: str, headers: t.Mapping[str, str]) -> Answer:
        if self._connection is None:
            context = ssl._create_unverified_context()
            self._connection = http.client.HTTPSConnection(self._parts.netloc, context=context, timeout=self._timeout)
        self._connection.request(method, path, body.encode(), dict(headers))
        response = self._connection.getresponse()
        answer = Answer(response.status, response.read())
        if (response.getheader("connection") or "").lower() == "close":
            self.close()
        return answer

    def close(self) -> None:
        """Ends the connection."""
        if self._connection:
            self._connection.close()
        self._connection = None


@dataclass
class Replay:
    """The state of a replay: the servers (coordinator first), what stands for what."""

    urls: t.Sequence[str]
    mapping: Mapping = field(default_factory=Mapping)
    session: str = ""  # of ours, for questions of our own

    def __post_init__(self) -> None:
        self.servers = [Server(url) for url in self.urls]

    def run(self, path: Path) -> dict[str, list[str]]:
        """Differences by ``line:label``; an exchange whose body was not recorded is left out."""
        results = {}
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                exchange = json.loads(line)
                found = self._patiently(exchange)
                if found is not None:
                    results[f"{number}:{exchange['label']}"] = found
        for server in self.servers:
            server.close()
        return results

    def _patiently(self, exchange: dict[str, t.Any]) -> list[str] | None:
        """A task may not have ended yet."""
        end = time.monotonic() + PATIENCE
        found = self._one(exchange)
        while exchange["label"].startswith("task.get_") and found and time.monotonic() < end:
            time.sleep(0.1)
            found = self._one(exchange)
        return found

    def _one(self, exchange: dict[str, t.Any]) -> list[str] | None:
        kind, request, response = exchange["kind"], exchange["request"], exchange["response"]
        server = self.servers[1] if MEMBER.search(exchange["label"]) and len(self.servers) > 1 else self.servers[0]
        if kind == "http":
            if request.get("body_len") and not request.get("body"):
                return None
            headers = request.get("headers")
            answer = server.request(request["method"], self.mapping.rewrite(request["path"]), request.get("body") or "", headers)
            return comparison.statuses(response, answer.status)
        if kind == "xmlrpc":
            self._introduce(request["body"])
        json_rpc = kind.startswith("jsonrpc")
        path = "/jsonrpc" if json_rpc else request.get("path", "/")
        content_type = {"Content-Type": "application/json" if json_rpc else "text/xml"}
        answer = server.request("POST", path, self.mapping.rewrite(request["body"]), content_type)
        wrong = comparison.statuses(response, answer.status)
        if wrong:
            return wrong
        skip = CHANCE if RUNNING.match(exchange["label"]) else frozenset()
        decode = _decode_json if json_rpc else _decode_xml
        return comparison.answers(decode(response["body"].encode()), decode(answer.body), self.mapping, skip)

    # references the recording never showed before it used them -------------------------------------------------------
    def _introduce(self, body: str) -> None:
        """The first argument is an object of the message's class: where there is only one, that is meant."""
        params, method = xmlrpc.client.loads(body)
        if len(params) < 2 or not isinstance(params[1], str) or not ID.fullmatch(params[1]) or params[1] in self.mapping:
            return
        everything = self._ask(f"{str(method).partition('.')[0]}.get_all", self.mapping.get(str(params[0]), str(params[0])))
        if isinstance(everything, list) and len(everything) == 1:
            self.mapping[params[1]] = everything[0]

    def _ask(self, method: str, session: str) -> t.Any:
        answer = self.servers[0].request("POST", "/", xmlrpc.client.dumps((session,), method), {"Content-Type": "text/xml"})
        decoded = _decode_xml(answer.body)
        return decoded.get("Value") if isinstance(decoded, dict) else None


def _decode_xml(data: bytes) -> t.Any:
    try:
        (value,), _method = xmlrpc.client.loads(data)
        return _plain(value)
    except xmlrpc.client.Fault as fault:
        return {"Fault": [fault.faultCode, fault.faultString]}


def _plain(value: t.Any) -> t.Any:
    if isinstance(value, xmlrpc.client.DateTime):
        return str(value)
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return value


def _decode_json(data: bytes) -> t.Any:
    """In the shape of an XML-RPC answer; None for a body that is no JSON."""
    try:
        answer = json.loads(data)
    except ValueError:
        return None
    error = answer.get("error")
    if not error:
        return {"Status": "Success", "Value": answer.get("result")}
    description = [error["message"], *error.get("data", [])] if isinstance(error, dict) else list(error)
    return {"Status": "Failure", "ErrorDescription": description}
