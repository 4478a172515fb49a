# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is told of a snapshot beside what can be set."""

from __future__ import annotations

import re
import typing as t

from ...chains import Chains
from ...refs import NULL, Objects, Record
from ...resource import Found
from .disks import Disk, disks_of, image_of
from .refusals import DISK, MEMORY, QUIESCED


def kind_of(snapshot: Record) -> str:
    """What was kept. A snapshot with memory of a VM that did not run is one of its disks."""
    if snapshot["power_state"] == "Suspended":
        return MEMORY
    return QUIESCED if snapshot.get("snapshot_info", {}).get("disk-snapshot-type") == QUIESCED else DISK


def name_then(snapshot: Record) -> str:
    """The VM's name when the snapshot was taken, which a revert gives back; "" where nothing tells."""
    found = re.search(r"\('name__label' '([^'\\]*)'\)", snapshot.get("snapshot_metadata", ""))
    return found[1] if found else ""


def facts(objects: Objects, found: Found, chains: Chains) -> dict[str, t.Any]:
    """Sizes in bytes; cost: what the snapshot's own disks and memory take, by SR."""
    snapshot, table = found.record, objects.all("VM")
    disks, image = disks_of(objects, snapshot), image_of(objects, snapshot)
    vm = table.get(snapshot["snapshot_of"], {})
    out: dict[str, t.Any] = {
        "time": str(snapshot["snapshot_time"]),
        "vm_uuid": vm.get("uuid", ""),
        "power_state_at_snapshot": snapshot.get("snapshot_info", {}).get("power-state-at-snapshot", "").lower(),
        "current": vm.get("parent", NULL) == found.ref,
        "path": path(table, found.ref),
        "parent": table.get(snapshot.get("parent", NULL), {}).get("uuid", ""),
        "children": sorted(table[ref]["uuid"] for ref in snapshot.get("children", ()) if ref in table and table[ref]["is_a_snapshot"]),
        "scheduled": bool(snapshot.get("is_vmss_snapshot", False)),
        "disks": [_disk(objects, disk, chains) for disk in disks],
        "cost": _cost(objects, [*disks, *([image] if image else [])]),
    }
    if image:
        used = int(image.record["physical_utilisation"])
        out["memory"] = {"vdi": image.record["uuid"], "sr": objects.label("SR", image.sr), "utilisation": used}
    return out


def path(table: t.Mapping[str, Record], ref: str) -> list[str]:
    """Names from the first snapshot in the line to this one."""
    out: list[str] = []
    seen: set[str] = set()
    while ref in table and table[ref]["is_a_snapshot"] and ref not in seen:
        seen.add(ref)
        out.insert(0, table[ref]["name_label"])
        ref = table[ref].get("parent", NULL)
    return out


def _disk(objects: Objects, disk: Disk, chains: Chains) -> dict[str, t.Any]:
    origin = objects.all("VDI").get(disk.record["snapshot_of"], {})
    return {
        "device": disk.device, "name": disk.record["name_label"], "vdi": disk.record["uuid"], "snapshot_of": origin.get("uuid", ""),
        "sr": objects.label("SR", disk.sr), "size": disk.size, "utilisation": int(disk.record["physical_utilisation"]),
        "chain": chains.length(disk.vdi),
    }  # fmt: skip


def _cost(objects: Objects, disks: t.Iterable[Disk]) -> dict[str, int]:
    out: dict[str, int] = {}
    for disk in disks:
        sr = objects.label("SR", disk.sr)
        out[sr] = out.get(sr, 0) + int(disk.record["physical_utilisation"])
    return out
