# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From a task's options to Wanted; what cannot be is refused by name, whatever the host has."""

from __future__ import annotations

import ipaddress
import re
import typing as t

from ...errors import InvalidChange
from .device import BOND, BRIDGE, NIC, OVS, VLAN, Addressing, Device, DhcpHost, Route, Wanted
from .sound import check

Options = t.Mapping[str, t.Any]
# of the kernel's bonding driver (Documentation/networking/bonding.rst)
MODES = ("balance-rr", "active-backup", "balance-xor", "broadcast", "802.3ad", "balance-tlb", "balance-alb")
BOND_OPTIONS = ("mode", "miimon", "lacp_rate", "xmit_hash_policy", "primary")
IFNAMSIZ = 15  # characters of a name, without the final zero (linux/if.h)
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")


def wanted(options: Options) -> Wanted:
    """Raises InvalidChange."""
    devices = [
        *(nic(one) for one in options.get("nics") or ()),
        *(bond(one) for one in options.get("bonds") or ()),
        *(vlan(one) for one in options.get("vlans") or ()),
        *(bridge(one) for one in options.get("bridges") or ()),
    ]
    found = Wanted(tuple(devices), options.get("forwarding"), tuple(options.get("proxy_arp") or ()))
    check(found)
    return found


def nic(one: Options) -> Device:
    return Device(named(one["name"], "NIC"), NIC, mtu=mtu(one), addressing=addressing(one["name"], one))


def bond(one: Options) -> Device:
    name = named(one["name"], "bond")
    ports = tuple(one.get("ports") or ())
    if not ports:
        raise InvalidChange(f"Bond {name} has no ports (slaves).", hint="Name its NICs under ports.")
    if one.get("mode", MODES[0]) not in MODES:
        raise InvalidChange(f"Bond {name}: there is no mode {one['mode']!r}.", hint=f"The modes: {', '.join(MODES)}.")
    if one.get("primary") and one["primary"] not in ports:
        raise InvalidChange(f"Bond {name}: its primary {one['primary']} is none of its ports ({', '.join(ports)}).")
    told = tuple((key, str(one[key])) for key in BOND_OPTIONS if one.get(key) not in (None, ""))
    return Device(name, BOND, ports, mtu=mtu(one), bond=told, addressing=addressing(name, one))


def vlan(one: Options) -> Device:
    tag, parent = int(one["id"]), named(one["parent"], "device")
    name = named(one.get("name") or f"{parent}.{tag}", "VLAN")
    if not 1 <= tag <= 4094:
        raise InvalidChange(f"VLAN {name}: the tag {tag} is out of range.", hint="A VLAN tag lies between 1 and 4094.")
    return Device(name, VLAN, parent=parent, vlan=tag, mtu=mtu(one), addressing=addressing(name, one))


def bridge(one: Options) -> Device:
    name = named(one["name"], "bridge")
    if "." in name:
        raise InvalidChange(f"Bridge {name}: a name with a dot is that of a VLAN.", hint="Choose a name without a dot.")
    kind = OVS if one.get("type") == OVS else BRIDGE
    hosts = tuple(DhcpHost(mac(name, host["mac"]), host["address"], host.get("name") or "") for host in one.get("dhcp_hosts") or ())
    if kind == OVS and one.get("stp"):
        raise InvalidChange(f"Bridge {name}: stp is only set on bridges of the type linux.")
    return Device(
        name, kind, tuple(one.get("ports") or ()), mtu=mtu(one), stp=bool(one.get("stp")), addressing=addressing(name, one),
        nat=bool(one.get("nat")), dhcp_range=tuple(one.get("dhcp_range") or ()), dhcp_lease=one.get("dhcp_lease") or "12h",
        dhcp_hosts=hosts,
    )  # fmt: skip


def named(name: str, what: str) -> str:
    """Raises InvalidChange for what the kernel does not take."""
    if len(name) > IFNAMSIZ:
        raise InvalidChange(f"The name of {what} {name} has {len(name)} characters.", hint=f"The kernel allows {IFNAMSIZ}.")
    if not NAME.fullmatch(name) or name in ("lo", "all", "default", "none"):
        raise InvalidChange(f"{name!r} is no name for a {what}.", hint="Letters, digits, -, _ and . make a name.")
    return name


def mac(bridge_name: str, text: str) -> str:
    if not MAC.fullmatch(text.lower()):
        raise InvalidChange(f"Bridge {bridge_name}: {text!r} is no MAC address.")
    return text.lower()


def mtu(one: Options) -> int:
    value = one.get("mtu")
    if value is not None and not 68 <= int(value) <= 65535:
        raise InvalidChange(f"{one.get('name') or one.get('parent')}: an MTU of {value} bytes cannot be.")
    return int(value or 0)


def addressing(name: str, one: Options) -> Addressing | None:
    """None if nothing is said of addresses. Raises InvalidChange."""
    addresses, dhcp = one.get("addresses"), one.get("dhcp")
    if addresses is None and dhcp is None:
        extra = next((key for key in ("gateway", "gateway6", "routes", "dns") if one.get(key)), "")
        if extra:
            raise InvalidChange(f"{name} has {extra}, but neither addresses nor dhcp.")
        return None
    if addresses and dhcp:
        raise InvalidChange(f"{name} has both addresses and dhcp.", hint="Choose one.")
    found = tuple(address(name, text) for text in addresses or ())
    routes = tuple(
        Route(network(name, route["to"]), reachable(name, found, route["via"], "route's gateway")) for route in one.get("routes") or ()
    )
    gateway = reachable(name, found, one.get("gateway") or "", "gateway", 4)
    gateway6 = reachable(name, found, one.get("gateway6") or "", "gateway6", 6)
    dns = tuple(str(plain_address(name, text, "name server")) for text in one.get("dns") or ())
    return Addressing(found, gateway, gateway6, bool(dhcp), routes, dns)


def address(name: str, text: str) -> str:
    try:
        found = ipaddress.ip_interface(text)
    except ValueError:
        raise InvalidChange(f"{name}: {text!r} is no address.", hint="Addresses are given with their prefix: 10.0.0.1/24.") from None
    if "/" not in text:
        raise InvalidChange(f"{name}: {text} has no prefix.", hint="Addresses are given with their prefix: 10.0.0.1/24.")
    inner = found.network.prefixlen < found.max_prefixlen - 1
    if inner and found.ip in (found.network.network_address, found.network.broadcast_address) and found.version == 4:
        raise InvalidChange(f"{name}: {text} is the address of the network itself, or its broadcast address.")
    if found.ip.is_loopback or found.ip.is_multicast or found.ip.is_unspecified:
        raise InvalidChange(f"{name}: {text} is no address for a device.")
    return str(found)


def network(name: str, text: str) -> str:
    try:
        return str(ipaddress.ip_network(text, strict=True))
    except ValueError as e:
        raise InvalidChange(f"{name}: a route to {text!r}: {e}.") from None


def plain_address(name: str, text: str, what: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        raise InvalidChange(f"{name}: {what} {text!r} is no address.") from None


def reachable(name: str, addresses: t.Sequence[str], text: str, what: str, version: int = 0) -> str:
    """A gateway lies in a network of the device, and is another address. Raises InvalidChange."""
    if not text:
        return ""
    found = plain_address(name, text, what)
    if version and found.version != version:
        raise InvalidChange(f"{name}: {what} {text} is no IPv{version} address.")
    own = [ipaddress.ip_interface(one) for one in addresses]
    if any(found == one.ip for one in own):
        raise InvalidChange(f"{name}: {what} {text} is its own address.")
    if own and not any(found in one.network for one in own) and not found.is_link_local:
        raise InvalidChange(f"{name}: {what} {text} lies in none of its networks ({', '.join(str(one.network) for one in own)}).")
    return str(found)
