# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carries out any plan, ours or a peer's, event by event: how long it takes, and that no rule is broken at any moment.

It reads the plan's and the instance's JSON and shares no code with the planner. While a VM moves it takes memory on both hosts. A stage
begins when the one before has ended; within it an action may overtake those before it that have not begun:

- a migration and a start: no earlier action of the VM or of its group, and no earlier upgrade of either host, is still to begin or under
  way; slots are free; and so is the memory, with that of the earlier ones that wait for the same host;
- an upgrade and a stop: nothing earlier that is still to begin or under way touches the host. The coordinator is upgraded alone.
"""

from __future__ import annotations

import re
import typing as t
from collections import Counter
from dataclasses import dataclass

Action = dict[str, t.Any]
AHEAD = 250  # actions that wait and are looked at
MIB = 1 / 1024  # in GiB


class Broken(AssertionError):
    """A plan cannot be carried out: a rule is broken, or nothing can go on."""


@dataclass
class Going:
    action: Action
    ends: set[str]  # the hosts it is about
    fixed: float  # minutes before anything is sent, or all of them
    gib: float = 0.0


def minutes(instance: dict[str, t.Any], plan: dict[str, t.Any], hosts_down: int = 1) -> float:
    """Model minutes of all of it. Raises Broken."""
    run = _Run(instance, hosts_down)
    stages: dict[int, list[Action]] = {}
    for action in plan["actions"]:
        stages.setdefault(action.get("stage", 0), []).append(action)
    for number in sorted(stages):
        run.play(stages[number], plan.get("limits", {}).get(str(number)))
    return run.now


class _Run:
    def __init__(self, instance: dict[str, t.Any], hosts_down: int):
        self.params, self.hosts_down, self.coordinator = instance["params"], hosts_down, instance["coordinator"]
        self.size = {vm["id"]: vm["memory"] + vm["overhead"] for vm in instance["vms"]}
        self.group = {vm["id"]: vm["group"] for vm in instance["vms"] if vm["group"]}
        self.at = {vm["id"]: vm["host"] for vm in instance["vms"]}
        self.target, self.version = _numbers(instance["target"]), {h["id"]: _numbers(h["version"]) for h in instance["hosts"]}
        self.free = {h["id"]: h["memory"] for h in instance["hosts"]}
        for vm, host in self.at.items():
            self.free[host] -= self.size[vm]
        self.stopped: set[str] = set()
        self.now = 0.0
        self.going: list[Going] = []

    def play(self, actions: list[Action], limit: int | None) -> None:
        waiting = list(actions)
        while waiting or self.going:
            begun = self._begun(waiting[:AHEAD], limit)
            waiting = [action for n, action in enumerate(waiting) if n not in begun]
            if not self.going:
                raise Broken(f"nothing can go on before {waiting[0]}")
            self._pass()

    def _begun(self, waiting: list[Action], limit: int | None) -> set[int]:
        begun: set[int] = set()
        vms = {self._key(vm) for one in self.going for vm in [one.action.get("vm")] if vm}
        busy = {host for one in self.going for host in one.ends}  # by what is under way
        down = {one.action["host"] for one in self.going if one.action["op"] == "upgrade"}
        touched, closed, owed = set[str](), set(down), Counter[str]()  # by what waits: its hosts, those to be upgraded, memory
        for number, action in enumerate(waiting):
            if self.coordinator in down or (limit is not None and len(self.going) >= limit):
                break
            op, ends, key = action["op"], self._ends(action), self._key(action.get("vm", ""))
            if op in ("upgrade", "stop"):
                ready = not ends & (touched | (busy if op == "upgrade" else closed))
                if op == "upgrade":
                    ready &= len(down) < self.hosts_down if action["host"] != self.coordinator else not (number or self.going)
            else:
                into = action["dst"] if op == "migrate" else action["host"]
                ready = key not in vms and not ends & closed and self.free[into] - owed[into] >= self.size[action["vm"]]
                ready = ready and (op == "start" or self._slots(action))
            if ready:
                self._start(action, ends)
                begun.add(number)
                busy |= ends
                down |= ends if op == "upgrade" else set()
            else:
                touched |= ends
                owed[action.get("dst") or action["host"] if op in ("migrate", "start") else ""] += self.size.get(action.get("vm", ""), 0)
            closed |= ends if op == "upgrade" else set()
            vms |= {key} if key else set()
            if op == "upgrade" and action["host"] == self.coordinator:
                break
        return begun

    def _key(self, vm: str) -> str:
        """VMs of a group wait for one another."""
        return f"group {self.group[vm]}" if vm in self.group else vm

    def _ends(self, action: Action) -> set[str]:
        if action["op"] == "migrate":
            return {action["src"], action["dst"]}
        return {action["host"] if action["op"] != "stop" else self.at[action["vm"]]}

    def _slots(self, action: Action) -> bool:
        moving = [one.action for one in self.going if one.action["op"] == "migrate"]
        into, out = (sum(other[end] == action[end] for other in moving) for end in ("dst", "src"))
        return bool(into < self.params["max_in"] and out < self.params["max_out"])

    def _start(self, a: Action, ends: set[str]) -> None:
        size = self.size.get(a.get("vm", ""), 0)
        if a["op"] == "upgrade":
            left = [vm for vm, host in self.at.items() if host == a["host"] and vm not in self.stopped]
            _rule(not left, f"{a['host']} is not empty: {left[:3]}")
            _rule(a["host"] == self.coordinator or self.version[self.coordinator] >= self.target, "before the coordinator")
            self.going.append(Going(a, ends, self.params["reboot_min"]))
        elif a["op"] == "migrate":
            _rule(self.at[a["vm"]] == a["src"] and a["vm"] not in self.stopped, f"{a['vm']} is elsewhere")
            _rule(self.version[a["dst"]] >= self.version[a["src"]], f"{a['vm']} to a lower version")
            self.free[a["dst"]] -= size
            self.going.append(Going(a, ends, self.params["setup_min"], size * MIB * self.params["dirty"]))
        elif a["op"] == "stop":
            self.going.append(Going(a, ends, self.params["stop_min"]))
        else:
            _rule(a["vm"] in self.stopped, f"{a['vm']} runs")
            self.free[a["host"]] -= size
            self.going.append(Going(a, ends, self.params["start_min"]))

    def _pass(self) -> None:
        """To the next moment at which something ends, or begins to send."""
        sending = [one for one in self.going if one.fixed <= 0]
        out, into = (Counter(one.action[end] for one in sending) for end in ("src", "dst"))
        nic, stream = self.params["nic_gib_min"], self.params["stream_gib_min"]
        rate = {id(one): min(stream, nic / out[one.action["src"]], nic / into[one.action["dst"]]) for one in sending}
        step = min(one.fixed if one.fixed > 0 else one.gib / rate[id(one)] for one in self.going)
        self.now += step
        for one in self.going:
            if one.fixed > 0:
                one.fixed = _rest(one.fixed, step)
            else:
                one.gib = _rest(one.gib, step * rate[id(one)])
        for one in [one for one in self.going if one.fixed <= 0 and one.gib <= 0]:
            self.going.remove(one)
            self._end(one.action)

    def _end(self, a: Action) -> None:
        if a["op"] == "upgrade":
            self.version[a["host"]] = max(self.version[a["host"]], self.target)
        elif a["op"] == "migrate":
            self.free[a["src"]] += self.size[a["vm"]]
            self.at[a["vm"]] = a["dst"]
        elif a["op"] == "stop":
            self.free[self.at[a["vm"]]] += self.size[a["vm"]]
            self.stopped.add(a["vm"])
        else:
            self.stopped.discard(a["vm"])


def _rest(amount: float, less: float) -> float:
    return 0.0 if amount - less < 1e-9 else amount - less


def _numbers(version: int | str) -> list[int]:
    parts = [int(part) for part in re.split(r"\D+", str(version)) if part]
    return [*parts, *[0] * (8 - len(parts))]


def _rule(kept: bool, text: str) -> None:
    if not kept:
        raise Broken(text)
