# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a rolling upgrade is planned from, and what a plan is. Memory in MiB everywhere."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field

MIGRATE, UPGRADE, STOP, START = "migrate", "upgrade", "stop", "start"
Version = tuple[int, ...]


class NoPlan(Exception):
    """There is no plan; the reason in words an administrator can act on."""


def version_of(text: str | int) -> Version:
    """The numbers of a version as people and XenAPI write it, so that 8.10.2 is newer than 8.2.1; 8.2 is the same as 8.2.0."""
    numbers = [int(number) for number in re.findall(r"\d+", str(text))]
    while numbers and not numbers[-1]:
        numbers.pop()
    return tuple(numbers)


@dataclass(frozen=True)
class Host:
    """A host that is up. memory: what VMs may use; usable: whether VMs may go there before it is upgraded (afterwards they may).

    due: whether it is to be upgraded or rebooted; None: if its version is lower than the target.
    evacuate: False where the upgrade leaves VMs running, such as a restart of the toolstack: such hosts keep their VMs.
    """

    id: str
    memory: int
    version: Version
    usable: bool = True
    due: bool | None = None
    evacuate: bool = True


@dataclass(frozen=True)
class Vm:
    """A VM that runs. size: what it takes of its host, with overhead; allowed: the hosts it may run on, None for all.

    reason: why it cannot be moved, where it cannot; group: members of one are to be on different hosts; affinity: the host it prefers;
    home: where it was before an upgrade that is half done; None: where it is.
    """

    id: str
    host: str
    size: int
    movable: bool = True
    reason: str = ""
    group: str | None = None
    allowed: frozenset[str] | None = None
    affinity: str | None = None
    home: str | None = None


@dataclass(frozen=True)
class Policy:
    """unmovable: what becomes of a VM that cannot be moved, on a host to evacuate: fail, skip_host, shutdown or suspend.

    return_home: never, always (every VM ends at its home) or affinity (those with an affinity end there, where they fit);
    anti_affinity: hard (no VM is moved to a host with another of its group) or soft (avoided where that costs nothing);
    max_hosts_down: hosts upgraded at once, once the coordinator is; max_parallel_migrations: in the whole pool, None for no limit.
    """

    unmovable: str = "fail"
    return_home: str = "never"
    anti_affinity: str = "hard"
    max_hosts_down: int = 1
    max_parallel_migrations: int | None = None


@dataclass(frozen=True)
class Pool:
    """target: the version every host is to reach; only: the hosts to upgrade, None for all that are due."""

    hosts: tuple[Host, ...]
    vms: tuple[Vm, ...]
    coordinator: str
    target: Version
    only: frozenset[str] | None = None


class Action(t.NamedTuple):
    """op: migrate (vm, from source to host), upgrade (host), stop (vm, on host) or start (vm, on host)."""

    op: str
    host: str
    vm: str = ""
    source: str = ""


class Known(t.NamedTuple):
    """What is left of a plan that was made before. Moves are VMs and where they go; waves: hosts, and the moves before their upgrade."""

    waves: t.Sequence[tuple[t.Sequence[str], t.Sequence[tuple[str, str]]]]
    home: t.Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Bound:
    """What every valid plan needs at least. memory: MiB moved; moves; hole: MiB of memory that are owed to VMs too large for any hole."""

    memory: int
    moves: int
    hole: int = 0


@dataclass
class Plan:
    """actions: valid when run one by one in this order; stages says which may run at once.

    waves: hosts that are upgraded together, in order; skipped: hosts left out, with the reason; moved: MiB; bound: no plan moves less.
    away: VMs that were to be home, or on the host of their affinity, and are not in the end; breaches: VMs that are moved to a host with
    another of their group.
    """

    actions: list[Action]
    waves: list[list[str]]
    bound: Bound
    skipped: dict[str, str] = field(default_factory=dict)
    moved: int = 0
    moves: int = 0
    most_moved: int = 0
    breaches: int = 0
    away: list[str] = field(default_factory=list)
