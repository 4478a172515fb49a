# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where on a VM a restored disk goes, and what was there before. Noted on the disk until all is done, so that a run that is cut in between
loses nothing of it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field

from ... import disks
from ...backup.manifest import Disk
from ...errors import InvalidChange
from ...refs import Objects, Record


@dataclass(frozen=True)
class Drive:
    """place: on the VM; replaces: uuid of the disk that was there, "" = none; bootable, mode, owner: as that one's drive."""

    place: int
    replaces: str = ""
    bootable: bool = False
    mode: str = "RW"
    other_config: dict[str, str] = field(default_factory=dict)

    def note(self) -> str:
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))


def noted(text: str) -> Drive | None:
    """What a note says; None for what is none."""
    try:
        return Drive(**json.loads(text))
    except (ValueError, TypeError):
        return None


class Drives:
    """Those of one VM, and those that are to come."""

    def __init__(self, objects: Objects, vm: Record):
        rows = objects.all("VBD")
        self._objects, self._vm = objects, vm
        self.rows = {ref: rows[ref] for ref in vm["VBDs"] if ref in rows}
        self._taken = {disks.place_of(row) for row in self.rows.values()}

    def at(self, place: int) -> tuple[str, Record] | None:
        return next(((ref, row) for ref, row in self.rows.items() if disks.place_of(row) == place), None)

    def take(self, place: int) -> None:
        """Something is to come there."""
        self._taken.add(place)

    def beside(self) -> Drive:
        """A place of its own. Raises InvalidChange."""
        place = disks.free_place(self._taken, self._vm["name_label"])
        self.take(place)
        return Drive(place)

    def instead(self, disk: Disk, was: Record) -> Drive:
        """The place the disk had in the backup, and all that the drive there is like; of a place that is free its VBD in the backup.

        Raises InvalidChange.
        """
        place, label = disks.place_of({"userdevice": disk.device}), self._vm["name_label"]
        there = self.at(place)
        self.take(place)
        if there is None:
            return Drive(place, "", bool(was.get("bootable")), str(was.get("mode") or "RW"), dict(was.get("other_config") or {}))
        _ref, row = there
        if row["type"] != "Disk":
            raise InvalidChange(
                f"Disk {disk.device} ({disk.name!r}) cannot take its place: VM {label!r} has a drive of type {row['type']} there.",
                hint="Leave replace out: it is attached at a free place then.",
            )
        vdi = self._objects.all("VDI").get(row["VDI"], {})
        return Drive(place, str(vdi.get("uuid", "")), bool(row["bootable"]), str(row["mode"]), dict(row["other_config"]))
