# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VHD files: what is written is read again, by us and by others; what is damaged is refused."""

from __future__ import annotations

import json
import os
import subprocess
import typing as t
from pathlib import Path

import pytest
from dissect.hypervisor.disk.vhd import VHD as Independent
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.domzero.xen.plugins.module_utils.errors import InvalidChange
from ansible_collections.domzero.xen.plugins.module_utils.formats import images, vhd, vhd_read, vhd_write
from ansible_collections.domzero.xen.plugins.module_utils.formats.compression import Damaged

SECTOR, BLOCK = vhd.SECTOR, vhd.BLOCK
BASE = "11111111-2222-3333-4444-555555555555"
FAST = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


class Piece(t.NamedTuple):
    """So many sectors of one byte somewhere."""

    sector: int
    count: int
    byte: int


pieces = st.lists(st.builds(Piece, st.integers(0, 3 * BLOCK // SECTOR), st.integers(1, 5000), st.integers(0, 255)), max_size=6)
sizes = st.integers(1, 4 * BLOCK // SECTOR).map(lambda sectors: sectors * SECTOR)


def laid_out(size: int, parts: t.Iterable[Piece], under: bytes = b"") -> bytearray:
    disk = bytearray(under or bytes(size))
    for part in parts:
        start = min(part.sector * SECTOR, size)
        end = min(start + part.count * SECTOR, size)
        disk[start:end] = bytes([part.byte]) * (end - start)
    return disk


def extents(size: int, parts: t.Iterable[Piece]) -> list[tuple[int, int]]:
    starts = [(min(p.sector * SECTOR, size), p.count * SECTOR) for p in parts]
    return [(start, min(length, size - start)) for start, length in starts if start < size]


def reader(disk: bytes) -> vhd_write.ReadAt:
    return lambda offset, length: bytes(disk[offset : offset + length])


def written(path: Path, disk: bytes, parts: list[Piece], parent: vhd_write.Parent | None = None, uuid: str = BASE) -> Path:
    plan = vhd_write.plan(len(disk), extents(len(disk), parts), parent, uuid=uuid, time=0)
    path.write_bytes(b"".join(plan.pieces(reader(disk))))
    assert path.stat().st_size == plan.length
    return path


@FAST
@given(size=sizes, parts=pieces)
def test_what_is_written_is_read_again(tmp_path: Path, size: int, parts: list[Piece]) -> None:
    disk = laid_out(size, parts)
    file = written(tmp_path / "x.vhd", disk, parts)
    vhd_read.to_raw([file], tmp_path / "x.raw")
    assert (tmp_path / "x.raw").read_bytes() == disk
    assert vhd_read.verify(file).size == size
    with file.open("rb") as stream:
        assert Independent(stream).read(size) == disk


@FAST
@given(size=sizes, below=pieces, above=pieces)
def test_a_chain_is_the_changes_over_the_parent(tmp_path: Path, size: int, below: list[Piece], above: list[Piece]) -> None:
    base = laid_out(size, below)
    disk = laid_out(size, above, base)
    parent = written(tmp_path / "base.vhd", base, below)
    child = written(tmp_path / "child.vhd", disk, above, vhd_write.Parent(BASE, "base.vhd"), BASE.replace("1", "9"))
    vhd_read.to_raw([child, parent], tmp_path / "x.raw")
    assert (tmp_path / "x.raw").read_bytes() == disk
    with vhd_read.Vhd(child) as opened:
        assert opened.differencing
        assert opened.header
        assert opened.header.parent_name == "base.vhd"


@FAST
@given(size=sizes, parts=pieces)
def test_qemu_img_reads_it(tmp_path: Path, size: int, parts: list[Piece]) -> None:
    disk = laid_out(size, parts)
    file = written(tmp_path / "x.vhd", disk, parts)
    told = json.loads(subprocess.check_output(["qemu-img", "info", "-f", "vpc", "--output=json", str(file)]))
    assert told["virtual-size"] == size
    images.convert(file, tmp_path / "x.raw")
    assert (tmp_path / "x.raw").read_bytes() == disk


@pytest.mark.parametrize("subformat", ["dynamic", "fixed"])
def test_what_qemu_img_wrote_is_read(tmp_path: Path, subformat: str) -> None:
    disk = laid_out(5 << 20, [Piece(3, 100, 7), Piece(9000, 10, 9)])
    raw, file = tmp_path / "a.raw", tmp_path / "a.vhd"
    raw.write_bytes(disk)
    subprocess.check_call(["qemu-img", "convert", "-O", "vpc", "-o", f"subformat={subformat},force_size=on", str(raw), str(file)])
    vhd_read.to_raw([file], tmp_path / "b.raw")
    assert (tmp_path / "b.raw").read_bytes() == disk


@pytest.mark.slow(whole=True)
def test_a_raw_file_becomes_a_vhd_of_its_data_only(tmp_path: Path) -> None:
    raw = tmp_path / "a.raw"
    with raw.open("wb") as file:
        file.truncate(1 << 30)
        file.seek(700 << 20)
        file.write(b"x" * SECTOR)
        file.seek(10 << 20)
        file.write(bytes(4 << 20))  # zeros that are no hole
    length = vhd_write.from_raw(raw, tmp_path / "a.vhd")
    assert length == (tmp_path / "a.vhd").stat().st_size < 3 << 20
    vhd_read.to_raw([tmp_path / "a.vhd"], tmp_path / "b.raw")
    subprocess.check_call(["cmp", str(raw), str(tmp_path / "b.raw")])
    assert (tmp_path / "b.raw").stat().st_blocks * 512 < 8 << 20, "holes stay holes"


@pytest.mark.parametrize(
    ("place", "told"),
    [
        (-500, "footer is not what its checksum"), (-512, "footer is missing"), (40, "footer is not what"), (512, "header is missing"),
        (512 + 40, "header is not what"), (1536, "overlaps"), (1536 + 5, "overlaps"),
    ],
)  # fmt: skip
def test_a_changed_bit_of_the_structure_is_found(tmp_path: Path, place: int, told: str) -> None:
    parts = [Piece(0, 8, 1), Piece(BLOCK // SECTOR, 8, 2)]
    file = written(tmp_path / "x.vhd", laid_out(2 * BLOCK, parts), parts)
    data = bytearray(file.read_bytes())
    data[place] ^= 0x40
    file.write_bytes(data)
    with pytest.raises(Damaged, match=told):
        vhd_read.verify(file)


@FAST
@given(length=st.integers(0, 2 * BLOCK + 3000))
def test_a_file_cut_off_anywhere_is_refused(tmp_path: Path, length: int) -> None:
    parts = [Piece(0, 8, 1)]
    file = written(tmp_path / "x.vhd", laid_out(BLOCK, parts), parts)
    length = min(length, file.stat().st_size - 1)
    os.truncate(file, length)
    with pytest.raises(Damaged):
        vhd_read.verify(file)


def test_a_chain_without_its_end_or_with_another_parent_is_refused(tmp_path: Path) -> None:
    parts = [Piece(0, 8, 1)]
    disk = laid_out(BLOCK, parts)
    stranger = written(tmp_path / "stranger.vhd", disk, parts, uuid=BASE.replace("2", "7"))
    child = written(tmp_path / "child.vhd", disk, parts, vhd_write.Parent(BASE, "base.vhd"), BASE.replace("1", "9"))
    with pytest.raises(Damaged, match=r"its parent 11111111-.* \(base.vhd\) is missing"):
        vhd_read.Chain([child])
    with pytest.raises(Damaged, match="has another parent"):
        vhd_read.Chain([child, stranger])
    with pytest.raises(Damaged, match="whole by itself"):
        vhd_read.Chain([stranger, child])


def test_sizes_a_vhd_cannot_have_are_refused() -> None:
    with pytest.raises(InvalidChange, match="too large for a VHD"):
        vhd_write.plan(vhd.BIGGEST + 512, [])
    with pytest.raises(InvalidChange, match="no size"):
        vhd_write.plan(0, [])
    assert vhd_write.plan(513, []).size == 1024
    assert vhd_write.plan(vhd.BIGGEST, []).entries == 1044480


def test_geometry_follows_the_specification() -> None:
    assert vhd.geometry(2 << 30) == (4161, 16, 63)  # what qemu-img gives such a disk
    assert vhd.geometry(4 << 20) == (120, 4, 17)
    assert vhd.geometry(200 << 30) == (65535, 16, 255)
