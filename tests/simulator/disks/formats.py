# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""In which formats a single disk travels."""

from __future__ import annotations

import contextlib
import struct
import typing as t

from ..errors import Fault
from . import arrival, tar, vhd
from .node import BLOCK, ZEROS
from .vhd_parts import LARGEST, NoVhd

if t.TYPE_CHECKING:
    from ..database import Record
    from .access import Writer
    from .chain import Chain
    from .pieces import Pieces

FRAME = struct.Struct("<QI")  # where the bytes belong, how many follow; both 0: that was all (xen-api: ocaml/vhd-tool/src/chunked.ml)


class Unreadable(Exception):
    """The body is not of that format."""


class Format:
    """How a disk is written and read; raw here."""

    name = "raw"
    content_type = "application/octet-stream"

    def check(self, record: Record, base: Chain | None) -> None:
        """Raises what speaks against an export."""

    def write(self, chain: Chain, record: Record, base: Chain | None, parent: str = "") -> t.Iterator[bytes]:
        """The disk in this format; ``parent`` is the uuid of the base."""
        for count, data in chain.pieces():
            if data is not None:
                yield data
                continue
            for at in range(0, count, BLOCK):
                yield ZEROS[: count - at] if count - at < BLOCK else ZEROS

    def read(self, pieces: Pieces, writer: Writer, length: int | None) -> None:
        """Over the disk. Raises Unreadable, EOFError, VDI_TOO_SMALL [vdi, size], SR_BACKEND_FAILURE_44."""
        if length is None:
            raise Unreadable("the length of raw data must be known")
        writer.must_hold(length)
        for piece in pieces.every(BLOCK):
            writer.write(pieces.taken - len(piece), piece)
        if pieces.taken < length:
            raise EOFError("the body ended too early")


class Frames(Format):
    """Raw data in frames that say where it belongs."""

    def read(self, pieces: Pieces, writer: Writer, length: int | None) -> None:
        """Until the empty frame."""
        while (frame := FRAME.unpack(pieces.take(FRAME.size))) != (0, 0):
            offset, count = frame
            writer.must_hold(offset + count)
            for at in range(offset, offset + count, BLOCK):
                writer.write(at, pieces.take(min(BLOCK, offset + count - at)))


class Vhd(Format):
    """With a base the difference only."""

    name = "vhd"
    content_type = "application/vhd"

    def check(self, record: Record, base: Chain | None) -> None:
        """VDI_TOO_LARGE [uuid, bytes] beyond what fits into one."""
        if record["virtual_size"] > LARGEST:
            raise Fault("VDI_TOO_LARGE", record["uuid"], str(LARGEST))

    def write(self, chain: Chain, record: Record, base: Chain | None, parent: str = "") -> t.Iterator[bytes]:
        """Blocks of 2 MiB."""
        return vhd.write(chain, record["uuid"], base, parent)

    def read(self, pieces: Pieces, writer: Writer, length: int | None) -> None:
        """Dynamic, or differencing as changes of what is on the disk."""
        try:
            vhd.read(pieces, writer)
        except (NoVhd, ValueError) as e:
            raise Unreadable(str(e)) from e


class Tar(Format):
    """As in the export of a VM, without its description."""

    name = "tar"
    content_type = "application/x-tar"
    FOLDER = "vdi"

    def write(self, chain: Chain, record: Record, base: Chain | None, parent: str = "") -> t.Iterator[bytes]:
        """Chunks of 1 MiB and their checksums."""
        yield from tar.chunks(self.FOLDER, chain)
        yield tar.END

    def read(self, pieces: Pieces, writer: Writer, length: int | None) -> None:
        """Raises what the import of a VM does."""
        try:
            arrival.read(tar.files(pieces), {self.FOLDER}, lambda _folder: contextlib.nullcontext(writer))
        except tar.NoTar as e:
            raise Unreadable(str(e)) from e


FRAMES = Frames()
FORMATS: dict[str, Format] = {form.name: form for form in (Format(), Vhd(), Tar())}
