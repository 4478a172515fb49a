# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Going on with a plan that was made before, as long as the pool is as that plan left it."""

from __future__ import annotations

import random
import typing as t

from .board import Board
from .caterpillar import Stuck, Waves
from .model import Known


def follow(known: Known, board: Board, todo: t.Sequence[int], level: float, at_once: int, chance: random.Random) -> Waves:
    """As the other ways. What is done already is not done again: waves whose hosts are, and moves of VMs that are there. Raises Stuck."""
    del level, chance
    vms = {vm.id: v for v, vm in enumerate(board.pool.vms)}
    left, waves = list(todo), t.cast(Waves, [])
    for hosts, moves in known.waves:
        wave = [board.number[host] for host in hosts if board.number.get(host) in left]
        if not wave:
            continue
        for vm, host in moves:
            if vm in vms and not _gone(board, vms[vm], board.number.get(host, -1)):
                raise Stuck(board, wave[0])
        early = board.coordinator in left and wave != [board.coordinator]
        if early or len(wave) > at_once or any(board.on[number] for number in wave):
            raise Stuck(board, wave[0])
        for number in wave:
            board.upgrade(number)
            left.remove(number)
        waves.append(wave)
    if left:
        raise Stuck(board, left[0])
    for vm, host in known.home:
        if vm in vms:
            _gone(board, vms[vm], board.number.get(host, -1))
    return waves


def _gone(board: Board, vm: int, host: int) -> bool:
    """Whether it is there, now at the latest."""
    if board.at[vm] == host:
        return True
    if host < 0 or not board.pool.vms[vm].movable or not board.fits(vm, host):
        return False
    board.move(vm, host)
    return True
