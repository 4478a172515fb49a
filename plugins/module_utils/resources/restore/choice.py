# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which of a backup's disks are meant, and where they go."""

from __future__ import annotations

import typing as t

from ...backup.manifest import Disk, Manifest
from ...errors import InvalidChange
from ...storage import Storage


def disks(manifest: Manifest, wanted: t.Sequence[str] | None, told: str) -> list[Disk]:
    """By device; all if none is named. Raises InvalidChange for one the backup does not have."""
    if wanted is None:
        return list(manifest.disks)
    there = {disk.device: disk for disk in manifest.disks}
    out = {row.get("device", ""): row.get("why", "") for row in manifest.left_out}
    for device in map(str, wanted):
        if device in out:
            raise InvalidChange(f"The {told} has no disk {device}: it was left out ({out[device]}).")
        if device not in there:
            known = ", ".join(f"{disk.device} ({disk.name})" for disk in manifest.disks)
            raise InvalidChange(f"The {told} has no disk {device}.", hint=f"It has: {known}." if known else "It has no disks at all.")
    return [there[device] for device in dict.fromkeys(map(str, wanted))]


def storage(storage_: Storage, text: str | None, disks_: t.Sequence[Disk]) -> str:
    """The SR of that name or uuid; else the one all the disks were on, by uuid or name, if this pool has it, else the pool's default.

    Raises NotFound, Ambiguous, InvalidChange.
    """
    if not text:
        was = {disk.sr.uuid: disk.sr.name for disk in disks_}
        text = _found_again(storage_, *was.popitem()) if len(was) == 1 else ""
    return storage_.for_disks(text)


def _found_again(storage_: Storage, uuid: str, name: str) -> str:
    """The uuid of the SR the disks were on; in a pool that was built anew of the one of its name, if that is clear, else ""."""
    rows = storage_.objects.all("SR")
    if any(row["uuid"] == uuid for row in rows.values()):
        return uuid
    named = [ref for ref, row in rows.items() if row["name_label"] == name and storage_.has_disks(ref) and storage_.hosts_of(ref)]
    return str(rows[named[0]]["uuid"]) if len(named) == 1 else ""
