# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How the machine boots and what it runs with, as its files and xl say."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

from ...errors import XenError
from ..host.files import text_of
from ..tool import Tool
from .menu import Menu, environment
from .params import words
from .plan import Seen

DOM0 = 11  # XENFEAT_dom0 (xen/include/public/features.h)
# File systems that GRUB can write to; it cannot on RAID and LVM (GRUB's manual, "Environment block")
WRITABLE = {"ext2", "xfs", "fat", "reiserfs", "jfs"}


class Places(t.NamedTuple):
    """file: ours; menu: grub.cfg; environment: grubenv."""

    file: Path
    menu: Path
    environment: Path


def look(places: Places, tool: Tool) -> Seen:
    """Raises XenError where there is no GRUB, or xl says nothing under Xen."""
    menu = text_of(places.menu)
    if not menu:
        raise XenError(f"This machine does not boot by GRUB: there is no {places.menu}.", hint="Install grub-pc or grub-efi-amd64.")
    under_xen = is_dom0(Path("/"))
    return Seen(
        text=text_of(places.file),
        menu=Menu(menu),
        environment=environment(text_of(places.environment)),
        under_xen=under_xen,
        hypervisor=words(host_info(tool).get("xen_commandline", "")) if under_xen else [],
        kernel=words(text_of(Path("/proc/cmdline"))),
    )


def is_dom0(root: Path) -> bool:
    """Whether this kernel is Dom0 of a Xen that runs."""
    try:
        features = (root / "sys/hypervisor/properties/features").read_text().strip()
        return bool(int(features, 16) >> DOM0 & 1)
    except (OSError, ValueError):
        return False


def host_info(tool: Tool) -> dict[str, str]:
    """What `xl info` says."""
    lines = tool.run("info").out.splitlines()
    return {name.strip(): value.strip() for name, sign, value in (line.partition(":") for line in lines) if sign}


def guests(tool: Tool) -> list[str]:
    """Names of the domains beside Dom0."""
    try:
        domains = json.loads(tool.run("list", "-l").out or "[]")
        return [domain["config"]["c_info"].get("name", str(domain["domid"])) for domain in domains if domain["domid"] != 0]
    except (ValueError, KeyError, TypeError):
        raise XenError("What xl list -l says is not understood.", hint="Run it on the host.") from None


def why_not_once(tool: Tool, folder: Path) -> str:
    """Why GRUB cannot take back what it is to boot once; "" where it can."""
    abstraction = tool.command(["grub-probe", "--target=abstraction", str(folder)]).out.split()
    if abstraction:
        return f"{folder} is on {', '.join(abstraction)}, which GRUB cannot write to"
    kind = tool.command(["grub-probe", "--target=fs", str(folder)]).out.strip()
    return "" if kind in WRITABLE else f"{folder} is on {kind}, which GRUB cannot write to"


def hypervisors() -> list[str]:
    """The hypervisors there are to boot."""
    return sorted(str(path) for path in Path("/boot").glob("xen-*") if path.suffix in (".gz", ".efi"))
