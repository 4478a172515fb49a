# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What cannot be done to an interface, said before the first call (xen-api: ocaml/xapi/xapi_pif.ml, and what it does not look at)."""

from __future__ import annotations

import typing as t

from ...errors import InvalidChange
from ...wiring import Wiring, quoted
from . import addresses, management

Values = t.Mapping[str, t.Any]
OF_THE_BOND = (*addresses.IPV4_OPTIONS, *addresses.IPV6_OPTIONS, "management", "plugged", "properties")


def check(wiring: Wiring, pif: str, before: Values, after: Values) -> None:
    """Raises InvalidChange."""
    if before == after:
        return
    where, record = wiring.place(pif), wiring.pif(pif)
    wiring.refuse_unmanaged(pif)
    _member(wiring, pif, before, after, where)
    _management(wiring, pif, before, after, where)
    _taken(wiring, pif, before, after, where)
    if before["plugged"] and not after["plugged"]:
        _unplug(wiring, pif, after, where)
    if after["plugged"] and not before["plugged"]:
        _plug(wiring, pif, where)
    kind = after["primary_address_type"]
    if before["primary_address_type"] != kind and not addresses.has_address(after, kind):
        raise InvalidChange(f"{where} has no {kind} address, so that cannot be its primary one.")
    if before["properties"] != after["properties"] and not (record["physical"] or record["bond_master_of"]):
        raise InvalidChange(f"{where} has no properties of its own.", hint="Set those of the NIC or the bond below.")


def _member(wiring: Wiring, pif: str, before: Values, after: Values, where: str) -> None:
    bond = wiring.bond_over(pif)
    if bond and any(before.get(key) != after.get(key) for key in OF_THE_BOND):
        network = wiring.network(bond)
        raise InvalidChange(
            f"{where} is a member of the bond of network {network!r}: addresses, properties and whether it is plugged are the bond's.",
            hint=f"Say network: {network}.",
        )


def _management(wiring: Wiring, pif: str, before: Values, after: Values, where: str) -> None:
    if before["management"]:
        _keep_management(before, after, where)
    if not after["management"]:
        return
    if not addresses.has_address(after, after["primary_address_type"] or "IPv4"):
        what = (
            "is the management interface: its address cannot be removed"
            if before["management"]
            else "needs an address to be managed through"
        )
        raise InvalidChange(f"{where} {what}.")
    if not after["plugged"]:
        raise InvalidChange(f"{where} is the management interface: it cannot be unplugged.")
    if not before["management"]:
        management.refuse(wiring, pif)


def _keep_management(before: Values, after: Values, where: str) -> None:
    if not after["management"]:
        raise InvalidChange(f"{where} is the management interface.", hint="Say management: true of the one that is to be it instead.")
    if before["primary_address_type"] != after["primary_address_type"]:
        raise InvalidChange(f"{where} is the management interface: its primary address type cannot change.")


def _taken(wiring: Wiring, pif: str, before: Values, after: Values, where: str) -> None:
    """xapi would not notice two interfaces with one address."""
    if not after.get("ip") or after["ip"] == before.get("ip"):
        return
    for ref, other in wiring.objects.all("PIF").items():
        if ref != pif and other["IP"] == after["ip"] and other["ip_configuration_mode"] != "None":
            raise InvalidChange(f"{after['ip']} cannot be the address of {where}: it is that of {wiring.place(ref)}.")


def _unplug(wiring: Wiring, pif: str, after: Values, where: str) -> None:
    if after["disallow_unplug"]:
        raise InvalidChange(f"{where} must not be unplugged.", hint="Say disallow_unplug: false if it may.")
    record = wiring.pif(pif)
    if guests := wiring.guests(record["network"], host=record["host"], attached=True):
        raise InvalidChange(f"{where} cannot be unplugged: {quoted(guests)} use it.", hint="Shut them down or move them first.")


def _plug(wiring: Wiring, pif: str, where: str) -> None:
    for tunnel in wiring.pif(pif).get("tunnel_access_PIF_of", ()):
        transport = wiring.objects.get("tunnel", tunnel)["transport_PIF"]
        if wiring.pif(transport)["ip_configuration_mode"] == "None":
            raise InvalidChange(f"The tunnel {where} cannot be plugged: {wiring.place(transport)} below has no address.")
