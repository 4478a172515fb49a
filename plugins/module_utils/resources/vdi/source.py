# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The image that becomes a disk: what it is, which one, whether it is sound, and as what it is sent."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import typing as t
from pathlib import Path

from ...errors import InvalidChange
from ...formats import disk_note, images, vhd, vhd_write
from ...formats.files import Pieces, Readable, sha256_of
from ...formats.vhd_read import Chain

TAKEN = ("vhd", "raw")  # what every host takes
PARENTS = "Name the files it builds on as well (parents), the nearest first."


class Sent(t.NamedTuple):
    """What goes over the wire: its length in bytes, and as what. whole: it is the file as it is."""

    source: Path | Readable
    size: int
    format: str
    whole: bool = False


class Source:
    """parents: the VHDs that one builds on, the nearest first; checksum: what the publisher tells, "" if nothing."""

    def __init__(self, path: str, parents: t.Sequence[str], checksum: str):
        self.path, self.parents = Path(path), [Path(parent) for parent in parents]
        self._wanted = checksum.removeprefix("sha256:").lower()

    @functools.cached_property
    def image(self) -> images.Image:
        """Checked as far as its format allows. Raises InvalidChange, Damaged, XenError (what qemu-img says)."""
        image = images.identify(self.path)
        if self.parents and image.format != "vhd":
            raise InvalidChange(f"parents is for VHDs that hold changes only; {self.path} is {image.format}.")
        if image.format == "vhd":
            with self._chain() as chain:
                chain.check()
                return image._replace(virtual_size=chain.size)
        if image.format != "raw":
            images.refuse_missing_qemu_img(f"The image {self.path}")
            images.check(self.path, image.format)
        return image

    @functools.cached_property
    def sha256(self) -> str:
        """Of the file; with parents of the list of their SHA-256s. Raises InvalidChange for a file with another one than wanted."""
        try:
            digest, below = sha256_of(self.path), [sha256_of(path) for path in self.parents]
        except OSError as e:
            raise InvalidChange(f"The file {e.filename or self.path} cannot be read: {e.strerror}.") from e
        if self._wanted and self._wanted != digest:
            raise InvalidChange(
                f"The SHA-256 of {self.path} is {digest}, not {self._wanted}.", hint="Is the download complete, and the right one?"
            )
        return hashlib.sha256("\n".join([digest, *below]).encode()).hexdigest() if below else digest

    # chains -----------------------------------------------------------------------------
    def _chain(self) -> Chain:
        last = [self.path, *self.parents][-1]
        noted = disk_note.of(last)
        if noted and noted.base:
            raise InvalidChange(f"{last} holds only what differs from disk {noted.base}.", hint=PARENTS)
        try:
            return Chain([self.path, *self.parents], belongs=_noted)
        except OSError as e:
            raise InvalidChange(f"The file {e.filename} cannot be read: {e.strerror}.") from e

    # sending ----------------------------------------------------------------------------
    @contextlib.contextmanager
    def opened(self) -> t.Iterator[Sent]:
        """What a host takes: the file itself, a VHD made while it is sent, or a temporary copy."""
        kind = self.image.format
        if kind == "raw":
            yield Sent(self.path, self.image.size, kind, whole=True)
        elif kind == "vhd":
            with self._chain() as chain:
                yield from self._of_chain(chain)
        else:
            taken = TAKEN if self.image.virtual_size <= vhd.BIGGEST else ("raw",)
            with images.as_format(self.path, taken) as path:
                yield Sent(path, path.stat().st_size, taken[0])

    def _of_chain(self, chain: Chain) -> t.Iterator[Sent]:
        first = chain.files[0]
        if len(chain.files) > 1:
            plan = vhd_write.plan(chain.size, chain.extents())
            yield Sent(Pieces(plan.pieces(chain.read)), plan.length, "vhd")
        elif first.header is None:  # a fixed VHD says what it is at its end only; before that it is a raw disk
            with self.path.open("rb", buffering=0) as file:
                yield Sent(_Beginning(file, first.size), first.size, "raw")
        else:
            yield Sent(self.path, self.image.size, "vhd", whole=True)


class _Beginning:
    """So many bytes of a file."""

    def __init__(self, file: Readable, size: int):
        self._file, self._left = file, size

    def readinto(self, buffer: t.Any) -> int | None:
        count = self._file.readinto(buffer[: self._left])
        self._left -= count or 0
        return count


def _noted(child: Path, parent: Path) -> bool:
    """Whether the notes beside two exports say that one is the difference to the other, whatever is in the files."""
    above, below = disk_note.of(child), disk_note.of(parent)
    return bool(above and below and above.base == below.vdi)
