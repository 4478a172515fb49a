# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Things that go wrong on demand."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from .errors import Fault


class Cut(ConnectionResetError):
    """The connection ends without an answer."""


@dataclass(eq=False)
class Trigger:
    """Fires at the n-th matching call from now on; ``method`` None stands for any changing call."""

    kind: str  # fail | cut_before | cut_after | slow
    method: str | None
    nth: int = 1
    error: list[str] = field(default_factory=list)
    seconds: float = 0.0
    seen: int = 0

    def hit(self, method: str, changing: bool) -> bool:
        """Counts the call; True at the n-th."""
        if changing if self.method is None else self.method in (method, method.removeprefix("Async.")):
            self.seen += 1
            return self.seen == self.nth
        return False


class Faults:
    """The faults that wait to happen. Methods count calls from the moment they are asked for."""

    def __init__(self) -> None:
        self.triggers: list[Trigger] = []
        self.absent: set[str] = set()  # machines that don't come back

    def fail(self, method: str, *, nth: int = 1, error: t.Sequence[str]) -> None:
        """The n-th call of a method fails with this code and parameters."""
        self.triggers.append(Trigger("fail", method, nth, list(error)))

    def slow(self, method: str, seconds: float, *, nth: int = 1) -> None:
        """The n-th call of a method takes that many virtual seconds more."""
        self.triggers.append(Trigger("slow", method, nth, seconds=seconds))

    def cut_before(self, method: str, *, nth: int = 1) -> None:
        """The connection ends at the n-th call of a method, which has no effect."""
        self.triggers.append(Trigger("cut_before", method, nth))

    def cut_after(self, method: str, *, nth: int = 1) -> None:
        """The connection ends at the n-th call of a method, after it took effect."""
        self.triggers.append(Trigger("cut_after", method, nth))

    def cut_before_change(self, nth: int) -> None:
        """Like cut_before, for the n-th changing call of any method."""
        self.triggers.append(Trigger("cut_before", None, nth))

    def cut_after_change(self, nth: int) -> None:
        """Like cut_after, for the n-th changing call of any method."""
        self.triggers.append(Trigger("cut_after", None, nth))

    def keep_down(self, machine: str) -> None:
        """The host does not come back from its next reboot or power-on."""
        self.absent.add(machine)

    def stays_down(self, machine: str) -> bool:
        """Whether that was asked for."""
        return machine in self.absent

    def clear(self) -> None:
        """Nothing goes wrong any more; hosts that stayed away may be powered on again."""
        self.triggers.clear()
        self.absent.clear()

    def strike(self, method: str, changing: bool) -> tuple[float, bool]:
        """What happens to this call: extra seconds, and whether the connection ends after it. Raises Fault or Cut."""
        seconds, cut = 0.0, False
        fired = [trigger for trigger in self.triggers if trigger.hit(method, changing)]
        self.triggers = [trigger for trigger in self.triggers if trigger not in fired]
        for trigger in fired:
            if trigger.kind == "fail":
                raise Fault(*trigger.error)
            if trigger.kind == "cut_before":
                raise Cut(f"{method} was cut off before it took effect")
            seconds += trigger.seconds
            cut = cut or trigger.kind == "cut_after"
        return seconds, cut
