# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tar files and disks in them as chunks with checksums, as VMs travel (xen-api: ocaml/xapi/stream_vdi.ml, xva.ml)."""

from __future__ import annotations

import hashlib
import tarfile
import typing as t

import xxhash

from .node import ZEROS

if t.TYPE_CHECKING:
    from .chain import Chain
    from .pieces import Pieces

UNIT = tarfile.BLOCKSIZE
CHUNK = 1 << 20
LARGEST = 64 << 20  # bytes of a file somebody may send
END = bytes(2 * UNIT)
DIGESTS: dict[str, t.Callable[[bytes | memoryview], str]] = {
    "checksum": lambda data: hashlib.sha1(data, usedforsecurity=False).hexdigest(),
    "xxhash": lambda data: xxhash.xxh64_hexdigest(data).upper(),
}


class NoTar(Exception):
    """Something else than a tar file."""


class File(t.NamedTuple):
    """One file of a tar."""

    name: str
    data: memoryview | bytes


# writing -------------------------------------------------------------------------------------------------------------
def head(name: str, size: int) -> bytes:
    """What stands before a file's bytes."""
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o400
    return info.tobuf(tarfile.USTAR_FORMAT)


def entry(name: str, data: bytes | memoryview) -> bytes:
    """One file."""
    return b"".join((head(name, len(data)), data, bytes(-len(data) % UNIT)))


def chunk(name: str, data: bytes | memoryview) -> t.Iterator[bytes | memoryview]:
    """A chunk and its checksum, in parts."""
    digest = DIGESTS["xxhash"](data).encode()
    yield from (head(name, len(data)), data, bytes(-len(data) % UNIT), head(f"{name}.xxhash", len(digest)), digest)
    yield bytes(-len(digest) % UNIT)


def chunks(folder: str, chain: Chain) -> t.Iterator[bytes]:
    """A disk: its first and last chunk, and of the others those that are not zeros alone."""
    last = max(0, (chain.size - 1) // CHUNK)
    if not chain.size:
        yield b"".join(chunk(f"{folder}/{0:08d}", b""))
    at = 0
    for count, data in chain.pieces():
        if data is None:
            numbers = sorted({0, last} & set(range_of(at, count)))
            parts = {number: memoryview(ZEROS)[: min(CHUNK, chain.size - number * CHUNK)] for number in numbers}
        else:
            view = memoryview(data)
            parts = {(at + start) // CHUNK: view[start : start + CHUNK] for start in range(0, count, CHUNK)}
        kept = ((number, part) for number, part in parts.items() if number in (0, last) or part != memoryview(ZEROS)[: len(part)])
        if found := b"".join(part for number, data_ in kept for part in chunk(f"{folder}/{number:08d}", data_)):
            yield found
        at += count


def range_of(offset: int, length: int) -> range:
    """Numbers of the chunks that begin there."""
    return range(-(-offset // CHUNK), -(-(offset + length) // CHUNK))


# reading -------------------------------------------------------------------------------------------------------------
def files(pieces: Pieces) -> t.Iterator[File]:
    """The files up to the end mark. Raises NoTar, EOFError when it is cut off."""
    while (block := bytes(pieces.take(UNIT))) != bytes(UNIT):
        try:
            info = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except tarfile.HeaderError as e:
            raise NoTar(str(e)) from e
        if not 0 <= info.size <= LARGEST:
            raise NoTar(f"{info.name} has {info.size} bytes")
        data = pieces.take(info.size)
        pieces.skip(-info.size % UNIT)
        yield File(info.name, data)
    pieces.take(UNIT)
