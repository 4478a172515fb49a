# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Any message of the data model with any arguments of the right types is answered or refused; the simulator itself never breaks."""

from __future__ import annotations

import contextlib
import random
import typing as t

import pytest

from ansible_collections.domzero.xen.tests.simulator.errors import Fault
from ansible_collections.domzero.xen.tests.simulator.modeltypes import NULL, Type
from ansible_collections.domzero.xen.tests.simulator.schema import MessageType

from .hosting import Hosting, hosting

# what ends the session or the pool that is asked, or waits for something that does not come
LEFT_OUT = {"session", "event"}
POOL_ENDS = {
    "host.shutdown", "host.reboot", "host.shutdown_agent", "host.restart_agent", "host.power_on", "host.destroy", "pool.eject", "pool.join",
    "pool.join_force", "pool.designate_new_master", "pool.emergency_transition_to_master", "PIF.db_introduce", "VM.import",
}  # fmt: skip
TEXTS = ("", "x", "0", "1", "a b", "\xe9", "true", "10.0.0.1", "{}", "hvm", "user", "xvda", "<x/>", "00000000-0000-0000-0000-000000000000")
NUMBERS = (0, 1, -1, 5, 1 << 20, 1 << 30, 1 << 33)


class Guesser:
    """Arguments by their types, mostly of objects there are."""

    def __init__(self, pool: Hosting, seed: int) -> None:
        self.pool, self.random = pool, random.Random(seed)
        self.schema = pool.machine.world.schema
        self.classes = sorted(name for name, cls in self.schema.classes.items() if cls.messages and name not in LEFT_OUT)

    def message(self) -> MessageType:
        """What has a behaviour of its own is asked four times as often as what follows from fields."""
        cls = self.schema.classes[self.random.choice(self.classes)]
        own = [message for message in cls.messages.values() if not message.implicit and not message.internal]
        every = own if own and self.random.random() < 0.8 else list(cls.messages.values())
        return self.random.choice(every)

    def value(self, type_: Type) -> t.Any:
        """Something of a type."""
        pick = self.random.choice
        if type_.kind == "ref":
            refs = list(self.pool.db.all(type_.name)) if type_.name in self.schema.classes else []
            return pick(refs) if refs and self.random.random() < 0.9 else pick([NULL, "OpaqueRef:nope", ""])
        if type_.kind == "record":
            return self.record(type_.name)
        if type_.kind == "set":
            return [self.value(type_.items[0]) for _n in range(self.random.randint(0, 2))]
        if type_.kind == "map":
            return {self.value(type_.items[0]): self.value(type_.items[1]) for _n in range(self.random.randint(0, 2))}
        if type_.kind == "option":
            return pick([None, self.value(type_.items[0])])
        if type_.kind == "enum":
            return pick(list(self.schema.enums[type_.name]))
        scalars: dict[str, t.Sequence[t.Any]] = {
            "int": NUMBERS, "float": (0.0, 1.0, -1.0, 1e9), "bool": (True, False), "datetime": ("20260101T00:00:00Z",)
        }  # fmt: skip
        return pick(list(scalars.get(type_.kind, TEXTS)))

    def record(self, cls: str) -> dict[str, t.Any]:
        """Of an object there is, or made up."""
        there = list(self.pool.db.all(cls).values())
        if there and self.random.random() < 0.5:
            return dict(self.random.choice(there))
        return {name: self.value(field.type) for name, field in self.schema.classes[cls].fields.items() if self.random.random() < 0.9}


def furnished() -> Hosting:
    pool = hosting(2)
    vm = pool.running("runs", disk=True)
    pool.drive(vm)
    pool.vif(vm)
    pool("VM.snapshot", vm, "snapshot")
    pool("VTPM.create", pool.vm("halted", disk=True), False)
    pool("VM_appliance.create", {"name_label": "appliance"})
    pool("VMSS.create", {"name_label": "schedule", "type": "snapshot", "frequency": "daily", "schedule": {}})
    pool("VM_group.create", {"name_label": "group"})
    pool("task.create", "task", "")
    pool.machine.world.watch = False  # fields that are set at will break what holds otherwise
    return pool


def ask(seed: int, calls: int) -> None:
    guesser = Guesser(furnished(), seed)
    for _n in range(calls):
        message = guesser.message()
        if message.method in POOL_ENDS:
            continue
        arguments = [guesser.value(param.type) for param in message.params]
        with contextlib.suppress(Fault):
            guesser.pool(message.method, *arguments)
    guesser.pool.machine.world.stop()


@pytest.mark.parametrize("seed", range(4))
def test_whatever_is_asked_is_answered_or_refused(seed: int) -> None:
    ask(seed, 600)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 130))
def test_whatever_is_asked_for_long_is_answered_or_refused(seed: int) -> None:
    ask(seed, 6000)
