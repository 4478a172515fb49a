# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a guest has the memory that its initrd takes while it boots. Too little is a panic that only its console tells of.

The kernel holds the initrd as it is packed and what it unpacks to, in pages, at the same time: init/initramfs.c frees the packed one last.
"""

from __future__ import annotations

import os
import re

from ...errors import Timeout
from ...formats.sizes import readable_size
from .described import Guest
from .look import Journal, Seen, length
from .machine import Machine

PAGE = 4096
# Bytes that Linux takes beside its initrd, rather less than it does, so that nothing is refused that could start. Measured in QEMU: Debian
# 12's panics with 90 MiB more than its initrd and what that unpacks to, and starts with 98. Where lsinitramfs is, Dom0's is of that kind.
DOM0S_KERNEL, ANY_KERNEL = 88 << 20, 32 << 20
COMFORT, STEP = 128 << 20, 64 << 20  # what is advised beside it, and in steps of what
ENOUGH = 1 << 30  # bytes: no initrd takes as much
FILE = re.compile(r"^-\S+ +\d+ +\S+ +\S+ +(\d+) ", re.MULTILINE)


def initrd_of(guest: Guest, seen: Seen | None, journal: Journal) -> str:
    """The file on Dom0 that it will boot with, "" if that is not known yet or lies in the guest."""
    given = guest.domain.get("ramdisk")
    if given:
        return str(given)
    own = guest.os.get("kernel") if seen else ""
    if seen and seen.state == "installed":
        return journal.file("initrd.img") if own in ("dom0", "guest") else ""
    return f"/boot/initrd.img-{os.uname().release}" if own == "dom0" else ""


def too_little(guest: Guest, path: str, machine: Machine) -> list[str]:
    """What is wrong with the memory of a guest that boots with the initrd `path`. Nothing where the initrd cannot be read."""
    if guest.memory >= ENOUGH or not os.path.isfile(path):
        return []
    packed, files = length(path), unpacked(path, machine)
    dom0s = guest.os.get("kernel") == "dom0" and not guest.domain.get("kernel")
    if not files or guest.memory >= (DOM0S_KERNEL if dom0s else ANY_KERNEL) + packed + files:
        return []
    boots = f"Guest {guest.name} boots with {path}, which is {readable_size(packed)} and unpacks to {readable_size(files)}"
    enough = -(-(COMFORT + packed + files) // STEP) * STEP
    return [f"{boots}: its {guest.memory >> 20} MiB of memory are too little, it would panic. Give it {enough >> 20} MiB."]


def unpacked(path: str, machine: Machine) -> int:
    """Bytes of the files in an initrd, in whole pages; 0 where lsinitramfs(8) is missing or does not understand it."""
    try:
        status, out = machine.ask("lsinitramfs", "-l", path)
    except Timeout:
        return 0
    return sum(-(-int(size) // PAGE) * PAGE for size in FILE.findall(out)) if status == 0 else 0
