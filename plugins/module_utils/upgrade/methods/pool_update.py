# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Update files of XenServer 7.1 to Citrix Hypervisor 8.2: put into the pool once, tried and applied on each host.

Rules: xen-api, ocaml/xapi/xapi_pool_update.ml.
"""

from __future__ import annotations

import typing as t

from ... import hosts, tasks
from ...client import Session
from ...errors import ApiError, InvalidChange
from ...host_return import wants_reboot
from ...plan import Operation, Plan
from .method import Due, Method
from .update_files import Wanted, put, wanted

REBOOTS, RESTARTS = "restartHost", "restartXAPI"  # after_apply_guidance
PRECHECK = 600.0  # seconds the host may take to try one
MISSING = "UPDATE_PRECHECK_FAILED_PREREQUISITE_MISSING"  # of update, the uuid it lacks


class PoolUpdate(Method):
    name = "pool_update"
    tests = True

    def _wanted(self) -> list[Wanted]:
        return [wanted(self.objects, text) for text in self.options.get("updates") or ()]

    # once for the pool ------------------------------------------------------------
    def prepare(self, plan: Plan) -> None:
        for one in self._wanted():
            if not one.ready and self._lacking(one, self.objects.all("host")):
                put(plan, self.objects, self.session, one)

    def refused(self, operation: Operation, params: t.Sequence[t.Any], error: ApiError) -> t.Any:
        """A disk that was made for it is of no use. Somebody else may have been faster: the call of a run that was killed goes on."""
        if operation.method == "pool_update.apply" and error.code == "UPDATE_ALREADY_APPLIED":
            return None
        if operation.method == "pool_update.introduce" and any(one.path for one in self._wanted()):
            tasks.quietly(self.session, "VDI.destroy", params[0])
            if error.code == "UPDATE_ALREADY_EXISTS":
                return None
        raise error

    def tidy(self, plan: Plan, done: t.Collection[str]) -> None:
        """What was put into the pool from a file goes when all hosts have it."""
        for one in self._wanted():
            everyone = set(self.objects.all("host"))
            there = one.ready or self._lacking(one, everyone)  # or will be
            if one.ours and there and not self._lacking(one, everyone - set(done)):
                plan.add("pool_update.pool_clean", one.ref or one.uuid, what=f"remove the file of update {one.label!r} from the pool")

    # looking ----------------------------------------------------------------------
    def _lacking(self, one: Wanted, refs: t.Iterable[str]) -> list[str]:
        return [ref for ref in refs if not one.ref or one.ref not in self.objects.get("host", ref)["updates"]]

    def look(self, refs: t.Sequence[str]) -> dict[str, Due]:
        all_of_them = self._wanted()
        found = {ref: self._of_host(ref, [one for one in all_of_them if self._lacking(one, [ref])]) for ref in refs}
        return {ref: due for ref, due in found.items() if due}

    def _of_host(self, ref: str, lacks: t.Sequence[Wanted]) -> Due | None:
        record = self.objects.get("host", ref)
        behind = bool(wants_reboot(record))
        if not lacks:
            if behind:
                return Due("updates were applied that need a reboot", True, True, install=False)
            return self.restart_left(record)
        reboot = behind or any(one.guidance is None or REBOOTS in one.guidance for one in lacks)
        restart = not reboot and any(RESTARTS in (one.guidance or ()) for one in lacks)
        names = [one.label for one in lacks]
        return Due(f"it lacks {', '.join(names)}", reboot, reboot, packages=names, restart=restart)

    # one host ---------------------------------------------------------------------
    def _lacks(self, ref: str) -> list[Wanted]:
        return [one for one in self._wanted() if self._lacking(one, [ref])]

    def test(self, session: Session, ref: str, due: Due) -> None:
        """Raises InvalidChange for an update the host does not take."""
        lacks = self._lacks(ref)
        for place, one in enumerate(lacks):
            if one.ready:
                self._try(session, one, ref, {before.uuid for before in lacks[:place]})

    def install(self, plan: Plan, ref: str, due: Due) -> None:
        self.test(self.session, ref, due)
        if due.restart:
            self.note_restart(plan, ref)
        for one in self._lacks(ref):
            what = f"apply update {one.label!r} to host {self.label(ref)!r}"
            plan.add("pool_update.apply", one.ref or one.uuid, ref, what=what, slow=True)

    def _try(self, session: Session, one: Wanted, ref: str, before: t.Collection[str]) -> None:
        """The host says whether it takes it. What it lacks may be applied just before."""
        try:
            session.call("pool_update.precheck", one.ref, ref, timeout=PRECHECK)
        except ApiError as e:
            if e.code == MISSING and e.params[-1] in before:
                return
            told = self.objects.readable(" ".join([e.code, *e.params]))
            raise InvalidChange(
                f"Host {hosts.name_of(self.objects, ref)!r} does not take update {one.label!r}: {told}.",
                hint=e.hint,
                code=e.code,
                params=e.params,
            ) from e
