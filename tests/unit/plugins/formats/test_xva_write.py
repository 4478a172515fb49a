# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An .xva that is written block by block is read again by us and by others, and is as long as was said before."""

from __future__ import annotations

import io
import tarfile
import typing as t
from pathlib import Path

import pytest
from dissect.archive.xva import XVA as Independent
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.domzero.xen.plugins.module_utils.errors import InvalidChange
from ansible_collections.domzero.xen.plugins.module_utils.formats import xva, xva_write

from . import exports
from .exports import BLOCK

FAST = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
KINDS = ("checksum", "xxhash")


class Piece(t.NamedTuple):
    """So many bytes of one value somewhere."""

    offset: int
    length: int
    byte: int


pieces = st.lists(st.builds(Piece, st.integers(0, 6 * BLOCK), st.integers(0, 2 * BLOCK), st.integers(1, 255)), max_size=4)
sizes = st.one_of(st.integers(1, 6).map(lambda count: count * BLOCK), st.integers(1, 6 * BLOCK))
disks = st.dictionaries(st.integers(10, 40).map(lambda number: f"Ref:{number}"), st.tuples(sizes, pieces), min_size=1, max_size=3)


def laid_out(size: int, parts: t.Iterable[Piece]) -> bytes:
    disk = bytearray(size)
    for part in parts:
        end = min(part.offset + part.length, size)
        disk[part.offset : end] = bytes([part.byte]) * max(0, end - part.offset)
    return bytes(disk)


def content(ref: str, disk: bytes, parts: t.Iterable[Piece]) -> xva_write.Content:
    return xva_write.content(ref, len(disk), [part[:2] for part in parts], lambda offset, length: disk[offset : offset + length])


def written(made: t.Mapping[str, tuple[bytes, t.Iterable[Piece]]], kind: str = "checksum") -> bytes:
    ova = exports.ova({ref: len(disk) for ref, (disk, _parts) in made.items()})
    ova = ova.replace(b"<string>", b"").replace(b"</string>", b"")  # as hosts write it, and others expect it
    plan = xva_write.plan(ova, [content(ref, disk, parts) for ref, (disk, parts) in made.items()], kind)
    data = b"".join(plan.pieces())
    assert len(data) == plan.length
    return data


@FAST
@given(given_=disks, kind=st.sampled_from(KINDS))
def test_what_is_written_is_read_by_us_by_tar_and_by_others(tmp_path: Path, given_: dict[str, t.Any], kind: str) -> None:
    made = {ref: (laid_out(size, parts), parts) for ref, (size, parts) in given_.items()}
    data = written(made, kind)
    (tmp_path / "x.xva").write_bytes(data)
    found = xva.verify(tmp_path / "x.xva")
    assert (found.ova.disks(), found.unchecked) == ({ref: len(made[ref][0]) for ref in sorted(made)}, 0)
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        assert archive.getnames()[0] == "ova.xml"
    other = Independent(io.BytesIO(data))
    for ref, (disk, _parts) in made.items():
        known = (len(disk) - 1) // BLOCK * BLOCK  # it does not know the last block
        assert other.open(ref).read(known) == disk[:known]


def test_only_what_is_there_is_written_beside_the_first_and_the_last_block() -> None:
    parts = [Piece(3 * BLOCK - 1, 2, 7), Piece(9 * BLOCK, 0, 1)]
    data = written({"Ref:9": (laid_out(12 * BLOCK + 5, parts), parts)})
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        names = [name for name in archive.getnames() if name.startswith("Ref") and not name.endswith("checksum")]
    assert names == [f"Ref:9/{number:08d}" for number in (0, 2, 3, 12)]


def test_disks_follow_one_another_in_the_order_of_their_names_as_text() -> None:
    data = written({"Ref:9": (b"a" * 512, []), "Ref:10": (b"b" * 512, [])})
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        assert archive.getnames()[1::2] == ["Ref:10/00000000", "Ref:9/00000000"]


def test_blocks_and_checksums_are_as_a_host_writes_them() -> None:
    disk = laid_out(3 * BLOCK + 700, [Piece(BLOCK, 5, 1)])
    for kind in KINDS:
        with tarfile.open(fileobj=io.BytesIO(written({"Ref:9": (disk, [Piece(BLOCK, 5, 1)])}, kind))) as archive:
            found = [(info.name, t.cast("t.IO[bytes]", archive.extractfile(info)).read()) for info in archive]
        assert found[1:] == exports.blocks("Ref:9", disk, kind)


@pytest.mark.parametrize("size", [(1 << 41) + 512, 16 << 40])
def test_a_disk_larger_than_two_tib_takes_no_time_and_no_room(size: int) -> None:
    last = size - 512
    disk = xva_write.content("Ref:9", size, [(0, 512), (last, 512)], lambda offset, length: b"x" * length if offset else b"")
    plan = xva_write.plan(exports.ova({"Ref:9": size}), [disk])
    data = b"".join(plan.pieces())
    assert len(data) == plan.length < 3 * BLOCK
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        assert archive.getnames()[3] == f"Ref:9/{(size - 1) // BLOCK:08d}"


def test_a_source_that_has_less_is_filled_up_with_zeros(tmp_path: Path) -> None:
    disk = xva_write.content("Ref:9", 2 * BLOCK, [(0, 2 * BLOCK)], lambda offset, _length: b"" if offset else b"abc")
    (tmp_path / "x.xva").write_bytes(b"".join(xva_write.plan(exports.ova({"Ref:9": 2 * BLOCK}), [disk]).pieces()))
    assert xva.verify(tmp_path / "x.xva").blocks == 2


@pytest.mark.parametrize(
    ("described", "told"),
    [({"Ref:9": 5}, "has 6 bytes, its description says 5"), ({"Ref:9": 6, "Ref:8": 5}, "differ: Ref:8"), ({}, "differ: Ref:9")],
)
def test_disks_that_are_not_those_described_are_refused(described: dict[str, int], told: str) -> None:
    with pytest.raises(InvalidChange, match=told):
        xva_write.plan(exports.ova(described), [content("Ref:9", b"123456", [])])
