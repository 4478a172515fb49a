# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The words for a VM's disks: the suboptions, how a disk is told in them, and what a template wants to have made.

Keys of qos_algorithm_params: xen-api ocaml/xapi/xapi_vbd.ml (ionice).
"""

from __future__ import annotations

import typing as t
import xml.etree.ElementTree as ET
from dataclasses import dataclass

from ... import disks
from ...fields import text_map
from ...refs import Record
from ...storage import Storage

Words = dict[str, t.Any]
CLASSES = {"real_time": "rt", "best_effort": "be", "idle": "idle"}
PRIORITIES = {"highest": 0, "high": 2, "normal": 4, "low": 6, "lowest": 7}
SPEC: dict[str, dict[str, t.Any]] = {
    "position": {"type": "int"},
    "vdi": {"type": "str"},
    "name": {"type": "str"},
    "description": {"type": "str"},
    "size": {"type": "str"},
    "sr": {"type": "str"},
    "image_format": {"type": "str", "choices": ["vhd", "raw", "qcow2"]},
    "mode": {"type": "str", "choices": ["rw", "ro"]},
    "bootable": {"type": "bool"},
    "qos": {
        "type": "dict",
        "options": {
            "class": {"type": "str", "choices": [*CLASSES, "none"], "required": True},
            "priority": {"type": "int", "choices": list(range(8))},
        },
    },
    "keep": {"type": "bool"},
    "tags": {"type": "list", "elements": "str"},
    "other_config": {"type": "dict"},
    "cbt": {"type": "bool"},
}
NEW: Words = {
    "description": "", "mode": "rw", "bootable": False, "qos": {"class": "none"}, "keep": False, "tags": [], "other_config": {},
}  # fmt: skip


@dataclass(frozen=True)
class Disk:
    """A disk a VM has, or the source of one it will have: its VBD and VDI, and both in words."""

    vbd: str
    drive: Record
    vdi: str
    record: Record
    words: Words

    @property
    def position(self) -> int:
        return t.cast(int, self.words["position"])


def words_of_vdi(storage: Storage, vdi: Record) -> Words:
    return {
        "name": vdi["name_label"], "description": vdi["name_description"], "size": int(vdi["virtual_size"]),
        "sr": storage.name(vdi["SR"]), "image_format": storage.image_format(vdi), "tags": sorted(vdi.get("tags", ())),
        "other_config": disks.theirs(vdi["other_config"]), **({"cbt": vdi["cbt_enabled"]} if "cbt_enabled" in vdi else {}),
    }  # fmt: skip


def words_of_vbd(vbd: Record) -> Words:
    return {
        "position": disks.place_of(vbd), "mode": vbd["mode"].lower(), "bootable": vbd["bootable"], "qos": qos(vbd),
        "keep": disks.OWNER not in vbd["other_config"],
    }  # fmt: skip


def qos(vbd: Record) -> Words:
    if vbd["qos_algorithm_type"] != "ionice":
        return {"class": "none"}
    params = vbd["qos_algorithm_params"]
    told = {"rt": "real_time", "real-time": "real_time", "idle": "idle"}.get(params.get("sched", ""), "best_effort")
    level = str(params.get("class", "normal"))
    number = PRIORITIES.get(level, int(level) if level.isdecimal() else PRIORITIES["normal"])
    return {"class": told, **({} if told == "idle" else {"priority": number})}


def qos_wire(words: Words) -> tuple[str, dict[str, str]]:
    """qos_algorithm_type and qos_algorithm_params."""
    if words["class"] == "none":
        return "", {}
    priority = {"class": str(words["priority"])} if "priority" in words else {}
    return "ionice", {"sched": CLASSES[words["class"]], **priority}


def laid_over(have: Words, given: Record) -> Words:
    """A disk with what the task says of it; size, SR and position are decided elsewhere."""
    plain = ("name", "description", "mode", "bootable", "keep", "cbt")
    out = {**have, **{key: given[key] for key in plain if given.get(key) is not None}}
    if given.get("tags") is not None:
        out["tags"] = sorted(set(given["tags"]))
    if given.get("other_config"):
        merged = {**have["other_config"], **text_map(given["other_config"])}
        out["other_config"] = {key: value for key, value in merged.items() if value is not None}
    if given.get("qos"):
        out["qos"] = _qos_wanted(given["qos"])
    return out


def _qos_wanted(given: Record) -> Words:
    kind = given["class"]
    if kind in ("none", "idle"):
        return {"class": kind}
    return {"class": kind, "priority": PRIORITIES["normal"] if given.get("priority") is None else given["priority"]}


def provisioned(source: Record | None) -> list[Words]:
    """The disks that a template of the host wants to have made (xen-api: xapi_templates.ml); kind: VDI.type, sr: uuid or ""."""
    text = (source or {}).get("other_config", {}).get("disks", "")
    try:
        found = ET.fromstring(text).iter("disk") if text else ()
    except ET.ParseError:
        return []
    return [
        {
            "position": int(disk.get("device", "0")), "size": int(disk.get("size", "0")), "sr": disk.get("sr", ""),
            "bootable": disk.get("bootable") == "true", "kind": disk.get("type", "user"),
        }
        for disk in found
        if disk.get("device", "0").isdecimal()
    ]  # fmt: skip
