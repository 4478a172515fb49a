# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The commands of qemu-img that copy."""

from __future__ import annotations

from ...errors import InvalidChange
from ..step import Step
from .image import QEMU
from .usage import told
from .wanted import Wanted
from .what import Source


def options_of(kind: str, sparse: bool) -> tuple[str, ...]:
    """How an image of this format is made. A VHD of qemu-img would be rounded to cylinders if it were not told to have just that size."""
    if kind == "vhd":
        return ("-o", f"force_size=on,subformat={'dynamic' if sparse else 'fixed'}")
    return () if sparse else ("-o", "preallocation=falloc")


def converted(source: str, source_kind: str, target: str, kind: str, wanted: Wanted, *, sparse: bool = True) -> Step:
    """A new image. What is written is flushed before it ends, which is not qemu-img's default."""
    command = (
        "qemu-img",
        "convert",
        "-q",
        "-t",
        "writeback",
        "-f",
        QEMU[source_kind],
        "-O",
        QEMU[kind],
        *options_of(kind, sparse),
        source,
        target,
    )
    return Step(command, f"copy {source}", wanted.copy_timeout)


def copied(source: Source, device: str, kind: str, wanted: Wanted, *, zero: bool) -> Step:
    """Onto a device. zero: it reads as zeros before."""
    refuse_written(source, wanted)
    zeros = ("--target-is-zero",) if zero else ()
    command = (
        "qemu-img",
        "convert",
        "-q",
        "-n",
        *zeros,
        "-t",
        "writeback",
        "-f",
        QEMU[source.format],
        "-O",
        QEMU[kind],
        source.path,
        device,
    )
    return Step(command, f"copy {source.path} to {wanted.told}", wanted.copy_timeout)


def refuse_written(source: Source, wanted: Wanted) -> None:
    """Raises InvalidChange for a source that is written to while it would be copied."""
    writers = [use for use in source.uses if use.kind not in ("reader", "snapshot", "overlay")]
    if writers:
        raise InvalidChange(
            f"{source.path} cannot be copied to {wanted.told}: {told(writers)}.",
            hint="Copy a snapshot of it, or use domzero.xen.xl_volume_backup.",
        )  # fmt: skip
