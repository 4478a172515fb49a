# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a host is managed from, and the endpoint that moves with it.

Rules: xen-api ocaml/xapi/xapi_host.ml (management_reconfigure), xapi_mgmt_iface.ml.
"""

from __future__ import annotations

import ipaddress
import typing as t

from . import networking as net
from .world import scheduled

if t.TYPE_CHECKING:
    from .database import Database
    from .world import Machine, World

ANSWER_SENT = 1.0  # virtual seconds: the call that moves the endpoint is still answered


def reconfigure(db: Database, machine: Machine, pif: str) -> None:
    """The PIF is attached and carries the management from now on; one that does already is left alone."""
    if db.get("PIF", pif)["management"]:
        return
    net.bring_up(db, machine, pif)
    for old in db.find("PIF", host=machine.host_ref, management=True):
        db.set("PIF", old, management=False)
    db.set("PIF", pif, management=True)
    follow_address(db, machine, pif)


def follow_address(db: Database, machine: Machine, pif: str) -> None:
    """host.address takes the interface's; the endpoint moves where that is an address of this computer, and stays where it is otherwise."""
    address = shown_address(db.get("PIF", pif))
    if not address or address == machine.host_record()["address"]:
        return
    db.set("host", machine.host_ref, address=address)
    if is_loopback(address) and address != machine.address and machine.world.machine_at(address) is None:
        machine.world.after(ANSWER_SENT, "move endpoint", machine=machine.name, address=address)


def shown_address(record: dict[str, t.Any]) -> str:
    """The address of the PIF's primary family, without prefix length."""
    if record["primary_address_type"] == "IPv4":
        return str(record["IP"])
    return next((address.partition("/")[0] for address in record["IPv6"] if address), "")


def is_loopback(address: str) -> bool:
    """Whether an endpoint can listen there."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


@scheduled("move endpoint")
def move_endpoint(world: World, machine: str, address: str) -> None:
    """The host stops listening at its old address and starts at the new one."""
    moving = world.machines[machine]
    if moving.endpoint:
        moving.endpoint.close()
    moving.address = address
    if moving.endpoint and moving.power == "on":
        moving.endpoint.open()


@scheduled("close endpoint")
def close_endpoint(world: World, machine: str) -> None:
    """The host has no management interface any more."""
    if endpoint := world.machines[machine].endpoint:
        endpoint.close()
