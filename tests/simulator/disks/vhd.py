# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks as VHD files, whole or as difference, written and read from beginning to end (xen-api: ocaml/vhd-tool)."""

from __future__ import annotations

import re
import struct
import typing as t

from .node import BLOCK, ZEROS
from .vhd_parts import DIFFERENCING, HEADER, NOWHERE, SECTOR, Footer, Header, footer, header, read_footer, read_header

if t.TYPE_CHECKING:
    from .access import Writer
    from .chain import Chain
    from .pieces import Pieces

BITMAP = b"\xff" * SECTOR  # all sectors of a block are there
_ONES, _GAPS = re.compile("1+"), re.compile(b"\x01+")


def changed(chain: Chain, base: Chain) -> list[int]:
    """The blocks that are not the same layer's in both."""
    return [block for block, (mine, theirs) in enumerate(_sources(chain, base)) if mine != theirs]


def _sources(chain: Chain, base: Chain) -> t.Iterator[tuple[str, str]]:
    names = [["", *(layer.name for layer in one.layers)] for one in (chain, base)]
    below = base.owners()
    for block, owner in enumerate(chain.owners()):
        yield names[0][owner], names[1][below[block]] if block < len(below) else ""


def blocks_of(chain: Chain) -> list[int]:
    """Those that were written."""
    return [block for block, owner in enumerate(chain.owners()) if owner]


def write(chain: Chain, name: str, base: Chain | None = None, parent: str = "") -> t.Iterator[bytes]:
    """The file; ``name`` and ``parent`` are uuids. Beside a base only what differs from it."""
    size = -(-chain.size // SECTOR) * SECTOR
    ends = footer(size, name, differencing=base is not None)
    chosen = blocks_of(chain) if base is None else changed(chain, base)
    entries = chain.blocks
    table = [NOWHERE] * entries
    first = -(-(SECTOR + HEADER.size + 4 * entries) // SECTOR)
    for number, block in enumerate(chosen):
        table[block] = first + number * (BLOCK // SECTOR + 1)
    start = b"".join((ends, header(entries, parent), struct.pack(f">{entries}I", *table)))
    yield start + b"\xff" * (-len(start) % SECTOR)
    for block in chosen:
        data = chain.read(block * BLOCK, min(BLOCK, chain.size - block * BLOCK))
        yield b"".join((BITMAP, data, memoryview(ZEROS)[: BLOCK - len(data)]))
    yield ends


def read(pieces: Pieces, writer: Writer) -> None:
    """Over the disk: a whole VHD leaves nothing of what was there. Raises NoVhd, EOFError, VDI_TOO_SMALL [vdi, size]."""
    told = read_footer(bytes(pieces.take(SECTOR)))
    pieces.skip(told.header_at - pieces.taken)
    head = read_header(bytes(pieces.take(HEADER.size)))
    writer.must_hold(told.size)
    pieces.skip(head.table_at - pieces.taken)
    table = struct.unpack(f">{head.entries}I", pieces.take(4 * head.entries))
    if told.kind != DIFFERENCING:
        for gap in _GAPS.finditer(bytes(place == NOWHERE for place in table)):
            start, end = (min(place * head.block, told.size) for place in gap.span())
            writer.clear(start, end - start)
    for place, number in sorted((place, number) for number, place in enumerate(table) if place != NOWHERE):
        pieces.skip(place * SECTOR - pieces.taken)
        _read_block(pieces, writer, told, head, number)
    pieces.skip(-pieces.taken % SECTOR)
    read_footer(bytes(pieces.take(SECTOR)))


def _read_block(pieces: Pieces, writer: Writer, told: Footer, head: Header, number: int) -> None:
    sectors = head.block // SECTOR
    bitmap = bytes(pieces.take(-(-sectors // 8 // SECTOR) * SECTOR))[: sectors // 8]
    data = memoryview(pieces.take(head.block))
    offset = number * head.block
    data = data[: max(0, told.size - offset)]
    for first, last in [(0, sectors)] if bitmap == b"\xff" * len(bitmap) else _runs(bitmap, set_=True):
        if part := data[first * SECTOR : last * SECTOR]:
            writer.write(offset + first * SECTOR, part)
    if told.kind != DIFFERENCING and bitmap != b"\xff" * len(bitmap):
        for first, last in _runs(bitmap, set_=False):
            if part := data[first * SECTOR : last * SECTOR]:
                writer.clear(offset + first * SECTOR, len(part))


def _runs(bitmap: bytes, *, set_: bool) -> list[tuple[int, int]]:
    """First sector and the one after the last of each stretch."""
    value = int.from_bytes(bitmap, "big")
    text = f"{value:0{8 * len(bitmap)}b}"
    return [found.span() for found in (_ONES if set_ else re.compile("0+")).finditer(text)]
