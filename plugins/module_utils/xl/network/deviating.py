# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a host has a device as it is described, whatever its files say; and the commands all managers of networks share."""

from __future__ import annotations

import typing as t

from .change import Command, may
from .device import BOND, BRIDGE, NIC, OVS, VLAN, Addressing, Device, Live, Wanted


def deviates(device: Device, addressing: Addressing, live: Live) -> bool:
    link = live.links.get(device.name)
    if not link:
        return True
    if device.kind == OVS and not set(device.ports) <= set(live.ovs.get(device.name, ())):
        return True
    if device.kind == OVS and device.name not in live.ovs:
        return True
    if device.kind in (BRIDGE, BOND, VLAN) and link.kind != device.kind:
        return True
    if device.kind in (BRIDGE, BOND) and not set(device.ports) <= set(live.ports(device.name)):
        return True
    mode = dict(device.bond).get("mode")
    if mode and link.bond_mode != mode:
        return True
    if device.kind == VLAN and (link.parent, link.vlan) != (device.parent, device.vlan):
        return True
    return (device.mtu not in (0, link.mtu)) or lacks(device.name, addressing, live)


def lacks(name: str, addressing: Addressing, live: Live) -> bool:
    """Whether an address, gateway or route is missing. What a DHCP server gives is not known."""
    if not set(addressing.addresses) <= set(live.links[name].addresses) or not set(addressing.routes) <= set(live.routes.get(name, ())):
        return True
    wanted = ((addressing.gateway, live.gateways), (addressing.gateway6, live.gateways6))
    return any(gateway and found.get(name) != gateway for gateway, found in wanted)


def standing_on(names: t.Collection[str], wanted: Wanted) -> set[str]:
    """These devices, and those above them."""
    found = set(names)
    for device in wanted.in_order():
        if found & set(device.below):
            found.add(device.name)
    return found


def destroy(name: str, kind: str) -> list[Command]:
    if kind == OVS:
        return [may("ovs-vsctl", "--timeout=30", "--if-exists", "del-br", name)]
    return [] if kind == NIC else [may("ip", "link", "delete", "dev", name)]


def flush(names: t.Iterable[str], live: Live) -> list[Command]:
    """Takes addresses away that their manager left, or that it never knew."""
    return [may("ip", "address", "flush", "dev", name) for name in names if name in live.links and live.links[name].addresses]


def guests_back(names: t.Iterable[str], live: Live, wanted: Wanted | None) -> list[Command]:
    """A bridge that was made anew gets its guests again. wanted None: the bridges are as they were."""
    found: list[Command] = []
    for name in names:
        device = wanted.device(name) if wanted else None
        of_ovs = device.kind == OVS if device else name in live.ovs
        if not live.is_bridge(name) or (wanted and not device):
            continue
        for port in live.ports(name):
            if port in live.links and live.links[port].guest:
                linux = ("ip", "link", "set", "dev", port, "master", name)
                found.append(may(*(("ovs-vsctl", "--timeout=30", "--may-exist", "add-port", name, port) if of_ovs else linux)))
    return found


def as_before(names: t.Iterable[str], live: Live) -> list[Command]:
    """Addresses and default routes as they were, whoever had set them."""
    found: list[Command] = []
    for name in names:
        link = live.links.get(name)
        if not link or link.dynamic:
            continue
        found += [may("ip", "address", "replace", one, "dev", name) for one in link.addresses]
        if link.addresses:
            found.append(may("ip", "link", "set", "dev", name, "up"))
        for family, gateways in (("-4", live.gateways), ("-6", live.gateways6)):
            if name in gateways:
                found.append(may("ip", family, "route", "replace", "default", "via", gateways[name], "dev", name))
        found += [may("ip", "route", "replace", one.to, "via", one.via, "dev", name) for one in live.routes.get(name, ())]
    return found
