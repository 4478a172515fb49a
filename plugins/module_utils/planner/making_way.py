# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Room for a VM where there is none: smaller VMs make way, and others for those in turn."""

from __future__ import annotations

import random
import typing as t

from .board import Board
from .packing import shaken, tightest

NEAR = 12  # the hosts looked at when several have to make room
CANDIDATES = 48  # to make room alone
ATTEMPTS = 12  # to insert all


def insert(board: Board, vm: int, bins: t.Sequence[int], avoid: t.Container[int], depth: int) -> bool:
    """Puts it onto one of the bins; a smaller one there may have to go elsewhere (not to avoid), and another for that one in turn.

    The smallest that is enough goes first: what makes way has to move for nothing but that.
    """
    host = tightest(board, vm, bins)
    if host is not None:
        board.move(vm, host)
        return True
    if depth <= 0:
        return False
    able = [h for h in bins if board.may(vm, h) and board.capacity[h] >= board.size[vm]]
    mark = board.mark()
    for others, host in _in_its_way(board, vm, able):
        elsewhere = _elsewhere(board, vm, host, avoid)
        if all(other in board.on[host] and insert(board, other, elsewhere, avoid, depth - 1) for other in others) and board.fits(vm, host):
            board.move(vm, host)
            return True
        board.back(mark)
    return any(_cleared(board, vm, host, avoid) for host in sorted(able, key=lambda h: (-board.free[h], h))[:NEAR])


def insert_all(board: Board, vms: t.Sequence[int], bins: t.Sequence[int], avoid: t.Container[int], chance: random.Random) -> bool:
    """All of them, with as little memory moved for others to fit as a few attempts give."""
    mark = board.mark()
    best: tuple[int, list[tuple[int, int]]] | None = None
    for number in range(ATTEMPTS):
        order = list(vms) if not number else shaken(board, vms, chance)
        if all(insert(board, v, bins, avoid, depth=1 if number % 2 else 3) for v in order):
            done = board.since(mark)
            moved = sum(board.size[v] for v, _host in done)
            if best is None or moved < best[0]:
                best = moved, done
        board.back(mark)
    board.again(best[1] if best else ())
    return best is not None


def _elsewhere(board: Board, vm: int, host: int, avoid: t.Container[int]) -> list[int]:
    return [h for h in board.hosts() if h != host and h != board.at[vm] and h not in avoid]


def _in_its_way(board: Board, vm: int, bins: t.Iterable[int]) -> list[tuple[list[int], int]]:
    """What could go for it to fit, with the host: those of its group, and the smallest VMs that are enough; the least memory first."""
    size = board.size
    out: list[tuple[int, int, list[int], int]] = []
    for host in bins:
        group = list(board.in_the_way(vm, host)) if board.strict else []
        fixed = sum(size[v] for v in group)
        missing = size[vm] - board.free[host] - fixed
        if missing <= 0:
            out.append((fixed, 0, group, host))
            continue
        smaller = sorted((v for v in board.on[host] if size[v] < size[vm] and v not in group), key=lambda v: (size[v], v))
        enough = [v for v in smaller if size[v] >= missing]
        out += [(fixed + size[v], board.times[v], [*group, v], host) for v in enough[:4]]
        pair = _pair([v for v in smaller if size[v] < missing], missing, size)
        if pair:
            out.append((fixed + sum(size[v] for v in pair), max(board.times[v] for v in pair), [*group, *pair], host))
    return [(vms, host) for _size, _times, vms, host in sorted(out)[:CANDIDATES]]


def _pair(vms: t.Sequence[int], missing: int, size: t.Sequence[int]) -> list[int]:
    """The two that give least above what is missing, the larger one first; none if no two are enough. vms: the smallest first."""
    best: tuple[int, list[int]] | None = None
    low, high = 0, len(vms) - 1
    while low < high:
        both = size[vms[low]] + size[vms[high]]
        if both >= missing and (best is None or both < best[0]):
            best = both, [vms[high], vms[low]]
        low, high = (low, high - 1) if both >= missing else (low + 1, high)
    return best[1] if best else []


def _cleared(board: Board, vm: int, host: int, avoid: t.Container[int]) -> bool:
    """Sends several away, the largest first."""
    mark, size = board.mark(), board.size
    elsewhere = _elsewhere(board, vm, host, avoid)
    for other in sorted((v for v in board.on[host] if size[v] < size[vm]), key=lambda v: (-size[v], v)):
        if board.fits(vm, host):
            break
        insert(board, other, elsewhere, avoid, 0)
    if board.fits(vm, host):
        board.move(vm, host)
        return True
    board.back(mark)
    return False
