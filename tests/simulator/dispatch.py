# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One call from its name to its value or fault, in the order xapi looks at it (xen-api: ocaml/xapi/server_helpers.ml, api_server.ml)."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field

from . import decode, host_plugins, implicit, sessions, tasks
from .behaviours import BEHAVIOURS
from .errors import Fault, NotSimulated
from .faults import Cut, Strike
from .modeltypes import Type
from .schema import MessageType

if t.TYPE_CHECKING:
    from .database import Database
    from .world import Machine, Pool, World

_READING = re.compile(r"(session|event|task)\.|SR\.probe|\w+\.(get_|assert_|compute_|list_|check_|precheck|retrieve_)")
PLUGIN = "host.call_plugin"
__all__ = ["Call", "Cut", "Outcome", "dispatch", "run"]


@dataclass
class Call:
    """What a behaviour gets first."""

    world: World
    machine: Machine
    session: str
    method: str  # without Async.
    task: str | None = None
    params: list[t.Any] = field(default_factory=list)

    @property
    def pool(self) -> Pool:
        """The pool of the machine that was asked, at this moment."""
        return self.machine.pool

    @property
    def db(self) -> Database:
        """That pool's objects."""
        return self.machine.pool.db

    def progress(self, fraction: float) -> None:
        """How far the task is; raises TASK_CANCELLED [task] if somebody cancelled it."""
        tasks.progress(self, fraction)

    def sleep(self, seconds: float) -> None:
        """Virtual seconds pass, others go on meanwhile; raises TASK_CANCELLED [task] if somebody cancelled it."""
        self.world.sleep(seconds)
        tasks.check_cancelled(self)

    def call(self, method: str, *params: t.Any) -> t.Any:
        """Another message in the same session and task; parameters are native values."""
        message = find(self.world, method)
        return _behave(Call(self.world, self.machine, self.session, method, self.task, list(params)), message, list(params))


@dataclass(frozen=True)
class Outcome:
    """A value with its type, as the wire formats need it."""

    value: t.Any
    type: Type


def is_changing(method: str, arguments: t.Sequence[t.Any] = ()) -> bool:
    """Whether a call belongs into the log of changes (sessions, events, tasks, reads, probes and assertions do not)."""
    asked = tuple(arguments[1:3])  # plugin and function
    return not _READING.match(method) and not (method == PLUGIN and asked in host_plugins.READING)


def find(world: World, method: str) -> MessageType:
    """The message of that name in this release; class and message may be joined by an underscore. Raises MESSAGE_METHOD_UNKNOWN."""
    cls, dot, name = method.partition(".")
    message = world.schema.message(cls, name)
    if message is None and not dot:
        candidates = (c for c in world.schema.classes if method.startswith(f"{c}_"))
        message = next((m for c in candidates if (m := world.schema.message(c, method[len(c) + 1 :]))), None)
    if message is None:
        raise Fault("MESSAGE_METHOD_UNKNOWN", method)
    return message


def _arguments(world: World, message: MessageType, params: list[t.Any]) -> tuple[str, list[t.Any]]:
    """Session and decoded parameters; missing optional ones get their default."""
    offset = 1 if message.takes_session else 0
    given = len(params) - offset
    if message.internal and message.method not in BEHAVIOURS:
        return (decode.decode(Type("ref"), params[0], world.schema) if params else ""), params[1:]
    if not message.mandatory <= given <= len(message.params) and not message.internal:
        raise Fault("MESSAGE_PARAMETER_COUNT_MISMATCH", message.method, str(message.mandatory), str(given))
    session = decode.decode(Type("ref"), params[0], world.schema) if offset and params else ""
    types = [p.type for p in message.params]
    values = [decode.decode(type_, v, world.schema) for type_, v in zip(types, params[offset:])] if types else params[offset:]
    return session, values + [_default(p.default) for p in message.params[len(values) :]]


def _default(value: t.Any) -> t.Any:
    return value.copy() if isinstance(value, (list, dict)) else value


def _behave(call: Call, message: MessageType, arguments: list[t.Any]) -> t.Any:
    """Runs the behaviour, or what follows from the fields."""
    behaviour = BEHAVIOURS.get(message.method)
    if behaviour is None:
        if message.internal:
            raise Fault("PERMISSION_DENIED", "")
        if message.removed is not None and message.removed <= call.world.schema.release and not message.implicit:
            raise Fault("MESSAGE_REMOVED")
        behaviour = implicit.handler(message)
    if behaviour is None:
        raise NotSimulated(message.method)
    try:
        value = behaviour(call, *arguments)
    except NotSimulated as e:
        raise e.as_fault() from e
    return "" if value is None else value


def _entry(call: Call, message: MessageType, arguments: list[t.Any]) -> dict[str, t.Any]:
    return {"method": message.method, "host": call.machine.name, "params": arguments}


def _perform(call: Call, message: MessageType, arguments: list[t.Any], strike: Strike) -> t.Any:
    """Behaviour with faults, log and saved state around it; the lock is held."""
    entry = _entry(call, message, arguments)
    try:
        if strike.seconds:
            call.sleep(strike.seconds)
        if strike.fault:
            raise strike.fault
        value = entry["result"] = _behave(call, message, arguments)
    except NotSimulated as e:
        entry["error"] = e.as_fault().description
        raise e.as_fault() from e
    except Fault as e:
        entry["error"] = e.description
        raise
    finally:
        if is_changing(message.method, arguments):
            call.world.record_call(entry)
    return value


def _strike(call: Call, message: MessageType, arguments: list[t.Any], method: str) -> Strike:
    """What faults do to the call. Raises Cut when it is not to begin at all, which the log tells."""
    changing = is_changing(message.method, arguments)
    try:
        return call.world.faults.strike(f"{method}:{arguments[2]}" if message.method == PLUGIN else method, changing)
    except Cut:
        if changing:
            call.world.record_call({**_entry(call, message, arguments), "error": ["CONNECTION_CUT"]})
        raise


def _prepare(machine: Machine, method: str, params: list[t.Any]) -> tuple[Call, MessageType, list[t.Any]]:
    world = machine.world
    if machine.power != "on":
        raise ConnectionRefusedError(f"{machine.name} is {machine.power}")
    name = method.removeprefix("Async.")
    if machine.emergency and name not in world.schema.emergency:
        raise machine.trouble
    try:
        message = find(world, name)
    except Fault:
        raise Fault("MESSAGE_METHOD_UNKNOWN", method) from None
    session, arguments = _arguments(world, message, params)
    if message.takes_session:
        sessions.check(machine, session, message)
    return Call(world, machine, session, message.method, None, params), message, arguments


def run(machine: Machine, method: str, params: t.Sequence[t.Any]) -> Outcome:
    """The value with its type. Raises Fault, or Cut when the connection is to end without an answer."""
    world = machine.world
    with world.lock:
        call, message, arguments = _prepare(machine, method, list(params))
        strike = _strike(call, message, arguments, method)
        if not method.startswith("Async."):
            outcome, worker = Outcome(_perform(call, message, arguments, strike), message.result), None
        elif not message.asynchronous:
            raise Fault("Fault", f"No async mode for this operation (rpc: {method})")
        else:
            ref, worker = tasks.start(call, lambda: _perform(call, message, arguments, strike), message.result)
            outcome = Outcome(ref, Type("ref", "task"))
    if strike.cut:
        if worker:
            worker.join()
        raise Cut(f"{method} was cut off after it took effect")
    return outcome


def dispatch(machine: Machine, method: str, params: t.Sequence[t.Any]) -> t.Any:
    """The native value of a call to a machine; ``params`` starts with the session. Raises Fault."""
    return run(machine, method, params).value
