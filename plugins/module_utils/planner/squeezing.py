# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Emptying a host where hardly any memory is left: VMs change places, so that what is free in many small pieces comes together."""

from __future__ import annotations

import bisect
import random
import typing as t

from .board import Board
from .packing import shaken, tightest

ROUNDS = 30  # attempts, each with some luck
NEAR = 16  # hosts looked at: those with most room
CHOICE = 3  # the exchanges that luck chooses among


class Exchange(t.NamedTuple):
    """A VM leaves for a host, from which another (-1: none) comes; gain: MiB that are free then where it was."""

    gain: int
    vm: int
    host: int
    other: int


def squeeze(board: Board, host: int, chance: random.Random, rounds: int = ROUNDS) -> bool:
    """Empties it onto all others, whatever has to move for that, or leaves the board as it was."""
    mark = board.mark()
    best: tuple[int, list[tuple[int, int]]] | None = None
    for number in range(rounds):
        vms = board.movers(host)
        if all(_out(board, v, host, chance) for v in (shaken(board, vms, chance) if number else vms)) and not board.on[host]:
            done = board.since(mark)
            moved = sum(board.size[v] for v, _host in done)
            if best is None or moved < best[0]:
                best = moved, done
        board.back(mark)
        if best is not None and number >= rounds // 4:
            break
    board.again(best[1] if best else ())
    return best is not None


def _out(board: Board, vm: int, host: int, chance: random.Random) -> bool:
    if board.at[vm] != host:  # it made way already
        return True
    bins = [h for h in board.hosts() if h != host]
    target = tightest(board, vm, bins)
    if target is not None:
        board.move(vm, target)
        return True
    able = [h for h in bins if board.may(vm, h) and board.capacity[h] >= board.size[vm]]
    able.sort(key=lambda h: (-board.free[h] * chance.uniform(0.5, 1), h))
    mark = board.mark()
    for h in able[:NEAR]:
        if _widened(board, h, board.size[vm], host, chance) and board.fits(vm, h):
            board.move(vm, h)
            return True
        board.back(mark)
    return False


def _widened(board: Board, host: int, need: int, source: int, chance: random.Random) -> bool:
    """Makes so much room on a host. source: where nothing is to go for good."""
    steps = 0
    while board.free[host] < need and steps < 2 * len(board.free):
        steps += 1
        found = _exchanges(board, host, source, need - board.free[host])
        found.sort(key=lambda e: (e.gain < need - board.free[host], e.gain if e.gain >= need - board.free[host] else -e.gain, e.vm, e.host))
        while found:
            exchange = found.pop(chance.randrange(min(CHOICE, len(found))))
            if _exchanged(board, exchange, source):
                break
        else:
            return False
    return board.free[host] >= need


def _exchanges(board: Board, host: int, source: int, missing: int) -> list[Exchange]:
    """What gives most: each of its VMs against one of another host, or against none."""
    size, out = board.size, t.cast(list[Exchange], [])
    near = sorted((h for h in board.hosts() if h not in (host, source) and board.usable[h]), key=lambda h: (-board.free[h], h))[:NEAR]
    for other in near:
        theirs = sorted((size[u], u) for u in board.on[other])
        for vm in board.on[host]:
            if not board.may(vm, other):
                continue
            if size[vm] <= board.free[other]:
                out.append(Exchange(size[vm], vm, other, -1))
                continue
            # the smallest of theirs that is enough for it to fit, and one that gives just what is missing
            enough = bisect.bisect_left(theirs, (size[vm] - board.free[other], -1))
            exact = bisect.bisect_right(theirs, (size[vm] - missing, len(size))) - 1
            places = {enough, exact}
            for place in sorted(places):
                if 0 <= place < len(theirs) and 0 < size[vm] - theirs[place][0] <= board.free[other]:
                    out.append(Exchange(size[vm] - theirs[place][0], vm, other, theirs[place][1]))
    return out


def _exchanged(board: Board, exchange: Exchange, source: int) -> bool:
    """Carries it out, over a third host where there is no room for both on one."""
    vm, other = exchange.vm, exchange.other
    if other < 0:
        return board.fits(vm, exchange.host) and _moved(board, [(vm, exchange.host)])
    here = board.at[vm]
    if _moved(board, [(other, here), (vm, exchange.host)]):
        return True
    third = tightest(board, other, [h for h in board.hosts() if h not in (here, exchange.host, source)])
    if third is None and board.fits(other, source):
        third = source
    return third is not None and _moved(board, [(other, third), (vm, exchange.host), (other, here)])


def _moved(board: Board, moves: t.Iterable[tuple[int, int]]) -> bool:
    mark = board.mark()
    for vm, host in moves:
        if not board.fits(vm, host):
            board.back(mark)
            return False
        board.move(vm, host)
    return True
