# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Disk images: what a file is, and what XenAPI takes instead. Formats that are not ours are left to qemu-img."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import tempfile
import typing as t
from pathlib import Path

from ..errors import InvalidChange, XenError
from .files import workshop

QEMU_NAMES = {"raw": "raw", "vhd": "vpc", "qcow2": "qcow2", "vmdk": "vmdk", "vdi": "vdi", "vhdx": "vhdx"}
PACKED = {b"\x1f\x8b": "gzip", b"\xfd7zXZ\x00": "xz", b"\x28\xb5\x2f\xfd": "zstd", b"BZh": "bzip2", b"PK\x03\x04": "zip"}
MAGIC = {b"QFI\xfb": "qcow2", b"KDMV": "vmdk", b"# Disk DescriptorFile": "vmdk", b"vhdxfile": "vhdx", b"conectix": "vhd"}
VIRTUALBOX = b"\x7f\x10\xda\xbe"  # at offset 64
SECTOR = 512


class Image(t.NamedTuple):
    """format: raw, vhd, qcow2, vmdk, vhdx or vdi; virtual_size: what a guest sees, in bytes; size: of the file."""

    format: str
    virtual_size: int
    size: int


def identify(path: Path | str) -> Image:
    """What an image is, by its content. What has no mark of any other format is raw.

    Raises InvalidChange (not there, empty, packed), XenError when qemu-img is needed for its size and missing.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            head = file.read(SECTOR)
            size = file.seek(0, 2)
            file.seek(max(0, size - SECTOR))
            tail = file.read()
    except OSError as e:
        raise InvalidChange(f"The image {path} cannot be read: {e.strerror}.") from e
    if not size:
        raise InvalidChange(f"The image {path} is empty.")
    for magic, name in PACKED.items():
        if head.startswith(magic):
            raise InvalidChange(f"The image {path} is packed with {name}.", hint="Unpack it first.")
    kind = _kind(head, tail)
    return Image(kind, _virtual_size(path, kind, head, tail, size), size)


def _kind(head: bytes, tail: bytes) -> str:
    for magic, name in MAGIC.items():
        if head.startswith(magic):
            return name
    if head[64:68] == VIRTUALBOX:
        return "vdi"
    return "vhd" if tail.startswith(b"conectix") else "raw"


def _virtual_size(path: Path, kind: str, head: bytes, tail: bytes, size: int) -> int:
    if kind == "raw":
        return size
    if kind == "qcow2":  # docs/interop/qcow2.txt of QEMU
        return int.from_bytes(head[24:32], "big")
    if kind == "vhd":  # "Virtual Hard Disk Image Format Specification": the footer's current size
        return int.from_bytes((tail if tail.startswith(b"conectix") else head)[48:56], "big")
    return int(json.loads(_qemu_img("info", "--output=json", "-f", QEMU_NAMES[kind], str(path)))["virtual-size"])


def check(path: Path | str, kind: str) -> None:
    """Whether an image is what it should be, as far as its format has something to check; a whole file is not read.

    Raises InvalidChange for one that is damaged, cut off, or builds on another file; XenError (qemu-img is missing).
    """
    told = json.loads(_qemu_img("info", "--output=json", "-f", QEMU_NAMES[kind], str(path)))
    if told.get("backing-filename"):
        raise InvalidChange(
            f"The image {path} builds on another file ({told['backing-filename']}).",
            hint="Make it whole: qemu-img convert -O qcow2 FILE NEW.",
        )
    try:
        done = subprocess.run(["qemu-img", "check", "-q", "-f", QEMU_NAMES[kind], str(path)], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise _without_qemu_img() from None
    if done.returncode in (1, 2):  # 3: only room is wasted; 63: this format has no check
        lines = [line for line in done.stderr.strip().splitlines() if line]
        why = f" ({lines[0].removeprefix('qemu-img: ')})" if lines else ""
        raise InvalidChange(f"The image {path} is damaged or cut off{why}.", hint="Is the download complete?")


def convert(source: Path | str, target: Path | str, to: str = "raw", *, source_format: str = "") -> None:
    """Another format of the same disk, made by qemu-img; holes stay holes. The target is written over.

    to: a key of QEMU_NAMES. A VHD keeps the size in bytes (force_size), which XenServer's own readers go by.
    Raises InvalidChange, XenError (qemu-img is missing, or what it said).
    """
    kind = source_format or identify(source).format
    options = ["-o", "subformat=dynamic,force_size=on"] if to == "vhd" else []
    _qemu_img("convert", "-f", QEMU_NAMES[kind], "-O", QEMU_NAMES[to], *options, str(source), str(target))


@contextlib.contextmanager
def as_format(source: Path | str, to: t.Collection[str] = ("raw",), folder: Path | str | None = None) -> t.Iterator[Path]:
    """The image in one of these formats: itself, or a temporary copy in the first of them, which goes when the block ends.

    folder: where the copy lies for that time (default: beside the source, or the folder for temporary files if that is read-only).
    """
    image = identify(source)
    if image.format in to:
        yield Path(source)
        return
    wanted, *_others = to
    with _workplace(Path(source), folder) as place:
        copy = place / f"disk.{wanted}"
        convert(source, copy, wanted, source_format=image.format)
        yield copy


@contextlib.contextmanager
def _workplace(source: Path, folder: Path | str | None) -> t.Iterator[Path]:
    """Where nobody else works at the same time."""
    beside = Path(folder) if folder else source.resolve().parent
    with contextlib.ExitStack() as stack:
        try:
            place = stack.enter_context(workshop(beside / source.name))
        except BlockingIOError:  # another task makes something of the same image
            place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=".domzero.", dir=beside)))
        except OSError as e:
            if folder:
                raise InvalidChange(f"The folder {folder} cannot be used for a temporary file: {e.strerror}.") from e
            place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="domzero.")))
        yield place


def refuse_missing_qemu_img(what: str) -> None:
    """Raises InvalidChange where qemu-img is needed for something, and missing."""
    if not shutil.which("qemu-img"):
        raise InvalidChange(
            f"{what} has to be converted, and qemu-img is missing where the task runs.",
            hint="Install it (Debian: qemu-utils, Fedora and EL: qemu-img).",
        )


def _qemu_img(*arguments: str) -> str:
    try:
        done = subprocess.run(["qemu-img", *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise _without_qemu_img() from None
    if done.returncode:
        told = done.stderr.strip().removeprefix("qemu-img: ")
        raise XenError(f"qemu-img {arguments[0]} failed: {told or f'status {done.returncode}'}")
    return done.stdout


def _without_qemu_img() -> XenError:
    return XenError(
        "qemu-img is missing where the task runs.",
        hint="Install it (Debian: qemu-utils, Fedora and EL: qemu-img), or convert to raw before.",
    )
