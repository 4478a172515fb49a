# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The disks of a VM: which there are to be, and what that needs. The words are in disk_words, the calls in disk_calls."""

from __future__ import annotations

import typing as t

from ... import disks as steps
from ...chains import LIMIT, NEAR, WAYS_OUT, Chains
from ...errors import Ambiguous, InvalidChange, NotFound
from ...formats.sizes import size
from ...plan import Plan
from ...refs import Record, told_names
from ...storage import Storage
from .disk_calls import Calls, Target, refuse_vdi
from .disk_places import Entry, Have, places
from .disk_words import NEW, SPEC, Disk, Words, laid_over, provisioned, words_of_vbd, words_of_vdi
from .part import Part, Subject

if t.TYPE_CHECKING:
    from . import Vm


class Disks(Part):
    options: t.ClassVar[dict[str, dict[str, t.Any]]] = {
        "disks": {"type": "list", "elements": "dict", "options": SPEC},
        "prune_disks": {"type": "bool", "default": False},
    }

    def __init__(self, vm: Vm):
        super().__init__(vm)
        self.storage = Storage(vm.objects)
        self.targets: list[Target] = []
        self.gone: list[Disk] = []

    @property
    def calls(self) -> Calls:
        return Calls(self.objects, self.label)

    # observing ----------------------------------------------------------------------
    def there(self, subject: Subject) -> list[Disk]:
        """The disks of a VM, in order; of one that is to be made, as the copies will be."""
        rows, found = self.objects.all("VDI"), []
        for ref, vbd in subject.vbds.items():
            if vbd["type"] != "Disk" or vbd["VDI"] not in rows or steps.CONFIG_DRIVE in rows[vbd["VDI"]]["other_config"]:
                continue
            vdi = rows[vbd["VDI"]]
            words = {**words_of_vbd(vbd), **words_of_vdi(self.storage, vdi), **(self._copied(subject, vdi) if subject.new else {})}
            found.append(Disk(ref, vbd, vbd["VDI"], vdi, words))
        return sorted(found, key=lambda disk: disk.position)

    def _copied(self, subject: Subject, vdi: Record) -> Words:
        """What is different in a clone or full copy (xen-api: xapi_vm_clone.ml, xapi_vdi.ml)."""
        out: Words = {"keep": False, **({"cbt": False} if "cbt_enabled" in vdi else {})}
        if subject.full:
            sr = subject.sr or vdi["SR"]
            out.update(sr=self.storage.name(sr), image_format=self.storage.image_format({"SR": sr, "sm_config": {}}), tags=[])
        return out

    def observe(self, subject: Subject) -> dict[str, t.Any]:
        return {"disks": [disk.words for disk in self.there(subject)]}

    def facts(self, subject: Subject) -> dict[str, t.Any]:
        """What each disk is called where, in order."""
        chains, rows = Chains(self.objects), self.objects.all("VDI")
        return {
            "disks": [
                {
                    "position": disk.position, "device": disk.drive["device"], "vbd": disk.drive["uuid"], "vdi": disk.record["uuid"],
                    "sr": disk.words["sr"], "image_format": disk.words["image_format"], "size": disk.words["size"],
                    "physical_utilisation": int(disk.record["physical_utilisation"]), "plugged": disk.drive["currently_attached"],
                    "chain_length": chains.length(disk.vdi), "parents": [rows[ref]["uuid"] for ref in chains.parents(disk.vdi)],
                }
                for disk in self.there(subject)
            ]
        }  # fmt: skip

    # wanting ------------------------------------------------------------------------
    def desire(self, have: t.Mapping[str, t.Any], subject: Subject) -> dict[str, t.Any]:
        there, given = self.there(subject), self.params.get("disks")
        models = {model["position"]: model for model in (provisioned(subject.source) if subject.making else [])}
        chosen = self._places(subject, there, given or [])
        by_place = {disk.position: disk for disk in there}
        self.targets = [
            self._target(subject, entry, place, by_place[means] if means is not None else None, models.get(place))
            for entry, (place, means) in zip(given or [], chosen)
        ]
        named = {target.disk.position for target in self.targets if target.disk} | {target.position for target in self.targets}
        unnamed = [disk for disk in there if disk.position not in named]
        prune = given is not None and bool(self.params.get("prune_disks"))
        self.gone = unnamed if prune else []
        if not prune:
            self.targets += [Target(disk.words, disk) for disk in unnamed]
            left = [m for place, m in models.items() if place not in named and place not in by_place]
            self.targets += [self._target(subject, {}, m["position"], None, m) for m in left]
        self.targets.sort(key=lambda target: target.position)
        return {"disks": [{k: v for k, v in target.words.items() if k != "was"} for target in self.targets]}

    def _places(self, subject: Subject, there: list[Disk], given: t.Sequence[Record]) -> list[tuple[int, int | None]]:
        history = {disk.position: self._uuids(disk) for disk in there}
        have = [Have(disk.position, disk.words["name"], history[disk.position]) for disk in there]
        entries = [Entry(entry.get("position"), entry.get("name"), self._named_vdi(entry)) for entry in given]
        for entry in entries:
            if entry.position is not None and entry.position not in steps.PLACES:
                raise InvalidChange(f"A disk of VM {self.label!r} cannot be at position {entry.position}.", hint="Positions are 0 to 254.")
        # CD drives, and what others look after
        drives = {steps.place_of(vbd) for vbd in subject.vbds.values()} - set(history)
        return places(entries, have, drives, self.label, making=subject.making)

    @staticmethod
    def _uuids(disk: Disk) -> frozenset[str]:
        moved = [config.get(steps.MOVED, "") for config in (disk.record["other_config"], disk.drive["other_config"])]
        return frozenset({disk.record["uuid"], *",".join(moved).split(",")} - {""})

    def _named_vdi(self, entry: Record) -> str:
        """The uuid of the disk that the option vdi names. Raises NotFound, Ambiguous."""
        text, rows = entry.get("vdi"), self.objects.all("VDI")
        if not text:
            return ""
        found = [r["uuid"] for r in rows.values() if r["uuid"] == text]
        if not found and (moved := steps.moved_to(self.objects, text)):
            found = [rows[moved]["uuid"]]
        found = found or [r["uuid"] for r in rows.values() if r["name_label"] == text and r["managed"] and not r["is_a_snapshot"]]
        if not found:
            names = sorted({r["name_label"] for r in rows.values() if r["managed"] and r["name_label"] and not r["is_a_snapshot"]})
            raise NotFound(f"No VDI is named {text!r} or has it as uuid (disks of VM {self.label!r}).", hint=told_names(text, names))
        if len(found) > 1:
            raise Ambiguous(f"{len(found)} disks are named {text!r}: {', '.join(sorted(found))}.", hint="Tell them apart with the uuid.")
        return str(found[0])

    def _target(self, subject: Subject, entry: Record, place: int, disk: Disk | None, model: Words | None) -> Target:
        """Raises InvalidChange, NotFound, Ambiguous for a disk that cannot be."""
        if disk:
            return self._changed(entry, place, disk)
        if entry.get("vdi"):
            return self._existing(entry, place)
        model = model or {}
        name = entry.get("name") or f"{self.vm.params.get('name') or subject.record['name_label']} {place}"
        wanted = self._bytes(entry)
        if wanted is None and not model.get("size"):
            raise InvalidChange(
                f"Disk {name!r} of VM {self.label!r} is not there, and the task does not say how large it is to be.", hint="Give size."
            )
        sr = self.storage.for_disks(entry.get("sr") or self.params.get("sr") or model.get("sr") or None)
        image_format = entry.get("image_format") or self.storage.image_format({"SR": sr, "sm_config": {}})
        wanted = t.cast(int, model.get("size") if wanted is None else wanted)
        self.storage.refuse_size(wanted, image_format, name)
        cbt = {"cbt": False} if any("cbt_enabled" in vdi for vdi in self.objects.all("VDI").values()) else {}
        fresh = {
            **NEW, **cbt, "position": place, "name": name, "bootable": model.get("bootable", place == 0),
            "size": self.storage.rounded(sr, wanted, image_format), "sr": self.storage.name(sr), "image_format": image_format,
        }  # fmt: skip
        return Target(laid_over(fresh, entry), kind=model.get("kind", "user"))

    @staticmethod
    def _bytes(entry: Record) -> int | None:
        return size(entry["size"]) if entry.get("size") is not None else None

    def _changed(self, entry: Record, place: int, disk: Disk) -> Target:
        words = {**laid_over(disk.words, entry), "position": place}
        if entry.get("image_format") and entry["image_format"] != words["image_format"]:
            raise InvalidChange(f"Disk {words['name']!r} of VM {self.label!r} is in format {words['image_format']}: that is fixed.")
        if entry.get("sr"):
            words["sr"] = self.storage.name(self.storage.for_disks(entry["sr"]))
        words["size"] = self._grown(entry, disk.words, words)
        target = Target(words, disk)
        if target.differs("sr"):
            self.calls.refuse_move(target)
        return target

    def _grown(self, entry: Record, have: Words, words: Words) -> int:
        wanted = self._bytes(entry)
        if wanted is None or steps.same_size(have["size"], wanted):
            return t.cast(int, have["size"])
        steps.refuse_shrink(have["size"], wanted, words["name"])
        self.storage.refuse_size(wanted, words["image_format"], words["name"])
        return self.storage.rounded(self.objects.resolve("SR", words["sr"]), wanted, words["image_format"])

    def _existing(self, entry: Record, place: int) -> Target:
        """A disk that is there, and not this VM's yet: it stays when the VM goes, unless the task says otherwise."""
        ref = next(ref for ref, r in self.objects.all("VDI").items() if r["uuid"] == self._named_vdi(entry))
        record = self.objects.get("VDI", ref)
        was = words_of_vdi(self.storage, record)
        have = {**NEW, "keep": True, **was, "position": place}
        words = {**laid_over(have, entry), "was": was}
        if entry.get("sr") and self.storage.name(self.objects.resolve("SR", entry["sr"])) != was["sr"]:
            raise InvalidChange(f"Disk {was['name']!r} is in SR {was['sr']!r}.", hint="Attach it first, and move it then.")
        words["size"] = self._grown(entry, was, words)
        refuse_vdi(self.storage, ref, record, self.label, words["mode"])
        return Target(words, vdi=ref)

    # what it needs ------------------------------------------------------------------
    def needs_halt(self, have: t.Mapping[str, t.Any], want: t.Mapping[str, t.Any], subject: Subject) -> list[str]:
        if subject.at == "Halted" or subject.new:
            return []
        unable = bool(steps.hotplug_refusal(self.objects, subject.record))
        out = [f"detach disk {d.words['name']!r}" for d in self.gone if self._stuck(subject, d, unable=unable)]
        for target in self.targets:
            fixed = target.words["mode"] == "ro" and steps.is_hvm(subject.record)
            if not target.disk:
                out += [f"attach disk {target.name!r}"] if unable or fixed else []
            elif self.calls.is_plugged(subject, target.disk):
                if target.differs("size") and not self._grows(target):
                    out.append(f"grow disk {target.name!r}")
                if target.differs("mode") or target.differs("position"):
                    out.append(f"change the drive of disk {target.name!r}")
            elif target.differs("mode"):  # xapi_vbd.ml: set_mode asks for a halted VM, whatever is plugged
                out.append(f"change the drive of disk {target.name!r}")
        return out

    def _stuck(self, subject: Subject, disk: Disk, *, unable: bool) -> bool:
        return self.calls.is_plugged(subject, disk) and (unable or not disk.drive["unpluggable"])

    def _grows(self, target: Target) -> bool:
        return bool(target.disk) and steps.grows_online(self.storage, t.cast(Disk, target.disk).record)

    # changing -----------------------------------------------------------------------
    def change(self, plan: Plan, subject: Subject) -> None:
        plan.warnings += self.storage.room(self._needs(subject))
        self._warn_of_chains(plan, subject)
        for disk in self.gone:
            self.calls.detach(plan, subject, disk)
        for target in (target for target in self.targets if target.disk):
            self.calls.adapt(plan, subject, target)
        self.calls.rearrange(plan, subject, self.targets)
        for target in (target for target in self.targets if not target.disk):
            self.calls.add(plan, subject, target)
        wanted = {target.position for target in self.targets if not target.disk and not target.vdi}
        for place, vdi in self.calls.begun(subject).items():
            if place not in wanted:
                plan.add("VDI.destroy", vdi, what=f"remove a disk that was begun for VM {self.label!r}", slow=True)

    def _needs(self, subject: Subject) -> t.Iterator[tuple[str, int]]:
        """Bytes that disks will take more than now, by SR."""
        begun = self.calls.begun(subject)
        for target in self.targets:
            sr = self.objects.resolve("SR", target.words["sr"])
            thick, want = self.storage.is_thick(sr), target.words["size"]
            if target.disk is None:
                yield sr, 0 if target.vdi or target.position in begun else want
            elif target.differs("sr") or (subject.new and subject.full):
                yield sr, want if thick else int(target.disk.record["physical_utilisation"])
            elif thick:
                # what a clone writes has to have room as well
                yield sr, want if subject.new else want - target.disk.words["size"]

    def _warn_of_chains(self, plan: Plan, subject: Subject) -> None:
        chains = Chains(self.objects)
        for disk in [] if subject.new else self.there(subject):
            if (length := chains.length(disk.vdi)) >= NEAR:
                plan.warnings.append(
                    f"Disk {disk.words['name']!r} of VM {self.label!r} has a chain of {length} images, {LIMIT} are the limit. {WAYS_OUT}"
                )

    # removing -----------------------------------------------------------------------
    def remove(self, plan: Plan, subject: Subject) -> None:
        """Those it owns go first, so that a run that is cut off finds the rest."""
        kept = plan.facts.setdefault("kept_disks", [])
        for disk in self.there(subject):
            if self.calls.is_owned(subject, disk):
                plan.add("VDI.destroy", disk.vdi, what=f"remove disk {disk.words['name']!r} of VM {self.label!r}", slow=True)
            else:
                kept.append({"name": disk.words["name"], "uuid": disk.record["uuid"], "sr": disk.words["sr"]})
        for vdi in self.calls.begun(subject).values():
            plan.add("VDI.destroy", vdi, what=f"remove a disk that was begun for VM {self.label!r}", slow=True)
