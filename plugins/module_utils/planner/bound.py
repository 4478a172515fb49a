# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What no plan can do without: the memory and the moves that every valid plan needs at least."""

from __future__ import annotations

import typing as t

from .board import Board
from .model import Bound

MOST_STEPS = 50_000  # of the search; when they are used up the weaker bound is told


def least(board: Board, todo: t.Sequence[int], *, home: bool) -> Bound:
    """board: at the start; todo: the hosts that are emptied. home: whether every VM ends at its home.

    Every VM on them moves once. What leaves the coordinator, while no other host has been upgraded, goes to hosts that need not be
    emptied, as far as there is room, and else has to move twice. After that a VM moves once only if it goes to such a host or one that
    has been upgraded; what does not fit there when its host's turn comes, in the best order of the hosts, moves twice.
    Where the coordinator's largest VM fits nowhere, what makes way for it moves once more (hole). Hosts down together change nothing.
    """
    if home:  # each leaves and comes back, or is away already
        often = [(board.size[v], _times(board, v, h, h in todo)) for h in board.hosts() for v in board.on[h]]
        return Bound(sum(size * times for size, times in often), sum(times for _size, times in often))
    moved = {h: sum(board.size[v] for v in board.on[h]) for h in todo}
    memory, moves, hole = sum(moved.values()), sum(len(board.on[h]) for h in todo), 0
    first = board.coordinator if board.coordinator in todo else None
    for_good = [h for h in board.hosts() if h not in todo and (board.usable[h] or h in board.in_place)]
    room = sum(max(0, board.free[h]) for h in for_good)
    rest = [h for h in todo if h != first]
    if first is not None:
        hole = 0 if for_good else _hole(board, first)
        again = max(0, moved[first] - room)
        memory += again
        moves += (hole > 0) + _fewest([board.size[v] for v in board.on[first]], again)
        room += board.capacity[first] - moved[first] + again
    loss = _loss([(board.capacity[h], moved[h]) for h in rest], room)
    return Bound(memory + loss + hole, moves + _fewest([board.size[v] for h in rest for v in board.on[h]], loss), hole)


def _times(board: Board, vm: int, host: int, leaves: bool) -> int:
    """How often a VM has to move for its host to be emptied, if it is, and for it to be home in the end."""
    if board.home[vm] == host:
        return int(leaves) * (2 if _returns(board, vm) else 1)
    return int(leaves or board.home[vm] >= 0)


def _returns(board: Board, vm: int) -> bool:
    """Whether it could come back to where it was, by its hosts and its group."""
    allowed, home = board.allowed[vm], board.home[vm]
    alone = not board.strict or board.group[vm] < 0 or len(board.members[board.group[vm]][home]) == 1
    return alone and (allowed is None or home in allowed)


def _hole(board: Board, first: int) -> int:
    """What has to make way before the largest VM of the first host fits anywhere."""
    largest = max((board.size[v] for v in board.on[first]), default=0)
    others = [h for h in board.hosts() if h != first and board.usable[h]]
    if not largest or any(board.free[h] >= largest for h in others):
        return 0
    smallest = {h: min((board.size[v] for v in board.on[h]), default=0) for h in others}
    return min((max(largest - board.free[h], smallest[h]) for h in others), default=0)


def _fewest(sizes: t.Sequence[int], amount: int) -> int:
    """How many of the largest make up that much."""
    count = 0
    for size in sorted(sizes, reverse=True):
        if amount <= 0:
            break
        amount -= size
        count += 1
    return count


def _loss(hosts: list[tuple[int, int]], room: int) -> int:
    """The least memory that has to move twice, over all orders of the hosts (capacity, load): what does not fit when its turn comes."""
    budget = [MOST_STEPS]
    best = [sum(load for _capacity, load in hosts)]

    def search(left: list[tuple[int, int]], room: int, lost: int) -> None:
        budget[0] -= 1
        left = list(left)
        while True:  # a host that fits makes room: it goes first without loss
            fitting = next((n for n, (_capacity, load) in enumerate(left) if load <= room), None)
            if fitting is None:
                break
            capacity, load = left.pop(fitting)
            room += capacity - load
        if not left:
            best[0] = min(best[0], lost)
            return
        for n, (capacity, load) in sorted(enumerate(left), key=lambda row: row[1][1] - row[1][0]):
            worse = lost + load - room
            if worse < best[0] and budget[0] > 0 and (capacity, load) not in left[:n]:
                search(left[:n] + left[n + 1 :], capacity, worse)

    search(hosts, room, 0)
    return best[0] if budget[0] > 0 else 0
