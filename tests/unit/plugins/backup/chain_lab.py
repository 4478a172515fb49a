# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Chains of VHD files with known content, and somebody else's reader of them."""

from __future__ import annotations

import importlib
import importlib.util
import subprocess
import typing as t
import uuid
from pathlib import Path

from hypothesis import strategies as st

from ansible_collections.domzero.xen.plugins.module_utils.formats import vhd, vhd_read, vhd_write

SECTOR, BLOCK = vhd.SECTOR, vhd.BLOCK


class Piece(t.NamedTuple):
    """So many sectors of one byte somewhere."""

    sector: int
    count: int
    byte: int


def pieces(grain: int = 1) -> st.SearchStrategy[list[Piece]]:
    """Writes around the borders of blocks, and anywhere, so many sectors at once; zeros that are written hide what was there."""
    block = BLOCK // SECTOR // grain
    sectors = st.one_of(st.integers(0, 2 * block), st.integers(-9, 9).map(lambda n: block + n))
    counts = st.one_of(st.integers(1, 9), st.integers(1, block + 100))
    return st.lists(
        st.builds(lambda at, count, byte: Piece(at * grain, count * grain, byte), sectors, counts, st.integers(0, 255)), max_size=4
    )


def sizes(grain: int = 1) -> st.SearchStrategy[int]:
    return st.integers(1, 5 * BLOCK // SECTOR // 2 // grain).map(lambda count: count * grain * SECTOR)


def laid_out(size: int, parts: t.Iterable[Piece], under: bytes = b"") -> bytes:
    """A disk after these writes."""
    disk = bytearray(under or bytes(size))
    for part in parts:
        start = min(part.sector * SECTOR, size)
        end = min(start + part.count * SECTOR, size)
        disk[start:end] = bytes([part.byte]) * (end - start)
    return bytes(disk)


def uuid_of(number: int) -> str:
    return str(uuid.UUID(int=number + 1))


def packed(disk: bytes, parts: t.Iterable[Piece], number: int = 0, parent: vhd_write.Parent | None = None) -> bytes:
    """A file that holds these parts of a disk; elsewhere in its blocks is rubbish, which nobody may take for data."""
    runs = [(min(p.sector * SECTOR, len(disk)), p.count * SECTOR) for p in parts]
    extents = [(start, min(length, len(disk) - start)) for start, length in runs if start < len(disk)]
    plan = vhd_write.plan(len(disk), extents, parent, uuid=uuid_of(number), time=number)
    held = bytearray(b"\xee" * len(disk))
    for start, length in extents:
        held[start : start + length] = disk[start : start + length]
    return b"".join(plan.pieces(lambda offset, length: bytes(held[offset : offset + length])))


def write(path: Path, disk: bytes, parts: t.Iterable[Piece], number: int = 0, parent: vhd_write.Parent | None = None) -> Path:
    path.write_bytes(packed(disk, parts, number, parent))
    return path


class Chain(t.NamedTuple):
    """files and disks: the whole one first."""

    files: list[Path]
    disks: list[bytes]


def chain(folder: Path, size: int, layers: t.Sequence[t.Sequence[Piece]]) -> Chain:
    """One file for each layer, in a folder of its own, as backups lie there."""
    files: list[Path] = []
    disks: list[bytes] = []
    for number, parts in enumerate(layers):
        place = folder / f"{number}"
        place.mkdir(parents=True, exist_ok=True)
        parent = vhd_write.Parent(uuid_of(number - 1), f"../{number - 1}/disk0.vhd", number - 1) if number else None
        disks.append(laid_out(size, parts, disks[-1] if disks else b""))
        files.append(write(place / "disk0.vhd", disks[-1], parts, number, parent))
    return Chain(files, disks)


def content(files: t.Sequence[Path]) -> bytes:
    """Of a chain, the whole one first."""
    with vhd_read.Chain(list(reversed(files))) as found:
        return found.read(0, found.size)


def pyvhdi() -> t.Any:
    """The reader of libvhdi (Debian: python3-libvhdi), also from outside of Debian's own Python; None where there is none."""
    try:
        return importlib.import_module("pyvhdi")
    except ImportError:
        for path in Path("/usr/lib/python3/dist-packages").glob("pyvhdi.*.so"):
            spec = importlib.util.spec_from_file_location("pyvhdi", path)
            if spec and spec.loader:
                try:
                    module = importlib.util.module_from_spec(spec)
                    spec.loader.exec_module(module)
                except ImportError:
                    return None
                return module
    return None


def content_by_libvhdi(reader: t.Any, files: t.Sequence[Path]) -> bytes:
    """Of a chain, the whole one first."""
    opened: list[t.Any] = []
    for path in files:
        file = reader.file()
        file.open(str(path))
        if opened:
            file.set_parent(opened[-1])
        opened.append(file)  # it does not hold on to its parent by itself
    try:
        return bytes(opened[-1].read_buffer_at_offset(opened[-1].get_media_size(), 0))
    finally:
        while opened:
            opened.pop().close()


def content_by_qemu_img(file: Path) -> bytes:
    """Of a whole file; its readers round the size up."""
    raw = file.with_suffix(".raw")
    subprocess.run(["qemu-img", "convert", "-f", "vpc", "-O", "raw", str(file), str(raw)], check=True, capture_output=True)
    found = raw.read_bytes()
    raw.unlink()
    return found
