# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Listens for NBD clients of one machine, on its address and a free port (xapi-nbd has 10809; here several simulators run at once)."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import typing as t

from .nbd import PATH, Connection, Ended

if t.TYPE_CHECKING:
    from .endpoint import Endpoint

LIMIT = 16  # clients at once (xen-api: ocaml/nbd/lib/consts.ml)


class NbdServer:
    """``listen`` and ``shut`` run in the loop of the wire, each connection in a thread."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._listener: socket.socket | None = None
        self._accepting: asyncio.Task[None] | None = None
        self._open: set[Connection] = set()
        self.port = 0

    async def listen(self) -> None:
        """Opens a port, the one it had before if that is free."""
        address = self._endpoint.machine.address
        try:
            self._listener = socket.create_server((address, self.port))
        except OSError:
            self._listener = socket.create_server((address, 0))
        self._listener.setblocking(False)
        self.port = self._listener.getsockname()[1]
        self._accepting = asyncio.get_running_loop().create_task(self._accept(self._listener))

    async def shut(self) -> None:
        """Nobody is served any more."""
        accepting, listener = self._accepting, self._listener
        self._accepting = self._listener = None
        if accepting and listener:
            accepting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await accepting
            listener.close()
        for connection in list(self._open):
            connection.close()

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            client, _address = await loop.sock_accept(listener)
            client.setblocking(True)
            if len(self._open) >= LIMIT:
                client.close()
                continue
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            limit = self._endpoint.machine.world.faults.transfer_limit(PATH)
            connection = Connection(self._endpoint.machine, client, self._endpoint.tls, limit)
            self._open.add(connection)
            loop.create_task(self._serve(connection)).add_done_callback(lambda _task: None)

    async def _serve(self, connection: Connection) -> None:
        try:
            with contextlib.suppress(Ended, OSError):
                await self._endpoint.server.thread(connection.serve)
        finally:
            self._open.discard(connection)
            connection.close()
