# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One large GET or PUT over a connection of its own, trusted as the session's. Knows neither tasks nor files."""

from __future__ import annotations

import http.client
import io
import select
import socket
import ssl
import time
import typing as t
from dataclasses import replace
from urllib.parse import urlencode, urlsplit

from .errors import ConnectionFailed
from .transport import Endpoint, Http

PATIENCE = 1.0  # seconds the host may think about a PUT before the body is sent (curl's time, too)
LAST_WORDS = 2.0  # seconds until the answer of a host that stopped listening has come
STALLED = 600.0  # seconds without a byte: a sparse disk is read in silence, xapi sends something every few seconds
HEAD = 1 << 16
REDIRECTS = (301, 302, 303, 307, 308)


class Broken(Exception):
    """The connection ended in the middle."""


class Refused(Broken):
    """The host answered with an error status: it does nothing. The task may know the reason."""


class Away(Exception):
    """The host names another one that has the storage."""

    def __init__(self, endpoint: Endpoint):
        super().__init__(endpoint.url)
        self.endpoint = endpoint


class Line:
    """One request: connected, checked, its head sent; used with `with`."""

    def __init__(self, endpoint: Endpoint, method: str, path: str, query: t.Mapping[str, str], session: str, *lines: str):
        self.endpoint = endpoint
        self._connection = Http(endpoint).dial(endpoint.timeout)
        self.sock: socket.socket = self._connection.sock
        self.sock.settimeout(max(endpoint.timeout, STALLED))
        # the cookie keeps the session out of the host's log of paths; the task is looked for in the query only
        head = [f"{method} {path}?{urlencode(query)} HTTP/1.{int(method == 'PUT')}", f"Host: {endpoint.url.partition('//')[2]}"]
        head += [f"Cookie: session_id={session}", "User-Agent: domzero.xen", "Connection: close", *lines, "", ""]
        try:
            self.sock.sendall("\r\n".join(head).encode())
        except OSError as e:
            self.close()
            raise ConnectionFailed(f"The connection to {endpoint.url} broke: {_why(e)}.") from e

    def close(self) -> None:
        self._connection.close()

    def __enter__(self: SomeLine) -> SomeLine:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def broken(self, error: Exception, size: int) -> Broken:
        return Broken(f"The connection to {self.endpoint.url} broke after {size} bytes: {_why(error)}.")

    def refuse(self, status: int, headers: http.client.HTTPMessage) -> None:
        """Raises Away, Refused."""
        if status in REDIRECTS:
            raise Away(elsewhere(self.endpoint, headers.get("Location", "")))
        if status != 200:
            raise Refused(f"{self.endpoint.url} answered with HTTP status {status}.")


SomeLine = t.TypeVar("SomeLine", bound=Line)


def elsewhere(endpoint: Endpoint, location: str) -> Endpoint:
    """Where a redirect leads; the certificate there is checked in the same way. Raises ConnectionFailed for one that gives up TLS."""
    parts = urlsplit(location)
    if parts.scheme not in ("http", "https") or not parts.hostname or (endpoint.tls and parts.scheme == "http"):
        raise ConnectionFailed(f"{endpoint.url} sent the transfer on to {location!r}, which is no safe address.")
    tls = parts.scheme == "https"
    return replace(endpoint, host=parts.hostname, port=parts.port or (443 if tls else 80), tls=tls)


class Getting(Line):
    """The body of an answer, to be read."""

    def __init__(self, endpoint: Endpoint, path: str, query: t.Mapping[str, str], session: str):
        super().__init__(endpoint, "GET", path, query, session)
        self._file = t.cast("io.BufferedReader", self.sock.makefile("rb", buffering=1 << 17))
        self._size: int | None = None
        self.received = 0
        try:
            status, headers = _head(self._file)
            self.refuse(status, headers)
            length = headers.get("Content-Length")
            self._size = int(length) if length else None
        except (OSError, ValueError, http.client.HTTPException) as e:
            self.close()
            raise self.broken(e, 0) from e
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._file.close()
        super().close()

    def readinto(self, buffer: memoryview) -> int:
        """Fills the buffer; less at the end. Raises Broken."""
        try:
            count = self._file.readinto(buffer)
        except OSError as e:
            raise self.broken(e, self.received) from e
        self.received += count
        if count < len(buffer) and self._size is not None and self.received < self._size:
            raise Broken(f"The connection to {self.endpoint.url} ended after {self.received} of {self._size} bytes.")
        return count


class Putting(Line):
    """A body of known size, to be sent. The host may answer at any time: with 200 before the body is read, or with a refusal."""

    def __init__(self, endpoint: Endpoint, path: str, query: t.Mapping[str, str], session: str, size: int):
        lines = (f"Content-Length: {size}", "Content-Type: application/octet-stream", "Expect: 100-continue")
        super().__init__(endpoint, "PUT", path, query, session, *lines)
        self._heard = b""
        self._final = False
        self.sent = 0
        try:
            self._listen(PATIENCE)
        except BaseException:
            self.close()
            raise

    def send(self, piece: memoryview) -> None:
        """Raises Broken, Away."""
        self._listen(0)
        try:
            self.sock.sendall(piece)
        except OSError as e:
            self._listen(LAST_WORDS)  # what it said before it hung up is the better reason
            raise self.broken(e, self.sent) from e
        self.sent += len(piece)

    def check_answer(self) -> None:
        """All is sent: a refusal that came meanwhile is not overlooked. Raises Broken."""
        self._listen(0)

    def _listen(self, seconds: float) -> None:
        """Take in what the host says within that time, at most until its answer is there. Raises Broken, Away."""
        end = time.monotonic() + seconds
        while not self._final:
            if b"\r\n\r\n" in self._heard:
                head, _end, self._heard = self._heard.partition(b"\r\n\r\n")
                status, headers = _head(io.BytesIO(head + b"\r\n\r\n"))
                if status == 100:
                    return
                self._final = True
                self.refuse(status, headers)
                return
            if not self._arrives(max(0.0, end - time.monotonic())):
                return

    def _arrives(self, seconds: float) -> bool:
        """Whether something was heard. TLS has words of its own: a readable socket need not have any for us."""
        waiting = isinstance(self.sock, ssl.SSLSocket) and self.sock.pending() > 0
        if not waiting and not select.select([self.sock], [], [], seconds)[0]:
            return False
        patience = self.sock.gettimeout()
        self.sock.settimeout(0)
        try:
            heard = self.sock.recv(HEAD)
        except (ssl.SSLWantReadError, BlockingIOError):
            return seconds > 0
        except OSError:
            return False
        finally:
            self.sock.settimeout(patience)
        self._heard += heard
        return bool(heard) and len(self._heard) < HEAD


def _head(file: t.Any) -> tuple[int, http.client.HTTPMessage]:
    line = file.readline(HEAD).decode("latin-1")
    if not line.startswith("HTTP/1."):
        raise http.client.BadStatusLine(line or "nothing was answered")
    return int(line.split(None, 2)[1]), http.client.parse_headers(file)


def _why(error: Exception) -> str:
    return str(getattr(error, "strerror", "") or error) or type(error).__name__


def opened(make: t.Callable[[Endpoint], SomeLine], endpoint: Endpoint) -> SomeLine:
    """The request at that host, or where it sends us to. Raises ConnectionFailed, Untrusted, Broken."""
    for _attempt in range(3):
        try:
            return make(endpoint)
        except Away as e:
            endpoint = e.endpoint
    raise ConnectionFailed(f"The hosts send the transfer round in a circle; last to {endpoint.url}.")
