# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which hosts are in the pool: those a task names are looked at, joined with all obstacles told at once, and waited for."""

from __future__ import annotations

import typing as t
from collections import Counter
from dataclasses import dataclass, field

from ... import hosts, tasks
from ...client import Session
from ...errors import ConnectionFailed, InvalidChange, OutcomeUnknown, Untrusted, XenError
from ...plan import Plan
from ...refs import Objects, Record
from ...transport import Endpoint
from . import cpu_features
from .join_rules import Reason, reasons
from .side import Side

TRUST = ("validate_certs", "ca_file", "fingerprint")
JOINS = ("pool.join", "pool.join_force")


@dataclass
class Candidate:
    """A host that the task wants in the pool and that is not in it."""

    label: str
    address: str
    endpoint: Endpoint
    login: tuple[str, str]
    force: bool
    host: Record = field(default_factory=dict)  # as the host itself tells
    srs: list[str] = field(default_factory=list)  # names of those it brings along
    reasons: list[Reason] = field(default_factory=list)
    forced: bool = False
    under_way: bool = False  # a join is running on it

    def told(self) -> dict[str, t.Any]:
        return {"host": self.label, "address": self.address, "forced": self.forced, "reasons": [r.told() for r in self.reasons]}

    def open(self) -> tuple[Session, str]:
        """A session on the host, or the address of the coordinator it is a member of. Raises XenError naming the host."""
        session = Session(self.endpoint)
        try:
            return session, session.log_in_here(*self.login)
        except XenError as e:
            session.log_out()
            e.message = f"Host {self.label!r} ({self.endpoint.url}): {e.message}"
            raise


def observed(objects: Objects) -> list[dict[str, str]]:
    """All hosts but the coordinator."""
    return sorted_members(row_of(objects.get("host", ref)) for ref in hosts.all_but_one(objects, hosts.coordinator(objects)))


def sorted_members(rows: t.Iterable[dict[str, str]]) -> list[dict[str, str]]:
    return sorted(rows, key=lambda row: (row["name"], row["uuid"]))


def without(uuids: t.Collection[str], rows: t.Iterable[dict[str, str]]) -> list[dict[str, str]]:
    return sorted_members({row["uuid"]: row for row in rows if row["uuid"] not in uuids}.values())


def row_of(host: Record) -> dict[str, str]:
    return {"name": host["name_label"], "address": host["address"], "uuid": host["uuid"]}


class Joining:
    """The hosts a task wants in the pool, looked at once: self.candidates are to be joined, self.starting only waited for."""

    def __init__(self, session: Session, objects: Objects, params: Record, *, ha_goes: bool):
        self.session, self.objects, self.params, self.ha_goes = session, objects, params, ha_goes
        self.candidates: list[Candidate] = []
        self.starting: list[str] = []
        self.mentioned: set[str] = set()  # hosts of the pool that the task names
        entries = params.get("members") or []
        self._refuse_twice(entries)
        for entry in entries:
            self._look(entry)

    @property
    def rows(self) -> list[dict[str, str]]:
        """The new members as they will be observed."""
        return [row_of(candidate.host) for candidate in self.candidates]

    # looking --------------------------------------------------------------------
    def _refuse_twice(self, entries: t.Sequence[Record]) -> None:
        places = Counter((e := Endpoint.parse(entry["address"])).host + f":{e.port}" for entry in entries)
        if twice := sorted(place for place, count in places.items() if count > 1):
            raise InvalidChange(f"members names {', '.join(twice)} more than once.")

    def _look(self, entry: Record) -> None:
        ref = self._known(entry)
        if ref:
            self.mentioned.add(ref)
            self._refuse_own_address(entry, ref)
            if not hosts.never_seen(self.objects, ref):
                self.starting += [ref] if hosts.is_starting(self.objects, ref) else []
                return
        candidate = self._candidate(entry)
        try:
            session, member_of = candidate.open()
            try:
                self._examine(candidate, session, member_of, ref)
            finally:
                session.log_out()
        except XenError as e:
            # its record is in the pool: it is restarting into it
            if ref and not isinstance(e, Untrusted) and (isinstance(e, ConnectionFailed) or e.code == "HOST_STILL_BOOTING"):
                self.starting.append(ref)
                return
            candidate.reasons.append(Reason(e.code or "HOST_OFFLINE", e.message.rstrip("."), e.hint))
            self.candidates.append(candidate)

    def _known(self, entry: Record) -> str | None:
        if entry.get("uuid") and (found := self.objects.named("host", entry["uuid"])):
            return found[0]
        return hosts.one_at(self.objects, entry["address"])

    def _refuse_own_address(self, entry: Record, ref: str) -> None:
        """The coordinator among the members is harmless after it has moved; the very address the task talks to is a mistake."""
        own = self.params.get("hostname") if not self.params.get("session") else None
        if ref == hosts.coordinator(self.objects) and own and Endpoint.parse(own).url == Endpoint.parse(entry["address"]).url:
            raise InvalidChange(
                f"members names {entry['address']}, which is the coordinator this task talks to.",
                hint="Leave it out: it cannot join itself.",
            )

    def _candidate(self, entry: Record) -> Candidate:
        own = {key: self.params[key] if entry.get(key) is None else entry[key] for key in ("username", "password", *TRUST)}
        label = entry.get("name") or entry["address"]
        if not own["password"]:
            raise InvalidChange(f"Host {label!r} is to join, but there is no password for it.", hint="Give password in its entry.")
        endpoint = Endpoint.parse(
            entry["address"],
            validate_certs=own["validate_certs"],
            ca_file=own["ca_file"],
            fingerprints=tuple(own["fingerprint"] or ()),
            timeout=self.session.endpoint.timeout,
        )
        return Candidate(label, entry["address"], endpoint, (own["username"], own["password"]), bool(entry.get("force")))

    def _examine(self, candidate: Candidate, session: Session, member_of: str, ref: str | None) -> None:
        ours = self.objects.get("host", hosts.coordinator(self.objects))
        if member_of:
            if member_of == ours["address"]:
                self.starting += [ref] if ref else []
                return
            told = f"it is a member of another pool, whose coordinator is {member_of}"
            candidate.reasons.append(Reason("HOST_IS_SLAVE", told, "Eject it there first (xen_pool with eject), or leave it out."))
            self.candidates.append(candidate)
            return
        side = Side(Objects(session))
        candidate.host = side.host
        candidate.srs = [sr["name_label"] for sr in side.rows("SR") if not sr.get("is_tools_sr")]
        if not candidate.under_way and candidate.host["uuid"] == ours["uuid"]:
            told = "it is the coordinator of this very pool, at another address"
            candidate.reasons.append(Reason("OPERATION_NOT_ALLOWED", told, "Leave it out of members."))
        else:
            candidate.under_way = any(tasks.is_of(task, *JOINS) for task in side.rows("task"))
            coming = sum(1 for c in self.candidates if c.host)
            found = [] if candidate.under_way else reasons(side, Side(self.objects, coming=coming, ha_goes=self.ha_goes))
            candidate.forced = candidate.force and any(r.forced for r in found)
            candidate.reasons = [r for r in found if not (candidate.force and r.forced)]
        self.candidates.append(candidate)

    # planning -------------------------------------------------------------------
    def told(self) -> list[dict[str, t.Any]]:
        return [candidate.told() for candidate in self.candidates]

    def refuse(self) -> None:
        """Raises InvalidChange with everything that is in the way, for all hosts at once."""
        refused = [c for c in self.candidates if c.reasons]
        if not refused:
            return
        sentences = [f"Host {c.label!r} cannot join: {_listed(c.reasons)}" for c in refused]
        skipped = [c.label for c in refused if all(r.forced for r in c.reasons)]
        hint = f"force: true in the entry of {', '.join(skipped)} joins all the same." if skipped else ""
        code = refused[0].reasons[0].error_code
        raise InvalidChange(" ".join(sentences), hint=hint, code=code, facts={"join": self.told()})

    def plan(self, plan: Plan) -> None:
        """The joins, one after the other, each waited for."""
        if self.params.get("members") is not None:
            plan.facts["join"] = self.told()
        if not self.candidates:
            return
        username, password = self.params.get("username"), self.params.get("password")
        if not password:
            raise InvalidChange(
                "Hosts are to join, and each logs in to the coordinator for that, but the task has no password of the pool.",
                hint="Give username and password beside session.",
            )
        address = self.objects.get("host", hosts.coordinator(self.objects))["address"]
        plan.warnings += self._levelling()
        for candidate in self.candidates:
            if not candidate.under_way:
                method = "pool.join_force" if candidate.forced else "pool.join"
                what = f"join host {candidate.label!r} to the pool"
                plan.add(method, address, username, password, what=what, slow=True, on=candidate.address)
            plan.wait(f"host {candidate.label!r} to become a member", self._arrived(candidate), timeout=self.params["wait_timeout"])

    def wait_for_starting(self, plan: Plan) -> None:
        for ref in self.starting:
            label, uuid = hosts.name_of(self.objects, ref), self.objects.get("host", ref)["uuid"]
            plan.wait(f"host {label!r} to start as a member", self._up(uuid), timeout=self.params["wait_timeout"])

    def _levelling(self) -> list[str]:
        pool = Side(self.objects).cpu_info
        level, out = cpu_features.offered(pool), []
        for candidate in self.candidates:
            joiner = candidate.host.get("cpu_info", {})
            out += cpu_features.warnings(candidate.label, joiner, pool, level)
            level &= cpu_features.offered(joiner)
        return out

    def _up(self, uuid: str, *, enabled: bool = True) -> t.Callable[[], object]:
        def ready() -> object:
            fresh = Objects(self.session)
            found = fresh.named("host", uuid)
            if not found:
                return "it is not in the pool yet"
            missing = hosts.not_yet_up(fresh, found[0])
            return True if not missing or (not enabled and hosts.is_live(fresh, found[0])) else missing

        return ready

    def _arrived(self, candidate: Candidate) -> t.Callable[[], object]:
        up = self._up(candidate.host["uuid"], enabled=candidate.host["enabled"])

        def ready() -> object:
            seen = up()
            if seen is not True and candidate.under_way and _is_alone(candidate):
                raise OutcomeUnknown(f"The join of host {candidate.label!r} that was under way has ended without success.")
            return seen

        return ready

    def session_on(self, address: str) -> Session:
        """A session on a host that is about to join."""
        candidate = next(c for c in self.candidates if c.address == address)
        session, member_of = candidate.open()
        if member_of:
            session.log_out()
            raise OutcomeUnknown(f"Host {candidate.label!r} has become a member of the pool of {member_of} meanwhile.")
        return session


def _is_alone(candidate: Candidate) -> bool:
    """Whether the host is still a pool of its own with no join running on it."""
    session, member_of = candidate.open()
    try:
        return not member_of and not any(tasks.is_of(task, *JOINS) for task in session.call("task.get_all_records").values())
    finally:
        session.log_out()


def _listed(found: t.Sequence[Reason]) -> str:
    sentences = [f"{r.message}. {r.hint}".strip() for r in found]
    if len(sentences) == 1:
        return sentences[0]
    return " ".join(f"({n}) {sentence}" for n, sentence in enumerate(sentences, 1))
