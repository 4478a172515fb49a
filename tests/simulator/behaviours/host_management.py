# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The management interface of a host. Rules: xen-api ocaml/xapi/xapi_host.ml."""

from __future__ import annotations

import typing as t

from .. import management
from .. import networking as net
from ..errors import Fault
from ..hosts import at_host
from . import message

if t.TYPE_CHECKING:
    from ..dispatch import Call


@message("host.get_management_interface")
def get_management_interface(call: Call, host: str) -> str:
    """The PIF the host is managed through."""
    call.db.get("host", host)
    pif = net.management_pif(call.db, host)
    if not pif:
        raise Fault("INTERNAL_ERROR", 'Failure("No management interface")')
    return pif


@message("host.management_reconfigure")
def management_reconfigure(call: Call, pif: str) -> None:
    """Another PIF, and with it another address."""
    record = call.db.get("PIF", pif)
    if call.pool.pool["ha_enabled"]:
        raise Fault("HA_IS_ENABLED")
    machine = at_host(call, record["host"])
    if record["managed"]:
        net.refuse_unusable_for_management(call.db, pif)
    management.reconfigure(call.db, machine, pif)


@message("host.management_disable")
def management_disable(call: Call) -> None:
    """Of the host that was asked; nobody reaches it over the network any more."""
    if call.pool.pool["ha_enabled"]:
        raise Fault("HA_IS_ENABLED")
    if not call.machine.is_coordinator:
        raise Fault("SLAVE_REQUIRES_MANAGEMENT_INTERFACE")
    for pif in call.db.find("PIF", host=call.machine.host_ref, management=True):
        call.db.set("PIF", pif, management=False)
    call.world.after(management.ANSWER_SENT, "close endpoint", machine=call.machine.name)


@message("host.local_management_reconfigure")
def local_management_reconfigure(call: Call, interface: str) -> None:
    """By bridge name, for a member in emergency mode."""
    if not call.machine.emergency:
        raise Fault("NOT_IN_EMERGENCY_MODE")
    for network in call.db.find("network", bridge=interface):
        pif = net.pif_on(call.db, call.machine.host_ref, network)
        if pif:
            management.reconfigure(call.db, call.machine, pif)
