# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Disks of a backup onto a VM that is there: as new disks of it, or in the place of those it has."""

from __future__ import annotations

import contextlib
import functools
import typing as t
from dataclasses import dataclass

from ... import disks, stream
from ...backup.manifest import Disk
from ...errors import InvalidChange, OutcomeUnknown, XenError
from ...formats import ova, xva
from ...formats.sizes import readable_size
from ...plan import Handle, Plan
from ...refs import Record
from ...resource import Found
from ...storage import Storage
from ...tasks import quietly
from ...vms import Vms
from ..vm_import import unfinished
from ..vm_import.arrival import host_for
from . import choice, content, files
from .base import Restore
from .checking import Checks, Held
from .description import RESTORED, RESTORING
from .drives import Drive, Drives, noted

PUT = "http/put_import_raw_vdi"  # as xapi calls the permission


@dataclass
class Come:
    """A disk that an earlier run made. whole: all of its content is there; drive: what is still to be done, None if nothing."""

    ref: str
    record: Record
    whole: bool
    drive: Drive | None


class DisksRestore(Restore):
    kind = "vm"
    onto = True
    _what_for = "the disks go onto a VM, which stays as it is otherwise"

    def __init__(self, session: t.Any, params: Record):
        super().__init__(session, params)
        self._task = ""
        self._unfinished = unfinished.Unfinished()

    @functools.cached_property
    def disks(self) -> list[Disk]:
        """Those that are wanted. Raises InvalidChange."""
        return choice.disks(self.manifest, self.params.get("disks"), self.told)

    @functools.cached_property
    def _checks(self) -> Checks:
        return Checks(self.subject, self.backup)

    def _mark(self, disk: Disk, vm: Record) -> str:
        return f"{self.manifest.id} {disk.device} {vm['uuid']}"

    def _description(self, vm: Record) -> str:
        """Of the tasks of the transfers."""
        return f"{RESTORED} {self.manifest.id} onto {vm['uuid']}"

    # looking --------------------------------------------------------------------------
    def find(self) -> Found:
        """The VM that gets them. Raises NotFound, Ambiguous, InvalidChange."""
        self.refuse_options("networks", "preserve", "new_name", "start", "dry_run")
        content.refuse_none(self.disks, self.told)
        if self.params["remove_replaced"] and not self.params["replace"]:
            raise InvalidChange("remove_replaced is of no use without replace.", hint="Set replace: true, or leave remove_replaced out.")
        ref = Vms(self.objects).resolve(self.params["onto"])
        self._unfinished = unfinished.look_for(self.objects, self._description(self.objects.get("VM", ref)))
        for task in self._unfinished.tasks:
            if self.session.call("task.get_status", task) == "pending":
                raise InvalidChange("This restore is under way already, begun by another task.", hint="Wait for it to end.")
            self.objects.forget()  # it may have ended meanwhile
        return Found(ref, self.objects.get("VM", ref))

    def observe(self, found: Found) -> dict[str, t.Any]:
        vdis = self.objects.all("VDI")
        mine = [vbd for vbd in Drives(self.objects, found.record).rows.values() if vbd["type"] == "Disk" and vbd["VDI"] in vdis]
        marks = {self._mark(disk, found.record): disk.device for disk in self.disks}
        restored = {marks[mark]: vbd["userdevice"] for vbd in mine if (mark := vdis[vbd["VDI"]]["other_config"].get(RESTORED)) in marks}
        return {
            "name": found.record["name_label"],
            "disks": dict(sorted((vbd["userdevice"], vdis[vbd["VDI"]]["name_label"]) for vbd in mine)),
            "restored": dict(sorted(restored.items())),
            "power_state": found.record["power_state"],
        }

    def _come(self, disk: Disk, vm: Found) -> list[Come]:
        """What earlier runs made of it, what is complete first. Snapshots and clones of it bear its mark, too."""
        mark, found, storage = self._mark(disk, vm.record), [], Storage(self.objects)
        for ref, row in self.objects.all("VDI").items():
            users = {vbd["VM"] for vbd in storage.vbds(ref).values()}
            if row["is_a_snapshot"] or (users and vm.ref not in users):
                continue
            config = row["other_config"]
            begun = str(config.get(RESTORING, ""))
            if config.get(RESTORED) == mark or begun.startswith(f"{mark} "):
                found.append(Come(ref, row, config.get(RESTORED) == mark, noted(begun[len(mark) :]) if begun else None))
        return sorted(found, key=lambda come: not come.whole)

    # planning -------------------------------------------------------------------------
    def plan(self, found: Found | None) -> Plan:
        if found is None:
            raise InvalidChange("There is no VM to restore the disks onto.")
        before = self.observe(found)
        plan = Plan(before, {**before, "disks": dict(before["disks"]), "restored": dict(before["restored"])})
        come = {disk.device: self._come(disk, found) for disk in self.disks}
        fresh = [disk for disk in self.disks if not any(one.whole for one in come[disk.device])]
        self._refuse_elsewhere(found, come)
        pending = [(disk, one, one.drive) for disk in self.disks for one in come[disk.device] if one.whole and one.drive]
        if fresh or pending:
            self._refuse_state(found)
        if fresh:
            self._refuse_bad(fresh)
        self._unfinished.forget(plan)
        drives = Drives(self.objects, found.record)
        for _disk, _one, drive in pending:
            drives.take(drive.place)
        chosen = self._targets(plan, fresh, drives)
        for left in [one for disk in self.disks for one in come[disk.device] if not one.whole]:
            plan.add("VDI.destroy", left.ref, what=f"remove disk {left.record['name_label']!r}, which is not complete", slow=True)
        for disk, one, drive in pending:
            self._attach(plan, found, drives, disk, one.ref, drive)
        for disk in fresh:
            drive, sr = chosen[disk.device]
            self._attach(plan, found, drives, disk, self._fill(plan, found, disk, drive, sr), drive)
        plan.after.update({key: dict(sorted(plan.after[key].items())) for key in ("disks", "restored")})
        plan.warnings += self.passed_over
        plan.facts["backup"] = self.backup.told()
        return plan

    def _targets(self, plan: Plan, fresh: t.Sequence[Disk], drives: Drives) -> dict[str, tuple[Drive, str]]:
        """Drive and SR of the disks that are to be made, by device. Raises what speaks against one of them."""
        storage, chosen = Storage(self.objects), {}
        for disk in fresh:
            drive = drives.instead(disk, self._drives_then.get(disk.device, {})) if self.params["replace"] else drives.beside()
            sr = self._sr(storage, disk, drive)
            storage.refuse_size(disk.virtual_size, storage.image_format({"SR": sr, "sm_config": {}}), disk.name)
            chosen[disk.device] = drive, sr
        plan.warnings += storage.room([(sr, disk.virtual_size) for disk in fresh for _drive, sr in [chosen[disk.device]]])
        self._refuse_full(storage, fresh, chosen)
        return chosen

    def _sr(self, storage: Storage, disk: Disk, drive: Drive) -> str:
        """The one that is asked for, else that of the disk that is replaced, else as for a VM."""
        replaced = next((row for row in self.objects.all("VDI").values() if drive.replaces and row["uuid"] == drive.replaces), None)
        if replaced and not self.params.get("sr"):
            return storage.for_disks(self.objects.get("SR", replaced["SR"])["uuid"])
        return choice.storage(storage, self.params.get("sr"), [disk])

    def _fill(self, plan: Plan, found: Found, disk: Disk, drive: Drive, sr: str) -> Handle:
        mark, then = self._mark(disk, found.record), self._drives_then.get(disk.device, {})
        described = self._description_then.get("VDI", then.get("VDI", ova.NULL))
        record: dict[str, t.Any] = {
            "name_label": disk.name, "name_description": described.get("name_description", ""), "SR": sr, "virtual_size": disk.virtual_size,
            "type": "user", "sharable": False, "read_only": False, "tags": list(described.get("tags", [])), "xenstore_data": {},
            "sm_config": {}, "other_config": {RESTORING: f"{mark} {drive.note()}"},
        }  # fmt: skip
        vdi = plan.add("VDI.create", record, what=f"create disk {disk.name!r}", slow=True)
        send = functools.partial(self._send, found.record, disk, sr)
        plan.add(PUT, vdi, what=f"restore disk {disk.name!r} from {self.told}", run=send)
        plan.add("VDI.add_to_other_config", vdi, RESTORED, mark, what=f"mark disk {disk.name!r}")
        plan.add("task.destroy", what="remove the task of the transfer", run=self._forget_task)
        return vdi

    @functools.cached_property
    def _description_then(self) -> ova.Ova:
        with files.plain(files.needed(self.backup, files.METADATA), str(self.params.get("identity") or "")) as path:
            return ova.parse(xva.description_of(path))

    @functools.cached_property
    def _drives_then(self) -> dict[str, Record]:
        """The drives in the VM's description, by device."""
        rows = ova.rows_of(self._description_then, "VBD", self._description_then.vms()[0], "userdevice")
        return {row["userdevice"]: row for row in rows}

    def _attach(self, plan: Plan, found: Found, drives: Drives, disk: Disk, vdi: Handle, drive: Drive) -> None:
        label, there = found.record["name_label"], drives.at(drive.place)
        vdis = self.objects.all("VDI")
        if there and there[1]["VDI"] != vdi:
            replaced = vdis.get(there[1]["VDI"], {})
            if not drive.replaces or replaced.get("uuid") != drive.replaces:
                raise InvalidChange(
                    f"Disk {disk.name!r} cannot go to place {drive.place} of VM {label!r}: something else is there meanwhile.",
                    hint="Free that place, or remove the disk that was restored (xen_vdi) and run the task again.",
                )
            plan.add("VBD.destroy", there[0], what=f"detach disk {replaced['name_label']!r} from VM {label!r}")
            there = None
        if there is None:
            made = disks.vbd_record(
                found.ref, vdi, drive.place, drive.mode, bootable=drive.bootable, other_config=dict(drive.other_config)
            )  # fmt: skip
            vbd = plan.add("VBD.create", made, what=f"attach disk {disk.name!r} to VM {label!r}")
            if found.record["power_state"] == "Running":
                plan.add("VBD.plug", vbd, what=f"plug disk {disk.name!r} into VM {label!r}", slow=True)
        elif found.record["power_state"] == "Running" and not there[1]["currently_attached"]:
            plan.add("VBD.plug", there[0], what=f"plug disk {disk.name!r} into VM {label!r}", slow=True)
        self._remove_replaced(plan, found, drive)
        plan.add("VDI.remove_from_other_config", vdi, RESTORING, what=f"end the restore of disk {disk.name!r}")
        plan.after["disks"][str(drive.place)] = disk.name
        plan.after["restored"][disk.device] = str(drive.place)

    def _remove_replaced(self, plan: Plan, found: Found, drive: Drive) -> None:
        for ref, row in self.objects.all("VDI").items() if self.params["remove_replaced"] and drive.replaces else ():
            if row["uuid"] == drive.replaces:
                self._refuse_shared(ref, row, found)
                plan.add("VDI.destroy", ref, what=f"remove disk {row['name_label']!r}, which was replaced", slow=True)

    # refusals -------------------------------------------------------------------------
    def _refuse_shared(self, vdi: str, row: Record, found: Found) -> None:
        vms = self.objects.all("VM")
        others = [vms[vbd["VM"]]["name_label"] for vbd in Storage(self.objects).vbds(vdi).values() if vbd["VM"] != found.ref]
        if others:
            raise InvalidChange(
                f"Disk {row['name_label']!r} cannot be removed when it is replaced: VM {min(others)!r} has it, too.",
                hint="Leave remove_replaced out.",
            )

    def _refuse_elsewhere(self, found: Found, come: t.Mapping[str, t.Sequence[Come]]) -> None:
        """Where it is to replace another one, and was restored beside it before."""
        rows = Drives(self.objects, found.record).rows.values()
        for disk in self.disks if self.params["replace"] else ():
            places = {one.drive.place for one in come[disk.device] if one.whole and one.drive}
            mine = {one.ref for one in come[disk.device] if one.whole and not one.drive}
            places |= {disks.place_of(vbd) for vbd in rows if vbd["VDI"] in mine}
            if places and disks.place_of({"userdevice": disk.device}) not in places:
                raise InvalidChange(
                    f"Disk {disk.name!r} of this backup was restored already, to place {min(places)} of VM "
                    f"{found.record['name_label']!r} and not to its own.", hint="Remove that disk first (xen_vdi), then run this again.",
                )  # fmt: skip

    def _refuse_state(self, found: Found) -> None:
        label, state = found.record["name_label"], found.record["power_state"]
        if self.params["replace"] and state != "Halted":
            raise InvalidChange(f"Disks of VM {label!r} cannot be replaced: it is {state.lower()}.", hint="Halt it first (xen_vm).")
        if why := disks.hotplug_refusal(self.objects, found.record):
            raise InvalidChange(f"No disk can be attached to VM {label!r} now: {why}.", hint="Halt it first (xen_vm).")

    def _refuse_bad(self, fresh: t.Sequence[Disk]) -> None:
        for disk in fresh:
            if self.params["verify"] == "before":
                self._checks.check(content.parts(self.backup, disk))
            else:
                content.refuse_broken(self.backup, disk)

    def _refuse_full(self, storage: Storage, fresh: t.Sequence[Disk], chosen: t.Mapping[str, tuple[Drive, str]]) -> None:
        for sr in {sr for _drive, sr in chosen.values()}:
            mine = [disk for disk in fresh if chosen[disk.device][1] == sr]
            data = sum(
                min(disk.virtual_size, sum(stored.size for _one, stored in content.parts(self.backup, disk))) for disk in mine if disk.file
            )  # fmt: skip
            free = storage.free(sr)
            if not storage.is_thick(sr) and free is not None and data > free:
                raise InvalidChange(
                    f"The disks of the {self.told} have {readable_size(data)} of data, {readable_size(free)} are free in "
                    f"SR {storage.name(sr)!r}.", hint="Take another SR, or make room.",
                )  # fmt: skip

    # carrying out -----------------------------------------------------------------------
    def _send(self, vm: Record, disk: Disk, sr: str, vdi: str) -> None:
        identity = str(self.params.get("identity") or "")
        with contextlib.ExitStack() as stack:
            sent = stack.enter_context(content.opened(self.backup, disk, identity))
            source: t.Any = sent.source
            if self.params["verify"] == "during":
                check = functools.partial(self._checks.check, content.parts(self.backup, disk))
                source = stack.enter_context(Held(sent.source, sent.size, check))
            try:
                stream.upload(
                    self.session, "/import_raw_vdi", {"vdi": vdi, "format": sent.format}, source, sent.size,
                    what=f"Restore of disk {disk.name}", host=host_for(self.objects, sr), timeout=float(self.params["wait_timeout"]),
                    mark=self._description(vm), began=self._begun, sha256=self.manifest.id,
                )  # fmt: skip
            except OutcomeUnknown:
                raise  # the next look at the pool tells
            except XenError:
                quietly(self.session, "VDI.destroy", vdi)  # where that is refused the next run does it
                raise

    def _begun(self, task: str) -> None:
        self._task = task

    def _forget_task(self) -> None:
        self.session.call("task.destroy", self._task)
