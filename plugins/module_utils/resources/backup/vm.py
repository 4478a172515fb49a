# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One more backup of a VM: what is taken, and in which order. Nothing of an earlier backup goes before the new one is complete."""

from __future__ import annotations

import contextlib
import functools
import time
import typing as t

from ... import tasks
from ...backup.manifest import Disk
from ...errors import InvalidChange, XenError
from ...plan import Later, Plan
from ...resource import TASK, Found
from ...vms import Vms
from ..snapshot.disks import alone, disks_of
from ..vm_export import GET, GET_METADATA, release_of
from . import changed, describing, drives, fetching, snapshots, whole
from .base import COMMIT, Backup
from .drives import Drive, Drives
from .grounds import Grounds, Search
from .purging import Purge

METADATA = "metadata.xva"
SETTLE = 300.0  # seconds that the pool may need to notice that a dead task reads no more
SOON = 60.0  # seconds for each call that tidies up after a failure


class VmBackup(Backup):
    kind = "vm"

    def __init__(self, session: t.Any, params: t.Any):
        super().__init__(session, params)
        self.created = 0.0  # when the snapshot was taken
        self._disks: list[Disk] = []

    # looking --------------------------------------------------------------------------------
    def find(self) -> Found:
        """What a task that is dead left at work is waited for, once nobody else can be the one. Raises NotFound, Ambiguous, Timeout."""
        found = self._find()
        if self.is_alone and self.repository.id and snapshots.busy(self.objects, found.ref, self.repository.id):
            tasks.wait_until(f"the pool to end what an earlier backup of {self.label!r} began", self._is_idle, timeout=SETTLE)
            self.objects.forget()
            found = self._find()
        return found

    def _find(self) -> Found:
        uuid, name = self.params.get("uuid"), str(self.params.get("name") or "")
        ref = Vms(self.objects).resolve(uuid or name)
        record = self.objects.get("VM", ref)
        if name and uuid and record["name_label"] != name:
            raise InvalidChange(f"VM {uuid} is named {record['name_label']!r}, not {name!r}.")
        return Found(ref, record)

    def _is_idle(self) -> bool | str:
        self.objects.forget()
        return snapshots.busy(self.objects, self._find().ref, self.repository.id) or True

    def _grounds(self, found: Found, chosen: Drives) -> Grounds:
        return Search(self.objects, self.subject(found), self.repository.id, found, chosen.taken, self.params).grounds()

    # planning -------------------------------------------------------------------------------
    def steps(self, plan: Plan, found: Found) -> None:
        self._refuse(found)
        self.created = 0.0
        chosen = drives.of(self.objects, found, self.params["ignore_disks"])
        grounds = self._grounds(found, chosen)
        self._remove_but(plan, found, grounds)
        plan.facts["left_out"] = chosen.left_out
        if self.params["mode"] == "full":
            whole.steps(self, plan, found, chosen)
            return
        drives.refuse_too_large(chosen, found.record["name_label"])
        if found.record["power_state"] == "Suspended":
            plan.warnings.append(f"{self.label} is suspended: the backup holds its disks, no memory. mode: full keeps both.")
        plan.facts["reason"] = grounds.why
        parent = grounds.parent.stamp if grounds.parent and grounds.bases else ""
        plan.after.update(form="vhd", parent=parent, disks=[drive.place for drive in chosen.taken])
        self._disks = []
        made = self._through_a_snapshot(plan, found, chosen, grounds) if chosen.taken else None
        if not made:
            self.add_metadata(plan, found)
        self.add_commit(plan, found, chosen, form="vhd", parent=parent, reason=grounds.why)
        if grounds.snapshot:
            snapshots.remove(plan, self.objects, grounds.snapshot)
        self._remove_single(plan, grounds.single)
        if made and self._may_lose_data(chosen):
            inherited = {str(drive) for drive in chosen.taken if snapshots.MARK in drive.disk.record["other_config"]}
            Purge(self).steps(plan, *made, found.record["name_label"], inherited)

    def tidied(self, plan: Plan, found: Found) -> None:
        chosen = drives.of(self.objects, found, self.params["ignore_disks"])
        grounds = self._grounds(found, chosen)
        self._remove_but(plan, found, grounds)
        for left in grounds.single:  # a task that was killed in the middle of it
            if left.record["type"] != changed.METADATA and self._may_lose_data(chosen):
                Purge(self).finish(plan, left.ref, repr(left.record["name_label"]))

    def _remove_but(self, plan: Plan, found: Found, grounds: Grounds) -> None:
        for left in snapshots.ours(self.objects, found.ref, self.repository.id):
            if grounds.snapshot is None or left.ref != grounds.snapshot.ref:
                snapshots.remove(plan, self.objects, left)
        single = changed.bases(self.objects, self.repository.id, found.record["uuid"])
        self._remove_single(plan, [left for _stamp, left in single if left not in grounds.single])

    def _remove_single(self, plan: Plan, single: t.Sequence[Found]) -> None:
        for left in single:
            plan.add("VDI.destroy", left.ref, what=f"delete the snapshot of disk {left.record['name_label']!r}", slow=True)

    def _may_lose_data(self, chosen: Drives) -> bool:
        """Whether the next increment can do without the data of this one's snapshot."""
        return self.params["cbt"] != "never" and not any(changed.keeps_data(self.objects, d.disk.record) for d in chosen.taken)

    def _refuse(self, found: Found) -> None:
        label, state, params = f"VM {found.record['name_label']!r}", found.record["power_state"], self.params
        if state in ("Running", "Paused") and not params["live"]:
            raise InvalidChange(f"{label} is {state.lower()}.", hint="Halt it first, or set live: true.")
        if params["consistency"] == "memory" and params["mode"] != "full":
            raise InvalidChange(
                f"An incremental backup of {label} holds its disks only, no memory.", hint="Set mode: full, or consistency: disk."
            )
        if params["full_every"] < 0:
            raise InvalidChange(f"full_every is {params['full_every']}: that cannot be.", hint="0 means only when needed.")

    def _through_a_snapshot(self, plan: Plan, found: Found, chosen: Drives, grounds: Grounds) -> tuple[Later, dict[str, Later]]:
        """The snapshot, and its disks by name."""
        label = found.record["name_label"]
        snapshot = self.add_snapshot(plan, found, chosen)
        self.add_metadata(plan, found)
        vdis: dict[str, Later] = {}
        for drive in chosen.taken:
            base = grounds.bases.get(drive.uuid)
            vdi = plan.find("VBD", "VDI", VM=snapshot, userdevice=drive.place)
            run = functools.partial(self._fetch, drive, base, label)
            if base and base.otherwise and self.params["cbt"] != "never" and drive.disk.record.get("cbt_enabled"):
                self.warn(f"Disk {drive} of VM {label!r} is read in another way than by changed blocks: {base.otherwise}.")
            method = fetching.READ if base and not base.otherwise else fetching.GET
            plan.add(method, vdi, what=f"back up disk {drive} of VM {label!r}", run=run)
            vdis[str(drive)] = vdi
        return snapshot, vdis

    def add_snapshot(self, plan: Plan, found: Found, chosen: Drives) -> Later:
        """The snapshot, named and marked for this backup. Raises InvalidChange where there can be none."""
        label = found.record["name_label"]
        taken, every = [drive.disk for drive in chosen.taken], [drive.disk for drive in chosen.every]
        snapshots.check(self.session, self.objects, plan, found, taken, every, self.params)
        method = snapshots.method(self.params["consistency"])
        ignored = ([drive.disk.vdi for drive in chosen.skipped],) if chosen.skipped else ()  # older releases do not know the parameter
        take = functools.partial(self._take, method)
        snapshot = plan.add(method, found.ref, *ignored, what=f"take a snapshot of VM {label!r}", run=take)
        if snapshots.MARK in found.record["other_config"]:
            plan.add("VM.remove_from_other_config", snapshot, snapshots.MARK, what=f"remove the mark that VM {label!r} has inherited")
        plan.add("VM.add_to_other_config", snapshot, snapshots.MARK, what=f"mark the snapshot of VM {label!r}", run=self._mark)
        return snapshot

    def add_metadata(self, plan: Plan, found: Found) -> None:
        what = f"export the description of VM {found.record['name_label']!r}"
        plan.add(GET_METADATA, found.ref, what=what, run=functools.partial(self._describe, found.record["name_label"]))

    def add_commit(self, plan: Plan, found: Found, chosen: Drives, *, form: str, parent: str = "", reason: str = "") -> None:
        details = {**describing.details(self.objects, found), "consistency": self.params["consistency"], "reason": reason}
        if form == "xva":
            details["compression"] = self.params["compression"]
        commit = functools.partial(self._commit, form, parent, chosen.left_out, details, release_of(self.objects))
        plan.add(COMMIT, what=f"complete the backup of VM {found.record['name_label']!r}", run=commit)

    # working --------------------------------------------------------------------------------
    def _take(self, method: str, vm: str, *ignored: list[str]) -> t.Any:
        name = snapshots.name(self.repository.establish(), self.draft.stamp)
        self.created = time.time()
        return tasks.run(self.session, method, (vm, name, *ignored), timeout=TASK)

    def _mark(self, snapshot: str, key: str) -> None:
        uuid = str(self.session.call("VM.get_uuid", snapshot))
        self.session.call("VM.add_to_other_config", snapshot, key, snapshots.mark(self.repository.id, self.draft.stamp, uuid))

    def single_mark(self, vdi: str) -> str:
        """What the snapshot of a single disk bears. vdi: its reference."""
        uuid = str(self.session.call("VDI.get_uuid", vdi))
        return changed.mark(self.repository.id, self.draft.stamp, self._found.record["uuid"], uuid)

    def _describe(self, label: str, vm: str) -> None:
        self.created = self.created or time.time()
        query = {"ref": vm, "export_snapshots": "false"}
        self.receive("/export_metadata", query, METADATA, what=f"Backup of {label}: description", through=describing.Checked)

    def _fetch(self, drive: Drive, base: t.Any, label: str, vdi: str) -> None:
        drives.refuse_other(drive, self.session.call("VDI.get_record", vdi), label)
        self._disks.append(fetching.fetch(self, drive, base, vdi, label))

    def note(self, disks: t.Sequence[Disk]) -> None:
        """Disks whose data is in another file."""
        self._disks = list(disks)

    def _commit(self, form: str, parent: str, left_out: list[dict[str, str]], details: dict[str, t.Any], release: dict[str, str]) -> None:
        builds = any(disk.parent_vhd for disk in self._disks)
        self.commit(
            form=form, parent=parent if builds else "", created=self.created, release=release, disks=self._disks, left_out=left_out,
            details=details,
        )  # fmt: skip

    def abandon(self) -> None:
        """The snapshots of the backup that failed go, the one that the next will build on stays. What does not go now is left for that."""
        with contextlib.suppress(XenError):
            if self._is_idle() is not True:  # asked here first: nobody waits for a pool that does not answer
                tasks.wait_until("the pool to end its part", self._is_idle, timeout=SOON)
            found = self._find()
            kept = self._grounds(found, drives.of(self.objects, found, [])).snapshot
            for left in snapshots.ours(self.objects, found.ref, self.repository.id):
                if kept is None or left.ref != kept.ref:
                    self._discard(left)

    def _discard(self, snapshot: Found) -> None:
        """The record goes last, for it tells whose the disks are. Raises XenError."""
        if snapshot.record["power_state"] != "Halted":
            tasks.run(self.session, "VM.hard_shutdown", (snapshot.ref,), timeout=SOON)
        for disk in alone(self.objects, disks_of(self.objects, snapshot.record), snapshot.ref):
            tasks.run(self.session, "VDI.destroy", (disk.vdi,), timeout=SOON)
        tasks.run(self.session, "VM.destroy", (snapshot.ref,), timeout=SOON)


__all__ = ["GET", "VmBackup"]
