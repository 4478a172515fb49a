# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writes an .xva as a stream: nothing is gone back to, and the length is known before the first byte.

Source of the rules: xen-api, ocaml/xapi/export.ml, stream_vdi.ml. Of a disk its first and last block are there always, of the others
those that hold something; each is followed by its checksum. Disks follow one another in the order of their names as text.
"""

from __future__ import annotations

import tarfile
import typing as t
from dataclasses import dataclass

from ..errors import InvalidChange
from .ova import parse
from .xva import BLOCK, CHECKSUMS, SECTOR

Extent = tuple[int, int]  # offset and length in bytes
ReadAt = t.Callable[[int, int], bytes]  # offset, length: the data; what is missing at the end counts as zeros
END = bytes(2 * SECTOR)
ALONE = "vdi"  # a disk that travels alone
_ZEROS = bytes(SECTOR)


class Content(t.NamedTuple):
    """What is on a disk. ref: its name in the description (Ref:N); size in bytes; present: for each block whether it holds something."""

    ref: str
    size: int
    present: bytearray
    read: ReadAt

    @property
    def numbers(self) -> t.Iterator[int]:
        """Of the blocks that are written."""
        last = len(self.present) - 1
        at = 0
        while at <= last:
            yield at
            found = self.present.find(1, at + 1)
            at = found if found >= 0 else last if at < last else last + 1

    def length_of(self, number: int) -> int:
        """Bytes of a block; the last one may be shorter."""
        return min(BLOCK, self.size - number * BLOCK)


@dataclass(frozen=True)
class Plan:
    """An .xva that is to be written. kind: of the checksums, "xxhash" or "checksum" (SHA-1, which hosts of every release read).

    ova: nothing for a disk alone, as hosts take it (/import_raw_vdi?format=tar, where it is called "vdi").
    """

    ova: bytes
    disks: tuple[Content, ...]
    kind: str = "checksum"

    @property
    def length(self) -> int:
        """Of the file, in bytes."""
        return (entry_size(len(self.ova)) if self.ova else 0) + sum(map(_length, self.disks)) + len(END)

    def pieces(self) -> t.Iterator[bytes | memoryview]:
        """The file from its beginning to its end."""
        if self.ova:
            yield from entry("ova.xml", self.ova)
        for disk in self.disks:
            for number in disk.numbers:
                yield from self._block(disk, number)
        yield END

    def _block(self, disk: Content, number: int) -> t.Iterator[bytes | memoryview]:
        name, size = f"{disk.ref}/{number:08d}", disk.length_of(number)
        data = disk.read(number * BLOCK, size) if size else b""
        if len(data) < size:
            data = bytes(data).ljust(size, b"\0")
        yield from entry(name, data)
        yield from entry(f"{name}.{self.kind}", CHECKSUMS[self.kind](memoryview(data)).encode())


def plan(ova: bytes, disks: t.Iterable[Content], kind: str = "checksum") -> Plan:
    """An .xva of that description. Raises InvalidChange where the disks are not those it describes, Damaged where it is not readable."""
    described = parse(ova).disks()
    given = {disk.ref: disk for disk in disks}
    if missing := sorted({*described} ^ {*given}):
        raise InvalidChange(f"The description of the VM and what is there of its disks differ: {', '.join(missing)}.")
    for ref, size in described.items():
        if given[ref].size != size:
            raise InvalidChange(f"The disk {ref} has {given[ref].size} bytes, its description says {size}.")
    return Plan(ova, tuple(given[ref] for ref in sorted(given)), kind)


def content(ref: str, size: int, extents: t.Iterable[Extent], read: ReadAt) -> Content:
    """A disk that holds something in these places and zeros elsewhere."""
    present = bytearray(max(1, -(-size // BLOCK)))
    for offset, length in extents:
        first, end = offset // BLOCK, min(-(-(offset + length) // BLOCK), len(present))
        if length > 0 and first < end:
            present[first:end] = b"\1" * (end - first)
    return Content(ref, size, present, read)


def _length(disk: Content) -> int:
    last = len(disk.present) - 1
    middle = disk.present.count(1, 1, last) if last > 1 else 0
    ends = {0, last}
    checksums = (middle + len(ends)) * entry_size(1)
    return middle * entry_size(BLOCK) + sum(entry_size(disk.length_of(number)) for number in ends) + checksums


# tar -----------------------------------------------------------------------------
def entry_size(size: int) -> int:
    """Bytes a file of that many takes in a tar."""
    return SECTOR + size + -size % SECTOR


def entry(name: str, data: bytes | memoryview) -> t.Iterator[bytes | memoryview]:
    """One file in parts: what stands before it, its bytes, zeros to the next sector."""
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(data), 0o400
    yield info.tobuf(tarfile.USTAR_FORMAT)
    yield data
    yield _ZEROS[: -len(data) % SECTOR]
