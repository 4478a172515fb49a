# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads a disk over NBD: several requests under way at once, TLS with the one certificate the server was said to have.

The protocol is https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md (fixed newstyle, simple replies). xapi's server
(xen-api: ocaml/nbd) knows neither GO nor structured replies, hangs up on every error, and wants whole sectors.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import typing as t
from collections import deque

from .errors import ConnectionFailed, Untrusted, XenError

AHEAD = 64  # requests under way at most
WINDOW = 8 << 20  # bytes under way at most, when one more is asked for
CONNECT = 10.0  # seconds until nobody is expected to answer any more
BIGGEST = 32 << 20  # bytes every server bears in one request
FIXED_NEWSTYLE, NO_ZEROES = 1, 2
EXPORT_NAME, STARTTLS, GO = 1, 5, 7
ACK, INFO = 1, 3
UNSUPPORTED, ERROR = (1 << 31) + 1, 1 << 31
_OPTION_REPLY = 0x3E889045565A9
_REQUEST, _REPLY = 0x25609513, 0x67446698
_READ, _DISCONNECT = 0, 2
OPTION_ERRORS = {
    1: "it does not know the option", 2: "its policy forbids it", 3: "it calls the request invalid", 4: "its platform cannot do it",
    5: "it wants TLS", 6: "it has no such disk", 7: "it is shutting down", 8: "it wants a block size", 9: "it calls the request too big",
}  # fmt: skip
READ_ERRORS = {1: "EPERM", 5: "EIO", 12: "ENOMEM", 22: "EINVAL", 28: "ENOSPC", 75: "EOVERFLOW", 95: "ENOTSUP", 108: "ESHUTDOWN"}

Piece = tuple[int, int]  # offset and length in bytes


class Server(t.NamedTuple):
    """Where an export is: cert is PEM of what the server will show, "" for a connection without TLS; timeout in seconds for each answer."""

    address: str
    port: int
    export: str
    cert: str = ""
    subject: str = ""
    timeout: float = 60.0

    @property
    def where(self) -> str:
        """For messages; the export's name is a secret, as it holds the session."""
        return f"nbd://[{self.address}]:{self.port}" if ":" in self.address else f"nbd://{self.address}:{self.port}"


class Refused(XenError):
    """The server does not give what it was asked for."""


class Client:
    """One connection to one export, read only; used with `with`. size: of the disk in bytes.

    Raises ConnectionFailed (no connection, or it broke), Untrusted (another certificate), Refused.
    """

    def __init__(self, server: Server):
        self._server = server
        try:
            self._sock: socket.socket = socket.create_connection((server.address, server.port), min(server.timeout, CONNECT))
        except OSError as e:
            raise ConnectionFailed(f"Cannot reach {server.where}: {e.strerror or e}.") from e
        try:
            self._sock.settimeout(server.timeout)
            self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.size = self._shake_hands()
        except BaseException:
            self._sock.close()
            raise

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_error: object) -> None:
        with contextlib.suppress(OSError):
            self._sock.sendall(struct.pack(">IHHQQI", _REQUEST, 0, _DISCONNECT, 0, 0, 0))
        self._sock.close()

    # reading --------------------------------------------------------------------------
    def read(self, pieces: t.Iterable[Piece], ahead: int = AHEAD) -> t.Iterator[tuple[int, bytearray]]:
        """The bytes of all pieces (whole sectors, 32 MiB at most each), in their order, with their offsets.

        Once begun it has to be read to the end, or the connection be closed.
        """
        asked: deque[tuple[int, int, int]] = deque()
        there: dict[int, bytearray] = {}
        under_way = 0
        for number, (offset, length) in enumerate(pieces):
            self._send(struct.pack(">IHHQQI", _REQUEST, 0, _READ, number, offset, length))
            asked.append((number, offset, length))
            under_way += length
            while len(asked) >= ahead or under_way >= WINDOW:
                under_way -= asked[0][2]
                yield self._first(asked, there)
        while asked:
            yield self._first(asked, there)

    def _first(self, asked: deque[tuple[int, int, int]], there: dict[int, bytearray]) -> tuple[int, bytearray]:
        """What was asked for first; servers may answer in any order."""
        number, offset, _length = asked[0]
        while number not in there:
            magic, error, handle = struct.unpack(">IIQ", self._take(16))
            wanted = {n: size for n, _offset, size in asked if n not in there}
            if magic != _REPLY or handle not in wanted:
                raise ConnectionFailed(f"{self._server.where} answered what nobody asked.")
            if error:
                raise Refused(f"{self._server.where} could not read the disk at {offset}: {READ_ERRORS.get(error, error)}.")
            there[handle] = self._take(wanted[handle])
        asked.popleft()
        return offset, there.pop(number)

    # beginning ------------------------------------------------------------------------
    def _shake_hands(self) -> int:
        magic, version, flags = struct.unpack(">8s8sH", self._take(18))
        if (magic, version) != (b"NBDMAGIC", b"IHAVEOPT") or not flags & FIXED_NEWSTYLE:
            raise ConnectionFailed(f"{self._server.where} is no NBD server, or one that is too old.")
        self._send(struct.pack(">I", flags & (FIXED_NEWSTYLE | NO_ZEROES)))
        if self._server.cert:
            self._start_tls()
        size = self._go()
        if size is not None:
            return size
        self._option(EXPORT_NAME, self._server.export.encode())
        (size, _flags) = struct.unpack(">QH", self._take(10))
        self._take(0 if flags & NO_ZEROES else 124)
        return int(size)

    def _go(self) -> int | None:
        """The size; None for a server that does not know this option."""
        name, size = self._server.export.encode(), None
        self._option(GO, struct.pack(">I", len(name)) + name + b"\0\0")
        while True:
            kind, data = self._reply(GO)
            if kind == UNSUPPORTED:
                return None
            if kind & ERROR:
                raise Refused(f"{self._server.where} does not serve the disk: {_why(kind)}.")
            if kind == ACK and size is not None:
                return size
            if kind == INFO and data[:2] == b"\0\0" and len(data) >= 10:
                size = int.from_bytes(data[2:10], "big")

    def _start_tls(self) -> None:
        """Raises Refused, Untrusted."""
        self._option(STARTTLS)
        kind, _data = self._reply(STARTTLS)
        if kind != ACK:
            raise Refused(f"{self._server.where} does not speak TLS: {_why(kind)}.")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False  # the very certificate is known, over a connection that was checked
        context.verify_mode = ssl.CERT_NONE
        try:
            secured = context.wrap_socket(self._sock, server_hostname=self._server.subject or None)
        except OSError as e:
            raise self._broken(e) from e
        self._sock = secured
        if secured.getpeercert(binary_form=True) not in _certificates(self._server.cert):
            raise Untrusted(f"{self._server.where} does not show the certificate its pool says it has.")

    def _option(self, option: int, data: bytes = b"") -> None:
        self._send(struct.pack(">8sII", b"IHAVEOPT", option, len(data)) + data)

    def _reply(self, option: int) -> tuple[int, bytearray]:
        magic, about, kind, length = struct.unpack(">QIII", self._take(20))
        if magic != _OPTION_REPLY or about != option or length > BIGGEST:
            raise ConnectionFailed(f"{self._server.where} answered what nobody asked.")
        return kind, self._take(length)

    # bytes ----------------------------------------------------------------------------
    def _take(self, count: int) -> bytearray:
        found = bytearray(count)
        view, at = memoryview(found), 0
        while at < count:
            try:
                got = self._sock.recv_into(view[at:])
            except OSError as e:
                raise self._broken(e) from e
            if not got:
                raise ConnectionFailed(f"{self._server.where} ended the connection.")
            at += got
        return found

    def _send(self, data: bytes) -> None:
        try:
            self._sock.sendall(data)
        except OSError as e:
            raise self._broken(e) from e

    def _broken(self, error: OSError) -> ConnectionFailed:
        if isinstance(error, TimeoutError):
            return ConnectionFailed(f"{self._server.where} said nothing for {self._server.timeout:g} seconds.")
        return ConnectionFailed(f"The connection to {self._server.where} broke: {error.strerror or error}.")


def _why(kind: int) -> str:
    return OPTION_ERRORS.get(kind - ERROR, f"its answer was {kind:#x}")


def _certificates(text: str) -> list[bytes]:
    end = "-----END CERTIFICATE-----"
    return [ssl.PEM_cert_to_DER_cert(part[part.index("-----BEGIN") :] + end) for part in text.split(end)[:-1] if "-----BEGIN" in part]
