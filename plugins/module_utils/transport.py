# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One kept-alive HTTP(S) connection to a host, trusted through a CA file, a pinned certificate or not at all."""

from __future__ import annotations

import hashlib
import re
import select
import socket
import ssl
import typing as t
from dataclasses import dataclass, field, replace
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit

from .errors import ConnectionFailed, InvalidChange, OutcomeUnknown, Untrusted

_SHA256 = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True)
class Endpoint:
    """Where a host answers and how its certificate is checked.

    fingerprints are SHA-256 of the certificate (hex, colons allowed); with any given, they replace the check by a CA.
    timeout is in seconds and holds for connecting and for each answer.
    """

    host: str
    port: int = 443
    tls: bool = True
    validate_certs: bool = True
    ca_file: str | None = None
    fingerprints: tuple[str, ...] = field(default=())
    timeout: float = 60.0

    @classmethod
    def parse(cls, text: str, **trust: t.Any) -> Endpoint:
        """host, host:port, [v6]:port or a URL. Raises InvalidChange for anything else."""
        try:
            parts = urlsplit(text if "://" in text else f"https://{text}")
            port = parts.port
        except ValueError as e:
            raise InvalidChange(f"hostname {text!r} is not an address: {e}.", hint="Give host, host:port or https://host:port.") from e
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.path not in ("", "/"):
            raise InvalidChange(f"hostname {text!r} is not an address.", hint="Give host, host:port or https://host:port.")
        for fingerprint in trust.get("fingerprints") or ():
            if not _SHA256.fullmatch(_bare(fingerprint)):
                raise InvalidChange(
                    f"fingerprint {fingerprint!r} is not a SHA-256 fingerprint.", hint="It has 64 hexadecimal digits; colons are allowed."
                )
        tls = parts.scheme == "https"
        return cls(parts.hostname, port or (443 if tls else 80), tls, **trust)

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http{'s' if self.tls else ''}://{host}:{self.port}"

    def listens(self, timeout: float) -> bool:
        """Whether anybody takes a connection there within timeout seconds."""
        try:
            socket.create_connection((self.host, self.port), timeout).close()
        except OSError:
            return False
        return True

    def at(self, host: str) -> Endpoint:
        """The same way in to another host of the pool."""
        return replace(self, host=host)


def _bare(fingerprint: str) -> str:
    return fingerprint.replace(":", "").replace(" ", "").lower()


class Http:
    """Posts bodies over one connection. Not for use by several threads."""

    def __init__(self, endpoint: Endpoint):
        self.endpoint = endpoint
        self._connection: HTTPConnection | None = None

    def close(self) -> None:
        if self._connection:
            self._connection.close()
        self._connection = None

    def post(self, path: str, body: bytes, content_type: str, *, repeatable: bool, timeout: float | None = None) -> tuple[int, bytes]:
        """Status and body of the answer.

        Raises ConnectionFailed when nothing was sent or the call may be repeated, OutcomeUnknown when a call
        that must not be repeated was sent and no answer came.
        """
        connection = self._ready(timeout or self.endpoint.timeout)
        try:
            connection.request("POST", path, body, {"Content-Type": content_type, "User-Agent": "domzero.xen"})
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, HTTPException) as e:
            self.close()
            if repeatable:
                raise ConnectionFailed(
                    f"The connection to {self.endpoint.url} broke: {e or type(e).__name__}.",
                    hint="Check the address and that the host is up.",
                ) from e
            raise OutcomeUnknown(f"The connection to {self.endpoint.url} broke before the answer came: {e or type(e).__name__}.") from e
        except BaseException:  # interrupted: an answer that comes now is nobody's
            self.close()
            raise

    def _ready(self, timeout: float) -> HTTPConnection:
        sock = self._connection.sock if self._connection else None
        # an idle connection that is readable has been closed by the other side
        if self._connection and sock and not select.select([sock], [], [], 0)[0]:
            sock.settimeout(timeout)
            return self._connection
        self.close()
        self._connection = self.dial(timeout)
        return self._connection

    def dial(self, timeout: float) -> HTTPConnection:
        """A new connection that has been checked; whoever asked for it closes it. Raises ConnectionFailed, Untrusted, InvalidChange."""
        e = self.endpoint
        connection = (
            HTTPSConnection(e.host, e.port, timeout=timeout, context=self._context())
            if e.tls
            else HTTPConnection(e.host, e.port, timeout=timeout)
        )
        try:
            connection.connect()
            # without it every answer waits for the other side's delayed acknowledgement
            connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except ssl.SSLCertVerificationError as error:
            raise Untrusted(
                f"The certificate of {e.url} is not trusted: {error.verify_message}.",
                hint="Give ca_file, pin the certificate with fingerprint, or set validate_certs: false.",
            ) from error
        except OSError as error:
            why = error.reason if isinstance(error, ssl.SSLError) else error.strerror
            raise ConnectionFailed(f"Cannot reach {e.url}: {why or error}.", hint="Check the address and that the host is up.") from error
        if e.tls and e.fingerprints and e.validate_certs:
            self._check_fingerprint(connection)
        return connection

    def _context(self) -> ssl.SSLContext:
        e = self.endpoint
        if e.validate_certs and not e.fingerprints:
            try:
                return ssl.create_default_context(cafile=e.ca_file)
            except (OSError, ssl.SSLError) as error:
                raise InvalidChange(
                    f"ca_file {e.ca_file!r} cannot be used: {error}.", hint="Give a PEM file on the machine where the task runs."
                ) from error
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context

    def _check_fingerprint(self, connection: HTTPConnection) -> None:
        certificate = t.cast(ssl.SSLSocket, connection.sock).getpeercert(binary_form=True) or b""
        seen = hashlib.sha256(certificate).hexdigest()
        if seen not in {_bare(f) for f in self.endpoint.fingerprints}:
            connection.close()
            shown = ":".join(seen[i : i + 2] for i in range(0, 64, 2)).upper()
            raise Untrusted(
                f"The certificate of {self.endpoint.url} is not a pinned one: its SHA-256 fingerprint is {shown}.",
                hint="If that is the host's own certificate, add it to fingerprint.",
            )
