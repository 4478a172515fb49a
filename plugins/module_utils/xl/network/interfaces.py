# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""interfaces(5): reads and edits the files of others, and writes ours. A stanza of others that ours replaces is commented out."""

from __future__ import annotations

import typing as t

from .device import BOND, BRIDGE, NIC, OVS, VLAN, Addressing, Device, Wanted

MAIN = "/etc/network/interfaces"
FOLDER = "/etc/network/interfaces.d"
OURS = f"{FOLDER}/domzero-xen"
HEADER = "# Written by Ansible (domzero.xen.xl_network); changes are lost.\n"
TAKEN = "#domzero.xen# "
HEADS = ("auto", "iface", "mapping", "source", "source-directory", "source-dir", "no-auto-down", "no-scripts", "rename", "template")


def words(line: str) -> list[str]:
    return [] if line.lstrip().startswith("#") else line.split()


def is_head(line: str) -> bool:
    first = next(iter(words(line)), "")
    return first in HEADS or first.startswith("allow-")


def logical(text: str) -> list[str]:
    """Lines, those that end in a backslash with the next."""
    found: list[str] = []
    for line in text.splitlines():
        if found and found[-1].endswith("\\"):
            found[-1] = f"{found[-1]}\n{line}"
        else:
            found.append(line)
    return found


def stanzas(text: str) -> dict[str, list[str]]:
    """The iface stanzas of a file by device: their lines without indentation, and "auto" if it is brought up at boot."""
    found: dict[str, list[str]] = {}
    current: list[str] | None = None
    for line in logical(text):
        told = words(line)
        if not told:
            continue
        if is_head(line):
            current = None
        if told[0] == "auto" or told[0].startswith("allow-"):
            for name in told[1:]:
                found.setdefault(name, []).append(told[0])
        elif told[0] == "iface" and len(told) > 1:
            current = found.setdefault(told[1], [])
            current.append(" ".join(told))
        elif current is not None:
            current.append(" ".join(told))
    return found


def sources(text: str) -> list[str]:
    """The patterns of "source" and the folders of "source-directory" (with /* behind them)."""
    told = [words(line) for line in logical(text)]
    return [one[1] if one[0] == "source" else f"{one[1].rstrip('/')}/*" for one in told if len(one) > 1 and one[0].startswith("source")]


def without(text: str, names: t.Collection[str]) -> str:
    """The file with the stanzas of some devices commented out."""
    found: list[str] = []
    taking = False
    for line in logical(text):
        told = words(line)
        if is_head(line):
            taking = told[0] == "iface" and len(told) > 1 and told[1] in names
            if (told[0] == "auto" or told[0].startswith("allow-")) and set(told[1:]) & set(names):
                rest = [name for name in told[1:] if name not in names]
                found += [TAKEN + line, *([" ".join([told[0], *rest])] if rest else [])]
                continue
        found += [TAKEN + part for part in line.split("\n")] if taking and told else [line]
    return "\n".join(found) + ("\n" if text.endswith("\n") else "")


def sourced(text: str) -> str:
    """The main file, which reads ours as well."""
    if {f"{FOLDER}/*", OURS} & set(sources(text)):
        return text
    return f"{text}{'' if not text or text.endswith(chr(10)) else chr(10)}\nsource {FOLDER}/*\n"


def rendered(wanted: Wanted, resolved: t.Mapping[str, Addressing]) -> str:
    """Our file; "" if there is nothing to say."""
    ports = [name for device in wanted.devices for name in device.ports if not wanted.device(name)]
    made = [port_stanza(name, wanted) for name in ports]
    made += [stanza(device, wanted, resolved[device.name]) for device in wanted.in_order()]
    return HEADER + "".join(f"\n{one}" for one in made) if made else ""


def port_stanza(name: str, wanted: Wanted) -> str:
    upper = wanted.above(name)
    return joined(name, [f"iface {name} inet manual", *as_port(name, upper)], upper)


def joined(name: str, lines: t.Sequence[str], upper: Device | None) -> str:
    """With the line that brings it up: ifupdown brings up ports of Open vSwitch with their bridge."""
    start = f"allow-{upper.name} {name}" if upper and upper.kind == OVS else f"auto {name}"
    return "".join(f"{line}\n" for line in (start, *lines))


def as_port(name: str, upper: Device | None) -> list[str]:
    if upper and upper.kind == OVS:
        return [f"    ovs_bridge {upper.name}", "    ovs_type OVSPort"]
    if upper and upper.kind == BOND:
        return [f"    bond-master {upper.name}"]
    return []


def stanza(device: Device, wanted: Wanted, addressing: Addressing) -> str:
    upper = wanted.above(device.name)
    how = [*kind_lines(device), *([f"    mtu {device.mtu}"] if device.mtu else []), *as_port(device.name, upper)]
    four = [one for one in addressing.addresses if ":" not in one]
    six = [one for one in addressing.addresses if ":" in one]
    more = [f"    up ip route replace {one.to} via {one.via} dev {device.name}" for one in addressing.routes]
    if addressing.dns:
        more.append(f"    dns-nameservers {' '.join(addressing.dns)}")
    lines: list[str] = []
    if addressing.dhcp or not four:
        lines += [f"iface {device.name} inet {'dhcp' if addressing.dhcp else 'manual'}", *how, *more]
    for place, one in enumerate(four):
        lines += [f"iface {device.name} inet static", f"    address {one}"]
        if place == 0:
            lines += [*([f"    gateway {addressing.gateway}"] if addressing.gateway else []), *how, *more]
    for place, one in enumerate(six):
        lines += [f"iface {device.name} inet6 static", f"    address {one}"]
        if place == 0 and addressing.gateway6:
            lines.append(f"    gateway {addressing.gateway6}")
    start = [f"allow-ovs {device.name}"] if device.kind == OVS else []
    return joined(device.name, [*start, *lines], upper)


def kind_lines(device: Device) -> list[str]:
    """What makes it that kind of device: bridge-utils-interfaces(5), ifenslave, README.Debian of openvswitch-switch."""
    if device.kind == BRIDGE:
        hardware = [f"    bridge_hw {device.ports[0]}"] if device.ports else []
        quick = ["    bridge_stp on"] if device.stp else ["    bridge_stp off", "    bridge_fd 0", "    bridge_maxwait 0"]
        return [f"    bridge_ports {' '.join(device.ports) or 'none'}", *hardware, *quick]
    if device.kind == OVS:
        # Open vSwitch sets the MTU of its own device anew, unless it is asked for one
        size = [f"    ovs_extra set Interface {device.name} mtu_request={device.mtu}"] if device.mtu else []
        return ["    ovs_type OVSBridge", *([f"    ovs_ports {' '.join(device.ports)}"] if device.ports else []), *size]
    if device.kind == BOND:
        options = dict(device.bond)
        named = {"mode": "bond-mode", "miimon": "bond-miimon", "lacp_rate": "bond-lacp-rate"}
        named |= {"xmit_hash_policy": "bond-xmit-hash-policy", "primary": "bond-primary"}
        return ["    bond-slaves none", *(f"    {named[key]} {value}" for key, value in options.items())]
    if device.kind == VLAN:
        # ifupdown makes VLANs by itself for some names only, and not with any version
        made = f"ip link add link {device.parent} name {device.name} type vlan id {device.vlan}"
        return [
            f"    pre-up ip link set dev {device.parent} up", f"    pre-up ip link show dev {device.name} > /dev/null 2>&1 || {made}",
            f"    post-down ip link del dev {device.name} 2> /dev/null || true",
        ]  # fmt: skip
    return []


def packages(wanted: Wanted) -> dict[str, str]:
    """What ifupdown needs for these devices: a file of it, and its package."""
    kinds = {device.kind for device in wanted.devices}
    needed = {
        BRIDGE: ("/usr/share/doc/bridge-utils", "bridge-utils"), BOND: ("/usr/share/doc/ifenslave", "ifenslave"),
        OVS: ("/usr/share/doc/openvswitch-switch", "openvswitch-switch"),
    }  # fmt: skip
    return {path: package for kind, (path, package) in needed.items() if kind in kinds and kind != NIC}
