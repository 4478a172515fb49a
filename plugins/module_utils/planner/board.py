# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where VMs are while a plan is made. Every step is written down, and can be taken back."""

from __future__ import annotations

import typing as t

from .model import Pool


class Step(t.NamedTuple):
    """A VM that went from source to target; or, with vm -1, a host (target) that was upgraded, and its rank before (source)."""

    vm: int
    source: int
    target: int


class Board:
    """Hosts and VMs by number. VMs that cannot be moved count as memory their host does not have.

    size, at, start (where it is at first), home (-1: a host that is not up), times (how often each was moved): per VM;
    free, capacity, rank (of the version), on (movable VMs): per host.
    strict: whether no VM may be moved to a host with another of its group; else that is only avoided.
    in_place: hosts to upgrade with their VMs on them, the coordinator first. wish: where VMs had better be, by VM.
    """

    def __init__(self, pool: Pool, *, strict: bool = True, in_place: t.Sequence[int] = ()):
        self.pool, self.strict, self.in_place = pool, strict, list(in_place)
        self.number = {host.id: n for n, host in enumerate(pool.hosts)}
        ranks = sorted({host.version for host in pool.hosts} | {pool.target})
        self.top = ranks.index(pool.target)
        self.rank = [min(ranks.index(host.version), self.top) for host in pool.hosts]
        self.usable = [host.usable for host in pool.hosts]
        self.coordinator = self.number[pool.coordinator]
        self.at = [self.number[vm.host] for vm in pool.vms]
        self.start = list(self.at)
        self.home = [self.number.get((vm.movable and vm.home) or vm.host, -1) for vm in pool.vms]
        self.size = [vm.size for vm in pool.vms]
        self.wish: dict[int, int] = {}
        self.allowed = [None if vm.allowed is None else self._numbers(vm.allowed) for vm in pool.vms]
        names = {name: n for n, name in enumerate(sorted({vm.group for vm in pool.vms if vm.group}))}
        self.group = [names[vm.group] if vm.group else -1 for vm in pool.vms]
        self.members: list[dict[int, set[int]]] = [{} for _name in names]
        self.steps: list[Step] = []
        self.times = [0] * len(pool.vms)
        self.work = 0  # moves in all, with those that were taken back
        self._place()

    def _numbers(self, names: t.Iterable[str]) -> frozenset[int]:
        return frozenset(self.number[name] for name in names if name in self.number)

    def _place(self) -> None:
        self.capacity = [host.memory for host in self.pool.hosts]
        self.on: list[set[int]] = [set() for _host in self.pool.hosts]
        for v, vm in enumerate(self.pool.vms):
            if vm.movable:
                self.on[self.at[v]].add(v)
            else:
                self.capacity[self.at[v]] -= vm.size
            if self.group[v] >= 0:
                self.members[self.group[v]].setdefault(self.at[v], set()).add(v)
        self.free = [self.capacity[h] - sum(self.size[v] for v in vms) for h, vms in enumerate(self.on)]

    def hosts(self) -> range:
        return range(len(self.free))

    def load(self, host: int) -> int:
        return self.capacity[host] - self.free[host]

    def may(self, vm: int, host: int) -> bool:
        """Whether it may go there, memory and its group aside: allowed, usable, and no older than where it is."""
        allowed = self.allowed[vm]
        return (
            self.usable[host] and host != self.at[vm] and self.rank[host] >= self.rank[self.at[vm]] and (allowed is None or host in allowed)
        )

    def in_the_way(self, vm: int, host: int) -> t.Collection[int]:
        """Others of its group on that host."""
        group = self.group[vm]
        return self.members[group].get(host, ()) if group >= 0 else ()

    def fits(self, vm: int, host: int) -> bool:
        return self.free[host] >= self.size[vm] and self.may(vm, host) and not (self.strict and self.in_the_way(vm, host))

    def move(self, vm: int, host: int) -> None:
        self.steps.append(Step(vm, self.at[vm], host))
        self.times[vm] += 1
        self.work += 1
        self._put(vm, host)

    def _put(self, vm: int, host: int) -> None:
        source, size, group = self.at[vm], self.size[vm], self.group[vm]
        self.on[source].remove(vm)
        self.on[host].add(vm)
        self.free[source] += size
        self.free[host] -= size
        self.at[vm] = host
        if group >= 0:
            self.members[group][source].remove(vm)
            self.members[group].setdefault(host, set()).add(vm)

    def upgrade(self, host: int) -> None:
        """Once the coordinator is, so are the hosts that need not be emptied for it."""
        self.raise_version(host)
        if host == self.coordinator:
            self.upgrade_in_place()

    def upgrade_in_place(self) -> None:
        for host in self.in_place:
            self.raise_version(host)

    def raise_version(self, host: int) -> None:
        self.steps.append(Step(-1, self.rank[host], host))
        self.rank[host], self.usable[host] = self.top, True

    def back(self, mark: int) -> None:
        """Takes back all steps but the first ones, so many."""
        while len(self.steps) > mark:
            vm, source, target = self.steps.pop()
            if vm < 0:
                self.rank[target], self.usable[target] = source, self.pool.hosts[target].usable  # each is upgraded once
            else:
                self.times[vm] -= 1
                self._put(vm, source)

    def mark(self) -> int:
        return len(self.steps)

    def since(self, mark: int) -> list[tuple[int, int]]:
        """The VMs moved since then, and where to: to do it again."""
        return [(step.vm, step.target) for step in self.steps[mark:] if step.vm >= 0]

    def again(self, moves: t.Iterable[tuple[int, int]]) -> None:
        for vm, host in moves:
            self.move(vm, host)

    def moved(self) -> int:
        """MiB."""
        return sum(self.size[step.vm] for step in self.steps if step.vm >= 0)

    def movers(self, host: int) -> list[int]:
        """Its movable VMs, the largest first."""
        return sorted(self.on[host], key=lambda v: (-self.size[v], v))
