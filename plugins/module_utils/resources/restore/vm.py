# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A VM as it was in a backup, on the same or another pool: imported as an .xva is (resources/vm_import), so that xapi itself makes the VM,
its NICs and its vTPM.
"""

from __future__ import annotations

import functools
import hashlib
import typing as t

from ...backup.manifest import Disk
from ...errors import InvalidChange
from ...plan import Later, Plan
from ...refs import Record
from ...resource import Found
from ...storage import Storage
from ...vms import Vms
from ..vm_import import unfinished
from ..vm_import.arrival import Arrival
from ..vm_import.networks import Nic
from . import choice
from .base import Restore
from .belonging import rejoin
from .checking import Checks
from .description import RESTORED, RESTORING
from .source import BackupSource


class VmRestore(Restore, Arrival):
    kind = "vm"
    key_of_mark = RESTORED
    origin = "backup"
    verb = "restore"

    # which backup, as what --------------------------------------------------------------
    @property
    def wanted_name(self) -> str:
        return str(self.params.get("new_name") or "")

    @functools.cached_property
    def disks(self) -> list[Disk]:
        """Those that are wanted. Raises InvalidChange."""
        return choice.disks(self.manifest, self.params.get("disks"), self.told)

    @property
    def mark(self) -> str:
        """What is restored as what; of a VM that is complete its uuid follows, so that a clone of it is not taken for it."""
        chosen = f" disks {','.join(disk.device for disk in self.disks)}" if self.params.get("disks") is not None else ""
        return f"{self.manifest.id} {self.wanted_name}{chosen}".strip()

    def digest(self) -> str:
        return self.manifest.id  # nobody asks what was sent

    @functools.cached_property
    def source(self) -> BackupSource:  # type: ignore[override]
        return BackupSource(
            self.backup, self.told, self.disks, mark=self.mark, name=self.wanted_name, bare=bool(self.params.get("bare")),
            identity=str(self.params.get("identity") or ""), verify=self.params["verify"], checks=Checks(self.subject, self.backup),
        )  # fmt: skip

    # looking --------------------------------------------------------------------------
    def find(self) -> Found | None:
        """The VM that bears the mark, or that an unfinished run left without it. Raises InvalidChange, Damaged, NotFound."""
        self._refuse_nonsense()
        self._unfinished = unfinished.look_for(self.objects, self.description)
        if self._unfinished.tasks:
            self.objects.forget()  # one of them may have ended meanwhile
        rows = self.objects.all("VM")
        found = next((ref for ref, row in rows.items() if self._is_it(row)), "") or self._unfinished.vm
        return Found(found, rows[found]) if found in rows else None

    def _is_it(self, row: Record) -> bool:
        return bool(row["other_config"].get(RESTORED) == f"{self.mark} {row['uuid']}" and not row["is_a_snapshot"])

    def _refuse_nonsense(self) -> None:
        self.refuse_options("replace", "remove_replaced", "dry_run")

    _what_for = "replace and remove_replaced are for disks that go onto a VM, dry_run is for pools"

    def observe(self, found: Found) -> dict[str, t.Any]:
        vbds, vdis = self.objects.all("VBD"), self.objects.all("VDI")
        mine = [vbds[ref] for ref in found.record["VBDs"] if ref in vbds and vbds[ref]["type"] == "Disk"]
        disks = {vbd["userdevice"]: vdis[vbd["VDI"]]["name_label"] for vbd in mine if vbd["VDI"] in vdis}
        return {**super().observe(found), "disks": dict(sorted(disks.items())), "power_state": found.record["power_state"]}

    # planning -------------------------------------------------------------------------
    def plan(self, found: Found | None) -> Plan:
        plan = self._changed(found) if found else self.fresh()
        plan.warnings += [] if found else self._brought_together()
        plan.warnings += self.passed_over
        plan.facts["backup"] = self.backup.told()
        return plan

    def _brought_together(self) -> list[str]:
        """An import has one SR for all disks."""
        names = {disk.sr.uuid: disk.sr.name for disk in self.disks}
        if self.params.get("sr") or len(names) < 2:
            return []
        told = ", ".join(sorted(map(repr, names.values())))
        advice = "To have each on its own, restore the VM with `disks: []`, and its disks onto it with `replace: true`."
        return [f"The disks of {self.label} were on several SRs ({told}); all get onto the pool's default SR. {advice}"]

    def _changed(self, found: Found) -> Plan:
        """The VM is there; what an unfinished run left to do is done."""
        before = self.observe(found)
        plan = Plan(before, dict(before))
        if RESTORED not in found.record["other_config"]:
            self.mark_it(plan, found.ref)
        self._unfinished.forget(plan)
        if RESTORING not in found.record["other_config"]:
            return plan
        self._refuse_bereft(found)
        self.move_found(plan, found)
        vdis = self.objects.all("VDI")
        for ref in self._own_disks(found.record):
            if RESTORING in vdis[ref]["other_config"]:
                self._unmark_disk(plan, ref, vdis[ref]["name_label"])
        self._finish(plan, found.ref, found.record["power_state"])
        return plan

    def _own_disks(self, vm: Record) -> list[str]:
        """The VM's disks and the image of its memory, those of them that are there."""
        vbds = self.objects.all("VBD")
        refs = [vbds[ref]["VDI"] for ref in vm["VBDs"] if ref in vbds and vbds[ref]["type"] == "Disk"] + [vm["suspend_VDI"]]
        return [ref for ref in refs if ref in self.objects.all("VDI")]

    def finish(self, plan: Plan, vm: str | Later, sr: str) -> None:
        plan.after["disks"] = {disk.device: disk.name for disk in sorted(self.disks, key=lambda disk: disk.device)}
        for disk in self.disks:
            self._unmark_disk(plan, plan.find("VBD", "VDI", VM=vm, userdevice=disk.device), disk.name)
        state = "Suspended" if self.source.sleeps else "Halted"
        if self.source.sleeps:
            plan.add("VDI.remove_from_other_config", vm, RESTORING, what=f"unmark the memory of {self.label}", run=self._unmark_memory)
        plan.after["power_state"] = state
        if not self.params["preserve"] and self.source.vm.get("other_config", {}).get("auto_poweron") == "true":
            plan.warnings.append(f"{self.label} starts with its host (auto_poweron), as the one that was backed up.")
        self._finish(plan, vm, state)

    def _unmark_memory(self, vm: str, key: str) -> None:
        self.session.call("VDI.remove_from_other_config", self.session.call("VM.get_suspend_VDI", vm), key)

    def _finish(self, plan: Plan, vm: str | Later, state: str) -> None:
        if not (self.wanted_name or self.params.get("bare") or self.params.get("disks") is not None):  # not beside it, nor a part of it
            rejoin(plan, self.objects, vm, self.manifest.details, self.label)
        if self.params["start"] and state != "Running":
            verb = "resume" if state == "Suspended" else "start"
            plan.add(f"VM.{verb}", vm, False, False, what=f"{verb} {self.label}", slow=True)
            plan.after["power_state"] = "Running"
        plan.add("VM.remove_from_other_config", vm, RESTORING, what=f"end the restore of {self.label}")

    def mark_it(self, plan: Plan, vm: str | Later) -> None:
        def mark(ref: str, key: str, value: str) -> None:
            self.session.call("VM.add_to_other_config", ref, key, f"{value} {self.session.call('VM.get_uuid', ref)}")

        plan.add("VM.add_to_other_config", vm, RESTORED, self.mark, what=f"mark {self.label}", run=mark)

    def _unmark_disk(self, plan: Plan, vdi: str | Later, name: str) -> None:
        plan.add("VDI.remove_from_other_config", vdi, RESTORING, what=f"unmark disk {name!r}")

    # networks the pool has not ----------------------------------------------------------
    def stand_in(self, old: str) -> str:
        """Restores that run beside each other have each their own: whoever is done first removes his."""
        whose = f"{self.subject.pool_uuid} {self.subject.uuid} {self.wanted_name}"
        return f"{old} ({hashlib.sha256(whose.encode()).hexdigest()[:12]})"

    def missing(self, nics: t.Iterable[Nic]) -> set[str]:
        """The VM's description is sent with these names."""
        self.source.stand_ins = {nic.old: self.stand_in(nic.old) for nic in nics if not nic.lands}
        return set(self.source.stand_ins.values())

    # refusals -------------------------------------------------------------------------
    def target(self, storage: Storage) -> str:
        sr = choice.storage(storage, self.params.get("sr"), self.disks)
        for disk in self.disks:
            storage.refuse_size(disk.virtual_size, storage.image_format({"SR": sr, "sm_config": {}}), disk.name)
        return sr

    def clear(self, plan: Plan) -> None:
        """What earlier runs left goes, also what xapi forgot when it was restarted."""
        super().clear(plan)
        known = {ref for _cls, ref in unfinished.made_by(self.objects, self._unfinished.tasks)}
        for cls, ref in self._left():
            if ref not in known:
                plan.add(f"{cls}.destroy", ref, what=f"remove what an import of {self.label} left", slow=True)

    def _left(self) -> list[tuple[str, str]]:
        """Disks and VMs that bear our mark and belong to nothing that was completed."""
        vms, vdis, vbds = self.objects.all("VM"), self.objects.all("VDI"), self.objects.all("VBD")
        mine = [ref for ref, row in vms.items() if self._is_incomplete(row)]
        for ref in mine:
            if vms[ref]["power_state"] not in ("Halted", "Suspended"):
                raise InvalidChange(
                    f"VM {vms[ref]['name_label']!r} is left from a restore that was broken off, and is {vms[ref]['power_state'].lower()}.",
                    hint="Its disks are not complete: shut it down first.",
                )
        disks = [ref for ref, row in vdis.items() if row["other_config"].get(RESTORING) == self.mark and not row["is_a_snapshot"]]
        free = [ref for ref in disks if all(vbds[vbd]["VM"] in mine for vbd in vdis[ref]["VBDs"] if vbd in vbds)]
        return [("VDI", ref) for ref in free] + [("VM", ref) for ref in mine]

    def _is_incomplete(self, row: Record) -> bool:
        config = row["other_config"]
        return config.get(RESTORING) == self.mark and RESTORED not in config and not row["is_a_snapshot"]

    def _refuse_bereft(self, found: Found) -> None:
        """Raises InvalidChange for a VM that lost a NIC, with the network it was on, before its restore was finished."""
        there = {str(vif["device"]) for vif in self.vifs(found).values()}
        known = {str(vif["device"]) for vif in self.source.nics if self.source.ova.get("network", vif["network"])}
        if lost := sorted(known - there):
            raise InvalidChange(
                f"{self.label} has lost its NIC {lost[0]} in a restore that was broken off.",
                hint="Remove it (xen_vm) and restore again.",
            )

    def refuse_clash(self) -> None:
        left = {ref for cls, ref in self._left() if cls == "VM"}
        name = self._name
        for ref, row in Vms(self.objects).all().items():
            if ref in left:
                continue
            if row["name_label"] == name and (self.wanted_name or not self.params["preserve"]):  # uuids tell VMs of one name apart
                raise InvalidChange(
                    f"There is a VM named {name!r} already ({row['uuid']}), which does not come from this backup.",
                    hint="Give new_name, or remove that VM first (xen_vm), or restore disks onto it (onto).",
                )
        if self.params["preserve"]:
            self.refuse_twins({ref: row for ref, row in self.objects.all("VM").items() if ref not in left})

    def refuse_same(self, vm: Record) -> None:
        raise InvalidChange(
            f"preserve would replace {vm['name_label']!r}, which has the uuid {vm['uuid']}.",
            hint="Remove that VM first (xen_vm), leave preserve out and give new_name, or restore its disks only (onto).",
        )
