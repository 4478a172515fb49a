# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The disks a template asks for (xen-api: ocaml/xapi/xapi_templates.ml)."""

from __future__ import annotations

import typing as t
import xml.etree.ElementTree as ET

from .cloning import discard
from .errors import Fault

if t.TYPE_CHECKING:
    from .dispatch import Call

DISKS = "disks"  # other_config: <provision><disk device="0" size="bytes" sr="uuid" bootable="true" type="system"/></provision>
DONE = (DISKS, "postinstall")


class Wanted(t.NamedTuple):
    """One disk of a template; size in bytes."""

    device: str
    size: int
    sr: str
    bootable: bool
    type: str


def wanted(call: Call, vm: str) -> list[Wanted]:
    """The template's disks. Raises UUID_INVALID ["sr", uuid]."""
    text = call.db.get("VM", vm)["other_config"].get(DISKS, "")
    if not text:
        return []
    try:
        disks = ET.fromstring(text).iter("disk")
        return [_wanted(call, disk.attrib) for disk in disks]
    except (ET.ParseError, KeyError, ValueError) as e:
        raise Fault("INTERNAL_ERROR", f"Xapi_templates.Parse_failure: {e}") from e


def _wanted(call: Call, attributes: t.Mapping[str, str]) -> Wanted:
    uuid = attributes["sr"]
    found = call.db.find("SR", uuid=uuid) if uuid else []
    if not found:
        raise Fault("UUID_INVALID", "sr", uuid)
    bootable = attributes.get("bootable", "false") == "true"
    return Wanted(attributes["device"], int(attributes["size"]), found[0], bootable, attributes.get("type", "system"))


def make_disks(call: Call, vm: str) -> None:
    """Creates them with their VBDs; after a failure none is left."""
    vdis: list[str] = []
    vbds: list[str] = []
    try:
        for disk in wanted(call, vm):
            vdis.append(_vdi(call, vm, disk))
            vbds.append(_vbd(call, vm, vdis[-1], disk))
    except Fault:
        for vbd in vbds:
            call.call("VBD.destroy", vbd)
        discard(call, vdis)
        raise
    other = call.db.get("VM", vm)["other_config"]
    call.db.set("VM", vm, other_config={key: value for key, value in other.items() if key not in DONE})


def _vdi(call: Call, vm: str, disk: Wanted) -> str:
    hint = {"vmhint": call.db.get("VM", vm)["uuid"]}
    plain: dict[str, t.Any] = {"sharable": False, "read_only": False, "other_config": {}, "xenstore_data": {}, "tags": []}
    named = {"name_label": disk.device, "name_description": "Created by template provisioner", "type": disk.type}
    return str(call.call("VDI.create", {**named, **plain, "SR": disk.sr, "virtual_size": disk.size, "sm_config": hint}))


def _vbd(call: Call, vm: str, vdi: str, disk: Wanted) -> str:
    fields: dict[str, t.Any] = {"qos_algorithm_type": "", "qos_algorithm_params": {}, "currently_attached": False, "device": ""}
    return str(call.call("VBD.create", {
        **fields, "VM": vm, "VDI": vdi, "userdevice": disk.device, "bootable": disk.bootable, "mode": "RW", "type": "Disk",
        "empty": False, "unpluggable": disk.type != "system", "other_config": {"owner": ""},
    }))  # fmt: skip
