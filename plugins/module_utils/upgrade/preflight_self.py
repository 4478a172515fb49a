# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which VM this machine is, from what the machine itself knows: its uuid (Xen's, or the firmware's) and its addresses."""

from __future__ import annotations

import ipaddress
import re
import typing as t
import uuid
from pathlib import Path

from ..refs import Objects, Record
from ..vms import guests

UUIDS = ("sys/hypervisor/uuid", "sys/class/dmi/id/product_uuid")  # the second is for root only
IPV4, IPV6 = "proc/net/fib_trie", "proc/net/if_inet6"
LOCAL = re.compile(r"\|-- (\S+)\n\s+/32 host LOCAL")
ROOT = Path("/")


class Found(t.NamedTuple):
    """The VM that this machine is. how: by what it is known."""

    ref: str
    vm: Record
    how: str


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def uuids(root: Path = ROOT) -> set[str]:
    """In both orders of bytes: firmware tells the first three parts in either."""
    found = set()
    for path in UUIDS:
        try:
            known = uuid.UUID(_text(root / path).strip())
        except ValueError:
            continue
        found |= {str(known), str(uuid.UUID(bytes=known.bytes_le))}
    return found - {str(uuid.UUID(int=0))}


def addresses(root: Path = ROOT) -> set[str]:
    """Of this machine, those that only it can have."""
    told = [*LOCAL.findall(_text(root / IPV4)), *(int(row.split()[0], 16) for row in _text(root / IPV6).splitlines() if row.strip())]
    known = (ipaddress.IPv6Address(one) if isinstance(one, int) else ipaddress.ip_address(one) for one in told)
    return {str(one) for one in known if not (one.is_loopback or one.is_link_local or one.is_unspecified)}


def find(objects: Objects, root: Path = ROOT) -> Found | None:
    """By uuid, or else by an address that the guest tools of a running VM tell."""
    vms, ours = guests(objects), uuids(root)
    for ref, vm in vms.items():
        if vm["uuid"].lower() in ours:
            return Found(ref, vm, "it has the uuid of this machine")
    here, reports = addresses(root), objects.all("VM_guest_metrics")
    for ref, vm in vms.items():
        told = set(map(_address, reports.get(vm["guest_metrics"], {}).get("networks", {}).values()))
        if vm["power_state"] == "Running" and (same := sorted(told & here)):
            return Found(ref, vm, f"it has this machine's address {same[0]}")
    return None


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return ""
