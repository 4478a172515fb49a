# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""XenServer 8: the pool synchronises its repositories, each host gets what it lacks, and is then what its pending guidance asks for.

Rules: xen-api, ocaml/xapi/repository.ml, updateinfo.ml, xapi_host.ml (apply_updates).
"""

from __future__ import annotations

import functools
import json
import time
import typing as t

from ... import hosts, tasks
from ...errors import ApiError, ConnectionFailed, InvalidChange
from ...host_return import PENDING
from ...http_transfer import Broken, Getting, opened
from ...plan import Operation, Plan
from ...refs import Record
from .method import NEVER, Due, Method

REBOOT_WORD, EVACUATE_WORD, RESTART_WORD = "RebootHost", "EvacuateHost", "RestartToolstack"  # of updateinfo
REBOOTS, RESTARTS = "reboot_host", "restart_toolstack"  # pending guidances; the first begins several
URGENT = ("mandatory", "recommended")
PIECE = 1 << 16
IN_PROGRESS = ("APPLY_UPDATES_IN_PROGRESS", "SYNC_UPDATES_IN_PROGRESS", "OTHER_OPERATION_IN_PROGRESS")
WAITS = 2.0  # seconds until it is tried again


class Repository(Method):
    name = "repository"
    _hash = ""  # of what was offered when it was looked at

    # once for the pool ------------------------------------------------------------
    def prepare(self, plan: Plan) -> None:
        """Raises InvalidChange where no repository is enabled."""
        ref, _pool = hosts.pool_of(self.objects)
        if self._enabled() and self._is_to_be_synced():
            plan.add("pool.sync_updates", ref, False, "", "", what="ask the repositories for updates", slow=True)

    def _is_to_be_synced(self) -> bool:
        """An upgrade that is under way goes on with what was offered when it began: all hosts are to get the same."""
        sync = self.options.get("sync") or "required"
        return sync != "never" and (not self._synced() or (sync == "always" and not self.upgrade()))

    def _enabled(self) -> list[Record]:
        """Raises InvalidChange."""
        _ref, pool = hosts.pool_of(self.objects)
        if "repositories" not in pool:
            raise InvalidChange("The release of this pool knows no repositories.", hint="Choose another method.")
        found = [self.objects.get("Repository", ref) for ref in pool["repositories"]]
        if not found:
            raise InvalidChange(
                "The pool has no repository enabled.",
                hint="Introduce and enable one (pool.set_repositories).",
                code="NO_REPOSITORY_ENABLED",
            )
        return found

    def _synced(self) -> bool:
        enabled = self._enabled()
        return all(record["hash"] for record in [record for record in enabled if record["update"]] or enabled)

    # looking ----------------------------------------------------------------------
    def look(self, refs: t.Sequence[str]) -> dict[str, Due]:
        if not self._synced():
            raise InvalidChange(
                "What updates there are is not known: the pool has not asked its repositories yet.",
                hint="Run xen_host_upgrade with hosts: [] and sync: required first.",
                code="UPDATEINFO_HASH_MISMATCH",
            )
        offered = self._offered(refs)
        self._hash, told = offered["hash"], {host["ref"]: host for host in offered["hosts"]}
        found = {ref: self._of_host(self.objects.get("host", ref), told.get(ref, {})) for ref in refs}
        return {ref: due for ref, due in found.items() if due}

    def _offered(self, refs: t.Sequence[str]) -> dict[str, t.Any]:
        """GET /updates. Raises ConnectionFailed."""
        self.session.call("pool.get_all")  # a session that has ended is replaced
        query = {"host_refs": ";".join(refs)}
        get = functools.partial(Getting, path="/updates", query=query, session=self.session.handle)
        try:
            with opened(get, self.session.endpoint) as incoming:
                return t.cast("dict[str, t.Any]", json.loads(b"".join(pieces(incoming))))
        except (Broken, ValueError) as e:
            raise ConnectionFailed(f"The pool does not tell what updates there are: {e}") from e

    def _of_host(self, record: Record, told: Record) -> Due | None:
        pending = {word for field in PENDING for word in record.get(field, ())}
        behind = any(word.startswith(REBOOTS) for word in pending)
        ids, guidance = told.get("updates") or [], told.get("guidance", {})
        if not ids and not told.get("RPMS"):
            if behind or RESTARTS in pending:
                return Due("its updates ask for " + ", ".join(sorted(pending)), behind, behind, install=False, restart=not behind)
            return None
        words = {word for urgency in URGENT for word in guidance.get(urgency, ())}
        reboot = REBOOT_WORD in words
        urgent = record.get("pending_guidances", ())
        first = "" if not urgent else "reboot" if any(word.startswith(REBOOTS) for word in urgent) else "restart"
        empty = reboot or EVACUATE_WORD in guidance.get("mandatory", ()) or first == "reboot"
        why = f"it lacks {', '.join(ids)}" if ids else f"{len(told['RPMS'])} packages are out of date"
        packages = sorted(told.get("RPMS") or ())
        return Due(why, empty, reboot, packages=packages, restart=not reboot and RESTART_WORD in words, first=first)

    def needs_empty(self, due: Due) -> bool:
        """apply_updates itself refuses a host with guests where a reboot is mandatory."""
        return True

    # one host ---------------------------------------------------------------------
    def install(self, plan: Plan, ref: str, due: Due) -> None:
        plan.add("host.apply_updates", ref, self._hash, what=f"apply updates to host {self.label(ref)!r}", slow=True)

    def refused(self, operation: Operation, params: t.Sequence[t.Any], error: ApiError) -> t.Any:
        """A pool applies updates to one host at a time: the others have to wait."""
        end = time.monotonic() + self.patience
        while operation.method == "host.apply_updates" and error.code in IN_PROGRESS and time.monotonic() < end:
            time.sleep(WAITS)
            try:
                return tasks.run(self.session, operation.method, params, timeout=float(self.patience))
            except ApiError as e:
                error = e
        raise error

    def keeps_disabled(self, ref: str, due: Due | None) -> bool:
        """xapi does not enable a host whose mandatory guidance is not followed."""
        if self.reboot != NEVER:
            return False
        pending = self.objects.get("host", ref).get("pending_guidances", ())
        mandatory = bool(due) and t.cast(Due, due).install and t.cast(Due, due).evacuate
        return mandatory or any(word.startswith(REBOOTS) for word in pending)


def pieces(incoming: Getting) -> t.Iterator[bytes]:
    buffer = memoryview(bytearray(PIECE))
    while count := incoming.readinto(buffer):
        yield bytes(buffer[:count])
