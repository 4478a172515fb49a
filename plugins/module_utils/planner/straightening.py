# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Detours taken out of a plan: a VM that goes to one host and then to another goes to the other at once, where that is as valid."""

from __future__ import annotations

import typing as t

from .board import Board, Step

MOST_WORK = 200_000  # steps that are done again to see whether the plan still holds


def straightened(board: Board, steps: t.Sequence[Step]) -> list[Step]:
    """board: at the start, and again afterwards. The order of what is left stays."""
    plan, budget, shorter = list(steps), [MOST_WORK], True
    while shorter and budget[0] > 0:
        shorter = False
        for number in range(len(plan)):
            if number >= len(plan):
                break
            for changed in _without_detour(plan, number):
                if _holds(board, changed, budget):
                    plan[number:] = changed
                    shorter = True
                    break
            if number < len(plan):
                _do(board, plan[number])
        board.back(0)
    return plan


def _without_detour(plan: t.Sequence[Step], number: int) -> t.Iterator[list[Step]]:
    """What could come from this step on: the VM goes only later, or straight to where it goes next."""
    step = plan[number]
    later = next((n for n in range(number + 1, len(plan)) if plan[n].vm == step.vm), None) if step.vm >= 0 else None
    if later is None:
        return
    between, after = plan[number + 1 : later], plan[later + 1 :]
    if plan[later].target == step.source:
        yield [*between, *after]
        return
    straight = Step(step.vm, step.source, plan[later].target)
    yield [straight, *between, *after]
    yield [*between, straight, *after]


def _holds(board: Board, steps: t.Sequence[Step], budget: list[int]) -> bool:
    mark = board.mark()
    for step in steps:
        budget[0] -= 1
        if budget[0] < 0 or not _valid(board, step):
            board.back(mark)
            return False
        _do(board, step)
    board.back(mark)
    return True


def _valid(board: Board, step: Step) -> bool:
    if step.vm >= 0:
        return board.at[step.vm] == step.source and board.fits(step.vm, step.target)
    return step.target in board.in_place or not board.on[step.target]


def _do(board: Board, step: Step) -> None:
    """One step; hosts that keep their VMs are steps of their own."""
    if step.vm >= 0:
        board.move(step.vm, step.target)
    else:
        board.raise_version(step.target)
