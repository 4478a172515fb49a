# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A list of actions on VMs is carried out: as much at once as the limits let, none in the way of an earlier one.

An action is decided when its turn comes, from the VM as it is then. So whatever was interrupted, or done by somebody else meanwhile,
is seen, and running the same list again goes on where it stopped.
"""

from __future__ import annotations

import time
import typing as t
from dataclasses import dataclass, field

from .. import tasks
from ..client import Session
from ..errors import ApiError, Timeout, Untrusted, XenError
from ..mirror import Mirror
from ..plan import Operation, Plan
from ..reasons import name
from ..refs import Objects, Record
from .moves_room import Limits, Room
from .moves_steps import BUSY, STOPS, SUSPEND, Rules, Steps, Verdict, Wish, expected, is_done
from .moves_wait import Course, Courses, For, answer, made, rests

ATTEMPTS = 4  # looks at a VM whose calls had an unknown outcome
Row = dict[str, t.Any]


@dataclass
class Told:
    """What came of an action: the calls made, or to be made; planned: before; surprise: why the VM was left alone; error: what failed."""

    operations: list[str] = field(default_factory=list)
    planned: list[Operation] = field(default_factory=list)
    before: Record | None = None
    surprise: str = ""
    error: XenError | None = None


class Moves:
    """wishes: in an order that is valid one by one. predict() tells what carry_out() would do."""

    def __init__(self, session: Session, wishes: t.Sequence[Wish], rules: Rules, limits: Limits):
        self.session, self.wishes, self.rules, self.limits = session, wishes, rules, limits
        self.objects = Objects(session, Mirror(session))
        self.vms: dict[str, Record] = {}  # as they will be
        self.told = [Told() for _wish in wishes]
        self._todo: list[int] = []
        self._source: dict[int, str] = {}

    # looking -----------------------------------------------------------------------------------------------------------
    def predict(self, before: t.Mapping[str, Record] | None = None) -> None:
        """Every action from the VM as it is, or as the one before leaves it. before: VMs that will be otherwise than they are."""
        there = self.objects.all("VM")
        vms = {wish.vm: (before or {}).get(wish.vm) or expected(there[wish.vm]) for wish in self.wishes if wish.vm in there}
        self.vms, was = vms, {**(before or {}), **vms}
        steps, behind = Steps(self.objects, self.rules), self._behind(vms)
        for number, wish in enumerate(self.wishes):
            told = self.told[number]
            if wish.vm not in vms:
                told.surprise = f"VM {wish.label!r} is not there any more."
            elif number not in behind:
                self._source[number] = vms[wish.vm]["resident_on"]
                verdict = steps.verdict(wish, vms[wish.vm])
                self._note(told, verdict, vms[wish.vm])
                if not told.surprise and not told.error:
                    vms[wish.vm] = verdict.after
                    if told.operations or not rests(there[wish.vm]):
                        self._todo.append(number)
        self._foresee(was)

    def plan(self) -> Plan:
        """All calls that were predicted."""
        return Plan({}, {}, [operation for told in self.told for operation in told.planned])

    def _foresee(self, vms: t.Mapping[str, Record]) -> None:
        """Who will find no room."""
        room, waiting = self._room(), list(self._todo)
        room.foresee(vms)
        while begun := room.begin(waiting):
            waiting = [n for n in waiting if n not in begun]
            for number in begun:
                room.end(number, well=True)
        self._stuck(room, waiting)

    def _room(self) -> Room:
        idle = [n for n in self._todo if not self.told[n].planned]
        return Room(self.objects, self.wishes, self._source, idle, self.limits)

    def _behind(self, vms: t.Mapping[str, Record]) -> set[int]:
        """Actions that lie behind: of each VM those before the last one after which it would be as it is."""
        out: set[int] = set()
        for vm in vms:
            numbers = [n for n, wish in enumerate(self.wishes) if wish.vm == vm]
            done = [place for place, n in enumerate(numbers) if is_done(self.wishes[n], vms[vm])]
            out.update(numbers[: done[-1]] if done else [])
        return out

    @staticmethod
    def _note(told: Told, verdict: Verdict, vm: Record) -> None:
        told.before, told.surprise = vm, verdict.surprise
        told.planned = verdict.plan.operations
        told.operations = [o.method for o in told.planned]
        if verdict.reason:
            told.error = XenError(verdict.reason.text, hint=verdict.reason.remedy, code=verdict.reason.code)

    # carrying out ------------------------------------------------------------------------------------------------------
    def carry_out(self) -> None:
        """After predict(). What fails is told; raises only when the pool does not answer any more, or the run is told to end."""
        self._anew()
        courses, waiting, room = Courses(self.session), list(self._todo), self._room()
        try:
            while waiting or room.going:
                begun = room.begin(waiting)
                if not room.going:
                    return self._stuck(room, waiting)
                waiting = [n for n in waiting if n not in begun]
                ended = [n for n in begun if courses.begin(n, self._course(n))] or courses.proceed()
                for number in ended:
                    room.end(number, well=not (self.told[number].error or self.told[number].surprise))
        finally:
            courses.cancel()

    def _anew(self) -> None:
        """Read everything again; events of a coordinator that restarted do not continue those from before."""
        self.objects = Objects(self.session, Mirror(self.session))

    def _stuck(self, room: Room, waiting: t.Iterable[int]) -> None:
        for number in waiting:
            self.told[number].operations = []
            self.told[number].surprise = room.lacking(number, t.cast(Record, self.told[number].before))

    def _course(self, number: int) -> Course:
        """One action, looked at anew whenever the outcome of a call is not known."""
        wish, told = self.wishes[number], self.told[number]
        told.operations, told.surprise, until = [], "", time.monotonic() + self.rules.wait_timeout
        for attempt in range(ATTEMPTS):
            try:
                yield from self._at_rest(wish, until)
                yield from self._once(wish, told)
                return
            except Timeout as e:
                told.error = e
                return
            except Untrusted:
                raise
            except XenError as e:
                told.error = e
                if not isinstance(e, ApiError) or e.code in tasks.NOT_YET:
                    answer(self.session)
                    self._anew()
                elif attempt == ATTEMPTS - 1 or not self._again(wish, e):
                    return

    def _at_rest(self, wish: Wish, until: float) -> Course:
        """What is under way with the VM, such as what a run that was killed has left, ends first."""
        self.objects.forget()
        vm = self.objects.all("VM").get(wish.vm)
        if vm and not rests(vm):
            if wish.action in STOPS and wish.action != SUSPEND:
                until = min(until, time.monotonic() + self.rules.shutdown_timeout)
            try:
                yield For("vm", wish.vm, f"what is under way with {name(vm)}", until)
            except Timeout:
                if wish.action not in STOPS:
                    raise
            self.objects.forget()

    def _once(self, wish: Wish, told: Told) -> Course:
        vm = self.objects.all("VM").get(wish.vm)
        told.error = None
        if vm is None:
            told.surprise = f"VM {wish.label!r} is not there any more."
            return
        verdict = Steps(self.objects, self.rules).verdict(wish, vm)
        told.surprise = verdict.surprise
        if verdict.reason:
            told.error = XenError(verdict.reason.text, hint=verdict.reason.remedy, code=verdict.reason.code)
        if told.surprise or told.error:
            return
        for operation in verdict.plan.operations:
            yield from self._call(operation, told, name(vm))

    def _call(self, operation: Operation, told: Told, label: str) -> Course:
        told.operations.append(operation.method)
        try:
            if operation.slow:
                yield from made(self.session, operation, operation.params, time.monotonic() + operation.timeout, label)
            else:
                self.session.call(operation.method, *operation.params)
        except (ApiError, Timeout) as e:
            if not operation.instead:
                e.message = f"Could not {operation.what}: {self.objects.readable(e.message)}"
                raise
            harder = Operation(operation.instead, operation.params, operation.what, slow=True, timeout=self.rules.wait_timeout)
            yield from self._call(harder, told, label)

    def _again(self, wish: Wish, error: ApiError) -> bool:
        """After a refusal: whether to look again, since the VM is busy; or it is not what it was."""
        self.objects.forget()
        vm = self.objects.all("VM").get(wish.vm)
        if vm is None or is_done(wish, vm) or Steps(self.objects, self.rules).verdict(wish, vm).surprise:
            return True
        return error.code == BUSY
