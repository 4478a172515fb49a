# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A VM moves with its disks: copies in other storage, then the guest. What fails leaves nothing behind and the source as it was.

Rules: xen-api ocaml/xapi/xapi_vm_migrate.ml, storage_migrate.ml. Times are virtual seconds, shared by all migrations that leave one host.
"""

from __future__ import annotations

import typing as t

from . import cloning, guest_power, motion_crossing, power_states, vdi_operations, vm_running
from .behaviours.vdi import driver
from .behaviours.vdi_copy import BYTES_PER_SECOND
from .disks import access
from .errors import Fault
from .modeltypes import NULL
from .motion import family, network_for, visible
from .vm_operations import LIVE

if t.TYPE_CHECKING:
    from .database import Database
    from .dispatch import Call
    from .motion import Options, Target

STEPS = 10
BREATH = 0.002  # real seconds in each step: even where time does not count, a migration can be cancelled
KEPT = ("sharable", "other_config", "xenstore_data", "on_boot", "tags", "allow_caching")


class Journey:
    """One VM on its way."""

    def __init__(self, call: Call, vm: str, target: Target, wanted: Options, moved: t.Mapping[str, str]) -> None:
        self.call, self.db, self.vm, self.target, self.wanted = call, call.db, vm, target, wanted
        self.moved = moved
        record = self.db.get("VM", vm)
        self.source, self.live = record["resident_on"], record["power_state"] in LIVE
        self.made: dict[str, str] = {}  # disk -> its copy
        memory = guest_power.image_seconds(self.db, vm) if self.live else 0.0
        self.seconds = {vdi: self.db.get("VDI", vdi)["virtual_size"] / BYTES_PER_SECOND for vdi in moved}
        self.memory, self.total = memory, (sum(self.seconds.values()) + memory) or 1.0
        self.done = 0.0

    def run(self, task: str) -> str:
        """The VM at its target."""
        with self.call.world.traffic.lane(self.source) as sharing:
            try:
                for vdi in sorted(self.moved, key=lambda vdi: not self.db.get("VDI", vdi)["is_a_snapshot"]):
                    with vdi_operations.running(self.call, vdi, "mirror", force=True):
                        self._copy(vdi, sharing)
                self._link_copies()
                return self._move_guest(task, sharing)
            except BaseException:
                cloning.discard(self.target.call, [vdi for vdi in self.made.values() if self.target.db.exists("VDI", vdi)])
                raise

    # disks -----------------------------------------------------------------------------------------------------------
    def _copy(self, vdi: str, sharing: t.Callable[[], int]) -> None:
        record = dict(self.db.get("VDI", vdi))
        names = ("name_label", "name_description", "virtual_size", "type", "other_config", "xenstore_data", "tags", "sharable")
        fields = {name: record[name] for name in names}
        there = self.target.call
        copy = there.call("VDI.create", {**fields, "SR": self.moved[vdi], "read_only": False, "sm_config": {}})
        self.made[vdi] = copy
        self._spend(self.seconds[vdi], sharing)
        copy_contents(self.call, vdi, there, copy)
        self.target.db.set("VDI", copy, **{name: record[name] for name in KEPT}, read_only=record["read_only"])

    def _link_copies(self) -> None:
        """Copies of snapshots know what they are snapshots of."""
        for vdi, copy in self.made.items():
            record, there = self.db.get("VDI", vdi), self.target.db
            if not record["is_a_snapshot"]:
                continue
            of = self.made.get(record["snapshot_of"], "" if self.target.crossing else record["snapshot_of"])
            uuid = there.get("VDI", of)["uuid"] if there.exists("VDI", of) else ""
            kept = {"is_a_snapshot": True, "snapshot_time": record["snapshot_time"]}
            found, ctx = driver(self.target.call, there.get("VDI", copy)["SR"])
            found.vdi_set(ctx, there.get("VDI", copy)["location"], **kept, snapshot_of=uuid)
            there.set("VDI", copy, **kept, **({"snapshot_of": of} if uuid else {}))
            vdi_operations.refresh(there, copy)

    def _spend(self, seconds: float, sharing: t.Callable[[], int]) -> None:
        """Time passes, the task's progress grows, and both ends must stay there."""
        for _step in range(STEPS):
            self.call.sleep(seconds / STEPS * sharing())
            self.call.world.pause(BREATH)
            if self.target.machine.power != "on":
                raise Fault("VM_MIGRATE_FAILED", self.vm, self.source, self.target.host, "The destination went away")
            self.done += seconds / STEPS
            self.call.progress(min(0.99, self.done / self.total))

    # the guest -------------------------------------------------------------------------------------------------------
    def _move_guest(self, task: str, sharing: t.Callable[[], int]) -> str:
        if self.target.crossing:
            return self._cross(task, sharing)
        if self.live:
            with guest_power.reserved(self.call, self.vm, self.target.host, "vm_migrate") as found:
                for vif in self.db.get("VM", self.vm)["VIFs"]:
                    guest_power.attach_network(self.db, found, self.db.get("VIF", vif)["network"])
                with guest_power.same_domain(self.call, self.vm, task):
                    self._spend(self.memory, sharing)
                self._change_disks()
                power_states.to_host(found, self.vm)
        else:
            self._change_disks()
        source = guest_power.on_host(self.call, self.source) if self.live else "its storage"
        guest_power.tell(self.call, self.vm, "VM_MIGRATED", f"migrated from {source} to {guest_power.on_host(self.call, self.target.host)}")
        return self.vm

    def _cross(self, task: str, sharing: t.Callable[[], int]) -> str:
        if self.live:
            with guest_power.same_domain(self.call, self.vm, task):
                self._spend(self.memory, sharing)
        networks = {
            vif: network_for(self.db, self.vm, vif, self.wanted)
            for one in ([self.vm] if self.wanted.copy else family(self.db, self.vm))
            for vif in self.db.get("VM", one)["VIFs"]
        }
        arrived = motion_crossing.arrive(self.call, self.vm, self.target, self.made, networks, copy=self.wanted.copy)
        motion_crossing.bring_graphics(self.db, self.vm, self.target.db, arrived, self.wanted.graphics)
        if not self.wanted.copy:
            motion_crossing.leave(self.call, self.vm, list(self.made))
        return arrived

    def _change_disks(self) -> None:
        """Drives of the VM and its snapshots lead to the copies; the old disks and unreachable discs go."""
        for one in family(self.db, self.vm):
            for vbd in self.db.get("VM", one)["VBDs"]:
                record = self.db.get("VBD", vbd)
                if record["VDI"] in self.made:
                    self.db.set("VBD", vbd, VDI=self.made[record["VDI"]])
                elif self.live and one == self.vm and record["type"] == "CD" and not record["empty"]:
                    _eject_unseen(self.db, vbd, self.target.host)
            if (image := self.db.get("VM", one)["suspend_VDI"]) in self.made:
                self.db.set("VM", one, suspend_VDI=self.made[image])
        cloning.discard(self.call, self.made)
        for copy in self.made.values():
            vdi_operations.refresh(self.db, copy)
        for one in family(self.db, self.vm):
            vm_running.refresh(self.db, one)


def _eject_unseen(db: Database, vbd: str, host: str) -> None:
    disc = db.get("VBD", vbd)["VDI"]
    if not visible(db, db.get("VDI", disc)["SR"], host):
        db.set("VBD", vbd, VDI=NULL, empty=True)


def copy_contents(call: Call, vdi: str, there: Call, copy: str) -> None:
    """What is on the disk is on its copy."""
    with access.writing(there.machine, copy) as writer:
        access.copy(access.chain(call.machine, vdi), writer)
