# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which guest of a host that is emptied goes where: first spread evenly, then at least on two hosts, then packed, as xapi does.

Rules: xen-api ocaml/xapi/xapi_ha_vm_failover.ml (compute_anti_aff_evac_plan), binpack.ml (biggest_fit_decreasing). Sizes are bytes.
Guests that find no place are left out.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

Sizes = dict[str, int]  # guest -> what it takes, or host -> what is free
Plan = dict[str, str]
FEWEST_HOSTS = 3  # of a pool in which groups matter
ENOUGH = 2  # hosts a group is on when one may fail


@dataclass(frozen=True)
class Grouped:
    """Guests of a host that belong to an anti-affinity group, and how many of each group the other hosts have."""

    group_of: dict[str, str]
    present: dict[str, dict[str, int]]  # group -> host -> guests


def pack(guests: Sizes, free: Sizes) -> Plan:
    """The biggest guest into the host with most room, which is then looked at again; a host that is tried first stays first when equal."""
    hosts = sorted(free.items(), key=lambda pair: -pair[1])
    plan: Plan = {}
    for guest, size in sorted(guests.items(), key=lambda pair: -pair[1]):
        if not hosts or hosts[0][1] < size:
            continue
        (host, room), *rest = hosts
        plan[guest] = host
        place = next((n for n, (_host, other) in enumerate(rest) if other <= room - size), len(rest))
        hosts = [*rest[:place], (host, room - size), *rest[place:]]
    return plan


def make(guests: Sizes, free: Sizes, grouped: Grouped, pool_size: int) -> Plan:
    """Groups count in a pool of three hosts and more; a plan that leaves somebody out gives way to a simpler one."""
    members = {guest: guests[guest] for guest in sorted(guests, key=lambda guest: guests[guest]) if guest in grouped.group_of}
    if pool_size < FEWEST_HOSTS or not members:
        return pack(guests, free)
    for first in (_spread(members, free, grouped), _on_two(members, free, grouped)):
        rest = {guest: size for guest, size in guests.items() if guest not in first}
        plan = {**first, **pack(rest, _left(guests, free, first))}
        if first and len(plan) == len(guests):
            return plan
    return pack(guests, free)


def _left(guests: Sizes, free: Sizes, plan: Plan) -> Sizes:
    return {host: room - sum(guests[guest] for guest, goal in plan.items() if goal == host) for host, room in free.items()}


def _spread(members: Sizes, free: Sizes, grouped: Grouped) -> Plan:
    """Small ones first, to the host with fewest of their group, and of those the one with least room; all of them or none."""
    room, plan = dict(free), t.cast("Plan", {})
    count = {group: {host: hosts.get(host, 0) for host in free} for group, hosts in grouped.present.items()}
    for guest, size in members.items():
        here = count[grouped.group_of[guest]]
        host = next((host for host in sorted(room, key=lambda host: (here[host], room[host])) if size <= room[host]), None)
        if host is None:
            return {}
        plan[guest] = host
        here[host] += 1
        room[host] -= size
    return plan


def _on_two(members: Sizes, free: Sizes, grouped: Grouped) -> Plan:
    """Small ones first, to a host without their group and with least room, until the group is on two hosts."""
    room, plan = dict(free), t.cast("Plan", {})
    taken = {group: {host for host, number in hosts.items() if number and host in free} for group, hosts in grouped.present.items()}
    for guest, size in members.items():
        here = taken[grouped.group_of[guest]]
        fitting = [host for host in room if host not in here and size <= room[host]]
        if len(here) >= ENOUGH or not fitting:
            continue
        host = plan[guest] = min(fitting, key=lambda host: room[host])
        here.add(host)
        room[host] -= size
    return plan
