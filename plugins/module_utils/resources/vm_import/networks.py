# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The networks of an imported VM: where the pool puts its NICs (xen-api: import.ml), and where the task wants them."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ...errors import InvalidChange
from ...formats.ova import Record
from ...plan import Later, Plan
from ...refs import Objects
from ...refs import Record as Row
from ...wiring import quoted

if t.TYPE_CHECKING:
    from .arrival import Incoming

STAND_IN = "domzero.xen:stand-in"  # other_config of a network that is there only for an import


@dataclass(frozen=True)
class Nic:
    """old: the network's name in the file; lands: the network the pool chooses, "" if there is none; wanted: the one it has to be on."""

    device: str
    old: str
    lands: str
    wanted: str


def lands(objects: Objects, network: Record) -> str:
    """The first of that name, else of that bridge. Where there is none xapi makes one; that is not left to it (see stand_ins)."""
    rows = {ref: row for ref, row in objects.all("network").items() if STAND_IN not in row["other_config"]}
    by_name = [ref for ref, row in rows.items() if row["name_label"] == network["name_label"]]
    return (by_name or [ref for ref, row in rows.items() if row["bridge"] == network.get("bridge")] or [""])[0]


def chosen(objects: Objects, source: Incoming, mapped: t.Mapping[str, str]) -> list[Nic]:
    """The NICs in order. Raises InvalidChange, NotFound, Ambiguous for networks that are not there."""
    targets = {old: objects.resolve("network", new) for old, new in mapped.items()}
    nics = []
    for vif in source.nics:
        network = source.ova.get("network", vif["network"])
        if network:
            old, place = str(network["name_label"]), lands(objects, network)
            nics.append(Nic(str(vif["device"]), old, place, targets.get(old, place)))
    there = {nic.old for nic in nics}
    if unknown := sorted(set(mapped) - there):
        told = f"It is on {quoted(there)}." if there else "It has no NICs."
        raise InvalidChange(f"The VM in {source.told} is not on the network {unknown[0]!r} that networks names.", hint=told)
    if missing := {nic.old for nic in nics if not nic.wanted}:
        hint = "Say with networks which ones to use instead, such as networks: {" + f"{min(missing)}: another" + "}."
        raise InvalidChange(f"The VM in {source.told} is on {quoted(missing)}, which this pool does not have.", hint=hint)
    return nics


def stand_ins(objects: Objects) -> dict[str, Row]:
    """Networks that are there only while a VM is imported: for its NICs to land on, since the pool has none of the name."""
    return {ref: row for ref, row in objects.all("network").items() if STAND_IN in row["other_config"]}


def make_stand_ins(plan: Plan, objects: Objects, names: t.Iterable[str]) -> dict[str, str | Later]:
    """By name; those an unfinished run left are taken."""
    there = {str(row["name_label"]): ref for ref, row in stand_ins(objects).items()}
    made: dict[str, str | Later] = {}
    for old in sorted(names):
        record = {"name_label": old, "name_description": "", "MTU": 1500, "other_config": {STAND_IN: ""}, "tags": []}
        made[old] = there.get(old) or plan.add("network.create", record, what=f"make a network {old!r} for the time of the import")
    return made


def warnings(objects: Objects, nics: t.Iterable[Nic]) -> list[str]:
    """Where the pool goes by the bridge, since no network has the name."""
    told = []
    for nic in nics:
        name = objects.label("network", nic.wanted)
        if nic.lands == nic.wanted and objects.get("network", nic.wanted)["name_label"] != nic.old:
            told.append(f"No network is named {nic.old!r}; NIC {nic.device} gets onto {name!r}, which has the same bridge.")
    return told
