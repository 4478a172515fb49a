# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Interfaces of a host: scan, introduce, forget, plug, unplug. Rules: xen-api ocaml/xapi/xapi_pif.ml. Addresses: pif_address.py."""

from __future__ import annotations

import typing as t

from .. import networking as net
from ..errors import Fault
from ..hosts import at_host
from . import message

if t.TYPE_CHECKING:
    from ..dispatch import Call

PROPERTIES = {"gro": ("on", "off")}


@message("PIF.scan")
def scan(call: Call, host: str) -> None:
    """A PIF for every NIC that has none; none is removed."""
    machine = at_host(call, host)
    known = {pif["device"] for pif in call.db.all("PIF").values() if pif["host"] == host and pif["physical"]}
    for nic in machine.nics:
        if nic.device not in known:
            net.introduce_physical(call.db, host, nic)


@message("PIF.introduce")
def introduce(call: Call, host: str, MAC: str, device: str, managed: bool) -> str:
    """One NIC by device name and MAC address; "" takes the MAC the device has."""
    machine = at_host(call, host)
    nics = {nic.device: nic for nic in machine.nics}
    mac = MAC.lower() or (nics[device].mac.lower() if device in nics else "")
    if not net.valid_mac(mac):
        raise Fault("MAC_INVALID", mac)
    if call.db.find("PIF", host=host, device=device, physical=True):
        raise Fault("DUPLICATE_PIF_DEVICE_NAME", device)
    if device not in nics or nics[device].mac.lower() != mac:
        raise Fault("COULD_NOT_FIND_NETWORK_INTERFACE_WITH_SPECIFIED_DEVICE_NAME_AND_MAC_ADDRESS", device, mac)
    return net.introduce_physical(call.db, host, nics[device], managed=managed)


@message("PIF.forget")
def forget(call: Call, self: str) -> None:
    """The record goes, the NIC stays."""
    db = call.db
    record = db.get("PIF", self)
    at_host(call, record["host"])
    net.refuse_management(db, self)
    net.refuse_bonded(db, self)
    if record["VLAN_slave_of"] or record["VLAN"] >= 0:
        raise Fault("PIF_VLAN_STILL_EXISTS", self)
    if record["tunnel_transport_PIF_of"] or record["tunnel_access_PIF_of"]:
        raise Fault("PIF_TUNNEL_STILL_EXISTS", self)
    net.refuse_protected(db, self)
    net.refuse_clustered(db, self)
    if record["sriov_physical_PIF_of"]:
        raise Fault("PIF_SRIOV_STILL_EXISTS", self)
    if record["sriov_logical_PIF_of"]:
        raise Fault("CANNOT_FORGET_SRIOV_LOGICAL", self)
    if db.exists("PIF_metrics", record["metrics"]):
        db.destroy("PIF_metrics", record["metrics"])
    db.destroy("PIF", self)


@message("PIF.plug")
def plug(call: Call, self: str) -> None:
    """A tunnel's transport is plugged with it."""
    db = call.db
    record = db.get("PIF", self)
    machine = at_host(call, record["host"])
    if net.is_member(db, record):
        raise Fault("CANNOT_PLUG_BOND_SLAVE", self)
    for tunnel in record["tunnel_access_PIF_of"]:
        transport = db.get("tunnel", tunnel)["transport_PIF"]
        if db.get("PIF", transport)["ip_configuration_mode"] == "None":
            raise Fault("TRANSPORT_PIF_NOT_CONFIGURED", transport)
        plug(call, transport)
    net.bring_up(db, machine, self)


@message("PIF.unplug")
def unplug(call: Call, self: str) -> None:
    """The tunnels over it are unplugged with it."""
    db = call.db
    record = db.get("PIF", self)
    at_host(call, record["host"])
    net.refuse_unmanaged(db, self)
    net.refuse_protected(db, self)
    net.refuse_management(db, self)
    for vif in db.get("network", record["network"])["VIFs"]:
        vm = db.get("VIF", vif)["VM"]
        if db.get("VIF", vif)["currently_attached"] and db.exists("VM", vm) and db.get("VM", vm)["resident_on"] == record["host"]:
            raise Fault("VIF_IN_USE", record["network"], vif)
    if record["disallow_unplug"]:
        raise Fault("PIF_DOES_NOT_ALLOW_UNPLUG", self)
    for tunnel in record["tunnel_transport_PIF_of"]:
        unplug(call, db.get("tunnel", tunnel)["access_PIF"])
    net.bring_down(db, self)


@message("PIF.set_disallow_unplug")
def set_disallow_unplug(call: Call, self: str, value: bool) -> None:
    """Clustering needs it kept."""
    if not value:
        net.refuse_clustered(call.db, self)
    call.db.set("PIF", self, disallow_unplug=value)


@message("PIF.set_property")
def set_property(call: Call, self: str, name: str, value: str) -> None:
    """A bond's members follow."""
    db = call.db
    record = db.get("PIF", self)
    if value not in PROPERTIES.get(name, ()):
        raise Fault("INVALID_VALUE", "properties", f"{name} = {value}")
    if not (record["physical"] or record["bond_master_of"]) or net.is_member(db, record):
        raise Fault("CANNOT_CHANGE_PIF_PROPERTIES", self)
    db.add_to_map("PIF", self, "properties", name, value)
    for bond in record["bond_master_of"]:
        for member in db.get("Bond", bond)["slaves"]:
            db.add_to_map("PIF", member, "properties", name, value)


@message("PIF.create_VLAN")
def create_vlan(call: Call, device: str, network: str, host: str, VLAN: int) -> str:
    """The old form of VLAN.create; returns the PIF."""
    base = call.db.find("PIF", host=host, device=device, VLAN=-1)
    if not base:
        raise Fault("INVALID_VALUE", "device", device)
    vlan = call.call("VLAN.create", base[0], VLAN, network)
    return str(call.db.get("VLAN", vlan)["untagged_PIF"])


@message("PIF.destroy")
def destroy(call: Call, self: str) -> None:
    """The old form of VLAN.destroy."""
    record = call.db.get("PIF", self)
    if record["VLAN"] < 0:
        raise Fault("PIF_IS_PHYSICAL")
    call.call("VLAN.destroy", record["VLAN_master_of"])


@message("PIF.db_forget")
def db_forget(call: Call, self: str) -> None:
    """Only the record, whatever hangs on it."""
    call.db.destroy("PIF", self)


@message("PIF.db_introduce")
def db_introduce(
    call: Call, device: str, network: str, host: str, MAC: str, MTU: int, VLAN: int, physical: bool, ip_configuration_mode: str, IP: str,
    netmask: str, gateway: str, DNS: str, bond_slave_of: str, VLAN_master_of: str, management: bool, other_config: dict[str, str],
    disallow_unplug: bool, ipv6_configuration_mode: str, IPv6: list[str], ipv6_gateway: str, primary_address_type: str, managed: bool,
    properties: dict[str, str],
) -> str:  # fmt: skip
    """Only the record, detached."""
    fields = {name: value for name, value in locals().items() if name not in ("call", "bond_slave_of")}
    metrics = call.db.create("PIF_metrics")
    return call.db.create("PIF", currently_attached=False, metrics=metrics, **fields)
