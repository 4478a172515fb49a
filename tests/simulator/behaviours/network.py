# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks. Rules: xen-api ocaml/xapi/xapi_network.ml."""

from __future__ import annotations

import typing as t

from ..errors import Fault
from ..networking import LONGEST_BRIDGE, RESERVED_BRIDGES, free_bridge
from . import message

if t.TYPE_CHECKING:
    from ..dispatch import Call

SYSTEM_NETWORK = "is_host_internal_management_network"
OPPOSITE = {"nbd": "insecure_nbd", "insecure_nbd": "nbd"}


@message("network.create")
def create(call: Call, record: dict[str, t.Any]) -> str:
    """Names need not be unique, bridges must be."""
    fields = {"managed": True, **record}
    bridge = fields.get("bridge", "")
    if bridge:
        if len(bridge) > LONGEST_BRIDGE or bridge.startswith(RESERVED_BRIDGES):
            raise Fault("INVALID_VALUE", "bridge", bridge)
        if call.db.find("network", bridge=bridge):
            raise Fault("BRIDGE_NAME_EXISTS", bridge)
    mtu = fields.get("MTU", 1500)
    return call.db.create("network", **{**fields, "bridge": bridge or free_bridge(call.db), "MTU": mtu if mtu > 0 else 1500})


@message("network.destroy")
def destroy(call: Call, self: str) -> None:
    """Detached VIFs go with it."""
    record = call.db.get("network", self)
    attached = [vif for vif in record["VIFs"] if call.db.get("VIF", vif)["currently_attached"]]
    if attached:
        raise Fault("NETWORK_CONTAINS_VIF", *attached)
    if record["PIFs"]:
        raise Fault("NETWORK_CONTAINS_PIF", *record["PIFs"])
    if record["other_config"].get(SYSTEM_NETWORK) == "true":
        raise Fault("CANNOT_DESTROY_SYSTEM_NETWORK", self)
    for vif in record["VIFs"]:
        call.db.destroy("VIF", vif)
    call.db.destroy("network", self)


@message("network.set_default_locking_mode")
def set_default_locking_mode(call: Call, network: str, value: str) -> None:
    """Refused while a VIF is attached."""
    for vif in call.db.get("network", network)["VIFs"]:
        if call.db.get("VIF", vif)["currently_attached"]:
            raise Fault("VIF_IN_USE", network, vif)
    call.db.set("network", network, default_locking_mode=value)


@message("network.add_purpose")
def add_purpose(call: Call, self: str, value: str) -> None:
    """A pool serves its disks either with or without TLS, never both ways."""
    present = call.db.get("network", self)["purpose"]
    if value in present:
        return
    if any(OPPOSITE[value] in network["purpose"] for network in call.db.all("network").values()):
        raise Fault("NETWORK_INCOMPATIBLE_PURPOSES", value, OPPOSITE[value])
    call.db.set("network", self, purpose=[*present, value])


@message("network.remove_purpose")
def remove_purpose(call: Call, self: str, value: str) -> None:
    """One that is not there is no error."""
    call.db.set("network", self, purpose=[p for p in call.db.get("network", self)["purpose"] if p != value])
