# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VLANs. Rules: xen-api ocaml/xapi/xapi_vlan.ml."""

from __future__ import annotations

import typing as t

from .. import networking as net
from ..errors import Fault
from ..hosts import at_host
from . import message

if t.TYPE_CHECKING:
    from ..database import Database
    from ..dispatch import Call

HIGHEST_TAG = 4094


@message("VLAN.create")
def create(call: Call, tagged_PIF: str, tag: int, network: str) -> str:
    """On one host; the new interface is plugged."""
    db = call.db
    base = db.get("PIF", tagged_PIF)
    net.refuse_unmanaged_network(db, network)
    machine = at_host(call, base["host"])
    net.refuse_connected(db, base["host"], network)
    net.refuse_unmanaged(db, tagged_PIF)
    if net.is_member(db, base):
        raise Fault("CANNOT_ADD_VLAN_TO_BOND_SLAVE", tagged_PIF)
    if base["VLAN"] >= 0:
        raise Fault("PIF_IS_VLAN", tagged_PIF)
    if base["tunnel_access_PIF_of"]:
        raise Fault("IS_TUNNEL_ACCESS_PIF", tagged_PIF)
    if not 0 <= tag <= HIGHEST_TAG:
        raise Fault("VLAN_TAG_INVALID", str(tag))
    if db.find("VLAN", tagged_PIF=tagged_PIF, tag=tag):
        raise Fault("PIF_VLAN_EXISTS", base["device"])
    vlan, untagged = make(db, tagged_PIF, tag, network)
    net.bring_up(db, machine, untagged)
    return vlan


def make(db: Database, tagged: str, tag: int, network: str) -> tuple[str, str]:
    """The VLAN object and its detached PIF, without a check."""
    base = db.get("PIF", tagged)
    untagged = db.create(
        "PIF", device=base["device"], network=network, host=base["host"], MAC=net.VLAN_MAC, MTU=base["MTU"], VLAN=tag,
        metrics=base["metrics"], physical=False, currently_attached=False, managed=True, IPv6=[""],
    )  # fmt: skip
    vlan = db.create("VLAN", tagged_PIF=tagged, untagged_PIF=untagged, tag=tag)
    db.set("PIF", untagged, VLAN_master_of=vlan)
    return vlan, untagged


@message("VLAN.destroy")
def destroy(call: Call, self: str) -> None:
    """The network stays."""
    db = call.db
    untagged = db.get("VLAN", self)["untagged_PIF"]
    if not db.exists("PIF", untagged):
        db.destroy("VLAN", self)
        return
    record = db.get("PIF", untagged)
    at_host(call, record["host"])
    net.refuse_bonded(db, untagged)
    if record["VLAN"] < 0:
        raise Fault("PIF_IS_PHYSICAL")
    call.call("PIF.unplug", untagged)
    for tunnel in record["tunnel_transport_PIF_of"]:  # xapi leaves them to its garbage collector
        call.call("tunnel.destroy", tunnel)
    db.destroy("VLAN", self)
    db.destroy("PIF", untagged)
