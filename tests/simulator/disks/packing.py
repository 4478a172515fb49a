# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Streams packed with gzip or zstd as a whole; neither way needs more memory than some pieces."""

from __future__ import annotations

import io
import typing as t
import zlib

import zstandard

from .pieces import Pieces

STEP = 1 << 20
GZIP, GZIP_MAGIC = 31, b"\x1f\x8b"  # zlib's window bits for a gzip wrapper
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"


class BadPacking(Exception):
    """What was packed is damaged."""


def pack(kind: str, pieces: t.Iterator[bytes]) -> t.Iterator[bytes]:
    """``kind``: gzip, zstd, or "" for none."""
    if not kind:
        yield from pieces
        return
    packer: t.Any = zlib.compressobj(1, wbits=GZIP) if kind == "gzip" else zstandard.ZstdCompressor(level=1).compressobj()
    for piece in pieces:
        if packed := packer.compress(piece):
            yield packed
    yield packer.flush()


def unpack(source: t.Iterator[bytes]) -> t.Iterator[bytes]:
    """What was packed, by the first bytes. Raises BadPacking, EOFError when it is cut off."""
    pieces = Pieces(source)
    start = bytes(pieces.upto(len(ZSTD_MAGIC)))
    whole = _after(start, pieces)
    if start == ZSTD_MAGIC:
        yield from _from_zstd(whole)
    elif start.startswith(GZIP_MAGIC):
        yield from _from_gzip(whole)
    else:
        yield from whole


def _after(start: bytes, pieces: Pieces) -> t.Iterator[bytes]:
    yield start
    while piece := pieces.some():
        yield piece


def _from_gzip(source: t.Iterator[bytes]) -> t.Iterator[bytes]:
    unpacker = zlib.decompressobj(GZIP)
    try:
        for piece in source:
            left = piece
            while left and not unpacker.eof:
                if found := unpacker.decompress(left, STEP):
                    yield found
                left = unpacker.unconsumed_tail
            if unpacker.eof:
                return
    except zlib.error as e:
        raise BadPacking(str(e)) from e
    raise EOFError("the packed stream ended too early")


class _Source(io.RawIOBase):
    """Pieces as zstandard reads them."""

    def __init__(self, source: t.Iterator[bytes]) -> None:
        self._pieces = Pieces(source)

    def read(self, size: int = -1) -> bytes:
        """At most that many bytes."""
        return bytes(self._pieces.upto(STEP if size < 0 else size))


def _from_zstd(source: t.Iterator[bytes]) -> t.Iterator[bytes]:
    reader = zstandard.ZstdDecompressor().stream_reader(t.cast("t.IO[bytes]", _Source(source)), read_size=STEP, read_across_frames=True)
    try:
        while piece := reader.read(STEP):
            yield piece
    except zstandard.ZstdError as e:
        raise BadPacking(str(e)) from e
