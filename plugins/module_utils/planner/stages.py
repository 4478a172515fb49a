# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What of a plan may run at the same time: stages, each of which begins when the one before has ended.

Within a stage the actions may run in any order and all at once: none counts on what another of them brings about.
"""

from __future__ import annotations

import typing as t

from .model import MIGRATE, START, STOP, UPGRADE, Action, Pool


def stages(pool: Pool, actions: t.Sequence[Action], hosts_down: int, *, overlap: bool = True) -> list[list[Action]]:
    """overlap: whether VMs leave some hosts while others are upgraded; else only VMs start while others move.

    All stages in a row, one action after another, are a plan that is valid one by one, too.
    """
    plan = _Stages(pool, hosts_down, overlap)
    numbers = [plan.put(action) for action in actions]
    out: list[list[Action]] = [[] for _number in range(max(numbers, default=-1) + 1)]
    for number, action in zip(numbers, actions):
        out[number].append(action)
    return [stage for stage in out if stage]


class _Stages:
    """Each action as early as may be, after those it depends on. Numbers of stages from 0."""

    def __init__(self, pool: Pool, hosts_down: int, overlap: bool):
        self.pool, self.hosts_down, self.overlap = pool, hosts_down, overlap
        self.size = {vm.id: vm.size for vm in pool.vms}
        self.group = {vm.id: vm.group for vm in pool.vms if vm.group}
        self.free = {host.id: host.memory for host in pool.hosts}  # at the start
        for vm in pool.vms:
            self.free[vm.host] -= vm.size
        self.kept = {host.id for host in pool.hosts if not host.evacuate}
        self.coming: dict[str, dict[int, int]] = {host.id: {} for host in pool.hosts}  # memory taken from a stage on, and given back
        self.vm: dict[str, int] = {}  # the stage of its last action
        self.touched: dict[str, int] = {}  # of the last action at a host
        self.upgraded: dict[str, int] = {}  # of its upgrade
        self.members: dict[str, int] = {}  # of the last action of a group
        self.down: dict[int, int] = {}  # upgrades of a stage
        self.kinds: list[str] = []  # what a stage is for, where they are apart
        self.floor = self.last = -1  # nothing more at the floor and before; the last stage used

    def put(self, a: Action) -> int:
        """The stage of the next action."""
        at = max(self.floor, self.vm.get(a.vm, -1), self.members.get(self.group.get(a.vm, ""), -1)) + 1
        at = at if self.overlap else max(at, self.last)
        if a.op == UPGRADE:
            at = self._upgrade(a, at)
        elif a.op == STOP:
            at = self._kind(max(at, self.touched.get(a.host, -1) + 1), STOP)
            self._take(a.host, at + 1, -self.size[a.vm])
        else:
            at = self._bring(a, at)
        for host in {a.host, a.source} - {""}:
            self.touched[host] = max(at, self.touched.get(host, -1))
        if a.vm:
            self.vm[a.vm] = at
        if a.vm in self.group:
            self.members[self.group[a.vm]] = at
        self.last = max(self.last, at)
        return at

    def _upgrade(self, a: Action, at: int) -> int:
        at = max(at, self.touched.get(a.host, -1) + 1)
        if a.host == self.pool.coordinator:  # alone
            at = self._kind(self.last + 1, UPGRADE)
            self.floor = at
        else:
            while self.down.get(at, 0) >= self.hosts_down and a.host not in self.kept:
                at += 1
            at = self._kind(at, UPGRADE)
        self.down[at] = self.down.get(at, 0) + (a.host not in self.kept)
        self.upgraded[a.host] = at
        return at

    def _bring(self, a: Action, at: int) -> int:
        """A migration, or the start of a VM."""
        ends = {a.host, a.source} - {""}
        at = max([at, *(self.upgraded.get(host, -1) + 1 for host in ends)])
        while self._least_free(a.host, at) < self.size[a.vm] and at <= self.last:
            at += 1
        at = self._kind(at, a.op)
        self._take(a.host, at, self.size[a.vm])
        if a.op == MIGRATE:
            self._take(a.source, at + 1, -self.size[a.vm])
        return at

    def _take(self, host: str, at: int, size: int) -> None:
        self.coming[host][at] = self.coming[host].get(at, 0) + size

    def _least_free(self, host: str, at: int) -> int:
        """In that stage and all later ones."""
        free, least = self.free[host], None
        changes = self.coming[host]
        for stage in sorted(changes):
            if stage > at and least is None:
                least = free
            free -= changes[stage]
            if stage >= at:
                least = free if least is None else min(least, free)
        return free if least is None else least

    def _kind(self, at: int, op: str) -> int:
        """Where stages are of one kind, actions stay in their order: in the last stage, or in a new one."""
        if self.overlap:
            return at
        if at <= self.last and (self.kinds[-1] == op or (self.kinds[-1], op) == (START, MIGRATE)):
            self.kinds[-1] = op
            return self.last
        self.kinds.append(op)
        return self.last + 1
