# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A plan as it is carried out: hosts that are upgraded together, what moves before that, who is down meanwhile; and how long it takes."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from itertools import chain

from ..planner.clock import Limits, Speed, course
from ..planner.model import MIGRATE, START, STOP, UPGRADE, Action, Plan, Policy, Pool


@dataclass
class Wave:
    """hosts: by name, in order; none where VMs only make way. minutes: from its first move until the VMs that were stopped run again."""

    hosts: list[str]
    moves: list[Action] = field(default_factory=list)
    stops: list[Action] = field(default_factory=list)
    starts: list[Action] = field(default_factory=list)
    minutes: float = 0.0


@dataclass
class Waves:
    """home: the moves after the last wave; down: minutes for which each VM that is stopped is down."""

    waves: list[Wave]
    home: list[Action]
    minutes: float = 0.0
    down: dict[str, float] = field(default_factory=dict)


def in_waves(plan: Plan) -> Waves:
    """A VM is stopped for the wave of its own host only."""
    by_host: dict[str, dict[str, list[Action]]] = {STOP: {}, START: {}}
    for action in plan.actions:
        if action.op in by_host:
            by_host[action.op].setdefault(action.host, []).append(action)
    rest = deque(action for action in plan.actions if action.op not in by_host)
    found = Waves([], [])
    for hosts in plan.waves:
        wave, left = Wave(list(hosts)), set(hosts)
        while left:
            action = rest.popleft()
            if action.op == MIGRATE:
                wave.moves.append(action)
            left.discard(action.host if action.op == UPGRADE else "")
        wave.stops, wave.starts = ([a for host in hosts for a in by_host[op].get(host, ())] for op in (STOP, START))
        found.waves.append(wave)
    found.home = list(rest)
    return found


def timed(found: Waves, pool: Pool, policy: Policy, speed: Speed) -> Waves:
    """Each wave waits for the end of what comes before it; within one, as much is done at once as is safe."""
    stages: list[list[Action]] = []
    limits: list[Limits] = []
    for wave in found.waves:
        stages += [[*wave.moves, *wave.stops], [Action(UPGRADE, host) for host in wave.hosts], wave.starts]
        limits += [Limits(max(1, len(wave.hosts)), policy.max_parallel_migrations)] * 3
    played = course(pool, [*stages, found.home], speed, [*limits, Limits(1, policy.max_parallel_migrations)])
    began = iter(played.began)
    when = [[next(began) for _action in stage] for stage in [*stages, found.home]]
    begins = [min(chain(*when[3 * n : 3 * n + 3]), default=0.0) for n in range(len(found.waves))]
    begins.append(min(when[-1], default=played.minutes))
    for number, wave in enumerate(found.waves):
        wave.minutes = begins[number + 1] - begins[number]
    found.minutes, found.down = played.minutes, played.down
    return found
