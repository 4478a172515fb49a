# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Network calls for all hosts at once. Rules: xen-api ocaml/xapi/xapi_pool.ml."""

from __future__ import annotations

import contextlib
import typing as t

from .. import networking as net
from ..errors import Fault
from ..hosts import is_live
from . import message

if t.TYPE_CHECKING:
    from ..dispatch import Call


@message("pool.create_VLAN_from_PIF")
def create_vlan_from_pif(call: Call, pif: str, network: str, VLAN: int) -> list[str]:
    """On the PIF of the same network of every live host; an error takes all of them back."""
    db = call.db
    peers = db.get("network", db.get("PIF", pif)["network"])["PIFs"]
    made: list[str] = []
    try:
        for peer in peers:
            if is_live(db, db.get("PIF", peer)["host"]):
                made.append(call.call("VLAN.create", peer, VLAN, network))
    except Fault:
        for vlan in made:
            with contextlib.suppress(Fault):
                call.call("VLAN.destroy", vlan)
        raise
    return [db.get("VLAN", vlan)["untagged_PIF"] for vlan in made]


@message("pool.create_VLAN")
def create_vlan(call: Call, device: str, network: str, VLAN: int) -> list[str]:
    """By device name, on every host; an error takes all of them back."""
    made: list[str] = []
    try:
        for host in call.db.all("host"):
            made.append(call.call("PIF.create_VLAN", device, network, host, VLAN))
    except Fault:
        for pif in made:
            with contextlib.suppress(Fault):
                call.call("PIF.destroy", pif)
        raise
    return made


@message("pool.management_reconfigure")
def management_reconfigure(call: Call, network: str) -> None:
    """Members first, the coordinator last."""
    db = call.db
    record = db.get("network", network)
    if call.pool.pool["ha_enabled"]:
        raise Fault("HA_IS_ENABLED")
    by_host = {db.get("PIF", pif)["host"]: pif for pif in record["PIFs"]}
    for host in db.all("host"):
        if host not in by_host:
            raise Fault("PIF_NOT_PRESENT", host, network)
    family = db.get("PIF", record["PIFs"][0])["primary_address_type"]
    for pif in record["PIFs"]:
        if db.get("PIF", pif)["primary_address_type"] != family:
            raise Fault("PIF_INCOMPATIBLE_PRIMARY_ADDRESS_TYPE", pif)
        net.refuse_unusable_for_management(db, pif)
    master = call.pool.pool["master"]
    for host in sorted(by_host, key=lambda h: h == master):
        call.call("host.management_reconfigure", by_host[host])
    call.call("pool.recover_slaves")


@message("pool.set_igmp_snooping_enabled")
def set_igmp_snooping_enabled(call: Call, self: str, value: bool) -> None:
    """Needs openvswitch on all hosts; attached interfaces follow."""
    db = call.db
    if any(host["software_version"].get("network_backend") != "openvswitch" for host in db.all("host").values()):
        raise Fault("OPENVSWITCH_NOT_ACTIVE")
    db.set("pool", self, igmp_snooping_enabled=value)
    for pif, record in db.all("PIF").items():
        if record["currently_attached"] and (record["physical"] or record["bond_master_of"]):
            db.set("PIF", pif, igmp_snooping_status="enabled" if value else "disabled")


@message("pool.set_vswitch_controller")
def set_vswitch_controller(call: Call, address: str) -> None:
    """Nothing stands for none; raises OPERATION_NOT_ALLOWED without openvswitch, INVALID_IP_ADDRESS_SPECIFIED."""
    db = call.db
    if any(host["software_version"].get("network_backend") != "openvswitch" for host in db.all("host").values()):
        raise Fault("OPERATION_NOT_ALLOWED", "host not configured for vswitch operation")
    if address and not net.valid_ipv4(address):
        raise Fault("INVALID_IP_ADDRESS_SPECIFIED", "address")
    db.set("pool", call.pool.pool_ref, vswitch_controller=address)
