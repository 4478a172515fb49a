# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bonds. Rules: xen-api ocaml/xapi/xapi_bond.ml."""

from __future__ import annotations

import typing as t

from .. import bonds
from .. import networking as net
from ..errors import Fault
from ..hosts import at_host
from ..modeltypes import NULL
from . import message

if t.TYPE_CHECKING:
    from ..database import Database
    from ..dispatch import Call
    from ..world import Machine


@message("Bond.create")
def create(call: Call, network: str, members: list[str], MAC: str, mode: str, properties: dict[str, str]) -> str:
    """On the members' host; addresses, management, VLANs, tunnels and VIFs move from the members to the bond."""
    db = call.db
    members = list(dict.fromkeys(members))
    hosts = [db.get("PIF", member)["host"] for member in members]
    _check_target(db, network, hosts, MAC, mode, properties)
    _check_members(db, members, hosts)
    machine = at_host(call, hosts[0])
    return make(db, machine, network, members, MAC, mode, properties)


def _check_target(db: Database, network: str, hosts: list[str], mac: str, mode: str, properties: dict[str, str]) -> None:
    net.refuse_unmanaged_network(db, network)
    if hosts:
        net.refuse_connected(db, hosts[0], network)
    if any(db.get("PIF", pif)["sriov_logical_PIF_of"] for pif in db.get("network", network)["PIFs"]):
        raise Fault("NETWORK_INCOMPATIBLE_WITH_BOND", network)
    if mac and not net.valid_mac(mac):
        raise Fault("MAC_INVALID", mac)
    for name, value in properties.items():
        bonds.check_property(mode, name, value)


def _check_members(db: Database, members: list[str], hosts: list[str]) -> None:
    if not members:
        raise Fault("PIF_BOND_NEEDS_MORE_MEMBERS")
    families = {db.get("PIF", member)["primary_address_type"] for member in members}
    if len(families) > 1:
        raise Fault("PIF_INCOMPATIBLE_PRIMARY_ADDRESS_TYPE", members[0])
    for member in members:
        _check_member(db, member)
    if len(set(hosts)) > 1:
        raise Fault("PIF_CANNOT_BOND_CROSS_HOST")
    if any(db.get("PIF", m)["properties"] != db.get("PIF", members[0])["properties"] for m in members):
        raise Fault("INCOMPATIBLE_PIF_PROPERTIES")
    if sum(db.get("PIF", m)["ip_configuration_mode"] != "None" for m in members) > 1:
        raise Fault("PIF_BOND_MORE_THAN_ONE_IP")


def _check_member(db: Database, member: str) -> None:
    record = db.get("PIF", member)
    net.refuse_unmanaged(db, member)
    net.refuse_bonded(db, member)
    if record["VLAN"] >= 0:
        raise Fault("PIF_VLAN_EXISTS", record["device"])
    if record["tunnel_access_PIF_of"]:
        raise Fault("IS_TUNNEL_ACCESS_PIF", member)
    if record["sriov_logical_PIF_of"]:
        raise Fault("PIF_IS_SRIOV_LOGICAL", member)
    pool = next(iter(db.all("pool").values()))
    if pool["ha_enabled"] and record["management"]:
        raise Fault("HA_CANNOT_CHANGE_BOND_STATUS_OF_MGMT_IFACE")


def make(db: Database, machine: Machine, network: str, members: list[str], mac: str, mode: str, properties: dict[str, str]) -> str:
    """The bond, without a check."""
    primary = _primary(db, members)
    host, first = machine.host_ref, db.get("PIF", primary)
    networks = [db.get("PIF", member)["network"] for member in members]
    vifs = bonds.local_vifs(db, host, networks)
    on_top = [(db.get("PIF", m)["VLAN_slave_of"], db.get("PIF", m)["tunnel_transport_PIF_of"]) for m in members]
    master = db.create(
        "PIF", device=net.free_device(db, host, "bond"), network=network, host=host, MAC=mac or first["MAC"], MTU=first["MTU"], VLAN=-1,
        metrics=db.create("PIF_metrics"), physical=False, currently_attached=False, managed=True, IPv6=[""],
        properties=first["properties"], disallow_unplug=any(db.get("PIF", m)["disallow_unplug"] for m in members),
        primary_address_type=first["primary_address_type"],
    )  # fmt: skip
    bond = db.create(
        "Bond", master=master, primary_slave=primary, mode=mode, properties=bonds.with_defaults(mode, properties),
        links_up=bonds.links_up(machine, db, members), auto_update_mac=not mac,
    )  # fmt: skip
    management = first["management"]
    net.move_configuration(db, primary, master)
    for member in members:
        db.set("PIF", member, bond_slave_of=bond, disallow_unplug=False)
    net.bring_up(db, machine, master)
    if management:
        net.move_management(db, machine, primary, master)
    _move_all(db, machine, on_top, master)
    bonds.move_vifs(db, vifs, network)
    return bond


def _primary(db: Database, members: list[str]) -> str:
    """The management interface, else the first with an address, else the first."""
    managing = [member for member in members if db.get("PIF", member)["management"]]
    addressed = [member for member in members if db.get("PIF", member)["ip_configuration_mode"] != "None"]
    return [*managing, *addressed, *members][0]


def _move_all(db: Database, machine: Machine, on_top: t.Iterable[tuple[list[str], list[str]]], base: str) -> None:
    for vlans, tunnels in on_top:
        for vlan in vlans:
            bonds.move_vlan(db, machine, vlan, base)
        for tunnel in tunnels:
            bonds.move_tunnel(db, machine, tunnel, base)


@message("Bond.destroy")
def destroy(call: Call, self: str) -> None:
    """Everything goes back to the primary member; the network stays."""
    db = call.db
    bond = db.get("Bond", self)
    master = db.get("PIF", bond["master"])
    machine = at_host(call, master["host"])
    pool = next(iter(db.all("pool").values()))
    if pool["ha_enabled"] and master["management"]:
        raise Fault("HA_CANNOT_CHANGE_BOND_STATUS_OF_MGMT_IFACE")
    unmake(db, machine, self)


def unmake(db: Database, machine: Machine, self: str) -> None:
    """The bond goes, without a check."""
    bond = db.get("Bond", self)
    ref, primary, members = bond["master"], bond["primary_slave"], bond["slaves"]
    master = db.get("PIF", ref)
    plugged, disallowed = master["currently_attached"], master["disallow_unplug"]
    vifs = bonds.local_vifs(db, machine.host_ref, [master["network"]])
    net.move_configuration(db, ref, primary)
    if master["management"]:
        net.move_management(db, machine, ref, primary)
    _move_all(db, machine, [(master["VLAN_slave_of"], master["tunnel_transport_PIF_of"])], primary)
    bonds.move_vifs(db, vifs, db.get("PIF", primary)["network"])
    for member in members:
        db.set("PIF", member, bond_slave_of=NULL)
        if plugged:
            net.bring_up(db, machine, member)
    if disallowed:
        db.set("PIF", primary, disallow_unplug=True)
    if db.exists("PIF_metrics", master["metrics"]):
        db.destroy("PIF_metrics", master["metrics"])
    db.destroy("Bond", self)
    db.destroy("PIF", ref)


@message("Bond.set_mode")
def set_mode(call: Call, self: str, value: str) -> None:
    """Properties the mode does not have are dropped, missing ones get their defaults."""
    db = call.db
    bond = db.get("Bond", self)
    machine = at_host(call, db.get("PIF", bond["master"])["host"])
    kept = bond["properties"] if value == "lacp" else {}
    db.set("Bond", self, mode=value, properties=bonds.with_defaults(value, kept))
    net.bring_up(db, machine, bond["master"])


@message("Bond.set_property")
def set_property(call: Call, self: str, name: str, value: str) -> None:
    """Only in mode lacp."""
    db = call.db
    bond = db.get("Bond", self)
    bonds.check_property(bond["mode"], name, value)
    machine = at_host(call, db.get("PIF", bond["master"])["host"])
    db.add_to_map("Bond", self, "properties", name, value)
    net.bring_up(db, machine, bond["master"])
