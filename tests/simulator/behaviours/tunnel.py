# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tunnels. Rules: xen-api ocaml/xapi/xapi_tunnel.ml."""

from __future__ import annotations

import typing as t
import uuid

from .. import networking as net
from ..errors import Fault
from ..hosts import at_host
from . import message

if t.TYPE_CHECKING:
    from ..database import Database
    from ..dispatch import Call


@message("tunnel.create")
def create(call: Call, transport_PIF: str, network: str, protocol: str) -> str:
    """The access PIF is plugged, which needs an address on the transport; the objects stay when that fails."""
    db = call.db
    transport = db.get("PIF", transport_PIF)
    if any(host["software_version"].get("network_backend") != "openvswitch" for host in db.all("host").values()):
        raise Fault("OPENVSWITCH_NOT_ACTIVE")
    net.refuse_unmanaged_network(db, network)
    net.refuse_unmanaged(db, transport_PIF)
    at_host(call, transport["host"])
    net.refuse_connected(db, transport["host"], network)
    if net.is_member(db, transport):
        raise Fault("CANNOT_ADD_TUNNEL_TO_BOND_SLAVE", transport_PIF)
    if transport["sriov_logical_PIF_of"]:
        raise Fault("CANNOT_ADD_TUNNEL_TO_SRIOV_LOGICAL", transport_PIF)
    if transport["tunnel_access_PIF_of"]:
        raise Fault("IS_TUNNEL_ACCESS_PIF", transport_PIF)
    tunnel, access = make(db, transport_PIF, network, protocol)
    call.call("PIF.plug", access)
    return tunnel


def make(db: Database, transport: str, network: str, protocol: str) -> tuple[str, str]:
    """The tunnel and its detached access PIF, without a check."""
    base = db.get("PIF", transport)
    tail = uuid.uuid4().hex
    mac = ":".join(["02", *(tail[i : i + 2] for i in range(0, 10, 2))])
    access = db.create(
        "PIF", device=net.free_device(db, base["host"], "tunnel"), network=network, host=base["host"], MAC=mac, MTU=-1, VLAN=-1,
        metrics=base["metrics"], physical=False, currently_attached=False, managed=True, IPv6=[""],
    )  # fmt: skip
    return db.create("tunnel", access_PIF=access, transport_PIF=transport, protocol=protocol, status={"active": "false"}), access


@message("tunnel.destroy")
def destroy(call: Call, self: str) -> None:
    """The network stays."""
    access = call.db.get("tunnel", self)["access_PIF"]
    if call.db.exists("PIF", access):
        call.call("PIF.unplug", access)
        call.db.destroy("PIF", access)
    call.db.destroy("tunnel", self)
