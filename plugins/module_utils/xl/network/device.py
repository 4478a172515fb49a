# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a host's network is to be: devices with their addresses, as values."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

NIC, BOND, VLAN, BRIDGE, OVS = "nic", "bond", "vlan", "bridge", "openvswitch"


@dataclass(frozen=True)
class Route:
    """A network and the gateway to it."""

    to: str
    via: str


@dataclass(frozen=True)
class Addressing:
    """What a device has on the IP layer. addresses as 10.0.0.1/24, of both families."""

    addresses: tuple[str, ...] = ()
    gateway: str = ""
    gateway6: str = ""
    dhcp: bool = False
    routes: tuple[Route, ...] = ()
    dns: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.addresses or self.dhcp)

    def plain(self) -> dict[str, t.Any]:
        """For JSON."""
        return {
            "addresses": list(self.addresses), "gateway": self.gateway, "gateway6": self.gateway6, "dhcp": self.dhcp,
            "routes": [{"to": route.to, "via": route.via} for route in self.routes], "dns": list(self.dns),
        }  # fmt: skip

    @classmethod
    def of(cls, plain: t.Mapping[str, t.Any]) -> Addressing:
        """From what plain() gave."""
        routes = tuple(Route(str(one["to"]), str(one["via"])) for one in plain.get("routes") or ())
        return cls(
            tuple(plain.get("addresses") or ()), plain.get("gateway") or "", plain.get("gateway6") or "", bool(plain.get("dhcp")), routes,
            tuple(plain.get("dns") or ()),
        )  # fmt: skip


@dataclass(frozen=True)
class DhcpHost:
    """A guest that always gets the same address."""

    mac: str
    address: str
    name: str = ""


@dataclass(frozen=True)
class Device:
    """A device that is described. addressing None: it takes over what it, or its ports, have."""

    name: str
    kind: str
    ports: tuple[str, ...] = ()
    parent: str = ""
    vlan: int = 0
    mtu: int = 0
    stp: bool = False
    bond: tuple[tuple[str, str], ...] = ()
    addressing: Addressing | None = None
    nat: bool = False
    dhcp_range: tuple[str, ...] = ()
    dhcp_lease: str = "12h"
    dhcp_hosts: tuple[DhcpHost, ...] = ()

    @property
    def below(self) -> tuple[str, ...]:
        """The devices it stands on."""
        return (self.parent,) if self.parent else self.ports


@dataclass(frozen=True)
class Wanted:
    """The whole description. forwarding None: not managed."""

    devices: tuple[Device, ...] = ()
    forwarding: bool | None = None
    proxy_arp: tuple[str, ...] = ()

    def device(self, name: str) -> Device | None:
        return next((one for one in self.devices if one.name == name), None)

    def above(self, name: str) -> Device | None:
        """The bridge or bond whose port it is."""
        return next((one for one in self.devices if name in one.ports), None)

    @property
    def nat(self) -> bool:
        return any(one.nat for one in self.devices)

    def in_order(self) -> list[Device]:
        """What others stand on comes first, else as described."""
        done: list[Device] = []

        def add(device: Device) -> None:
            for name in device.below:
                lower = self.device(name)
                if lower and lower not in done:
                    add(lower)
            if device not in done:
                done.append(device)

        for device in self.devices:
            add(device)
        return done


@dataclass(frozen=True)
class Link:
    """A device the kernel has, of "ip -d -j address show"."""

    name: str
    kind: str = ""
    mac: str = ""
    master: str = ""
    parent: str = ""
    vlan: int = 0
    mtu: int = 0
    addresses: tuple[str, ...] = ()
    dynamic: bool = False
    bond_mode: str = ""
    bus: str = ""

    @property
    def physical(self) -> bool:
        """A NIC; also what stands for one in a namespace."""
        return self.kind in ("", "veth", "dummy", "macvlan", "ipvlan") and self.name != "lo" and not self.guest

    @property
    def guest(self) -> bool:
        """The host's end of a guest's network interface."""
        return self.bus == "xen-backend" or self.kind in ("tun", "tap") or self.name.startswith(("vif", "tap"))


@dataclass(frozen=True)
class Live:
    """What the host has now."""

    links: t.Mapping[str, Link] = field(default_factory=dict)
    gateways: t.Mapping[str, str] = field(default_factory=dict)
    gateways6: t.Mapping[str, str] = field(default_factory=dict)
    routes: t.Mapping[str, tuple[Route, ...]] = field(default_factory=dict)
    ovs: t.Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    dns: t.Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def ports(self, name: str) -> tuple[str, ...]:
        """The ports of a bridge or bond now."""
        return self.ovs[name] if name in self.ovs else tuple(one.name for one in self.links.values() if one.master == name)

    def is_bridge(self, name: str) -> bool:
        return name in self.ovs or (name in self.links and self.links[name].kind == "bridge")

    def master_of(self, name: str) -> str:
        for bridge, ports in self.ovs.items():
            if name in ports and name != bridge:
                return bridge
        return self.links[name].master if name in self.links else ""

    @property
    def default_device(self) -> str:
        """The device of the IPv4 default route, else of that of IPv6."""
        return next(iter(self.gateways), "") or next(iter(self.gateways6), "")
