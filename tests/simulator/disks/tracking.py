# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which parts of a disk changed since its last snapshot: a log beside its data (xapi-project/sm blktap cbtutil, VDI.py)."""

from __future__ import annotations

import base64
import os
import typing as t
from urllib.parse import quote

if t.TYPE_CHECKING:
    from pathlib import Path

GRAIN = 64 << 10  # bytes each bit stands for


class Log:
    """A byte for each part, 1 where something was written, in a file."""

    def __init__(self, folder: Path, name: str) -> None:
        self.path = folder / f"{quote(name, safe='')}.cbt"

    def note(self, offset: int, length: int) -> None:
        """Something was written there."""
        first, last = offset // GRAIN, -(-(offset + length) // GRAIN)
        self.path.parent.mkdir(exist_ok=True)
        file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.pwrite(file, b"\x01" * (last - first), first)
        finally:
            os.close(file)

    def parts(self) -> bytes:
        """What was noted."""
        return self.path.read_bytes() if self.path.exists() else b""

    def add(self, other: Log) -> None:
        """What the other one noted is noted here too."""
        if both := merged(self.parts(), other.parts()):
            self.path.write_bytes(both)

    def become(self, other: Log) -> None:
        """The other one is what this one was; this one is empty."""
        other.remove()
        if self.path.exists():
            self.path.rename(other.path)

    def remove(self) -> None:
        """It goes."""
        self.path.unlink(missing_ok=True)


def merged(one: bytes, other: bytes) -> bytes:
    """What was noted in either."""
    length = max(len(one), len(other))
    value = int.from_bytes(one.ljust(length, b"\0"), "little") | int.from_bytes(other.ljust(length, b"\0"), "little")
    return value.to_bytes(length, "little")


def bitmap(parts: bytes, size: int) -> str:
    """A bit for each part of a disk of so many bytes, the highest of a byte first, in base64."""
    count = -(-size // GRAIN)
    bits = parts[:count].ljust(-(-count // 8) * 8, b"\0").translate(bytes.maketrans(b"\x00\x01", b"01"))
    return base64.b64encode(int(bits or b"0", 2).to_bytes(len(bits) // 8, "big")).decode()
