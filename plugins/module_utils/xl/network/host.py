# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads what a host's network is, and who manages it."""

from __future__ import annotations

import dataclasses
import glob
import json
import os
import typing as t

from ...errors import InvalidChange, NotFound
from ..tool import Tool
from . import interfaces, networkd, reading, services
from .by_ifupdown import stanzas
from .by_networkd import SERVICE
from .change import IFUPDOWN, NETWORKD, Facts
from .device import OVS, Live, Wanted
from .plan import NOTE
from .taking import Noted

NETWORKD_PLACES = ("/etc/systemd/network", "/run/systemd/network", "/usr/lib/systemd/network")


def facts(tool: Tool, wanted: Wanted, manager: str = "auto") -> Facts:
    """Raises XenError for what cannot be read, InvalidChange where no manager is known."""
    texts = all_texts()
    noted = noted_in(texts.get(NOTE, ""))
    active = running(tool, texts)
    found = live(tool, texts)
    settings = {key: value for key in services.sysctl(wanted) for value in [setting(key)] if value is not None}
    return Facts(choose(manager, noted, texts, active, found), found, noted, texts, active, settings)


def choose(manager: str, noted: Noted, texts: t.Mapping[str, str], active: frozenset[str], found: Live) -> str:
    """The manager that is asked for, or the one that manages this host. Raises InvalidChange, NotFound."""
    there = {IFUPDOWN: bool(place_of("ifup")), NETWORKD: bool(place_of("networkctl"))}
    if manager != "auto":
        if not there[manager]:
            raise NotFound(f"{manager} is not on this host.", hint=f"Install {'ifupdown' if manager == IFUPDOWN else 'systemd'}.")
        return manager
    if noted.manager and noted.devices:
        return noted.manager
    if there[IFUPDOWN] and (found.default_device in stanzas(texts) or SERVICE not in active):
        return IFUPDOWN
    if there[NETWORKD] and SERVICE in active:
        return NETWORKD
    raise InvalidChange(
        "Neither ifupdown nor systemd-networkd manages the network of this host.", hint="Install ifupdown, or set manager: networkd."
    )


def place_of(name: str) -> str:
    try:
        return Tool.which(name)
    except NotFound:
        return ""


def all_texts() -> dict[str, str]:
    """The configuration files of networks, by path."""
    paths = [interfaces.MAIN, interfaces.OURS, services.SYSCTL, NOTE, services.NAT]
    paths += [one for place in NETWORKD_PLACES for one in glob.glob(f"{place}/*.network")]
    paths += glob.glob(f"{networkd.FOLDER}/{networkd.PREFIX}*") + glob.glob(f"{services.CONF}/dhcp-*.conf")
    paths += glob.glob(f"{services.UNITS}/domzero-xen-*.service")
    found = {path: told for path in dict.fromkeys(paths) for told in [text(path)] if told is not None}
    found.pop(f"{services.UNITS}/domzero-xen-network-guard.service", None)
    for pattern in interfaces.sources(found.get(interfaces.MAIN, "")):
        pattern = os.path.join(os.path.dirname(interfaces.MAIN), pattern)
        found.update({path: told for path in glob.glob(pattern) for told in [text(path)] if told is not None and path not in found})
    return found


def text(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        return None


def noted_in(told: str) -> Noted:
    """A note that cannot be read is none."""
    try:
        found = json.loads(told or "{}")
        return Noted(dict(found.get("devices", {})), dict(found.get("taken", {})), str(found.get("manager", "")))
    except (ValueError, AttributeError, TypeError):
        return Noted()


def running(tool: Tool, texts: t.Mapping[str, str]) -> frozenset[str]:
    if not os.path.isdir("/run/systemd/system"):
        return frozenset()
    units = [SERVICE, services.VSWITCH, *services.units(texts)]
    told = tool.command(["systemctl", "is-active", *units], check=False).out.split()
    return frozenset(unit for unit, state in zip(units, told) if state in ("active", "activating"))


def live(tool: Tool, texts: t.Mapping[str, str]) -> Live:
    def asked(*argv: str) -> str:
        return tool.command(["ip", *argv]).out

    found = reading.live(
        asked("-d", "-j", "address", "show"), asked("-j", "route", "show"), asked("-6", "-j", "route", "show"), bridges_of_ovs(tool)
    )
    return dataclasses.replace(found, dns={name: told for name in found.links for told in [name_servers(name, texts)] if told})


def name_servers(name: str, texts: t.Mapping[str, str]) -> tuple[str, ...]:
    for line in stanzas(texts).get(name, ()):
        if line.split()[0] == "dns-nameservers":
            return tuple(line.split()[1:])
    return networkd.name_servers(texts, name)


def bridges_of_ovs(tool: Tool) -> dict[str, list[str]]:
    """Ports by bridge; nothing where Open vSwitch is not there or does not run."""
    if not place_of("ovs-vsctl") or not os.path.exists("/run/openvswitch/db.sock"):
        return {}
    told = tool.command(["ovs-vsctl", "--timeout=30", "list-br"], check=False)
    names = told.out.split() if not told.status else []
    return {name: tool.command(["ovs-vsctl", "--timeout=30", "list-ports", name], check=False).out.split() for name in names}


def setting(key: str) -> str | None:
    path = key if "/" in key else key.replace(".", "/")
    told = text(f"/proc/sys/{path}")
    return told.strip() if told is not None else None


def lacking(wanted: Wanted, manager: str) -> dict[str, str]:
    """Packages of Debian to be installed first, with the sentence that says why."""
    needed = interfaces.packages(wanted) if manager == IFUPDOWN else {}
    found = {package: "ifupdown needs it for this network" for path, package in needed.items() if not os.path.exists(path)}
    kinds = {one.kind for one in wanted.devices}
    tools = (
        ("openvswitch-switch", "ovs-vsctl", OVS in kinds, "a bridge of Open vSwitch needs it"),
        ("nftables", "nft", wanted.nat, "NAT needs it"),
        ("dnsmasq-base", "dnsmasq", any(one.dhcp_range for one in wanted.devices), "DHCP for guests needs it"),
    )
    found |= {package: why for package, tool, asked, why in tools if asked and not place_of(tool)}
    return found
