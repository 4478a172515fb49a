# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Guests that write by themselves: always the same for a seed, whatever else is done with their disks."""

from __future__ import annotations

import base64
import itertools
import time
import typing as t

import pytest

from ansible_collections.domzero.xen.tests.simulator.guest_writes import KEY, after, writes
from ansible_collections.domzero.xen.tests.simulator.invariants import check

from .conversation import until
from .wired import Wire, wired

MIB = 1 << 20
SIZE = 8 * MIB
PART = 64 << 10


@pytest.fixture
def pool() -> t.Iterator[Wire]:
    with wired() as asked:
        yield asked


def busy(pool: Wire, rate: int = 20 * MIB) -> tuple[str, str]:
    """A VM that runs and writes to its disk, and the disk."""
    vm, vdi = pool.vm("busy"), pool.vdi(size=SIZE)
    pool.vbd(vm, vdi)
    pool("VM.add_to_xenstore_data", vm, KEY, f"7 {rate}")
    pool("VM.start", vm, False, False)
    return vm, vdi


def count(pool: Wire, vdi: str) -> int:
    writer = pool.machine.world.writer
    return writer.done.get(pool.uuid(vdi), 0) if writer else 0


def wait_for(pool: Wire, vdi: str, more: int) -> None:
    """So many writes."""
    wanted = count(pool, vdi) + more
    until(pool.machine.world, lambda: count(pool, vdi) >= wanted)


def test_what_is_written_follows_from_the_seed_and_the_position() -> None:
    first, again, other, second = (list(itertools.islice(writes(*of, SIZE), 30)) for of in (("1", "0"), ("1", "0"), ("2", "0"), ("1", "1")))
    assert first == again
    assert first != other
    assert first != second
    assert all(offset % 512 == 0 == len(data) % 512 and offset + len(data) <= SIZE for offset, data in first)


def test_a_guest_that_was_told_to_writes_while_it_runs(pool: Wire) -> None:
    vm, vdi = busy(pool)
    wait_for(pool, vdi, 20)
    pool("VM.hard_shutdown", vm)
    time.sleep(0.1)
    done = count(pool, vdi)
    assert pool.disks.read(pool.uuid(vdi)) == after("7", "0", SIZE, done)
    time.sleep(0.1)
    assert count(pool, vdi) == done, "a guest that is off writes nothing"


def test_others_write_nothing(pool: Wire) -> None:
    vm, vdi = pool.vm("quiet"), pool.vdi(size=SIZE)
    pool.vbd(vm, vdi)
    pool("VM.start", vm, False, False)
    assert pool.machine.world.writer is None


def test_snapshots_stand_still_and_tell_all_that_changes_while_a_guest_writes(pool: Wire) -> None:
    """What a snapshot holds is what the one before held, with the parts laid over it that are told as changed."""
    _vm, vdi = busy(pool)
    pool("VDI.enable_cbt", vdi)
    before: tuple[str, bytes] | None = None
    for _turn in range(6):
        wait_for(pool, vdi, 5)
        snapshot = pool("VDI.snapshot", vdi, {})
        held = pool.disks.read(pool.uuid(snapshot))
        if before:
            bits = base64.b64decode(pool("VDI.list_changed_blocks", before[0], snapshot))
            rebuilt = bytearray(before[1])
            for part in range(SIZE // PART):
                if bits[part // 8] & 0x80 >> part % 8:
                    rebuilt[part * PART : (part + 1) * PART] = held[part * PART : (part + 1) * PART]
            assert bytes(rebuilt) == held
            pool("VDI.data_destroy", before[0])
        assert pool.disks.read(pool.uuid(snapshot)) == held
        before = (snapshot, held)
    assert check(pool.machine.world) == []
