# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which VMs to move so that hosts bear alike. Pure: hosts and VMs in, moves out; the same whatever order they come in."""

from __future__ import annotations

import heapq
import typing as t
from dataclasses import dataclass, replace

LEAST_GAIN = 1e-9  # what a move must better, so that rounding moves nothing


@dataclass(frozen=True)
class Host:
    """memory: bytes for guests; vcpus: processors."""

    name: str
    memory: int
    vcpus: int


@dataclass(frozen=True)
class Vm:
    """memory: bytes it holds; targets: hosts it may go to; apart: groups whose members are to be on different hosts."""

    name: str
    host: str
    memory: int
    vcpus: int
    targets: frozenset[str] = frozenset()
    apart: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Weights:
    """How much memory and vCPUs count; at least one of them more than 0."""

    memory: float = 1.0
    vcpus: float = 0.0


class Move(t.NamedTuple):
    vm: str
    source: str
    target: str


class Load(t.NamedTuple):
    """What the VMs of a host take of it, as a share of 1 (more when vCPUs are shared); score: weighted."""

    memory: float
    vcpus: float
    score: float
    vms: int


class _State:
    """Where the VMs are, as moves change it."""

    def __init__(self, hosts: t.Iterable[Host], vms: t.Iterable[Vm], weights: Weights):
        self.weights = weights
        self.hosts = {host.name: host for host in sorted(hosts, key=lambda host: host.name)}
        self.vms = {vm.name: vm for vm in sorted(vms, key=lambda vm: vm.name) if vm.host in self.hosts}
        self.memory = dict.fromkeys(self.hosts, 0)
        self.vcpus = dict.fromkeys(self.hosts, 0)
        self.count = dict.fromkeys(self.hosts, 0)
        self.members: dict[tuple[str, str], int] = {}  # of a group on a host
        for vm in self.vms.values():
            self._put(vm, vm.host, 1)

    def _put(self, vm: Vm, host: str, sign: int) -> None:
        self.memory[host] += sign * vm.memory
        self.vcpus[host] += sign * vm.vcpus
        self.count[host] += sign
        for group in vm.apart:
            self.members[group, host] = self.members.get((group, host), 0) + sign

    def move(self, move: Move) -> None:
        vm = self.vms[move.vm]
        self._put(vm, move.source, -1)
        self._put(vm, move.target, 1)
        self.vms[vm.name] = replace(vm, host=move.target)

    def score(self, host: str) -> float:
        return self.adds(host, self.memory[host], self.vcpus[host])

    def adds(self, host: str, memory: int, vcpus: int) -> float:
        """What that much makes of a host's score."""
        limits, weights = self.hosts[host], self.weights
        share = weights.memory * memory / max(1, limits.memory) + weights.vcpus * vcpus / max(1, limits.vcpus)
        return share / (weights.memory + weights.vcpus)

    def valid(self, vm: Vm, target: str) -> bool:
        """Whether it may go there, fits, and is with no more members of its groups than before."""
        return (
            target in vm.targets
            and target != vm.host
            and self.memory[target] + vm.memory <= self.hosts[target].memory
            and all(self.members.get((group, target), 0) < self.members[group, vm.host] for group in vm.apart)
        )


def loads(hosts: t.Iterable[Host], vms: t.Iterable[Vm], weights: Weights) -> dict[str, Load]:
    """By host."""
    state = _State(hosts, vms, weights)
    return {
        name: Load(state.memory[name] / max(1, host.memory), state.vcpus[name] / max(1, host.vcpus), state.score(name), state.count[name])
        for name, host in state.hosts.items()
    }


def imbalance(scores: t.Collection[float]) -> float:
    """Percentage points between the host that bears most and the one that bears least."""
    return (max(scores) - min(scores)) * 100 if scores else 0.0


def plan(hosts: t.Iterable[Host], vms: t.Iterable[Vm], weights: Weights, *, threshold: float, max_moves: int) -> list[Move]:
    """The moves, in an order in which each is valid, until the imbalance is below threshold or nothing makes it better.

    Each takes from a host that bears more and gives to one that bears less, the most useful first; none makes the widest gap wider.
    Planning again where it ended gives no moves, unless max_moves ended it.
    """
    hosts, vms = list(hosts), list(vms)
    state, moves = _State(hosts, vms, weights), list[Move]()
    while len(moves) < max_moves:
        scores = {host: state.score(host) for host in state.hosts}
        if imbalance(scores.values()) < threshold:
            break
        best = next((move for move in _useful(state, scores) if _fits(state, scores, move)), None)
        if best is None:
            break
        state.move(best)
        moves.append(best)
    return _direct(moves, lambda: _State(hosts, vms, weights))


def _useful(state: _State, scores: dict[str, float]) -> t.Iterator[Move]:
    """Moves that make the loads more alike (less variance), the most useful first, then the smallest VM."""
    count, total = len(scores), sum(scores.values())
    found: list[tuple[float, int, Move]] = []
    for vm in _kinds(state):
        source = scores[vm.host]
        lost = state.adds(vm.host, vm.memory, vm.vcpus)
        for target in vm.targets:
            if scores.get(target, source) >= source:
                continue
            won = state.adds(target, vm.memory, vm.vcpus)
            squares = lost * (lost - 2 * source) + won * (won + 2 * scores[target])
            gain = (won - lost) * (won - lost + 2 * total) / count - squares
            if gain > LEAST_GAIN:
                found.append((-gain, vm.memory, Move(vm.name, vm.host, target)))
    heapq.heapify(found)
    while found:
        yield heapq.heappop(found)[2]


def _kinds(state: _State) -> t.Iterable[Vm]:
    """Of VMs that are alike and in the same place the first by name; another of them would do no better."""
    kinds: dict[tuple[t.Any, ...], Vm] = {}
    for vm in state.vms.values():
        kinds.setdefault((vm.host, vm.memory, vm.vcpus, vm.targets, vm.apart), vm)
    return kinds.values()


def _fits(state: _State, scores: dict[str, float], move: Move) -> bool:
    """Whether it is valid, and makes the widest gap no wider."""
    vm = state.vms[move.vm]
    if not state.valid(vm, move.target):
        return False
    less = scores[move.source] - state.adds(move.source, vm.memory, vm.vcpus)
    more = scores[move.target] + state.adds(move.target, vm.memory, vm.vcpus)
    after = {**scores, move.source: less, move.target: more}
    return imbalance(after.values()) <= imbalance(scores.values()) + LEAST_GAIN


def _direct(moves: list[Move], fresh: t.Callable[[], _State]) -> list[Move]:
    """A VM that would move twice goes straight to where it ends, if every step stays valid so."""
    for name in sorted({move.vm for move in moves}):
        steps = [n for n, move in enumerate(moves) if move.vm == name]
        if len(steps) < 2:
            continue
        source, target = moves[steps[0]].source, moves[steps[-1]].target
        for at in (steps[-1], steps[0]):
            straight = [] if source == target else [Move(name, source, target)]
            shorter = [m for n, m in enumerate(moves) for m in (straight if n == at else [] if n in steps else [m])]
            if follow(fresh(), shorter):
                moves = shorter
                break
    return moves


def follow(state: _State, moves: t.Iterable[Move]) -> bool:
    """Carry out the moves; whether each was valid."""
    for move in moves:
        if state.vms[move.vm].host != move.source or not state.valid(state.vms[move.vm], move.target):
            return False
        state.move(move)
    return True


def batches(moves: t.Iterable[Move], at_once: int) -> list[list[Move]]:
    """The moves in groups that may run side by side: none counts on room that another of its group has yet to make."""
    out: list[list[Move]] = []
    for move in moves:
        last = out[-1] if out else []
        waits = any(move.target == other.source or move.vm == other.vm for other in last)
        if not last or waits or len(last) >= at_once:
            out.append([move])
        else:
            last.append(move)
    return out
