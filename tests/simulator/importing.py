# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects out of an export's description (xen-api: ocaml/xapi/import.ml, importexport.ml)."""

from __future__ import annotations

import typing as t
import uuid
from xml.etree import ElementTree

from . import cloning, decode, vm_records, vm_running, wire_xml
from .database import new_ref
from .errors import Fault
from .modeltypes import NULL, Type
from .vm_operations import TEMPLATE_KEY
from .xva import VERSION

if t.TYPE_CHECKING:
    from .database import Record
    from .dispatch import Call

ORDER = ("SR", "VDI", "VM_guest_metrics", "VM_metrics", "VM", "network", "VBD", "VIF", "VTPM")


class Wanted(t.NamedTuple):
    """How to import: ``sr`` takes the disks of a data import, NULL stands for a metadata import."""

    sr: str = NULL
    restore: bool = False
    force: bool = False


class Described(t.NamedTuple):
    """One object of the file."""

    cls: str
    name: str
    record: Record


def parse(call: Call, ova: bytes) -> list[Described]:
    """The objects of an ova.xml. Raises IMPORT_ERROR, IMPORT_INCOMPATIBLE_VERSION."""
    try:
        whole: dict[str, t.Any] = wire_xml.decode_value(ElementTree.fromstring(ova))
        _refuse_newer(call, whole["version"])
        return [Described(o["class"], o["id"], _record(call, o["class"], o["snapshot"])) for o in whole["objects"]]
    except (ElementTree.ParseError, wire_xml.Malformed, KeyError, TypeError, ValueError) as e:
        raise Fault("IMPORT_ERROR", f"ova.xml is not readable: {e}") from e


def _refuse_newer(call: Call, version: t.Mapping[str, str]) -> None:
    software = call.machine.host_record()["software_version"].get("xapi", "0.0").split(".")
    theirs = [int(version["xapi_major"]), int(version["xapi_minor"])]
    if theirs > [int(part) for part in software[:2]] or int(version["export_vsn"]) > int(VERSION):
        raise Fault("IMPORT_INCOMPATIBLE_VERSION")


def _record(call: Call, cls: str, snapshot: t.Mapping[str, t.Any]) -> Record:
    schema = call.world.schema
    known = schema.classes[cls].fields if cls in schema.classes else {}
    return {name: decode.decode(known[name].type, value, schema) for name, value in snapshot.items() if name in known}


class Import:
    """Makes the objects of one file; ``undo`` removes them again."""

    def __init__(self, call: Call, described: list[Described], wanted: Wanted) -> None:
        self.call, self.db, self.wanted = call, call.db, wanted
        self.described = {o.name: o for o in described}
        self.map: dict[str, str] = {NULL: NULL}
        self.discs = {o.record["VDI"] for o in described if o.cls == "VBD" and o.record["type"] == "CD"}
        self.disks: dict[str, str] = {}  # name in the file -> VDI that was made for it
        self.vms: list[str] = []
        self._networks: list[str] = []

    def run(self) -> list[str]:
        """The VMs. What was made goes again when something fails."""
        makers: dict[str, t.Callable[[Described], str]] = {
            "SR": self._sr, "VDI": self._vdi, "VM_guest_metrics": self._plain_copy, "VM_metrics": self._plain_copy, "VM": self._vm,
            "network": self._network, "VBD": self._vbd, "VIF": self._vif, "VTPM": self._vtpm,
        }  # fmt: skip
        try:
            for host in [o for o in self.described.values() if o.cls == "host"]:
                self.map[host.name] = next(iter(self.db.find("host", uuid=host.record["uuid"])), NULL)
            for cls in ORDER:
                for found in [o for o in self.described.values() if o.cls == cls]:
                    self.map[found.name] = makers[cls](found)
            self._link()
        except Fault:
            self.undo()
            raise
        return self.vms

    def undo(self) -> None:
        """Nothing of it stays."""
        for vm in self.vms:
            for field, cls in (("VBDs", "VBD"), ("VIFs", "VIF")):
                for device in list(self.db.get("VM", vm)[field]):
                    cloning.drop_device(self.call, cls, device)
            self.db.destroy("VM", vm)
        for ref in self._networks:
            self.db.destroy("network", ref)
        for name, found in self.described.items():
            if found.cls in ("VM_metrics", "VM_guest_metrics", "VTPM") and self.db.exists(found.cls, self.map.get(name, NULL)):
                self.db.destroy(found.cls, self.map[name])
        cloning.discard(self.call, self.disks.values())

    def _at(self, name: str) -> str:
        """What stands for an object of the file. Raises IMPORT_ERROR_FAILED_TO_FIND_OBJECT [name]."""
        if name not in self.map:
            raise Fault("IMPORT_ERROR_FAILED_TO_FIND_OBJECT", name)
        return self.map[name]

    # storage ---------------------------------------------------------------------------------------------------------
    def _sr(self, found: Described) -> str:
        return next(iter(self.db.find("SR", uuid=found.record["uuid"])), NULL)

    def _vdi(self, found: Described) -> str:
        if found.name in self.discs:
            return self._disc(found.record)
        if self.wanted.sr == NULL:
            return self._vdi_that_is_there(found.record)
        record = found.record
        taken = ("name_label", "name_description", "virtual_size", "type", "sharable", "read_only", "other_config", "xenstore_data", "tags")
        fields = {name: record[name] for name in taken if name in record}
        hint = {"import_task": self.call.task or NULL}
        made = str(self.call.call("VDI.create", {"tags": [], **fields, "SR": self.wanted.sr, "sm_config": hint}))
        self.disks[found.name] = made
        return made

    def _disc(self, record: Record) -> str:
        """The same image in any shared ISO library."""
        for ref, vdi in self.db.all("VDI").items():
            sr = self.db.get("SR", vdi["SR"])
            if sr["content_type"] == "iso" and sr["shared"] and vdi["location"] == record["location"]:
                return ref
        return NULL

    def _vdi_that_is_there(self, record: Record) -> str:
        found = self.db.find("VDI", uuid=record["uuid"])
        sr = self.map.get(record["SR"], NULL)
        found = found or [ref for ref in self.db.find("VDI", location=record["location"]) if self.db.get("VDI", ref)["SR"] == sr]
        if not found and not self.wanted.force:
            raise Fault("VDI_LOCATION_MISSING", sr, record["location"])
        return found[0] if found else NULL

    # the VM ----------------------------------------------------------------------------------------------------------
    def _plain_copy(self, found: Described) -> str:
        return self.db.create(found.cls, **{name: value for name, value in found.record.items() if name != "uuid"})

    def _vm(self, found: Described) -> str:
        record, restore = found.record, self.wanted.restore
        if restore:
            self._make_room(record)
        others = dict(record["other_config"])
        if not self.wanted.force:
            others.pop(TEMPLATE_KEY, None)
        if not restore:
            others[vm_records.MAC_SEED] = str(uuid.uuid4())
        others["import_task"] = self.call.task or NULL  # stays, as recorded
        image = self.map.get(record.get("suspend_VDI", NULL), NULL)
        suspended = record["power_state"] == "Suspended" and image != NULL
        kept = {**self._own_fields(record), "generation_id": vm_records.fresh_generation() if record.get("generation_id") else ""}
        kept |= {"uuid": record["uuid"]} if restore else {}
        vm = self.db.create(
            "VM", **kept, other_config=others, power_state="Suspended" if suspended else "Halted", suspend_VDI=image, domid=-1,
            current_operations={self.call.task or new_ref(): "import"}, is_default_template=False,
        )  # fmt: skip
        self.vms.append(vm)
        return vm

    def _own_fields(self, record: Record) -> Record:
        """What needs no other object, and the references to those that are there."""
        fields = self.db.schema.classes["VM"].fields
        handled = {
            *vm_records.OTHER_SIDE, "other_config", "power_state", "suspend_VDI", "domid", "current_operations", "allowed_operations",
            "is_default_template", "generation_id", "snapshot_of", "parent", "resident_on", "scheduled_to_be_resident_on",
        }  # fmt: skip
        out = {name: value for name, value in record.items() if name not in handled and not _refers(fields[name].type)}
        mapped = ("affinity", "metrics", "guest_metrics", "suspend_SR")
        return {**out, **{name: self.map.get(record[name], NULL) for name in mapped if name in record}}

    def _make_room(self, record: Record) -> None:
        """A restored VM takes the place of the older one of its uuid."""
        for other in [r for r in self.db.all("VM").values() if r["uuid"] != record["uuid"]]:
            seed = record["other_config"].get(vm_records.MAC_SEED)
            if (
                seed
                and other["other_config"].get(vm_records.MAC_SEED) == seed
                and not other["is_a_snapshot"]
                and not record["is_a_snapshot"]
            ):
                raise Fault("DUPLICATE_MAC_SEED", seed)
        for vm in self.db.find("VM", uuid=record["uuid"]):
            there = self.db.get("VM", vm)
            if there["power_state"] != "Halted":
                raise Fault("VM_BAD_POWER_STATE", vm, "halted", there["power_state"].lower())
            if not self.wanted.force and record.get("version", 0) <= there["version"]:
                raise Fault("VM_TO_IMPORT_IS_NOT_NEWER_VERSION", vm, str(there["version"]), str(record.get("version", 0)))
            self.call.call("VM.destroy", vm)

    def _link(self) -> None:
        """Snapshots know their VM again; the import is over."""
        for name, found in self.described.items():
            if found.cls == "VM":
                vm, record = self.map[name], found.record
                self.db.set("VM", vm, snapshot_of=self.map.get(record["snapshot_of"], NULL), parent=self.map.get(record["parent"], NULL))
                if not self.db.exists("VM_metrics", self.db.get("VM", vm)["metrics"]):
                    self.db.set("VM", vm, metrics=self.db.create("VM_metrics"))
                vm_records.update_overhead(self.db, vm)
                vm_running.refresh(self.db, vm)

    def finish(self) -> None:
        """The VMs may be used."""
        for vm in self.vms:
            self.db.set("VM", vm, current_operations={})
            vm_running.refresh(self.db, vm)

    # devices ---------------------------------------------------------------------------------------------------------
    def _network(self, found: Described) -> str:
        named = self.db.find("network", name_label=found.record["name_label"]) or self.db.find("network", bridge=found.record["bridge"])
        if named:
            return named[0]
        taken = {name: found.record[name] for name in ("name_label", "name_description", "MTU", "other_config") if name in found.record}
        made = str(self.call.call("network.create", {"tags": [], "bridge": "", "managed": True, **taken}))
        self._networks.append(made)
        return made

    def _vbd(self, found: Described) -> str:
        record = found.record
        vdi = self._at(record["VDI"])
        gone = vdi == NULL and not record["empty"]
        if gone and record["type"] != "CD":
            return NULL  # a disk that was dropped by force
        fields = {name: record[name] for name in cloning.VBD_KEPT if name in record}
        attached = record["currently_attached"] and self._suspended(record["VM"])
        return self.db.create(
            "VBD", **{**fields, "empty": record["empty"] or gone}, VM=self._at(record["VM"]), VDI=vdi, other_config=record["other_config"],
            currently_attached=attached, metrics=self.db.create("VBD_metrics"),
        )  # fmt: skip

    def _suspended(self, name: str) -> bool:
        return bool(self.db.get("VM", self._at(name))["power_state"] == "Suspended")

    def _vif(self, found: Described) -> str:
        record, vm = found.record, self._at(found.record["VM"])
        fields = {name: record[name] for name in cloning.VIF_KEPT if name in record and name != "network"}
        mac = record["MAC"]
        if not self.wanted.restore:
            mac = vm_records.mac_from_seed(self.db.get("VM", vm)["other_config"][vm_records.MAC_SEED], record["device"])
            fields["MAC_autogenerated"] = True
        attached = record["currently_attached"] and self._suspended(record["VM"])
        return self.db.create(
            "VIF", **fields, VM=vm, network=self._at(record["network"]), MAC=mac, currently_attached=attached,
            metrics=self.db.create("VIF_metrics"),
        )  # fmt: skip

    def _vtpm(self, found: Described) -> str:
        return self.db.create("VTPM", VM=self._at(found.record["VM"]), is_unique=found.record["is_unique"])


def _refers(type_: Type) -> bool:
    return type_.kind == "ref" or any(_refers(item) for item in type_.items)
