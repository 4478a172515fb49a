# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""ova.xml, the description in an .xva: XML-RPC of the objects' records, which refer to each other as Ref:N (xen-api: xva.ml, export.ml)."""

from __future__ import annotations

import re
import typing as t
import xmlrpc.client
from dataclasses import dataclass, field

from .compression import Damaged

NULL = "OpaqueRef:NULL"
Record = dict[str, t.Any]
_DECLARATION = re.compile(rb"^\s*<\?xml[^>]*\?>")


@dataclass(frozen=True)
class Ova:
    """version: who wrote it; objects: by class, then by their name in the file (Ref:N)."""

    version: dict[str, str]
    objects: dict[str, dict[str, Record]] = field(default_factory=dict)

    def all(self, cls: str) -> dict[str, Record]:
        return self.objects.get(cls, {})

    def get(self, cls: str, ref: str) -> Record:
        """The object, {} if it is not in the file."""
        return self.all(cls).get(ref, {})

    @property
    def export_version(self) -> int:
        return int(self.version.get("export_vsn") or 0)

    def vms(self) -> list[str]:
        """The VMs, snapshots last."""
        return sorted(self.all("VM"), key=lambda ref: bool(self.get("VM", ref).get("is_a_snapshot")))

    def disks(self) -> dict[str, int]:
        """Sizes in bytes of the disks whose data the file holds, in the order of the file."""
        cds = {vbd.get("VDI") for vbd in self.all("VBD").values() if vbd.get("type") == "CD"}
        used = {vbd.get("VDI") for vbd in self.all("VBD").values()} | {vm.get("suspend_VDI") for vm in self.all("VM").values()}
        chosen = [ref for ref in self.all("VDI") if ref in used and ref not in cds and not self._on_iso_sr(ref)]
        return {ref: int(self.get("VDI", ref).get("virtual_size") or 0) for ref in sorted(chosen)}

    def _on_iso_sr(self, vdi: str) -> bool:
        return bool(self.get("SR", self.get("VDI", vdi).get("SR", NULL)).get("content_type") == "iso")


def parse(text: bytes) -> Ova:
    """Raises Damaged."""
    try:
        parser, target = xmlrpc.client.getparser()
        parser.feed(b"<params><param>" + _DECLARATION.sub(b"", text) + b"</param></params>")
        parser.close()
        (whole,) = t.cast("tuple[t.Any, ...]", target.close())
        objects: dict[str, dict[str, Record]] = {}
        for described in whole["objects"]:
            objects.setdefault(described["class"], {})[described["id"]] = _plain(described["snapshot"])
        ova = Ova({key: str(value) for key, value in whole["version"].items()}, objects)
        ova.disks(), ova.export_version, describe(ova)
    except Exception as e:  # what expat and xmlrpc.client raise has no common name
        raise Damaged(f"The description in it (ova.xml) is not readable: {e or type(e).__name__}.") from e
    return ova


def _plain(value: t.Any) -> t.Any:
    if isinstance(value, xmlrpc.client.DateTime):
        return value.value
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, list) else value


# for people ---------------------------------------------------------------------
def describe(ova: Ova) -> dict[str, t.Any]:
    """What is in it: release, VMs with disks and NICs, networks, SRs. Sizes in bytes."""
    version = ova.version
    return {
        "release": {key: version.get(key, "") for key in ("product_brand", "product_version", "build_number", "hostname", "date")}
        | {"xapi": f"{version.get('xapi_major', '')}.{version.get('xapi_minor', '')}"},
        "vms": [_vm(ova, ref) for ref in ova.vms()],
        "networks": sorted({str(record["name_label"]) for record in ova.all("network").values()}),
        "srs": [
            {"name": sr["name_label"], "uuid": sr["uuid"], "type": sr.get("type", "")}
            for sr in sorted(ova.all("SR").values(), key=lambda sr: str(sr["name_label"]))
        ],
        "disk_size": sum(ova.disks().values()),
    }


def _vm(ova: Ova, ref: str) -> Record:
    vm = ova.get("VM", ref)
    return {
        "name": vm["name_label"],
        "description": vm.get("name_description", ""),
        "uuid": vm["uuid"],
        "is_a_template": bool(vm.get("is_a_template")),
        "is_a_snapshot": bool(vm.get("is_a_snapshot")),
        "power_state": vm.get("power_state", ""),
        "vcpus": int(vm.get("VCPUs_max") or 0),
        "memory": int(vm.get("memory_static_max") or 0),
        "disks": [_disk(ova, vbd) for vbd in rows_of(ova, "VBD", ref, "userdevice") if vbd.get("type") != "CD"],
        "nics": [
            {"device": vif["device"], "mac": vif.get("MAC", ""), "network": ova.get("network", vif["network"]).get("name_label", "")}
            for vif in rows_of(ova, "VIF", ref, "device")
        ],
    }


def rows_of(ova: Ova, cls: str, vm: str, key: str) -> list[Record]:
    return sorted((row for row in ova.all(cls).values() if row.get("VM") == vm), key=lambda row: (len(row[key]), row[key]))


def _disk(ova: Ova, vbd: Record) -> Record:
    vdi = ova.get("VDI", vbd.get("VDI", NULL))
    return {
        "device": vbd.get("userdevice", ""),
        "name": vdi.get("name_label", ""),
        "uuid": vdi.get("uuid", ""),
        "size": int(vdi.get("virtual_size") or 0),
        "bootable": bool(vbd.get("bootable")),
        "sr": ova.get("SR", vdi.get("SR", NULL)).get("name_label", ""),
    }
