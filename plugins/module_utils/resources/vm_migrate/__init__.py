# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A VM goes to another host, its disks to other SRs, or all of it to another pool, while it runs.

Xapi tells the first obstacle it meets; this tells all of them, before anything is begun.
"""

from __future__ import annotations

import typing as t

from ... import hosts, movable, tasks
from ...client import Session
from ...errors import ApiError, InvalidChange, NotFound, XenError
from ...fields import Table
from ...plan import Operation, Plan
from ...reasons import Reason, name
from ...refs import NULL, Objects, Record
from ...resource import Found, Resource
from ...vms import guests, is_guest
from . import cross, disks, words
from .move import THERE, Move, Pools


class VmMigrate(Resource):
    """params["to"]: a session to the pool the VM is to go to, None for its own."""

    table = Table("VM", ())
    states = ()
    options: t.ClassVar[dict[str, dict[str, t.Any]]] = {
        "name": {"type": "str"},
        "host": {"type": "str"},
        "sr": {"type": "str"},
        "disks": {"type": "dict"},
        "srs": {"type": "dict"},
        "networks": {"type": "dict"},
        "copy": {"type": "bool"},
        "network": {"type": "str"},
        "compress": {"type": "bool"},
        "force": {"type": "bool", "default": False},
        "eject_cd": {"type": "bool", "default": False},
        "wait_timeout": {"type": "int", "default": 7200},
    }
    rules: t.ClassVar[dict[str, t.Any]] = {
        "required_one_of": [["name", "uuid"], ["host", "sr", "disks", "srs", "to"]],
        "required_by": {"networks": ["to"], "copy": ["to"]},
    }

    def __init__(self, session: Session, params: Record):
        super().__init__(session, params)
        self.other: Session | None = params["to"]
        self.theirs = Objects(self.other) if self.other else self.objects
        self.there = False  # the VM is in the other pool already
        self._names: set[str] = set()  # of the disks that move
        self._known: set[str] = set()  # uuids of the VMs and disks there were

    # finding --------------------------------------------------------------------
    def candidates(self) -> dict[str, Record]:
        return guests(self.objects)

    def find(self) -> Found:
        """Where the VM is, once a migration of it that is under way has ended. Raises NotFound, Ambiguous, Timeout."""
        if self.other:
            self.theirs.forget()
            cross.refuse_same_pool(self.objects, self.theirs)
        found = self._here()
        if found and set(found.record["current_operations"].values()) & set(movable.MOVING):
            ref = found.ref
            tasks.wait_until(f"{name(found.record)} to end the migration it is in", lambda: self._rests(ref),
                             timeout=self.params["wait_timeout"])  # fmt: skip
            self.objects.forget()
            self.theirs.forget()
            found = self._here()
        moved = self._there() if self.other and (not found or self.params["copy"]) else None
        self.there = moved is not None
        if not moved and not found:
            known = ", ".join(sorted(vm["name_label"] for vm in self.candidates().values())[:12])
            where = "In neither pool is" if self.other else "There is no"
            raise NotFound(f"{where}{' a' if self.other else ''} VM {self.label!r}.", hint=f"This one has: {known or 'none'}.")
        return t.cast(Found, moved or found)

    def _here(self) -> Found | None:
        text = self.params["uuid"] or self.params["name"]
        if not self.objects.named("VM", text, is_guest):
            return None
        ref = self.objects.resolve("VM", text, is_guest)
        return Found(ref, self.objects.get("VM", ref))

    def _there(self) -> Found | None:
        """A VM that has gone keeps its uuid; a copy has the name only."""
        text = self.params["name"] if self.params["copy"] and self.params["name"] else self.params["uuid"] or self.params["name"]
        if self.params["copy"] and not self.params["name"] and (here := self._here()):
            text = here.record["name_label"]
        found = self.theirs.named("VM", text, is_guest)
        if not found:
            return None
        ref = found[0] if self.params["copy"] else self.theirs.resolve("VM", text, is_guest)
        return Found(ref, self.theirs.get("VM", ref))

    def _rests(self, ref: str) -> object:
        try:
            now = self.session.call("VM.get_current_operations", ref)
        except ApiError as e:
            if e.code != "HANDLE_INVALID":
                raise
            return True
        return not set(now.values()) & set(movable.MOVING) or "it is still moving"

    # what is and what is to be -----------------------------------------------------
    def observe(self, found: Found) -> dict[str, t.Any]:
        objects = self.theirs if self.there else self.objects
        return {
            "name": found.record["name_label"],
            "host": hosts.name_of(objects, found.record["resident_on"]),
            "disks": {disk.device: objects.label("SR", disk.sr) for disk in disks.of(objects, found.record)},
            **({"pool": THERE if self.there else "this pool"} if self.other else {}),
        }

    def plan(self, found: Found | None) -> Plan:
        found = t.cast(Found, found)
        before = self.observe(found)
        plan = Plan(before, dict(before))
        if self.other and self.there:
            self._refuse_elsewhere(found)
            return plan
        self._names = {disk.record["name_label"] for disk in disks.of(self.objects, found.record)}
        move = Move(Pools(self.session, self.objects, self.other, self.theirs), self.params, found)
        if move.needed:
            if reasons := move.obstacles():
                raise self._refusal(found, move, reasons)
            move.steps(plan)
        elif self.params["host"] and not move.running:
            plan.warnings.append(f"{name(found.record)} runs on no host; where it starts is told by its affinity.")
        plan.warnings += move.warnings
        return plan

    def _refuse_elsewhere(self, found: Found) -> None:
        """In the other pool, but not on the host the task names."""
        wanted = hosts.resolve(self.theirs, self.params["host"]) if self.params["host"] else NULL
        if wanted != NULL and found.record["resident_on"] not in (NULL, wanted) and not self.params["copy"]:
            now = hosts.name_of(self.theirs, found.record["resident_on"])
            raise InvalidChange(
                f"{name(found.record)} is in the other pool already, on host {now!r}.",
                hint="Move it there with a task of its own that logs in to that pool.",
            )

    def _refusal(self, found: Found, move: Move, reasons: t.Sequence[Reason]) -> InvalidChange:
        told = " ".join(str(reason) for reason in reasons)
        return InvalidChange(
            f"{name(found.record)} cannot {'be copied' if self.params['copy'] else 'move'}{move.where()}: {told}",
            code=reasons[0].code,
            facts={"reasons": words.told(reasons)},
        )

    # carrying out -------------------------------------------------------------------
    def session_on(self, host: str) -> Session:
        return t.cast(Session, self.other)

    def call(self, operation: Operation, params: t.Sequence[t.Any]) -> t.Any:
        """As ever; what xapi says is put into words, and what it left in the other pool is named."""
        session = self.other if operation.on and self.other else self.session
        self._known = self._known or {row["uuid"] for cls in ("VM", "VDI") for row in self.theirs.all(cls).values()}
        try:
            result = self._made(session, operation, params)
        except ApiError as e:
            words.explain(e, self.objects, self.theirs)
            e.message += self._left_behind()
            self._release(operation, params)
            raise
        self._release(operation, params)
        return result

    def _made(self, session: Session, operation: Operation, params: t.Sequence[t.Any]) -> t.Any:
        if operation.slow:
            return tasks.run(session, operation.method, params, timeout=float(self.params["wait_timeout"]))
        return session.call(operation.method, *params)

    def _release(self, operation: Operation, params: t.Sequence[t.Any]) -> None:
        """The session that host.migrate_receive opened for the hosts among themselves is not needed any more."""
        if operation.method == "VM.migrate_send":
            Session.resume((self.other or self.session).endpoint, params[1]["session_id"]).log_out()

    def _left_behind(self) -> str:
        """A sentence about what a failed migration left where it went to; xapi removes it itself as a rule."""
        try:
            self.theirs.forget()
            vms = [vm for vm in self.theirs.all("VM").values() if vm["uuid"] not in self._known and not vm["is_a_snapshot"]]
            vdis = [vdi for vdi in self.theirs.all("VDI").values() if vdi["uuid"] not in self._known and not vdi["VBDs"]]
        except XenError:
            return " The pool did not tell whether something is left there."
        new = [f"VM {vm['name_label']!r} ({vm['uuid']})" for vm in vms if self.other]
        new += [f"disk {vdi['name_label']!r} ({vdi['uuid']})" for vdi in vdis if vdi["name_label"] in self._names]
        return f" Left unfinished where it was to go: {', '.join(sorted(new))}; remove it before the next try." if new else ""

    def result(self, found: Found | None, plan: Plan) -> dict[str, t.Any]:
        shown = super().result(found, plan)
        if self.params["copy"] and not self.there:
            shown.pop("uuid", None)  # the copy's is not known yet
        return shown
