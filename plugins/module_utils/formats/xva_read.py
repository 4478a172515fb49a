# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What lies where in an .xva, its disks one by one, and the whole of it with another description (xen-api: stream_vdi.ml, export.ml)."""

from __future__ import annotations

import contextlib
import typing as t
from pathlib import Path

from .compression import Damaged, unpacked
from .files import Readable
from .xva import CHECKSUMS, ENTRY, SECTOR, Archive, compression_in, named, opened
from .xva_write import END, Extent, entry, entry_size


def entries(path: Path | str) -> t.Iterator[tuple[str, int]]:
    """Names and sizes of what is in it. Only what is packed has to be read in whole for that. Raises Damaged, XenError."""
    with opened(path) as file, named(path):
        compression = compression_in(file)
        with unpacked(file, compression) as read:
            archive = Archive(read)
            while found := archive.next():
                yield found
                if compression == "none":
                    file.seek(found[1] + -found[1] % SECTOR, 1)
                else:
                    for _piece in archive.content(found[1]):
                        pass


class _Places:
    """Where the blocks of a disk belong, one after another: numbers that are left out stand for zeros, an empty block for nothing."""

    def __init__(self) -> None:
        self._number, self._first, self.end = -1, 0, 0

    def take(self, name: str, number: int, size: int) -> int:
        """The offset of the next block. Raises Damaged."""
        if number <= self._number or (self._number < 0 and number):
            raise Damaged(f"{name} does not follow after {max(self._number, 0):08d}.")
        self._first = self._first or size
        offset = self.end + (number - self._number - 1) * self._first
        self._number, self.end = number, offset + size
        return offset


def extents(path: Path | str) -> dict[str, list[Extent]]:
    """The places of each disk that the file has data of, by the disk's name in it (Ref:N). Raises Damaged, XenError."""
    found: dict[str, list[Extent]] = {}
    places: dict[str, _Places] = {}
    for name, size in entries(path):
        match = ENTRY.fullmatch(name)
        if match and not match[3]:
            offset = places.setdefault(match[1], _Places()).take(name, int(match[2]), size)
            found.setdefault(match[1], []).append((offset, size))
    return found


class Disk:
    """One disk of an archive, from its beginning to its end; its blocks are held against their checksums on the way."""

    def __init__(self, archive: Archive, ref: str):
        self._archive, self._ref, self._places = archive, ref, _Places()
        self._at, self._data, self._name = 0, b"", ""
        self._over = False

    def read(self, offset: int, length: int) -> bytes:
        """What is there; places that were read before are gone. Raises Damaged."""
        while not self._over and self._at + len(self._data) <= offset:
            self._next()
        if (self._at, len(self._data)) == (offset, length):
            return self._data
        out = bytearray(length)
        while not self._over and self._at < offset + length:
            start, end = max(offset, self._at), min(offset + length, self._at + len(self._data))
            if start < end:
                out[start - offset : end - offset] = self._data[start - self._at : end - self._at]
            if self._at + len(self._data) > offset + length:
                break
            self._next()
        return bytes(out)

    def _next(self) -> None:
        while found := self._archive.next():
            match, said = ENTRY.fullmatch(found[0]), b""
            mine = match if match and match[1] == self._ref else None
            if mine and not mine[3]:
                self._at = self._places.take(found[0], int(mine[2]), found[1])
                self._data, self._name = bytes(self._archive.payload(found[1])), found[0]
                return
            for piece in self._archive.content(found[1]):
                said = bytes(piece[:64])
            if mine:
                self._check(found[0], mine[3], said)
        self._over = True

    def _check(self, name: str, kind: str, said: bytes) -> None:
        if (
            name == f"{self._name}.{kind}"
            and CHECKSUMS[kind](memoryview(self._data)).lower() != said.decode(errors="replace").strip().lower()
        ):
            raise Damaged(f"{self._name} is not what its checksum says.")


@contextlib.contextmanager
def disk(path: Path | str, ref: str) -> t.Iterator[Disk]:
    """To be read once, from its beginning to its end. Raises Damaged, XenError."""
    with opened(path) as file, named(path), unpacked(file, compression_in(file)) as read:
        yield Disk(Archive(read), ref)


# with another description ----------------------------------------------------------
def length(path: Path | str, ova: bytes, without: t.Collection[str] = ()) -> int:
    """Bytes of what `described` gives. Raises Damaged, XenError."""
    kept = sum(entry_size(size) for name, size in entries(path) if _belongs(name, without))
    return entry_size(len(ova)) + kept + len(END)


def described(source: Readable, compression: str, ova: bytes, without: t.Collection[str] = ()) -> t.Iterator[bytes | memoryview]:
    """The .xva that is read from source, unpacked and with that ova.xml; the rest is as it is, but for the disks named. Raises Damaged."""
    with unpacked(source, compression) as read:
        archive = Archive(read)
        archive.description()
        yield from entry("ova.xml", ova)
        while found := archive.next():
            kept = _belongs(found[0], without)
            if kept:
                yield bytes(archive.header)
            for piece in archive.content(found[1]):
                if kept:
                    yield piece
            if kept:
                yield bytes(-found[1] % SECTOR)
        yield END


def _belongs(name: str, without: t.Collection[str]) -> bool:
    return name != "ova.xml" and name.partition("/")[0] not in without
