# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A bootable disk from a tree, without loop devices, mounts or grub-install."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.domzero.xen.tests.nested_xen import recipe
from ansible_collections.domzero.xen.tests.nested_xen.chroot import Chroot, run

SECTOR = 512
START = 2048  # sector of the one partition
TABLE = f"label: dos\nstart={START}, type=83, bootable\n"
MODULES = ("biosdisk", "part_msdos", "ext2")


def make(tree: Chroot, target: Path) -> None:
    """Write the tree to a new disk image (qcow2). Raises BuildFailed."""
    raw = target.with_suffix(".raw")
    size = recipe.SYSTEM_MIB << 20
    sector0 = partition_table(tree, size)
    tree.run("grub-mkimage", "-O", "i386-pc", "-o", "/tmp/core.img", "-p", "(hd0,msdos1)/boot/grub", *MODULES)
    core = tree.root / "tmp/core.img"
    loader = core.read_bytes()
    core.unlink()
    boot = (tree.root / "usr/lib/grub/i386-pc/boot.img").read_bytes()[:440]
    with raw.open("wb") as file:
        file.truncate(size)
    kib = (size - START * SECTOR) // 1024
    run("mke2fs", "-q", "-F", "-t", "ext4", "-U", recipe.FILE_SYSTEM, "-L", "root", "-E", f"offset={START * SECTOR},root_owner=0:0",
        "-d", tree.root, raw, f"{kib}k")  # fmt: skip
    with raw.open("r+b") as file:
        # boot.img looks for core.img in sector 1, and core.img for the rest of itself right after that
        file.write(boot + sector0[440:] + loader)
    run("qemu-img", "convert", "-O", "qcow2", raw, target)
    raw.unlink()


def partition_table(tree: Chroot, size: int) -> bytes:
    """The first sector, by the tree's sfdisk, which writes to a file of the disk's size with nothing in it."""
    scratch = tree.root / "tmp/table"
    with scratch.open("wb") as file:
        file.truncate(size)
    tree.run("sfdisk", "-q", "/tmp/table", stdin=TABLE)
    with scratch.open("rb") as file:
        sector = file.read(SECTOR)
    scratch.unlink()
    return sector
