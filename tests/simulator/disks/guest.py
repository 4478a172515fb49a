# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks as a guest uses them, running or not, for tests to fill and to compare."""

from __future__ import annotations

import contextlib
import random
import typing as t

from ..errors import Refusal
from . import access
from .node import BLOCK

if t.TYPE_CHECKING:
    from ..world import Machine, World
    from .chain import Chain


class Disks:
    """The disks of a world, by uuid of the VDI. Raises Refusal for one there is not, or that is on an SR no host has attached."""

    def __init__(self, world: World) -> None:
        self._world = world

    def write(self, vdi: str, offset: int, data: bytes) -> None:
        """Bytes somewhere in the disk. Raises Refusal outside of it, SR_BACKEND_FAILURE_44 when the SR is full."""
        machine, ref = self._find(vdi)
        with access.writing(machine, ref) as writer:
            if offset < 0 or offset + len(data) > writer.size:
                raise Refusal(f"VDI {vdi} has {writer.size} bytes")
            writer.write(offset, data)

    def fill(self, vdi: str, offset: int, size: int, seed: int | str) -> None:
        """So many bytes that look random and are always the same for a seed."""
        source = random.Random(str(seed))
        for at in range(offset, offset + size, BLOCK):
            self.write(vdi, at, source.randbytes(min(BLOCK, offset + size - at)))

    def read(self, vdi: str, offset: int = 0, size: int | None = None) -> bytes:
        """All bytes, or some."""
        with self._open(vdi) as chain:
            return chain.read(offset, chain.size - offset if size is None else size)

    def digest(self, vdi: str) -> str:
        """SHA-256 of all bytes."""
        with self._open(vdi) as chain:
            return chain.digest()

    @contextlib.contextmanager
    def _open(self, vdi: str) -> t.Iterator[Chain]:
        machine, ref = self._find(vdi)
        with self._world.lock:
            chain = access.chain(machine, ref)
        try:
            yield chain
        finally:
            chain.close()

    def _find(self, vdi: str) -> tuple[Machine, str]:
        with self._world.lock:
            for pool in self._world.pools:
                found = pool.db.find("VDI", uuid=vdi)
                if found:
                    return pool.coordinator, found[0]
        raise Refusal(f"no VDI {vdi}")
