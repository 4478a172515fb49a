# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a task will do, as data: made once, shown in check mode, executed otherwise."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from .errors import XenError


@dataclass(frozen=True)
class Later:
    """The result of an operation of the same plan, for use in the ones after it."""

    index: int


@dataclass(frozen=True)
class Operation:
    """One changing call.

    what says in words what it does; slow: made as a task and waited for; disruptive: why it interrupts somebody
    ("" if it does not); on: the name of the host it must be sent to instead of the coordinator.
    """

    method: str
    params: tuple[t.Any, ...]
    what: str = ""
    slow: bool = False
    disruptive: str = ""
    on: str = ""


@dataclass(frozen=True)
class Wait:
    """A state to wait for between two operations; ready() is true, or tells what is missing. timeout in seconds."""

    what: str
    ready: t.Callable[[], object]
    timeout: float


class Runner(t.Protocol):
    """Who carries out the steps of a plan."""

    def call(self, operation: Operation, params: t.Sequence[t.Any]) -> t.Any: ...

    def wait(self, step: Wait) -> None: ...


@dataclass
class Plan:
    before: dict[str, t.Any]
    after: dict[str, t.Any]
    steps: list[Operation | Wait] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    facts: dict[str, t.Any] = field(default_factory=dict)  # told in the result beside the object
    silent: bool = False  # afterwards nobody is there to be asked: the result is what was planned

    @property
    def operations(self) -> list[Operation]:
        return [s for s in self.steps if isinstance(s, Operation)]

    @property
    def changed(self) -> bool:
        return bool(self.operations)

    @property
    def disruptions(self) -> list[str]:
        return [o.disruptive for o in self.operations if o.disruptive]

    def add(self, method: str, *params: t.Any, what: str = "", slow: bool = False, disruptive: str = "", on: str = "") -> Later:
        self.steps.append(Operation(method, params, what, slow, disruptive, on))
        return Later(len(self.steps) - 1)

    def wait(self, what: str, ready: t.Callable[[], object], *, timeout: float) -> None:
        self.steps.append(Wait(what, ready, timeout))

    def apply(self, runner: Runner) -> None:
        """Carry out the steps in order. An error tells which step it was (what) and what was done before it (done)."""
        results: list[t.Any] = []
        done: list[str] = []
        for step in self.steps:
            try:
                if isinstance(step, Wait):
                    runner.wait(step)
                    results.append(None)
                    continue
                results.append(runner.call(step, [_settle(p, results) for p in step.params]))
                done.append(step.method)
            except XenError as e:
                e.done = done
                if isinstance(step, Operation) and step.what:
                    e.message = f"Could not {step.what}: {e.message}"
                raise


def _settle(value: t.Any, results: list[t.Any]) -> t.Any:
    if isinstance(value, Later):
        return results[value.index]
    if isinstance(value, dict):
        return {k: _settle(v, results) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_settle(v, results) for v in value]
    return value
