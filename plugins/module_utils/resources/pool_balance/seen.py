# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A pool as the planner sees it: hosts that take guests and the VMs on them, all by name; who may go where."""

from __future__ import annotations

import typing as t
from collections import Counter
from dataclasses import replace

from ... import capacity, hosts, movable
from ...planner import balance
from ...planner.balance import Weights
from ...reasons import Reason, Reasons
from ...reasons import name as name_of
from ...refs import NULL, Objects, Record
from ...vms import guests


class Seen:
    """hosts, vms: references by name (by uuid where a name is not the only one). Hosts in maintenance or down are left as they are."""

    def __init__(self, objects: Objects, weights: Weights):
        self.objects, self.weights = objects, weights
        rows = objects.all("host").items()
        self.hosts = {hosts.name_of(objects, ref): ref for ref, row in rows if hosts.is_live(objects, ref) and row["enabled"]}
        self._at = {ref: name for name, ref in self.hosts.items()}
        times = Counter(vm["name_label"] for vm in objects.all("VM").values())
        self.vms = {
            vm["name_label"] if times[vm["name_label"]] == 1 else vm["uuid"]: ref
            for ref, vm in guests(objects).items()
            if vm["resident_on"] in self._at
        }
        self.places = [self._place(name, ref) for name, ref in self.hosts.items()]
        self.lying = [self._lies(name, objects.get("VM", ref)) for name, ref in self.vms.items()]

    def _place(self, name: str, ref: str) -> balance.Host:
        record = self.objects.get("host", ref)
        cpus = int(record["cpu_info"].get("cpu_count", 0)) or len(record["host_CPUs"])
        return balance.Host(name, capacity.memory_capacity(self.objects, ref), cpus)

    def _lies(self, name: str, vm: Record) -> balance.Vm:
        return balance.Vm(name, self._at[vm["resident_on"]], capacity.memory_held(vm), int(vm["VCPUs_at_startup"]))

    def described(self, moves: t.Iterable[balance.Move] = ()) -> dict[str, t.Any]:
        """Load in percent, by name of the host, after these moves."""
        where = {move.vm: move.target for move in moves}
        vms = [replace(vm, host=where.get(vm.name, vm.host)) for vm in self.lying]
        found = balance.loads(self.places, vms, self.weights)
        rows = {
            name: {"memory": round(load.memory * 100, 1), "vcpus": round(load.vcpus * 100, 1), "vms": load.vms}
            for name, load in found.items()
        }
        return {"imbalance": round(balance.imbalance([load.score for load in found.values()]), 1), "hosts": rows}

    def moves(self, vms: list[balance.Vm], *, threshold: float, max_moves: int) -> list[balance.Move]:
        """The planner's, without VMs that high availability would not let go."""
        while True:
            found = balance.plan(self.places, vms, self.weights, threshold=threshold, max_moves=max_moves)
            kept = {m.vm for m in found if any(movable.overcommits(self.objects, self.vms[m.vm], self.hosts[m.target]))}
            if not kept:
                return found
            vms = [replace(vm, targets=frozenset()) if vm.name in kept else vm for vm in vms]

    # who may go where -----------------------------------------------------------------
    def candidates(self, excluded: t.Collection[str], network: str) -> tuple[list[balance.Vm], dict[str, str]]:
        """All VMs with where each may go, and why some may go nowhere. excluded: VMs that stay; network: carries the moves, or NULL."""
        takers = {n: ref for n, ref in self.hosts.items() if network == NULL or not movable.cannot_carry(self.objects, ref, network)}
        apart, tied, out = self._apart(), dict[str, str](), []
        for plain in self.lying:
            ref, targets = self.vms[plain.name], frozenset[str]()
            vm = self.objects.get("VM", ref)
            reasons = [] if ref in excluded else movable.stays(self.objects, ref)
            if not reasons and ref not in excluded:
                others = {name: host for name, host in takers.items() if name != plain.host}
                targets = frozenset(name for name, host in others.items() if not any(self._against(ref, vm, host)))
                reasons = [] if targets else [reason for host in sorted(others)[:1] for reason in self._against(ref, vm, others[host])]
            if reasons:
                tied[plain.name] = " ".join(reason.text for reason in reasons)
            out.append(replace(plain, targets=targets, apart=frozenset(apart & set(vm.get("groups", ())))))
        return out, dict(sorted(tied.items()))

    def _against(self, ref: str, vm: Record, host: str) -> Reasons:
        """What keeps it from a host: affinity to another, and all but memory, which the planner counts."""
        if vm["affinity"] != host and vm["affinity"] in self._at:
            yield Reason("VM_HAS_AFFINITY", f"{name_of(vm)} is to be on host {self._at[vm['affinity']]!r} (affinity).", "")
            return
        yield from movable.refuses(self.objects, host, vm, with_memory=False)
        yield from movable.lacks(self.objects, ref, host)

    def _apart(self) -> set[str]:
        """The groups whose members are to be on different hosts; older releases have none."""
        used = any(vm.get("groups") for vm in self.objects.all("VM").values())
        rows = self.objects.all("VM_group") if used else {}
        return {ref for ref, group in rows.items() if group["placement"] == "anti_affinity"}
