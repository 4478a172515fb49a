# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which of a list of actions may begin, by the room there is on the hosts and by what is under way."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .. import capacity
from ..formats.sizes import readable_size
from ..hosts import name_of
from ..planner import model
from ..planner.turns import Turn
from ..reasons import name
from ..refs import NULL, Objects, Record
from ..vms import guests
from .moves_steps import MIGRATE, STARTS, STOPS, Wish

OPS = {MIGRATE: model.MIGRATE, **dict.fromkeys(STOPS, model.STOP), **dict.fromkeys(STARTS, model.START)}


@dataclass(frozen=True)
class Limits:
    """migrations: at once in the whole pool, None for no limit; per_host: at once into a host, and out of it."""

    migrations: int | None = None
    per_host: int = 3


class Room:
    """sources: where the VMs of wishes will be when their turn comes; idle: numbers of wishes that only wait for what is under way."""

    def __init__(self, objects: Objects, wishes: t.Sequence[Wish], sources: t.Mapping[int, str], idle: t.Collection[int], limits: Limits):
        self.objects, self.wishes, self.idle, self.limits = objects, wishes, set(idle), limits
        there = objects.all("VM")
        self.size = {wish.vm: capacity.memory_needed(there[wish.vm]) if wish.vm in there else 0 for wish in wishes}
        self.free = {host: capacity.memory_free(objects, host) for host in objects.all("host")}
        self.group = _groups(objects)
        self.actions = [self._action(wish, sources.get(number, NULL)) for number, wish in enumerate(wishes)]
        self.going: set[int] = set()

    def foresee(self, vms: t.Mapping[str, Record]) -> None:
        """The room there will be when VMs are as these."""
        for host in self.free:
            there = [vm for ref, was in guests(self.objects).items() if (vm := vms.get(ref, was))["resident_on"] == host]
            self.free[host] = capacity.memory_capacity(self.objects, host) - sum(capacity.memory_held(vm) for vm in there)

    def begin(self, waiting: t.Sequence[int]) -> list[int]:
        """The numbers of those that begin now."""
        begun = [number for number in waiting if number in self.idle]
        others = [number for number in waiting if number not in self.idle]
        under_way = [self.actions[number] for number in sorted(self.going | set(begun))]
        turn, most = Turn("", self.size, self.group, self.free, under_way), self.limits.per_host
        begun += turn.take(self.actions, others, 1, self.limits.migrations, (most, most))
        for number in begun:
            self.going.add(number)
            if number not in self.idle and self.actions[number].op != model.STOP:
                self.free[self.actions[number].host] -= self.size[self.actions[number].vm]
        return begun

    def end(self, number: int, *, well: bool) -> None:
        """The room that is free after an action: where the VM was, or where it did not come to."""
        self.going.discard(number)
        action = self.actions[number]
        if number in self.idle or (action.op == model.STOP and not well) or (action.op == model.START and well):
            return
        host = action.source if well and action.op == model.MIGRATE else action.host
        if host in self.free:
            self.free[host] += self.size[action.vm]

    def lacking(self, number: int, vm: Record) -> str:
        """Why an action did not get its turn."""
        wish = self.wishes[number]
        if wish.action in STOPS:
            return f"{name(vm)} goes on: others were to go first."
        free, needed = readable_size(max(0, self.free[wish.host])), readable_size(self.size[wish.vm])
        where = "was left where it is" if wish.action == MIGRATE else "was not started"
        return f"{name(vm)} {where}: host {name_of(self.objects, wish.host)!r} has {free} of memory free, it needs {needed}."

    def _action(self, wish: Wish, source: str) -> model.Action:
        if wish.action in STOPS:
            return model.Action(model.STOP, source if source != NULL else wish.host, wish.vm)
        return model.Action(OPS[wish.action], wish.host, wish.vm, source if wish.action == MIGRATE else "")


def _groups(objects: Objects) -> dict[str, str]:
    """Members of a group with anti-affinity do not move at the same time; older releases have none."""
    used = {ref: vm["groups"] for ref, vm in objects.all("VM").items() if vm.get("groups")}
    apart = {ref for ref, group in objects.all("VM_group").items() if group["placement"] == "anti_affinity"} if used else set()
    return {vm: group for vm, groups in used.items() for group in groups if group in apart}
