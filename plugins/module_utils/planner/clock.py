# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How long a plan takes when as much of it is done at once as is safe. Minutes, and GiB."""

from __future__ import annotations

import typing as t
from collections import Counter
from dataclasses import dataclass, field

from .model import MIGRATE, START, STOP, UPGRADE, Action, Pool
from .turns import Turn


@dataclass(frozen=True)
class Speed:
    """nic: GiB a minute of a host, each way; stream: of one migration; setup: minutes of one migration; dirty: what is sent for each byte.

    incoming, outgoing: migrations of a host at once; upgrade: with the reboot; restart: an upgrade that VMs stay for; stop, start: of a VM.
    """

    nic: float = 50.0
    stream: float = 20.0
    setup: float = 0.3
    dirty: float = 1.15
    incoming: int = 3
    outgoing: int = 3
    upgrade: float = 15.0
    stop: float = 1.0
    start: float = 1.0
    restart: float = 2.0


@dataclass(frozen=True)
class Limits:
    """hosts: that are down at once; migrations: at once, None for no limit but those of the hosts."""

    hosts: int = 1
    migrations: int | None = None


@dataclass
class Course:
    """minutes: in all; began: when each action did; down: minutes each VM that was stopped was."""

    minutes: float
    began: list[float]
    down: dict[str, float] = field(default_factory=dict)


def course(pool: Pool, stages: t.Sequence[t.Sequence[Action]], speed: Speed, limits: Limits | t.Sequence[Limits]) -> Course:
    """A plan in stages (or in one), each of which begins when the one before has ended. limits: for all, or for each stage.

    Within a stage an action may overtake earlier ones, unless it could be in their way (see Turn).
    Raises RuntimeError if the plan is not valid one by one.
    """
    clock = _Clock(pool, speed)
    each = [limits] * len(stages) if isinstance(limits, Limits) else limits
    began = [when for stage, limit in zip(stages, each) for when in clock.play(stage, limit)]
    return Course(clock.now, began, clock.down)


@dataclass
class _Going:
    """An action under way: what is left of its fixed time, then of what it sends."""

    number: int
    action: Action
    fixed: float
    gib: float = 0.0


class _Clock:
    def __init__(self, pool: Pool, speed: Speed):
        self.pool, self.speed = pool, speed
        self.kept = {host.id for host in pool.hosts if not host.evacuate}
        self.size = {vm.id: vm.size for vm in pool.vms}
        self.group = {vm.id: vm.group for vm in pool.vms if vm.group}
        self.free = {host.id: host.memory for host in pool.hosts}
        for vm in pool.vms:
            self.free[vm.host] -= vm.size
        self.now = 0.0
        self.going: list[_Going] = []
        self.stopped: dict[str, float] = {}
        self.down: dict[str, float] = {}

    def play(self, actions: t.Sequence[Action], limits: Limits) -> list[float]:
        """Returns when each began."""
        waiting, began, changed = list(range(len(actions))), [0.0] * len(actions), True
        while waiting or self.going:
            if changed:
                turn = Turn(self.pool.coordinator, self.size, self.group, self.free, [one.action for one in self.going])
                begin = turn.take(actions, waiting, limits.hosts, limits.migrations, (self.speed.incoming, self.speed.outgoing))
                for number in begin:
                    began[number] = self.now
                    self.going.append(self._started(number, actions[number]))
                waiting = [number for number in waiting if number not in begin]
            if not self.going:
                raise RuntimeError(f"The plan cannot go on at {actions[waiting[0]]}.")
            rates = self._rates()
            changed = self._pass(min(one.fixed if one.fixed > 0 else one.gib / rates[one.number] for one in self.going), rates)
        return began

    def _started(self, number: int, a: Action) -> _Going:
        if a.op in (MIGRATE, START):
            self.free[a.host] -= self.size[a.vm]
        if a.op == MIGRATE:
            return _Going(number, a, self.speed.setup, self.size[a.vm] / 1024 * self.speed.dirty)
        upgrade = self.speed.restart if a.host in self.kept else self.speed.upgrade
        return _Going(number, a, {UPGRADE: upgrade, STOP: self.speed.stop, START: self.speed.start}[a.op])

    def _rates(self) -> dict[int, float]:
        """GiB a minute of those that send: a network card is shared alike."""
        sending = [one for one in self.going if one.fixed <= 0]
        out, into = Counter(one.action.source for one in sending), Counter(one.action.host for one in sending)
        speed = self.speed
        return {one.number: min(speed.stream, speed.nic / out[one.action.source], speed.nic / into[one.action.host]) for one in sending}

    def _pass(self, minutes: float, rates: dict[int, float]) -> bool:
        """Whether something has ended."""
        self.now += minutes
        for one in self.going:
            if one.fixed > 0:
                one.fixed = _rest(one.fixed, minutes)
            else:
                one.gib = _rest(one.gib, minutes * rates[one.number])
        ended = [one for one in self.going if one.fixed <= 0 and one.gib <= 0]
        for one in ended:
            self.going.remove(one)
            self._ended(one.action)
        return bool(ended)

    def _ended(self, a: Action) -> None:
        if a.op == MIGRATE:
            self.free[a.source] += self.size[a.vm]
        elif a.op == STOP:
            self.free[a.host] += self.size[a.vm]
            self.stopped[a.vm] = self.now
        elif a.op == START:
            self.down[a.vm] = self.now - self.stopped.pop(a.vm, self.now)


def _rest(amount: float, less: float) -> float:
    return 0.0 if amount - less < 1e-9 else amount - less
