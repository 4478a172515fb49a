# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a bitmap of 64 KiB parts to what is asked for and what is written."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.domzero.xen.plugins.module_utils.formats.files import PIECE
from ansible_collections.domzero.xen.plugins.module_utils.formats.vhd import BLOCK
from ansible_collections.domzero.xen.plugins.module_utils.resources.backup.changed import PART, extents, requests, widened

SECTOR = 512
bitmaps = st.lists(st.integers(0, 255), max_size=24).map(bytes)
sizes = st.integers(1, 24 * 8 * PART // SECTOR).map(lambda sectors: sectors * SECTOR)


def parts(bitmap: bytes) -> list[int]:
    """Numbers of the bits that are set, as the protocol counts them."""
    return [8 * at + bit for at, byte in enumerate(bitmap) for bit in range(8) if byte & (0x80 >> bit)]


def covered(stretches: list[tuple[int, int]]) -> set[int]:
    return {sector for offset, length in stretches for sector in range(offset // SECTOR, (offset + length) // SECTOR)}


@settings(max_examples=60, deadline=None)
@given(bitmaps, sizes)
def test_every_part_that_is_noted_is_read_and_no_other(bitmap: bytes, size: int) -> None:
    found = list(extents(bitmap, size))
    wanted = covered([(part * PART, min(PART, size - part * PART)) for part in parts(bitmap) if part * PART < size])
    assert covered(found) == wanted
    assert all(one[0] + one[1] < other[0] for one, other in itertools.pairwise(found)), "in order, and neighbours are one"


@settings(max_examples=60, deadline=None)
@given(bitmaps, sizes)
def test_it_is_asked_for_in_pieces_as_they_are_written(bitmap: bytes, size: int) -> None:
    found = list(extents(bitmap, size))
    asked = list(requests(found))
    assert covered(asked) == covered(found)
    assert sum(length for _offset, length in asked) == sum(length for _offset, length in found)
    assert asked == sorted(asked)
    assert all(length and offset // PIECE == (offset + length - 1) // PIECE for offset, length in asked)


@settings(max_examples=60, deadline=None)
@given(bitmaps, sizes)
def test_whole_blocks_are_those_that_are_touched(bitmap: bytes, size: int) -> None:
    found = list(extents(bitmap, size))
    touched = {sector * SECTOR // BLOCK for sector in covered(found)}
    assert covered(list(widened(found, size))) == covered([(n * BLOCK, min(BLOCK, size - n * BLOCK)) for n in touched])
