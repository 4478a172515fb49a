# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""VMs that belong to one object at a time: to an appliance, a group, a schedule. The VM tells which one it is."""

from __future__ import annotations

import typing as t

from .errors import ApiError, InvalidChange
from .plan import Later, Plan
from .refs import NULL, Objects, Record
from .vms import Vms
from .wiring import quoted

UNKNOWN = ("MESSAGE_METHOD_UNKNOWN", "MESSAGE_REMOVED", "NOT_IMPLEMENTED")


class Members:
    """cls: XenAPI's class of the owner; field: the VM's, a reference or a set of them; word: the owner as people say it."""

    def __init__(self, objects: Objects, cls: str, field: str, word: str):
        self.objects, self.cls, self.field, self.word = objects, cls, field, word
        self.vms = Vms(objects)

    def owners(self, since: str) -> dict[str, Record]:
        """All of the class. Raises InvalidChange where the release does not have it; since: which ones do."""
        self.vms.forget()
        try:
            return self.objects.all(self.cls)
        except ApiError as e:
            if e.code not in UNKNOWN:
                raise
            raise InvalidChange(f"The release of this host knows no {self.word}s.", hint=f"They came with {since}.", code=e.code) from e

    def of(self, record: Record) -> list[str]:
        """The VMs of an owner, sorted; templates and what is gone left out."""
        guests = self.vms.all()
        return self.vms.labels(ref for ref in record["VMs"] if ref in guests)

    def wanted(self, texts: t.Iterable[str]) -> list[str]:
        """The same VMs as they are told. Raises NotFound, Ambiguous."""
        return sorted({self.vms.label(self.vms.resolve(text)) for text in texts})

    def owner_of(self, vm: str) -> str:
        held = self.objects.get("VM", vm).get(self.field, NULL)
        refs = held if isinstance(held, list) else [held]
        return next((ref for ref in refs if ref in self.objects.all(self.cls)), NULL)

    def plan_leaving(self, plan: Plan, before: t.Iterable[str], after: t.Iterable[str], label: str) -> None:
        for vm in sorted(set(before) - set(after)):
            self._set(plan, vm, None, f"take VM {vm!r} out of {self.word} {label!r}")

    def plan_joining(self, plan: Plan, ref: str | Later, joining: t.Iterable[str], label: str, *, take_over: bool) -> None:
        """Raises InvalidChange for VMs that are another one's, unless they may be taken from it."""
        news = sorted(set(joining))
        theirs = {vm: owner for vm in news if (owner := self.owner_of(self.vms.resolve(vm))) not in (NULL, ref)}
        if theirs and not take_over:
            told = quoted(f"{vm} ({self.objects.label(self.cls, owner)})" for vm, owner in theirs.items())
            raise InvalidChange(
                f"These VMs are in another {self.word} already: {told}.", hint="Take them out there first, or set take_over: true."
            )
        for vm in news:
            self._set(plan, vm, ref, f"put VM {vm!r} into {self.word} {label!r}")

    def _set(self, plan: Plan, vm: str, ref: str | Later | None, what: str) -> None:
        many = self.field == "groups"
        value: t.Any = ([ref] if ref else []) if many else (ref or NULL)
        plan.add(f"VM.set_{self.field}", self.vms.resolve(vm), value, what=what)
