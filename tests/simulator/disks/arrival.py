# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks that arrive as chunks in a tar file: numbers, sparse places, checksums (xen-api: ocaml/xapi/stream_vdi.ml)."""

from __future__ import annotations

import typing as t

from ..errors import Fault
from .tar import DIGESTS

if t.TYPE_CHECKING:
    from .access import Writer
    from .tar import File

Open = t.Callable[[str], t.ContextManager["Writer"]]


class Disk:
    """One of them."""

    def __init__(self, folder: str, writer: Writer) -> None:
        self.folder, self._writer = folder, writer
        self._offset = self._first = 0  # where the next chunk belongs; the size of the first one
        self._number = -1
        self._last: memoryview | bytes = b""

    def take(self, number: int, data: memoryview | bytes) -> None:
        """A chunk: numbers that are left out stand for zeros, an empty chunk for nothing but patience."""
        if number <= self._number:
            raise Fault("IMPORT_ERROR_UNEXPECTED_FILE", f"{self.folder}/{self._number + 1:08d}", f"{self.folder}/{number:08d}")
        self._first = self._first or len(data)
        left_out = (number - self._number - 1) * self._first
        self._writer.must_hold(self._offset + left_out + len(data))
        self._writer.clear(self._offset, left_out)
        self._offset += left_out
        if data:
            self._writer.write(self._offset, data)
        self._offset, self._number, self._last = self._offset + len(data), number, data

    def check(self, number: int, kind: str, digest: str) -> bool:
        """Whether that is the checksum of the chunk before it."""
        return number == self._number and DIGESTS[kind](self._last) == digest


def read(arriving: t.Iterator[File], folders: t.Collection[str], open_: Open, *, force: bool = False) -> None:
    """Disks that follow one another, each in a folder of its own.

    Raises IMPORT_ERROR_UNEXPECTED_FILE, IMPORT_ERROR_SOME_CHECKSUMS_FAILED (not with ``force``), IMPORT_ERROR_ATTACHED_DISKS_NOT_FOUND.
    """
    missing = sorted(folders)
    file = next(arriving, None)
    while file is not None:
        folder = file.name.partition("/")[0]
        if folder not in missing:
            raise Fault("IMPORT_ERROR_UNEXPECTED_FILE", f"{missing[0]}/{0:08d}" if missing else "the end", file.name)
        missing.remove(folder)
        with open_(folder) as writer:
            file = _read_one(Disk(folder, writer), file, arriving, force=force)
    if missing:
        raise Fault("IMPORT_ERROR_ATTACHED_DISKS_NOT_FOUND")


def _read_one(disk: Disk, file: File | None, arriving: t.Iterator[File], *, force: bool) -> File | None:
    """From its first file on; the first file that is not of this disk."""
    while file is not None and file.name.startswith(f"{disk.folder}/"):
        number, _dot, kind = file.name.partition("/")[2].partition(".")
        if not number.isdigit() or (kind and kind not in DIGESTS):
            raise Fault("IMPORT_ERROR_UNEXPECTED_FILE", f"{disk.folder}/", file.name)
        if not kind:
            disk.take(int(number), file.data)
        elif not disk.check(int(number), kind, bytes(file.data).decode(errors="replace").strip()) and not force:
            raise Fault("IMPORT_ERROR_SOME_CHECKSUMS_FAILED")
        file = next(arriving, None)
    return file
