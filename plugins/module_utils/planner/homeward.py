# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Upgrades after which VMs are where they were."""

from __future__ import annotations

import random
import typing as t

from .board import Board
from .caterpillar import TRIES, Stuck, Waves
from .making_way import insert_all
from .packing import pack, tightest


def there_and_back(board: Board, todo: t.Sequence[int], level: float, at_once: int, chance: random.Random) -> Waves:
    """Hosts are emptied onto all others, a few at once, and what left them comes back before the next.

    level: not looked at, since VMs are away for a short time only. Raises Stuck.
    """
    del level
    left, waves = list(todo), t.cast(Waves, [])
    come_home(board, [-1 if home in left else home for home in board.home])
    while left:
        most = 1 if left[0] == board.coordinator else at_once
        wave = next((left[:count] for count in range(min(most, len(left)), 0, -1) if _aside(board, left[:count], chance)), None)
        if wave is None:
            raise Stuck(board, left[0])
        for host in wave:
            board.upgrade(host)
        del left[: len(wave)]
        waves.append(wave)
        come_home(board, board.home)
    return waves


def stay_until_done(board: Board, todo: t.Sequence[int], level: float, at_once: int, chance: random.Random) -> Waves:
    """As there_and_back, but VMs that had to make way come back only once their own host is upgraded: it is next, so they move no more
    often than they have to. Half of the attempts go by the largest VMs: what makes way for those is best on hosts that are not done yet.
    Raises Stuck.
    """
    del level
    left, waves = list(todo), t.cast(Waves, [])
    by_size = chance.random() < 0.5
    largest = {h: max((board.size[v] for v in board.on[h]), default=0) if by_size else 0 for h in todo}
    come_home(board, [-1 if home in left else home for home in board.home])
    while left:
        if left[0] != board.coordinator:
            order = {host: (-largest[host], n) for n, host in enumerate(left)}
            left.sort(key=lambda h: (_strangers(board, h) - _gone(board, h), order[h]))
        most = 1 if left[0] == board.coordinator else at_once
        wave = next((left[:count] for count in range(min(most, len(left)), 0, -1) if _aside(board, left[:count], chance)), None)
        if wave is None:
            raise Stuck(board, left[0])
        for host in wave:
            board.upgrade(host)
        del left[: len(wave)]
        waves.append(wave)
        come_home(board, [-1 if home in left else home for home in board.home])
    return waves


def _strangers(board: Board, host: int) -> int:
    """MiB of VMs that are at home elsewhere."""
    return sum(board.size[v] for v in board.on[host] if board.home[v] != host)


def _gone(board: Board, host: int) -> int:
    """MiB of VMs that are at home there, and are not there."""
    return sum(size for v, size in enumerate(board.size) if board.home[v] == host != board.at[v])


def _aside(board: Board, wave: t.Sequence[int], chance: random.Random) -> bool:
    """Empties these hosts onto the others."""
    bins = [h for h in board.hosts() if h not in wave]
    vms = sorted((v for host in wave for v in board.on[host]), key=lambda v: (-board.size[v], v))
    if len(wave) > 1:
        return pack(board, vms, bins, 1, chance, 0)
    return pack(board, vms, bins, 1, chance, TRIES) or insert_all(board, vms, bins, set(wave), chance)


def send_home(board: Board, homes: t.Sequence[int]) -> list[int]:
    """homes: where each VM is to be, -1 for anywhere. Returns the VMs that are not there in the end.

    VMs step aside where they wait for one another in a circle. Where that does not help, everything goes back the way it came,
    which is always possible if the VMs were there at first: what was free before a step is free again after it is taken back.
    """
    mark = board.mark()
    if _circled(board, homes):
        return []
    away = _away(board, homes)
    board.back(mark)
    if _retraced(board, homes):
        return []
    board.back(mark)
    _circled(board, homes)
    return away


def _away(board: Board, homes: t.Sequence[int]) -> list[int]:
    return [v for v, home in enumerate(homes) if home >= 0 and board.at[v] != home]


def come_home(board: Board, homes: t.Sequence[int]) -> bool:
    """Moves what may and fits, until nothing does. Returns whether all are there."""
    while True:
        away = _away(board, homes)
        going = [v for v in sorted(away, key=lambda v: (-board.size[v], v)) if board.fits(v, homes[v])]
        if not going:
            return not away
        for v in going:
            if board.fits(v, homes[v]):
                board.move(v, homes[v])


def _circled(board: Board, homes: t.Sequence[int]) -> bool:
    aside: dict[int, int] = {}
    while not come_home(board, homes):
        away = [v for v in _away(board, homes) if board.may(v, homes[v])]
        for v in sorted(away, key=lambda v: (aside.get(v, 0), board.size[v], v)):
            # whoever is in somebody's way goes to where there is room, the smallest first
            wanted = any(homes[u] == board.at[v] for u in away if u != v)
            host = tightest(board, v, [h for h in board.hosts() if h != homes[v]]) if wanted and aside.get(v, 0) < 2 else None
            if host is not None:
                aside[v] = aside.get(v, 0) + 1
                board.move(v, host)
                break
        else:
            return False
    return True


def _retraced(board: Board, homes: t.Sequence[int]) -> bool:
    for vm, source, target in reversed(board.steps[:]):
        if vm >= 0 and homes[vm] >= 0 and board.at[vm] == target and board.fits(vm, source):
            board.move(vm, source)
    return come_home(board, homes)
