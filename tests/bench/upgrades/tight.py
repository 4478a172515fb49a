# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pools with hardly any room, or with many ties: the same seed gives the same pool. Not every one of them can be upgraded."""

from __future__ import annotations

import random
import typing as t

from .instances import PLAIN, Instance, bare, instance

HOST = 64  # GiB of a host


def _vms(sizes: dict[int, list[int]]) -> list[dict[str, t.Any]]:
    """sizes: GiB, by host."""
    each = [(host, size) for host, here in sizes.items() for size in here]
    return [{"id": f"vm{n}", "host": f"h{host}", "memory": size * 1024, "overhead": 0, **PLAIN} for n, (host, size) in enumerate(each)]


def full(hosts: int, vms: int, seed: int) -> Instance:
    """What is free in all is exactly as much as one host has."""
    chance = random.Random(f"full {hosts} {vms} {seed}")
    loads = [(hosts - 1) * HOST // hosts + (n < (hosts - 1) * HOST % hosts) for n in range(hosts)]
    for _exchange in range(hosts * 2):
        a, b = chance.sample(range(hosts), 2)
        amount = chance.randint(0, min(loads[a], HOST - loads[b], 6))
        loads[a], loads[b] = loads[a] - amount, loads[b] + amount
    sizes = {}
    for host, load in enumerate(loads):
        cuts = sorted(chance.sample(range(1, load), vms - 1))
        sizes[host] = [end - start for start, end in zip([0, *cuts], [*cuts, load])]
    return bare(f"full-{hosts}x{vms}", seed, [HOST * 1024] * hosts, _vms(sizes))


def large(hosts: int, vms: int, seed: int) -> Instance:
    """The coordinator has a VM that is larger than every hole. vms: not looked at."""
    chance = random.Random(f"large {hosts} {vms} {seed}")
    hole = chance.randint(10, 24)
    sizes = {host: [hole + chance.randint(2, 12)] if not host else [] for host in range(hosts)}
    for here in sizes.values():
        room = HOST - sum(here) - hole - chance.randint(0, 2)
        while room > 0:
            here.append(min(room, chance.choice([2, 3, 4, 6, 8, 12])))
            room -= here[-1]
    return bare(f"large-{hosts}x{vms}", seed, [HOST * 1024] * hosts, _vms(sizes))


def grouped(hosts: int, vms: int, seed: int) -> Instance:
    """Two groups that have a VM on every host but one."""
    out = instance("homog", hosts, vms, 0.6, seed)
    for number in range(2):
        without = f"h{random.Random(seed * 7 + number).randrange(hosts)}"
        for host in {vm["host"] for vm in out["vms"]} - {without}:
            next(vm for vm in out["vms"] if vm["host"] == host and not vm["group"])["group"] = f"g{number}"
    return {**out, "name": f"grouped-{hosts}x{vms}"}


def tied(hosts: int, vms: int, seed: int) -> Instance:
    """A quarter of the VMs may run on one other host only."""
    out, chance = instance("homog", hosts, vms, 0.6, seed), random.Random(seed)
    for vm in out["vms"]:
        if chance.random() < 0.25:
            vm["allowed"] = sorted({vm["host"], chance.choice([h["id"] for h in out["hosts"] if h["id"] != vm["host"]])})
    return {**out, "name": f"tied-{hosts}x{vms}"}


def partly(hosts: int, vms: int, seed: int) -> Instance:
    """Some hosts are upgraded already, and four fifths of the memory are taken."""
    chance = random.Random(seed)
    out = instance(chance.choice(["homog", "hetero", "mixed"]), hosts, vms, 0.8, seed)
    for host in out["hosts"][: chance.randint(1, hosts - 1)]:
        host["version"] = out["target"]
    return {**out, "name": f"partly-{hosts}x{vms}"}


TIGHT: dict[str, t.Callable[[int, int, int], Instance]] = {
    "full": full, "large": large, "grouped": grouped, "tied": tied, "partly": partly,
}  # fmt: skip
