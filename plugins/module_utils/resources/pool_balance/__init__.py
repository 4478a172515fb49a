# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The guests of a pool are spread over its hosts by live migrations."""

from __future__ import annotations

import typing as t

from ... import hosts, movable, tasks
from ...client import Session
from ...errors import ApiError, InvalidChange, NotFound, OutcomeUnknown
from ...fields import Table
from ...plan import Later, Operation, Plan
from ...planner import balance
from ...planner.balance import Weights
from ...refs import NULL, Objects, Record
from ...resource import Found, Resource
from ...vms import guests, is_guest
from .seen import Seen

WEIGHTS = {"memory": Weights(1, 0), "vcpus": Weights(0, 1), "both": Weights(1, 1)}
MOVE = "VM.pool_migrate"
LEAST = {"threshold": 0, "max_moves": 0, "parallel": 1}


class PoolBalance(Resource):
    """by: what counts; threshold: percentage points of imbalance that are left alone; max_moves: of one task, interrupted or not."""

    table = Table("pool", ())
    states = ()
    options: t.ClassVar[dict[str, dict[str, t.Any]]] = {
        "by": {"type": "str", "choices": list(WEIGHTS), "default": "memory"},
        "threshold": {"type": "float", "default": 10.0},
        "max_moves": {"type": "int", "default": 10},
        "parallel": {"type": "int", "default": 1},
        "exclude": {"type": "list", "elements": "str", "default": []},
        "network": {"type": "str"},
        "wait_timeout": {"type": "int", "default": 7200},
    }

    def __init__(self, session: Session, params: Record):
        super().__init__(session, params)
        self._left = params["max_moves"]
        for option, least in LEAST.items():
            if params[option] < least:
                raise InvalidChange(f"{option} cannot be {params[option]:g}.", hint=f"Give {least} or more.")

    @classmethod
    def key(cls) -> str:
        return "balance"

    def find(self) -> Found:
        """Once the migrations that are under way have ended. Raises NotFound, Timeout."""
        if self._moving():
            tasks.wait_until("the migrations that are under way to end", self._rests, timeout=self.params["wait_timeout"])
            self.objects.forget()
        found = Found(*hosts.pool_of(self.objects))
        if self.params["uuid"] not in (None, found.record["uuid"]):
            raise NotFound(f"The host belongs to the pool {found.record['uuid']}, not to {self.params['uuid']}.")
        return found

    def _moving(self, objects: Objects | None = None) -> list[str]:
        rows = guests(objects or self.objects).values()
        return sorted(vm["name_label"] for vm in rows if set(vm["current_operations"].values()) & set(movable.MOVING))

    def _rests(self) -> object:
        moving = self._moving(Objects(self.session))
        return f"still moving: {', '.join(moving)}" if moving else True

    # the plan -----------------------------------------------------------------------------
    def _seen(self) -> Seen:
        return Seen(self.objects, WEIGHTS[self.params["by"]])

    def observe(self, found: Found) -> dict[str, t.Any]:
        return self._seen().described()

    def plan(self, found: Found | None) -> Plan:
        seen, threshold = self._seen(), self.params["threshold"]
        before = seen.described()
        network = self.objects.resolve("network", self.params["network"]) if self.params["network"] else NULL
        excluded = self._excluded()
        plan, moves = Plan(before, before), list[balance.Move]()
        if before["imbalance"] >= threshold:
            vms, plan.facts["tied"] = seen.candidates(excluded, network)
            moves = seen.moves(vms, threshold=threshold, max_moves=max(0, self._left))
            plan.after = seen.described(moves)
        memory = {vm.name: vm.memory for vm in seen.lying}
        plan.facts["moves"] = [{"vm": m.vm, "from": m.source, "to": m.target, "memory": memory[m.vm]} for m in moves]
        self._add(plan, seen, moves, {"live": "true", **({"network": network} if network != NULL else {})})
        return plan

    def _excluded(self) -> set[str]:
        """Raises NotFound for a name that no VM has."""
        out: set[str] = set()
        for text in self.params["exclude"]:
            out.update(self.objects.named("VM", text, is_guest) or [self.objects.resolve("VM", text, is_guest)])
        return out

    def _add(self, plan: Plan, seen: Seen, moves: list[balance.Move], options: dict[str, str]) -> None:
        alone = self.params["parallel"] <= 1
        for batch in balance.batches(moves, max(1, self.params["parallel"])):
            begun: list[Later] = []
            for move in batch:
                what = f"move VM {move.vm!r} from host {move.source!r} to host {move.target!r}"
                begun.append(plan.add(MOVE, seen.vms[move.vm], seen.hosts[move.target], options, what=what, slow=alone))
            if not alone:
                names = ", ".join(move.vm for move in batch)
                plan.wait(f"{names} to arrive", self._arrived, *begun, timeout=self.params["wait_timeout"])

    # carrying out ----------------------------------------------------------------------------
    def call(self, operation: Operation, params: t.Sequence[t.Any]) -> t.Any:
        """A move counts from the moment it was asked for. One of several is begun here and waited for together with the others."""
        self._left -= 1
        if operation.slow:
            return tasks.run(self.session, operation.method, params, timeout=float(self.params["wait_timeout"]))
        return self.session.call(f"Async.{operation.method}", *params)

    def _arrived(self, *begun: str) -> object:
        """Whether all these tasks have ended; the failure of one is told when the others have ended too."""
        try:
            records = {task: self.session.call("task.get_record", task) for task in begun}
        except ApiError as e:
            if e.code != "HANDLE_INVALID":
                raise
            raise OutcomeUnknown("A task of a migration was removed by somebody else.") from e
        running = [record for record in records.values() if record["status"] in ("pending", "cancelling")]
        if running:
            return (
                f"{len(records) - len(running)} of {len(records)} have, the slowest is at {min(float(r['progress']) for r in running):.0%}"
            )
        for task in records:
            tasks.quietly(self.session, "task.destroy", task)
        failed = [record for record in records.values() if record["status"] != "success"]
        if failed:
            raise ApiError(MOVE, failed[0]["error_info"] or ["TASK_CANCELLED"])
        return True
