# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever order disks are written, branched, copied, grown and deleted in, each holds its own bytes."""

from __future__ import annotations

import itertools
import typing as t

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.domzero.xen.tests.simulator.disks.guest import Disks
from ansible_collections.domzero.xen.tests.simulator.disks.node import BLOCK
from ansible_collections.domzero.xen.tests.simulator.invariants import check
from ansible_collections.domzero.xen.tests.simulator.modeltypes import NULL

from .conversation import settle
from .hosting import Hosting, hosting

SIZE = 3 * BLOCK
PLACES = st.one_of(st.integers(0, SIZE - 1), st.sampled_from([0, BLOCK - 1, BLOCK, 2 * BLOCK - 5, SIZE - 1]))
LENGTHS = st.sampled_from([1, 9, 70_000, BLOCK, BLOCK + 1])
STEPS = st.one_of(
    st.tuples(st.just("write"), PLACES, LENGTHS, st.sampled_from([b"\0", b"a", b"b"])),
    *(st.tuples(st.just(verb)) for verb in ("snapshot", "clone", "copy", "resize", "destroy")),
)
Model = dict[str, bytearray]


class Bench:
    """Disks, and what each of them is to hold."""

    def __init__(self) -> None:
        self.pool: Hosting = hosting()
        self.disks = Disks(self.pool.machine.world)
        self.model: Model = {self.pool.vdi(SIZE): bytearray(SIZE)}

    def do(self, chosen: int, step: tuple[t.Any, ...]) -> None:
        """One step, with one of the disks."""
        verb, *rest = step
        vdi = list(self.model)[chosen % len(self.model)]
        getattr(self, verb)(vdi, *rest)

    def write(self, vdi: str, offset: int, length: int, byte: bytes) -> None:
        """A guest does."""
        data = byte * min(length, SIZE - offset)
        self.disks.write(self.pool.record("VDI", vdi)["uuid"], offset, data)
        self.model[vdi][offset : offset + len(data)] = data

    def snapshot(self, vdi: str) -> None:
        """One more disk."""
        self.model[self.pool("VDI.snapshot", vdi, {})] = bytearray(self.model[vdi])

    def clone(self, vdi: str) -> None:
        """One more disk."""
        self.model[self.pool("VDI.clone", vdi, {})] = bytearray(self.model[vdi])

    def copy(self, vdi: str) -> None:
        """Over the first one that is large enough and another one, or into a new one."""
        fitting = [other for other in self.model if other != vdi and len(self.model[other]) >= len(self.model[vdi])]
        target = fitting[0] if fitting else NULL
        made = self.pool("VDI.copy", vdi, self.pool.sr, NULL, target)
        self.model[made] = self.model[vdi] + self.model.get(made, bytearray())[len(self.model[vdi]) :]

    def resize(self, vdi: str) -> None:
        """One block more."""
        self.pool("VDI.resize", vdi, len(self.model[vdi]) + BLOCK)
        self.model[vdi] += bytes(BLOCK)

    def destroy(self, vdi: str) -> None:
        """What it leaves is cleaned up."""
        if len(self.model) > 1:
            self.pool("VDI.destroy", vdi)
            del self.model[vdi]
            settle(self.pool.machine.world)

    def verify(self) -> None:
        """All hold what they are to hold, and nothing is left over."""
        for vdi, expected in self.model.items():
            assert self.disks.read(self.pool.record("VDI", vdi)["uuid"]) == bytes(expected)
        assert check(self.pool.machine.world) == []


def run(steps: list[tuple[int, tuple[t.Any, ...]]]) -> None:
    bench = Bench()
    try:
        for chosen, step in steps:
            bench.do(chosen, step)
        bench.verify()
        for vdi, _nothing in itertools.islice(list(bench.model.items()), 1, None):
            bench.destroy(vdi)
        bench.verify()
    finally:
        bench.pool.machine.world.stop()


SEQUENCES = st.lists(st.tuples(st.integers(0, 9), STEPS), max_size=14)


@settings(max_examples=10, deadline=None, derandomize=True)
@given(SEQUENCES)
def test_every_disk_holds_its_own_bytes(steps: list[tuple[int, tuple[t.Any, ...]]]) -> None:
    run(steps)


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(SEQUENCES)
def test_every_disk_holds_its_own_bytes_in_many_orders(steps: list[tuple[int, tuple[t.Any, ...]]]) -> None:
    run(steps)
