# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One NBD connection as xapi-nbd serves it (xen-api: ocaml/nbd/src/main.ml; xapi-project/nbd lib/server.ml).

The protocol: https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md. As on a real host there is no list and no structured
reply, requests are answered one after the other, and whatever goes wrong ends the connection. A real host has no GO either; here it can
be had (``World.nbd_go``), for clients that do without a list only then, as qemu.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import typing as t
from urllib.parse import parse_qs, urlsplit

from . import sessions, sr_operations
from .disks import attached
from .dispatch import Call, find
from .errors import Fault

if t.TYPE_CHECKING:
    from .disks.chain import Chain
    from .world import Machine

PATH = "nbd"  # what faults call it
NBD, INSECURE = "nbd", "insecure_nbd"  # purposes of a network
SECTOR = 512
PIECE = 512 << 10  # bytes read from the disk at once
FIXED_NEWSTYLE = 1
EXPORT_NAME, ABORT, LIST, STARTTLS, GO = 1, 2, 3, 5, 7
ACK, INFO, UNSUPPORTED, POLICY, INVALID, TLS_REQUIRED = 1, 3, *((1 << 31) + code for code in (1, 2, 3, 5))
OPTION_REPLY = 0x3E889045565A9
REQUEST, REPLY = 0x25609513, 0x67446698
HAS_FLAGS, READ_ONLY = 1, 2
READ, DISCONNECT, WRITE = 0, 2, 1
EPERM, EINVAL = 1, 22


class Ended(Exception):
    """The connection is over; nobody is told why."""


class Connection:
    """From the greeting to the end. ``context``: for TLS; ``limit``: bytes after which the connection is cut, if a fault wants that."""

    def __init__(self, machine: Machine, sock: socket.socket, context: ssl.SSLContext, limit: int | None = None) -> None:
        self._machine, self._sock, self._context, self._limit = machine, sock, context, limit

    def serve(self) -> None:
        """Raises Ended, OSError."""
        secure = self._asks_for_tls()
        self._send(struct.pack(">8s8sH", b"NBDMAGIC", b"IHAVEOPT", FIXED_NEWSTYLE))
        (flags,) = struct.unpack(">I", self._take(4))
        if secure:
            if not flags & FIXED_NEWSTYLE:
                raise Ended("a client without options")
            self._start_tls()
        option, name = self._named(secure)
        with self._disk(name) as chain:
            shown = struct.pack(">QH", chain.size, HAS_FLAGS | READ_ONLY)
            if option == GO:
                self._reply(GO, INFO, b"\0\0" + shown)
                self._reply(GO, ACK)
            else:
                self._send(shown + bytes(124))
            while self._answer(chain):
                pass

    def _asks_for_tls(self) -> bool:
        """What the purposes of the pool's networks say. Raises Ended when none is for this."""
        with self._machine.world.lock:
            purposes = {purpose for network in self._machine.pool.db.all("network").values() for purpose in network["purpose"]}
        if not purposes & {NBD, INSECURE} or {NBD, INSECURE} <= purposes:
            raise Ended("no network is for NBD")
        return NBD in purposes

    # options ---------------------------------------------------------------------------------------------------------
    def _option(self) -> tuple[int, bytes]:
        magic, option, length = struct.unpack(">8sII", self._take(16))
        if magic != b"IHAVEOPT":
            raise Ended("no option")
        return option, self._take(length)

    def _reply(self, option: int, kind: int, data: bytes = b"") -> None:
        self._send(struct.pack(">QIII", OPTION_REPLY, option, kind, len(data)) + data)

    def _start_tls(self) -> None:
        """Nothing else is talked about before."""
        while True:
            option, _data = self._option()
            if option in (EXPORT_NAME, ABORT):
                raise Ended("not without TLS")
            self._reply(option, ACK if option == STARTTLS else TLS_REQUIRED)
            if option == STARTTLS:
                self._sock = self._context.wrap_socket(self._sock, server_side=True)
                return

    def _named(self, secure: bool) -> tuple[int, str]:
        """How the client asks for an export, and for which."""
        refusals = {STARTTLS: INVALID if secure else POLICY, LIST: POLICY}
        while True:
            option, data = self._option()
            if option == EXPORT_NAME:
                return option, data.decode(errors="replace")
            if option == GO and self._machine.world.nbd_go and len(data) >= 6:
                return option, data[4 : 4 + int.from_bytes(data[:4], "big")].decode(errors="replace")
            if option == ABORT:
                raise Ended("the client gave up")
            self._reply(option, refusals.get(option, UNSUPPORTED))

    @contextlib.contextmanager
    def _disk(self, name: str) -> t.Iterator[Chain]:
        """The disk, plugged into the host's control domain meanwhile. Raises Ended for a session or disk there is not."""
        parts = urlsplit(name)
        session = parse_qs(parts.query).get("session_id", [""])[0]
        world, db = self._machine.world, self._machine.pool.db
        try:
            with world.lock:
                sessions.check(self._machine.pool.coordinator, session, find(world, "VBD.create"))
                vdi = next(iter(db.find("VDI", uuid=parts.path.removeprefix("/"))), "")
                if not vdi or db.get("VDI", vdi)["type"] == "cbt_metadata" or not self._sees(db.get("VDI", vdi)["SR"]):
                    raise Ended(f"no disk {parts.path}")
            call = Call(world, self._machine, session, "VBD.plug")
            with attached.reading(call, vdi) as chain:
                yield chain
        except Fault as e:
            raise Ended(str(e)) from e

    def _sees(self, sr: str) -> bool:
        db = self._machine.pool.db
        return any(db.get("PBD", pbd)["host"] == self._machine.host_ref for pbd in sr_operations.attached_pbds(db, sr))

    # transmission ----------------------------------------------------------------------------------------------------
    def _answer(self, chain: Chain) -> bool:
        """One request; False when it was the last one."""
        magic, _flags, kind, handle, offset, length = struct.unpack(">IHHQQI", self._take(28))
        if magic != REQUEST or kind == DISCONNECT:
            return False
        error = EPERM if kind == WRITE else EINVAL if kind != READ or offset % SECTOR or length % SECTOR else 0
        self._send(struct.pack(">IIQ", REPLY, error, handle))
        if error or offset + length > chain.size:  # too late to say so: the answer is on its way
            return False
        for at in range(offset, offset + length, PIECE):
            self._send(chain.read(at, min(PIECE, offset + length - at)))
        return True

    # bytes -----------------------------------------------------------------------------------------------------------
    def _take(self, count: int) -> bytes:
        found = bytearray()
        while len(found) < count:
            piece = self._sock.recv(count - len(found))
            if not piece:
                raise Ended("the client is gone")
            found += piece
        return bytes(found)

    def _send(self, data: bytes) -> None:
        """Raises Ended when a fault cuts the connection."""
        if self._limit is not None:
            data, rest = data[: self._limit], data[self._limit :]
            self._limit -= len(data)
            self._sock.sendall(data)
            if rest:
                raise Ended("cut")
            return
        self._sock.sendall(data)

    def close(self) -> None:
        """From any thread."""
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        self._sock.close()
