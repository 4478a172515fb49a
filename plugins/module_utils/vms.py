# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a record of class VM is, and the VMs of a pool by name or uuid: templates, snapshots and control domains are of that class too."""

from __future__ import annotations

import typing as t
from collections import Counter

from .errors import NotFound
from .refs import Objects, Record

NOT_COPIED = ("default_template", "xensource_internal")  # keys of other_config that no clone has (xen-api: xapi_vm_clone.ml)


def is_guest(record: Record) -> bool:
    return not record["is_a_template"] and not record["is_a_snapshot"] and not record["is_control_domain"]


def is_template(record: Record) -> bool:
    """Snapshots are marked as templates too."""
    return bool(record["is_a_template"]) and not record["is_a_snapshot"]


def is_default(record: Record) -> bool:
    """Whether it is one of the templates the host came with."""
    return bool(record.get("is_default_template")) or record["other_config"].get("default_template") == "true"


def domain_type(record: Record) -> str:
    """hvm, pv, pv_in_pvh or pvh; releases without the field tell by the boot policy."""
    known = record.get("domain_type", "unspecified")
    return str(known) if known != "unspecified" else "hvm" if record["HVM_boot_policy"] else "pv"


def guests(objects: Objects) -> dict[str, Record]:
    """By reference."""
    return {ref: record for ref, record in objects.all("VM").items() if is_guest(record)}


class Vms:
    """Names of VMs there and back, from one bulk read."""

    def __init__(self, objects: Objects):
        self.objects = objects
        self._owners: dict[str, int] | None = None

    def all(self) -> dict[str, Record]:
        return guests(self.objects)

    def forget(self) -> None:
        """Names are counted anew, for the records were read anew."""
        self._owners = None

    def label(self, ref: str) -> str:
        """The name if one VM only has it, else the uuid; "" for none. A template that was a VM is told by its uuid."""
        record = self.objects.all("VM").get(ref)
        if record is None:
            return ""
        if self._owners is None:
            self._owners = dict(Counter(guest["name_label"] for guest in self.all().values()))
        name = str(record["name_label"])
        return name if name and is_guest(record) and self._owners.get(name) == 1 else str(record["uuid"])

    def labels(self, refs: t.Iterable[str]) -> list[str]:
        """Of those that are there, sorted."""
        return sorted(label for ref in refs if (label := self.label(ref)))

    def resolve(self, text: str) -> str:
        """Raises NotFound (with the names there are), Ambiguous (with the candidates)."""
        return self.objects.resolve("VM", text, is_guest)

    def found(self, text: str) -> str | None:
        """The VM if there is one. Raises Ambiguous."""
        try:
            return self.resolve(text)
        except NotFound:
            return None
