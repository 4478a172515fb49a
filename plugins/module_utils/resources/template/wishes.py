# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a template says about VMs that are made from it: their disks, and where they are installed from. All in other_config."""

from __future__ import annotations

import re
import typing as t
import xml.etree.ElementTree as ET

from ...errors import InvalidChange
from ...formats.sizes import size
from ...plan import Plan
from ...refs import Record
from ...storage import TINY
from ..vm.boot import REPOSITORY
from ..vm.part import Part, Subject

# <provision><disk device="0" size="bytes" sr="uuid" bootable="true" type="system"/></provision> (xen-api: xapi_templates.ml)
DISKS = "disks"
METHODS = "install-methods"
TYPES = ("system", "user")
SCHEMES = {"cdrom": "cdrom", "http": "http", "https": "http", "ftp": "ftp", "nfs": "nfs"}  # of a repository -> the method it needs
DISK_OPTIONS: dict[str, dict[str, t.Any]] = {
    "size": {"type": "str", "required": True},
    "sr": {"type": "str"},
    "bootable": {"type": "bool"},
    "type": {"type": "str", "choices": list(TYPES)},
    "device": {"type": "str"},
}
Disk = dict[str, t.Any]


def parse(text: str) -> list[Disk]:
    """The disks in other_config, the SR by its uuid. Raises ValueError for what xapi could not read either."""
    try:
        found = list(ET.fromstring(text).iter("disk")) if text else []
    except ET.ParseError as e:
        raise ValueError(str(e)) from e
    return [
        {
            "device": e.get("device", str(n)),
            "size": int(e.get("size", "")),
            "sr": e.get("sr", ""),
            "bootable": e.get("bootable") == "true",
            "type": e.get("type", "system"),
        }
        for n, e in enumerate(found)
    ]


def unparse(disks: t.Sequence[Disk]) -> str:
    root = ET.Element("provision")
    for disk in disks:
        row = {"device": disk["device"], "size": str(disk["size"]), "sr": disk["sr"], "bootable": str(disk["bootable"]).lower()}
        ET.SubElement(root, "disk", {**row, "type": disk["type"]})
    return ET.tostring(root, encoding="unicode")


class Provision(Part):
    options: t.ClassVar[dict[str, dict[str, t.Any]]] = {
        "provision_disks": {"type": "list", "elements": "dict", "options": DISK_OPTIONS},
    }

    def observe(self, subject: Subject) -> dict[str, t.Any]:
        try:
            disks = parse(subject.record["other_config"].get(DISKS, ""))
        except ValueError:
            return {"provision_disks": None}
        return {"provision_disks": [{**disk, "sr": self._name(disk["sr"])} for disk in disks]}

    def _name(self, uuid: str) -> str:
        """An SR's name if it is the only one of that name; the uuid of one that is gone stays."""
        refs = self.objects.named("SR", uuid) if uuid else []
        return self.objects.label("SR", refs[0]) if refs else uuid

    def desire(self, have: t.Mapping[str, t.Any], subject: Subject) -> dict[str, t.Any]:
        given = self.params.get("provision_disks")
        if given is None:
            return dict(have)
        disks = [self._wanted(n, disk, have["provision_disks"] or []) for n, disk in enumerate(given)]
        places = [disk["device"] for disk in disks]
        twice = next((place for place in places if places.count(place) > 1), None)
        if twice is not None:
            raise InvalidChange(f"Two of the provision_disks of template {self.label!r} have device {twice}.")
        return {"provision_disks": disks}

    def _wanted(self, number: int, given: Record, have: t.Sequence[Disk]) -> Disk:
        """What the task leaves out stays as it is at the same device."""
        device = given.get("device") or str(number)
        if not device.isdecimal():
            raise InvalidChange(f"A provision disk of template {self.label!r} cannot have device {device!r}.", hint="Give a number.")
        fresh: Disk = {"sr": "", "bootable": number == 0, "type": "system"}
        old = next((disk for disk in have if disk["device"] == device), fresh)
        new = {key: old[key] if given.get(key) is None else given[key] for key in ("bootable", "type")}
        sr = old["sr"] if given.get("sr") is None else self._sr(given["sr"], old["sr"])
        bytes_ = size(given["size"])
        if bytes_ < TINY and bytes_ != old.get("size"):
            raise InvalidChange(
                f"Disk {device} of the provision_disks of template {self.label!r} has {bytes_} bytes.",
                hint="Give a size with its unit, such as 20 GiB.",
            )
        return {"device": device, "size": bytes_, "sr": sr, **new}

    def _sr(self, given: str, old: str) -> str:
        if not given or given == old:
            return given
        ref = self.objects.resolve("SR", given)
        if self.objects.get("SR", ref)["content_type"] == "iso":
            raise InvalidChange(f"SR {given!r} holds ISO images, no disks.", hint="Give another SR, or none for the pool's default.")
        return self.objects.label("SR", ref)

    def change(self, plan: Plan, subject: Subject) -> None:
        have, want = plan.before["provision_disks"], plan.after["provision_disks"]
        if have == want:
            return
        text = unparse([{**disk, "sr": self._uuid(disk["sr"])} for disk in want]) if want else None
        self.vm.set_key(plan, subject, "other_config", DISKS, text, there=DISKS in subject.record["other_config"])

    def _uuid(self, name: str) -> str:
        refs = self.objects.named("SR", name) if name else []
        return str(self.objects.get("SR", refs[0])["uuid"]) if refs else name


class Install(Part):
    options: t.ClassVar[dict[str, dict[str, t.Any]]] = {"install_methods": {"type": "list", "elements": "str"}}

    def observe(self, subject: Subject) -> dict[str, t.Any]:
        methods = [method.strip() for method in subject.record["other_config"].get(METHODS, "").split(",")]
        return {"install_methods": [method for method in methods if method]}

    def desire(self, have: t.Mapping[str, t.Any], subject: Subject) -> dict[str, t.Any]:
        """install_repository is looked at, too: what it is set to is the business of how the VM boots."""
        given = self.params.get("install_methods")
        want = have["install_methods"] if given is None else given
        odd = [method for method in want if not re.fullmatch(r"[a-z0-9]+", method)]
        if odd and want != have["install_methods"]:
            raise InvalidChange(f"Template {self.label!r} cannot be installed by {odd[0]!r}.", hint="Known are cdrom, http, ftp, nfs, pxe.")
        where = self.params.get("install_repository")
        if where and where != subject.record["other_config"].get(REPOSITORY):
            self._check(where, want)
        return {"install_methods": want}

    def _check(self, where: str, methods: t.Sequence[str]) -> None:
        scheme = where.partition(":")[0].lower()
        if scheme not in SCHEMES or (scheme != "cdrom" and ":" not in where):
            raise InvalidChange(
                f"install_repository of template {self.label!r} is {where!r}, which is none.",
                hint="Give a URL that starts with http, https or ftp, nfs:SERVER:/PATH, or cdrom.",
            )
        if methods and SCHEMES[scheme] not in methods:
            raise InvalidChange(
                f"Template {self.label!r} cannot be installed from {where!r}: it knows {', '.join(methods)}.",
                hint="Give install_methods too, if that is wrong.",
            )

    def change(self, plan: Plan, subject: Subject) -> None:
        want = plan.after["install_methods"]
        if plan.before["install_methods"] != want:
            there = METHODS in subject.record["other_config"]
            self.vm.set_key(plan, subject, "other_config", METHODS, ",".join(want) or None, there=there)
