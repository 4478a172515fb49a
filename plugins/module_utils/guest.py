# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a VM's guest tells of itself: addresses, operating system, tools.

The agent in the guest writes it to xenstore, xapi keeps it in VM_guest_metrics (xen-api: ocaml/xapi/xapi_guest_agent.ml). A guest without
an agent, and one that is halted, tells nothing; a record of it may then be empty or missing.
"""

from __future__ import annotations

import socket
import typing as t

from .refs import Objects, Record

NOTHING: Record = {}
# of no use to anybody who is not on the same cable
LINK_LOCAL = ("169.254.", "fe80:")
IPV4, IPV6 = "ipv4", "ipv6"


def report(objects: Objects, vm: Record) -> Record:
    """The guest's VM_guest_metrics; empty if there are none."""
    return objects.all("VM_guest_metrics").get(vm["guest_metrics"], NOTHING)


# addresses --------------------------------------------------------------------
def family(address: str) -> str:
    return IPV6 if ":" in address else IPV4


def addresses(metrics: Record) -> dict[str, list[str]]:
    """A guest's addresses by the device of the VIF ("0"): IPv4 first, link-local ones last, otherwise in the guest's order.

    The keys of networks are 0/ip (the first IPv4 address, of older agents all of them), 0/ipv4/1 and 0/ipv6/2.
    """
    told: dict[str, dict[str, list[str]]] = {}
    for key, text in sorted(metrics.get("networks", NOTHING).items(), key=_position):
        device, _slash, place = key.partition("/")
        if place == "ip" or place.startswith(("ipv4/", "ipv6/")):
            told.setdefault(device, {}).setdefault(place[:4], []).extend(text.split())
    return {device: found for device, kinds in told.items() if (found := _in_order(kinds))}


def _position(entry: tuple[str, str]) -> tuple[str, int]:
    """0/ipv6/10 comes after 0/ipv6/9."""
    place, _slash, number = entry[0].rpartition("/")
    return (place, int(number)) if number.isdecimal() else (entry[0], -1)


def _in_order(kinds: dict[str, list[str]]) -> list[str]:
    # older releases give 0/ip only, newer ones 0/ipv4/0 and the same again as 0/ip
    texts = [*kinds.get("ipv4", ()), *kinds.get("ip", ()), *kinds.get("ipv6", ())]
    found = list(dict.fromkeys(filter(None, map(canonical, texts))))
    return sorted(found, key=_is_link_local) if len(found) > 1 else found


def _is_link_local(address: str) -> bool:
    return address.startswith(LINK_LOCAL)


def canonical(text: str) -> str:
    """An address in its short form, without a zone; "" for what is none."""
    kind = socket.AF_INET6 if ":" in text else socket.AF_INET
    try:
        return socket.inet_ntop(kind, socket.inet_pton(kind, text.partition("%")[0]))
    except (OSError, ValueError):
        return ""


def in_network(objects: Objects, vm: Record, network: str) -> list[str]:
    """The addresses a guest tells for its VIFs on a network (a reference), link-local ones left out."""
    vifs, told = objects.all("VIF"), addresses(report(objects, vm))
    mine = sorted((vifs[ref]["device"] for ref in vm["VIFs"] if ref in vifs and vifs[ref]["network"] == network), key=device_order)
    return [address for device in mine for address in told.get(device, ()) if not _is_link_local(address)]


def device_order(device: str) -> tuple[int, str]:
    """VIFs and VBDs are numbered by text: "10" comes after "9"."""
    return (int(device), "") if device.isdecimal() else (1 << 30, device)


# operating system and tools ---------------------------------------------------
def os(metrics: Record) -> dict[str, str]:
    """name (Debian GNU/Linux 12), distro (debian), version (12.0), kernel; those that are known."""
    told = metrics.get("os_version") or NOTHING
    if not told:
        return {}
    version = ".".join(part for part in (told.get("major", ""), told.get("minor", "")) if part)
    # Windows names its folder and disk too
    name = told.get("name", "").partition("|")[0].strip()
    found = {"name": name, "distro": told.get("distro", "").lower(), "version": version, "kernel": told.get("uname", "")}
    return {key: value for key, value in found.items() if value}


def tools(metrics: Record) -> dict[str, t.Any]:
    """detected: whether drivers and agent were heard of since the start; up_to_date; version (9.4.0-0, "" if it is not told)."""
    told = metrics.get("PV_drivers_version") or NOTHING
    numbers = [told[key] for key in ("major", "minor", "micro") if key in told]
    version = ".".join(numbers) + (f"-{told['build']}" if numbers and told.get("build") else "")
    # older releases have no PV_drivers_detected
    detected = bool(metrics.get("PV_drivers_detected", told))
    return {"detected": detected, "up_to_date": detected and bool(metrics.get("PV_drivers_up_to_date")), "version": version}
