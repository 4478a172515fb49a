# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Exported VMs (.xva): a tar of ova.xml and of the disks' blocks, each followed by its checksum, perhaps packed as a whole.

Source of the rules: xen-api, ocaml/xapi/export.ml, stream_vdi.ml, xva.ml. Reading takes the memory of a
few blocks, however large the file is.
"""

from __future__ import annotations

import contextlib
import re
import tarfile
import typing as t
from pathlib import Path

from .checksums import sha1, xxh64
from .compression import Damaged, Reader, compression_of, unpacked
from .files import Hashed, Readable, forget_cached, is_zero
from .ova import Ova, parse

BLOCK = 1 << 20
SECTOR = tarfile.BLOCKSIZE
BIGGEST_OVA = 1 << 28
CHECKSUMS: dict[str, t.Callable[[memoryview], str]] = {"xxhash": xxh64, "checksum": sha1}
THERE = "It is looked for on the machine where the task runs."
ENTRY = re.compile(r"(Ref:\d+)/(\d{8,})(?:\.(xxhash|checksum))?")


class Contents(t.NamedTuple):
    """What a sound file holds.

    compression: none, gzip or zstd; size, sha256: of the file; blocks: with data in it; data: their bytes; unchecked: blocks
    without a checksum (export_vsn below 2 only); metadata_only: the disks are described, their data is not in the file.
    """

    ova: Ova
    compression: str
    size: int
    sha256: str
    blocks: int
    data: int
    unchecked: int
    metadata_only: bool


def look_into(path: Path | str) -> tuple[str, Ova]:
    """Compression and description, read from the beginning of a file. Raises Damaged, XenError."""
    with opened(path) as file, named(path):
        compression = compression_in(file)
        with unpacked(file, compression) as read:
            return compression, Archive(read).ova()


def description_of(path: Path | str) -> bytes:
    """The ova.xml as it is in a file. Raises Damaged, XenError."""
    with opened(path) as file, named(path), unpacked(file, compression_in(file)) as read:
        return Archive(read).description()


def verify(path: Path | str, wrap: t.Callable[[Readable], Readable] = lambda source: source) -> Contents:
    """Read all of a file and check its structure and every block. Raises Damaged with the place, XenError.

    wrap: what to put between the file and the reader, such as a brake.
    """
    with opened(path) as file:
        with named(path):
            forget_cached(file.fileno())
            compression = compression_in(file)
        with Hashed(wrap(file)) as source:
            with named(path):
                with unpacked(source, compression) as read:
                    checker = _Checker(Archive(read))
                    checker.run()
                source.drain()
            return checker.contents(compression, file.tell(), source.sha256)


@contextlib.contextmanager
def named(path: Path | str) -> t.Iterator[None]:
    """Errors tell the file, and what to do."""
    try:
        yield
    except Damaged as e:
        e.message, e.hint = f"{path} is no sound export: {e.message}", e.hint or "Copy or export it again."
        raise
    except OSError as e:
        raise Damaged(f"{path} cannot be read: {e.strerror or e}.", hint=THERE) from e


def opened(path: Path | str) -> t.Any:
    try:
        return open(path, "rb", buffering=0)
    except OSError as e:
        raise Damaged(f"{path} cannot be read: {e.strerror}.", hint=THERE) from e


def compression_in(file: t.Any) -> str:
    file.seek(0)
    head = file.read(4)
    file.seek(0)
    return compression_of(head)


class Archive:
    """The entries of a tar, one after another. header: the sector before the one that was taken last."""

    def __init__(self, read: Reader):
        self._read = read
        self.header, self._buffer = memoryview(bytearray(SECTOR)), memoryview(bytearray(BLOCK + SECTOR))
        self.last = "its beginning"

    def ova(self) -> Ova:
        """The first entry."""
        return parse(self.description())

    def description(self) -> bytes:
        """The text of the first entry."""
        first = self.next()
        if first is None or first[0] != "ova.xml":
            raise Damaged(f"It begins with {first[0] if first else 'the end of an archive'!r}, not with ova.xml.")
        if first[1] > BIGGEST_OVA:
            raise Damaged(f"Its description has {first[1]} bytes.")
        return bytes(self.payload(first[1], memoryview(bytearray(first[1] + SECTOR))))

    def next(self) -> tuple[str, int] | None:
        """Name and size of the next entry, None at the end of the archive; its content has to be taken before the one after."""
        count = self._read(self.header)
        if count < SECTOR:
            raise Damaged(f"It is cut off after {self.last}.")
        if is_zero(self.header):
            self._end()
            return None
        try:
            info = tarfile.TarInfo.frombuf(bytes(self.header), "utf-8", "surrogateescape")
        except tarfile.HeaderError as e:
            raise Damaged(f"What follows {self.last} is no entry of a tar archive ({e}).") from e
        if not info.isreg() or info.size < 0:
            raise Damaged(f"What follows {self.last} is no file.")
        self.last = info.name
        return info.name, info.size

    def payload(self, size: int, buffer: memoryview | None = None) -> memoryview:
        """The content of the entry, valid until the next is taken."""
        buffer = self._buffer if buffer is None else buffer
        padded = size + -size % SECTOR
        if padded > len(buffer):
            raise Damaged(f"{self.last} has {size} bytes, more than a block may have.")
        if self._read(buffer[:padded]) < padded:
            raise Damaged(f"It is cut off within {self.last}.")
        if not is_zero(buffer[size:padded]):
            raise Damaged(f"Between {self.last} and the next entry is something.")
        return buffer[:size]

    def content(self, size: int) -> t.Iterator[memoryview]:
        """The content of an entry of any size, in pieces, each valid until the next; what fills up its last sector is left out."""
        while size > 0:
            yield self.payload(min(size, BLOCK))
            size -= BLOCK

    def _end(self) -> None:
        """A second sector of zeros, and nothing but zeros after it."""
        if self._read(self.header) < SECTOR:
            raise Damaged("It is cut off within the end of the archive.")
        count = SECTOR
        while count:
            if not is_zero(self.header[:count]):
                raise Damaged("Something follows the end of the archive.")
            count = self._read(self.header)


class _Checker:
    def __init__(self, archive: Archive):
        self.archive = archive
        self.ova = archive.ova()
        self._expected = self.ova.disks()
        self._waiting = list(self._expected)
        self._disk, self._number, self._offset, self._first = "", -1, 0, 0
        self._unconfirmed: memoryview | None = None  # the block whose checksum has to come
        self._confirming = ""
        self.blocks = self.data = self.unchecked = 0

    def run(self) -> None:
        """Raises Damaged."""
        while entry := self.archive.next():
            name, size = entry
            match = ENTRY.fullmatch(name)
            if not match:
                self._something_else(name, size)
                continue
            kind = match[3]
            if kind:
                self._checksum(name, kind, self.archive.payload(size, memoryview(bytearray(2 * SECTOR))))
            else:
                self._confirmed()
                self._block(match[1], int(match[2]), name, size)
        self._confirmed()
        if self.blocks or not self._expected:
            self._finish_disk()
            if self._waiting:
                raise Damaged(f"The data of {self._told(self._waiting[0])} is missing.")

    def _something_else(self, name: str, size: int) -> None:
        if self.ova.export_version >= 2:
            raise Damaged(f"{name!r} does not belong there.")
        for _piece in self.archive.content(size):  # the table of checksums at the end of old files
            pass

    def _block(self, disk: str, number: int, name: str, size: int) -> None:
        if disk != self._disk:
            self._finish_disk()
            if disk not in self._waiting:
                raise Damaged(f"{name!r} is of no disk that is to follow.")
            if disk != self._waiting[0]:
                raise Damaged(f"The data of {self._told(self._waiting[0])} is missing.")
            self._waiting.pop(0)
            self._disk, self._number, self._offset, self._first = disk, -1, 0, size
        if number <= self._number or (self._number < 0 and number):
            raise Damaged(f"{name} does not follow after {max(self._number, 0):08d}.")
        data = self.archive.payload(size)
        self._offset += (number - self._number - 1) * self._first + size
        self._number = number
        last = self._offset == self._expected[disk]
        if self._offset > self._expected[disk] or (size not in (0, self._first) and not last):
            raise Damaged(f"{name} does not fit into {self._told(disk)}.")
        self.blocks, self.data = self.blocks + 1, self.data + size
        self._unconfirmed, self._confirming = data, name

    def _checksum(self, name: str, kind: str, payload: memoryview) -> None:
        if self._unconfirmed is None or name != f"{self._confirming}.{kind}":
            raise Damaged(f"{name} does not follow the block it is of.")
        said = bytes(payload).decode(errors="replace").strip().lower()
        if CHECKSUMS[kind](self._unconfirmed).lower() != said:
            raise Damaged(f"Block {self._number} of {self._told(self._disk)} is not what its checksum says ({self._confirming}).")
        self._unconfirmed = None

    def _confirmed(self) -> None:
        """Every block has to have had its checksum; one that is empty only keeps the connection open."""
        if self._unconfirmed is None:
            return
        if len(self._unconfirmed):
            if self.ova.export_version >= 2:
                raise Damaged(f"The checksum of {self._confirming} is missing.")
            self.unchecked += 1
        self._unconfirmed = None

    def _finish_disk(self) -> None:
        if self._disk and self._offset != self._expected[self._disk]:
            raise Damaged(f"Of {self._told(self._disk)} only {self._offset} of {self._expected[self._disk]} bytes are there.")

    def _told(self, disk: str) -> str:
        return f"disk {self.ova.get('VDI', disk).get('name_label', '')!r} ({disk})"

    def contents(self, compression: str, size: int, sha256: str) -> Contents:
        bare = bool(self._expected) and not self.blocks
        return Contents(self.ova, compression, size, sha256, self.blocks, self.data, self.unchecked, bare)
