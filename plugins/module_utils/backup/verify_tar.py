# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A tar archive that has to be sound to its end; tarfile by itself takes what it does not understand for the end."""

from __future__ import annotations

import typing as t
from tarfile import HeaderError, ReadError, TarError, TarFile, TarInfo

from ..formats.compression import Damaged, Reader
from ..formats.files import PIECE, is_zero


def check_tar(read: Reader) -> int:
    """Every entry is read, and what follows the last has to be zeros. How many there are; raises Damaged."""
    last, count = "its beginning", 0
    try:
        with TarFile.open(fileobj=t.cast("t.IO[bytes]", _File(read)), mode="r|", tarinfo=_Strict, bufsize=PIECE) as archive:
            for entry in archive:
                last, count = entry.name, count + 1
                content = archive.extractfile(entry) if entry.isreg() else None
                while content and content.read(PIECE):
                    pass
                archive.members.clear()  # type: ignore[attr-defined]  # it would keep all of them: a control domain has 60,000 files
            while rest := t.cast("t.IO[bytes]", archive.fileobj).read(PIECE):
                if not is_zero(rest):
                    raise Damaged("Something follows the end of the archive.")
    except TarError as e:
        raise Damaged(f"What follows {last} is no entry of a tar archive, or it is cut off ({e}).") from None
    if not count:
        raise Damaged("It is an archive of nothing.")
    return count


class _Strict(TarInfo):
    @classmethod
    def fromtarfile(cls, tarfile: TarFile) -> TarInfo:  # type: ignore[override]
        try:
            return super().fromtarfile(tarfile)
        except HeaderError as e:
            if type(e).__name__ == "EOFHeaderError":  # zeros: the end as it should be
                raise
            raise ReadError(str(e)) from None


class _File:
    """What tarfile asks of one that is read in order."""

    def __init__(self, read: Reader):
        self._read = read

    def read(self, size: int) -> bytes:
        buffer = bytearray(size)
        return bytes(memoryview(buffer)[: self._read(memoryview(buffer))])
