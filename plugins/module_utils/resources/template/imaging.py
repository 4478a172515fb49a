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
from ...errors import InvalidChange, NotFound
from ...fields import size
from ...hosts import pool_of
from ...plan import Later, Plan
from ...refs import NULL, Record
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
MARK = "domzero.xen:image"  # other_config of template and disk: the SHA-256 of the image
WRITTEN = "domzero.xen:written"  # other_config of the disk: all of the image is in it
BASE = "Other install media"
UPLOAD = "http/put_import_raw_vdi"  # as xapi calls the permission
MEBIBYTE = 1 << 20
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
    def check(self, subject: Subject) -> None:
        """Everything that stands against it. Sets what make() goes by. Raises InvalidChange, XenError."""
        path, label = self.params["image"], self.vm.label
        if self._of_the_file() != self.checksum():
            raise InvalidChange(
                f"The image {path!r} has the SHA-256 {self._of_the_file()}, not {self.checksum()}.",
                hint="Download it again, or correct sha256.",
            )
        image = image_file.inspect(path)
        self._size = self._wanted_size(image.virtual_size)
        self._sr = self._wanted_sr()
        if not subject.record["HVM_boot_policy"]:
            raise InvalidChange(
                f"Template {label!r} cannot be made from an image and {self._source_name()!r}, whose VMs boot from a kernel, not a disk.",
                hint=f"Give another source, such as {BASE!r}.",
            )
        if subject.new and self._disks(subject.vbds):
            raise InvalidChange(
                f"Template {label!r} cannot be made from an image and {self._source_name()!r}, which has disks of its own.",
                hint=f"Give another source, such as {BASE!r}.",
            )
        self._refuse_contents(image_file.contents(path, image))

    def _source_name(self) -> str:
        return str(self.objects.get("VM", self.source())["name_label"])

    def _wanted_size(self, least: int) -> int:
        wanted = size(self.params["disk_size"]) if self.params.get("disk_size") else least
        if wanted < least:
            raise InvalidChange(
                f"disk_size of template {self.vm.label!r} is {wanted} bytes, the image has {least}.", hint="Give more, or nothing."
            )
        return -(-wanted // MEBIBYTE) * MEBIBYTE

    def _wanted_sr(self) -> str:
        """Raises NotFound, Ambiguous, InvalidChange."""
        if self.params.get("sr"):
            ref = self.objects.resolve("SR", self.params["sr"])
        else:
            ref = pool_of(self.objects)[1]["default_SR"]
            if ref not in self.objects.all("SR"):
                raise NotFound(f"The pool has no default SR for the disk of template {self.vm.label!r}.", hint="Give sr.")
        sr = self.objects.get("SR", ref)
        if sr["content_type"] == "iso":
            raise InvalidChange(f"SR {sr['name_label']!r} holds ISO images, no disks.", hint="Give another sr.")
        free = int(sr["physical_size"]) - int(sr["physical_utilisation"])
        if not self._begun() and int(sr["physical_size"]) >= 0 and free < self._size:
            raise InvalidChange(
                f"SR {sr['name_label']!r} has {free} bytes free, fewer than the {self._size} of the disk of template {self.vm.label!r}.",
                hint="Give another sr, or make room.",
            )
        return ref

    def _refuse_contents(self, seen: image_file.Contents) -> None:
        if seen.architecture not in ("", "x86_64", "x86"):
            raise InvalidChange(
                f"The image {self.params['image']!r} is made for {seen.architecture}; VMs of this pool have x86_64.",
                hint="Take the amd64 one.",
            )

    # the disk ---------------------------------------------------------------------------
    def _begun(self) -> list[Disk]:
        """Disks that an interrupted run has left, attached or not; the whole ones first."""
        name = working_name(self.vm.label)
        found = [(ref, r) for ref, r in self.objects.all("VDI").items() if r["name_label"] == name and MARK in r["other_config"]]
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
            plan.add("VBD.create", self._drive(subject, vdi), what=f"attach the disk of template {label!r}")
        if not chosen or chosen[1]["name_label"].endswith(UNFINISHED):
            plan.add("VDI.set_name_label", vdi, label, what=f"name the disk of template {label!r}")

    def _choose(self, attached: str) -> tuple[Disk | None, list[str]]:
        """The disk to go on with, and those to remove."""
        if attached != NULL and attached in self.objects.all("VDI"):
            chosen: Disk | None = (attached, self.objects.get("VDI", attached))
        else:
            good = [d for d in self._begun() if not d[1]["VBDs"] and self._suits(d[1])]
            chosen = good[0] if good else None
        stale = [ref for ref, record in self._begun() if not record["VBDs"] and (not chosen or ref != chosen[0])]
        return chosen, stale

    def _suits(self, vdi: Record) -> bool:
        return bool(vdi["SR"] == self._sr and int(vdi["virtual_size"]) == self._size and vdi["other_config"][MARK] == self.checksum())

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

    def _drive(self, subject: Subject, vdi: str | Later) -> dict[str, t.Any]:
        return {
            "VM": subject.ref, "VDI": vdi, "userdevice": "0", "device": "", "bootable": True, "mode": "RW", "type": "Disk", "empty": False,
            "unpluggable": False, "currently_attached": False, "other_config": {"owner": ""}, "qos_algorithm_type": "",
            "qos_algorithm_params": {},
        }  # fmt: skip

    def _upload(self, vdi: str) -> None:
        with image_file.as_taken(self.params["image"]) as (path, format_):
            what = f"Upload of the image of template {self.vm.label}"
            stream.upload(self.vm.session, "/import_raw_vdi", {"vdi": vdi, "format": format_}, path, path.stat().st_size, what=what)
