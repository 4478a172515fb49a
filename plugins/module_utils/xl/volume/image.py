# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads image files: what they are by their first bytes, and what qemu-img tells of them."""

from __future__ import annotations

import errno
import json
import os
import stat
import struct
import typing as t

from ...errors import InvalidChange, NotFound, XenError
from .host import Host
from .wanted import SUFFIXES
from .what import Image

QEMU = {"raw": "raw", "qcow2": "qcow2", "vhd": "vpc", "vmdk": "vmdk", "vdi": "vdi"}
SUFFIXES_READ = {**SUFFIXES, ".vmdk": "vmdk", ".vdi": "vdi"}
QCOW2_MAGIC = b"QFI\xfb"
VHD_MAGIC = b"conectix"


def looks(path: str) -> str:
    """raw, qcow2 or vhd, by the first bytes of a file, and the last of a VHD of fixed size. A guest can write these into a raw image."""
    with open(path, "rb") as file:
        head = file.read(8)
        end = file.seek(0, os.SEEK_END)
        file.seek(max(0, end - 512))
        tail = file.read(8)
    if head[:4] == QCOW2_MAGIC:
        return "qcow2"
    return "vhd" if VHD_MAGIC in (head, tail) else "raw"


def format_read(path: str, told: str | None) -> str:
    """What a file is read as. Raises InvalidChange where it looks otherwise than it is said, or named, to be.

    Taking it for what it looks like would be wrong: a guest that writes the head of a qcow2 image onto its raw disk, with a file of
    Dom0 as its backing file, would be given that file.
    """
    if stat.S_ISBLK(os.stat(path).st_mode):
        return told or "raw"
    seen, suffix = looks(path), SUFFIXES_READ.get(os.path.splitext(path)[1].lower())
    said = told or suffix
    if said in ("qcow2", "vhd") and seen != said:
        raise InvalidChange(f"{path} is {seen}, not {said}.", hint="Give its format, or name another file.")
    if said == "raw" and seen != "raw" and not told:
        raise InvalidChange(f"{path} looks like {seen}, and its name says {said}.", hint="Say which of them it is with format.")
    if said == "raw" and seen != "raw":
        raise InvalidChange(f"{path} is {seen}, not raw.", hint="Copy it into a new volume with source to have it in another format.")
    return said or seen


def info(host: Host, path: str, kind: str) -> Image:
    """Raises NotFound, XenError for what qemu-img cannot read."""
    if not os.path.exists(path):
        raise NotFound(f"There is no {path}.")
    host.need(("qemu-img",), "qemu-utils", "image files")
    status, out, err = host.run("qemu-img", "info", "--force-share", "--output=json", "-f", QEMU[kind], path)
    if status:
        raise XenError(f"{path} cannot be read as {kind}: {' '.join(err.split())}", hint="Is it damaged, or of another format?")
    told: dict[str, t.Any] = json.loads(out)
    backing = told.get("full-backing-filename") or told.get("backing-filename") or ""
    names = tuple(row["name"] for row in told.get("snapshots", ()))
    target = os.path.realpath(path) if os.path.islink(path) else ""
    return Image(path, kind, int(told["virtual-size"]), int(told.get("actual-size", 0)), backing, names, target)


def backing_of(path: str) -> str:
    """The backing file a qcow2 image names in its header (QEMU's docs/interop/qcow2.txt); "" for none and for other files."""
    try:
        with open(path, "rb") as file:
            head = file.read(20)
            if len(head) < 20 or head[:4] != QCOW2_MAGIC:
                return ""
            _magic, _version, offset, length = struct.unpack(">4sIQI", head)
            if not offset or length > 1023:
                return ""
            file.seek(offset)
            name = file.read(length).decode(errors="surrogateescape")
    except OSError:
        return ""
    return os.path.normpath(os.path.join(os.path.dirname(path), name))


def overlays(path: str) -> list[str]:
    """The qcow2 images in its own folder whose backing file it is."""
    folder, own = os.path.dirname(path), os.path.realpath(path)
    with os.scandir(folder) as entries:
        files = sorted(entry.path for entry in entries if entry.is_file(follow_symlinks=False))
    return [file for file in files if os.path.realpath(backing_of(file) or "/") == own]


def end_of_data(host: Host, path: str, kind: str) -> int:
    """Where the last data of an image end; what comes after reads as zeros."""
    if kind != "raw":
        rows = json.loads(host.answer("qemu-img", "map", "--output=json", "-f", QEMU[kind], path))
        return max((row["start"] + row["length"] for row in rows if row["data"] and not row["zero"]), default=0)
    end = 0
    with open(path, "rb") as file:
        while True:
            try:
                start = os.lseek(file.fileno(), end, os.SEEK_DATA)
                end = os.lseek(file.fileno(), start, os.SEEK_HOLE)
            except OSError as e:
                if e.errno == errno.ENXIO:
                    return end
                raise
