# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What all methods have in common."""

from __future__ import annotations

import calendar
import re
import time
import typing as t
from dataclasses import dataclass, field, replace

from ... import hosts
from ...client import Session
from ...errors import ApiError, InvalidChange
from ...host_return import agent_time, boot_time, seconds
from ...plan import Operation, Plan
from ...refs import Objects, Record
from .. import journal, marks

REQUIRED, ALWAYS, NEVER = "required", "always", "never"

RESTART = "domzero.xen:installed"  # in host.other_config: when something was installed that needs a restart of the toolstack alone


@dataclass(frozen=True)
class Due:
    """Why a host is due, and what is done about it.

    evacuate: whether its VMs have to leave; reboot; restart: its toolstack alone; version: what it will be, "" if that is not known
    or stays the same; packages: what will be installed; install: False where only the reboot or restart is left to do; first: reboot or
    restart, where an earlier update has to be finished before anything can be installed.
    """

    why: str
    evacuate: bool
    reboot: bool
    version: str = ""
    packages: list[str] = field(default_factory=list)
    install: bool = True
    restart: bool = False
    first: str = ""


class Method:
    """name: the option's value; ordered: whether the coordinator must not be behind its members; installs: whether something is done
    on a host beside its reboot; tests: whether hosts can be asked before; patience: seconds one host may take.
    """

    name: t.ClassVar[str] = ""
    ordered: t.ClassVar[bool] = True
    installs: t.ClassVar[bool] = True
    tests: t.ClassVar[bool] = False
    patience: t.ClassVar[int] = 3600

    def __init__(self, options: Record, session: Session, objects: Objects, run: str = ""):
        self.options, self.session, self.objects, self.run = options, session, objects, run
        self.reboot = str(options.get("reboot") or REQUIRED)
        self.finished: set[str] = set()  # hosts this task is done with: for methods that cannot tell from the pool

    def due(self, refs: t.Iterable[str] | None = None) -> dict[str, Due]:
        """The live hosts (or those of refs that are live) that need it. Nothing is changed. Raises InvalidChange, ApiError."""
        asked = list(self.objects.all("host")) if refs is None else list(refs)
        live = [ref for ref in asked if hosts.is_live(self.objects, ref)]
        found = self.look(live) if live else {}
        wished = ((ref, self._as_wished(due)) for ref, due in found.items())
        return {ref: due for ref, due in wished if due.install or due.reboot or due.restart}

    def look(self, refs: t.Sequence[str]) -> dict[str, Due]:
        """As due, with a reboot where the method wants one."""
        raise NotImplementedError

    def _as_wished(self, due: Due) -> Due:
        if self.reboot == ALWAYS and due.install:
            return replace(due, reboot=True, restart=False, evacuate=True)
        if self.reboot == NEVER and due.reboot and due.first != "reboot":
            return replace(due, reboot=False, evacuate=due.evacuate and self.needs_empty(due))
        return due

    def needs_empty(self, due: Due) -> bool:
        """Whether it cannot be installed while VMs run, even without a reboot."""
        return False

    def prepare(self, plan: Plan) -> None:
        """What is to be done once, before hosts are looked at: a download, an upload."""

    def refused(self, operation: Operation, params: t.Sequence[t.Any], error: ApiError) -> t.Any:
        """A call of prepare or install was refused: what it would have answered, if that does not matter. Raises the error otherwise."""
        raise error

    def tidy(self, plan: Plan, done: t.Collection[str]) -> None:
        """What is not needed any more once the hosts done are finished."""

    def test(self, session: Session, ref: str, due: Due) -> None:
        """The host is asked whether it can be done. Nothing is changed. Raises InvalidChange."""

    def install(self, plan: Plan, ref: str, due: Due) -> None:
        """What is to be done on the host before its reboot or restart."""

    def answered(self, operation: Operation, answer: t.Any) -> None:
        """A call of install was answered. Raises XenError for an answer that is a failure."""

    def keeps_disabled(self, ref: str, due: Due | None) -> bool:
        """Whether the host cannot take guests when all is done, for want of a reboot."""
        return False

    def check(self, ref: str, due: Due) -> object:
        """After its reboot: True, or what is not as it should be."""
        return True

    def finish(self, plan: Plan, ref: str) -> None:
        """What is noted when all is done."""

    def label(self, ref: str) -> str:
        return hosts.name_of(self.objects, ref)

    def upgrade(self) -> str:
        """The id of the upgrade that is under way; "" without one."""
        note = journal.of_pool(hosts.pool_of(self.objects)[1])
        return note.id if note else ""

    def since(self) -> str:
        """When the upgrade that is under way began, as XenAPI writes times; "" without one."""
        note = journal.of_pool(hosts.pool_of(self.objects)[1])
        return note.since if note else ""

    def mark(self, plan: Plan, ref: str) -> None:
        """This upgrade has finished the host."""
        if upgrade := self.upgrade():
            self.note(plan, ref, marks.UPGRADED, upgrade)

    def note_restart(self, plan: Plan, ref: str) -> None:
        """Before something is installed that is in effect after a restart of the toolstack: xapi keeps no account of that."""
        self.note(plan, ref, RESTART, f"{server_time(self.session, ref):.0f}.")

    def restart_left(self, record: Record) -> Due | None:
        """Whether the toolstack has not been restarted since something was installed for it."""
        if seconds(record["other_config"].get(RESTART)) > max(agent_time(record), boot_time(record)):
            return Due("its toolstack was updated after its last start", False, False, install=False, restart=True)
        return None

    def note(self, plan: Plan, ref: str, key: str, value: str) -> None:
        """Write a key of a host's other_config. For a moment there is none, which must mean the same as the old value."""
        marks.write(plan, "host", ref, self.objects.get("host", ref), key, value, label=f"host {self.label(ref)!r}")


class Nothing(Method):
    """No host is due: what remains of an upgrade is to be finished."""

    name = "none"
    ordered = False

    def look(self, refs: t.Sequence[str]) -> dict[str, Due]:
        return {}


def epoch(text: str) -> float:
    """Seconds since 1970 of a time as XenAPI or people write it: 20261121T19:00:00Z, 2026-11-21 19:00. Raises InvalidChange."""
    digits = re.sub(r"[^0-9]", "", text.partition(".")[0])
    try:
        return float(calendar.timegm(time.strptime(digits.ljust(14, "0"), "%Y%m%d%H%M%S")))
    except ValueError:
        raise InvalidChange(f"{text!r} is no time.", hint="Write it in UTC, such as 2026-11-21T19:00:00Z.") from None


def server_time(session: Session, ref: str) -> float:
    """What a host's own clock says, as seconds since 1970."""
    return epoch(str(session.call("host.get_servertime", ref)))
