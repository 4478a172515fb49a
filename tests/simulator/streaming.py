# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bodies that pass through in pieces, in both directions, with a fault that ends the connection in the middle."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import typing as t

from aiohttp import web

from .faults import Cut

if t.TYPE_CHECKING:
    from .server import Server

ARRIVES = 2 << 20  # bytes of a body that are held before the client has to wait
SLICE = 1 << 20  # bytes encrypted at a time: what stays in the processor's caches is quicker
LINGER = 5.0  # seconds a connection that is to be cut has for what it is to deliver before


def keep_memory() -> None:
    """Pieces of some MiB come from memory that was used before: to ask the kernel for each takes longer than to encrypt it."""
    mmap_threshold, trim_threshold = -3, -1  # malloc.h
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        libc.mallopt(mmap_threshold, 32 << 20)
        libc.mallopt(trim_threshold, 64 << 20)


class Broken(ConnectionError):
    """The client went away in the middle of its body."""


class Streamed(web.StreamResponse):
    """As xapi's web server answers: no length and no chunks, the body ends with the connection."""

    _length_check = False  # aiohttp: neither Content-Length nor Transfer-Encoding is added (its own WebSocketResponse does that too)


class Arriving:
    """The body of a request as an iterator for another thread. ``limit``: bytes after which the connection is cut."""

    def __init__(self, request: web.BaseRequest, loop: asyncio.AbstractEventLoop, limit: int | None) -> None:
        self._request, self._loop, self._limit = request, loop, limit

    def __iter__(self) -> t.Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        """The next piece. Raises Broken when the client is gone, or was cut off."""
        try:
            piece = asyncio.run_coroutine_threadsafe(self._request.content.readany(), self._loop).result()
        except Exception as e:  # aiohttp has several kinds, for several places in its protocol
            raise Broken("the client is gone") from e
        if not piece:
            raise StopIteration
        if self._limit is None:
            return piece
        if not self._limit:
            self._loop.call_soon_threadsafe(abort, self._request)
            raise Broken("the connection was cut")
        piece = piece[: self._limit]
        self._limit -= len(piece)
        return piece


def abort(request: web.BaseRequest) -> None:
    """The connection ends without a word."""
    if request.transport:
        request.transport.abort()


async def send(request: web.BaseRequest, answer: web.StreamResponse, body: t.Iterator[bytes], server: Server, limit: int | None) -> None:
    """Writes the pieces; the next one is read while one is written. Raises Cut after ``limit`` bytes."""
    try:
        await answer.prepare(request)
        await answer.write(b"")  # the status goes out before the first piece is there
    except ConnectionError:  # a body that reads what the client sends has to find out, too: it ends the task
        abort(request)
        await server.thread(next, body, b"")
        raise
    coming = asyncio.ensure_future(server.thread(next, body, b""))
    try:
        while piece := await coming:
            coming = asyncio.ensure_future(server.thread(next, body, b""))
            if limit is not None and len(piece) > limit:
                await answer.write(piece[:limit])
                await _delivered(request)
                raise Cut("the connection was cut")
            view = memoryview(piece)
            for at in range(0, len(view), SLICE):
                await answer.write(view[at : at + SLICE])
            limit = None if limit is None else limit - len(piece)
    finally:
        if not coming.done():
            with contextlib.suppress(Exception):
                await coming
    await answer.write_eof()


async def _delivered(request: web.BaseRequest) -> None:
    """Waits until the client has what was written."""
    with contextlib.suppress(TimeoutError, ConnectionError):
        async with asyncio.timeout(LINGER):
            while (transport := request.transport) and _waiting(transport):
                await asyncio.sleep(0.005)


def _waiting(transport: asyncio.Transport) -> int:
    """Bytes not given to the kernel yet, encrypted ones too (asyncio does not tell of those otherwise)."""
    below = getattr(getattr(transport, "_ssl_protocol", None), "_transport", None)
    return transport.get_write_buffer_size() + (below.get_write_buffer_size() if below else 0)
