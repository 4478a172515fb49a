# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads what a host has packed as a whole: gzip, zstd, or not at all."""

from __future__ import annotations

import contextlib
import gzip
import os
import subprocess
import threading
import typing as t
import zlib

from ..errors import XenError
from .files import PIECE, Readable

MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
Reader = t.Callable[[memoryview], int]  # fills the buffer, less at the end only


class Damaged(XenError):
    """A file is not what it should be: cut off, changed, or of another kind."""


def unread(error: BaseException | None) -> OSError | None:
    """Why something could not be read, as it comes or as the readers of formats tell it; None for damage and all else."""
    cause = error.__cause__ if isinstance(error, Damaged) else error
    # what gzip says of damaged data is an OSError by its class only
    return cause if isinstance(cause, OSError) and not isinstance(cause, gzip.BadGzipFile) else None


def compression_of(head: bytes) -> str:
    """none, gzip or zstd, by a file's first bytes."""
    return next((name for magic, name in MAGIC.items() if head.startswith(magic)), "none")


def unpacked(source: Readable, compression: str) -> contextlib.AbstractContextManager[Reader]:
    """What a file holds. Reading raises Damaged; opening raises XenError where nothing can unpack zstd."""
    if compression == "none":
        return contextlib.nullcontext(_whole(source.readinto))
    return _gzip(source) if compression == "gzip" else _zstd(source)


@contextlib.contextmanager
def _gzip(source: Readable) -> t.Iterator[Reader]:
    with gzip.GzipFile(fileobj=t.cast("t.IO[bytes]", _AsFile(source))) as file:
        yield _whole(file.readinto)


def _whole(readinto: t.Callable[[t.Any], int | None]) -> Reader:
    """Reads on until the buffer is full."""

    def read(buffer: memoryview) -> int:
        filled = 0
        try:
            while filled < len(buffer):
                count = readinto(buffer[filled:])
                if not count:
                    break
                filled += count
        except EOFError:
            raise Damaged("The file ends too early.") from None
        except (zlib.error, gzip.BadGzipFile) as e:
            raise Damaged(f"The file is damaged: it cannot be unpacked ({e}).") from e
        return filled

    return read


class _AsFile:
    """What gzip and zstandard ask of a file."""

    def __init__(self, source: Readable):
        self._source = source

    def read(self, size: int = -1) -> bytes:
        buffer = bytearray(size if size > 0 else PIECE)
        return bytes(memoryview(buffer)[: self._source.readinto(buffer) or 0])


@contextlib.contextmanager
def _zstd(source: Readable) -> t.Iterator[Reader]:
    """By the command, which works beside us and notices every missing byte, else by the Python package."""
    try:
        process = subprocess.Popen(["zstd", "-dcq"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0)
    except FileNotFoundError:
        with _zstandard(source) as read:
            yield read
        return
    failed: list[BaseException] = []  # why the source could not be read
    feeder = threading.Thread(target=_pour, args=(source, process.stdin, failed), daemon=True)
    feeder.start()
    with process:
        stdout, stderr = t.cast("t.Any", process.stdout), t.cast("t.Any", process.stderr)
        read = _whole(stdout.readinto)

        def checked(buffer: memoryview) -> int:
            count = read(buffer)
            status = process.wait() if count < len(buffer) else 0
            if failed:
                raise failed[0]
            if status:
                raise Damaged(f"The file is damaged: it cannot be unpacked ({stderr.read().decode(errors='replace').strip()}).")
            return count

        try:
            yield checked
        finally:
            process.kill()
            feeder.join()


@contextlib.contextmanager
def _zstandard(source: Readable) -> t.Iterator[Reader]:
    try:
        import zstandard
    except ImportError:
        raise XenError(
            "Nothing that unpacks zstd is there where the task runs.", hint="Install the command zstd, or the Python package zstandard."
        ) from None
    # xapi packs with a window that any decoder takes; one that asks for more is no export
    unpacker = zstandard.ZstdDecompressor(max_window_size=1 << 27)
    with unpacker.stream_reader(t.cast("t.IO[bytes]", _AsFile(source)), read_across_frames=True) as file:
        read = _whole(file.readinto)

        def checked(buffer: memoryview) -> int:
            try:
                return read(buffer)
            except zstandard.ZstdError as e:
                raise Damaged(f"The file is damaged: it cannot be unpacked ({e}).") from e

        yield checked


def _pour(source: Readable, into: t.Any, failed: list[BaseException]) -> None:
    buffer = memoryview(bytearray(PIECE))
    try:
        while count := source.readinto(buffer):
            rest = buffer[:count]
            while rest:
                try:
                    rest = rest[os.write(into.fileno(), rest) :]
                except OSError:
                    return  # whoever reads has had enough
    except BaseException as e:
        failed.append(e)
    finally:
        into.close()  # else the command waits for more for ever
