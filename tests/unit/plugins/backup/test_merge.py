# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of a chain become one: what is left reads the same, by us and by others."""

from __future__ import annotations

import io
import tempfile
import tracemalloc
import typing as t
from pathlib import Path

import pytest
from dissect.hypervisor.disk.vhd import VHD as Independent
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.domzero.xen.plugins.module_utils.backup.merge import Merged
from ansible_collections.domzero.xen.plugins.module_utils.formats import vhd, vhd_read, vhd_write
from ansible_collections.domzero.xen.plugins.module_utils.formats.compression import Damaged

from . import chain_lab as lab
from .chain_lab import BLOCK, SECTOR, Piece

# libvhdi (20260901, too) takes the rest of a byte of the bitmap for there where a run of sectors ends in it
LIBVHDI_GRAIN = 8


def same(one: bytes, other: bytes) -> bool:
    """Without the long story of how they differ."""
    return one == other


def merge(files: t.Sequence[Path], target: Path) -> Path:
    """Newest first."""
    with Merged(files) as merged:
        target.write_bytes(b"".join(merged.pieces()))
        assert target.stat().st_size == merged.length
        with vhd_read.Vhd(target) as file:
            assert merged.data == sum(length for _offset, length in file.extents())
    return target


def without(chain: lab.Chain, gone: set[int], folder: Path) -> list[Path]:
    """The files after some backups went; the others are where they were, but for those that took in what they built on."""
    left: list[Path] = []
    run: list[Path] = []
    for number, file in enumerate(chain.files):
        run.insert(0, file)
        if number not in gone:
            left.append(merge(run, folder / f"{number}.vhd") if len(run) > 1 else file)
            run = []
    return left


@settings(max_examples=16, deadline=None)
@given(st.sampled_from([1, LIBVHDI_GRAIN]), st.data())
def test_whatever_goes_the_others_read_the_same(grain: int, data: st.DataObject) -> None:
    size, layers = data.draw(lab.sizes(grain)), data.draw(st.lists(lab.pieces(grain), min_size=2, max_size=5))
    gone = data.draw(st.sets(st.integers(0, len(layers) - 2), min_size=1))
    libvhdi = lab.pyvhdi() if grain == LIBVHDI_GRAIN else None
    with tempfile.TemporaryDirectory() as folder:
        chain = lab.chain(Path(folder), size, layers)
        left = without(chain, gone, Path(folder))
        stay = [number for number in range(len(layers)) if number not in gone]
        for place, number in enumerate(stay):
            assert same(lab.content(left[: place + 1]), chain.disks[number])
            assert not libvhdi or same(lab.content_by_libvhdi(libvhdi, left[: place + 1]), chain.disks[number])


@settings(max_examples=6, deadline=None)
@given(lab.sizes(), st.lists(lab.pieces(), min_size=2, max_size=4))
def test_what_is_merged_into_a_whole_one_is_read_by_others(size: int, layers: list[list[Piece]]) -> None:
    """They read what is not there as it lies there: our files have zeros."""
    with tempfile.TemporaryDirectory() as folder:
        chain = lab.chain(Path(folder), size, layers)
        whole = merge(list(reversed(chain.files)), Path(folder, "whole.vhd"))
        assert same(Independent(io.BytesIO(whole.read_bytes())).read(size), chain.disks[-1])
        assert same(lab.content_by_qemu_img(whole)[:size], chain.disks[-1])


def test_a_reader_of_chains_that_is_not_ours_is_there() -> None:
    if lab.pyvhdi() is None:
        pytest.skip("libvhdi is missing (Debian: python3-libvhdi): chains are read by our own code only")


@settings(max_examples=6, deadline=None)
@given(st.lists(lab.pieces(), min_size=4, max_size=4))
def test_in_which_order_they_go_makes_no_difference(layers: list[list[Piece]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        chain = lab.chain(Path(folder), 2 * BLOCK, layers)
        at_once = merge(list(reversed(chain.files)), Path(folder, "at-once.vhd"))
        upwards = merge(
            [chain.files[3], merge([chain.files[2], merge([chain.files[1], chain.files[0]], Path(folder, "a"))], Path(folder, "b"))],
            Path(folder, "c"),
        )
        downwards = merge(
            [merge([merge([chain.files[3], chain.files[2]], Path(folder, "d")), chain.files[1]], Path(folder, "e")), chain.files[0]],
            Path(folder, "f"),
        )
        assert at_once.read_bytes() == upwards.read_bytes() == downwards.read_bytes()


def test_what_builds_on_it_still_does(tmp_path: Path) -> None:
    """It keeps the uuid of the newest, and names the parent of the oldest as that did."""
    chain = lab.chain(tmp_path, BLOCK, [[Piece(0, 9, 1)], [Piece(3, 1, 2)], [Piece(4, 1, 3)], [Piece(5, 1, 4)]])
    merge([chain.files[2], chain.files[1]], tmp_path / "new.vhd")
    with vhd_read.Vhd(tmp_path / "new.vhd") as file:
        assert file.footer.uuid == lab.uuid_of(2)
        assert file.footer.timestamp == 2
        assert file.header
        assert (file.header.parent_uuid, file.header.parent_name, file.header.parent_timestamp) == (lab.uuid_of(0), "../0/disk0.vhd", 0)
    assert lab.content([chain.files[0], tmp_path / "new.vhd", chain.files[3]]) == chain.disks[3]


def test_zeros_that_were_written_hide_what_was_there(tmp_path: Path) -> None:
    chain = lab.chain(tmp_path, BLOCK, [[Piece(0, 4096, 1)], [Piece(0, 4096, 0)]])
    merged = merge(list(reversed(chain.files)), tmp_path / "new.vhd")
    assert lab.content([merged]) == bytes(BLOCK)


def test_blocks_of_another_size_are_taken_in(tmp_path: Path) -> None:
    """A reader has to take any size that is a power of two; ours are written with 2 MiB."""
    size = 3 * BLOCK
    small = lab.write(tmp_path / "x.vhd", lab.laid_out(size, [Piece(4090, 12, 7)]), [Piece(4090, 12, 7)])
    for block_size in (BLOCK // 4, BLOCK * 2):
        odd = with_blocks(small, block_size, tmp_path / "odd.vhd")
        assert lab.content([odd]) == lab.content([small])
        child = lab.write(
            tmp_path / "y.vhd", lab.laid_out(size, [Piece(1, 2, 9)]), [Piece(1, 2, 9)], 1, vhd_write.Parent(lab.uuid_of(0), "x")
        )  # fmt: skip
        assert lab.content([merge([child, odd], tmp_path / "new.vhd")]) == lab.laid_out(size, [Piece(4090, 12, 7), Piece(1, 2, 9)])


def with_blocks(source: Path, block_size: int, target: Path) -> Path:
    """The same disk in blocks of another size, written by hand."""
    with vhd_read.Vhd(source) as file:
        disk, footer = vhd_read_all(file), file.footer
        held = [False] * (file.size // SECTOR)
        for offset, length in file.extents():
            held[offset // SECTOR : (offset + length) // SECTOR] = [True] * (length // SECTOR)
    entries = -(-footer.size // block_size)
    room, bitmap_size = -(-4 * entries // SECTOR) * SECTOR, vhd.bitmap_size(block_size)
    table, blocks = [], b""
    for number in range(entries):
        bits = held[number * block_size // SECTOR : (number + 1) * block_size // SECTOR]
        if not any(bits):
            table.append(vhd.UNUSED)
            continue
        table.append((3 * SECTOR + room + len(blocks)) // SECTOR)
        text = "".join("1" if bit else "0" for bit in bits).ljust(block_size // SECTOR, "0")
        blocks += int(text, 2).to_bytes(block_size // SECTOR // 8, "big").ljust(bitmap_size, b"\0")
        blocks += disk[number * block_size : (number + 1) * block_size].ljust(block_size, b"\0")
    packed = b"".join(entry.to_bytes(4, "big") for entry in table).ljust(room, b"\xff")
    header = vhd.Header(3 * SECTOR, entries, block_size).pack()
    target.write_bytes(footer.pack() + header + packed + blocks + footer.pack())
    return target


def vhd_read_all(file: vhd_read.Vhd) -> bytes:
    disk = bytearray(file.size)
    for offset, length in file.extents():
        disk[offset : offset + length] = file.read(offset, length)
    return bytes(disk)


def test_a_fixed_file_is_taken_in(tmp_path: Path) -> None:
    disk = lab.laid_out(BLOCK + SECTOR, [Piece(0, 5000, 3)])
    fixed = tmp_path / "fixed.vhd"
    fixed.write_bytes(disk + vhd.Footer(len(disk), vhd.FIXED, lab.uuid_of(0), 0).pack())
    child = lab.write(
        tmp_path / "y.vhd", lab.laid_out(len(disk), [Piece(4096, 1, 9)], disk), [Piece(4096, 1, 9)], 1, vhd_write.Parent(lab.uuid_of(0), "")
    )  # fmt: skip
    assert lab.content([merge([child, fixed], tmp_path / "new.vhd")]) == lab.laid_out(len(disk), [Piece(4096, 1, 9)], disk)


def test_files_that_do_not_build_on_each_other_are_refused(tmp_path: Path) -> None:
    chain = lab.chain(tmp_path, BLOCK, [[Piece(0, 9, 1)], [Piece(3, 1, 2)], [Piece(4, 1, 3)]])
    with pytest.raises(Damaged, match="has another parent"):
        Merged([chain.files[2], chain.files[0]])
    with pytest.raises(Damaged, match="is whole by itself"):
        Merged([chain.files[0], chain.files[1]])


def test_the_memory_does_not_follow_the_size_of_the_disk(tmp_path: Path) -> None:
    """64 GiB, of which 40 blocks are there: the new file has 80 MiB."""
    size, step = 64 << 30, (64 << 30) // 20
    parent = vhd_write.Parent(lab.uuid_of(0))
    below = vhd_write.plan(size, [(n * step, SECTOR) for n in range(20)], uuid=lab.uuid_of(0))
    above = vhd_write.plan(size, [(n * step + BLOCK, SECTOR) for n in range(20)], parent, uuid=lab.uuid_of(1))
    for name, plan in (("below", below), ("above", above)):
        with (tmp_path / name).open("wb") as file:
            file.writelines(plan.pieces(lambda _offset, length: bytes(length)))
    tracemalloc.start()
    with Merged([tmp_path / "above", tmp_path / "below"]) as merged:
        length = sum(len(piece) for piece in merged.pieces())
        _now, peak = tracemalloc.get_traced_memory()
        assert length == merged.length > 80 << 20
    tracemalloc.stop()
    assert peak < 12 << 20
