# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTP as xapi takes it: an import whose length nobody knows may come without one, it ends with its content or the connection."""

from __future__ import annotations

import asyncio
import typing as t

from aiohttp import web, web_protocol

ENDLESS = 1 << 62
_LENGTHS = (b"\r\ncontent-length:", b"\r\ntransfer-encoding:")


class _Protocol(web_protocol.RequestHandler):
    """One connection. aiohttp takes a request without a length for one without a body, so such an import gets one that is never reached."""

    __slots__ = ("_first",)

    def __init__(self, *args: t.Any, **kwargs: t.Any) -> None:
        super().__init__(*args, **kwargs)
        self._first: bytes | None = b""  # what has come, while it is not clear what it begins

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ends at once what shook hands while the port closed: nobody is there to answer."""
        super().connection_made(transport)
        if isinstance(self._manager, Protocols) and self._manager.stopped:
            t.cast(asyncio.Transport, transport).abort()

    def data_received(self, data: bytes) -> None:
        """Looks at the head of the first request."""
        if self._first is None:
            super().data_received(data)
            return
        self._first += data
        head, end, body = self._first.partition(b"\r\n\r\n")
        if self._first.startswith(b"PUT /import"[: len(self._first)]) and not end and len(head) < 1 << 16:
            return
        whole, self._first = self._first, None
        if end and whole.startswith(b"PUT /import") and not any(name in head.lower() for name in _LENGTHS):
            whole = b"".join((head, f"\r\nContent-Length: {ENDLESS}".encode(), end, body))
        super().data_received(whole)


class Protocols(web.Server):
    """Makes the protocol of each connection, until it is stopped."""

    stopped = False

    def __call__(self) -> web_protocol.RequestHandler:
        """ConnectionAbortedError for what was taken just before the port closed: asyncio would let it hang, unanswered and open."""
        if self.stopped:
            raise ConnectionAbortedError
        return _Protocol(self, loop=self._loop, **self._kwargs)
