# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plan of a task: everything is decided, and refused, before the first command that changes anything."""

from __future__ import annotations

import dataclasses
import os
import typing as t

from ...errors import InvalidChange
from ..step import Step
from ..tool import Tool
from . import checks, files, lifecycle, live, reading, settings
from .lifecycle import Life
from .live import Running, Wanted
from .meaning import ACTIONS, Config, at
from .request import Request, Scene, needs_file

ENDS = ("stopped", "destroyed", "absent")


@dataclasses.dataclass
class Change:
    """Attributes: steps, warnings, needs_restart, backup_file, diff, domain (in the vocabulary of the module, as it is to be)."""

    steps: list[Step]
    warnings: list[str]
    needs_restart: list[str]
    backup_file: str
    diff: list[dict[str, t.Any]]
    domain: dict[str, t.Any]
    power_state: str


def plan(asked: Request, now: Scene, tool: Tool) -> Change:
    """Raises XenError for what cannot be done; nothing is changed by it."""
    if asked.state == "absent":
        return absent(asked, now)
    alive = now.domain is not None or asked.state not in ("present", "running", "paused")
    if now.cfg is None and (not alive or asked.params["autostart"]):
        raise needs_file(asked)
    if now.cfg is None:
        return assembled(asked, now, [], powered(asked, now, lifecycle_of(asked, now)), live.Plan(), [], "")
    config, complaint = reading.understood(tool, str(now.cfg), now.place.path)
    warnings = [
        *told_of_cut(asked, now),
        *settings.unknown_keys(now.cfg),
        *([f"xl says of {now.place.path}: {complaint}"] if complaint else []),
    ]
    changes = of_running(asked, now, config, tool)
    power = power_steps(asked, now, changes)
    warnings += refuse_or_tell(asked, now, config, [*changes.steps, *power])
    steps, backup = files.written(now.place, now.before, str(now.cfg), asked.params["backup"])
    if now.earlier:
        steps += [*files.removed(now.earlier, now.earlier.text(), False)[0], *files.linked(now.earlier, False)]
    steps += files.linked(now.place, autostart(asked, now))
    return assembled(asked, now, steps, power, changes, warnings, backup)


def told_of_cut(asked: Request, now: Scene) -> list[str]:
    finishes = asked_for(asked, now) != asked.state
    return [f"An earlier run ended in the middle of a restart of {asked.name}; it is started now."] if finishes else []


def asked_for(asked: Request, now: Scene) -> str:
    """The state; `present` leaves it alone, except that a restart that was cut off is finished."""
    ended = now.domain is None or now.domain.state in ("shutdown", "crashed")
    return now.cut if asked.state == "present" and now.cut and ended else asked.state


def autostart(asked: Request, now: Scene) -> bool | None:
    """A file under a new name keeps its link."""
    wanted = asked.params["autostart"]
    return True if wanted is None and now.earlier and now.earlier.links() else wanted


def life_of(asked: Request, now: Scene, name: str) -> Life:
    domain = now.domain
    identity = reading.saved_identity(asked.save_path)
    mine = identity is not None and (identity[1] == now.uuid if now.uuid and identity[1] else identity[0] in (asked.name, name))
    ends = at(domain.config, "on_poweroff") if domain else "destroy"
    return Life(
        name, domain.state if domain else "stopped", now.place.path, asked.save_path, saved=mine,
        taken=not mine and os.path.exists(asked.save_path), hvm=bool(domain and at(domain.config, "c_info/type") == "hvm"),
        on_poweroff=ACTIONS.get(ends, str(ends).replace("_", "-")),
    )  # fmt: skip


def lifecycle_of(asked: Request, now: Scene) -> list[Step]:
    """The steps of the power state; a domain that is renamed has its new name by then, unless it ends or is left as it is until then."""
    keeps_its_name = asked.state in ENDS or now.cfg is None or not asked.params["live"]
    name = now.domain.name if now.domain and keeps_its_name else asked.name
    life, target = life_of(asked, now, name), asked_for(asked, now)
    steps = lifecycle.plan(life, target, force=asked.params["force"], keep_saved=asked.params["keep_saved"])
    folder = os.path.dirname(asked.save_path)
    if any(step.argv[:2] == ("xl", "save") for step in steps) and not os.path.isdir(folder):
        steps.insert(0, Step(("mkdir", "-p", folder), f"make {folder}"))
    return steps


def of_running(asked: Request, now: Scene, config: Config, tool: Tool) -> live.Plan:
    """What the running domain needs to be as the file; nothing for one that ends or does not run."""
    domain = now.domain
    if domain is None or domain.state not in ("running", "paused") or asked.state in ENDS or now.cfg is None:
        return live.Plan()
    if now.host.info.get("nr_cpus") is None:
        raise InvalidChange("xl info does not tell how many CPUs the host has.")
    managed = frozenset(asked.wanted)
    pool = reading.pool(tool, domain.name) if asked.base is not None or "pool" in managed else "Pool-0"
    running = Running(domain.name, domain.config, reading.vcpus(tool, domain.name), int(now.host.info["nr_cpus"]), pool)
    wanted = Wanted(asked.name, config, strings(now, "disk"), strings(now, "vif"), managed, asked.base is not None)
    changes = live.plan(running, wanted)
    if not asked.params["live"]:
        changes.needs_restart += [f"{step.what} is left to a restart (live: false)." for step in changes.steps]
        changes.steps = []
    return changes


def strings(now: Scene, key: str) -> tuple[str, ...]:
    value = now.cfg.get(key, []) if now.cfg else []
    return tuple(str(one) for one in (value if isinstance(value, list) else [value]))


def power_steps(asked: Request, now: Scene, changes: live.Plan) -> list[Step]:
    """The power state; a restart, where one is needed and allowed, takes the place of all that could be done without."""
    if changes.needs_restart and asked.params["restart"] and asked.state in ("present", "running", "paused") and now.domain:
        life = life_of(asked, now, now.domain.name)
        target = asked.state if asked.state != "present" else now.domain.state
        changes.steps, changes.needs_restart = [], []
        marked = [files.marked(now.place, target)] if asked.state == "present" and not now.cut else []
        steps = [*marked, *lifecycle.stopped(life, asked.params["force"]), lifecycle.create(life, paused=target == "paused")]
        return [*powered(asked, now, steps), *([files.unmarked(now.place)] if marked else [])]
    return powered(asked, now, lifecycle_of(asked, now))


def powered(asked: Request, now: Scene, steps: list[Step]) -> list[Step]:
    """The mark of a restart that was cut off goes: when that is finished, or at once where the task says itself what it is to be."""
    if not now.cut:
        return steps
    mark = files.unmarked(now.place)
    return [*steps, mark] if asked.state == "present" else [mark, *steps]


def refuse_or_tell(asked: Request, now: Scene, config: Config, steps: t.Sequence[Step]) -> list[str]:
    """What would keep it from starting: refused where it is to start or runs, told where only its file is written. Raises InvalidChange."""
    name, host = asked.name, now.host
    starts = any(step.argv[:2] == ("xl", "create") for step in steps)
    if asked.state in ENDS:
        certain = checks.of_name(name, now.uuid, host)  # whatever else is wrong with it, it can end
    else:
        certain = [*checks.of_sizes(config, name), *checks.of_identity(config, now.uuid, host)]
    possible = checks.of_start(config, name, host)
    if starts:
        freed = now.domain.memory if now.domain else 0  # what a restart gives back
        certain += checks.of_memory(checks.needed(config) - freed, name, host)
    elif any(step.argv[:2] == ("xl", "mem-set") for step in steps) and now.domain:
        certain += checks.of_memory(at(config, "b_info/target_memkb") // 1024 - now.domain.memory, name, host)
    elif any(step.argv[:2] == ("xl", "restore") for step in steps):
        certain += checks.of_memory(checks.needed(config), name, host)
    alive = now.domain is not None and now.domain.state in ("running", "paused") and asked.state not in ENDS
    refused = [*certain, *(possible if starts or alive or asked.state == "restored" else [])]
    if refused:
        raise InvalidChange(refused[0].sentence, hint=refused[0].hint)
    return [*(f"{one.sentence} {one.hint}" for one in possible), *checks.of_neighbours(config, now.uuid, now.place.path, host)]


def absent(asked: Request, now: Scene) -> Change:
    """The domain ends, then link and file go; its disks stay. Raises InvalidChange where another domain has its name."""
    for problem in checks.of_name(asked.name, now.uuid, now.host):
        raise InvalidChange(problem.sentence, hint=problem.hint)
    steps = [*powered(asked, now, lifecycle_of(asked, now)), *files.linked(now.place, False)]
    removed, backup = files.removed(now.place, now.before, asked.params["backup"])
    warnings = []
    if reading.saved_identity(asked.save_path) and now.domain is None:
        warnings.append(f"A saved state lies at {asked.save_path}; it is left there.")
    change = assembled(asked, dataclasses.replace(now, cfg=None), [*steps, *removed], [], live.Plan(), warnings, backup)
    return dataclasses.replace(change, domain={"name": asked.name})


def assembled(
    asked: Request, now: Scene, steps: list[Step], power: list[Step], changes: live.Plan, warnings: list[str], backup: str
) -> Change:  # fmt: skip
    """Everything in its order: the file, a guest that is to hear what is done to it wakes, what runs, the power state."""
    early = [step for step in power if step.argv[:2] == ("xl", "unpause")] if changes.steps else []
    every = [*steps, *early, *changes.steps, *(step for step in power if step not in early)]
    after_text = str(now.cfg) if now.cfg else None if asked.state == "absent" else now.before
    power_state = after(asked, now)
    auto_before, auto_after = bool(now.place.links()), any(step.argv[0] == "ln" for step in every)
    auto_after = auto_after or (
        auto_before and not any(step.argv[0] == "rm" and os.path.dirname(step.argv[1]) == now.place.auto for step in every)
    )
    before = {"autostart": auto_before, "power_state": now.domain.state if now.domain else "stopped", **changes.before}
    diff = [
        files.difference(now.place, now.before, after_text),
        {
            "before": before,
            "after": {"autostart": auto_after, "power_state": power_state, **(changes.after if changes.steps else changes.before)},
        },
    ]
    running = now.domain.config if now.domain else None
    told = settings.told(now.cfg, running)
    return Change(every, warnings, changes.needs_restart, backup, diff, {**told, "autostart": auto_after}, power_state)


def after(asked: Request, now: Scene) -> str:
    state = asked_for(asked, now)
    state = {"present": "", "restored": "running", "destroyed": "stopped", "absent": "stopped", "saved": "stopped"}.get(state, state)
    if asked.state == "restored" and now.domain:
        return now.domain.state
    return state or (now.domain.state if now.domain else "stopped")
