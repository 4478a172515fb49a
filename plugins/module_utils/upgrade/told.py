# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A plan in the words of a result: waves, cost, and the actions that come next. Sizes are bytes, times minutes."""

from __future__ import annotations

import typing as t

from ..planner.model import MIGRATE, START, STOP, Action, Plan
from .marks import SHUTDOWN, SUSPEND
from .survey import MIB, Halted, Survey
from .waves import Wave, Waves

Row = dict[str, t.Any]
RESUME, BEGIN = "resume", "start"
NOTHING: Row = {"actions": [], "hosts": [], "host_records": [], "enable": [], "disable": [], "evacuate": False, "starts": []}


class Words:
    """unmovable: what becomes of VMs that cannot be moved (see Policy)."""

    def __init__(self, survey: Survey, unmovable: str):
        self.survey, self.how = survey, SUSPEND if unmovable == SUSPEND else SHUTDOWN
        self.why = {one.vm: one.why for one in survey.blockers}
        self.size = {vm.id: vm.size * MIB for vm in survey.pool.vms} | {one.vm: one.size * MIB for one in survey.halted}

    # a plan -----------------------------------------------------------------------------------------
    def plan(self, found: Waves) -> Row:
        waves = [
            {
                "hosts": wave.hosts,
                "moves": [self._move(action) for action in wave.moves],
                "stops": [self._stop(action) for action in wave.stops],
                "starts": [self._start(action) for action in wave.starts] + [self._woken(one) for one in self._down(wave.hosts)],
                "minutes": minutes(wave.minutes),
            }
            for wave in found.waves
        ]
        return {"waves": waves, "home": [self._move(action) for action in found.home]}

    def cost(self, plan: Plan, found: Waves) -> Row:
        bound = {"moves": plan.bound.moves, "memory": plan.bound.memory * MIB}
        down = {vm: minutes(time) for vm, time in sorted(found.down.items())}
        return {
            "moves": plan.moves, "memory": plan.moved * MIB, "most_moved": plan.most_moved, "minutes": minutes(found.minutes),
            "downtime": down, "bound": bound,
        }  # fmt: skip

    def _move(self, a: Action) -> Row:
        return {"vm": a.vm, "uuid": self.survey.uuid_of_vm(a.vm), "from": a.source, "to": a.host, "memory": self.size[a.vm]}

    def _stop(self, a: Action) -> Row:
        return {"vm": a.vm, "uuid": self.survey.uuid_of_vm(a.vm), "host": a.host, "action": self.how, "why": self.why.get(a.vm, "")}

    def _start(self, a: Action) -> Row:
        does = BEGIN if self.how == SHUTDOWN else RESUME
        return {"vm": a.vm, "uuid": self.survey.uuid_of_vm(a.vm), "host": a.host, "action": does}

    def _woken(self, one: Halted) -> Row:
        return {"vm": one.vm, "uuid": self._record(one)["uuid"], "host": one.host, "action": self._wakes(one)}

    # what comes next ----------------------------------------------------------------------------------
    def next(self, found: Waves) -> Row:
        """Up to and including the first wave. VMs that are down and could run come before everything else. enable: hosts to let VMs to
        before that; disable: hosts to let no new VM to before that, which is all that are emptied but those VMs pass on their way.
        """
        return {**self._next(found), "enable": [self.survey.uuid_of_host(host) for host in self.survey.opens]}

    def _next(self, found: Waves) -> Row:
        waiting = {host for wave in found.waves for host in wave.hosts}
        now = [one for one in self.survey.halted if one.host not in waiting and self._takes(one.host)]
        if now:
            return {**NOTHING, "actions": [self._wake(one) for one in now]}
        if not found.waves:
            return {**NOTHING, "actions": [self._action(action) for action in found.home]}
        wave = found.waves[0]
        emptied = {host.id for host in self.survey.pool.hosts if host.evacuate}
        passed = {action.host for action in wave.moves}
        return {
            **NOTHING,
            "actions": self.actions(wave),
            "hosts": [self.survey.uuid_of_host(host) for host in wave.hosts],
            "disable": [self.survey.uuid_of_host(host) for host in wave.hosts if host in emptied and host not in passed],
            "host_records": [self._host(host) for host in wave.hosts],
            "evacuate": any(host in emptied for host in wave.hosts),
            "starts": [self._action(action) for action in wave.starts] + [self._wake(one) for one in self._down(wave.hosts)],
        }

    def actions(self, wave: Wave) -> list[Row]:
        """What has to happen before its hosts are upgraded."""
        return [self._action(action) for action in [*wave.moves, *wave.stops]]

    def _host(self, host: str) -> Row:
        record = self.survey.objects.get("host", self.survey.hosts[host])
        return {"name": host, "uuid": record["uuid"], "address": record["address"]}

    def _takes(self, host: str) -> bool:
        return host in self.survey.opens or bool(self.survey.objects.get("host", self.survey.hosts[host])["enabled"])

    def _down(self, hosts: t.Collection[str]) -> list[Halted]:
        return [one for one in self.survey.halted if one.host in hosts]

    def _action(self, a: Action) -> Row:
        """As xen_vm_moves takes it."""
        does = {MIGRATE: MIGRATE, STOP: self.how, START: BEGIN if self.how == SHUTDOWN else RESUME}[a.op]
        row = {"action": does, "vm": self.survey.uuid_of_vm(a.vm), "name": a.vm, **self._at(a.host), "memory": self.size[a.vm]}
        return {**row, "source": self.survey.uuid_of_host(a.source), "source_name": a.source} if a.op == MIGRATE else row

    def _wake(self, one: Halted) -> Row:
        row = {"action": self._wakes(one), "vm": self._record(one)["uuid"], "name": one.vm}
        return {**row, **self._at(one.host), "memory": self.size[one.vm]}

    def _at(self, host: str) -> Row:
        return {"host": self.survey.uuid_of_host(host), "host_name": host}

    def _record(self, one: Halted) -> t.Mapping[str, t.Any]:
        return self.survey.objects.get("VM", one.ref)

    def _wakes(self, one: Halted) -> str:
        return RESUME if self._record(one)["power_state"] == "Suspended" else BEGIN


def minutes(time: float) -> float:
    return round(time, 1)
