# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VM exports: which objects they hold, under which names (xen-api: ocaml/xapi/export.ml, xva.ml)."""

from __future__ import annotations

import typing as t
from xml.sax.saxutils import escape

from . import wire_xml
from .modeltypes import NULL, Type

if t.TYPE_CHECKING:
    from .database import Database, Record
    from .world import World

ORDER = ("host", "VM", "VM_metrics", "VM_guest_metrics", "VBD", "VIF", "network", "VDI", "SR", "VTPM")
VERSION = "2"
NEVER = "19700101T00:00:00Z"


class Contents:
    """The objects of an export and the names they have in it."""

    def __init__(self, world: World, db: Database, vms: t.Sequence[str]) -> None:
        self.world, self.db = world, db
        self.objects: dict[str, list[str]] = {cls: [] for cls in ORDER}
        for vm in vms:
            self._take_vm(vm)
        everything = [ref for cls in ORDER for ref in self.objects[cls]]
        self.names = {ref: f"Ref:{number}" for number, ref in enumerate(everything)}

    def _take(self, cls: str, ref: str) -> None:
        if self.db.exists(cls, ref) and ref not in self.objects[cls]:
            self.objects[cls].append(ref)

    def _take_vm(self, vm: str) -> None:
        record = self.db.get("VM", vm)
        self._take("VM", vm)
        for cls, fields in (("host", ("affinity", "resident_on")), ("VM_metrics", ("metrics",)), ("VM_guest_metrics", ("guest_metrics",))):
            for field in fields:
                self._take(cls, record[field])
        for vbd in record["VBDs"]:
            self._take("VBD", vbd)
            self._take_vdi(self.db.get("VBD", vbd)["VDI"])
        self._take_vdi(record["suspend_VDI"])
        for vif in record["VIFs"]:
            self._take("VIF", vif)
            self._take("network", self.db.get("VIF", vif)["network"])
        for vtpm in record["VTPMs"]:
            self._take("VTPM", vtpm)

    def _take_vdi(self, vdi: str) -> None:
        if self.db.exists("VDI", vdi):
            self._take("VDI", vdi)
            self._take("SR", self.db.get("VDI", vdi)["SR"])

    def disks(self) -> list[tuple[str, str]]:
        """Names in the file and VDIs of the disks whose data is exported, in the order of the file."""
        discs = {record["VDI"] for vbd in self.objects["VBD"] if (record := self.db.get("VBD", vbd))["type"] == "CD"}
        chosen = [vdi for vdi in self.objects["VDI"] if vdi not in discs and not self._on_iso_sr(vdi)]
        return sorted((self.names[vdi], vdi) for vdi in chosen)

    def _on_iso_sr(self, vdi: str) -> bool:
        return bool(self.db.get("SR", self.db.get("VDI", vdi)["SR"])["content_type"] == "iso")

    # ova.xml ---------------------------------------------------------------------------------------------------------
    def ova(self, *, preserve_power_state: bool, keep_metadata: bool) -> bytes:
        """The description."""
        objects = []
        for cls in ORDER:
            for ref in self.objects[cls]:
                record = dict(self.db.get(cls, ref))
                if cls == "VM":
                    record.update(_at_rest(record, preserve_power_state=preserve_power_state, keep_metadata=keep_metadata))
                objects.append(self._object(cls, ref, record))
        listed = f"<value><array><data>{''.join(objects)}</data></array></value>"
        return f"<value><struct>{_member('version', self._version())}{_member('objects', listed)}</struct></value>".encode()

    def _version(self) -> str:
        software = next(iter(self.db.all("host").values()))["software_version"]
        major, _dot, minor = software.get("xapi", "1.0").partition(".")
        taken = {name: software.get(name, "") for name in ("hostname", "date", "product_version", "product_brand", "build_number")}
        values = {**taken, "xapi_major": major, "xapi_minor": minor, "export_vsn": VERSION}
        members = "".join(_member(name, f"<value>{escape(str(value))}</value>") for name, value in values.items())
        return f"<value><struct>{members}</struct></value>"

    def _object(self, cls: str, ref: str, record: Record) -> str:
        known = self.world.schema.classes[cls].fields
        visible = self.world.schema.visible(cls) or tuple(known)
        members = (_member(n, wire_xml.value(known[n].type, self._rewrite(known[n].type, record[n]), self.world.schema)) for n in visible)
        snapshot = f"<value><struct>{''.join(members)}</struct></value>"
        named = f"{_member('class', f'<value>{cls}</value>')}{_member('id', f'<value>{self.names[ref]}</value>')}"
        return f"<value><struct>{named}{_member('snapshot', snapshot)}</struct></value>"

    def _rewrite(self, type_: Type, value: t.Any) -> t.Any:
        """References become names in the file, those that lead out of it NULL."""
        if type_.kind == "ref":
            return self.names.get(value, NULL)
        if type_.kind == "set" and type_.items[0].kind == "ref":
            return [self.names[ref] for ref in value if ref in self.names]
        if type_.kind == "map" and type_.items[1].kind == "ref":
            return {key: self.names[ref] for key, ref in value.items() if ref in self.names}
        return value


def _member(name: str, element: str) -> str:
    return f"<member><name>{name}</name>{element}</member>"


def _at_rest(record: Record, *, preserve_power_state: bool, keep_metadata: bool) -> Record:
    """What an export says of a VM in another way than the database. Without metadata a snapshot becomes a VM (export.ml, make_vm)."""
    state = record["power_state"] if preserve_power_state or record["is_a_snapshot"] else "Halted"
    rest: Record = {"power_state": state, "allowed_operations": [], "current_operations": {}}
    if not keep_metadata:
        rest |= {"snapshot_metadata": "", "is_a_snapshot": False, "snapshot_of": NULL, "snapshots": [], "parent": NULL, "children": []}
        rest |= {"snapshot_time": NEVER, "transportable_snapshot_id": ""}
    return rest
