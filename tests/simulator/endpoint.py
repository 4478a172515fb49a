# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The HTTPS endpoint of one machine: calls in XML-RPC and JSON-RPC, and the handlers of other paths."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import html
import json
import logging
import ssl
import typing as t

from aiohttp import web

from . import certs, handlers, wire_json, wire_xml
from .dispatch import Outcome, dispatch, run
from .errors import Fault
from .faults import Cut
from .handlers import Exchange, Refused, Reply
from .nbd_server import NbdServer
from .protocol import ENDLESS, Protocols
from .schema import message_names
from .streaming import ARRIVES, Arriving, Streamed, send

if t.TYPE_CHECKING:
    from .server import Server
    from .world import Machine

BIGGEST_CALL = 64 << 20
GRACE = 1.0  # seconds an endpoint that goes down leaves to answers under way
_RPC = {"/": "xml", "/RPC2": "xml", "/jsonrpc": "json", "/json": "old json"}
_CROSS_ORIGIN = {"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Headers": "X-Requested-With"}
_NO_CACHE = {"Cache-Control": "no-cache, no-store"}
_PAGES = {
    400: "<h1>HTTP 400 bad request</h1>The HTTP request was malformed.",
    401: "<h1>HTTP 401 unauthorised</h1>Please check your credentials and retry.",
    403: "<h1>HTTP 403 forbidden</h1>Access to the requested resource is forbidden.",
    404: "",
    500: "<h1>HTTP 500 internal server error</h1>An unexpected error occurred; please wait a while and try again. "
    "If the problem persists, please contact your support representative.<h1> Additional information </h1>",
    501: "<h1>HTTP 501 Method Not Implemented</h1>",
}
logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)  # clients that go away in mid-answer are no news


def _page(status: int, detail: str = "", headers: t.Mapping[str, str] | None = None) -> web.Response:
    """An error as xapi's web server words it; the connection ends with it."""
    text = _PAGES.get(status, "") + html.escape(detail).replace("&#x27;", "&apos;")
    body = f"<html><body>{text}</body></html>" if text else ""
    response = web.Response(status=status, text=body, content_type="text/html", headers={**_NO_CACHE, **(headers or {})})
    response.force_close()
    return response


def _end(reply: Reply, sent: bool) -> None:
    """What the body holds is let go of before anybody learns how it ended."""
    if isinstance(reply.body, t.Generator):
        reply.body.close()
    reply.finished(sent)


class _Request(web.BaseRequest):
    def __init__(self, *args: t.Any, **kwargs: t.Any) -> None:
        super().__init__(*args, **{"loop": asyncio.get_running_loop(), **kwargs, "client_max_size": BIGGEST_CALL})


class Endpoint:
    """Listens for one machine; ``open`` and ``close`` may be called from any thread."""

    def __init__(self, server: Server, machine: Machine, certificate: certs.HostCertificate) -> None:
        self.server, self.machine, self.certificate = server, machine, certificate
        self._shown = certificate.context()
        self._context = certificate.context()
        self._context.sni_callback = self._choose
        self._listener: asyncio.Server | None = None
        self._protocol: Protocols | None = None
        self.nbd = NbdServer(self)
        self.calls = 0  # calls received, whatever came of them
        self.exchanges = 0  # requests of other paths that began

    async def listen(self) -> None:
        """Opens the port; OSError if it is taken."""
        if self._listener is not None:
            return
        self._protocol = Protocols(self._answer, request_factory=_Request, access_log=None, read_bufsize=ARRIVES)
        self._listener = await asyncio.get_running_loop().create_server(
            self._protocol, self.machine.address, self.server.port, ssl=self._context, reuse_address=True
        )
        await self.nbd.listen()

    async def shut(self, grace: float = GRACE) -> None:
        """Stops listening; connections end as soon as their answer is out."""
        listener, protocol = self._listener, self._protocol
        self._listener = self._protocol = None
        if listener and protocol:
            protocol.stopped = True
            listener.close()
            for connection in protocol.connections:
                connection.close()  # idle ones end now, the others after their answer
            await self.nbd.shut()
            await protocol.shutdown(max(grace, 0.05))  # 0 would mean no limit

    def open(self) -> None:
        """Listen again; who sees the host back can reach it."""
        with contextlib.suppress(OSError, TimeoutError):
            self.server.later(self.listen()).result(GRACE)

    def close(self) -> None:
        """Stop listening."""
        self.server.later(self.shut())

    def present(self, certificate: str, key: str) -> None:
        """Another certificate (PEM) from the next connection on; the pool learns of it. Call with the world's lock held."""
        self.certificate.replace(certificate, key)
        self._shown = self.certificate.context()
        certs.show(self.machine, self.certificate)

    @property
    def tls(self) -> ssl.SSLContext:
        """What shows the certificate of now."""
        return self._shown

    def present_fresh(self) -> None:
        """A new self-signed one."""
        self.present(*certs.make(self.machine.name, self.machine.address))

    def show(self) -> None:
        """The pool learns again which one it is."""
        certs.show(self.machine, self.certificate)

    def _choose(self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        """At each handshake: the certificate of now, while the port stays open."""
        connection.context = self._shown

    # answering -------------------------------------------------------------------------------------------------------
    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            if request.method == "OPTIONS" and request.path in _RPC:
                return web.Response(headers={**_NO_CACHE, **_CROSS_ORIGIN, "Access-Control-Allow-Methods": "PUT"})
            if request.method == "POST" and request.path in self._doors():
                return await self._rpc(request)
            return await self._handler(request)
        except Refused as e:
            return _page(e.status, e.detail)
        except (Cut, ConnectionRefusedError):
            if request.transport:
                request.transport.abort()
            return web.Response()

    def _doors(self) -> t.Collection[str]:
        """Where calls are taken; the oldest releases speak XML-RPC only."""
        return _RPC if self.machine.product.get("json_rpc", True) else [path for path, kind in _RPC.items() if kind == "xml"]

    async def _rpc(self, request: web.BaseRequest) -> web.Response:
        self.calls += 1
        body = await request.read()
        kind = _RPC[request.path]
        work = {"xml": self._xml, "json": self._json, "old json": self._old_json}[kind]
        text = await self.server.thread(work, body)
        content_type = "text/xml" if kind == "xml" else "application/json"
        return web.Response(body=text.encode(), content_type=content_type, headers={**_NO_CACHE, **_CROSS_ORIGIN})

    def _xml(self, body: bytes) -> str:
        try:
            method, params = wire_xml.decode_call(body)
        except wire_xml.Malformed as e:
            raise Refused(500, f'Xmlm.Error(1:1, "{e}")') from e
        if method == "system.listMethods":
            return wire_xml.bare(message_names(self.machine.world.schema))
        try:
            outcome = self._run(method, params)
            return wire_xml.success(outcome.type, outcome.value, self.machine.world.schema)
        except Fault as e:
            return wire_xml.failure(e)

    def _json(self, body: bytes) -> str:
        try:
            request = wire_json.decode_call(body)
        except wire_json.Malformed as e:
            raise Refused(500, f'Jsonrpc.Malformed_method_request("{e}")') from e
        try:
            if self.machine.emergency and request.method not in self.machine.world.schema.emergency:
                raise wire_json.Early("HOST_STILL_BOOTING")
            wire_json.refuse_unwritable(request.params)
            if request.method == "system.listMethods":
                return wire_json.success(request, message_names(self.machine.world.schema))
            return wire_json.success(request, self._run(request.method, request.params).value)
        except Fault as e:
            return wire_json.failure(request, e)

    def _old_json(self, body: bytes) -> str:
        try:
            method, params = wire_xml.decode_call(body)
        except wire_xml.Malformed as e:
            raise Refused(500, f'Xmlm.Error(1:1, "{e}")') from e
        try:
            return json.dumps({"Status": "Success", "Value": self._run(method, params).value})
        except Fault as e:
            return json.dumps({"Status": "Failure", "ErrorDescription": e.description})

    def _run(self, method: str, params: list[t.Any]) -> Outcome:
        try:
            return run(self.machine, method, params)
        except (Fault, Cut, ConnectionRefusedError):
            raise
        except Exception as e:  # a bug in a behaviour: the client reads what xapi would have said, the developer the traceback
            logging.getLogger(__name__).exception("%s failed", method)
            raise Fault("INTERNAL_ERROR", f"{type(e).__name__}: {e}") from e

    # handlers --------------------------------------------------------------------------------------------------------
    async def _handler(self, request: web.BaseRequest) -> web.StreamResponse:
        self.exchanges += 1
        route = handlers.find(request.method, request.path)
        if request.headers.get("Expect", "").lower() == "100-continue":
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            request.writer.output_size = 0
        limit = self.machine.world.faults.transfer_limit(request.path)
        arriving = Arriving(request, asyncio.get_running_loop(), limit)
        exchange = Exchange(self.machine, "", request.method, request.path, dict(request.query), request.headers, arriving)
        try:
            reply = await self.server.thread(self._handle, exchange, route, dict(request.cookies))
        except Refused as e:
            if e.status == 302:
                return web.Response(status=302, headers={**_NO_CACHE, "Location": self._with_port(e.detail)})
            asks = {"WWW-Authenticate": f'Basic realm="{route.realm}"'} if e.status == 401 else None
            return _page(e.status, e.detail, asks)
        return await self._stream(request, reply, limit if request.method == "GET" else None)

    def _with_port(self, url: str) -> str:
        """All hosts listen on the simulator's port, where real ones have 443."""
        scheme, _slashes, rest = url.partition("//")
        address, slash, path = rest.partition("/")
        return f"{scheme}//{address}:{self.server.port}{slash}{path}"

    def _handle(self, exchange: Exchange, route: handlers.Route, cookies: dict[str, str]) -> Reply:
        with exchange.world.lock:
            try:
                exchange.session, own = self._authenticate(exchange, cookies, optional=route.role is None)
            except Refused:
                handlers.fail_task(exchange, Fault("SESSION_AUTHENTICATION_FAILED", "", "no valid session"))
                raise
            if not handlers.allowed(exchange, route):
                handlers.fail_task(exchange, Fault("RBAC_PERMISSION_DENIED", f"http/{route.realm}", "No permission in user session"))
                raise Refused(403)
        try:
            return route.handler(exchange)
        except Fault as e:
            handlers.fail_task(exchange, e)
            raise Refused(500, handlers.fault_page(e)) from e
        finally:
            if own:
                with exchange.world.lock:
                    exchange.db.destroy("session", exchange.session)

    def _authenticate(self, exchange: Exchange, cookies: dict[str, str], *, optional: bool) -> tuple[str, bool]:
        """The session of cookie or query, or one for this exchange alone from Basic authentication. Refused with 401."""
        for session in (cookies.get("session_id"), exchange.query.get("session_id")):
            if session and exchange.db.exists("session", session):
                return session, False
        kind, _space, encoded = exchange.headers.get("Authorization", "").partition(" ")
        if kind.lower() == "basic":
            name, _colon, password = base64.b64decode(encoded).decode(errors="replace").partition(":")
            try:
                return dispatch(self.machine, "session.login_with_password", [name, password, "", "http"]), True
            except Fault as e:
                raise Refused(401) from e
        if optional:
            return "", False
        raise Refused(401)

    async def _stream(self, request: web.BaseRequest, reply: Reply, limit: int | None) -> web.StreamResponse:
        headers = {**_NO_CACHE, **reply.headers}
        if isinstance(reply.body, bytes):
            response = web.Response(status=reply.status, body=reply.body, headers=headers)
            response.force_close()
            return response
        answer = Streamed(status=reply.status, headers=headers)
        answer.force_close()
        sent = False
        try:
            await send(request, answer, iter(reply.body), self.server, limit)
            sent = True
        finally:
            await self.server.thread(_end, reply, sent)
            if request.transport and not request.content.is_eof() and request.content_length == ENDLESS:
                request.transport.close()  # the client waits for the end, and aiohttp for more
        return answer
