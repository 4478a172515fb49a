# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Exports made by hand, the way xapi's sources describe them, good ones and bad ones."""

from __future__ import annotations

import hashlib
import io
import subprocess
import tarfile
import typing as t
import xmlrpc.client
import zlib

import xxhash

BLOCK = 1 << 20
NULL = "OpaqueRef:NULL"
Entry = tuple[str, bytes]
VERSION = {
    "hostname": "xcp00", "date": "2026-01-01", "product_version": "8.3.0", "product_brand": "XCP-ng", "build_number": "1",
    "xapi_major": "1", "xapi_minor": "20", "export_vsn": "2",
}  # fmt: skip


def ova(disks: t.Mapping[str, int], name: str = "web01", **version: str) -> bytes:
    """disks: sizes by Ref:N."""
    vm = {"name_label": name, "uuid": "vm-uuid", "name_description": "", "suspend_VDI": NULL, "VCPUs_max": "2", "memory_static_max": "1024"}
    sr = {"name_label": "Local", "uuid": "sr-uuid", "type": "ext", "content_type": "user"}
    objects: list[dict[str, t.Any]] = [_object("VM", "Ref:0", vm), _object("SR", "Ref:1", sr)]
    for number, (ref, size) in enumerate(disks.items()):
        vdi = {"name_label": f"disk {number}", "uuid": f"vdi-{number}", "virtual_size": str(size), "SR": "Ref:1"}
        vbd = {"type": "Disk", "VM": "Ref:0", "VDI": ref, "userdevice": str(number), "bootable": number == 0}
        objects += [_object("VDI", ref, vdi), _object("VBD", f"Ref:{500 + number}", vbd)]
    objects.append(_object("VBD", "Ref:900", {"type": "CD", "VDI": NULL, "VM": "Ref:0", "userdevice": "3"}))
    objects.append(_object("network", "Ref:901", {"name_label": "LAN", "uuid": "net", "bridge": "xenbr0"}))
    objects.append(_object("VIF", "Ref:902", {"VM": "Ref:0", "network": "Ref:901", "device": "0", "MAC": "02:00:00:00:00:01"}))
    text = xmlrpc.client.dumps(({"version": {**VERSION, **version}, "objects": objects},))
    return text.replace("<params>\n<param>\n", "").replace("</param>\n</params>\n", "").encode()


def _object(cls: str, ref: str, snapshot: dict[str, t.Any]) -> dict[str, t.Any]:
    return {"class": cls, "id": ref, "snapshot": snapshot}


def blocks(ref: str, data: bytes, kind: str = "xxhash") -> list[Entry]:
    """A disk's entries; blocks of zeros that are neither the first nor the last are left out."""
    entries = []
    last = max(0, (len(data) - 1) // BLOCK)
    for number in range(last + 1):
        piece = data[number * BLOCK : (number + 1) * BLOCK]
        if piece.strip(b"\0") or number in (0, last):
            entries += block(f"{ref}/{number:08d}", piece, kind)
    return entries


def block(name: str, piece: bytes, kind: str = "xxhash") -> list[Entry]:
    digest = xxhash.xxh64_hexdigest(piece).upper() if kind == "xxhash" else hashlib.sha1(piece).hexdigest()
    return [(name, piece), *([(f"{name}.{kind}", digest.encode())] if kind else [])]


def tarred(entries: t.Iterable[Entry]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, data in entries:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def export(disks: t.Mapping[str, bytes], kind: str = "xxhash", **version: str) -> bytes:
    described = ova({ref: len(data) for ref, data in disks.items()}, **version)
    return tarred([("ova.xml", described), *(entry for ref in sorted(disks) for entry in blocks(ref, disks[ref], kind))])


def packed(data: bytes, compression: str) -> bytes:
    if compression == "gzip":
        packer = zlib.compressobj(wbits=31)
        return packer.compress(data) + packer.flush()
    return subprocess.run(["zstd", "-qc"], input=data, capture_output=True, check=True).stdout if compression == "zstd" else data
