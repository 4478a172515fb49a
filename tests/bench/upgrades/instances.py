# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pools to upgrade, of five families and any size; the same seed gives the same pool. And pools with hardly any room."""

from __future__ import annotations

import random
import typing as t

Instance = dict[str, t.Any]

FAMILIES = ("homog", "hetero", "unmov", "aa", "mixed")
MEMORY = 256 * 1024  # MiB of a host
PLAIN = {"vcpus": 2, "movable": True, "reason": "", "group": None, "allowed": None, "affinity": None}
PARAMS = {
    "nic_gib_min": 50.0,
    "stream_gib_min": 20.0,
    "setup_min": 0.3,
    "dirty": 1.15,
    "max_in": 3,
    "max_out": 3,
    "reboot_min": 15.0,
    "stop_min": 1.0,
    "start_min": 1.0,
}


def loads(hosts: int) -> tuple[float, ...]:
    """With three hosts two have to hold everything."""
    return (0.4, 0.5, 0.6, 0.64) if hosts == 3 else (0.4, 0.6, 0.75, 0.85)


def instance(family: str, hosts: int, vms: int, load: float, seed: int) -> Instance:
    """vms: of a host. homog: hosts alike; hetero: 0.5 to 2 times the memory; unmov: 8 % of the VMs cannot be moved; aa: a quarter of the
    VMs in groups of two or three that are kept apart; mixed: all of it. Sizes are lognormal, hosts are not loaded alike."""
    chance = random.Random(f"{family} {hosts} {vms} {load} {seed}")
    mixed = family == "mixed"
    memory = [int(MEMORY * chance.uniform(0.5, 2)) if mixed or family == "hetero" else MEMORY for _host in range(hosts)]
    raw = [chance.lognormvariate(0, 0.9) for _vm in range(hosts * vms)]
    sizes = [max(256, int(size * sum(memory) * load / sum(raw))) for size in raw]
    placed = _placed(chance, memory, sizes)
    if mixed or family == "unmov":
        for vm in chance.sample(placed, int(len(placed) * 0.08)):
            vm |= {"movable": False, "reason": "VM_HAS_PCI_ATTACHED"}
    if mixed or family == "aa":
        _group(chance, placed, 3 if hosts > 3 else 2)
    return bare(f"{family}-{hosts}x{vms}-{load:.0%}", seed, memory, placed)


def tight(hosts: int, vms: int, load: float, seed: int) -> Instance:
    """Few VMs in all, large and small, on hosts of different sizes with little left: in whole GiB."""
    chance = random.Random(f"tight {hosts} {vms} {load} {seed}")
    memory = [1024 * chance.randint(16, 48) for _host in range(hosts)]
    raw = [chance.lognormvariate(0, 0.8) for _vm in range(vms)]
    sizes = [1024 * max(1, round(size * sum(memory) * load / sum(raw) / 1024)) for size in raw]
    placed = _placed(chance, memory, sizes)
    return bare(f"tight-{hosts}x{vms}-{load:.0%}", seed, memory, placed)


def snug(hosts: int, vms: int, spare: float, seed: int, *, flavours: bool = False) -> Instance:
    """Hosts alike, of which each has just enough room on the others: spare is what is left then, as a share of what a host holds.

    vms: of a host. flavours: sizes of 2, 4, 8 ... GiB, else any.
    """
    chance = random.Random(f"snug {hosts} {vms} {spare} {seed} {flavours}")
    load = (hosts - 1) / hosts * (1 - spare / hosts)
    placed: list[dict[str, t.Any]] = []
    for host in range(hosts):
        raw = [2 ** chance.randint(1, 6) if flavours else chance.lognormvariate(0, 0.9) for _vm in range(vms)]
        sizes = [max(1, int(size * MEMORY * load / sum(raw) / 1024)) * 1024 for size in raw]
        placed += [{"id": f"vm{host}-{n}", "host": f"h{host}", "memory": size, "overhead": 0, **PLAIN} for n, size in enumerate(sizes)]
    return bare(f"snug-{hosts}x{vms}-{spare}", seed, [MEMORY] * hosts, placed)


def _placed(chance: random.Random, memory: list[int], sizes: list[int]) -> list[dict[str, t.Any]]:
    """The largest first, each where it fits, rather where there is room; some hosts are favoured."""
    free, favour = list(memory), [chance.uniform(0.6, 1.4) for _host in memory]
    placed: list[dict[str, t.Any]] = []
    for size in sorted(sizes, reverse=True):
        able = [h for h, room in enumerate(free) if room >= size]
        if not able:
            continue
        (host,) = chance.choices(able, [(free[h] / memory[h]) ** 2 * favour[h] + 1e-6 for h in able])
        free[host] -= size
        overhead = min(size // 10, 100)
        placed.append({"id": f"vm{len(placed)}", "host": f"h{host}", "memory": size - overhead, "overhead": overhead, **PLAIN})
    return placed


def _group(chance: random.Random, vms: list[dict[str, t.Any]], most: int) -> None:
    left = chance.sample(vms, len(vms) // 4)
    number = 0
    while len(left) >= most:
        count = chance.randint(2, most)
        members, left = left[:count], left[count:]
        if len({vm["host"] for vm in members}) == count:
            number += 1
            for vm in members:
                vm["group"] = f"g{number}"


def bare(name: str, seed: int, memory: list[int], vms: list[dict[str, t.Any]]) -> Instance:
    return {
        "name": name,
        "seed": seed,
        "params": dict(PARAMS),
        "target": "8.3.0",
        "coordinator": "h0",
        "hosts": [{"id": f"h{n}", "memory": size, "cpus": 64, "version": "8.2.1"} for n, size in enumerate(memory)],
        "vms": vms,
        "policy": {"unmovable": "shutdown", "anti_affinity": "hard"},
    }
