# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where in a file of each form a bit may flip: one place for each class of bytes, by the formats' specifications."""

from __future__ import annotations

import struct
import tarfile
import typing as t
from pathlib import Path

from .chain_lab import SECTOR

Places = dict[str, int]
FOOTER = {
    "cookie": 0, "features": 8, "version": 12, "data offset": 16, "time": 24, "creator": 28, "creator version": 32, "creator system": 36,
    "original size": 40, "size": 48, "geometry": 56, "type": 60, "checksum": 64, "uuid": 68, "saved state": 84, "reserved": 85,
    "last byte": 511,
}  # fmt: skip
HEADER = {
    "cookie": 0, "data offset": 8, "table offset": 16, "version": 24, "entries": 28, "block size": 32, "checksum": 36, "parent uuid": 40,
    "parent time": 56, "reserved": 60, "parent name": 64, "locators": 576, "last byte": 1023,
}  # fmt: skip


def of_vhd(path: Path) -> Places:
    """Of a dynamic or differencing one as vhd_write makes it: footer, header, table, blocks, footer."""
    data = path.read_bytes()
    table = 3 * SECTOR
    entries = struct.unpack_from(">I", data, SECTOR + 28)[0]
    block = next(e for e in struct.unpack_from(f">{entries}I", data, table) if e != 0xFFFFFFFF) * SECTOR
    bitmap = data[block : block + SECTOR]
    there = next(n for n, byte in enumerate(bitmap) if byte)
    missing = next((n for n, byte in enumerate(bitmap[: len(bitmap) // 2]) if not byte), None)
    sector = 8 * there + 8 - bitmap[there].bit_length()
    absent = {
        "bitmap, a sector that is not": block + missing, "data, a sector that is not": block + SECTOR + missing * 8 * SECTOR + 17,
    } if missing is not None else {}  # fmt: skip
    return {
        **{f"copy of the footer, {name}": at for name, at in FOOTER.items()},
        **{f"header, {name}": SECTOR + at for name, at in HEADER.items()},
        "block table, an entry": table + 3 if data[table : table + 4] != b"\xff" * 4 else table + 7,
        "block table, padding": table + 4 * entries,
        "bitmap, a sector that is there": block + there,
        "data, a sector that is there": block + SECTOR + sector * SECTOR + 17,
        **absent,
        **{f"footer, {name}": len(data) - SECTOR + at for name, at in FOOTER.items()},
    }


STRUCTURE = ("copy of the footer", "header", "block table, an entry", "footer")  # what a VHD itself has to be consistent in


def of_xva(path: Path) -> Places:
    """Of one that is not packed."""
    with tarfile.open(path) as archive:
        entries = {entry.name: entry for entry in archive}
    ova = entries["ova.xml"]
    places = {
        "header of ova.xml, name": ova.offset,
        "header of ova.xml, size": ova.offset + 130,
        "header of ova.xml, checksum": ova.offset + 150,
        "ova.xml, beginning": ova.offset_data,
        "ova.xml, middle": ova.offset_data + ova.size // 2,
        "ova.xml, padding": ova.offset_data + ova.size + 1,
        "end of the archive": -700,
        "last byte": -1,
    }
    blocks = [entry for name, entry in entries.items() if name.endswith(("/00000000", "/00000000.xxhash"))]
    for entry in blocks:
        what = "a checksum" if entry.name.endswith(".xxhash") else "a block"
        places |= {f"header of {what}, name": entry.offset + 3, f"header of {what}, size": entry.offset + 130}
        places |= {f"header of {what}, type": entry.offset + 156, f"{what}, beginning": entry.offset_data}
        places |= {f"{what}, last byte": entry.offset_data + entry.size - 1}
        if entry.size % 512:
            places[f"{what}, padding"] = entry.offset_data + entry.size + 1
    return places


def of_anything(path: Path) -> Places:
    """Of a stream without places of its own: packed files, XML."""
    size = path.stat().st_size
    near = {"first byte": 0, "second byte": 1, "fourth byte": 3, "tenth byte": 9, "last byte": -1, "fifth from the end": -5}
    return {**near, "a quarter": size // 4, "middle": size // 2, "three quarters": 3 * size // 4}


def of(path: Path, compression: str = "none") -> Places:
    if path.suffix == ".vhd":
        return of_vhd(path)
    if path.suffix == ".xva" and compression == "none":
        return of_xva(path)
    return of_anything(path)


def of_repository(files: t.Iterable[tuple[Path, str]]) -> list[tuple[Path, str, int]]:
    return [(path, name, at) for path, compression in files for name, at in of(path, compression).items()]
