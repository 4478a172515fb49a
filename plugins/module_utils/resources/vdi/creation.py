# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A disk that is not there yet: an empty one, a copy of another, a snapshot of another."""

from __future__ import annotations

import typing as t

from ... import disks
from ...chains import LIMIT, NEAR, WAYS_OUT, Chains
from ...errors import InvalidChange
from ...fields import Table
from ...formats.sizes import readable_size
from ...plan import Handle, Later, Plan
from ...refs import NULL, Record
from .table import LATER, TABLE

if t.TYPE_CHECKING:
    from .resource import Vdi


class Creation:
    def __init__(self, vdi: Vdi):
        self.vdi, self.params, self.objects, self.storage, self.label = vdi, vdi.params, vdi.objects, vdi.storage, vdi.label

    # what it is to be -----------------------------------------------------------
    def desire(self, after: dict[str, t.Any]) -> None:
        """SR, size and format. Raises InvalidChange."""
        if not self.params.get("name"):
            raise InvalidChange("A disk that is not there yet needs a name.")
        if self.params.get("snapshot_of"):
            self._as_source(after)
            return
        source = self.source()
        target = self.storage.for_disks(self.params.get("sr"))
        after["sr"] = self.storage.name(target)
        after["image_format"] = self.params.get("image_format") or self.storage.image_format({"SR": target, "sm_config": {}})
        after["size"] = self._size(source, target, after["image_format"])
        if after["cbt"] is not None:
            after["cbt"] = bool(self.params.get("cbt"))

    def _as_source(self, after: dict[str, t.Any]) -> None:
        _ref, of = self.snapshot_of()
        for option in ("sr", "size", "image_format", "source"):
            if self.params.get(option) is not None:
                raise InvalidChange(f"A snapshot has the {option} of its disk.", hint=f"Leave {option} out.")
        inherited = ("type", "sharable", "read_only", "xenstore_data", "on_boot", "tags", "description")
        seen = TABLE.observe(of, self.objects)
        after.update({option: seen[option] for option in inherited if self.params.get(option) is None})
        after.update(sr=self.storage.name(of["SR"]), size=int(of["virtual_size"]), image_format=self.storage.image_format(of))
        given = self.params.get("other_config") or {}
        after["other_config"] = {**disks.theirs(of["other_config"]), **{k: v for k, v in after["other_config"].items() if k in given}}
        after["cbt"] = of.get("cbt_enabled")

    def _size(self, source: tuple[str, Record] | None, target: str, image_format: str) -> int:
        given = self.vdi.given_size()
        least = int(source[1]["virtual_size"]) if source else 0
        if given is None and not source:
            raise InvalidChange(f"Disk {self.label!r} is not there, and the task does not say how large it is to be.", hint="Give size.")
        size = least if given is None else given
        if size < least:
            raise InvalidChange(
                f"Disk {self.label!r} cannot be {readable_size(size)} large: the disk it is a copy of has {readable_size(least)}."
            )
        self.storage.refuse_size(size, image_format, self.label)
        return self.storage.rounded(target, size, image_format)

    def source(self) -> tuple[str, Record] | None:
        """The disk to copy. Raises NotFound, Ambiguous."""
        if not self.params.get("source"):
            return None
        sr = self.objects.resolve("SR", self.params["source_sr"]) if self.params.get("source_sr") else ""
        return self.vdi.resolve(self.params["source"], lambda r: sr in ("", r["SR"]))

    def snapshot_of(self) -> tuple[str, Record]:
        return self.vdi.resolve(self.params["snapshot_of"], lambda r: not r["is_a_snapshot"])

    # the calls --------------------------------------------------------------------
    def make(self, plan: Plan) -> Later | str:
        if self.params.get("snapshot_of"):
            return self._snapshot(plan)
        source, target = self.source(), self.objects.resolve("SR", plan.after["sr"])
        if source:
            self.vdi.refuse_copy(*source)
        plan.warnings += self.storage.room([(target, plan.after["size"])])
        made = plan.add("VDI.create", self._record(plan, target, source), what=f"create disk {self.label!r}", slow=True)
        if source:
            copy(plan, source[0], made, self.label)
            disks.mark(plan, made, disks.COPYING, None, True, self.label)
        Table("VDI", LATER).changes(plan, made, self.objects, label=self.label)
        return made

    def _record(self, plan: Plan, sr: str, source: tuple[str, Record] | None) -> dict[str, t.Any]:
        raw = {"type": plan.after["image_format"]} if self.params.get("image_format") in ("raw", "qcow2") else {}
        marks = {disks.COPYING: source[1]["uuid"]} if source else {}
        fields = {"SR": sr, "virtual_size": plan.after["size"], "sm_config": raw, "other_config": {**plan.after["other_config"], **marks}}
        return {**TABLE.record(plan.after, self.objects), **fields}

    def _snapshot(self, plan: Plan) -> Later | str:
        """The disk bears the name the snapshot is to have, and the snapshot inherits it: one that has no name yet is known."""
        ref, of = self.snapshot_of()
        begun = self._begun(ref)
        if not begun:
            self._refuse_snapshot(plan, ref, of)
        old = of["other_config"].get(disks.SNAPSHOT)
        snapshot: Later | str = begun
        if not begun:
            if old != self.label:
                disks.mark(plan, ref, disks.SNAPSHOT, self.label, old is not None, of["name_label"])
            snapshot = plan.add("VDI.snapshot", ref, {}, what=f"take a snapshot of disk {of['name_label']!r}", slow=True)
        plan.add("VDI.set_name_label", snapshot, self.label, what=f"name the snapshot {self.label!r}")
        disks.mark(plan, snapshot, disks.SNAPSHOT, None, True, self.label)
        disks.mark(plan, ref, disks.SNAPSHOT, None, True, of["name_label"])
        self._settings(plan, snapshot, of)
        return snapshot

    def _settings(self, plan: Plan, snapshot: Later | str, of: Record) -> None:
        """Where the task wants a snapshot to differ from its disk."""
        inherited = Plan({**TABLE.observe(of, self.objects), "name": self.label}, plan.after, plan.steps)
        TABLE.changes(inherited, snapshot, self.objects, of, self.label)
        disks.change_map(
            plan, ("VDI", "other_config"), snapshot, disks.theirs(of["other_config"]), plan.after["other_config"],
            f"set other_config of snapshot {self.label!r}",
        )  # fmt: skip

    def _begun(self, source: str) -> str:
        rows = self.objects.all("VDI").items()
        return next((r for r, v in rows if v["snapshot_of"] == source and v["other_config"].get(disks.SNAPSHOT) == self.label), "")

    def _refuse_snapshot(self, plan: Plan, ref: str, of: Record) -> None:
        name = of["name_label"]
        if "snapshot" not in of["allowed_operations"]:
            why = "it is sharable" if of["sharable"] else "its SR cannot, or something else is being done to it"
            raise InvalidChange(f"No snapshot can be taken of disk {name!r} now: {why}.")
        length = Chains(self.objects).length(ref) + 1
        if length > LIMIT:
            raise InvalidChange(f"Disk {name!r} has a chain of {length - 1} images already, the limit.", hint=WAYS_OUT)
        if length >= NEAR:
            plan.warnings.append(f"Disk {name!r} will have a chain of {length} images, {LIMIT} are the limit. {WAYS_OUT}")
        plan.warnings += self.storage.room([(of["SR"], int(of["virtual_size"]) if self.storage.is_thick(of["SR"]) else 0)])


def copy(plan: Plan, source: str, into: Handle, label: str) -> None:
    """All data of one disk into another."""
    plan.add("VDI.copy", source, NULL, NULL, into, what=f"copy the content of disk {label!r}", slow=True)
