# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The calls that make a VM's disk what it is to be."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ... import disks
from ...errors import InvalidChange
from ...fields import Field, Table
from ...plan import Handle, Plan
from ...refs import NULL, Objects, Record
from ...storage import Storage
from .disk_words import Disk, Words, qos_wire, words_of_vdi
from .part import Subject

NAMES = Table("VDI", (Field("name_label", "name"), Field("name_description", "description"), Field("tags", "tags", "tags")))


@dataclass
class Target:
    """A disk as it is to be. disk: what there is of it; vdi: the existing disk it is to be ("" for none); kind: VDI.type of a new one."""

    words: Words
    disk: Disk | None = None
    vdi: str = ""
    kind: str = "user"

    @property
    def name(self) -> str:
        return str(self.words["name"])

    @property
    def position(self) -> int:
        return t.cast(int, self.words["position"])

    def differs(self, key: str) -> bool:
        return bool(self.disk and self.disk.words.get(key) != self.words.get(key))


class Calls:
    """label: of the VM. The VM's state is that of subject.at."""

    def __init__(self, objects: Objects, label: str):
        self.objects, self.storage, self.label = objects, Storage(objects), label

    @staticmethod
    def is_plugged(subject: Subject, disk: Disk) -> bool:
        return subject.at != "Halted" and not subject.new and bool(disk.drive["currently_attached"])

    # there already ----------------------------------------------------------------
    def adapt(self, plan: Plan, subject: Subject, target: Target) -> None:
        disk = t.cast(Disk, target.disk)
        self._finish_plugging(plan, subject, target, disk)
        if target.words == disk.words and not self._left(subject, disk):
            return
        drive = self._changed_drive(plan, subject, target, disk)
        vdi: Handle = subject.device(plan, "VBD", disk.vbd, "VDI") if self._changes_disk(target, disk) else disk.vdi
        vdi = self._move(plan, subject, target, disk, drive, vdi)
        if target.differs("size"):
            online = self.is_plugged(subject, disk)
            disks.grow(plan, vdi, target.words["size"], target.name, online=online)
        self._disk_settings(plan, target, disk, vdi)
        for key in self._left(subject, disk):
            disks.mark(plan, disk.vdi, key, None, True, target.name)

    def _finish_plugging(self, plan: Plan, subject: Subject, target: Target, disk: Disk) -> None:
        """What an interrupted run attached and did not plug; a VM that was started since has it."""
        if subject.new or disks.PLUGGING not in disk.drive["other_config"]:
            return
        if subject.at == "Running" and not disk.drive["currently_attached"]:
            self._plug(plan, disk.vbd, target.name)
        plan.add("VBD.remove_from_other_config", disk.vbd, disks.PLUGGING, what=f"unmark the drive of disk {target.name!r}")

    def _plug(self, plan: Plan, vbd: Handle, name: str) -> None:
        plan.add("VBD.plug", vbd, what=f"plug disk {name!r} into VM {self.label!r}", slow=True)

    def _left(self, subject: Subject, disk: Disk) -> list[str]:
        """Marks of an interrupted run."""
        uuid = "" if subject.new else subject.record["uuid"]
        return [key for key, value in disk.record["other_config"].items() if key.startswith(disks.FOR_VM) and value == uuid]

    @staticmethod
    def _changes_disk(target: Target, disk: Disk) -> bool:
        return any(target.differs(key) for key in ("name", "description", "size", "sr", "tags", "other_config", "cbt"))

    def _changed_drive(self, plan: Plan, subject: Subject, target: Target, disk: Disk) -> Handle:
        changed = [key for key in ("mode", "bootable", "qos", "keep") if target.differs(key)]
        if not changed and not target.differs("sr"):
            return disk.vbd
        drive = subject.device(plan, "VBD", disk.vbd)
        what = f"change the drive of disk {target.name!r} of VM {self.label!r}"
        if "mode" in changed:
            plan.add("VBD.set_mode", drive, target.words["mode"].upper(), what=what)
        if "bootable" in changed:
            plan.add("VBD.set_bootable", drive, target.words["bootable"], what=what)
        if "qos" in changed:
            kind, params = qos_wire(target.words["qos"])
            plan.add("VBD.set_qos_algorithm_type", drive, kind, what=what)
            plan.add("VBD.set_qos_algorithm_params", drive, params, what=what)
        if "keep" in changed and target.words["keep"]:
            plan.add("VBD.remove_from_other_config", drive, disks.OWNER, what=what)
        elif "keep" in changed:
            plan.add("VBD.add_to_other_config", drive, disks.OWNER, "", what=what)
        return drive

    def _move(self, plan: Plan, subject: Subject, target: Target, disk: Disk, drive: Handle, vdi: Handle) -> Handle:
        if not target.differs("sr"):
            return vdi
        sr, name = self.objects.resolve("SR", target.words["sr"]), target.words["sr"]
        # a clone's changes are not tracked, whatever its source's are
        tracked = bool(disk.words.get("cbt") and target.words.get("cbt"))
        if disk.words.get("cbt") and not tracked:
            plan.add("VDI.disable_cbt", vdi, what=f"stop tracking changes of disk {target.name!r}")
            disk.words["cbt"] = False
        marked = None if subject.new else (drive, disk.drive)
        record = {**disk.record, "tags": disk.words["tags"]}
        return disks.migrate(plan, vdi, record, marked, (sr, name), target.name, tracked=tracked)

    def _disk_settings(self, plan: Plan, target: Target, disk: Disk, vdi: Handle) -> None:
        NAMES.changes(Plan(disk.words, target.words, plan.steps), vdi, self.objects, disk.record, target.name)
        what = f"set other_config of disk {target.name!r}"
        disks.change_map(plan, ("VDI", "other_config"), vdi, disk.words["other_config"], target.words["other_config"], what)
        self._track(plan, target, vdi, had=bool(disk.words.get("cbt")))

    @staticmethod
    def _track(plan: Plan, target: Target, vdi: Handle, *, had: bool) -> None:
        if bool(target.words.get("cbt")) != had:
            verb = "disable" if had else "enable"
            plan.add(f"VDI.{verb}_cbt", vdi, what=f"{verb} the tracking of changes of disk {target.name!r}")

    def rearrange(self, plan: Plan, subject: Subject, targets: t.Iterable[Target]) -> None:
        """Disks to their places, one after the other; never two in one place, also if the run is cut off."""
        moving = [target for target in targets if target.disk and target.differs("position")]
        drives = {t.cast(Disk, m.disk).position: (subject.device(plan, "VBD", t.cast(Disk, m.disk).vbd), m.name) for m in moving}
        pending = {t.cast(Disk, m.disk).position: m.position for m in moving}
        taken = {disks.place_of(vbd) for vbd in subject.vbds.values()} | set(pending.values())
        while pending:
            here = next((place for place, to in pending.items() if to not in pending), None)
            if here is None:  # they go round: one steps aside
                here = next(iter(pending))
                aside = disks.free_place(taken, self.label)
                drives[aside], pending[aside] = drives.pop(here), pending.pop(here)
                self._put(plan, drives[aside], aside)
                continue
            self._put(plan, drives.pop(here), pending.pop(here))

    def _put(self, plan: Plan, drive: tuple[Handle, str], place: int) -> None:
        what = f"put disk {drive[1]!r} of VM {self.label!r} in place {place}"
        plan.add("VBD.set_userdevice", drive[0], str(place), what=what)

    # new ones ---------------------------------------------------------------------
    def add(self, plan: Plan, subject: Subject, target: Target) -> None:
        """Made under a mark that names VM and place, so that one an interrupted run made is taken and no other is made."""
        key = f"{disks.FOR_VM}{target.position}"
        if target.vdi:
            self._settle(plan, target, target.vdi, t.cast(Words, target.words["was"]))
            self._attach(plan, subject, target, target.vdi)
            return
        vdi: Handle = self._begun_for(plan, subject, target)
        if not vdi:
            record = self._record(plan, subject, target, key)
            vdi = plan.add("VDI.create", record, what=f"make disk {target.name!r} of VM {self.label!r}", slow=True)
        self._attach(plan, subject, target, vdi)
        disks.mark(plan, vdi, key, None, True, target.name)
        self._track(plan, target, vdi, had=False)

    def _begun_for(self, plan: Plan, subject: Subject, target: Target) -> str:
        """One an interrupted run made for this place; one that would have to be another goes, as nothing was written to it yet."""
        vdi = self.begun(subject).get(target.position, "")
        if not vdi:
            return ""
        record = self.objects.get("VDI", vdi)
        have = words_of_vdi(self.storage, record)
        if have["sr"] != target.words["sr"] or have["size"] != target.words["size"] or have["image_format"] != target.words["image_format"]:
            plan.add("VDI.destroy", vdi, what=f"remove a disk that was begun for VM {self.label!r}", slow=True)
            return ""
        self._settle(plan, target, vdi, {**have, "cbt": target.words.get("cbt")})
        return vdi

    def _attach(self, plan: Plan, subject: Subject, target: Target, vdi: Handle) -> None:
        words, running = target.words, subject.at == "Running"
        kind, params = qos_wire(words["qos"])
        config = {**({} if words["keep"] else {disks.OWNER: ""}), **({disks.PLUGGING: "true"} if running else {})}
        drive = disks.vbd_record(
            subject.ref, vdi, target.position, words["mode"], bootable=words["bootable"], unpluggable=target.kind != "system",
            other_config=config, qos_algorithm_type=kind, qos_algorithm_params=params,
        )  # fmt: skip
        vbd = plan.add("VBD.create", drive, what=f"attach disk {target.name!r} to VM {self.label!r}")
        if running:
            self._plug(plan, vbd, target.name)
            plan.add("VBD.remove_from_other_config", vbd, disks.PLUGGING, what=f"unmark the drive of disk {target.name!r}")

    def _settle(self, plan: Plan, target: Target, vdi: str, have: Words) -> None:
        """A disk that is there and nobody has gets what the task says of it."""
        if have["size"] != target.words["size"]:
            disks.grow(plan, vdi, target.words["size"], target.name, online=False)
        NAMES.changes(Plan(have, target.words, plan.steps), vdi, self.objects, self.objects.get("VDI", vdi), target.name)
        what = f"set other_config of disk {target.name!r}"
        disks.change_map(plan, ("VDI", "other_config"), vdi, have["other_config"], target.words["other_config"], what)
        self._track(plan, target, vdi, had=bool(have.get("cbt")))

    def _record(self, plan: Plan, subject: Subject, target: Target, key: str) -> dict[str, t.Any]:
        words = target.words
        uuid = plan.find("VM", "uuid", name_label=subject.label) if subject.new else subject.record["uuid"]
        sr = self.objects.resolve("SR", words["sr"])
        usual = self.storage.image_format({"SR": sr, "sm_config": {}})
        return {
            "name_label": words["name"], "name_description": words["description"], "SR": sr, "virtual_size": words["size"],
            "type": target.kind, "sharable": False, "read_only": False, "tags": words["tags"], "xenstore_data": {},
            "other_config": {**words["other_config"], key: uuid},
            "sm_config": {} if words["image_format"] == usual else {"type": words["image_format"]},
        }  # fmt: skip

    def begun(self, subject: Subject) -> dict[int, str]:
        """Disks an interrupted run made for this VM and did not attach, by position."""
        if subject.new:
            return {}
        out = {}
        for ref, vdi in self.objects.all("VDI").items():
            for key, value in vdi["other_config"].items():
                if key.startswith(disks.FOR_VM) and value == subject.record["uuid"] and not self._has_drive(ref, vdi):
                    out[int(key[len(disks.FOR_VM) :])] = ref
        return out

    def _has_drive(self, ref: str, vdi: Record) -> bool:
        """A snapshot inherits the mark, and was not made for a place."""
        return bool(vdi["is_a_snapshot"] or self.storage.vbds(ref))

    # gone -------------------------------------------------------------------------
    def detach(self, plan: Plan, subject: Subject, disk: Disk) -> bool:
        """Whether its data goes as well: the VM owns it, and nobody else has it."""
        name = disk.words["name"]
        drive = subject.device(plan, "VBD", disk.vbd)
        owned = self.is_owned(subject, disk)
        vdi = subject.device(plan, "VBD", disk.vbd, "VDI") if owned else NULL
        if self.is_plugged(subject, disk):
            plan.add("VBD.unplug", drive, what=f"unplug disk {name!r} from VM {self.label!r}", slow=True)
        if owned:
            # its drive goes with it
            plan.add("VDI.destroy", vdi, what=f"remove disk {name!r} of VM {self.label!r}", slow=True)
        else:
            plan.add("VBD.destroy", drive, what=f"detach disk {name!r} from VM {self.label!r}")
        return owned

    def is_owned(self, subject: Subject, disk: Disk) -> bool:
        if subject.new:
            return True
        others = [vbd for vbd in self.storage.vbds(disk.vdi) if vbd not in subject.vbds]
        return not disk.words["keep"] and not others

    def refuse_move(self, target: Target) -> None:
        disk = t.cast(Disk, target.disk)
        disks.refuse_move(self.storage, disk.record, self.objects.resolve("SR", target.words["sr"]), target.name)


def refuse_vdi(storage: Storage, ref: str, record: Record, label: str, mode: str) -> None:
    """Raises InvalidChange for an existing disk that a VM cannot get."""
    users = storage.users(ref)
    if users and not record["sharable"]:
        raise InvalidChange(
            f"Disk {record['name_label']!r} cannot be attached to VM {label!r}: VM {users[0]!r} has it.", hint="Detach it there first."
        )
    if record["read_only"] and mode == "rw":
        raise InvalidChange(f"Disk {record['name_label']!r} is read-only: VM {label!r} cannot write to it.", hint="Set mode: ro.")
