# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Waves of hosts whose VMs go onto hosts that have been upgraded, and so need not move again.

The coordinator's, for which there are no such hosts yet, go to the hosts that are upgraded last.
"""

from __future__ import annotations

import random
import typing as t

from .board import Board
from .making_way import insert_all
from .model import NoPlan
from .packing import best_fit, first_fit, pack, tightest
from .squeezing import squeeze

Waves = list[list[int]]
TRIES = 40  # of a packing with some luck


class Stuck(NoPlan):
    """No way was found to empty this host."""

    def __init__(self, board: Board, host: int):
        super().__init__(board.pool.hosts[host].id)
        self.host = host


def walk(board: Board, todo: t.Sequence[int], level: float, at_once: int, chance: random.Random, *, hard: bool = False) -> Waves:
    """Moves and upgrades everything on the board. todo: the hosts to upgrade in a good order, the coordinator first if it is one.

    level: the share of a host's memory that is used as long as that is possible; hard: whether VMs may change places where nothing
    else helps. Returns the waves. Raises Stuck.
    """
    left, waves = list(todo), t.cast(Waves, [])
    if left and left[0] == board.coordinator:
        left.pop(0)
        _empty_first(board, board.coordinator, left, chance, hard)
        board.upgrade(board.coordinator)
        waves.append([board.coordinator])
    while left:
        wave = _wave(board, left, level, at_once, chance)
        if not wave and level < 1:
            wave = _wave(board, left, 1, 1, chance)
        if not wave:
            wave = _wave(board, left, 1, 1, chance, TRIES)
        if not wave:
            wave = [_partial(board, left, chance, hard)]
        for host in wave:
            board.upgrade(host)
            left.remove(host)
        waves.append(wave)
    return waves


def _empty_first(board: Board, host: int, others: t.Sequence[int], chance: random.Random, hard: bool) -> None:
    """VMs of the first host go to as few hosts as possible of those that come last, and those that are not upgraded at all."""
    vms = board.movers(host)
    for_good, late = [h for h in settled(board, others) if h != host], list(reversed(others))
    for count in range(len(late) + 1):
        bins = for_good + late[:count]
        if first_fit(board, vms, bins) or best_fit(board, vms, bins):
            return
    bins = for_good + late
    if pack(board, vms, bins, 1, chance, TRIES) or insert_all(board, vms, bins, {host}, chance):
        return
    if hard and squeeze(board, host, chance):
        return
    raise Stuck(board, host)


def settled(board: Board, left: t.Collection[int]) -> list[int]:
    """Hosts that are not upgraded any more: what is there need not move again."""
    return [h for h, usable in enumerate(board.usable) if usable and h not in left]


def _wave(board: Board, left: t.Sequence[int], level: float, at_once: int, chance: random.Random, tries: int = 0) -> list[int]:
    """Hosts, as many as fit together onto those done with."""
    bins = settled(board, left)
    wave: list[int] = []
    for host in left:
        if len(wave) < at_once and pack(board, board.movers(host), bins, level, chance, tries):
            wave.append(host)
    return wave


def _partial(board: Board, left: t.Sequence[int], chance: random.Random, hard: bool) -> int:
    """Empties the host of which least has to move again, as far as is known."""
    best: tuple[int, int, list[tuple[int, int]]] | None = None
    for host in left:
        mark = board.mark()
        again = _split(board, host, left, chance)
        if again is not None and (best is None or again < best[0]):
            best = again, host, board.since(mark)
        board.back(mark)
    if best is None:
        squeezed = next((host for host in left if hard and squeeze(board, host, chance)), None)
        if squeezed is None:
            raise Stuck(board, left[0])
        return squeezed
    board.again(best[2])
    return best[1]


def _split(board: Board, host: int, left: t.Sequence[int], chance: random.Random) -> int | None:
    """What fits onto hosts done with, the rest onto those that come last. Returns the MiB that have to move again."""
    bins = settled(board, left)
    late = [h for h in reversed(left) if h != host]
    mark = board.mark()
    vms = sorted(board.movers(host), key=lambda v: -board.times[v])  # one that has moved is not to move twice more
    rest = []
    for v in vms:
        target = tightest(board, v, bins)
        if target is None:
            rest.append(v)
        else:
            board.move(v, target)
    if first_fit(board, rest, late) or best_fit(board, rest, late):
        return sum(board.size[v] for v in rest)
    board.back(mark)
    if insert_all(board, board.movers(host), bins + late, {host}, chance):
        return sum(board.size[v] for v, target in board.since(mark) if target not in bins)
    return None
