# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How others upgrade a pool, to compare with. VMs that cannot be moved are stopped and started for them, else they would all give up.

evacuation: xapi's own plan for a host (xapi_host.ml, compute_evacuation_plan_no_wlb; binpack.ml, biggest_fit_decreasing;
xapi_ha_vm_failover.ml, compute_anti_aff_evac_plan).
"""

from __future__ import annotations

import typing as t
from collections import Counter
from dataclasses import dataclass, field

from ansible_collections.domzero.xen.plugins.module_utils.planner.model import MIGRATE, START, STOP, UPGRADE, Action, Pool, Vm

XAPI_BATCH, XO_CONCURRENCY = 10, 3  # evacuation_batch_size; vmEvacuationConcurrency
Where = dict[str, str]  # the host each VM is on
Chosen = dict[str, str]  # the host each VM is to go to


class GivesUp(Exception):
    """The peer stops here; the text says at what."""


@dataclass
class Stages:
    """limits: how many actions of a stage run at once, None for all."""

    actions: list[list[Action]] = field(default_factory=list)
    limits: list[int | None] = field(default_factory=list)

    def add(self, actions: t.Iterable[Action], limit: int | None = None) -> None:
        group = list(actions)
        if group:
            self.actions.append(group)
            self.limits.append(limit)


class Peer:
    """A pool as it goes along, and the stages of what is done to it."""

    def __init__(self, pool: Pool):
        self.pool = pool
        self.memory = {host.id: host.memory for host in pool.hosts}
        self.version = {host.id: host.version for host in pool.hosts}
        self.vms = {vm.id: vm for vm in pool.vms}
        self.where: Where = {vm.id: vm.host for vm in pool.vms}
        self.stages = Stages()
        due = [host.id for host in pool.hosts if host.version < pool.target]
        self.order = sorted(due, key=lambda name: name != pool.coordinator)

    def free(self, host: str) -> int:
        return self.memory[host] - sum(self.vms[vm].size for vm, at in self.where.items() if at == host)

    def leaving(self, host: str) -> list[Vm]:
        """The largest first."""
        here = [self.vms[vm] for vm, at in self.where.items() if at == host and self.vms[vm].movable]
        return sorted(here, key=lambda vm: (-vm.size, vm.id))

    def evacuation(self, host: str) -> Chosen:
        """Raises GivesUp before anything is moved."""
        targets = [other for other in self.memory if other != host and self.version[other] >= self.version[host]]
        vms = self.leaving(host)
        for vm in vms:
            if not targets or (vm.allowed is not None and not vm.allowed.issuperset(targets)):
                raise GivesUp(f"{vm.id} cannot boot on every host but {host}")
        grouped = [vm for vm in vms if vm.group]
        plans = [_spread_evenly, _no_breach] if grouped and len(self.memory) >= 3 else []
        free = {target: self.free(target) for target in targets}
        for first in plans:
            left, chosen = dict(free), Chosen()
            if first(grouped, self._members(), left, chosen) and _worst_fit([vm for vm in vms if vm.id not in chosen], left, chosen):
                return chosen
        chosen = Chosen()
        if not _worst_fit(vms, dict(free), chosen):
            raise GivesUp(f"{host} cannot be emptied: HOST_NOT_ENOUGH_FREE_MEMORY")
        return chosen

    def _members(self) -> Counter[tuple[str, str]]:
        """How many of a group are on a host."""
        return Counter((vm.group, self.where[vm.id]) for vm in self.pool.vms if vm.group)

    def upgrade(self, host: str, batch: int) -> list[Action]:
        """Returns the migrations."""
        moves = [Action(MIGRATE, target, vm, host) for vm, target in self.evacuation(host).items()]
        fixed = [vm.id for vm in self.pool.vms if vm.host == host and not vm.movable]
        self.stages.add(Action(STOP, host, vm) for vm in fixed)
        self.stages.add(moves, batch)
        self.stages.add([Action(UPGRADE, host)])
        self.stages.add(Action(START, host, vm) for vm in fixed)
        self.where |= {move.vm: move.host for move in moves}
        self.version[host] = self.pool.target
        return moves

    def bring(self, vm: str, host: str) -> bool:
        """One at a time; whether there is room."""
        source = self.where[vm]
        if source == host:
            return True
        if self.version[source] > self.version[host] or self.free(host) < self.vms[vm].size:
            return False
        self.stages.add([Action(MIGRATE, host, vm, source)], 1)
        self.where[vm] = host
        return True


def _worst_fit(vms: t.Iterable[Vm], free: dict[str, int], chosen: Chosen) -> bool:
    """Each to the host with most free memory."""
    for vm in vms:
        host = max(free, key=lambda name: free[name])
        if free[host] < vm.size:
            return False
        chosen[vm.id] = host
        free[host] -= vm.size
    return True


def _spread_evenly(vms: t.Iterable[Vm], members: Counter[tuple[str, str]], free: dict[str, int], chosen: Chosen) -> bool:
    """Each to the host with fewest of its group, among those the one with least free memory."""
    for vm in vms:
        able = [host for host in free if free[host] >= vm.size]
        if not able:
            return False
        host = min(able, key=lambda name: (members[vm.group or "", name], free[name]))
        members[vm.group or "", host] += 1
        chosen[vm.id] = host
        free[host] -= vm.size
    return True


def _no_breach(vms: t.Iterable[Vm], members: Counter[tuple[str, str]], free: dict[str, int], chosen: Chosen) -> bool:
    """Each to a host without another of its group, where there is one; the rest are placed like all others."""
    for vm in vms:
        able = [host for host in free if free[host] >= vm.size and not members[vm.group or "", host]]
        if able:
            host = min(able, key=lambda name: free[name])
            members[vm.group or "", host] += 1
            chosen[vm.id] = host
            free[host] -= vm.size
    return True


def xapi_loop(pool: Pool) -> Stages:
    """host.evacuate for one host after another, nothing comes back; so does XenCenter's Rolling Pool Upgrade."""
    peer = Peer(pool)
    for host in peer.order:
        peer.upgrade(host, XAPI_BATCH)
    return peer.stages


def xc_update(pool: Pool) -> Stages:
    """XenCenter's wizard for updates: what left a host comes back right after it, one VM at a time."""
    peer = Peer(pool)
    for host in peer.order:
        for move in peer.upgrade(host, XAPI_BATCH):
            if not peer.bring(move.vm, host):
                raise GivesUp(f"{move.vm} does not get back to {host}")
    return peer.stages


def xo_rpu(pool: Pool) -> Stages:
    """Xen Orchestra: all hosts are asked up front, one host at a time; in the end one pass brings VMs back, as far as they fit."""
    peer = Peer(pool)
    for host in peer.order:
        peer.evacuation(host)
    for host in peer.order:
        peer.upgrade(host, XO_CONCURRENCY)
    for host in reversed(peer.order):
        for vm in peer.pool.vms:
            if vm.host == host and vm.movable:
                peer.bring(vm.id, host)
    return peer.stages


PEERS: dict[str, t.Callable[[Pool], Stages]] = {"xapi_loop": xapi_loop, "xc_update": xc_update, "xo_rpu": xo_rpu}
