# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A VHD that passes by gets another parent, and shows whether it is whole."""

from __future__ import annotations

import typing as t
import uuid
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.domzero.xen.plugins.module_utils.formats import vhd_write
from ansible_collections.domzero.xen.plugins.module_utils.formats.compression import Damaged
from ansible_collections.domzero.xen.plugins.module_utils.formats.vhd_read import Vhd
from ansible_collections.domzero.xen.plugins.module_utils.formats.vhd_rebase import Rebase
from ansible_collections.domzero.xen.plugins.module_utils.formats.vhd_write import Parent

MIB = 1 << 20
HERE = Parent(str(uuid.UUID(int=5)), "../20260101T000000Z/disk0.vhd")


def made(parent: Parent | None, blocks: t.Sequence[int] = (0, 3)) -> bytes:
    plan = vhd_write.plan(16 * MIB, [(2 * MIB * n, 2 * MIB) for n in blocks], parent)
    return b"".join(plan.pieces(lambda offset, length: bytes([offset // MIB + 1]) * length))


def through(data: bytes, parent: Parent | None, piece: int = 100_000) -> tuple[Rebase, bytes]:
    out = bytearray()
    rebase = Rebase(out.extend, parent)
    for at in range(0, len(data), piece):
        rebase.write(memoryview(data)[at : at + piece])
    return rebase, bytes(out)


DELTA = made(Parent(str(uuid.UUID(int=1)), "base.vhd"))
WHOLE = made(None)


@given(st.integers(1, 5 * MIB))
@settings(max_examples=8, deadline=None)
def test_only_the_parent_is_another_whatever_pieces_it_comes_in(piece: int) -> None:
    rebase, out = through(DELTA, HERE, max(piece, 7))
    rebase.finish()
    assert (rebase.length, rebase.data) == (len(DELTA), 4 * MIB)
    assert out[:512] + out[1536:] == DELTA[:512] + DELTA[1536:]
    assert rebase.header
    assert (rebase.header.parent_uuid, rebase.header.parent_name) == HERE[:2]


def test_the_header_stays_sound(tmp_path: Path) -> None:
    rebase, out = through(DELTA, HERE)
    rebase.finish()
    (tmp_path / "disk0.vhd").write_bytes(out)
    with Vhd(tmp_path / "disk0.vhd") as file:
        assert file.header
        assert (file.header.parent_uuid, file.header.parent_name) == HERE[:2]
        assert file.header == rebase.header


def test_a_whole_one_passes_as_it_is() -> None:
    for parent in (None, HERE):
        rebase, out = through(WHOLE, parent)
        rebase.finish()
        assert (out, rebase.differencing) == (WHOLE, False)


@given(st.integers(0, len(DELTA) - 1))
@settings(max_examples=30, deadline=None)
def test_whatever_is_missing_at_the_end_is_noticed(size: int) -> None:
    with pytest.raises(Damaged):
        through(DELTA[:size], HERE)[0].finish()


def test_changes_alone_are_refused_where_the_whole_was_asked_for() -> None:
    with pytest.raises(Damaged, match="where the whole disk was asked for"):
        through(DELTA, None)


@pytest.mark.parametrize("at", [3, 100, 520, 700])
def test_a_bit_that_flipped_in_the_head_is_noticed(at: int) -> None:
    spoilt = bytearray(DELTA)
    spoilt[at] ^= 4
    with pytest.raises(Damaged):
        through(bytes(spoilt), HERE)


def test_what_is_no_vhd_is_noticed() -> None:
    with pytest.raises(Damaged, match="footer is missing"):
        through(b"<html>" * 200, HERE)
