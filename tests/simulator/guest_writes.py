# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Guests that write to their disks by themselves, all the time, while snapshots are taken, disks are read and chains coalesce.

``vm-data/sim-writes`` in a VM's ``xenstore_data`` says ``SEED [BYTES]``: which writes, and how many bytes of them a second (virtual ones;
real ones where the clock does not run). What is written follows from the seed and the position of the disk alone: where and what the n-th
write is, not when it happens.
"""

from __future__ import annotations

import contextlib
import itertools
import random
import threading
import time
import typing as t

from .disks.guest import Disks
from .errors import Fault, Refusal

if t.TYPE_CHECKING:
    from .database import Database, Record
    from .world import World

KEY = "vm-data/sim-writes"
USUAL = 1 << 20  # bytes a second
TICK = 0.02  # real seconds
SECTOR = 512
LONGEST = 256  # sectors of one write
PATIENCE = 2.0  # seconds
MOST = 32 << 20  # bytes a tick catches up with

Writes = t.Iterator[tuple[int, bytes]]


def writes(seed: str, place: str, size: int) -> Writes:
    """Offsets and bytes, without end, for the disk at that position of so many bytes."""
    source = random.Random(f"{seed} {place}")
    while True:
        count = min(source.randint(1, LONGEST) * SECTOR, size)
        yield source.randrange((size - count) // SECTOR + 1) * SECTOR, source.randbytes(count)


def begin(world: World, record: Record) -> None:
    """A guest runs. Call with the world's lock held."""
    if KEY in record["xenstore_data"]:
        world.writer = world.writer or Writer(world)


def go_on(world: World) -> None:
    """Those that ran when the state was saved."""
    for pool in world.pools:
        for record in pool.db.all("VM").values():
            if record["power_state"] == "Running":
                begin(world, record)


class Writer:
    """Writes for all guests of a world, in a thread. ``done``: how many writes each disk (by uuid) has had."""

    def __init__(self, world: World) -> None:
        self._world, self._disks = world, Disks(world)
        self._sources: dict[str, Writes] = {}
        self._owed: dict[str, float] = {}
        self.done: dict[str, int] = {}
        self._thread = threading.Thread(target=self._run, daemon=True, name="guest writes")
        self._thread.start()

    def join(self) -> None:
        """The world has stopped: the write under way ends."""
        self._thread.join(PATIENCE)

    def _run(self) -> None:
        last = time.monotonic()
        while not self._world.stopped:
            time.sleep(TICK)
            now = time.monotonic()
            seconds, last = (now - last) * (self._world.clock.speed or 1.0), now
            for uuid, source, rate in self._guests():
                self._owed[uuid] = min(self._owed.get(uuid, 0.0) + rate * seconds, MOST)
                self._write(uuid, source)

    def _guests(self) -> list[tuple[str, Writes, float]]:
        """Disks that are written to now, each with what is written and how fast."""
        with self._world.lock:
            return [found for pool in self._world.pools for vm in pool.db.all("VM").values() for found in self._of(pool.db, vm)]

    def _of(self, db: Database, vm: Record) -> t.Iterator[tuple[str, Writes, float]]:
        seed, _blank, rate = str(vm["xenstore_data"].get(KEY, "")).partition(" ")
        if not seed or vm["power_state"] != "Running":
            return
        for vbd in (db.get("VBD", ref) for ref in vm["VBDs"]):
            if vbd["currently_attached"] and (vbd["type"], vbd["mode"]) == ("Disk", "RW"):
                disk = db.get("VDI", vbd["VDI"])
                source = self._sources.setdefault(disk["uuid"], writes(seed, vbd["userdevice"], disk["virtual_size"]))
                yield disk["uuid"], source, float(rate or USUAL)

    def _write(self, uuid: str, source: Writes) -> None:
        """What is due; the guest of a disk that is full, or away, gets an error and goes on."""
        while self._owed[uuid] > 0 and not self._world.stopped:
            offset, data = next(source)
            self._owed[uuid] -= len(data)
            with contextlib.suppress(Fault, Refusal, LookupError):
                self._disks.write(uuid, offset, data)
                self.done[uuid] = self.done.get(uuid, 0) + 1


def after(seed: str, place: str, size: int, count: int) -> bytes:
    """What a disk that was empty holds after so many writes."""
    held = bytearray(size)
    for offset, data in itertools.islice(writes(seed, place, size), count):
        held[offset : offset + len(data)] = data
    return bytes(held)
