# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A list of actions as a task gives it, and what the task tells of it."""

from __future__ import annotations

import re
import typing as t

from .. import hosts
from ..errors import InvalidChange
from ..refs import NULL, Objects, Record
from ..vms import is_guest
from .moves import Moves, Row, Told
from .moves_steps import ACTIONS, CLEAN, CLEAN_THEN_HARD, HARD, MIGRATE, STARTS, STOPS, SUSPEND, Rules, Wish

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
ACTION: dict[str, dict[str, t.Any]] = {
    "action": {"type": "str", "choices": list(ACTIONS), "required": True},
    "vm": {"type": "str", "required": True},
    "name": {"type": "str"},
    "host": {"type": "str"},
    "host_name": {"type": "str"},
    "source": {"type": "str"},
    "source_name": {"type": "str"},
    "memory": {"type": "int"},
}
ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "actions": {"type": "list", "elements": "dict", "options": ACTION, "required": True},
    "network": {"type": "str"},
    "max_parallel": {"type": "int"},
    "per_host": {"type": "int", "default": 3},
    "remember_home": {"type": "bool", "default": False},
    "eject": {"type": "bool", "default": True},
    "stop": {"type": "str", "choices": [CLEAN, HARD, CLEAN_THEN_HARD], "default": CLEAN_THEN_HARD},
    "shutdown_timeout": {"type": "int", "default": 300},
    "wait_timeout": {"type": "int", "default": 7200},
    "strict": {"type": "bool", "default": True},
    "run": {"type": "str"},
}


def wishes_of(objects: Objects, actions: t.Sequence[Record]) -> list[Wish]:
    """Raises InvalidChange, NotFound and Ambiguous for what cannot be meant; a uuid that is not there any more is no mistake."""
    return [_wish(objects, action) for action in actions]


def _wish(objects: Objects, action: Record) -> Wish:
    text = action["vm"]
    there = bool(objects.named("VM", text, is_guest)) or not UUID.fullmatch(text)
    found = objects.resolve("VM", text, is_guest) if there else ""
    uuid = objects.get("VM", found)["uuid"] if found else text
    if not action.get("host") and action["action"] not in STOPS:
        raise InvalidChange(f"The action {action['action']} of VM {action.get('name') or text!r} names no host.", hint="Give host.")
    host, source = (hosts.resolve(objects, action[key]) if action.get(key) else "" for key in ("host", "source"))
    return Wish(action["action"], action.get("name") or text, found, uuid, host, source, action.get("memory") or 0)


def rules_of(objects: Objects, params: Record) -> Rules:
    """Raises InvalidChange for a limit that lets nothing begin, NotFound for a network."""
    for option, least in (("per_host", 1), ("max_parallel", 1), ("shutdown_timeout", 0), ("wait_timeout", 0)):
        if params[option] is not None and params[option] < least:
            raise InvalidChange(f"{option} cannot be {params[option]}.", hint=f"Give {least} or more.")
    network = objects.resolve("network", params["network"]) if params["network"] else NULL
    return Rules(
        network=network,
        remember=params["remember_home"],
        eject=params["eject"],
        stop=params["stop"],
        shutdown_timeout=float(params["shutdown_timeout"]),
        wait_timeout=float(params["wait_timeout"]),
    )


# telling -------------------------------------------------------------------------------------------------------------
def told_of(moves: Moves) -> dict[str, t.Any]:
    """moved, stopped, started, surprises, failed_actions, operations, and a diff of where the VMs are."""
    out: dict[str, t.Any] = {key: [] for key in ("moved", "stopped", "started", "surprises", "failed_actions", "operations")}
    before: dict[str, str] = {}
    after: dict[str, str] = {}
    for wish, told in zip(moves.wishes, moves.told):
        label = told.before["name_label"] if told.before else wish.label
        out["operations"] += told.operations
        row: Row = {"vm": label, "uuid": wish.uuid}
        if told.surprise:
            out["surprises"].append({**row, "action": wish.action, "msg": told.surprise})
        elif told.error:
            out["failed_actions"].append({**row, "action": wish.action, "error_code": told.error.code, "msg": str(told.error)})
        elif any(call.startswith("VM.") and "other_config" not in call for call in told.operations):
            _done(out, row, moves, wish, told)
            record = t.cast(Record, told.before)
            before.setdefault(label, where(moves.objects, record["power_state"], record["resident_on"]))
            after[label] = _afterwards(moves.objects, wish)
    return {**out, "diff": {"before": before, "after": after}}


def _done(out: dict[str, t.Any], row: Row, moves: Moves, wish: Wish, told: Told) -> None:
    record, objects = t.cast(Record, told.before), moves.objects
    if wish.action == MIGRATE:
        memory = int(record["memory_dynamic_min"]) + int(record["memory_overhead"])
        ends = {"from": hosts.name_of(objects, record["resident_on"]), "to": hosts.name_of(objects, wish.host)}
        out["moved"].append({**row, **ends, "memory": memory})
    elif wish.action in STARTS:
        out["started"].append({**row, "host": hosts.name_of(objects, wish.host)})
    else:
        how = SUSPEND if wish.action == SUSPEND else HARD if "VM.hard_shutdown" in told.operations else CLEAN
        out["stopped"].append({**row, "host": hosts.name_of(objects, record["resident_on"]), "how": how})


def _afterwards(objects: Objects, wish: Wish) -> str:
    if wish.action in STOPS:
        return "suspended" if wish.action == SUSPEND else "halted"
    return where(objects, "Running", wish.host)


def where(objects: Objects, state: str, host: str) -> str:
    """In words for a diff: the host a VM is on, or its power state."""
    return hosts.name_of(objects, host) if host in objects.all("host") else state.lower()


def sentence(told: t.Mapping[str, t.Any]) -> str:
    """What failed, for the message of a failed task."""
    return " ".join(row["msg"] for row in told["failed_actions"])
