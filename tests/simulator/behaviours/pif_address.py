# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses of interfaces. Rules: xen-api ocaml/xapi/xapi_pif.ml."""

from __future__ import annotations

import ipaddress
import typing as t

from .. import networking as net
from ..errors import Fault
from ..hosts import at_host
from ..management import follow_address
from . import message

if t.TYPE_CHECKING:
    from ..dispatch import Call


@message("PIF.reconfigure_ip")
def reconfigure_ip(call: Call, self: str, mode: str, IP: str, netmask: str, gateway: str, DNS: str) -> None:
    """An attached interface takes its address at once, a detached one is never plugged for it. Other name servers alone are always fine."""
    db = call.db
    record = db.get("PIF", self)
    machine = at_host(call, record["host"])
    new = {"ip_configuration_mode": mode, "IP": IP, "netmask": netmask, "gateway": gateway}
    net.refuse_unmanaged(db, self)
    if mode != "Static" or any(record[name] != value for name, value in new.items()):
        net.refuse_protected(db, self)
        net.refuse_clustered(db, self)
    _check_ipv4(mode, new)
    if mode == "None" and record["management"] and record["primary_address_type"] == "IPv4":
        raise Fault("PIF_IS_MANAGEMENT_INTERFACE", self)
    db.set("PIF", self, **new, DNS=_name_servers(record["DNS"], DNS, 4))
    if record["currently_attached"]:
        net.bring_up(db, machine, self)
    if record["management"]:
        follow_address(db, machine, self)


def _check_ipv4(mode: str, new: dict[str, str]) -> None:
    for name in ("IP", "netmask"):
        if mode == "Static" and not net.valid_ipv4(new[name]):
            raise Fault("INVALID_IP_ADDRESS_SPECIFIED", name)
    for name in ("IP", "netmask", "gateway"):
        if new[name] and not net.valid_ipv4(new[name]):
            raise Fault("INVALID_IP_ADDRESS_SPECIFIED", name)


def _name_servers(old: str, new: str, family: int) -> str:
    """The new servers of the call's family before the old ones of the other."""

    def of(text: str, ipv6: bool) -> list[str]:
        return [server for server in text.split(",") if server and (":" in server) == ipv6]

    return ",".join([*of(new, family == 6), *of(old, family != 6)])


@message("PIF.reconfigure_ipv6")
def reconfigure_ipv6(call: Call, self: str, mode: str, IPv6: str, gateway: str, DNS: str) -> None:
    """The address in CIDR form."""
    db = call.db
    record = db.get("PIF", self)
    machine = at_host(call, record["host"])
    net.refuse_unmanaged(db, self)
    net.refuse_protected(db, self)
    net.refuse_clustered(db, self)
    if gateway and not _valid_ip(gateway):
        raise Fault("INVALID_IP_ADDRESS_SPECIFIED", "gateway")
    if (IPv6 or mode == "Static") and not _valid_cidr(IPv6):
        raise Fault("INVALID_CIDR_ADDRESS_SPECIFIED", "IPv6")
    if mode == "None" and record["management"] and record["primary_address_type"] == "IPv6":
        raise Fault("PIF_IS_MANAGEMENT_INTERFACE", self)
    db.set("PIF", self, ipv6_configuration_mode=mode, IPv6=[IPv6], ipv6_gateway=gateway, DNS=_name_servers(record["DNS"], DNS, 6))
    if record["currently_attached"]:
        net.bring_up(db, machine, self)


def _valid_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _valid_cidr(text: str) -> bool:
    address, slash, length = text.partition("/")
    try:
        ipaddress.IPv6Address(address)
    except ValueError:
        return False
    return bool(slash) and length.isdecimal() and int(length) <= ipaddress.IPV6LENGTH


@message("PIF.set_primary_address_type")
def set_primary_address_type(call: Call, self: str, primary_address_type: str) -> None:
    """Needs an address of that family; not for the management interface."""
    db = call.db
    record = db.get("PIF", self)
    net.refuse_protected(db, self)
    if record["management"]:
        raise Fault("PIF_IS_MANAGEMENT_INTERFACE", self)
    mode = "ip_configuration_mode" if primary_address_type == "IPv4" else "ipv6_configuration_mode"
    if record[mode] == "None":
        raise Fault("PIF_INCOMPATIBLE_PRIMARY_ADDRESS_TYPE", self)
    db.set("PIF", self, primary_address_type=primary_address_type)
