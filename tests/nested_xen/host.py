# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The machine the guests run on: what it lacks, and where it gets Debian from."""

from __future__ import annotations

import os
import re
import shutil
import typing as t
from pathlib import Path

COMMANDS = {
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-img": "qemu-utils",
    "debootstrap": "debootstrap",
    "mke2fs": "e2fsprogs",
    "unshare": "util-linux",
    "ssh": "openssh-client",
}
SOURCES = ("/etc/apt/sources.list", "/etc/apt/sources.list.d/*.sources", "/etc/apt/sources.list.d/*.list")


def missing() -> list[str]:
    """What has to be there and is not, one phrase each. Empty where guests can be made and run."""
    path = os.environ.get("PATH", "") + os.pathsep + "/usr/sbin:/sbin"
    lacks = [f"{command} (package {package})" for command, package in COMMANDS.items() if not shutil.which(command, path=path)]
    return lacks if os.geteuid() == 0 else [*lacks, "root, for debootstrap"]


def uris(text: str) -> list[str]:
    """The addresses in a file of apt sources, of either format."""
    return re.findall(r"^(?:URIs:|deb(?:\s+\[[^\]]*\])?)\s+(https?://\S+?)/?(?:\s.*)?$", text, re.MULTILINE)


def mirrors(texts: t.Iterable[str] | None = None) -> tuple[str, str]:
    """This machine's Debian mirror and that of the security updates; Debian's own where its apt names none."""
    if texts is None:
        texts = [path.read_text() for pattern in SOURCES for path in Path("/").glob(pattern[1:])]
    found = [uri for text in texts for uri in uris(text)]
    main = next((uri for uri in found if uri.endswith("/debian")), "http://deb.debian.org/debian")
    security = next((uri for uri in found if uri.endswith("security")), "http://deb.debian.org/debian-security")
    return main, security
