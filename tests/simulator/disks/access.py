# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The data of VDIs: found through the SR's driver, written with its room on the medium accounted for."""

from __future__ import annotations

import contextlib
import typing as t

from .. import sr_scan, storage_attach
from ..behaviours.sr_types import driver_of
from ..errors import Fault
from .node import BLOCK, ZEROS, is_zero

if t.TYPE_CHECKING:
    from ..behaviours.sr_types import Context, Driver
    from ..database import Database
    from ..world import Machine
    from .chain import Chain


def driver(machine: Machine, sr: str) -> tuple[Driver, Context]:
    """The SR's driver on a host that has it attached. Raises SR_HAS_NO_PBDS [sr]."""
    working, pbd = storage_attach.working_machine(machine, sr)
    ctx = storage_attach.context(working, pbd)
    return driver_of(ctx.db, ctx.type), ctx


def chain(machine: Machine, vdi: str) -> Chain:
    """A VDI's data, to be read. Call with the world's lock held. Raises SR_HAS_NO_PBDS [sr]."""
    record = machine.pool.db.get("VDI", vdi)
    found, ctx = driver(machine, record["SR"])
    return machine.world.shelf.chain(found.layers(ctx, record["location"]), record["virtual_size"])


class Writer:
    """A VDI that is being written to. ``write`` may be called without the world's lock, the rest with it."""

    def __init__(self, machine: Machine, vdi: str) -> None:
        self._world, self._vdi, self._record = machine.world, vdi, dict(machine.pool.db.get("VDI", vdi))
        self._driver, self._ctx = driver(machine, self._record["SR"])
        self._open()

    def _open(self) -> None:
        shelf = self._world.shelf
        self._changes, self._layers = shelf.changes, self._driver.layers(self._ctx, self._record["location"])
        self.chain = shelf.chain(self._layers, self._record["virtual_size"])
        shelf.written.update(self._layers[:1])
        self._log = self._driver.log(self._ctx, self._record["location"])

    @property
    def size(self) -> int:
        """Of the disk, in bytes."""
        return self.chain.size

    @property
    def _db(self) -> Database:
        return self._ctx.db

    def must_hold(self, size: int) -> None:
        """Raises VDI_TOO_SMALL [vdi, size]."""
        if size > self.size:
            raise Fault("VDI_TOO_SMALL", self._vdi, str(size))

    def write(self, offset: int, data: bytes | memoryview) -> None:
        """Bytes inside of the disk. Raises SR_BACKEND_FAILURE_44 when the SR is full."""
        if not self._layers:
            return
        while not self._try_to_write(offset, data):  # snapshots may be taken meanwhile
            with self._world.lock:
                self._leave()
                self._open()

    def _try_to_write(self, offset: int, data: bytes | memoryview) -> bool:
        """False when the disk consists of other layers by now."""
        shelf = self._world.shelf
        if shelf.changes != self._changes:
            return False
        fresh = self.chain.fresh(offset, len(data))
        if fresh:
            with self._world.lock:
                self._driver.grow(self._ctx, self._record["location"], fresh)
        with shelf.lock:
            if shelf.changes == self._changes:
                self._note(offset, len(data))  # what a snapshot has is in the snapshot's log
                self.chain.write(offset, data)
            return shelf.changes == self._changes

    def clear(self, offset: int, length: int) -> None:
        """Zeros, written where something else is only."""
        for count, data in self.chain.pieces(offset, length, BLOCK):
            if data is not None and not is_zero(data):
                self.write(offset, memoryview(ZEROS)[:count])
            offset += count

    def _note(self, offset: int, length: int) -> None:
        """For those who track changes."""
        if self._log:
            self._log.note(offset, length)

    def _leave(self) -> None:
        shelf = self._world.shelf
        shelf.written.subtract(self._layers[:1])
        shelf.written += type(shelf.written)()  # without what is at zero
        self.chain.close()

    def close(self) -> None:
        """The records show what is taken now; the state is saved."""
        self._leave()
        sr = self._record["SR"]
        if self._db.exists("VDI", self._vdi):
            for disk in self._driver.scan(self._ctx) or []:
                if disk.location == self._record["location"]:
                    sr_scan.put(self._db, sr, disk)
        if self._db.exists("SR", sr):
            sr_scan.update_sizes(self._db, sr, self._driver, self._ctx)
        self._world.save()


@contextlib.contextmanager
def writing(machine: Machine, vdi: str) -> t.Iterator[Writer]:
    """A writer, closed in the end; the world's lock is held at both ends only."""
    with machine.world.lock:
        writer = Writer(machine, vdi)
    try:
        yield writer
    finally:
        with machine.world.lock:
            writer.close()


def copy(source: Chain, target: Writer, progress: t.Callable[[float], None] = lambda _done: None) -> None:
    """All bytes of one disk over those of another one; zeros are written where something else was only."""
    at = 0
    for count, data in source.pieces():
        if data is not None and not is_zero(data):
            target.write(at, data)
        else:
            target.clear(at, count)
        at += count
        progress(at / source.size)
