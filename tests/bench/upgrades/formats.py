# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Instances and plans as JSON: to and from what the planner knows."""

from __future__ import annotations

import typing as t

from ansible_collections.domzero.xen.plugins.module_utils.planner.clock import Speed
from ansible_collections.domzero.xen.plugins.module_utils.planner.model import (
    MIGRATE,
    START,
    UPGRADE,
    Action,
    Host,
    Policy,
    Pool,
    Vm,
    version_of,
)

UNMOVABLE = {"skip": "skip_host"}
HOMES = {"moves": "never", "home": "always", "affinity": "affinity"}


def pool_of(instance: dict[str, t.Any]) -> Pool:
    """Raises KeyError and TypeError for what is no instance. A host may also have usable, due and evacuate (see Host)."""
    own = ("usable", "due", "evacuate")
    hosts = tuple(
        Host(h["id"], h["memory"], version_of(h["version"]), **{key: h[key] for key in own if key in h}) for h in instance["hosts"]
    )
    vms = tuple(
        Vm(
            vm["id"],
            vm["host"],
            vm["memory"] + vm.get("overhead", 0),
            vm.get("movable", True),
            vm.get("reason") or "",
            vm.get("group"),
            None if vm.get("allowed") is None else frozenset(vm["allowed"]),
            vm.get("affinity"),
            vm.get("home"),
        )
        for vm in instance["vms"]
    )
    only = instance.get("only")
    return Pool(hosts, vms, instance["coordinator"], version_of(instance["target"]), None if only is None else frozenset(only))


def policy_of(instance: dict[str, t.Any], goal: str, hosts_down: int) -> Policy:
    policy = instance.get("policy", {})
    unmovable = policy.get("unmovable", "fail")
    return Policy(
        UNMOVABLE.get(unmovable, unmovable),
        HOMES[goal],
        policy.get("anti_affinity", "hard"),
        hosts_down,
        policy.get("max_parallel_migrations"),
    )


def speed_of(instance: dict[str, t.Any]) -> Speed:
    given = instance.get("params", {})
    names = {
        "nic": "nic_gib_min",
        "stream": "stream_gib_min",
        "setup": "setup_min",
        "dirty": "dirty",
        "incoming": "max_in",
        "outgoing": "max_out",
        "upgrade": "reboot_min",
        "stop": "stop_min",
        "start": "start_min",
    }
    return Speed(**{ours: given[theirs] for ours, theirs in names.items() if theirs in given})


def written(stages: t.Sequence[t.Sequence[Action]], limits: dict[int, int] | None = None) -> dict[str, t.Any]:
    """A plan in stages; one in a single stage has no numbers of stages. limits: of actions at once, by stage."""
    many = len(stages) > 1
    actions = [{**_action(a), **({"stage": number} if many else {})} for number, stage in enumerate(stages) for a in stage]
    return {"actions": actions, "error": None, **({"limits": {str(stage): most for stage, most in limits.items()}} if limits else {})}


def _action(a: Action) -> dict[str, t.Any]:
    if a.op == MIGRATE:
        return {"op": a.op, "vm": a.vm, "src": a.source, "dst": a.host}
    if a.op == UPGRADE:
        return {"op": a.op, "host": a.host}
    return {"op": a.op, "vm": a.vm, **({"host": a.host} if a.op == START else {})}
