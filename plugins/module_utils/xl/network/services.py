# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What belongs to a network beside its devices, with files and units of its own: forwarding, NAT, DHCP, bridges of Open vSwitch."""

from __future__ import annotations

import ipaddress
import typing as t

from .device import OVS, Addressing, Device, Wanted

CONF = "/etc/domzero-xen"
UNITS = "/etc/systemd/system"
SYSCTL = "/etc/sysctl.d/60-domzero-xen-network.conf"
HEADER = "# Written by Ansible (domzero.xen.xl_network); changes are lost.\n"
NAT, NAT_UNIT, TABLE = f"{CONF}/nat.nft", "domzero-xen-nat.service", "domzero_xen_nat"
DHCP_UNIT = "domzero-xen-dhcp@.service"
OVS_UNIT = "domzero-xen-ovs.service"
VSWITCH = "openvswitch-switch.service"
VSCTL = "/usr/bin/ovs-vsctl --timeout=30"


def files(wanted: Wanted, resolved: t.Mapping[str, Addressing], manager: str) -> dict[str, str]:
    """Text by path."""
    made: dict[str, str] = {}
    if sysctl(wanted):
        made[SYSCTL] = HEADER + "".join(f"{key} = {value}\n" for key, value in sysctl(wanted).items())
    if wanted.nat:
        made[NAT] = nat(wanted, resolved)
        made[f"{UNITS}/{NAT_UNIT}"] = NAT_TEXT
    for device in wanted.devices:
        if device.dhcp_range:
            made[f"{CONF}/dhcp-{device.name}.conf"] = dhcp(device)
            made[f"{UNITS}/{DHCP_UNIT}"] = DHCP_TEXT
    if manager == "networkd" and any(device.kind == OVS for device in wanted.devices):
        made[f"{UNITS}/{OVS_UNIT}"] = ovs(wanted)
    return made


def sysctl(wanted: Wanted) -> dict[str, int]:
    """Kernel settings by name. NAT and proxy ARP need forwarding."""
    found: dict[str, int] = {}
    forwarding = wanted.forwarding or wanted.nat or bool(wanted.proxy_arp)
    if forwarding or wanted.forwarding is not None:
        found["net.ipv4.ip_forward"] = int(bool(forwarding))
    # a dot in a device's name would be one between names
    return {**found, **{f"net/ipv4/conf/{name}/proxy_arp": 1 for name in wanted.proxy_arp}}


def nat(wanted: Wanted, resolved: t.Mapping[str, Addressing]) -> str:
    """Rules for nft -f. The table is made before it is deleted, so that it can be loaded again and again."""
    rules: list[str] = []
    for device in wanted.devices:
        for one in resolved[device.name].addresses if device.nat else ():
            if ":" not in one:
                rules.append(f'ip saddr {ipaddress.ip_interface(one).network} oifname != "{device.name}" masquerade')
    chain = "".join(f"\t\t{rule}\n" for rule in ("type nat hook postrouting priority srcnat; policy accept;", *rules))
    return f"{HEADER}table ip {TABLE}\ndelete table ip {TABLE}\ntable ip {TABLE} {{\n\tchain postrouting {{\n{chain}\t}}\n}}\n"


def dhcp(device: Device) -> str:
    """For dnsmasq(8), which also answers the guests' questions for names."""
    lines = [
        f"interface={device.name}", "bind-dynamic", "except-interface=lo",
        f"dhcp-range={','.join((*device.dhcp_range, device.dhcp_lease))}",
        f"dhcp-leasefile=/var/lib/misc/domzero-xen-{device.name}.leases", "dhcp-authoritative",
        *(f"dhcp-host={','.join(filter(None, (host.mac, host.address, host.name)))}" for host in device.dhcp_hosts),
    ]  # fmt: skip
    return HEADER + "".join(f"{line}\n" for line in lines)


def ovs(wanted: Wanted) -> str:
    """networkd makes no bridges of Open vSwitch, and does not bring up their ports."""
    made: list[str] = []
    for device in wanted.devices:
        if device.kind == OVS:
            made.append(f"ExecStart={VSCTL} --may-exist add-br {device.name}")
            if device.mtu:
                made.append(f"ExecStart={VSCTL} set Interface {device.name} mtu_request={device.mtu}")
            for port in device.ports:
                made += [f"ExecStart={VSCTL} --may-exist add-port {device.name} {port}", f"ExecStart=/usr/sbin/ip link set dev {port} up"]
    return OVS_TEXT.replace("@EXEC@", "\n".join(made))


def units(made: t.Mapping[str, str]) -> list[str]:
    """The units to enable and start for these files."""
    found = [OVS_UNIT] if f"{UNITS}/{OVS_UNIT}" in made else []
    found += [NAT_UNIT] if NAT in made else []
    bridges = sorted(path[len(f"{CONF}/dhcp-") : -len(".conf")] for path in made if path.startswith(f"{CONF}/dhcp-"))
    return [*found, *(DHCP_UNIT.replace("@", f"@{name}") for name in bridges)]


def behind(unit: str) -> list[str]:
    """The files whose change a unit has to notice."""
    if unit.startswith("domzero-xen-dhcp@"):
        return [f"{CONF}/dhcp-{unit[len('domzero-xen-dhcp@') : -len('.service')]}.conf", f"{UNITS}/{DHCP_UNIT}"]
    return [NAT, f"{UNITS}/{NAT_UNIT}"] if unit == NAT_UNIT else [f"{UNITS}/{unit}"]


NAT_TEXT = f"""{HEADER}[Unit]
Description=NAT for guests of Xen
Wants=network-pre.target
Before=network-pre.target
After=nftables.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/sbin/nft -f {NAT}
ExecReload=/usr/sbin/nft -f {NAT}
ExecStop=/usr/sbin/nft delete table ip {TABLE}

[Install]
WantedBy=multi-user.target
"""

DHCP_TEXT = f"""{HEADER}[Unit]
Description=DHCP and names for guests of Xen on %i
After=network.target

[Service]
ExecStart=/usr/sbin/dnsmasq --keep-in-foreground --conf-file={CONF}/dhcp-%i.conf
Restart=on-failure

[Install]
WantedBy=multi-user.target
"""

OVS_TEXT = f"""{HEADER}[Unit]
Description=Bridges of Open vSwitch for guests of Xen
Requires=openvswitch-switch.service
After=openvswitch-switch.service
Before=network.target

[Service]
Type=oneshot
RemainAfterExit=yes
@EXEC@

[Install]
WantedBy=multi-user.target
"""
