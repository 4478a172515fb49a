# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An upgrade is begun, continued, paused, ended: the journal first, then what is set aside; given back before it is forgotten."""

from __future__ import annotations

import re
import socket
import typing as t
import uuid
from dataclasses import replace

from .. import hosts, tasks
from ..client import Session
from ..errors import ApiError, InvalidChange
from ..fields import Table
from ..plan import Operation, Plan
from ..refs import Record
from ..resource import Found, Resource
from . import aside, aside_discs, aside_left, journal, journal_life, marks
from .journal import GIVING_BACK, PAUSED, RESTING, Note

BEGUN, ENDED, ABORTED = "begun", "ended", "aborted"
SWITCHING = ("ha_enable", "ha_disable")  # of pool.current_operations
SWITCH_TASKS = ("pool.enable_ha", "pool.disable_ha")  # the pool is marked a moment after the task is there
SWITCHES = 600.0  # seconds that may take
ID = re.compile(r"[\w.:@-]{1,64}", re.ASCII)


class Upgrade(Resource):
    """The pool, as far as an upgrade holds it."""

    table = Table("pool", ())
    states = (BEGUN, PAUSED, ENDED, ABORTED)
    options = {
        "run": {"type": "str"},
        "method": {"type": "str"},
        "options": {"type": "dict"},
        "phase": {"type": "str"},
        "takeover_after": {"type": "float", "default": 90.0},
        "ha": {"type": "bool", "default": True},
        "auto_poweron": {"type": "bool", "default": True},
        "wlb": {"type": "bool", "default": True},
        "eject": {"type": "bool", "default": True},
    }

    def __init__(self, session: Session, params: Record):
        super().__init__(session, params)
        self.run = params.get("run") or str(uuid.uuid4())
        self._id = str(uuid.uuid4())[:8]
        self.stuck: dict[str, str] = {}  # drives whose disc was refused, and why
        if not ID.fullmatch(self.run):
            raise InvalidChange(f"run is {self.run[:80]!r}: it has 1 to 64 letters, digits and characters of _.:@-.")

    @classmethod
    def arguments(cls) -> dict[str, dict[str, t.Any]]:
        return {"state": {"type": "str", "choices": list(cls.states), "required": True}, **cls.options}

    @classmethod
    def key(cls) -> str:
        return "upgrade"

    def find(self) -> Found:
        return Found(*hosts.pool_of(self.objects))

    def observe(self, found: Found) -> dict[str, t.Any]:
        note = journal.of_pool(found.record)
        return {
            "begun": note is not None,
            "phase": note.phase if note else "",
            "method": note.method if note else "",
            **aside.observed(found.record),
            "discs": aside_discs.told(self.objects, aside_discs.ejected(self.objects)),
            "hosts_disabled": aside_left.names(self.objects, aside_left.disabled(self.objects)),
        }

    def result(self, found: Found | None, plan: Plan) -> dict[str, t.Any]:
        return dict(plan.after)

    def plan(self, found: Found | None) -> Plan:
        self._wait_for_ha()
        note = self._mine()
        found = self.find()
        plan = Plan(self.observe(found), {})
        plan.after = dict(plan.before)
        if self.params["state"] == BEGUN:
            self._begin(plan, found, note)
        else:
            self._give_back(plan, found, note)
        return plan

    def _wait_for_ha(self) -> None:
        """An earlier run may have died while it was turned on or off: what that comes to is waited for, in check mode too."""

        def ready() -> object:
            self.objects.forget()
            busy = sorted(set(hosts.pool_of(self.objects)[1]["current_operations"].values()) & set(SWITCHING))
            busy += [row["name_label"] for row in self.objects.all("task").values() if tasks.is_of(row, *SWITCH_TASKS)]
            return f"{busy[0]} goes on" if busy else True

        tasks.wait_until("high availability to be on or off", ready, timeout=SWITCHES)

    def call(self, operation: Operation, params: t.Sequence[t.Any]) -> t.Any:
        """A disc that is refused keeps nothing else from being given back: its note stays."""
        if operation.method == "VBD.remove_from_other_config" and params[0] in self.stuck:
            return None
        try:
            return super().call(operation, params)
        except ApiError as e:
            if operation.method == "VBD.insert":
                self.stuck[params[0]] = f"Could not {operation.what}: {self.objects.readable(str(e))}"
                return None
            if e.code == "MAP_DUPLICATE_KEY" and str(params[1]).startswith(journal.PREFIX):
                raise InvalidChange("Another run began to upgrade this pool at the same moment.", hint="Leave it to that one.") from e
            raise

    # whose it is -----------------------------------------------------------------
    def _mine(self) -> Note | None:
        """The journal: ours, or that of a run that does not live any more. Raises InvalidChange for one that does."""
        note = journal.read(self.objects)
        if note is None or note.run == self.run:
            return note
        if self.params["state"] != BEGUN:
            journal.must_own(self.objects, self.params.get("run"))
        if not self.params.get("run") and note.session and note.session == self._session():
            self.run = note.run
            return note
        if journal_life.lives(self.objects, note, self.params["takeover_after"]):
            raise InvalidChange(
                f"{note.by} is upgrading this pool, since {note.since} (run {note.run!r}, phase {note.phase!r}).",
                hint="Wait until that has ended. If it will never go on, set takeover_after: 0.",
            )
        self.objects.forget()
        return journal.read(self.objects)

    def _session(self) -> str:
        """The uuid of the session that was handed over; "" for one that ends with this task."""
        handed = self.params.get("session")
        if not handed or self.session.handle != handed["ref"]:
            return ""
        return str(self.session.call("session.get_uuid", self.session.handle))

    def _by(self) -> str:
        return f"{self.session.call('session.get_auth_user_name', self.session.handle) or 'root'}@{socket.gethostname()}"

    def _taken(self, note: Note | None) -> Note:
        """The journal with what this task says: a new one, or the one there is under our name."""
        if note is None:
            disabled = sorted(self.objects.get("host", ref)["uuid"] for ref in aside_left.disabled(self.objects))
            note = Note("", self._id, since=journal_life.now(self.objects), disabled=disabled)
        session = self._session()
        if note.run != self.run or (session and session != note.session):
            note = replace(note, run=self.run, session=session, by=self._by())
        given = {key: self.params[key] for key in ("method", "options", "phase") if self.params.get(key) is not None}
        return replace(note, **given)

    # the states ------------------------------------------------------------------
    def _begin(self, plan: Plan, found: Found, note: Note | None) -> None:
        new = self._taken(note)
        if self.params.get("phase") is None and new.phase in RESTING:
            new = replace(new, phase=BEGUN)
        wish = {kind: bool(self.params[kind]) for kind in aside.KINDS}
        new = replace(new, aside=aside.wanted(self.objects, new.aside, wish))
        journal.plan_write(plan, found.ref, found.record, new)
        aside.plan_off(plan, self.objects, new.aside)
        discs = {disc.ref: disc for disc in aside_discs.ejected(self.objects)}
        if self.params["eject"]:
            discs.update({disc.ref: disc for disc in aside_discs.plan_out(plan, self.objects)})
        told = aside_discs.told(self.objects, (disc for disc in aside_discs.drives(self.objects) if disc.ref in discs))
        plan.after.update(begun=True, phase=new.phase, method=new.method, **aside.switched(new.aside, on=False), discs=told)
        self._tell(plan, new, resumed=note is not None)

    def _give_back(self, plan: Plan, found: Found, note: Note | None) -> None:
        if note and note.run != self.run:
            note = self._taken(note)  # what another one left: nobody else is to go on with it meanwhile
            journal.plan_write(plan, found.ref, found.record, note)
        kept, why = aside_discs.plan_back(plan, self.objects)
        plan.after["discs"] = aside_discs.told(self.objects, kept)
        if note:
            disabled = self._enable(plan, note, why)
            ha = aside.plan_on(plan, self.objects, note.aside, disabled)
            plan.after.update(aside.switched({kind: 1 for kind in note.aside if kind != "ha" or not ha}, on=True))
            note = self._put_away(plan, found, note, ha)
            why[:0] = [ha] if ha else []
        self._tell(plan, note, still=why)

    def _enable(self, plan: Plan, note: Note, why: list[str]) -> list[str]:
        """Hosts take guests again that did when it began; the names of those that do not."""
        stay, back = [], []
        for ref in aside_left.disabled(self.objects):
            if self.objects.get("host", ref)["uuid"] in note.disabled:
                back.append(hosts.name_of(self.objects, ref))
            elif hosts.is_starting(self.objects, ref):
                stay.append(hosts.name_of(self.objects, ref))
                why.append(f"Host {stay[-1]!r} is disabled: it is still starting. Run the task again when it has.")
            else:
                plan.add("host.enable", ref, what=f"enable host {hosts.name_of(self.objects, ref)!r}")
        plan.after["hosts_disabled"] = sorted([*stay, *back])
        return stay

    def _put_away(self, plan: Plan, found: Found, note: Note, ha: str) -> Note:
        """The journal goes, unless something is aside still or the upgrade is to go on later."""
        paused = self.params["state"] == PAUSED
        left = replace(note, aside={"ha": note.aside["ha"]} if ha else {}, phase=PAUSED if paused else GIVING_BACK)
        record = {**found.record, "other_config": journal.written(plan, found.record)}
        if ha or paused:
            journal.plan_write(plan, found.ref, record, left)
            plan.after.update(phase=left.phase)
        else:
            for ref, host in self.objects.all("host").items():
                marks.take_off(plan, "host", ref, host, marks.UPGRADED, label=f"host {hosts.name_of(self.objects, ref)!r}")
            aside_left.plan_forget(plan, self.objects, homes=self.params["state"] == ENDED)
            journal.plan_removal(plan, found.ref, record)
            plan.after.update(begun=False, phase="", method="")
        return left

    def _tell(self, plan: Plan, note: Note | None, *, resumed: bool = False, still: t.Sequence[str] = ()) -> None:
        discs = {"discs": plan.after["discs"]} if plan.after["discs"] else {}
        plan.facts = {
            "run": note.run if note else "",
            "id": note.id if note else "",
            "since": note.since if note else "",
            "resumed": resumed,
            "aside": {**(note.aside if note else {}), **discs},
            "still_aside": list(still),
            "undone": aside_left.undone(self.objects) if self.params["state"] != BEGUN else [],
        }


def outcome(result: dict[str, t.Any], state: str, stuck: t.Iterable[str] = ()) -> dict[str, t.Any]:
    """A task that ends an upgrade fails where it could not turn high availability on. stuck: why discs were refused."""
    result["still_aside"] += stuck
    if state in (ENDED, ABORTED) and "ha" in result["aside"]:
        return {**result, "failed": True, "msg": " ".join(result["still_aside"])}
    return result
