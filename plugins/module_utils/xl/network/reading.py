# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads what "ip -j" and "ovs-vsctl" say of a host into Live."""

from __future__ import annotations

import json
import typing as t

from ...errors import XenError
from .device import Link, Live, Route

Entry = t.Mapping[str, t.Any]
# protocols of routes that the kernel or a daemon sets again by itself
OF_OTHERS = ("kernel", "ra", "dhcp")


def live(addresses: str, routes: str, routes6: str, ovs: t.Mapping[str, t.Sequence[str]] | None = None) -> Live:
    """addresses: the output of "ip -d -j address show"; routes: of "ip -j route show", routes6: of "ip -6 -j route show"."""
    links = {link.name: link for link in (link_of(entry) for entry in read(addresses) if entry.get("ifname"))}
    four, six = read(routes), read(routes6)
    bridges = {name: tuple(ports) for name, ports in (ovs or {}).items()}
    return Live(links, gateways(four), gateways(six), plain_routes([*four, *six]), bridges)


def read(text: str) -> list[Entry]:
    """Raises XenError for what is no JSON list: an ip of busybox, for example."""
    try:
        found = json.loads(text or "[]")
    except ValueError:
        raise XenError(f"ip -j told no JSON: {text[:80]!r}", hint="Is it the ip of iproute2?") from None
    return [entry for entry in found if entry]


def link_of(entry: Entry) -> Link:
    info = entry.get("linkinfo") or {}
    data = info.get("info_data") or {}
    told = [one for one in entry.get("addr_info", ()) if one.get("scope") == "global" and not one.get("temporary")]
    # addresses that came by router advertisement come again by themselves
    kept = [one for one in told if not (one["family"] == "inet6" and one.get("dynamic"))]
    tag = int(data.get("id", 0)) if info.get("info_kind") == "vlan" else 0
    return Link(
        name=entry["ifname"], kind=info.get("info_kind", ""), mac=entry.get("permaddr") or entry.get("address", ""),
        master=entry.get("master", ""), parent=entry.get("link") or "", vlan=tag,
        mtu=int(entry.get("mtu", 0)), addresses=tuple(f"{one['local']}/{one['prefixlen']}" for one in kept),
        dynamic=any(one.get("dynamic") for one in kept), bond_mode=str(data.get("mode", "")), bus=entry.get("parentbus", ""),
    )  # fmt: skip


def gateways(routes: t.Iterable[Entry]) -> dict[str, str]:
    """Gateways of default routes by device, the one with the smallest metric first."""
    ours = [route for route in routes if route.get("dst") == "default" and route.get("gateway") and route.get("protocol") != "ra"]
    found: dict[str, str] = {}
    for route in sorted(ours, key=lambda route: int(route.get("metric", 0))):
        found.setdefault(route["dev"], route["gateway"])
    return found


def plain_routes(routes: t.Iterable[Entry]) -> dict[str, tuple[Route, ...]]:
    """Routes somebody has set, by device."""
    found: dict[str, list[Route]] = {}
    for route in routes:
        if route.get("gateway") and route.get("dst") != "default" and route.get("protocol") not in OF_OTHERS:
            found.setdefault(route["dev"], []).append(Route(route["dst"], route["gateway"]))
    return {device: tuple(ones) for device, ones in found.items()}
