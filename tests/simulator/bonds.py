# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What moves when interfaces are bonded and unbonded: VLANs, tunnels, VIFs (xen-api: ocaml/xapi/xapi_bond.ml)."""

from __future__ import annotations

import typing as t

from . import networking as net
from .behaviours import tunnel as tunnels
from .behaviours import vlan as vlans
from .errors import Fault
from .modeltypes import NULL

if t.TYPE_CHECKING:
    from .database import Database
    from .world import Machine

LACP_DEFAULTS = {"hashing_algorithm": "tcpudp_ports", "lacp-time": "slow", "lacp-fallback-ab": "true"}
LACP_VALUES = {"hashing_algorithm": ("src_mac", "tcpudp_ports"), "lacp-time": ("slow", "fast"), "lacp-fallback-ab": ("true", "false")}


def check_property(mode: str, name: str, value: str) -> None:
    """Raises INVALID_VALUE ["properties", "name = value"]; only lacp has properties."""
    good = value in LACP_VALUES.get(name, ()) or (name == "lacp-aggregation-key" and _is_number(value))
    if mode != "lacp" or not good:
        raise Fault("INVALID_VALUE", "properties", f"{name} = {value}")


def with_defaults(mode: str, properties: dict[str, str]) -> dict[str, str]:
    """The properties as a mode has them; what was given wins."""
    return {**LACP_DEFAULTS, **properties} if mode == "lacp" else properties


def _is_number(text: str) -> bool:
    try:
        int(text, 0)
    except ValueError:
        return False
    return True


def links_up(machine: Machine, db: Database, members: list[str]) -> int:
    """How many members have a carrier."""
    alive = {nic.device for nic in machine.nics if nic.carrier}
    return sum(db.get("PIF", member)["device"] in alive for member in members)


def local_vifs(db: Database, host: str, networks: t.Collection[str]) -> list[str]:
    """VIFs on these networks of VMs that run on the host, or can start nowhere else."""
    found = []
    for ref, vif in db.all("VIF").items():
        if vif["network"] in networks and db.exists("VM", vif["VM"]):
            resident = db.get("VM", vif["VM"])["resident_on"]
            if resident == host or (resident == NULL and _bound_to(db, vif["VM"], host)):
                found.append(ref)
    return found


def _bound_to(db: Database, vm: str, host: str) -> bool:
    """Whether the VM's disks are in reach of this host alone, or of none."""
    reach = set(db.all("host"))
    for vbd in db.get("VM", vm)["VBDs"]:
        vdi = db.get("VBD", vbd)["VDI"]
        if db.exists("VDI", vdi):
            pbds = [db.get("PBD", pbd) for pbd in db.get("SR", db.get("VDI", vdi)["SR"])["PBDs"]]
            reach &= {pbd["host"] for pbd in pbds if pbd["currently_attached"]}
    return reach <= {host}


def move_vifs(db: Database, vifs: t.Iterable[str], network: str) -> None:
    """They sit on another network now."""
    for vif in vifs:
        db.set("VIF", vif, network=network)


def move_vlan(db: Database, machine: Machine, vlan: str, base: str) -> None:
    """The VLAN is made again on another base; where that has the tag already, only the VIFs move there."""
    old = db.get("VLAN", vlan)["untagged_PIF"]
    tag, record = db.get("VLAN", vlan)["tag"], db.get("PIF", old)
    plugged, management = record["currently_attached"], record["management"]
    same = db.find("VLAN", tagged_PIF=base, tag=tag)
    if same:
        new = db.get("VLAN", same[0])["untagged_PIF"]
        move_vifs(db, local_vifs(db, machine.host_ref, [record["network"]]), db.get("PIF", new)["network"])
    else:
        _vlan, new = vlans.make(db, base, tag, record["network"])
    net.move_configuration(db, old, new)
    for tunnel in record["tunnel_transport_PIF_of"]:
        move_tunnel(db, machine, tunnel, new)
    db.destroy("VLAN", vlan)
    db.destroy("PIF", old)
    if plugged:
        net.bring_up(db, machine, new)
    if management:
        db.set("PIF", new, management=True)


def move_tunnel(db: Database, machine: Machine, tunnel: str, transport: str) -> None:
    """The tunnel is made again over another transport."""
    record = db.get("tunnel", tunnel)
    old = db.get("PIF", record["access_PIF"])
    _tunnel, new = tunnels.make(db, transport, old["network"], record["protocol"])
    plugged = old["currently_attached"]
    db.destroy("PIF", record["access_PIF"])
    db.destroy("tunnel", tunnel)
    if plugged:
        net.bring_up(db, machine, new)
