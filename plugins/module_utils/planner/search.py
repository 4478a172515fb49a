# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every way there is, the cheapest first: for pools so small or so full that the usual ways find none."""

from __future__ import annotations

import heapq
import random
import typing as t

from .board import Board
from .caterpillar import Stuck, Waves

MOST_STATES = 60_000  # that are looked at
MOST_WORK = 2_500_000  # states times what one costs
QUICK_WORK = 300_000
HASTE = 3  # how much more what is left counts than what was moved, where any way will do
State = tuple[tuple[int, ...], int]  # where the VMs are, and the hosts that have been upgraded as bits


class Exhausted(Stuck):
    """certain: whether there is no way at all, or only none within reach."""

    def __init__(self, board: Board, host: int, *, certain: bool):
        super().__init__(board, host)
        self.certain = certain


def thoroughly(board: Board, todo: t.Sequence[int], level: float, at_once: int, chance: random.Random) -> Waves:
    """As the other ways; hosts are upgraded one by one. Raises Exhausted."""
    del level, at_once, chance
    return Search(board, todo).run(min(MOST_STATES, MOST_WORK // _price(board)), haste=HASTE)


def cheaper(board: Board, todo: t.Sequence[int], than: int) -> Waves:
    """Moves fewer MiB than that, if so small a pool is searched in a moment. Raises Exhausted."""
    return Search(board, todo).run(QUICK_WORK // _price(board), than)


def _price(board: Board) -> int:
    """What it costs to look at a state: its neighbours, each of which names where all VMs are."""
    vms, hosts = len(board.at), len(board.free)
    return max(1, vms * hosts * (16 + vms) // 16)


class Search:
    """A* over states. What is still to be moved at least: the VMs on hosts that are still to be upgraded."""

    def __init__(self, board: Board, todo: t.Sequence[int]):
        self.board, self.todo = board, todo
        self.vms = [v for v in range(len(board.at)) if v in board.on[board.at[v]]]
        self.bit = {h: 1 << n for n, h in enumerate(todo)}
        self.all = (1 << len(todo)) - 1
        self.before: dict[State, tuple[State, int, int]] = {}  # the state before, and what was done: VM (-1: upgraded) and host
        self.alike = self._alike()
        self.furthest = (0, todo[0] if todo else 0)

    def _alike(self) -> list[list[int]]:
        """VMs that may stand for one another, by their places in a state."""
        board, kinds = self.board, dict[t.Any, list[int]]()
        for place, v in enumerate(self.vms):
            key = (board.size[v], board.allowed[v]) if board.group[v] < 0 else ("alone", v)
            kinds.setdefault(key, []).append(place)
        return [places for places in kinds.values() if len(places) > 1]

    def run(self, most: int, than: int | None = None, haste: int = 1) -> Waves:
        """Does on the board what is cheapest, and moves fewer MiB than that. most: states to look at. Raises Exhausted."""
        start: State = (tuple(self.board.at[v] for v in self.vms), 0)
        costs, queue, seen = {start: 0}, [(haste * self._owed(start), 0, 0, start)], set[t.Any]()
        while queue and len(seen) < most:
            _least, _depth, cost, state = heapq.heappop(queue)
            if state[1] == self.all:
                return self._done(state)
            key = self._key(state)
            if key in seen:
                continue
            seen.add(key)
            owed = self._owed(state)
            for after, vm, host in self._next(state):
                then, left = cost, owed
                if vm >= 0:
                    then += self.board.size[vm]
                    left += self.board.size[vm] * (self._waits(state, host) - self._waits(state, self.board.at[vm]))
                if than is not None and then + left >= than:
                    continue
                if then < costs.get(after, then + 1):
                    costs[after] = then
                    self.before[after] = state, vm, host
                    heapq.heappush(queue, (then + haste * left, -bin(after[1]).count("1"), then, after))
        raise Exhausted(self.board, self._blocked(), certain=not queue)

    def _key(self, state: State) -> t.Any:
        places = list(state[0])
        for alike in self.alike:
            for place, host in zip(alike, sorted(places[p] for p in alike)):
                places[place] = host
        return tuple(places), state[1]

    def _owed(self, state: State) -> int:
        waiting = {h for h in self.todo if not state[1] & self.bit[h]}
        return sum(self.board.size[v] for v, h in zip(self.vms, state[0]) if h in waiting)

    def _waits(self, state: State, host: int) -> bool:
        """Whether it is still to be upgraded."""
        return host in self.bit and not state[1] & self.bit[host]

    def _blocked(self) -> int:
        """The host to name: the first that could not be emptied, with the most upgraded before it."""
        return self.furthest[1]

    def _next(self, state: State) -> t.Iterator[tuple[State, int, int]]:
        board, (at, done) = self.board, state
        self._look(state)
        busy = {*at}
        first = board.coordinator in self.bit and not done & self.bit[board.coordinator]
        for h in self.todo:
            if not done & self.bit[h] and h not in busy and (not first or h == board.coordinator):
                yield (at, done | self.bit[h]), -1, h
        for place, v in enumerate(self.vms):
            for h in board.hosts():
                if board.fits(v, h):
                    yield ((*at[:place], h, *at[place + 1 :]), done), v, h

    def _look(self, state: State) -> None:
        """Brings the board there."""
        board, (at, done) = self.board, state
        board.back(0)
        if board.coordinator not in self.bit:
            board.upgrade_in_place()
        for v, h in zip(self.vms, at):
            if board.at[v] != h:
                board.move(v, h)
        for h in self.todo:
            if done & self.bit[h]:
                board.upgrade(h)
        count = bin(done).count("1")
        if count >= self.furthest[0]:
            waiting = [h for h in self.todo if not done & self.bit[h]]
            self.furthest = count, waiting[0] if waiting else self.todo[0]

    def _done(self, state: State) -> Waves:
        way: list[tuple[int, int]] = []
        while state in self.before:
            state, vm, host = self.before[state]
            way.append((vm, host))
        self._look(state)
        waves = t.cast(Waves, [])
        for vm, host in reversed(way):
            if vm >= 0:
                self.board.move(vm, host)
            else:
                self.board.upgrade(host)
                waves.append([host])
        return waves
