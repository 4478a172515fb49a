# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a plan keeps the rules, step by step, by its JSON and the instance's. It knows nothing of how the plan was made."""

from __future__ import annotations

import re
import typing as t
from collections import Counter
from dataclasses import dataclass, field


class Broken(AssertionError):
    """A rule is broken: which, and where."""


@dataclass
class Outcome:
    """moved: MiB; most: moves of the VM that is moved most; breaches: moves to a host with another of the group; away: VMs not home."""

    moved: int = 0
    moves: int = 0
    most: int = 0
    breaches: int = 0
    away: list[str] = field(default_factory=list)


def check(instance: dict[str, t.Any], plan: dict[str, t.Any], *, hard: bool = True, done: bool = True) -> Outcome:
    """hard: whether groups may not meet; done: whether all hosts have to be upgraded. Raises Broken."""
    run = _Run(instance, hard)
    for number, action in enumerate(plan["actions"]):
        try:
            getattr(run, action["op"])(**{key: value for key, value in action.items() if key not in ("op", "stage")})
        except Broken as e:
            raise Broken(f"action {number} {action}: {e}") from None
    stages = [action.get("stage", 0) for action in plan["actions"]]
    _rule(stages == sorted(stages), "stages are not in order")
    _rule(run.on == dict.fromkeys(run.on, "running"), "VMs are down in the end")
    if done:
        _rule(not [h for h in run.hosts if run.due(h)], "hosts are not upgraded")
    return run.outcome()


class _Run:
    def __init__(self, instance: dict[str, t.Any], hard: bool):
        self.instance, self.hard = instance, hard
        self.hosts = {h["id"]: dict(h, number=_numbers(h["version"])) for h in instance["hosts"]}
        self.target = _numbers(instance["target"])
        self.vms = {vm["id"]: vm for vm in instance["vms"]}
        self.where = {vm: self.vms[vm]["host"] for vm in self.vms}
        self.on = dict.fromkeys(self.vms, "running")
        self.count = Counter[str]()
        self.upgraded: set[str] = set()
        self.out = Outcome()

    def size(self, vm: str) -> int:
        return int(self.vms[vm]["memory"]) + int(self.vms[vm]["overhead"])

    def used(self, host: str) -> int:
        return sum(self.size(vm) for vm, at in self.where.items() if at == host and self.on[vm] == "running")

    def due(self, host: str) -> bool:
        wanted, only = self.hosts[host].get("due"), self.instance.get("only")
        if host in self.upgraded or (only is not None and host not in only):
            return False
        return bool(self.hosts[host]["number"] < self.target if wanted is None else wanted)

    def mates(self, vm: str, host: str) -> list[str]:
        group = self.vms[vm]["group"]
        here = [other for other, at in self.where.items() if at == host and other != vm and self.on[other] == "running"]
        return [other for other in here if group and self.vms[other]["group"] == group]

    def home(self, vm: str) -> str:
        """Where it is to end if all come home: where it was, also before an upgrade that is half done."""
        this = self.vms[vm]
        known = this["movable"] and this.get("home") in self.hosts
        return str(this["home"] if known else this["host"])

    def migrate(self, vm: str, src: str, dst: str) -> None:
        this = self.vms[vm]
        _rule(self.on[vm] == "running", "the VM is down")
        _rule(this["movable"], "the VM cannot be moved")
        _rule(self.where[vm] == src != dst, "the VM is elsewhere")
        _rule(self.hosts[dst]["number"] >= self.hosts[src]["number"], "to a lower version")
        _rule(self.hosts[dst].get("usable", True) or dst in self.upgraded, "to a host that is not enabled")
        _rule(this["allowed"] is None or dst in this["allowed"], "to a host it may not run on")
        _rule(self.used(dst) + self.size(vm) <= self.hosts[dst]["memory"], "no memory")
        self.out.breaches += bool(self.mates(vm, dst))
        _rule(not (self.hard and self.mates(vm, dst)), "another of its group is there")
        self.where[vm] = dst
        self.count[vm] += 1
        self.out.moved += self.size(vm)

    def upgrade(self, host: str) -> None:
        first = self.instance["coordinator"]
        rises = self.hosts[host]["number"] < self.target
        _rule(self.due(host), "nothing to upgrade")
        _rule(not rises or host == first or self.hosts[first]["number"] >= self.target, "before the coordinator")
        _rule(not self.hosts[host].get("evacuate", True) or not self.used(host), "the host is not empty")
        self.hosts[host]["number"] = max(self.hosts[host]["number"], self.target)
        self.upgraded.add(host)

    def stop(self, vm: str) -> None:
        _rule(self.on[vm] == "running", "the VM is down")
        _rule(not self.vms[vm]["movable"], "there is no need to stop it")
        _rule(self.instance["policy"]["unmovable"] in ("shutdown", "suspend"), "the policy does not allow that")
        self.on[vm] = "stopped"

    def start(self, vm: str, host: str) -> None:
        _rule(self.on[vm] == "stopped", "the VM is not down")
        _rule(self.where[vm] == host, "it has to start where it was")
        _rule(self.used(host) + self.size(vm) <= self.hosts[host]["memory"], "no memory")
        self.on[vm] = "running"

    def outcome(self) -> Outcome:
        self.out.moves, self.out.most = sum(self.count.values()), max(self.count.values(), default=0)
        self.out.away = [vm for vm, at in self.where.items() if at != self.home(vm)]
        return self.out


def _numbers(version: int | str) -> list[int]:
    """As long as one another, so that 8.2 and 8.2.0 are the same."""
    parts = [int(part) for part in re.split(r"\D+", str(version)) if part]
    return [*parts, *[0] * (8 - len(parts))]


def _rule(kept: bool, text: str) -> None:
    if not kept:
        raise Broken(text)
