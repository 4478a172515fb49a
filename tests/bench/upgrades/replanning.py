# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole upgrade as it is carried out: each wave is planned anew from where the pool is by then."""

from __future__ import annotations

import copy
import itertools
import typing as t

from ansible_collections.domzero.xen.plugins.module_utils.planner.model import START, UPGRADE, Action
from ansible_collections.domzero.xen.plugins.module_utils.planner.upgrade import plan

from .formats import policy_of, pool_of
from .instances import Instance


def carried_out(given: Instance, goal: str, hosts_down: int) -> list[Action]:
    """All that is done, in order; valid one by one. Raises NoPlan, also where a later wave finds none."""
    now, done = copy.deepcopy(given), t.cast(list[Action], [])
    if goal == "home":
        for vm in now["vms"]:
            vm["home"] = vm["host"]
    while True:
        actions = plan(pool_of(now), policy_of(now, goal, hosts_down)).actions
        wave = first_wave(actions)
        _apply(now, wave)
        done += wave
        if len(wave) == len(actions):
            return done


def first_wave(actions: list[Action]) -> list[Action]:
    """Up to the first hosts that are upgraded together, with what starts again after them; all of it where none is upgraded."""
    start = next((number for number, action in enumerate(actions) if action.op == UPGRADE), len(actions))
    after = itertools.takewhile(lambda action: action.op == UPGRADE, actions[start:])
    end = start + len(list(after))
    return actions[:end] + list(itertools.takewhile(lambda action: action.op == START, actions[end:]))


def _apply(now: Instance, actions: list[Action]) -> None:
    hosts, vms = {host["id"]: host for host in now["hosts"]}, {vm["id"]: vm for vm in now["vms"]}
    for action in actions:
        if action.op == UPGRADE:
            hosts[action.host]["version"] = now["target"]
        elif action.source:
            vms[action.vm]["host"] = action.host
