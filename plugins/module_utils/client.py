# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A XenAPI session over JSON-RPC, or XML-RPC where the server has nothing else. Knows no XenAPI class but session."""

from __future__ import annotations

import json
import time
import typing as t
import xmlrpc.client

from .errors import ApiError, ConnectionFailed, OutcomeUnknown, Untrusted, XenError
from .transport import Endpoint, Http

try:
    import XenAPI

    Base: t.Any = XenAPI.Session
except ImportError:
    XenAPI = None
    Base = object

ORIGINATOR = "domzero.xen"
ATTEMPTS = 4
LAST_CALLS = 10.0  # seconds that leaving may take
SOON = 1.0  # seconds within which a connection that breaks is worth another try
NO_XAPI = "Is this a XenServer or XCP-ng host?"
NO_SUCH_PAGE = (403, 404, 405, 501)
# never changes anything, whatever the class
READING = ("get_", "assert_", "compute_", "list_")


def is_read(method: str) -> bool:
    """Whether a call may be repeated when its answer was lost."""
    cls, _dot, message = method.partition(".")
    return message.startswith(READING) or cls == "event" or method in ("SR.probe", "SR.probe_ext")


def on_the_xml_wire(value: t.Any) -> t.Any:
    """XML-RPC's int has 32 bits, XenAPI's 64: xapi takes and gives integers as strings."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return str(value)
    if isinstance(value, dict):
        return {k: on_the_xml_wire(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [on_the_xml_wire(v) for v in value]
    return value


def from_the_xml_wire(value: t.Any) -> t.Any:
    if isinstance(value, xmlrpc.client.DateTime):
        return value.value
    if isinstance(value, dict):
        return {k: from_the_xml_wire(v) for k, v in value.items()}
    if isinstance(value, list):
        return [from_the_xml_wire(v) for v in value]
    return value


class Session(Base):  # type: ignore[misc]
    """XenAPI.Session whose calls go over a checked, kept-alive connection.

    session.call("VM.get_all") and session.xenapi.VM.get_all() are the same. Reads are repeated when the connection
    breaks; changing calls that got out are not: they end in OutcomeUnknown. A session that ended (the coordinator restarted) is
    replaced once by a new one when the login is known.
    """

    def __init__(self, endpoint: Endpoint):
        if XenAPI is None:
            raise XenError("The Python package XenAPI is missing where the task runs.", hint="Install it: pip install XenAPI")
        super().__init__(endpoint.url)
        self.endpoint = endpoint
        self.requests = 0
        # is told how far a long call is, from 0 to 1; and how many bytes that are, where it moves some
        self.watch: t.Callable[..., None] | None = None
        self.mirror: t.Any = None  # what is kept of the pool between tasks (mirror.py), where somebody wants that
        self._http = Http(endpoint)
        self._json: bool | None = None
        self._login_params: tuple[str, str] | None = None

    # session ------------------------------------------------------------------
    def log_in(self, username: str, password: str) -> None:
        """Log in, at the coordinator if this host is a member. Raises ConnectionFailed, ApiError."""
        coordinator = self.log_in_here(username, password)
        if coordinator:
            self.move_to(coordinator)
            coordinator = self.log_in_here(username, password)
        if coordinator:
            raise ApiError("session.login_with_password", ["HOST_IS_SLAVE", coordinator])
        self._login_params = (username, password)

    def log_in_here(self, username: str, password: str) -> str:
        """Log in at this very host: "" when done, or the coordinator's address when the host is a member (no session then)."""
        try:
            params = (username, password, "1.0", ORIGINATOR)
            self._session = self._send("session.login_with_password", params, repeatable=True)
        except ApiError as e:
            if e.code == "HOST_IS_SLAVE" and e.params:
                return e.params[0]
            e.message = f"User {username!r} could not log in at {self.endpoint.url}: {e.message}"
            raise
        return ""

    def log_out(self) -> None:
        """End the session; one that is gone already is as good."""
        try:
            if self._session:
                self._end_session()
        except XenError:
            pass
        finally:
            self._session = None
            self._http.close()

    def _end_session(self) -> None:
        """Tried again at once where the connection broke, as an idle one may; not where the host was silent for long. Raises XenError."""
        started, patience = time.monotonic(), min(LAST_CALLS, self.endpoint.timeout)
        try:
            self._send_once("session.logout", (self._session,), repeatable=True, timeout=patience)
        except ConnectionFailed:
            if time.monotonic() - started > SOON:
                raise
            self._send_once("session.logout", (self._session,), repeatable=True, timeout=patience)

    @classmethod
    def resume(cls, endpoint: Endpoint, ref: str, login: tuple[str, str] | None = None) -> Session:
        """A session somebody else opened and will end. login: what to replace it with should it end before."""
        session = cls(endpoint)
        session._session, session._login_params = ref, login
        return session

    @property
    def renewable(self) -> bool:
        """Whether a session that ends with a restart of the coordinator is replaced by a new one."""
        return self._login_params is not None

    def abandon(self) -> None:
        """The host went down and the session with it: there is nobody to log out from."""
        self._session = None

    def go_on(self) -> None:
        """Asked between the pieces of a long transfer; one that is to end raises (side.py)."""

    def move_to(self, host: str) -> None:
        """Go on at another address: of the coordinator, or the coordinator's new one."""
        self._http.close()
        self.endpoint = self.endpoint.at(host)
        self._http = Http(self.endpoint)

    # calls --------------------------------------------------------------------
    def call(self, method: str, *params: t.Any, timeout: float | None = None, renew: bool = True) -> t.Any:
        """One XenAPI call. Raises ApiError, ConnectionFailed, OutcomeUnknown. renew: log in again if the session has ended."""
        repeatable = is_read(method)
        try:
            return self._send(method, (self._session, *params), repeatable=repeatable, timeout=timeout)
        except ApiError as e:
            # refused before anything was done, so even a changing call may go again
            if e.code not in ("SESSION_INVALID", "HOST_IS_SLAVE") or not (renew and self._login_params):
                raise
            if e.code == "HOST_IS_SLAVE" and e.params:
                self.move_to(e.params[0])
            self.log_in(*self._login_params)
            return self._send(method, (self._session, *params), repeatable=repeatable, timeout=timeout)

    def methods(self) -> list[str]:
        """The names of all messages this release has. Only XML-RPC has that call, and it answers without the usual envelope."""
        request = xmlrpc.client.dumps((), "system.listMethods").encode()
        status, body = self._http.post("/", request, "text/xml", repeatable=True)
        try:
            (names,), _method = xmlrpc.client.loads(body)
        except Exception as e:
            raise ConnectionFailed(f"The list of methods is not XML-RPC (HTTP status {status}).", hint=NO_XAPI) from e
        return t.cast("list[str]", names)

    def xenapi_request(self, methodname: str, params: tuple[t.Any, ...]) -> t.Any:
        """The road of session.xenapi.CLASS.MESSAGE(...)."""
        if methodname.startswith("login"):
            return self.log_in(*params[:2])
        if methodname in ("logout", "session.logout"):
            return self.log_out()
        return self.call(methodname, *params)

    def _login(self, method: str, params: tuple[t.Any, ...]) -> None:
        """The road of session.login_with_password(...) and session.slave_local_login_with_password(...)."""
        if method.startswith("login"):
            self.log_in(*params[:2])
        else:
            self._session = self._send(f"session.{method}", params, repeatable=True)

    def _ServerProxy__request(self, method: str, params: tuple[t.Any, ...]) -> t.Any:
        """The road of session.CLASS.MESSAGE(reference, ...): XenAPI.Session's own way out, which would check no fingerprint."""
        return {"Status": "Success", "Value": self._send(method, params, repeatable=is_read(method))}

    def _send(self, method: str, params: tuple[t.Any, ...], *, repeatable: bool, timeout: float | None = None) -> t.Any:
        for attempt in range(ATTEMPTS):
            try:
                return self._send_once(method, params, repeatable, timeout)
            except Untrusted:
                raise
            except ConnectionFailed:  # the call had no effect
                if attempt == ATTEMPTS - 1 or not self._session:
                    raise
                time.sleep(0.2 * 3**attempt)
        raise AssertionError("unreachable")

    def _send_once(self, method: str, params: tuple[t.Any, ...], repeatable: bool, timeout: float | None) -> t.Any:
        self.requests += 1
        lost: type[XenError] = ConnectionFailed if repeatable else OutcomeUnknown
        if self._json is not False:
            request = _json_request(method, params)
            status, body = self._http.post("/jsonrpc", request, "application/json", repeatable=repeatable, timeout=timeout)
            if status == 200:
                self._json = True
                return _json_answer(method, body, lost)
            if self._json or not (status in NO_SUCH_PAGE or (status == 500 and repeatable)):
                raise lost(f"{self.endpoint.url} answered {method} with HTTP status {status}.", hint=NO_XAPI)
            self._json = False  # a release without JSON-RPC; the call did not get as far as xapi
        request = xmlrpc.client.dumps(tuple(on_the_xml_wire(params)), method, allow_none=True).encode()
        status, body = self._http.post("/", request, "text/xml", repeatable=repeatable, timeout=timeout)
        if status != 200:
            raise lost(f"{self.endpoint.url} answered {method} with HTTP status {status}.", hint=NO_XAPI)
        return _xml_answer(method, body, lost)


def _json_request(method: str, params: tuple[t.Any, ...]) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "method": method, "params": list(params), "id": 1}).encode()


def _json_answer(method: str, body: bytes, lost: type[XenError]) -> t.Any:
    try:
        answer = json.loads(body)
        error = answer.get("error")
    except (ValueError, AttributeError) as e:
        raise lost(f"The answer to {method} is not JSON-RPC.", hint=NO_XAPI) from e
    if error:
        raise ApiError(method, [error["message"], *error.get("data", [])] if isinstance(error, dict) else error)
    return answer.get("result")


def _xml_answer(method: str, body: bytes, lost: type[XenError]) -> t.Any:
    try:
        (answer,), _name = xmlrpc.client.loads(body, use_builtin_types=False)
        status = t.cast("dict[str, t.Any]", answer)["Status"]
    except xmlrpc.client.Fault as fault:
        raise ApiError(method, ["FAULT", fault.faultString]) from fault
    except Exception as e:
        raise lost(f"The answer to {method} is not XML-RPC.", hint=NO_XAPI) from e
    if status != "Success":
        raise ApiError(method, t.cast("dict[str, t.Any]", answer).get("ErrorDescription", []))
    return from_the_xml_wire(t.cast("dict[str, t.Any]", answer).get("Value"))
