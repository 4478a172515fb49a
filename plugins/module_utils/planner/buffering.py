# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Upgrades of full pools after which VMs are where they were: the first host stays empty as long as may be, as room for all others.

Its VMs are parked on the hosts that come last, and come home only when those are emptied in turn. So every VM moves just twice, and
until late in the upgrade there is room in one piece for whatever the others hold.
"""

from __future__ import annotations

import random
import typing as t

from .board import Board
from .caterpillar import TRIES, Stuck, Waves
from .homeward import come_home
from .making_way import insert_all
from .packing import first_fit, pack, shaken, tightest

NEAR = 12  # hosts that are looked at for the one to empty next, where not in their order
ATTEMPTS = 8  # to make room on hosts that are still to come


def keep_a_buffer(board: Board, todo: t.Sequence[int], level: float, at_once: int, chance: random.Random, *, lazily: bool = False) -> Waves:
    """Hosts with large VMs come early, while most room is in one piece. What makes way on hosts that are still to come stays away until
    it is its host's turn; all others come back at once, unless the next host can only be emptied onto the one that was emptied before.
    level: not looked at; lazily: whether VMs come back only where that helps. Raises Stuck.
    """
    del level
    left, waves = _ordered(board, todo, chance), t.cast(Waves, [])
    near = chance.choice((1, NEAR))
    at_once = chance.choice((at_once, at_once, max(1, at_once // 2)))  # fewer at once leave more room
    while left:
        back = {*board.hosts()} - {*left, board.coordinator}
        first = 1 if left[0] == board.coordinator else near
        wave = (
            _wave(board, left, first, set() if lazily else back, at_once, chance)
            or _wave(board, left, first, back if lazily else set(), 1, chance)
            or _wave(board, left, first, back, 1, chance, dear=True)
        )
        if not wave:
            raise Stuck(board, left[0])
        for host in wave:
            board.upgrade(host)
            left.remove(host)
        waves.append(wave)
    return waves


def _wave(
    board: Board, left: t.Sequence[int], near: int, back: t.Container[int], at_once: int, chance: random.Random, *, dear: bool = False
) -> list[int]:
    """Empties one of the first hosts, so many are looked at, and others with it.

    back: hosts whose VMs come home before; dear: at any price.
    """
    mark = board.mark()
    come_home(board, [home if home in back else -1 for home in board.home])
    wave: list[int] = []
    for host in left[: max(near, at_once if left[0] != board.coordinator else 1)]:
        stay = any(board.home[v] in wave for v in board.on[host])  # what has just come is not to move on
        if len(wave) < at_once and not stay and _emptied(board, host, left, wave, chance, dear):
            wave.append(host)
    if not wave:
        board.back(mark)
    return wave


def _ordered(board: Board, todo: t.Sequence[int], chance: random.Random) -> list[int]:
    """Those with the largest VMs first. Luck is each host's own, so that a plan that is made anew halfway goes on in the same order."""
    luck = chance.random()
    if luck < 0.3:
        return list(todo)
    largest = {h: random.Random(f"{luck} {h}").uniform(0.8, 1.25) * _largest(board, h) for h in todo}
    return sorted(todo, key=lambda h: (h != board.coordinator, -largest[h], h))


def _largest(board: Board, host: int) -> int:
    return max((size for v, size in enumerate(board.size) if board.home[v] == host), default=0)


def _emptied(board: Board, host: int, left: t.Sequence[int], wave: t.Sequence[int], chance: random.Random, dear: bool) -> bool:
    """Strangers on it go home, the rest to hosts that are done, or that come last. wave: hosts that are to be upgraded with it."""
    mark = board.mark()
    for v in board.movers(host):
        if board.home[v] not in left and board.home[v] >= 0 and board.fits(v, board.home[v]):
            board.move(v, board.home[v])
    done = sorted((h for h in board.hosts() if h not in left), key=lambda h: (-board.free[h], h))
    later = [h for h in left if h != host and h not in wave]
    vms, bins = board.movers(host), [*done, *reversed(later)]
    if first_fit(board, vms, bins) or pack(board, vms, bins, 1, chance, 0 if wave else TRIES):
        return True
    if not wave and (_room_made(board, vms, done, later, chance) or (dear and insert_all(board, vms, bins, {host}, chance))):
        return True
    board.back(mark)
    return False


def _room_made(board: Board, vms: t.Sequence[int], done: t.Sequence[int], later: t.Sequence[int], chance: random.Random) -> bool:
    """VMs of hosts that are still to come go ahead for others to fit: they have to leave in any case."""
    mark = board.mark()
    for number in range(ATTEMPTS):
        for v in shaken(board, vms, chance) if number else vms:
            host = tightest(board, v, [*done, *later])
            if host is not None:
                board.move(v, host)
            elif not any(_ahead(board, v, host, [*done, *later[n + 1 :]]) for n, host in enumerate(later)):
                break
        else:
            return True
        board.back(mark)
    return False


def _ahead(board: Board, vm: int, host: int, elsewhere: t.Sequence[int]) -> bool:
    """Puts it onto the host, whose own VMs make way: the smallest that is enough, or several, the largest first.

    elsewhere: hosts from which they need not move again before their own host is upgraded.
    """
    if not board.may(vm, host) or board.capacity[host] < board.size[vm] or (board.strict and board.in_the_way(vm, host)):
        return False
    missing = board.size[vm] - board.free[host]
    mark = board.mark()
    own = (v for v in board.on[host] if board.home[v] == host)
    for v in sorted(own, key=lambda v: (board.size[v] < missing, board.size[v] if board.size[v] >= missing else -board.size[v], v)):
        target = tightest(board, v, elsewhere)
        if target is not None:
            board.move(v, target)
        if board.fits(vm, host):
            board.move(vm, host)
            return True
    board.back(mark)
    return False
