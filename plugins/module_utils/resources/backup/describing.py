# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a manifest tells of a VM beside its disks."""

from __future__ import annotations

import typing as t

from ... import stream
from ...formats.compression import Damaged
from ...refs import Objects
from ...resource import Found


def details(objects: Objects, vm: Found) -> dict[str, t.Any]:
    record = vm.record
    vifs, networks = objects.all("VIF"), objects.all("network")
    cards = sorted((vifs[ref] for ref in record["VIFs"] if ref in vifs), key=lambda vif: (len(vif["device"]), vif["device"]))
    return {
        "power_state": record["power_state"],
        "networks": [
            {"device": vif["device"], "network": networks.get(vif["network"], {}).get("name_label", ""), "mac": vif["MAC"]} for vif in cards
        ],
        "vtpm": bool(record.get("VTPMs")),
        "tags": sorted(record["tags"]),
        "order": int(record["order"]),
        "start_delay": int(record["start_delay"]),
        "shutdown_delay": int(record["shutdown_delay"]),
        "appliance": objects.label("VM_appliance", record["appliance"]),
        "groups": sorted(objects.label("VM_group", ref) for ref in record.get("groups", ())),
        "around": {
            "appliances": {one["name_label"]: one["name_description"] for one in _all(objects, "VM_appliance", [record["appliance"]])},
            "groups": {
                one["name_label"]: {"description": one["name_description"], "placement": one["placement"]}
                for one in _all(objects, "VM_group", record.get("groups", ()))
            },
        },
    }


class Checked:
    """A description on its way to a file: is it a whole tar that begins with ova.xml? A release that tells no length may be cut off."""

    BLOCK = 512
    length = 0  # nobody knows

    def __init__(self, write: stream.Write):
        self._write = write
        self._head, self._tail, self._size = b"", b"", 0

    def write(self, piece: memoryview) -> None:
        if len(self._head) < self.BLOCK:
            self._head += bytes(piece[: self.BLOCK - len(self._head)])
        self._tail = (self._tail + bytes(piece[-2 * self.BLOCK :]))[-2 * self.BLOCK :]
        self._size += len(piece)
        self._write(piece)

    def finish(self) -> None:
        """Raises Damaged."""
        if not self._head.startswith(b"ova.xml\0"):
            raise Damaged("The description of the VM does not begin with ova.xml.")
        if self._size % self.BLOCK or self._size < 4 * self.BLOCK or self._tail != bytes(2 * self.BLOCK):
            raise Damaged(f"The description of the VM ends after {self._size} bytes, in the middle.")


def _all(objects: Objects, cls: str, refs: t.Iterable[str]) -> list[t.Mapping[str, t.Any]]:
    """Those of them that are there."""
    return [objects.get(cls, ref) for ref in refs if objects.label(cls, ref)]
