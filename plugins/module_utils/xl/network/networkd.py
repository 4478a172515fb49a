# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""systemd.network(5) and systemd.netdev(5): the files of a description."""

from __future__ import annotations

import fnmatch
import typing as t
from dataclasses import replace

from .device import BOND, BRIDGE, NIC, OVS, VLAN, Addressing, Device, Live, Wanted

FOLDER = "/etc/systemd/network"
# the first file that matches a device is the one that counts, and netplan's begin with 10-
PREFIX = "05-domzero-xen-"
HEADER = "# Written by Ansible (domzero.xen.xl_network); changes are lost.\n"
KINDS = {BRIDGE: "bridge", BOND: "bond", VLAN: "vlan"}
BOND_KEYS = {
    "mode": "Mode", "miimon": "MIIMonitorSec", "lacp_rate": "LACPTransmitRate", "xmit_hash_policy": "TransmitHashPolicy",
}  # fmt: skip
Section = tuple[str, t.Sequence[str]]


def files(wanted: Wanted, resolved: t.Mapping[str, Addressing], live: Live) -> dict[str, str]:
    """Text by path."""
    made: dict[str, str] = {}
    names = [device.name for device in wanted.in_order()]
    others = [name for device in wanted.devices for name in device.below if name not in names]
    for name in dict.fromkeys([*others, *names]):
        device = wanted.device(name)
        made[f"{FOLDER}/{PREFIX}{name}.network"] = text(network(name, device, wanted, resolved.get(name, Addressing())))
        if device and device.kind in KINDS:
            made[f"{FOLDER}/{PREFIX}{name}.netdev"] = text(netdev(device, wanted, live))
    return made


def completed(wanted: Wanted) -> Wanted:
    """With the NICs under VLANs: the file that counts for a NIC has to name its VLANs, so it has to be ours."""
    missing = [one.parent for one in wanted.devices if one.kind == VLAN and not wanted.device(one.parent) and not wanted.above(one.parent)]
    return replace(wanted, devices=(*(Device(name, NIC) for name in dict.fromkeys(missing)), *wanted.devices))


def text(sections: t.Iterable[Section]) -> str:
    return HEADER + "".join(f"\n[{name}]\n" + "".join(f"{line}\n" for line in lines) for name, lines in sections if lines)


def netdev(device: Device, wanted: Wanted, live: Live) -> list[Section]:
    lines = [f"Name={device.name}", f"Kind={KINDS[device.kind]}"]
    if device.mtu:
        lines.append(f"MTUBytes={device.mtu}")
    if device.kind == BRIDGE and device.ports:
        mac = hardware(device.ports[0], wanted, live)
        lines += [f"MACAddress={mac}"] if mac else []
        quick = ["STP=yes"] if device.stp else ["STP=no", "ForwardDelaySec=0"]
        return [("NetDev", lines), ("Bridge", quick)]
    if device.kind == BRIDGE:
        return [("NetDev", lines), ("Bridge", ["STP=yes" if device.stp else "STP=no"])]
    if device.kind == BOND:
        options = dict(device.bond)
        told = [f"{key}={options[name]}{'ms' if name == 'miimon' else ''}" for name, key in BOND_KEYS.items() if name in options]
        mac = hardware(device.ports[0], wanted, live)
        lines += [f"MACAddress={mac}"] if mac else []
        return [("NetDev", lines), ("Bond", told)]
    return [("NetDev", lines), ("VLAN", [f"Id={device.vlan}"])]


def hardware(name: str, wanted: Wanted, live: Live) -> str:
    """The MAC address of the NIC under a port: the bridge keeps the one the network knows."""
    device = wanted.device(name)
    if device and device.below:
        return hardware(device.below[0], wanted, live)
    return live.links[name].mac if name in live.links else ""


def network(name: str, device: Device | None, wanted: Wanted, addressing: Addressing) -> list[Section]:
    upper = wanted.above(name)
    match = ("Match", [f"Name={name}"])
    if upper and upper.kind == OVS:
        return [match, ("Link", ["Unmanaged=yes"])]  # else networkd would take it out of the bridge
    link = [
        *([f"MTUBytes={device.mtu}"] if device and device.mtu and device.kind == NIC else []),
        *([] if addressing else ["RequiredForOnline=no"]),
    ]
    lines = [f"VLAN={one.name}" for one in wanted.devices if one.kind == VLAN and one.parent == name]
    if upper:
        lines += [f"{'Bond' if upper.kind == BOND else 'Bridge'}={upper.name}"]
        if upper.kind == BOND and dict(upper.bond).get("primary") == name:
            lines.append("PrimarySlave=yes")
    if not addressing:
        lines.append("LinkLocalAddressing=no")
    if device and not device.below:
        lines += ["ConfigureWithoutCarrier=yes"] if device.kind != NIC else []
    lines += ["DHCP=ipv4"] if addressing.dhcp else []
    lines += [f"Address={one}" for one in addressing.addresses]
    lines += [f"Gateway={one}" for one in (addressing.gateway, addressing.gateway6) if one]
    lines += [f"DNS={one}" for one in addressing.dns]
    routes: list[Section] = [("Route", [f"Destination={one.to}", f"Gateway={one.via}"]) for one in addressing.routes]
    return [match, ("Link", link), ("Network", lines), *routes]


def matching(files_of_others: t.Mapping[str, str], name: str) -> str:
    """The path of the .network file that counts for a device; "" if there is none."""
    for path in sorted(files_of_others, key=base):
        if base(path).endswith(".network") and any(fnmatch.fnmatch(name, one) for one in values(files_of_others[path], "Match", "Name")):
            return path
    return ""


def values(told: str, section: str, key: str) -> list[str]:
    """The words a section has under a key, of all its lines."""
    found: list[str] = []
    current = ""
    for line in told.splitlines():
        stripped = line.strip()
        if stripped.startswith("["):
            current = stripped.strip("[]")
        elif current == section and stripped.partition("=")[0].strip() == key:
            found += stripped.partition("=")[2].split()
    return found


def name_servers(files_of_others: t.Mapping[str, str], name: str) -> tuple[str, ...]:
    path = matching(files_of_others, name)
    return tuple(values(files_of_others[path], "Network", "DNS")) if path else ()


def shadowing(files_of_others: t.Mapping[str, str], name: str) -> str:
    """The file of others that would count for a device instead of ours; "" if ours does."""
    path = matching(files_of_others, name)
    return path if path and base(path) < f"{PREFIX}{name}.network" else ""


def base(path: str) -> str:
    return path.rsplit("/", 1)[-1]
