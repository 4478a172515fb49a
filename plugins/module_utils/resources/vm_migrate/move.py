# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One migration: which of xapi's ways it goes, every obstacle to it, its calls."""

from __future__ import annotations

import typing as t

from ... import hosts, movable
from ...client import Session
from ...errors import ApiError, NotFound
from ...movable import MIGRATE_SEND, POOL_MIGRATE
from ...plan import Plan
from ...reasons import Reason, name
from ...refs import NULL, Objects, Record
from ...resource import Found
from . import cross, disks, words

MIGRATION_NETWORK = "xo:migrationNetwork"  # pool.other_config: uuid of the network that Xen Orchestra migrates over
THERE = "the other pool"


class Pools(t.NamedTuple):
    """Where the VM is and where it goes to; theirs is ours and other None inside a pool."""

    session: Session
    ours: Objects
    other: Session | None
    theirs: Objects


class Move:
    """Inside a pool: pool_migrate for the memory alone, VDI.pool_migrate for disks alone, migrate_send for both and to another pool.

    needed: whether anything is to be done at all. Raises NotFound, Ambiguous, InvalidChange for a name that is none.
    """

    def __init__(self, pools: Pools, params: Record, found: Found):
        self.session, self.ours, self.other, self.theirs = pools
        self.params, self.ref, self.vm = params, found.ref, found.record
        self.copy, self.force = bool(params["copy"]), bool(params["force"])
        self.running = self.vm["power_state"] in movable.LIVE
        self.host = self._host()
        wishes = disks.Wishes(params["sr"] or "", params["disks"] or {}, params["srs"] or {})
        self.disks = disks.of(self.ours, self.vm)
        goals, self.unmapped = disks.goals(self.disks, wishes, self.ours, self.theirs, self.host)
        here = {disk.vdi: disk.sr for disk in self.disks}
        self.moved = {vdi: sr for vdi, sr in goals.items() if self.other or here[vdi] != sr}
        self.map = goals if self.other else {**here, **goals}
        self.relocates = self.running and self.host != self.vm["resident_on"]
        self.across = not (self.running or self.other) and any(not self._near(vdi, sr) for vdi, sr in self.moved.items())
        if self.across and not self.host:
            self.host = self._host_with(set(self.map.values()))
        self.network, self.warnings = NULL, list[str]()
        self.discs: list[Reason] = []  # drives that are emptied first
        self.vifs: dict[str, str] = {}

    def _host(self) -> str:
        """The host to be on; "" for a VM that runs on none and may start anywhere."""
        if self.other:
            return cross.target_host(self.other, self.theirs, self.params["host"])
        if self.params["host"]:
            return hosts.resolve(self.ours, self.params["host"])
        return str(self.vm["resident_on"]) if self.running else ""

    def _near(self, vdi: str, sr: str) -> bool:
        """Whether a host has both the SR a disk is in and the one it goes to."""
        return bool(self._host_with({self.ours.get("VDI", vdi)["SR"], sr}))

    def _host_with(self, srs: t.Collection[str]) -> str:
        """A host that takes guests and has all these SRs; "" if there is none."""
        rows = sorted(self.ours.all("host").items(), key=lambda row: str(row[1]["name_label"]))
        fitting = (ref for ref, row in rows if row["enabled"] and hosts.is_live(self.ours, ref))
        return next((ref for ref in fitting if all(movable.plugged(self.ours, sr, ref) for sr in srs)), "")

    @property
    def operation(self) -> str:
        return MIGRATE_SEND if self.other or self.moved else POOL_MIGRATE

    @property
    def sends(self) -> bool:
        return bool(self.other or (self.moved and self.relocates) or self.across)

    @property
    def needed(self) -> bool:
        return bool(self.sends or self.moved or self.relocates or self._out_of_reach())

    def where(self) -> str:
        return f" to host {hosts.name_of(self.theirs, self.host)!r}" if self.host else ""

    # obstacles ----------------------------------------------------------------------
    def obstacles(self) -> list[Reason]:
        """All that records tell, without what the task may cure; if there is nothing, what xapi says when asked."""
        reasons = movable.stays(self.ours, self.ref, self.operation, force=self.force) if self.sends or self.moved or self.relocates else []
        if self.across and not self.host:
            reasons.append(Reason("VM_REQUIRES_SR", f"No host has all the SRs that {name(self.vm)} would need.",
                                  "Choose SRs that one host has."))  # fmt: skip
        elif self.relocates or self.other or self.across:
            reasons += movable.refuses(self.theirs, self.host, self.vm, force=self.force, with_memory=self.running)
            reasons += self._choose_network()
        if self.other:
            reasons += [*self.unmapped, *cross.obstacles(self.ours, self.ref, self.theirs, self.host, copy=self.copy)]
            self.vifs, unreached = cross.networks(self.ours, self.vm, self.theirs, self.host, self.params["networks"] or {})
            reasons += unreached
        elif self.relocates:
            reasons += movable.lacks(self.ours, self.ref, self.host, moved=self.moved, ejects=self.sends)
            reasons += movable.overcommits(self.ours, self.ref, self.host)
        else:
            reasons += self._out_of_reach()
        if self.moved:
            host = self.host or (str(self.vm["resident_on"]) if self.running else "")
            reasons += disks.obstacles(self.ours, self.vm, self.moved, self.theirs, host)
        if self.params["eject_cd"]:
            self.discs = [reason for reason in reasons if reason.cd]
        left = [reason for reason in reasons if reason not in self.discs]
        return left or self._asked()

    def _out_of_reach(self) -> list[Reason]:
        """Disks that a VM which runs nowhere would lack on the host the task names."""
        if self.running or self.other or not self.host:
            return []
        reasons = movable.lacks(self.ours, self.ref, self.host, moved=self.moved, ejects=True)
        return [reason for reason in reasons if reason.code == "VM_REQUIRES_SR"]

    def _choose_network(self) -> list[Reason]:
        """The one the task names, else the one the pool keeps for it, else xapi's own choice: that of management."""
        if self.params["network"]:
            self.network = self.theirs.resolve("network", self.params["network"])
            return movable.cannot_carry(self.theirs, self.host, self.network)
        kept = hosts.pool_of(self.theirs)[1]["other_config"].get(MIGRATION_NETWORK)
        if not kept:
            return []
        try:
            self.network = self.theirs.resolve("network", kept)
        except NotFound:
            return []
        if reasons := movable.cannot_carry(self.theirs, self.host, self.network):
            self.network = NULL
            self.warnings.append(f"{reasons[0].text} It is the pool's {MIGRATION_NETWORK}; the management network is used instead.")
        return []

    def _asked(self) -> list[Reason]:
        """What xapi alone knows, such as GPUs, licences or a guest that is about to end. Nothing is begun by asking."""
        try:
            if self.operation not in self.vm["allowed_operations"] and not self.force:
                self.session.call("VM.assert_operation_valid", self.ref, self.operation)
            if self.sends:
                where = cross.destination(self.other or self.session, self.theirs, self.host)
                self.session.call("VM.assert_can_migrate", self.ref, where, self.running, self.map, self.vifs, self._send_options())
            elif self.relocates:
                self.session.call("VM.assert_can_boot_here", self.ref, self.host)
        except ApiError as e:
            cured = (self.discs and e.code == "VM_REQUIRES_SR") or (self.force and e.code == "VM_INCOMPATIBLE_WITH_THIS_HOST")
            return [] if cured else [words.said(e, self.ours, self.theirs)]
        return []

    # calls --------------------------------------------------------------------------
    def steps(self, plan: Plan) -> None:
        label = name(self.vm)
        for reason in self.discs:
            plan.add("VBD.eject", reason.cd, what=f"take the disc out of the drive of {label}")
        if self.discs:
            plan.facts["cured"] = [reason.text for reason in self.discs]
        if self.sends:
            self._send(plan, f"{'copy' if self.copy else 'move'} {label}{self.where()}")
        elif self.relocates:
            plan.add("VM.pool_migrate", self.ref, self.host, self._pool_options(), what=f"move {label}{self.where()}", slow=True)
        else:
            for disk in (disk for disk in self.disks if disk.vdi in self.moved):
                what = f"move disk {disk.device} of {label} to SR {self.ours.label('SR', self.moved[disk.vdi])!r}"
                plan.add("VDI.pool_migrate", disk.vdi, self.moved[disk.vdi], {}, what=what, slow=True)
        self._result(plan)

    def _send(self, plan: Plan, what: str) -> None:
        network = self.network if self.network != NULL else self._management()
        ready = f"prepare host {hosts.name_of(self.theirs, self.host)!r} for it"
        to = plan.add("host.migrate_receive", self.host, network, {}, what=ready, on=THERE if self.other else "")
        plan.add("VM.migrate_send", self.ref, to, self.running, self.map, self.vifs, self._send_options(), what=what, slow=True)

    def _result(self, plan: Plan) -> None:
        if self.running:
            plan.after["host"] = hosts.name_of(self.theirs, self.host)
        if self.other:
            plan.after["pool"] = THERE
        plan.after["disks"] = {disk.device: self.theirs.label("SR", self.map[disk.vdi]) for disk in self.disks}

    def _management(self) -> str:
        pifs = self.theirs.all("PIF").values()
        return next((str(pif["network"]) for pif in pifs if pif["host"] == self.host and pif["management"]), NULL)

    def _pool_options(self) -> dict[str, str]:
        options = {"live": "true"}
        if self.network != NULL:
            options["network"] = self.network
        if self.force:
            options["force"] = "true"
        if self.params["compress"] is not None:
            options["compress"] = str(self.params["compress"]).lower()
        return options

    def _send_options(self) -> dict[str, str]:
        options = {"force": "true"} if self.force else {}
        return {**options, "copy": "true"} if self.copy else options
