# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What drives were like that are made anew, noted on their disk: a run that is cut in between loses nothing of them."""

from __future__ import annotations

import json

from ... import disks
from ...plan import Handle, Plan
from ...refs import Record

DRIVE = f"{disks.PREFIX}drive "  # key of VDI.other_config, with the VM's uuid and the position: JSON of the fields below
# bootable is an option; the rest is nobody's but the drive's (who owns it, its QoS)
KEPT = ("bootable", "unpluggable", "other_config", "qos_algorithm_type", "qos_algorithm_params")
Place = tuple[str, int]  # uuid of a VM, position


def read(vdi: Record) -> dict[Place, Record]:
    """The notes of a disk. What somebody else wrote there is none."""
    found: dict[Place, Record] = {}
    for key, value in vdi["other_config"].items():
        uuid, _blank, position = key[len(DRIVE) :].partition(" ")
        if key.startswith(DRIVE) and position.isdecimal():
            try:
                found[uuid, int(position)] = {name: json.loads(value)[name] for name in KEPT}
            except (ValueError, KeyError, TypeError):
                continue
    return found


def _key(place: Place) -> str:
    return f"{DRIVE}{place[0]} {place[1]}"


def write(plan: Plan, ref: str, vdi: Record, place: Place, vbd: Record, label: str) -> Record:
    """Before the drive is destroyed; one call writes all of it. What it says. A note an earlier run left is used where it says the same."""
    note = {name: vbd[name] for name in KEPT}
    text = json.dumps(note, separators=(",", ":"), sort_keys=True)
    have = vdi["other_config"].get(_key(place))
    if have != text:
        disks.mark(plan, ref, _key(place), text, have is not None, label)
    return note


def remove(plan: Plan, ref: Handle, place: Place, label: str) -> None:
    """Once the drive is there again."""
    disks.mark(plan, ref, _key(place), None, True, label)
