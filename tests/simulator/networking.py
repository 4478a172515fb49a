# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What several network calls share: names, interfaces going up and down, the guards in front of a PIF.

Rules: xen-api ocaml/xapi/nm.ml, xapi_pif.ml, xapi_pif_helpers.ml, xapi_network.ml, create_networks.ml.
"""

from __future__ import annotations

import ipaddress
import itertools
import re
import typing as t
import weakref
import zlib

from .errors import Fault
from .modeltypes import NULL

if t.TYPE_CHECKING:
    from .database import Database
    from .world import Machine, Nic

VLAN_MAC = "fe:ff:ff:ff:ff:ff"
LONGEST_BRIDGE = 15
RESERVED_BRIDGES = ("xen", "xapi", "vif", "tap", "eth")
NO_ADDRESS = {"ip_configuration_mode": "None", "IP": "", "netmask": "", "gateway": "", "DNS": ""}
MAC = re.compile(r"([0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}")
_next_bridge: weakref.WeakKeyDictionary[Database, int] = weakref.WeakKeyDictionary()


def bridge_of_device(device: str) -> str:
    """The bridge of a NIC's own network: xenbrN for ethN, br<device> otherwise."""
    return f"xenbr{device[3:]}" if device.startswith("eth") else f"br{device}"


def free_bridge(db: Database) -> str:
    """xapiN with the lowest N that is free and was not given away since the agent started."""
    taken = {network["bridge"] for network in db.all("network").values()}
    number = next(n for n in itertools.count(_next_bridge.get(db, 0)) if f"xapi{n}" not in taken)
    _next_bridge[db] = number + 1
    return f"xapi{number}"


def free_device(db: Database, host: str, stem: str) -> str:
    """bondN or tunnelN with the lowest N the host does not use."""
    taken = {pif["device"] for pif in db.all("PIF").values() if pif["host"] == host}
    return next(name for n in range(len(taken) + 1) if (name := f"{stem}{n}") not in taken)


def valid_ipv4(text: str) -> bool:
    """Whether this is an IPv4 address."""
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return True


def valid_mac(text: str) -> bool:
    """Whether this is a MAC address in colon form."""
    return MAC.fullmatch(text) is not None


def pif_on(db: Database, host: str, network: str) -> str | None:
    """The PIF that connects the host to the network."""
    return next(iter(db.find("PIF", host=host, network=network)), None)


def management_pif(db: Database, host: str) -> str | None:
    """The PIF the host is managed through."""
    return next(iter(db.find("PIF", host=host, management=True)), None)


def introduce_physical(db: Database, host: str, nic: Nic, *, managed: bool = True) -> str:
    """A detached PIF for a NIC, on the network of its bridge, which is made when the pool has none."""
    bridge = bridge_of_device(nic.device)
    found = db.find("network", bridge=bridge)
    name = f"Pool-wide network associated with {nic.device}"
    network = found[0] if found else db.create("network", name_label=name, bridge=bridge, MTU=1500)
    metrics = db.create("PIF_metrics", carrier=nic.carrier, speed=10000 if nic.carrier else 0, duplex=nic.carrier)
    return db.create(
        "PIF", device=nic.device, network=network, host=host, MAC=nic.mac, MTU=1500, VLAN=-1, metrics=metrics, physical=True,
        currently_attached=False, managed=managed, properties={"gro": "on"},
    )  # fmt: skip


# up and down ---------------------------------------------------------------------------------------------------------
def bring_up(db: Database, machine: Machine, pif: str) -> None:
    """The interface is attached and takes its network's MTU; a bond takes its members down, DHCP gets an address."""
    record = db.get("PIF", pif)
    for bond in record["bond_master_of"]:
        for member in db.get("Bond", bond)["slaves"]:
            db.set("PIF", member, currently_attached=False, igmp_snooping_status="unknown")
    if db.exists("Bond", record["bond_slave_of"]):
        db.set("PIF", db.get("Bond", record["bond_slave_of"])["master"], currently_attached=False)
    for tunnel in record["tunnel_access_PIF_of"]:
        db.set("tunnel", tunnel, status={**db.get("tunnel", tunnel)["status"], "active": "true"})
    mtu = db.get("network", record["network"])["MTU"]
    db.set("PIF", pif, currently_attached=True, MTU=mtu, igmp_snooping_status=_snooping(db, record))
    if record["ip_configuration_mode"] == "DHCP":
        db.set("PIF", pif, **lease(db, machine, pif))


def bring_down(db: Database, pif: str) -> None:
    """The interface is detached; its configuration stays."""
    for tunnel in db.get("PIF", pif)["tunnel_access_PIF_of"]:
        db.set("tunnel", tunnel, status={**db.get("tunnel", tunnel)["status"], "active": "false"})
    db.set("PIF", pif, currently_attached=False, igmp_snooping_status="unknown")


def _snooping(db: Database, record: dict[str, t.Any]) -> str:
    if not record["physical"] and not record["bond_master_of"]:
        return "unknown"
    pool = next(iter(db.all("pool").values()))
    return "enabled" if pool["igmp_snooping_enabled"] else "disabled"


def base_nics(db: Database, pif: str) -> list[str]:
    """Devices of the NICs below a PIF: through VLANs, tunnels and bonds."""
    record = db.get("PIF", pif)
    if db.exists("VLAN", record["VLAN_master_of"]):
        return base_nics(db, db.get("VLAN", record["VLAN_master_of"])["tagged_PIF"])
    if record["tunnel_access_PIF_of"]:
        return base_nics(db, db.get("tunnel", record["tunnel_access_PIF_of"][0])["transport_PIF"])
    if record["bond_master_of"]:
        return [nic for member in db.get("Bond", record["bond_master_of"][0])["slaves"] for nic in base_nics(db, member)]
    return [record["device"]]


def lease(db: Database, machine: Machine, pif: str) -> dict[str, str]:
    """What the segment's DHCP server answers: the management interface keeps the host's address, another gets one by segment and tag."""
    record = db.get("PIF", pif)
    if record["management"]:
        if record["IP"]:
            return {}
        return {"IP": machine.address, "netmask": "255.255.255.0", "gateway": "", "DNS": ""}
    nics = base_nics(db, pif)
    segment = next((nic.segment for nic in machine.nics if nic.device in nics), "")
    third = zlib.crc32(f"{segment}/{record['VLAN']}".encode()) % 65536
    prefix = f"10.{third >> 8}.{third & 255}"
    host = machine.address.rpartition(".")[2]
    return {"IP": f"{prefix}.{host}", "netmask": "255.255.255.0", "gateway": f"{prefix}.1", "DNS": f"{prefix}.1"}


def move_configuration(db: Database, old: str, new: str) -> None:
    """The IPv4 configuration goes from one PIF to another."""
    db.set("PIF", new, **{name: db.get("PIF", old)[name] for name in NO_ADDRESS})
    db.set("PIF", old, **NO_ADDRESS)


def move_management(db: Database, machine: Machine, old: str, new: str) -> None:
    """The host is managed through another PIF with the same address."""
    bring_up(db, machine, new)
    db.set("PIF", old, management=False)
    db.set("PIF", new, management=True)


# guards --------------------------------------------------------------------------------------------------------------
def refuse_unmanaged_network(db: Database, network: str) -> None:
    """Raises NETWORK_UNMANAGED."""
    if not db.get("network", network)["managed"]:
        raise Fault("NETWORK_UNMANAGED", network)


def refuse_connected(db: Database, host: str, network: str) -> None:
    """Raises NETWORK_ALREADY_CONNECTED [host, pif]."""
    if pif := pif_on(db, host, network):
        raise Fault("NETWORK_ALREADY_CONNECTED", host, pif)


def refuse_unmanaged(db: Database, pif: str) -> None:
    """Raises PIF_UNMANAGED."""
    if not db.get("PIF", pif)["managed"]:
        raise Fault("PIF_UNMANAGED", pif)


def refuse_protected(db: Database, pif: str) -> None:
    """Raises HA_IS_ENABLED or REDO_LOG_IS_ENABLED for an attached PIF."""
    if not db.get("PIF", pif)["currently_attached"]:
        return
    pool = next(iter(db.all("pool").values()))
    if pool["ha_enabled"]:
        raise Fault("HA_IS_ENABLED")
    if pool["redo_log_enabled"]:
        raise Fault("REDO_LOG_IS_ENABLED")


def refuse_clustered(db: Database, pif: str) -> None:
    """Raises CLUSTERING_ENABLED [cluster_host] when the cluster talks over this PIF."""
    for ref in db.find("Cluster_host", PIF=pif, enabled=True):
        raise Fault("CLUSTERING_ENABLED", ref)


def refuse_management(db: Database, pif: str) -> None:
    """Raises PIF_IS_MANAGEMENT_INTERFACE."""
    record = db.get("PIF", pif)
    if record["management"] and record["currently_attached"]:
        raise Fault("PIF_IS_MANAGEMENT_INTERFACE", pif)


def refuse_bonded(db: Database, pif: str) -> None:
    """Raises PIF_ALREADY_BONDED for a bond's member and for a bond."""
    record = db.get("PIF", pif)
    if is_member(db, record) or record["bond_master_of"]:
        raise Fault("PIF_ALREADY_BONDED", pif)


def is_member(db: Database, record: dict[str, t.Any]) -> bool:
    """Whether the PIF is in a bond."""
    return record["bond_slave_of"] != NULL and db.exists("Bond", record["bond_slave_of"])


def refuse_unusable_for_management(db: Database, pif: str) -> None:
    """Raises CANNOT_PLUG_BOND_SLAVE, PIF_HAS_NO_NETWORK_CONFIGURATION or PIF_HAS_NO_V6_NETWORK_CONFIGURATION."""
    record = db.get("PIF", pif)
    if is_member(db, record):
        raise Fault("CANNOT_PLUG_BOND_SLAVE", pif)
    if record["primary_address_type"] == "IPv4" and record["ip_configuration_mode"] == "None":
        raise Fault("PIF_HAS_NO_NETWORK_CONFIGURATION", pif)
    if record["primary_address_type"] == "IPv6" and record["ipv6_configuration_mode"] == "None":
        raise Fault("PIF_HAS_NO_V6_NETWORK_CONFIGURATION", pif)
