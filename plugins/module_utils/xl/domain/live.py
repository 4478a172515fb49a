# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What has to be done to a domain that runs, so that it is as its file says; and what only a restart can do. Pure."""

from __future__ import annotations

import dataclasses
import typing as t

from ..step import Step
from .attached import Change, disk_changes, nic_changes
from .meaning import DEFAULTS, Config, Difference, at, differences, flat
from .table import TABLE

KINDS = {option.path: option.change for option in TABLE}
SECRETS = {option.name for option in TABLE if option.secret}
LIVE = ("memory", "maxmem", "vcpus", "weight")
WEIGHTS = {"credit": "sched-credit", "credit2": "sched-credit2"}


@dataclasses.dataclass(frozen=True)
class Vcpu:
    """One line of `xl vcpu-list`. Attributes: number, online, hard and soft (host CPUs; None for all)."""

    number: int
    online: bool
    hard: frozenset[int] | None
    soft: frozenset[int] | None


@dataclasses.dataclass(frozen=True)
class Running:
    """A domain as it runs. Attributes: name, config (`xl list -l`), vcpus, host_cpus (how many), pool."""

    name: str
    config: Config
    vcpus: tuple[Vcpu, ...] = ()
    host_cpus: int = 1
    pool: str = "Pool-0"


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What its file means.

    Attributes: name, config (`xl create -n`), disks and vifs (the specifications, in the order of the JSON's), managed (options the task
    says something about), everything (all of the file is the task's).
    """

    name: str
    config: Config
    disks: tuple[str, ...] = ()
    vifs: tuple[str, ...] = ()
    managed: frozenset[str] = frozenset()
    everything: bool = False

    def manages(self, *options: str) -> bool:
        return self.everything or any(option in self.managed for option in options)


@dataclasses.dataclass
class Plan:
    """Attributes: steps, needs_restart (a sentence each), before and after (what the steps change, by option, for the difference)."""

    steps: list[Step] = dataclasses.field(default_factory=list)
    needs_restart: list[str] = dataclasses.field(default_factory=list)
    before: dict[str, t.Any] = dataclasses.field(default_factory=dict)
    after: dict[str, t.Any] = dataclasses.field(default_factory=dict)

    def note(self, option: str, before: t.Any, after: t.Any) -> None:
        self.before[option], self.after[option] = before, after


def xl(*words: str, what: str, disruptive: str = "") -> Step:
    return Step(("xl", *words), what, disruptive=disruptive)


def plan(running: Running, wanted: Wanted) -> Plan:
    """Everything that makes the domain as its file is, in an order in which each command is possible."""
    result = Plan()
    changed = differences(wanted.config, running.config, wanted.managed, wanted.everything)
    by_kind: dict[str, list[Difference]] = {}
    for one in changed:
        by_kind.setdefault(KINDS.get(one.path, "rename" if one.path == "c_info/name" else "restart"), []).append(one)
    name = wanted.name
    if running.name != name:
        result.note("name", running.name, name)
        result.steps.append(xl("rename", running.name, name, what=f"rename {running.name} to {name}"))
    result.steps += [*memory(name, by_kind), *vcpus(name, by_kind, running)]
    weight(name, by_kind, running, result)
    if wanted.manages("pool") and at(wanted.config, "c_info/pool_name") != running.pool:
        pool = str(at(wanted.config, "c_info/pool_name"))
        result.note("pool", running.pool, pool)
        result.steps.append(xl("cpupool-migrate", name, pool, what=f"move {name} to the CPU pool {pool}"))
    if wanted.manages("cpus", "cpus_soft"):
        result.steps += pins(name, running, wanted)
    result.steps += attached(name, running, wanted)
    for one in changed:
        if KINDS.get(one.path) in LIVE:
            result.note(one.options[0], value_of(one.path, one.running), value_of(one.path, one.wanted))
    result.needs_restart += [sentence(one, name, wanted.managed) for one in by_kind.get("restart", [])]
    return result


def memory(name: str, by_kind: t.Mapping[str, list[Difference]]) -> list[Step]:
    """The limit grows before the memory and shrinks after it."""
    steps: list[Step] = []
    after: list[Step] = []
    for one in by_kind.get("maxmem", []):
        step = xl("mem-max", name, str(one.wanted // 1024), what=f"let {name} have up to {one.wanted // 1024} MiB")
        (steps if (one.wanted or 0) > (one.running or 0) else after).append(step)
    for one in by_kind.get("memory", []):
        steps.append(xl("mem-set", name, str(one.wanted // 1024), what=f"give {name} {one.wanted // 1024} MiB"))
    return steps + after


def value_of(path: str, value: t.Any) -> t.Any:
    """A value as the option of it tells it."""
    if isinstance(value, list):
        return len(value)
    return value // 1024 if path.endswith("memkb") and isinstance(value, int) else value


def vcpus(name: str, by_kind: t.Mapping[str, list[Difference]], running: Running) -> list[Step]:
    steps = []
    for one in by_kind.get("vcpus", []):
        number = len(one.wanted or [0])
        if number > max(len(running.vcpus), at(running.config, "b_info/max_vcpus")):
            continue  # more than it can have: that is told of maxvcpus
        more = ["--ignore-host"] if number > running.host_cpus else []
        steps.append(xl("vcpu-set", *more, name, str(number), what=f"{name} has {number} vCPUs"))
    return steps


def weight(name: str, by_kind: t.Mapping[str, list[Difference]], running: Running, result: Plan) -> None:
    changed = by_kind.get("weight", [])
    scheduler = str(flat(running.config).get("b_info/sched_params/sched", "credit2"))
    if changed and scheduler not in WEIGHTS:
        result.needs_restart.append(f"cpu_weight and cap mean nothing to the scheduler {scheduler}, under which {name} runs.")
    elif changed:
        flags = {"b_info/sched_params/weight": "-w", "b_info/sched_params/cap": "-c"}
        words = [word for one in changed for word in (flags[one.path], str(one.wanted))]
        result.steps.append(xl(WEIGHTS[scheduler], "-d", name, *words, what=f"the share of CPU time of {name}"))


def pins(name: str, running: Running, wanted: Wanted) -> list[Step]:
    """`xl vcpu-pin` for each virtual CPU that may run elsewhere than it does; one for all where it is the same for all."""
    hard, soft = (wanted.config.get("b_info", {}).get(f"vcpu_{kind}_affinity") for kind in ("hard", "soft"))
    moves: list[tuple[int, str, str]] = []
    for vcpu in running.vcpus:
        here = affinity(hard, vcpu.number, running.host_cpus) if wanted.manages("cpus") else cpus(vcpu.hard, running.host_cpus)
        # without cpus_soft Xen chooses by itself which CPUs are preferred
        chosen = "cpus_soft" in wanted.managed or soft is not None
        there = affinity(soft, vcpu.number, running.host_cpus) if chosen else cpus(vcpu.soft, running.host_cpus)
        if here != cpus(vcpu.hard, running.host_cpus) or there != cpus(vcpu.soft, running.host_cpus):
            moves.append((vcpu.number, here, there if chosen else ""))
    if len(moves) == len(running.vcpus) > 1 and len({move[1:] for move in moves}) == 1:
        numbers = [("all", *moves[0][1:])]
    else:
        numbers = [(str(number), here, there) for number, here, there in moves]
    return [xl("vcpu-pin", name, *filter(None, move), what=f"where vCPU {move[0]} of {name} runs") for move in numbers]


def affinity(lists: t.Any, number: int, host_cpus: int) -> str:
    """What the file means for one virtual CPU; more of them than entries run anywhere."""
    if not isinstance(lists, list) or number >= len(lists) or not isinstance(lists[number], list):
        return "all"
    return cpus(frozenset(lists[number]), host_cpus)


def cpus(numbers: frozenset[int] | None, host_cpus: int) -> str:
    """{0, 1, 3} as "0-1,3"; "all" for all the host has."""
    if numbers is None or numbers >= set(range(host_cpus)):
        return "all"
    parts: list[list[int]] = []
    for number in sorted(n for n in numbers if n < host_cpus):
        if parts and parts[-1][-1] == number - 1:
            parts[-1].append(number)
        else:
            parts.append([number])
    return ",".join(str(part[0]) if len(part) == 1 else f"{part[0]}-{part[-1]}" for part in parts)


def attached(name: str, running: Running, wanted: Wanted) -> list[Step]:
    steps: list[Step] = []
    if wanted.manages("disk"):
        hvm = at(running.config, "c_info/type") == "hvm"
        for change in disk_changes(wanted.config.get("disks", []), running.config.get("disks", []), hvm):
            steps += disk_steps(name, change, wanted.disks)
    if wanted.manages("vif"):
        for change in nic_changes(wanted.config.get("nics", []), running.config.get("nics", [])):
            steps += nic_steps(name, change, wanted.vifs)
    return steps


def disk_steps(name: str, change: Change, specs: t.Sequence[str]) -> list[Step]:
    vdev = str(change.device.get("vdev"))
    if change.kind == "insert":
        target = str(change.device["pdev_path"])
        return [xl("cd-insert", name, vdev, target, what=f"put {target} into {vdev} of {name}")]
    if change.kind == "eject":
        return [xl("cd-eject", name, vdev, what=f"empty the drive {vdev} of {name}")]
    steps = []
    if change.kind in ("detach", "replace"):
        steps.append(xl("block-detach", name, vdev, what=f"detach the disk {vdev}", disruptive=f"{name} loses the disk {vdev}"))
    if change.kind in ("attach", "replace"):
        steps.append(xl("block-attach", name, specs[change.index], what=f"attach the disk {vdev}"))
    return steps


def nic_steps(name: str, change: Change, specs: t.Sequence[str]) -> list[Step]:
    gone = change.old if change.kind == "replace" else change.device if change.kind == "detach" else None
    steps = []
    if gone is not None:
        told = f"network interface {gone.get('mac') or gone.get('devid', 0)}"
        steps.append(
            xl("network-detach", name, str(gone.get("devid", 0)), what=f"detach the {told}", disruptive=f"{name} loses the {told}")
        )
    if change.kind in ("attach", "replace"):
        words = [word.strip() for word in specs[change.index].split(",") if word.strip()]
        steps.append(xl("network-attach", name, *words, what="attach a network interface"))
    return steps


def sentence(one: Difference, name: str, managed: t.Container[str]) -> str:
    """What waits for a restart."""
    option = " and ".join(option for option in one.options if option in managed) or next(iter(one.options), one.path.rpartition("/")[2])
    if SECRETS & set(one.options):
        return f"{option}: another one is in the file than {name} runs with."
    return f"{option}: {name} runs with {shown(one.path, one.running)}; {shown(one.path, one.wanted)} comes with a restart."


def shown(path: str, value: t.Any) -> str:
    if value is None or value == [] or value == "":
        value = DEFAULTS.get(path)
    if value is None:
        return "none"
    if path.endswith("memkb") and isinstance(value, int):
        return f"{value // 1024} MiB"
    return str(value)
