# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which storage server a host can talk to: it needs an attached interface with an address in the server's subnet whose card is cabled
to the server's segment, directly or through a bond or VLAN."""

from __future__ import annotations

import ipaddress
import typing as t

from .networking import base_nics, valid_ipv4

if t.TYPE_CHECKING:
    from .storage import Server
    from .world import Machine


def reaches(machine: Machine, server: Server) -> bool:
    """Whether packets of the machine arrive at the server and it answers."""
    db = machine.pool.db
    return server.up and any(_leads_to(machine, server, pif) for pif in db.find("PIF", host=machine.host_ref, currently_attached=True))


def _leads_to(machine: Machine, server: Server, pif: str) -> bool:
    record = machine.pool.db.get("PIF", pif)
    subnet = ipaddress.IPv4Network((server.address, server.prefix), strict=False)
    if not valid_ipv4(record["IP"]) or ipaddress.IPv4Address(record["IP"]) not in subnet:
        return False
    if server.vlan is not None and record["VLAN"] != server.vlan:
        return False
    cards = base_nics(machine.pool.db, pif)
    return any(nic.device in cards and nic.carrier and nic.segment == server.segment for nic in machine.nics)
