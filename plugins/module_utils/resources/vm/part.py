# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One aspect of a VM (its memory, its disks, ...), and the VM as a plan sees it."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ...plan import Handle, Plan
from ...refs import Objects, Record

if t.TYPE_CHECKING:
    from . import Vm

PLACE = {"VBD": "userdevice", "VIF": "device"}  # what tells a VM's devices apart


@dataclass
class Subject:
    """The VM of a plan: one that is there, or one that the plan makes.

    ref: its reference, or the step that makes it; record: as it is, or as the new one will be; vbds, vifs: its devices by
    reference, a new one's are those of its source; new: the plan makes it; source: what it is made from, also where an
    interrupted run had made it already and this one goes on; full: its disks are full copies, in the SR sr ("": each where its
    source is); at: the power state it is in while it is changed.
    """

    ref: Handle
    record: Record
    vbds: dict[str, Record]
    vifs: dict[str, Record]
    new: bool = False
    source: Record | None = None
    full: bool = False
    sr: str = ""
    at: str = "Halted"

    @property
    def label(self) -> str:
        return str(self.record["name_label"])

    @property
    def making(self) -> bool:
        """Whether it is not whole yet."""
        return self.source is not None

    def device(self, plan: Plan, cls: str, ref: str, take: str = "") -> Handle:
        """The reference of one of its VBDs or VIFs, or the field take of it; a new VM's are found when they are there."""
        record = (self.vbds if cls == "VBD" else self.vifs)[ref]
        if not self.new:
            return t.cast(str, record[take]) if take else ref
        return plan.find(cls, take, VM=self.ref, **{PLACE[cls]: record[PLACE[cls]]})


class Part:
    """Options that belong together. What it looks at is Subject.record and the pool's records, never the pool itself."""

    options: t.ClassVar[dict[str, dict[str, t.Any]]] = {}

    def __init__(self, vm: Vm):
        self.vm, self.params = vm, vm.params

    @property
    def objects(self) -> Objects:
        return self.vm.objects

    @property
    def label(self) -> str:
        return self.vm.label

    def observe(self, subject: Subject) -> dict[str, t.Any]:
        """The VM in the words of the options. Handed back to the module it changes nothing."""
        raise NotImplementedError

    def desire(self, have: t.Mapping[str, t.Any], subject: Subject) -> dict[str, t.Any]:
        """The same with what the task wants laid over it; an option left out (None) stays. Raises InvalidChange for bad input."""
        raise NotImplementedError

    def needs_halt(self, have: t.Mapping[str, t.Any], want: t.Mapping[str, t.Any], subject: Subject) -> list[str]:
        """What can only be done while the VM is halted, in words that follow "VM x has to be halted to ..."."""
        return []

    def change(self, plan: Plan, subject: Subject) -> None:
        """The calls from plan.before to plan.after, in the power state subject.at. Refusals (InvalidChange) come before any call."""

    def ready(self, plan: Plan, subject: Subject) -> None:
        """What follows once the VM has the power state that is wanted."""

    def remove(self, plan: Plan, subject: Subject) -> None:
        """What goes before the VM does. It is halted by then."""

    def facts(self, subject: Subject) -> dict[str, t.Any]:
        """What the info module tells beside the options: read only."""
        return {}
