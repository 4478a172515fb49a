# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a description fits together, and whether it fits a host."""

from __future__ import annotations

import ipaddress
import re

from ...errors import InvalidChange, NotFound
from .device import BOND, NIC, VLAN, Addressing, Device, Live, Wanted

LEASE = re.compile(r"[0-9]+[smhdw]?|infinite")


def check(wanted: Wanted) -> None:
    """Raises InvalidChange for what contradicts itself."""
    seen: set[str] = set()
    for device in wanted.devices:
        if device.name in seen:
            raise InvalidChange(f"{device.name} is described twice.")
        seen.add(device.name)
    ports_once(wanted)
    no_circle(wanted)
    for device in wanted.devices:
        upper = wanted.above(device.name)
        if upper and device.addressing:
            raise InvalidChange(
                f"{device.name} is a port of {upper.name} and has addresses.", hint=f"Give them to {upper.name}: a port has none."
            )
        if device.kind == VLAN and upper and wanted.above(device.parent) is upper:
            raise InvalidChange(f"{upper.name} has both {device.name} and {device.parent}, on which it stands, as ports.")
        serving(device)
    addresses_once(wanted)


def ports_once(wanted: Wanted) -> None:
    owner: dict[str, str] = {}
    for device in wanted.devices:
        for port in device.ports:
            if port in owner and owner[port] == device.name:
                raise InvalidChange(f"{device.name} names its port {port} twice.")
            if port in owner:
                raise InvalidChange(f"{port} is a port of both {owner[port]} and {device.name}.", hint="A device has one bridge or bond.")
            owner[port] = device.name
            described = wanted.device(port)
            if described and described.kind not in (NIC, BOND, VLAN):
                raise InvalidChange(f"{device.name}: its port {port} is a bridge.", hint="Ports are NICs, bonds and VLANs.")
            if described and device.kind == BOND and described.kind != NIC:
                raise InvalidChange(f"Bond {device.name}: its port {port} is no NIC.")


def no_circle(wanted: Wanted) -> None:
    for device in wanted.devices:
        below, seen = [device.name], set()
        while below:
            lower = wanted.device(below.pop())
            if not lower:
                continue
            if lower.name in seen:
                raise InvalidChange(f"{device.name} stands on itself, by way of its ports or parents.")
            seen.add(lower.name)
            below += [name for name in lower.below if name not in below]


def serving(device: Device) -> None:
    """NAT and DHCP for guests. Raises InvalidChange."""
    own = [ipaddress.IPv4Interface(one) for one in (device.addressing.addresses if device.addressing else ()) if ":" not in one]
    if not (device.nat or device.dhcp_range or device.dhcp_hosts):
        return
    if device.ports:
        raise InvalidChange(f"Bridge {device.name} has ports and serves guests with NAT or DHCP.", hint="A bridge for NAT has no ports.")
    if not own:
        raise InvalidChange(f"Bridge {device.name} needs an IPv4 address for NAT and DHCP.", hint="addresses: [10.9.0.1/24], for example.")
    if device.dhcp_hosts and not device.dhcp_range:
        raise InvalidChange(f"Bridge {device.name} has dhcp_hosts but no dhcp_range.")
    if not LEASE.fullmatch(device.dhcp_lease):
        raise InvalidChange(f"Bridge {device.name}: {device.dhcp_lease!r} is no lease time.", hint="12h, 30m or infinite.")
    if device.dhcp_range:
        in_range(device, own[0])


def in_range(device: Device, own: ipaddress.IPv4Interface) -> None:
    if len(device.dhcp_range) != 2:
        raise InvalidChange(f"Bridge {device.name}: dhcp_range is the first and the last address.")
    try:
        first, last = (ipaddress.IPv4Address(one) for one in device.dhcp_range)
        fixed = [ipaddress.IPv4Address(host.address) for host in device.dhcp_hosts]
    except ValueError as e:
        raise InvalidChange(f"Bridge {device.name}: {e}.") from None
    for one in (first, last, *fixed):
        if one not in own.network:
            raise InvalidChange(f"Bridge {device.name}: {one} lies outside its network {own.network}.")
    if first > last:
        raise InvalidChange(f"Bridge {device.name}: the first address {first} of dhcp_range comes after the last {last}.")
    if first <= own.ip <= last or own.ip in fixed:
        raise InvalidChange(f"Bridge {device.name} would give its own address {own.ip} to a guest.", hint="Take it out of dhcp_range.")


def addresses_once(wanted: Wanted) -> None:
    """No address and no network twice, one default gateway of each family. Raises InvalidChange."""
    known: list[tuple[str, ipaddress.IPv4Interface | ipaddress.IPv6Interface]] = []
    for device in wanted.devices:
        for text in device.addressing.addresses if device.addressing else ():
            one = ipaddress.ip_interface(text)
            for other, before in known:
                if before.version == one.version and other != device.name and before.network.overlaps(one.network):
                    raise InvalidChange(
                        f"The networks of {other} ({before.network}) and {device.name} ({one.network}) overlap.",
                        hint="A network is on one device.",
                    )
            known.append((device.name, one))
    for key in ("gateway", "gateway6"):
        having = [device.name for device in wanted.devices if device.addressing and getattr(device.addressing, key)]
        if len(having) > 1:
            raise InvalidChange(f"{' and '.join(having)} both have a default {key}.", hint="A host has one default route.")


def fits(wanted: Wanted, live: Live, ours: frozenset[str] = frozenset()) -> None:
    """Raises NotFound for what the host does not have. ours: devices that are there because of an earlier description."""
    present = sorted(name for name, link in live.links.items() if link.physical)
    told = f"The host has {', '.join(present)}." if present else "The host has none."
    for device in wanted.devices:
        names = [device.name] if device.kind == NIC else device.below
        for name in names:
            going = name in ours and not wanted.device(name)
            if (not wanted.device(name) or wanted.device(name) is device) and (name not in live.links or going):
                lack = f"There is no NIC {name}." if name == device.name else f"{device.name} needs {name}, and there is no such NIC."
                raise NotFound(lack, hint=told)
        if device.kind != NIC and device.name in live.links and live.links[device.name].physical and device.name not in live.ovs:
            # the internal port of an Open vSwitch bridge is kept by name; a NIC is none of ours
            raise InvalidChange(f"{device.name} is a NIC of the host, and cannot be a {device.kind} as well.", hint="Choose another name.")
    for name in wanted.proxy_arp:
        if name not in live.links and not wanted.device(name):
            raise NotFound(f"proxy_arp names {name}, and there is no such device.", hint=told)


def reaches(wanted: Wanted, live: Live, resolved: dict[str, Addressing], going: frozenset[str]) -> None:
    """The host stays reachable: whatever has the default route now, or is under it, has addresses afterwards. Raises InvalidChange.

    resolved: addresses of the devices that are described. going: devices that are taken away.
    """
    device = live.default_device
    if not device:
        return
    had = ", ".join(live.links[device].addresses) if device in live.links else ""
    upper = wanted.above(device)
    holder, seen = device, {device}
    while wanted.above(holder) and wanted.above(holder).name not in seen:  # type: ignore[union-attr]
        holder = wanted.above(holder).name  # type: ignore[union-attr]
        seen.add(holder)
    if upper and not resolved.get(holder):
        raise InvalidChange(
            f"{device} has the default route ({had}) and becomes a port of {upper.name}, and {holder} has no addresses.",
            hint=f"Say nothing of addresses: {holder} then takes over what {device} has.",
        )
    if device in resolved and not upper and not resolved[device]:
        raise InvalidChange(f"{device} has the default route ({had}), and the description leaves it no address.")
    if device in going and not any(resolved.get(name) for name in (*live.ports(device), *(one.name for one in wanted.devices))):
        raise InvalidChange(
            f"{device} has the default route ({had}), and the description no longer has it.",
            hint="Describe what the host is reached by: a bridge, or the NIC under nics.",
        )
    if device in going and not any(one.gateway or one.gateway6 or one.dhcp for one in resolved.values()):
        raise InvalidChange(f"{device} has the default route ({had}), and nothing of the description has a gateway.")
