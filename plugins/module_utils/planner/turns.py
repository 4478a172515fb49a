# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What of a plan may begin now, with some of it under way."""

from __future__ import annotations

import typing as t
from collections import Counter

from .model import MIGRATE, STOP, UPGRADE, Action

AHEAD = 250  # how many actions that have not begun are looked at


class Turn:
    """An action may overtake earlier ones that have not begun, unless it could be in their way:

    a migration or a start, while an earlier action of the VM or its group, or an earlier upgrade of either host, is still to begin,
    or the target's room is needed by earlier ones; an upgrade or a stop, while anything earlier touches its host, or anything under way
    does. Nothing else happens while the coordinator is upgraded. So a plan that is valid one by one never blocks itself.
    """

    def __init__(self, coordinator: str, size: dict[str, int], group: dict[str, str], free: dict[str, int], going: t.Sequence[Action]):
        self.coordinator, self.size, self.group, self.free = coordinator, size, group, dict(free)
        self.busy = {host for a in going for host in (a.host, a.source) if host}
        self.out = Counter(a.source for a in going if a.op == MIGRATE)
        self.into = Counter(a.host for a in going if a.op == MIGRATE)
        self.moving = sum(self.out.values())
        self.upgrading = {a.host for a in going if a.op == UPGRADE}
        self.vms = {a.vm for a in going if a.vm}  # that are moved, or are to be by an earlier action
        self.groups = {group[vm] for vm in self.vms if vm in group}
        self.touched: set[str] = set()  # hosts of earlier actions that have not begun
        self.awaited: set[str] = set()  # those of them that are to be upgraded
        self.owed = Counter[str]()  # memory that earlier ones will need, by host
        self.idle = not going

    def take(
        self, actions: t.Sequence[Action], waiting: t.Sequence[int], hosts: int, migrations: int | None, slots: tuple[int, int]
    ) -> list[int]:
        """The numbers of those that begin. slots: incoming and outgoing migrations of a host at once."""
        begun: list[int] = []
        if self.coordinator in self.upgrading:
            return begun
        for number in waiting[:AHEAD]:
            a = actions[number]
            if a.op == UPGRADE:
                first = number == waiting[0] and not begun and self.idle
                begins = self._may_upgrade(a, hosts, first)
            else:
                begins = self._may_change(a, migrations, slots)
            (self._begin if begins else self._wait)(a)
            if begins:
                begun.append(number)
            if a.op == UPGRADE and a.host == self.coordinator:
                break
        return begun

    def _may_upgrade(self, a: Action, hosts: int, first: bool) -> bool:
        if a.host == self.coordinator:
            return first
        return a.host not in self.busy and a.host not in self.touched and len(self.upgrading) < hosts

    def _may_change(self, a: Action, migrations: int | None, slots: tuple[int, int]) -> bool:
        if a.vm in self.vms or self.group.get(a.vm) in self.groups:
            return False
        if any(host in self.awaited or host in self.upgrading for host in (a.host, a.source)):
            return False
        if a.op == STOP:
            return a.host not in self.touched
        if a.op == MIGRATE:
            if self.into.get(a.host, 0) >= slots[0] or self.out.get(a.source, 0) >= slots[1]:
                return False
            if migrations is not None and self.moving >= migrations:
                return False
        return self.free[a.host] - self.owed[a.host] >= self.size[a.vm]

    def _begin(self, a: Action) -> None:
        self.busy |= {a.host, a.source} - {""}
        if a.op == UPGRADE:
            self.upgrading.add(a.host)
            return
        if a.op != STOP:
            self.free[a.host] -= self.size[a.vm]
        if a.op == MIGRATE:
            self.out[a.source] += 1
            self.into[a.host] += 1
            self.moving += 1
        self._note(a)

    def _wait(self, a: Action) -> None:
        self.touched.add(a.host)
        if a.source:
            self.touched.add(a.source)
        if a.op == UPGRADE:
            self.awaited.add(a.host)
            return
        if a.op != STOP:
            self.owed[a.host] += self.size[a.vm]
        self._note(a)

    def _note(self, a: Action) -> None:
        self.vms.add(a.vm)
        if a.vm in self.group:
            self.groups.add(self.group[a.vm])
