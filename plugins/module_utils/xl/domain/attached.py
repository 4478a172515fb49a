# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which disks and network interfaces of a running domain are to come, go or change. Pure: over the JSON of xl."""

from __future__ import annotations

import dataclasses
import typing as t

Json = t.Mapping[str, t.Any]
# What Xen fills in where the file says nothing.
DISK_FILLED = frozenset(
    {"backend", "backend_domid", "colo_restore_enable", "discard_enable", "devid", "removable", "trusted", "grant_usage"}
)
NIC_FILLED = frozenset(
    {"devid", "mac", "nictype", "script", "bridge", "model", "backend_domid", "mtu", "trusted", "ifname", "rate_interval_usecs"}
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Change:
    """One device.

    Attributes: kind ("attach", "detach", "replace", "insert", "eject"), device (JSON of the one that is to be, or that goes),
    index (its place in the file's list; -1 of one that goes), old (JSON of the one that is replaced).
    """

    kind: str
    device: Json
    index: int = -1
    old: Json | None = None


def same(wanted: Json, running: Json, filled: t.Container[str]) -> bool:
    """Whether a device is as the file wants it; what the file leaves open is as it is."""
    for key in {*wanted, *running}:
        if key in wanted or key not in filled:
            one, other = lowered(key, wanted.get(key)), lowered(key, running.get(key))
            if one != other and (one or other) and key != "devid":
                return False
    return True


def lowered(key: str, value: t.Any) -> t.Any:
    if value in ("False", 0, "", "unknown"):
        return None
    return value.lower() if key == "mac" and isinstance(value, str) else value


def disk_changes(wanted: t.Sequence[Json], running: t.Sequence[Json], hvm: bool) -> list[Change]:
    """Those that go come first, so that their place is free. A CD of an HVM domain is changed in its drive."""
    there = {str(one.get("vdev")): one for one in running}
    names = {str(one.get("vdev")) for one in wanted}
    result = [Change("detach", one) for one in running if str(one.get("vdev")) not in names]
    for index, disk in enumerate(wanted):
        old = there.get(str(disk.get("vdev")))
        if old is None:
            result.append(Change("attach", disk, index))
        elif not same(disk, old, DISK_FILLED):
            in_drive = hvm and disk.get("is_cdrom") and old.get("is_cdrom")
            kind = "replace" if not in_drive else "insert" if disk.get("pdev_path") else "eject"
            result.append(Change(kind, disk, index, old))
    return result


def nic_pairs(wanted: t.Sequence[Json], running: t.Sequence[Json]) -> list[tuple[int, Json | None]]:
    """For each wanted interface the one that runs: of its MAC; without a MAC one that is like it, else the one of its place, else any."""
    left = list(running)
    pairs: dict[int, Json] = {}
    for rule in (of_its_mac, like_it_in_its_place, like_it, in_its_place, whichever):
        for index, nic in enumerate(wanted):
            if index in pairs or bool(nic.get("mac")) != (rule is of_its_mac):
                continue
            found = next((one for one in left if rule(index, nic, one)), None)
            if found is not None:
                pairs[index] = found
                left.remove(found)
    return [(index, pairs.get(index)) for index in range(len(wanted))]


def of_its_mac(index: int, nic: Json, one: Json) -> bool:
    return str(one.get("mac", "")).lower() == str(nic.get("mac", "")).lower()


def like_it_in_its_place(index: int, nic: Json, one: Json) -> bool:
    return in_its_place(index, nic, one) and like_it(index, nic, one)


def like_it(index: int, nic: Json, one: Json) -> bool:
    return same(nic, one, NIC_FILLED)


def in_its_place(index: int, nic: Json, one: Json) -> bool:
    return bool(one.get("devid", 0) == index)


def whichever(index: int, nic: Json, one: Json) -> bool:
    return True


def nic_changes(wanted: t.Sequence[Json], running: t.Sequence[Json]) -> list[Change]:
    """Those that go come first."""
    pairs = nic_pairs(wanted, running)
    kept = [old for _index, old in pairs if old is not None]
    result = [Change("detach", one) for one in running if not any(one is old for old in kept)]
    for index, old in pairs:
        if old is None:
            result.append(Change("attach", wanted[index], index))
        elif not same(wanted[index], old, NIC_FILLED):
            result.append(Change("replace", wanted[index], index, old))
    return result
