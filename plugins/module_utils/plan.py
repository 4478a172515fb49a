# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a task will do, as data: made once, shown in check mode, executed otherwise."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field, replace

from .errors import ApiError, Timeout, XenError


@dataclass(frozen=True)
class Later:
    """The result of an operation of the same plan, for use in the ones after it."""

    index: int


# a reference: known already, or to come
Handle: t.TypeAlias = t.Union[str, Later]  # noqa: UP007 -- evaluated by Python 3.9 too


@dataclass(frozen=True)
class Operation:
    """One changing call.

    what says in words what it does; slow: made as a task and waited for; disruptive: why it interrupts somebody
    ("" if it does not); on: the name of the host it must be sent to instead of the coordinator; timeout: seconds a slow one
    may take (0: as long as the task's wait_timeout); instead: the method that is called with the same parameters when this
    one is refused or not done in time; run: what carries it out where it is more than a call (an upload).
    """

    method: str
    params: tuple[t.Any, ...]
    what: str = ""
    slow: bool = False
    disruptive: str = ""
    on: str = ""
    timeout: float = 0.0
    instead: str = ""
    run: t.Callable[..., t.Any] | None = None


@dataclass(frozen=True)
class Wait:
    """A state to wait for between two operations; ready(*params) is true, or tells what is missing. timeout in seconds."""

    what: str
    ready: t.Callable[..., object]
    timeout: float
    params: tuple[t.Any, ...] = ()


@dataclass(frozen=True)
class Find:
    """The one object of a class with these values, which an operation before made beside its result; take: the field wanted of it."""

    cls: str
    where: dict[str, t.Any]
    take: str


class Runner(t.Protocol):
    """Who carries out the steps of a plan."""

    def call(self, operation: Operation, params: t.Sequence[t.Any]) -> t.Any: ...

    def wait(self, step: Wait, params: t.Sequence[t.Any]) -> None: ...

    def look_up(self, step: Find, where: dict[str, t.Any]) -> t.Any: ...


@dataclass
class Plan:
    before: dict[str, t.Any]
    after: dict[str, t.Any]
    steps: list[Operation | Wait | Find] = field(default_factory=list)
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

    def add(self, method: str, *params: t.Any, **more: t.Any) -> Later:
        """One call; more: the other fields of Operation."""
        self.steps.append(Operation(method, params, **more))
        return Later(len(self.steps) - 1)

    def wait(self, what: str, ready: t.Callable[..., object], *params: t.Any, timeout: float) -> None:
        self.steps.append(Wait(what, ready, timeout, params))

    def find(self, cls: str, take: str = "", **where: t.Any) -> Later:
        """The reference (or the field take) of the one object with these values."""
        self.steps.append(Find(cls, where, take))
        return Later(len(self.steps) - 1)

    def apply(self, runner: Runner) -> None:
        """Carry out the steps in order. An error tells which step it was (what) and what was done before it (done)."""
        results: list[t.Any] = []
        done: list[str] = []
        for step in self.steps:
            try:
                results.append(_carry_out(step, runner, results))
            except XenError as e:
                e.done = done
                if isinstance(step, Operation) and step.what:
                    e.message = f"Could not {step.what}: {e.message}"
                raise
            if isinstance(step, Operation):
                done.append(step.method)


def _carry_out(step: Operation | Wait | Find, runner: Runner, results: list[t.Any]) -> t.Any:
    if isinstance(step, Wait):
        return runner.wait(step, _settle(step.params, results))
    if isinstance(step, Find):
        return runner.look_up(step, _settle(step.where, results))
    params = _settle(step.params, results)
    try:
        return runner.call(step, params)
    except (ApiError, Timeout):
        if not step.instead:
            raise
        return runner.call(replace(step, method=step.instead, instead="", timeout=0.0), params)


def _settle(value: t.Any, results: list[t.Any]) -> t.Any:
    if isinstance(value, Later):
        return results[value.index]
    if isinstance(value, dict):
        return {k: _settle(v, results) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_settle(v, results) for v in value]
    return value
