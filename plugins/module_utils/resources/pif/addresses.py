# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The IP configuration of an interface in the words of the options. Leases and router advertisements are not configuration.

xapi keeps the name servers of both families in one field and each of its two calls replaces those of its own
(xen-api: ocaml/xapi/xapi_pif.ml).
"""

from __future__ import annotations

import ipaddress
import typing as t

from ...errors import InvalidChange
from ...refs import Record

# option value -> XenAPI's
MODES = {"none": "None", "dhcp": "DHCP", "static": "Static"}
IPV6_MODES = {**MODES, "autoconf": "Autoconf"}
IPV4_OPTIONS = ("mode", "ip", "netmask", "gateway")
IPV6_OPTIONS = ("ipv6_mode", "ipv6", "ipv6_gateway")


def family(server: str) -> int:
    return 6 if ":" in server else 4


def servers(values: t.Mapping[str, t.Any], version: int) -> list[str]:
    return [server for server in values.get("dns", ()) if family(server) == version]


def observe(pif: Record) -> dict[str, t.Any]:
    """Addresses only where they are configured; no IPv6 options where the release has none."""
    mode = pif["ip_configuration_mode"].lower()
    seen: dict[str, t.Any] = {"mode": mode}
    if mode == "static":
        seen.update(ip=pif["IP"], netmask=pif["netmask"], gateway=pif["gateway"])
    if "ipv6_configuration_mode" in pif:
        seen["ipv6_mode"] = pif["ipv6_configuration_mode"].lower()
        if seen["ipv6_mode"] == "static":
            seen.update(ipv6=[cidr for cidr in pif["IPv6"] if cidr], ipv6_gateway=pif["ipv6_gateway"])
    named = [server.strip() for server in pif["DNS"].split(",") if server.strip()]
    kept = [server for version in static_families(seen) for server in named if family(server) == version]
    return {**seen, **({"dns": kept} if static_families(seen) else {})}


def static_families(values: t.Mapping[str, t.Any]) -> list[int]:
    return [version for version, option in ((4, "mode"), (6, "ipv6_mode")) if values.get(option) == "static"]


def has_address(values: t.Mapping[str, t.Any], primary: str | None = None) -> bool:
    """Whether an address is configured; of the primary address type if that is given."""
    modes = {"IPv4": values.get("mode", "none"), "IPv6": values.get("ipv6_mode", "none")}
    return any(mode != "none" for kind, mode in modes.items() if primary in (None, kind))


def desire(before: t.Mapping[str, t.Any], given: Record, where: str) -> dict[str, t.Any]:
    """The configuration after the change. Raises InvalidChange for one that cannot be."""
    if "ipv6_mode" not in before and any(given.get(option) is not None for option in IPV6_OPTIONS):
        raise InvalidChange(f"This host's release has no IPv6 configuration for {where}.")
    after = {**_ipv4(before, given, where), **_ipv6(before, given, where)}
    return {**after, **_dns(before, after, given, where)}


def _ipv4(before: t.Mapping[str, t.Any], given: Record, where: str) -> dict[str, t.Any]:
    mode = given.get("mode") or before["mode"]
    if mode != "static":
        _refuse_addresses(given, IPV4_OPTIONS[1:], mode, where, "mode: static")
        return {"mode": mode}
    ip, netmask = _interface(before, given, where)
    gateway = before.get("gateway", "") if given.get("gateway") is None else given["gateway"]
    network = ipaddress.IPv4Network(f"{ip}/{netmask}", strict=False)
    _refuse_unusable(ip, network, where)
    if gateway:
        _check_gateway(ipaddress.IPv4Address(_parsed(ipaddress.IPv4Address, gateway, "gateway", where)), ip, network, where)
    return {"mode": mode, "ip": str(ip), "netmask": str(netmask), "gateway": gateway}


def _interface(before: t.Mapping[str, t.Any], given: Record, where: str) -> tuple[ipaddress.IPv4Address, ipaddress.IPv4Address]:
    """Address and netmask; the address may bring a prefix length."""
    text, _slash, prefix = str(given.get("ip") or before.get("ip") or "").partition("/")
    mask = given.get("netmask")
    if not text:
        raise InvalidChange(f"{where} is to have a static address, and the task does not say which.", hint="Give ip and netmask.")
    ip = _parsed(ipaddress.IPv4Address, text, "ip", where)
    if prefix and mask and _netmask(prefix, where) != _netmask(mask, where):
        raise InvalidChange(f"ip {given['ip']} and netmask {mask} of {where} contradict each other.")
    chosen = prefix or mask or before.get("netmask")
    if not chosen:
        raise InvalidChange(
            f"The address {ip} of {where} needs a netmask.", hint="Give netmask, or ip with a prefix length such as 10.0.0.5/24."
        )
    return ip, _netmask(chosen, where)


def _netmask(text: str, where: str) -> ipaddress.IPv4Address:
    """255.255.255.0 or 24; not 0.0.0.255, which Python would take for the same."""
    try:
        mask = ipaddress.IPv4Network(f"0.0.0.0/{text}").netmask
    except ValueError:
        mask = None
    if mask is None or not mask._ip or ("." in str(text) and str(mask) != text):  # type: ignore[attr-defined]
        raise InvalidChange(f"netmask {text!r} of {where} is not a netmask.", hint="Such as 255.255.255.0, or 24.")
    return mask


def _refuse_unusable(ip: ipaddress.IPv4Address, network: ipaddress.IPv4Network, where: str) -> None:
    ends = (network.network_address, network.broadcast_address) if network.prefixlen < 31 else ()
    if ip in ends or ip.is_multicast or ip.is_unspecified or ip.is_reserved:
        raise InvalidChange(f"{ip} cannot be the address of {where} in the network {network}.")


def _check_gateway(gateway: t.Any, ip: t.Any, network: t.Any, where: str) -> None:
    if gateway == ip:
        raise InvalidChange(f"{gateway} cannot be both address and gateway of {where}.")
    if gateway not in network:
        raise InvalidChange(
            f"The gateway {gateway} of {where} lies outside of its network {network}.", hint="Give one inside, or '' for none."
        )


def _ipv6(before: t.Mapping[str, t.Any], given: Record, where: str) -> dict[str, t.Any]:
    if "ipv6_mode" not in before:
        return {}
    mode = given.get("ipv6_mode") or before["ipv6_mode"]
    if mode != "static":
        _refuse_addresses(given, IPV6_OPTIONS[1:], mode, where, "ipv6_mode: static")
        return {"ipv6_mode": mode}
    wanted = before.get("ipv6", []) if given.get("ipv6") is None else given["ipv6"]
    if len(wanted) != 1 or "/" not in wanted[0]:
        raise InvalidChange(
            f"{where} is to have a static IPv6 address, and XenAPI takes exactly one, with its prefix length.", hint="ipv6: [fd00::5/64]"
        )
    interface = _parsed(ipaddress.IPv6Interface, wanted[0], "ipv6", where)
    gateway = before.get("ipv6_gateway", "") if given.get("ipv6_gateway") is None else given["ipv6_gateway"]
    if gateway:
        address = _parsed(ipaddress.IPv6Address, gateway, "ipv6_gateway", where)
        if not address.is_link_local:
            _check_gateway(address, interface.ip, interface.network, where)
    same = [cidr for cidr in before.get("ipv6", ()) if ipaddress.IPv6Interface(cidr) == interface]
    return {"ipv6_mode": mode, "ipv6": same or [str(interface)], "ipv6_gateway": gateway}


def _dns(before: t.Mapping[str, t.Any], after: t.Mapping[str, t.Any], given: Record, where: str) -> dict[str, t.Any]:
    """IPv4's first, as two calls write them."""
    families, wanted = static_families(after), given.get("dns")
    for server in wanted or ():
        _parsed(ipaddress.ip_address, server, "dns", where)
        if family(server) not in families:
            options = "mode" if family(server) == 4 else "ipv6_mode"
            raise InvalidChange(f"{where} does not take the name server {server}: its {options} is not static.")
    source = before if wanted is None else {"dns": wanted}
    return {"dns": [server for version in families for server in servers(source, version)]} if families else {}


def _refuse_addresses(given: Record, options: t.Iterable[str], mode: str, where: str, instead: str) -> None:
    said = [option for option in options if given.get(option)]
    if said:
        raise InvalidChange(f"{where} has mode {mode}, and takes no {' and no '.join(said)}.", hint=f"These go with {instead}.")


def _parsed(kind: t.Callable[[str], t.Any], text: str, option: str, where: str) -> t.Any:
    try:
        return kind(text)
    except ValueError:
        raise InvalidChange(f"{option} {text!r} of {where} is not an address.") from None


# the calls ----------------------------------------------------------------------
def ipv4_call(after: t.Mapping[str, t.Any]) -> tuple[str, ...]:
    """Parameters of PIF.reconfigure_ip."""
    return (MODES[after["mode"]], after.get("ip", ""), after.get("netmask", ""), after.get("gateway", ""), ",".join(servers(after, 4)))


def ipv6_call(after: t.Mapping[str, t.Any]) -> tuple[str, ...]:
    """Parameters of PIF.reconfigure_ipv6."""
    address = after.get("ipv6", [""])[0]
    return (IPV6_MODES[after["ipv6_mode"]], address, after.get("ipv6_gateway", ""), ",".join(servers(after, 6)))
