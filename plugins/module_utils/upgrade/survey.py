# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The live pool as the planner sees it, in one bulk read per class."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from .. import capacity, hosts
from ..planner.model import Host, Pool, Vm
from ..reasons import Reason, name
from ..refs import NULL, Objects, Record
from ..vms import Vms, guests
from . import journal, marks
from .places import WAITING, Places, is_doubtful, told_by_xapi

MIB = 1 << 20


class Wanted(t.Protocol):
    """What of a host that is due the survey has to know (see methods)."""

    @property
    def evacuate(self) -> bool: ...


@dataclass(frozen=True)
class Blocker:
    """A VM that cannot be moved off a host that is to be emptied. vm, host: names."""

    vm: str
    uuid: str
    host: str
    reasons: tuple[Reason, ...]

    @property
    def why(self) -> str:
        return " ".join(reason.text for reason in self.reasons)

    @property
    def waits(self) -> bool:
        """Whether it could be moved once a host is up again, or has its storage attached."""
        return any(reason.code in WAITING for reason in self.reasons)

    @property
    def remedy(self) -> str:
        return " ".join(dict.fromkeys(reason.remedy for reason in self.reasons))

    def __str__(self) -> str:
        return f"{self.why} {self.remedy}"


@dataclass(frozen=True)
class Halted:
    """A VM that was stopped for an upgrade and is to run again. host: name; size: in MiB, kept free for it."""

    vm: str
    ref: str
    host: str
    size: int


@dataclass
class Survey:
    """hosts, vms: references by the names that the pool has them by. VMs that were stopped count as memory their host does not have.

    ejects: whether discs are taken out of drives; left: what remains to be done and cannot be planned now, in sentences with a remedy;
    opens: names of hosts that an earlier run has left in maintenance and that are to leave it first, since they are not upgraded any more.
    """

    objects: Objects
    pool: Pool
    hosts: dict[str, str]
    vms: dict[str, str]
    blockers: list[Blocker]
    halted: list[Halted]
    left: list[str] = field(default_factory=list)
    ejects: bool = True
    opens: list[str] = field(default_factory=list)

    def uuid_of_host(self, host: str) -> str:
        return str(self.objects.get("host", self.hosts[host])["uuid"])

    def uuid_of_vm(self, vm: str) -> str:
        return str(self.objects.get("VM", self.vms[vm])["uuid"])


def survey(
    objects: Objects,
    due: t.Mapping[str, Wanted],
    *,
    only: t.Collection[str] | None = None,
    ordered: bool = False,
    network: str = NULL,
    eject: bool = True,
    homes: bool = False,
) -> Survey:
    """due: hosts (by reference) to upgrade, those that are down left out; only: of them just these, None for all.

    ordered: whether they become newer, so that the coordinator must be first and VMs do not go back to those that are not done;
    network: carries the migrations, NULL for that of management; eject: whether discs are taken out of drives before VMs move;
    homes: whether VMs are to be brought back to where they were.
    """
    live = _live(objects)
    places = Places(objects, live, network=network, eject=eject, closed=_closed(objects, live))
    return _Survey(objects, due, only, places).made(ordered=ordered, homes=homes)


def _live(objects: Objects) -> dict[str, str]:
    """References by name."""
    return {hosts.name_of(objects, ref): ref for ref in objects.all("host") if hosts.is_live(objects, ref)}


def _closed(objects: Objects, live: t.Mapping[str, str]) -> set[str]:
    """Hosts that were in maintenance when the upgrade that is under way began, and stay so."""
    note = journal.read(objects)
    rows = {host: objects.get("host", ref) for host, ref in live.items()} if note else {}
    return {host for host, row in rows.items() if note and not row["enabled"] and row["uuid"] in note.disabled}


class _Survey:
    def __init__(self, objects: Objects, due: t.Mapping[str, Wanted], only: t.Collection[str] | None, places: Places):
        self.objects, self.due, self.only, self.places = objects, due, only, places
        self.at = {ref: host for host, ref in places.hosts.items()}
        self.by_uuid = {objects.get("host", ref)["uuid"]: ref for ref in objects.all("host")}
        self.label = Vms(objects).label
        self.left = [f"Host {host!r} is down and left out. Switch it on." for host in hosts.down(objects)]
        # versions as numbers, for the planner needs no more than their order
        own = {ref: capacity.versions(objects.get("host", ref)) for ref in self.at}
        order = sorted(set(own.values()))
        self.rank = {ref: order.index(version) for ref, version in own.items()}
        # members of these groups are to be on different hosts; older releases have none
        used = any(vm.get("groups") for vm in objects.all("VM").values())
        rows = objects.all("VM_group") if used else {}
        self.apart = {ref for ref, group in rows.items() if group["placement"] == "anti_affinity"}

    def made(self, *, ordered: bool, homes: bool) -> Survey:
        running = {ref: vm for ref, vm in guests(self.objects).items() if vm["resident_on"] in self.at}
        kept = self._kept(running)
        halted = self._halted()
        vms = {self.label(ref): ref for ref in running}
        pool = Pool(
            tuple(self._host(host, ref, halted) for host, ref in self.places.hosts.items()),
            tuple(self._vm(label, ref, kept.get(ref, []), homes=homes) for label, ref in vms.items()),
            hosts.name_of(self.objects, hosts.coordinator(self.objects)),
            self._target(ordered=ordered),
            None if self.only is None else frozenset(self.at[ref] for ref in self.only if ref in self.at),
        )
        blockers = self._blockers(running, kept)
        opens = [host for host, ref in self.places.hosts.items() if self._opens(ref)]
        return Survey(self.objects, pool, self.places.hosts, vms, blockers, halted, self.left, self.places.eject, opens)

    # hosts ----------------------------------------------------------------------------------------
    def _host(self, label: str, ref: str, halted: t.Iterable[Halted]) -> Host:
        memory = capacity.memory_capacity(self.objects, ref) // MIB - sum(one.size for one in halted if one.host == label)
        wanted = self.due.get(ref)
        usable = bool(self.objects.get("host", ref)["enabled"]) or self._opens(ref)
        return Host(label, memory, (self.rank[ref],), usable, wanted is not None, wanted is None or wanted.evacuate)

    def _opens(self, ref: str) -> bool:
        if self.at[ref] in self.places.closed or journal.read(self.objects) is None or self._wanted(ref):
            return False
        return not self.objects.get("host", ref)["enabled"] and not hosts.is_starting(self.objects, ref)

    def _wanted(self, ref: str) -> bool:
        return ref in self.due and (self.only is None or ref in self.only)

    def _target(self, *, ordered: bool) -> tuple[int, ...]:
        """Newer than all hosts, if the coordinator is to become newer; else what the newest host has."""
        newest = max(self.rank.values(), default=0)
        return (newest + 1 if ordered and hosts.coordinator(self.objects) in self.due else newest,)

    # VMs ------------------------------------------------------------------------------------------
    def _vm(self, label: str, ref: str, kept: list[Reason], *, homes: bool) -> Vm:
        vm = self.objects.get("VM", ref)
        here = self.at[vm["resident_on"]]
        allowed = self.places.of(ref) | {here}
        group = next((group for group in vm.get("groups", ()) if group in self.apart), None)
        return Vm(
            label, here, size_of(vm), not kept, ", ".join(reason.code for reason in kept), group,
            None if len(allowed) == len(self.at) else allowed, self.at.get(vm["affinity"]), self._home(vm) if homes else None,
        )  # fmt: skip

    def _kept(self, running: t.Mapping[str, Record]) -> dict[str, list[Reason]]:
        """Why VMs cannot be moved, by reference. Xapi is asked where the records do not tell."""
        kept = {ref: reasons for ref, vm in running.items() if (reasons := self.places.keeps(ref, self.at[vm["resident_on"]]))}
        doubtful: dict[str, list[str]] = {}
        for ref, vm in running.items():
            if ref not in kept and self._emptied(vm["resident_on"]) and is_doubtful(vm):
                doubtful.setdefault(vm["resident_on"], []).append(ref)
        return {**kept, **{ref: [reason] for ref, reason in told_by_xapi(self.objects, doubtful).items()}}

    def _emptied(self, host: str) -> bool:
        return self._wanted(host) and self.due[host].evacuate

    def _blockers(self, running: t.Mapping[str, Record], kept: t.Mapping[str, list[Reason]]) -> list[Blocker]:
        found = [
            Blocker(self.label(ref), running[ref]["uuid"], self.at[running[ref]["resident_on"]], tuple(reasons))
            for ref, reasons in kept.items()
            if self._emptied(running[ref]["resident_on"])
        ]
        return sorted(found, key=lambda one: (one.host, one.vm))

    def _home(self, vm: Record) -> str | None:
        uuid = marks.home(vm)
        if not uuid:
            return None
        ref = self.by_uuid.get(uuid, "")
        if ref not in self.at:
            where = f"host {hosts.name_of(self.objects, ref)!r}, which is down" if ref else "a host that is not in the pool any more"
            self.left.append(f"{name(vm)} is to be brought back to {where}. It stays on {self.at[vm['resident_on']]!r}.")
        return self.at.get(ref)

    def _halted(self) -> list[Halted]:
        found = []
        for ref, vm in guests(self.objects).items():
            mark = marks.stopped(vm)
            if not mark or vm["power_state"] not in ("Halted", "Suspended"):
                continue
            host = self.by_uuid.get(mark.host, "")
            if host in self.at:
                if not self._wanted(host) and not self.objects.get("host", host)["enabled"] and not self._opens(host):
                    self.left.append(f"{name(vm)} was stopped on host {self.at[host]!r}, which is in maintenance. Enable it (xen_host).")
                found.append(Halted(self.label(ref), ref, self.at[host], size_of(vm)))
            else:
                where = f"host {hosts.name_of(self.objects, host)!r}, which is down" if host else "a host that is not in the pool any more"
                self.left.append(f"{name(vm)} was stopped on {where}. Switch the host on, or start the VM elsewhere (xen_vm).")
        return sorted(found, key=lambda one: one.vm)


def size_of(vm: Record) -> int:
    """MiB that a host has to have free for it."""
    return -(-max(capacity.memory_needed(vm), capacity.memory_held(vm)) // MIB)
