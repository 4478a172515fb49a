# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ways to put VMs onto hosts. Each moves all of them, or leaves the board as it was."""

from __future__ import annotations

import random
import typing as t

from .board import Board


def spread(board: Board, vms: t.Sequence[int], bins: t.Sequence[int], level: float) -> bool:
    """Each to the host that is then least loaded, none above that share of its memory."""
    mark = board.mark()
    floor = {h: max(0, board.capacity[h] * (1 - level)) for h in bins if board.capacity[h] > 0}
    for v in vms:
        host = _wished(board, v, floor)
        if host is None:
            host = _emptiest(board, v, floor)
        if host is None:
            board.back(mark)
            return False
        board.move(v, host)
    return True


def _wished(board: Board, vm: int, bins: t.Container[int]) -> int | None:
    host = board.wish.get(vm)
    return host if host is not None and host in bins and board.fits(vm, host) else None


def _emptiest(board: Board, vm: int, floor: dict[int, float]) -> int | None:
    """floor: what has to be left free, by host. Where groups are only a wish, a host with another of the group comes after all others."""
    free, capacity, need = board.free, board.capacity, board.size[vm]
    wary = not board.strict and board.group[vm] >= 0
    best, share, second, second_share = None, -1.0, None, -1.0
    for h, least in floor.items():
        left = free[h] - need
        if left < least or not board.fits(vm, h):
            continue
        if wary and board.in_the_way(vm, h):
            if left > second_share * capacity[h]:
                second, second_share = h, left / capacity[h]
        elif left > share * capacity[h]:
            best, share = h, left / capacity[h]
    return second if best is None else best


def best_fit(board: Board, vms: t.Sequence[int], bins: t.Sequence[int]) -> bool:
    """Each to the host it leaves least room on."""
    mark = board.mark()
    for v in vms:
        host = tightest(board, v, bins)
        if host is None:
            board.back(mark)
            return False
        board.move(v, host)
    return True


def first_fit(board: Board, vms: t.Sequence[int], bins: t.Sequence[int]) -> bool:
    """Each to the first that takes it."""
    mark = board.mark()
    for v in vms:
        able = (h for h in bins if board.fits(v, h))
        host = next(able, None) if board.strict else min(able, key=lambda h: bool(board.in_the_way(v, h)), default=None)
        if host is None:
            board.back(mark)
            return False
        board.move(v, host)
    return True


def tightest(board: Board, vm: int, bins: t.Collection[int]) -> int | None:
    """The host it leaves least room on; the one it is wished for, where it fits."""
    wished = _wished(board, vm, bins)
    if wished is not None:
        return wished
    free, need = board.free, board.size[vm]
    wary = not board.strict and board.group[vm] >= 0
    best: int | None = None
    left: tuple[bool, int] = (True, 0)
    for h in bins:
        if free[h] < need:
            continue
        rank = (wary and bool(board.in_the_way(vm, h)), free[h])
        if (best is None or rank < left) and board.fits(vm, h):
            best, left = h, rank
    return best


def pack(board: Board, vms: t.Sequence[int], bins: t.Sequence[int], level: float, chance: random.Random, tries: int) -> bool:
    """vms: the largest first. At the full level memory is used to the last MiB, with some luck where need be."""
    if sum(board.size[v] for v in vms) > sum(max(0, board.free[h]) for h in bins):
        return False
    if spread(board, vms, bins, level):
        return True
    if level < 1:
        return False
    emptiest_first = sorted(bins, key=lambda h: (-board.free[h], h))
    if best_fit(board, vms, bins) or first_fit(board, vms, emptiest_first):
        return True
    bound_first = sorted(vms, key=lambda v: (board.allowed[v] is None and board.group[v] < 0, -board.size[v], v))
    if best_fit(board, bound_first, bins):
        return True
    return any(best_fit(board, shaken(board, vms, chance), bins) for _try in range(tries))


def shaken(board: Board, vms: t.Sequence[int], chance: random.Random) -> list[int]:
    """In about the order of their sizes."""
    most = chance.uniform(1.1, 2.0)
    key = {v: -board.size[v] * chance.uniform(1, most) for v in vms}
    return sorted(vms, key=lambda v: (key[v], v))
