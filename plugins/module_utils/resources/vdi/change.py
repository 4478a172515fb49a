# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A disk that is there: what an interrupted run left to do, its SR, size and settings."""

from __future__ import annotations

import typing as t

from ... import disks
from ...errors import InvalidChange
from ...plan import Later, Plan
from ...refs import NULL, Record
from ...resource import Found
from .creation import copy
from .table import TABLE

if t.TYPE_CHECKING:
    from .resource import Vdi


class Change:
    def __init__(self, vdi: Vdi):
        self.vdi, self.params, self.objects, self.storage, self.label = vdi, vdi.params, vdi.objects, vdi.storage, vdi.label

    # what it is to be -----------------------------------------------------------
    def desire(self, before: t.Mapping[str, t.Any], after: dict[str, t.Any]) -> None:
        """SR, size and format. Raises InvalidChange."""
        after["sr"] = self.storage.name(self.storage.for_disks(self.params["sr"])) if self._goes(before) else before["sr"]
        wanted, given = self.params.get("image_format"), self.vdi.given_size()
        after["image_format"] = before["image_format"]
        if wanted and wanted != before["image_format"]:
            raise InvalidChange(f"Disk {self.label!r} is in format {before['image_format']}: that is fixed when it is created.")
        after["size"] = before["size"]
        if given is not None and not disks.same_size(before["size"], given):
            disks.refuse_shrink(before["size"], given, self.label)
            self.storage.refuse_size(given, before["image_format"], self.label)
            target = self.objects.resolve("SR", after["sr"])
            after["size"] = self.storage.rounded(target, given, before["image_format"])

    def _goes(self, before: t.Mapping[str, t.Any]) -> bool:
        """A name stands for the disk in that SR, a uuid for the disk wherever it is."""
        if not self.params.get("sr") or not (self.params.get("uuid") or self.params["move"]):
            return False
        return self.objects.resolve("SR", self.params["sr"]) != self.objects.resolve("SR", before["sr"])

    # the calls --------------------------------------------------------------------
    def plan(self, plan: Plan, found: Found) -> None:
        if plan.before["cbt"] and not plan.after["cbt"]:
            plan.add("VDI.disable_cbt", found.ref, what=f"stop tracking changes of disk {self.label!r}")
        self.vdi.attachments.leave(plan, found.ref)
        self._finish(plan, found)
        place = self._move(plan, found)
        self._grow(plan, found, place)
        TABLE.changes(plan, place, self.objects, found.record, self.label)
        disks.change_map(
            plan, ("VDI", "other_config"), place, plan.before["other_config"], plan.after["other_config"],
            f"set other_config of disk {self.label!r}",
        )  # fmt: skip
        if isinstance(place, str):
            self.vdi.attachments.join(plan, place, found.record)
        else:
            self._rejoin(plan, place, found)
        self.vdi.attachments.forget(plan, place)
        if plan.after["cbt"] and not plan.before["cbt"]:
            plan.add("VDI.enable_cbt", place, what=f"track changes of disk {self.label!r}")

    def _rejoin(self, plan: Plan, place: Later, found: Found) -> None:
        """After a move: VBDs that stay are there already."""
        kept = [e for e in plan.before["attached_to"] if e in plan.after["attached_to"]]
        rest = Plan(plan.before, {**plan.after, "attached_to": [e for e in plan.after["attached_to"] if e not in kept]}, plan.steps)
        self.vdi.attachments.join(rest, place, found.record)

    def _finish(self, plan: Plan, found: Found) -> None:
        """Copies that were interrupted begin again; marks of what has come to its end go."""
        config = found.record["other_config"]
        if disks.COPYING in config:
            source = self.vdi.known(config[disks.COPYING])
            if not source:
                raise InvalidChange(
                    f"Disk {self.label!r} was to become a copy of a disk that is not there any more ({config[disks.COPYING]}).",
                    hint="Remove it (state: absent).",
                )
            self.vdi.refuse_copy(*source)
            copy(plan, source[0], found.ref, self.label)
        for key in (disks.COPYING, disks.MOVING, disks.SNAPSHOT):
            if key in config and not (key == disks.SNAPSHOT and not found.record["is_a_snapshot"]):
                disks.mark(plan, found.ref, key, None, True, self.label)
        of = found.record["snapshot_of"] if found.record["is_a_snapshot"] else NULL
        if of in self.objects.all("VDI") and self.objects.get("VDI", of)["other_config"].get(disks.SNAPSHOT) == plan.after["name"]:
            disks.mark(plan, of, disks.SNAPSHOT, None, True, self.label)

    # moving -------------------------------------------------------------------------
    def _move(self, plan: Plan, found: Found) -> str | Later:
        if plan.before["sr"] == plan.after["sr"]:
            return found.ref
        record, target = found.record, self.objects.resolve("SR", plan.after["sr"])
        stays = {(e["vm"], e["position"]) for e in plan.before["attached_to"] if self._stays(plan, e)}
        vbds = {
            ref: vbd
            for ref, vbd in self.storage.vbds(found.ref).items()
            if (self.vdi.attachments.vms.label(vbd["VM"]), disks.place_of(vbd)) in stays
        }
        needs = plan.after["size"] if self.storage.is_thick(target) else int(record["physical_utilisation"])
        plan.warnings += self.storage.room([(target, needs)])
        if not vbds:
            return self._move_alone(plan, found, target)
        disks.refuse_move(self.storage, record, target, self.label)
        one = next((item for item in vbds.items() if item[1]["currently_attached"]), next(iter(vbds.items())))
        tracked = bool(plan.before["cbt"] and plan.after["cbt"])
        return disks.migrate(plan, found.ref, record, one, (target, plan.after["sr"]), self.label, tracked=tracked)

    @staticmethod
    def _stays(plan: Plan, entry: dict[str, t.Any]) -> bool:
        return any((e["vm"], e["position"]) == (entry["vm"], entry["position"]) for e in plan.after["attached_to"])

    def _move_alone(self, plan: Plan, found: Found, target: str) -> str | Later:
        """Nobody has it: a copy takes its name, then it goes."""
        record = found.record
        self.vdi.refuse_copy(found.ref, record)
        place: str | Later = self._begun(record, target)
        if not place:
            place = plan.add("VDI.create", self._moved_record(record, target), what=f"create disk {self.label!r} in its new SR", slow=True)
        copy(plan, found.ref, place, self.label)
        plan.add("VDI.destroy", found.ref, what=f"remove disk {self.label!r} from SR {plan.before['sr']!r}", slow=True)
        disks.mark(plan, place, disks.MOVING, None, True, self.label)
        return place

    def _begun(self, record: Record, target: str) -> str:
        rows = self.objects.all("VDI").items()
        return next((r for r, v in rows if v["SR"] == target and v["other_config"].get(disks.MOVING) == record["uuid"]), "")

    def _moved_record(self, record: Record, target: str) -> dict[str, t.Any]:
        raw = {"type": "raw"} if self.storage.image_format(record) == "raw" else {}
        same = ("name_label", "name_description", "type", "sharable", "read_only", "xenstore_data", "tags")
        config = {**disks.kept_config(record), disks.MOVING: record["uuid"]}
        return {
            **{key: record[key] for key in same},
            "SR": target, "virtual_size": int(record["virtual_size"]), "sm_config": raw, "other_config": config,
        }  # fmt: skip

    # growing ------------------------------------------------------------------------
    def _grow(self, plan: Plan, found: Found, place: str | Later) -> None:
        have, want = plan.before["size"], plan.after["size"]
        if have == want:
            return
        self._refuse_suspended(found)
        used = [e["vm"] for e in plan.before["attached_to"] if e.get("plugged") and e in plan.after["attached_to"]]
        online = disks.grows_online(self.storage, found.record)
        if used and not online:
            raise InvalidChange(
                f"Disk {self.label!r} cannot grow while VM {used[0]!r} has it: SR {plan.before['sr']!r} does not do that.",
                hint="Halt the VM first.",
            )
        if self.storage.is_thick(found.record["SR"]) and plan.before["sr"] == plan.after["sr"]:
            plan.warnings += self.storage.room([(found.record["SR"], want - have)])
        disks.grow(plan, place, want, self.label, online=bool(used))

    def _refuse_suspended(self, found: Found) -> None:
        """A VM that is suspended or paused has its disks still, and does not learn of their sizes."""
        if held := self.storage.held(found.ref):
            raise InvalidChange(
                f"Disk {self.label!r} cannot grow while VM {held[0]!r} has it, which is {held[1]}.",
                hint="Let it run or halt it first (xen_vm with power_state).",
            )


def refuse_destroy(plan: Plan, found: Found, label: str, held: tuple[str, str] | None) -> str:
    """What the removal interrupts. held: a VM that does not run and has it still, with its state. Raises InvalidChange."""
    attached = plan.before["attached_to"]
    running = sorted({e["vm"] for e in attached if e.get("plugged")})
    if held:
        raise InvalidChange(f"Disk {label!r} is in use by VM {held[0]!r}, which is {held[1]}.", hint="Halt the VM first (xen_vm).")
    if running:
        raise InvalidChange(f"Disk {label!r} is in use by {_named(running)}.", hint="Detach it first (attached_to: []).")
    if "destroy" not in found.record["allowed_operations"]:
        raise InvalidChange(f"Disk {label!r} cannot be removed: its SR does not do that, or something else is being done to it.")
    names = sorted({e["vm"] for e in attached})
    return f"take disk {label!r} from {_named(names)} and remove its data" if names else ""


def _named(names: t.Sequence[str]) -> str:
    return ", ".join(f"VM {name!r}" for name in names)
