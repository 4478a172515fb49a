# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A template whose disk is a cloud image.

A copy of a base template gets one disk, made, written and only then attached. What is under way bears the working name, and the
checksum of the image as a mark, so that a run that breaks off is finished by the next: a disk that is not written whole is written
again, one that nobody needs goes.
"""

from __future__ import annotations

import re
import typing as t

from ... import stream
from ...disks import OWNER, PREFIX, same_size, vbd_record
from ...errors import InvalidChange
from ...formats.sizes import readable_size, size
from ...plan import Later, Plan
from ...refs import NULL, Record
from ...storage import Storage
from ..vm.creation import UNFINISHED, working_name
from ..vm.part import Subject
from . import image_file
from .creation import Copying

OPTIONS: dict[str, dict[str, t.Any]] = {
    "image": {"type": "path"},
    "sha256": {"type": "str"},
    "disk_size": {"type": "str"},
    "replace": {"type": "bool", "default": False},
}
MARK = f"{PREFIX}image"  # other_config of template and disk: the SHA-256 of the image
WRITTEN = f"{PREFIX}written"  # other_config of the disk: all of the image is in it
BASE = "Other install media"
UPLOAD = "http/put_import_raw_vdi"  # as xapi calls the permission
Disk = tuple[str, Record]


class Imaging(Copying):
    @property
    def wanted(self) -> bool:
        return bool(self.params.get("image"))

    def base(self) -> str:
        return BASE if self.wanted else ""

    # which image ----------------------------------------------------------------------
    def checksum(self) -> str:
        """That of the task if it gives one, else that of the file. Raises InvalidChange."""
        given = self.params.get("sha256")
        if given is None:
            return self._of_the_file()
        if not re.fullmatch(r"[0-9a-fA-F]{64}", given.strip()):
            raise InvalidChange(f"sha256 {given!r} is no SHA-256.", hint="It has 64 hexadecimal digits.")
        return str(given).strip().lower()

    def _of_the_file(self) -> str:
        if not hasattr(self, "_digest"):
            self._digest = image_file.digest(self.params["image"])
        return self._digest

    def holds(self, record: Record) -> bool:
        """Whether the template was made from this image."""
        return bool(record["other_config"].get(MARK) == self.checksum())

    def fits(self, begun: Record) -> bool:
        return super().fits(begun) and (not self.wanted or begun["other_config"].get(MARK, self.checksum()) == self.checksum())

    # refusals -------------------------------------------------------------------------
    def check(self, subject: Subject) -> list[str]:
        """Everything that stands against it; warnings. Sets what make() goes by. Raises InvalidChange, NotFound, XenError."""
        path = self.params["image"]
        if self._of_the_file() != self.checksum():
            raise InvalidChange(
                f"The image {path!r} has the SHA-256 {self._of_the_file()}, not {self.checksum()}.",
                hint="Download it again, or correct sha256.",
            )
        image = image_file.inspect(path)
        self._seen = image_file.contents(path, image)
        self._refuse_source(subject)
        storage = Storage(self.objects)
        self._sr = storage.for_disks(self.params.get("sr"))
        self._size = self._wanted_size(storage, image.virtual_size)
        return [] if self._begun() else self._room(storage, path)

    def _refuse_source(self, subject: Subject) -> None:
        lacks = ""
        if not subject.record["HVM_boot_policy"]:
            lacks = "whose VMs boot from a kernel, not a disk"
        elif subject.new and self._disks(subject.vbds):
            lacks = "which has disks of its own"
        if lacks:
            name = self.objects.get("VM", self.source())["name_label"]
            raise InvalidChange(
                f"Template {self.vm.label!r} cannot be made from an image and {name!r}, {lacks}.",
                hint=f"Give another source, such as {BASE!r}.",
            )
        if self._seen.architecture not in ("", "x86_64", "x86"):
            raise InvalidChange(
                f"The image {self.params['image']!r} is made for {self._seen.architecture}; VMs of this pool have x86_64.",
                hint="Take the one for amd64.",
            )

    def _wanted_size(self, storage: Storage, least: int) -> int:
        label = f"of template {self.vm.label}"
        wanted = size(self.params["disk_size"]) if self.params.get("disk_size") else least
        if wanted < least:
            told = f"{readable_size(wanted)}, the image has {readable_size(least)}"
            raise InvalidChange(f"disk_size {label} is {told}.", hint="Give more, or nothing.")
        storage.refuse_size(wanted, "vhd", label)
        return storage.rounded(self._sr, wanted, "vhd")

    def _room(self, storage: Storage, path: str) -> list[str]:
        """Raises InvalidChange where the disk does not fit, or where not even what is in it does."""
        warnings = storage.room([(self._sr, self._size)])
        free, least = storage.free(self._sr), min(self._size, image_file.data_in(path))
        if free is not None and least > free:
            raise InvalidChange(
                f"{readable_size(least)} are in the image {path!r}, {readable_size(free)} are free in SR {storage.name(self._sr)!r}.",
                hint="Take another SR, or make room.",
            )
        return warnings

    def implied(self, want: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
        """What follows from the image where the task says nothing. Raises InvalidChange for firmware that cannot boot it."""
        out: dict[str, t.Any] = {"provision_disks": self.params.get("provision_disks") or []}
        can = [name for name, able in (("bios", self._seen.bios), ("uefi", self._seen.uefi)) if able]
        if not can or want["firmware"] in can:
            return out
        if self.params.get("firmware"):
            raise InvalidChange(
                f"The image {self.params['image']!r} does not start with {want['firmware'].upper()}.", hint=f"Set firmware: {can[0]}."
            )
        return {**out, "firmware": can[0]}

    def clear(self, plan: Plan) -> None:
        """What was begun and nobody goes on with."""
        for ref, _record in self._begun():
            plan.add("VDI.destroy", ref, what=f"delete a disk that was begun for template {self.vm.label!r}", slow=True)

    # the disk ---------------------------------------------------------------------------
    def _begun(self) -> list[Disk]:
        """Disks that an interrupted run has left and nobody has; the whole ones first."""
        name, storage = working_name(self.vm.label), Storage(self.objects)
        rows = self.objects.all("VDI").items()
        found = [(ref, r) for ref, r in rows if r["name_label"] == name and MARK in r["other_config"] and not storage.vbds(ref)]
        return sorted(found, key=lambda row: WRITTEN not in row[1]["other_config"])

    def make(self, plan: Plan, subject: Subject) -> None:
        """The copy, and its disk; what is left is to change and name it."""
        super().make(plan, subject)
        if not self.wanted:
            return
        label, mark = self.vm.label, self.checksum()
        if subject.record["other_config"].get(MARK) != mark:
            self.vm.set_key(plan, subject, "other_config", MARK, mark, there=MARK in subject.record["other_config"])
        attached = next((vbd["VDI"] for vbd in subject.vbds.values() if vbd["userdevice"] == "0"), NULL) if not subject.new else NULL
        chosen, stale = self._choose(attached)
        for ref in stale:
            plan.add("VDI.destroy", ref, what=f"delete a disk that was begun for template {label!r}", slow=True)
        vdi = self._written(plan, chosen)
        if attached == NULL or attached in stale:
            drive = vbd_record(subject.ref, vdi, 0, "RW", bootable=True, unpluggable=False, other_config={OWNER: ""})
            plan.add("VBD.create", drive, what=f"attach the disk of template {label!r}")
        if not chosen or chosen[1]["name_label"].endswith(UNFINISHED):
            plan.add("VDI.set_name_label", vdi, label, what=f"name the disk of template {label!r}")

    def _choose(self, attached: str) -> tuple[Disk | None, list[str]]:
        """The disk to go on with, and those to remove."""
        if attached != NULL and attached in self.objects.all("VDI"):
            chosen: Disk | None = (attached, self.objects.get("VDI", attached))
        else:
            good = [d for d in self._begun() if self._suits(d[1])]
            chosen = good[0] if good else None
        stale = [ref for ref, _record in self._begun() if not chosen or ref != chosen[0]]
        return chosen, stale

    def _suits(self, vdi: Record) -> bool:
        mark = vdi["other_config"][MARK]
        return bool(vdi["SR"] == self._sr and same_size(int(vdi["virtual_size"]), self._size) and mark == self.checksum())

    def _written(self, plan: Plan, chosen: Disk | None) -> str | Later:
        label = self.vm.label
        if chosen and WRITTEN in chosen[1]["other_config"]:
            return chosen[0]
        vdi: str | Later = chosen[0] if chosen else ""
        if not vdi:
            vdi = plan.add("VDI.create", self._record(), what=f"create the disk of template {label!r}", slow=True)
        plan.add(UPLOAD, vdi, what=f"write the image to the disk of template {label!r}", run=self._upload)
        plan.add("VDI.add_to_other_config", vdi, WRITTEN, "true", what=f"mark the disk of template {label!r} as written")
        return vdi

    def _record(self) -> dict[str, t.Any]:
        return {
            "name_label": working_name(self.vm.label), "name_description": "", "SR": self._sr, "virtual_size": self._size,
            "type": "system", "sharable": False, "read_only": False, "other_config": {MARK: self.checksum()}, "xenstore_data": {},
            "sm_config": {}, "tags": [],
        }  # fmt: skip

    def _upload(self, vdi: str) -> None:
        with image_file.as_taken(self.params["image"]) as (path, format_):
            what = f"Upload of the image of template {self.vm.label}"
            stream.upload(self.vm.session, "/import_raw_vdi", {"vdi": vdi, "format": format_}, path, path.stat().st_size, what=what)
