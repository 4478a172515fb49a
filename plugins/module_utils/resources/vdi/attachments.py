# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which VMs have a disk: attached where the task says so, plugged into those that run, detached from the others."""

from __future__ import annotations

import typing as t

from ... import disks
from ...errors import InvalidChange
from ...plan import Handle, Plan
from ...refs import Objects, Record
from ...storage import Storage
from ...vms import Vms, is_guest
from . import notes

ATTACHED_TO: dict[str, t.Any] = {
    "type": "list",
    "elements": "dict",
    "options": {
        "vm": {"type": "str", "required": True},
        "position": {"type": "int"},
        "mode": {"type": "str", "choices": ["rw", "ro"]},
        "bootable": {"type": "bool"},
        "plugged": {"type": "bool"},
    },
}
Entry = dict[str, t.Any]


class Attachments:
    """label: of the disk. An entry is the option's, with all its keys; plugged is None for a VM that does not run."""

    def __init__(self, objects: Objects, label: str):
        self.objects, self.label, self.storage, self.vms = objects, label, Storage(objects), Vms(objects)
        self.noted: dict[notes.Place, Record] = {}  # on the disk: drives that were to be made anew when a run was cut
        self.managed = False  # whether the task says who has the disk

    def observe(self, vdi: str) -> list[Entry]:
        self.noted = notes.read(self.objects.get("VDI", vdi))
        found = [self._entry(vbd) for vbd in self.storage.vbds(vdi).values()]
        return sorted(found, key=lambda entry: (entry["vm"], entry["position"]))

    def _entry(self, vbd: Record) -> Entry:
        running = self._vm(vbd)["power_state"] == "Running"
        return {
            "vm": self.vms.label(vbd["VM"]), "position": disks.place_of(vbd), "mode": vbd["mode"].lower(),
            "bootable": vbd["bootable"], **({"plugged": vbd["currently_attached"]} if running else {}),
        }  # fmt: skip

    def _vm(self, vbd: Record) -> Record:
        return self.objects.get("VM", vbd["VM"])

    # what it is to be -----------------------------------------------------------
    def desire(self, have: t.Sequence[Entry], given: t.Sequence[Record] | None) -> list[Entry]:
        """Raises NotFound, Ambiguous, InvalidChange for two disks in one place."""
        self.managed = given is not None
        if given is None:
            return list(have)
        out: list[Entry] = []
        for entry in given:
            vm = self.resolve(entry["vm"])
            out.append(self._wanted(vm, entry, [e for e in have if e["vm"] == self.vms.label(vm)], out))
        return sorted(out, key=lambda entry: (entry["vm"], entry["position"]))

    def _wanted(self, vm: str, given: Record, mine: list[Entry], out: list[Entry]) -> Entry:
        record, name = self.objects.get("VM", vm), self.vms.label(vm)
        lost = [] if mine else self._lost(record)
        there = next((e for e in [*mine, *lost] if given["position"] in (None, e["position"])), None)
        place = there["position"] if there else given["position"]
        others = self.places(record) - ({there["position"]} if there else set())
        others |= {e["position"] for e in out if e["vm"] == name}
        if place is None:
            place = disks.free_place(others, name)
        if place in others or place not in disks.PLACES:
            raise InvalidChange(f"Disk {self.label!r} cannot be at position {place} of VM {name!r}: {self._why_not(place)}.")
        have = there or {"mode": "rw", "bootable": False, "plugged": False}
        wanted = {key: have.get(key) if given[key] is None else given[key] for key in ("mode", "bootable")}
        running = record["power_state"] == "Running"
        plugged = {"plugged": True if given["plugged"] is None else given["plugged"]} if running else {}
        return {"vm": name, "position": place, **wanted, **plugged}

    def _lost(self, vm: Record) -> list[Entry]:
        """Its drives that a run destroyed and did not come to make anew."""
        free = [(place, note) for (uuid, place), note in self.noted.items() if uuid == vm["uuid"] and place not in self.places(vm)]
        return [{"position": place, "mode": "rw", "bootable": note["bootable"]} for place, note in free]

    def resolve(self, text: str) -> str:
        """A VM by name; also a template or snapshot by uuid."""
        return self.objects.resolve("VM", text, lambda r: is_guest(r) or (r["uuid"] == text and not r["is_control_domain"]))

    def places(self, vm: Record) -> set[int]:
        rows = self.objects.all("VBD")
        return {disks.place_of(rows[ref]) for ref in vm["VBDs"] if ref in rows}

    @staticmethod
    def _why_not(place: int) -> str:
        return "something else is there" if place in disks.PLACES else f"positions are {disks.PLACES.start} to {disks.PLACES.stop - 1}"

    # changing -------------------------------------------------------------------
    def leave(self, plan: Plan, vdi: str) -> None:
        """Detached from the VMs that are not to have it, and where the mode changes."""
        want = {(e["vm"], e["position"]): e for e in plan.after["attached_to"]}
        for ref, vbd in self.storage.vbds(vdi).items():
            have = self._entry(vbd)
            wanted = want.get((have["vm"], have["position"]))
            if vbd["currently_attached"] and not (wanted and wanted.get("plugged", True) and wanted["mode"] == have["mode"]):
                self._unplug(plan, ref, vbd)
            anew = wanted is not None and self._anew(vbd, have, wanted)
            if anew:
                self._note(plan, vdi, vbd)
            if wanted is None or anew:
                plan.add("VBD.destroy", ref, what=f"detach disk {self.label!r} from VM {have['vm']!r}")

    def _note(self, plan: Plan, vdi: str, vbd: Record) -> None:
        if plan.before["sr"] != plan.after["sr"]:
            raise InvalidChange(
                f"Disk {self.label!r} cannot be moved and get another mode in VM {self.vms.label(vbd['VM'])!r} at once.",
                hint="Let one task change the mode, and the next move the disk.",
            )
        place = (self._vm(vbd)["uuid"], disks.place_of(vbd))
        self.noted[place] = notes.write(plan, vdi, self.objects.get("VDI", vdi), place, vbd, self.label)

    def forget(self, plan: Plan, vdi: Handle) -> None:
        """Notes go once their drives are there, or are not to be there any more."""
        vms = {r["uuid"]: self.vms.label(ref) for ref, r in self.objects.all("VM").items()}
        there = {(e["vm"], e["position"]) for e in plan.after["attached_to"]}
        for uuid, position in sorted(self.noted):
            if self.managed or uuid not in vms or (vms[uuid], position) in there:
                notes.remove(plan, vdi, (uuid, position), self.label)

    def _anew(self, vbd: Record, have: Entry, want: Entry) -> bool:
        """Whether the drive is made anew: its mode changes while its VM is not halted (xapi_vbd.ml, set_mode)."""
        return bool(have["mode"] != want["mode"] and self._vm(vbd)["power_state"] != "Halted")

    def _unplug(self, plan: Plan, ref: str, vbd: Record) -> None:
        name = self.vms.label(vbd["VM"])
        why = disks.hotplug_refusal(self.objects, self._vm(vbd)) or ("" if vbd["unpluggable"] else "the drive is fixed")
        if why:
            raise InvalidChange(f"Disk {self.label!r} cannot be taken from VM {name!r} now: {why}.", hint="Halt the VM first.")
        plan.add("VBD.unplug", ref, what=f"unplug disk {self.label!r} from VM {name!r}", slow=True)

    def join(self, plan: Plan, vdi: Handle, record: Record | None) -> None:
        """Attached to the VMs that are to have it, and plugged into those that run."""
        vbds = self.storage.vbds(vdi) if record is not None and isinstance(vdi, str) else {}
        there = {(e["vm"], e["position"]): (ref, vbd, e) for ref, vbd in vbds.items() for e in [self._entry(vbd)]}
        for entry in plan.after["attached_to"]:
            found = there.get((entry["vm"], entry["position"]))
            vm = self.resolve(entry["vm"])
            ref: Handle
            if found and not self._anew(found[1], found[2], entry):
                ref = found[0]
                self._adapt(plan, ref, found[2], entry)
                plug = bool(entry.get("plugged")) and not found[1]["currently_attached"]
            else:
                self._refuse_mode(plan, entry, record)
                kept = self.noted.get((self.objects.get("VM", vm)["uuid"], entry["position"]), {})
                made = disks.vbd_record(vm, vdi, entry["position"], entry["mode"], **{**kept, "bootable": entry["bootable"]})
                ref = plan.add("VBD.create", made, what=f"attach disk {self.label!r} to VM {entry['vm']!r}")
                plug = bool(entry.get("plugged"))
            if plug:
                self._plug(plan, ref, vm, entry)

    def _adapt(self, plan: Plan, ref: str, have: Entry, want: Entry) -> None:
        what = f"change the drive of disk {self.label!r} in VM {have['vm']!r}"
        if have["bootable"] != want["bootable"]:
            plan.add("VBD.set_bootable", ref, want["bootable"], what=what)
        if have["mode"] != want["mode"]:
            plan.add("VBD.set_mode", ref, want["mode"].upper(), what=what)

    def _refuse_mode(self, plan: Plan, entry: Entry, record: Record | None) -> None:
        if entry["mode"] == "rw" and plan.after["read_only"]:
            raise InvalidChange(f"Disk {self.label!r} is read-only: VM {entry['vm']!r} cannot write to it.", hint="Set mode: ro.")
        others = [e["vm"] for e in plan.after["attached_to"] if e is not entry and e.get("plugged")]
        if others and entry.get("plugged") and not plan.after["sharable"] and (entry["mode"] == "rw" or record is None):
            raise InvalidChange(
                f"Disk {self.label!r} cannot be written to by VM {entry['vm']!r} while VM {others[0]!r} has it: it is not sharable."
            )

    def _plug(self, plan: Plan, ref: Handle, vm: str, entry: Entry) -> None:
        record, name = self.objects.get("VM", vm), entry["vm"]
        why = disks.hotplug_refusal(self.objects, record)
        if not why and entry["mode"] == "ro" and disks.is_hvm(record):
            why = "a disk for an HVM guest has to be writable"
        if why:
            raise InvalidChange(
                f"Disk {self.label!r} cannot be plugged into VM {name!r} now: {why}.", hint="Halt the VM first, or set plugged: false."
            )
        plan.add("VBD.plug", ref, what=f"plug disk {self.label!r} into VM {name!r}", slow=True)
