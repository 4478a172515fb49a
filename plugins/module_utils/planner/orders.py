# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Orders in which hosts are upgraded, and how full they are to be: what is tried to find a cheap plan."""

from __future__ import annotations

import random
import typing as t

from .board import Board

LEVEL = 1.15  # how much more than the mean a host is loaded if that costs nothing
LEVELS = (LEVEL, 1.35, None)  # None: to the last MiB
USUAL = 5  # orders that are always tried
SHUFFLES = 12  # more orders, when none of the usual ones gave a plan


def attempts(board: Board, todo: t.Sequence[int]) -> t.Iterator[tuple[list[int], float]]:
    """Orders and levels, the most promising first; the coordinator is always first."""
    room = sum(board.capacity)
    mean = sum(board.load(h) for h in board.hosts()) / room if room > 0 else 1.0
    for order in _orders(board, todo):
        first = [h for h in order if h == board.coordinator]
        for factor in LEVELS:
            yield first + [h for h in order if h != board.coordinator], 1.0 if factor is None else min(1.0, factor * mean)


def neighbour(order: t.Sequence[int], first: int, chance: random.Random) -> list[int]:
    """Another order: one or two hosts come earlier or later. first: stays where it is."""
    out = [h for h in order if h != first]
    for _change in range(chance.choice((1, 1, 2))):
        if out:
            host = out.pop(chance.randrange(len(out)))
            out.insert(chance.randint(0, len(out)), host)
    return [h for h in order if h == first] + out


def _orders(board: Board, todo: t.Sequence[int]) -> t.Iterator[list[int]]:
    yield _closure(board, todo)
    yield sorted(todo, key=lambda h: (board.load(h), h))
    yield sorted(todo, key=lambda h: (-board.capacity[h], h))
    yield sorted(todo, key=lambda h: (board.load(h) / max(1, board.capacity[h]), h))
    yield list(todo)
    for number in range(SHUFFLES):
        order = list(todo)
        random.Random(number).shuffle(order)
        yield order


def _closure(board: Board, todo: t.Sequence[int]) -> list[int]:
    """First the hosts that fit into the room there is, those that give most room in return before others."""
    room = sum(max(0, board.free[h]) for h in board.hosts() if h not in todo and board.usable[h])
    order: list[int] = []
    left = list(todo)
    if board.coordinator in left:
        left.remove(board.coordinator)
        order.append(board.coordinator)
        room += board.capacity[board.coordinator]
    while left:
        fitting = [h for h in left if board.load(h) <= room]
        host = max(fitting, key=lambda h: (board.free[h], -h)) if fitting else min(left, key=lambda h: (board.load(h), h))
        left.remove(host)
        order.append(host)
        room += board.capacity[host] - min(board.load(host), room)
    return order
