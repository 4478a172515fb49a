# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A running guest goes to another host (xen-api: ocaml/xapi/message_forwarding.ml, xapi_vm_migrate.ml)."""

from __future__ import annotations

import typing as t

from . import evacuation, guest_agents, guest_power, operations, placement, power_states
from . import networking as net
from .errors import Fault
from .modeltypes import NULL

if t.TYPE_CHECKING:
    from .dispatch import Call

HALFWAY, ALMOST = 0.5, 0.99


def check_network(call: Call, network: str, host: str) -> None:
    """Raises PIF_NOT_PRESENT, REQUIRED_PIF_IS_UNPLUGGED or INTERFACE_HAS_NO_IP for a network that can't carry a migration there."""
    pif = net.pif_on(call.db, host, network)
    if not pif:
        raise Fault("PIF_NOT_PRESENT", host, network)
    record = call.db.get("PIF", pif)
    if not record["currently_attached"]:
        raise Fault("REQUIRED_PIF_IS_UNPLUGGED", pif)
    if not record["IP"]:
        raise Fault("INTERFACE_HAS_NO_IP", pif)


def _network(call: Call, options: t.Mapping[str, str]) -> str:
    """The network an option names by reference or uuid. Raises INVALID_VALUE ["network", value]."""
    wanted = options.get("network", "")
    if not wanted or call.db.exists("network", wanted):
        return wanted or NULL
    found = call.db.find("network", uuid=wanted)
    if not found:
        raise Fault("INVALID_VALUE", "network", wanted)
    return found[0]


def check(call: Call, vm: str, host: str, options: t.Mapping[str, str]) -> None:
    """Raises the first reason why the guest can't go there."""
    db = call.db
    db.get("host", host)
    source = db.get("VM", vm)["resident_on"]
    if call.pool.pool["restrictions"].get("restrict_xen_motion") == "true":
        raise Fault("LICENCE_RESTRICTION", "Xen_motion")
    if operations.upgrading(db) and evacuation.is_older(db, host, source):
        raise Fault("NOT_SUPPORTED_DURING_UPGRADE")
    fault = placement.refusal(db, vm, host)
    if fault and not (options.get("force") == "true" and fault.code == "VM_INCOMPATIBLE_WITH_THIS_HOST"):
        raise fault
    network = _network(call, options)
    if network != NULL:
        check_network(call, network, host)


def _watch(call: Call, vm: str, source: str, host: str) -> t.Callable[[float], None]:
    """Tells the task how far it is; a migration that is to fail does in the middle."""
    doom = call.world.faults.migration_fault(call.db.get("VM", vm)["uuid"], vm, source, host)

    def watch(fraction: float) -> None:
        if doom and fraction >= HALFWAY:
            raise doom
        call.progress(min(fraction, ALMOST))

    return watch


def relocate(call: Call, vm: str, host: str, task: str) -> None:
    """The guest's memory is sent while it runs; then it goes on there."""
    with guest_power.reserved(call, vm, host, "vm_migrate") as found:
        for vif in call.db.get("VM", vm)["VIFs"]:
            guest_power.attach_network(call.db, found, call.db.get("VIF", vif)["network"])
        source = call.db.get("VM", vm)["resident_on"]
        with guest_power.same_domain(call, vm, task):
            guest_agents.hear(call, vm)
            call.world.traffic.send(source, host, guest_power.image_size(call.db, vm), _watch(call, vm, source, host))
        guest_power.refuse_down(found)
        power_states.to_host(found, vm)
    text = f"migrated from {guest_power.on_host(call, source)} to {guest_power.on_host(call, host)}"
    guest_power.tell(call, vm, "VM_MIGRATED", text)
