# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The image file of a disk, as clouds publish them: whether it is one, what is installed in it, its checksum.

Layouts: QEMU's docs/interop/qcow2.rst; "Virtual Hard Disk Image Format Specification"; UEFI specification, chapter 5 (GPT).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import struct
import subprocess
import tempfile
import typing as t
import uuid
from dataclasses import dataclass
from pathlib import Path

from ...errors import InvalidChange
from ...formats import images
from ...formats.files import sha256_of

TAKEN = ("vhd", "raw")  # what a host takes; of another format a VHD is made, which has only the blocks that are used
SECTOR = images.SECTOR
HEAD = 68 * SECTOR  # boot sector, GPT header, 128 entries of 128 bytes; the mark of an ISO lies within
ISO_MARK = 32769
DIFFERENCING = 4
# GPT partition types (UEFI; Discoverable Partitions Specification)
ESP = uuid.UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b")
BIOS_BOOT = uuid.UUID("21686148-6449-6e6f-744e-656564454649")
ROOTS = {
    uuid.UUID("4f68bce3-e8cd-4db1-96e7-fbcaf984b709"): "x86_64",
    uuid.UUID("44479540-f297-41b2-9af7-d131d5f0458a"): "x86",
    uuid.UUID("b921b045-1df0-41c3-af44-4c6f280d3fae"): "arm64",
    uuid.UUID("69dad710-2ce4-4e3c-b16c-21a1d49abed3"): "arm",
    uuid.UUID("72ec70a6-cf74-40e6-bd49-4bda08e8f224"): "riscv64",
}


@dataclass(frozen=True)
class Contents:
    """What the partition table tells: the machine it is for ("" if it does not say), and what can boot it (None: not known)."""

    architecture: str = ""
    uefi: bool | None = None
    bios: bool | None = None


def inspect(path: str) -> images.Image:
    """Raises InvalidChange for what is no image of a whole disk; XenError where qemu-img is needed and missing."""
    image = images.identify(path)
    with open(path, "rb") as file:
        head = file.read(HEAD)
        file.seek(-SECTOR if image.size >= SECTOR else 0, os.SEEK_END)
        tail = file.read(SECTOR)
    if head[ISO_MARK : ISO_MARK + 5] == b"CD001":
        raise InvalidChange(f"{path!r} is an ISO image, to install from, and no disk.", hint="Put it into an ISO SR instead.")
    if _differs(image.format, head, tail):
        raise InvalidChange(
            f"The image {path!r} holds only what differs from another file.", hint="Make it whole: qemu-img convert -O qcow2 FILE NEW."
        )
    if image.format == "raw":
        _refuse_no_disk(path, head, image.size)
    elif (image.format not in TAKEN or _is_fixed(path)) and not shutil.which("qemu-img"):
        raise InvalidChange(
            f"The image {path!r} has to be converted, and qemu-img is missing where the task runs.",
            hint="Install it (Debian: qemu-utils, Fedora and EL: qemu-img), or give the image as raw or VHD.",
        )
    return image


def _differs(format_: str, head: bytes, tail: bytes) -> bool:
    if format_ == "qcow2":
        return bool(struct.unpack(">Q", head[8:16])[0])
    return format_ == "vhd" and tail.startswith(b"conectix") and int(struct.unpack(">I", tail[60:64])[0]) == DIFFERENCING


def _refuse_no_disk(path: str, head: bytes, length: int) -> None:
    """What has no mark of a format may be anything."""
    text = head.lstrip().startswith((b"<", b"{", b"#"))
    if text or length % SECTOR:
        why = "it is a text" if text else f"{length} bytes are no whole number of sectors"
        raise InvalidChange(f"{path!r} is no disk image: {why}.", hint="Is the download complete, and what it should be?")


def data_in(path: str) -> int:
    """Bytes of the file that are not holes."""
    return os.stat(path).st_blocks * 512


def digest(path: str) -> str:
    """SHA-256, in hexadecimal. Raises InvalidChange."""
    try:
        return sha256_of(path)
    except OSError as e:
        hint = "It is looked for on the machine where the task runs, the control node unless it is delegated."
        raise InvalidChange(f"The image {path!r} cannot be read: {e.strerror or e}.", hint=hint) from e


def contents(path: str, image: images.Image) -> Contents:
    """What is installed in it, as far as a GPT tells: of another table nothing is said."""
    head = _first_sectors(path, image)
    if head[SECTOR : SECTOR + 8] != b"EFI PART":
        return Contents()
    first, number, width = struct.unpack("<QII", head[SECTOR + 72 : SECTOR + 88])
    starts = range(first * SECTOR, min(len(head) - 16, first * SECTOR + number * width), max(width, 128))
    kinds = {uuid.UUID(bytes_le=head[at : at + 16]) for at in starts}
    architecture = next((word for kind, word in ROOTS.items() if kind in kinds), "")
    told = bool(kinds & {ESP, BIOS_BOOT})
    return Contents(architecture, ESP in kinds if told else None, BIOS_BOOT in kinds if told else None)


def _first_sectors(path: str, image: images.Image) -> bytes:
    if image.format == "raw":
        with open(path, "rb") as file:
            return file.read(HEAD)
    if not shutil.which("qemu-img"):
        return b""
    with tempfile.TemporaryDirectory(prefix="domzero.") as folder:
        start = Path(folder, "start")
        copy = (f"if={path}", f"of={start}", f"bs={SECTOR}", f"count={HEAD // SECTOR}")
        argv = ("qemu-img", "dd", "-f", images.QEMU_NAMES[image.format], "-O", "raw", *copy)
        done = subprocess.run(argv, capture_output=True, check=False)
        return start.read_bytes() if not done.returncode else b""


@contextlib.contextmanager
def as_taken(path: str) -> t.Iterator[tuple[Path, str]]:
    """The file to send to the host and its format; of an image that has to be converted a copy that lasts for the block.

    xapi reads a VHD from its beginning, where a fixed one says nothing of itself (xen-api: ocaml/libs/vhd, Vhd_input).
    """
    if _is_fixed(path):
        with tempfile.TemporaryDirectory(prefix="domzero.") as folder:
            copy = Path(folder, "disk.vhd")
            images.convert(path, copy, "vhd", source_format="vhd")
            yield copy, "vhd"
        return
    with images.as_format(path, TAKEN) as file:
        yield file, images.identify(file).format


def _is_fixed(path: str) -> bool:
    with open(path, "rb") as file:
        starts = file.read(8)
    return images.identify(path).format == "vhd" and starts != b"conectix"
