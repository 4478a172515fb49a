# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The guests of a pool are spread over its hosts by live migrations."""

from __future__ import annotations

import typing as t
from collections import Counter
from dataclasses import replace

from .. import capacity, hosts, movable, tasks
from ..client import Session
from ..errors import ApiError, NotFound, OutcomeUnknown
from ..fields import Table
from ..plan import Later, Operation, Plan
from ..planner import balance
from ..planner.balance import Weights
from ..refs import NULL, Objects, Record
from ..resource import Found, Resource

WEIGHTS = {"memory": Weights(1, 0), "vcpus": Weights(0, 1), "both": Weights(1, 1)}
MOVE, MOVE_BESIDE = "VM.pool_migrate", "Async.VM.pool_migrate"


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
        rows = capacity.guests(objects or self.objects).values()
        return sorted(vm["name_label"] for vm in rows if set(vm["current_operations"].values()) & set(movable.MOVING))

    def _rests(self) -> object:
        moving = self._moving(Objects(self.session))
        return f"still moving: {', '.join(moving)}" if moving else True

    # the pool as the planner sees it: everything by name ------------------------------
    @property
    def _weights(self) -> Weights:
        return WEIGHTS[self.params["by"]]

    @property
    def _hosts(self) -> dict[str, str]:
        """Hosts that take guests, by name; the others are left as they are."""
        rows = self.objects.all("host").items()
        return {hosts.name_of(self.objects, ref): ref for ref, row in rows if hosts.is_live(self.objects, ref) and row["enabled"]}

    def _places(self) -> list[balance.Host]:
        out = []
        for name, ref in self._hosts.items():
            record = self.objects.get("host", ref)
            cpus = int(record["cpu_info"].get("cpu_count", 0)) or len(record["host_CPUs"])
            out.append(balance.Host(name, capacity.memory_capacity(self.objects, ref), cpus))
        return out

    def _vms(self) -> dict[str, str]:
        """What occupies those hosts, by name, or uuid where a name is not the only one."""
        there = set(self._hosts.values())
        rows = capacity.guests(self.objects)
        times = Counter(vm["name_label"] for vm in self.objects.all("VM").values())
        return {
            vm["name_label"] if times[vm["name_label"]] == 1 else vm["uuid"]: ref for ref, vm in rows.items() if vm["resident_on"] in there
        }

    def _lying(self) -> list[balance.Vm]:
        """VMs as they lie, none of which may go anywhere."""
        at = {ref: name for name, ref in self._hosts.items()}
        rows = ((name, self.objects.get("VM", ref)) for name, ref in self._vms().items())
        return [balance.Vm(name, at[vm["resident_on"]], capacity.memory_held(vm), int(vm["VCPUs_at_startup"])) for name, vm in rows]

    def _described(self, vms: t.Iterable[balance.Vm]) -> dict[str, t.Any]:
        """Load in percent, by name of the host."""
        found = balance.loads(self._places(), vms, self._weights)
        rows = {
            name: {"memory": round(load.memory * 100, 1), "vcpus": round(load.vcpus * 100, 1), "vms": load.vms}
            for name, load in found.items()
        }
        return {"imbalance": round(balance.imbalance([load.score for load in found.values()]), 1), "hosts": rows}

    def observe(self, found: Found) -> dict[str, t.Any]:
        return self._described(self._lying())

    # who may go where -------------------------------------------------------------------
    def _excluded(self) -> set[str]:
        """Raises NotFound for a name that no VM has."""
        guests = capacity.guests(self.objects)
        out: set[str] = set()
        for text in self.params["exclude"]:
            found = self.objects.named("VM", text, lambda vm: vm in guests.values())
            if not found:
                self.objects.resolve("VM", text, lambda vm: vm in guests.values())
            out.update(found)
        return out

    def _apart(self) -> set[str]:
        """The groups whose members are to be on different hosts; older releases have none."""
        used = any(vm.get("groups") for vm in self.objects.all("VM").values())
        rows = self.objects.all("VM_group") if used else {}
        return {ref for ref, group in rows.items() if group["placement"] == "anti_affinity"}

    def _candidates(self) -> tuple[list[balance.Vm], dict[str, str]]:
        """All VMs with where each may go, and why some may go nowhere."""
        network = self.objects.resolve("network", self.params["network"]) if self.params["network"] else NULL
        takers = {n: ref for n, ref in self._hosts.items() if network == NULL or not movable.cannot_carry(self.objects, ref, network)}
        excluded, apart, tied, out = self._excluded(), self._apart(), dict[str, str](), []
        refs = self._vms()
        for plain in self._lying():
            ref, vm = refs[plain.name], self.objects.get("VM", refs[plain.name])
            reasons = [] if ref in excluded else movable.stays(self.objects, ref)
            if reasons:
                tied[plain.name] = " ".join(reason.text for reason in reasons)
            stays = reasons or ref in excluded
            targets = [] if stays else [n for n, host in takers.items() if n != plain.host and self._takes(ref, vm, host)]
            out.append(replace(plain, targets=frozenset(targets), apart=frozenset(apart & set(vm.get("groups", ())))))
        return out, dict(sorted(tied.items()))

    def _takes(self, ref: str, vm: Record, host: str) -> bool:
        """Whether its affinity allows it, and nothing but memory, which the planner counts, speaks against it."""
        if vm["affinity"] != host and vm["affinity"] in self._hosts.values():
            return False
        return not (movable.refuses(self.objects, host, vm, with_memory=False) or movable.lacks(self.objects, ref, host))

    # the plan -----------------------------------------------------------------------------
    def plan(self, found: Found | None) -> Plan:
        before = self.observe(t.cast(Found, found))
        plan = Plan(before, before)
        moves: list[balance.Move] = []
        if before["imbalance"] >= self.params["threshold"]:
            vms, plan.facts["tied"] = self._candidates()
            moves = balance.plan(self._places(), vms, self._weights, threshold=self.params["threshold"], max_moves=max(0, self._left))
            where = {move.vm: move.target for move in moves}
            plan.after = self._described([replace(vm, host=where.get(vm.name, vm.host)) for vm in vms])
        plan.facts["moves"] = [self._told(move) for move in moves]
        self._add(plan, moves)
        return plan

    def _told(self, move: balance.Move) -> dict[str, t.Any]:
        memory = capacity.memory_held(self.objects.get("VM", self._vms()[move.vm]))
        return {"vm": move.vm, "from": move.source, "to": move.target, "memory": memory}

    def _add(self, plan: Plan, moves: list[balance.Move]) -> None:
        options = {"live": "true"}
        if self.params["network"]:
            options["network"] = self.objects.resolve("network", self.params["network"])
        alone = self.params["parallel"] <= 1
        for batch in balance.batches(moves, max(1, self.params["parallel"])):
            begun: list[Later] = []
            for move in batch:
                what = f"move VM {move.vm!r} from host {move.source!r} to host {move.target!r}"
                vm, host = self._vms()[move.vm], self._hosts[move.target]
                begun.append(plan.add(MOVE if alone else MOVE_BESIDE, vm, host, options, what=what, slow=alone))
            if not alone:
                names = ", ".join(move.vm for move in batch)
                plan.wait(f"{names} to arrive", self._arrived, *begun, timeout=self.params["wait_timeout"])

    # carrying out ----------------------------------------------------------------------------
    def call(self, operation: Operation, params: t.Sequence[t.Any]) -> t.Any:
        """A move counts from the moment it was asked for."""
        self._left -= 1
        if operation.slow:
            return tasks.run(self.session, operation.method, params, timeout=float(self.params["wait_timeout"]))
        return self.session.call(operation.method, *params)

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
