# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A list of VMs, looked at as a whole before anything is changed: what is wrong with it, what would change, and what comes first."""

from __future__ import annotations

import typing as t
from collections import Counter
from dataclasses import dataclass

from .client import Session
from .errors import XenError
from .mirror import Mirror
from .module import rehearse
from .refs import Objects, Record
from .resources.vm import Vm, is_guest

Options = t.Mapping[str, t.Any]
MAKES = {"appliances": "VM_appliance", "groups": "VM_group"}


@dataclass
class Looked:
    """problems: one sentence each; vms: of every VM what its task would do; rounds: places in the list, each round after the one before."""

    problems: list[str]
    vms: list[dict[str, t.Any]]
    absent: list[dict[str, t.Any]]
    rounds: list[list[int]]


def label(entry: Options) -> str:
    return str(entry.get("name") or entry.get("uuid") or "without a name")


def look_at(session: Session, vms: t.Sequence[Options], absent: t.Sequence[Options], parallel: int, coming: Options) -> Looked:
    """coming: names of appliances and groups that are made before the VMs are. parallel: how many VMs of a round at most."""
    session.mirror = Mirror(session)  # what one entry has read the next need not
    there = {r["name_label"] for r in Objects(session).all("VM").values() if is_guest(r)}
    problems = contradictions(vms, absent)
    sources = {n: first for n, entry in enumerate(vms) if (first := _source(entry, vms, there)) is not None}
    told = []
    for n, entry in enumerate(vms):
        if n in sources:  # made from one that is not there yet: nothing can be said of it
            told.append({"name": label(entry), "changed": True, "operations": []})
        else:
            told.append(_tried(session, _possible(session, entry, coming), problems))
    gone = [_tried(session, {**entry, "state": "absent"}, problems) for entry in absent]
    busy = [n for n, row in enumerate(told) if row["changed"] or row["operations"] or vms[n].get("wait_for")]
    return Looked(problems, told, gone, rounds(vms, busy, sources, parallel))


def contradictions(vms: t.Sequence[Options], absent: t.Sequence[Options]) -> list[str]:
    """What is wrong with the list whatever the pool is like."""
    names = Counter(e["name"] for e in vms if e.get("name"))
    out = [f"VM {name!r} is described {count} times." for name, count in names.items() if count > 1]
    out += [f"VM {e['name']!r} is described, and is to be absent too." for e in absent if e.get("name") in names]
    macs: dict[str, list[str]] = {}
    for entry in vms:
        for nic in entry.get("nics") or ():
            if nic.get("mac"):
                macs.setdefault(str(nic["mac"]).lower(), []).append(label(entry))
    out += [f"The MAC address {mac} is given to {' and '.join(owners)}." for mac, owners in macs.items() if len(owners) > 1]
    for n, entry in enumerate(vms):
        seen, at = [n], _first_named(entry.get("from_vm"), vms)
        while at is not None and at not in seen:
            seen.append(at)
            at = _first_named(vms[at].get("from_vm"), vms)
        if at == n:
            out.append(f"VM {label(entry)!r} is to be made from itself ({' from '.join(label(vms[i]) for i in [*seen, n])}).")
    return out


def _first_named(name: str | None, vms: t.Sequence[Options]) -> int | None:
    return next((n for n, entry in enumerate(vms) if name and entry.get("name") == name), None)


def _source(entry: Options, vms: t.Sequence[Options], there: t.Collection[str]) -> int | None:
    """The place of the VM it is made from, where that has to be made first."""
    name = entry.get("from_vm")
    return None if name in there or entry.get("name") in there else _first_named(name, vms)


def _possible(session: Session, entry: Options, coming: Options) -> dict[str, t.Any]:
    """Without the appliances and groups that are not there yet, but will be."""
    objects = Objects(session)
    new = {key: [name for name in coming.get(key) or () if not objects.named(cls, name)] for key, cls in MAKES.items()}
    out = dict(entry)
    if out.get("appliance") in new["appliances"]:
        del out["appliance"]
    if out.get("groups"):
        out["groups"] = [name for name in out["groups"] if name not in new["groups"]]
    return out


def _tried(session: Session, entry: Options, problems: list[str]) -> dict[str, t.Any]:
    """What xen_vm would do, in its own words where it would refuse."""
    row: dict[str, t.Any] = {"name": label(entry), "changed": False, "operations": []}
    try:
        done: Record = rehearse(Vm, session, entry)
    except XenError as e:
        said = str(e)
        problems.append(said if row["name"] in said else f"VM {row['name']!r}: {said}")
        return row
    warnings = {"warnings": done["warnings"]} if done.get("warnings") else {}
    uuid = {"uuid": done["vm"]["uuid"]} if done["vm"].get("uuid") else {}
    return {**row, **uuid, "changed": done["changed"], "operations": done["operations"], **warnings}


def rounds(vms: t.Sequence[Options], busy: t.Sequence[int], sources: t.Mapping[int, int], parallel: int) -> list[list[int]]:
    """Sources before what is made from them, lower order before higher, as many at once as is allowed."""

    def depth(n: int, left: int) -> int:
        return 1 + depth(sources[n], left - 1) if n in sources and left else 0

    rank = {n: (depth(n, len(vms)), vms[n].get("order") or 0) for n in busy}
    out: list[list[int]] = []
    for place in sorted(set(rank.values())):
        same = [n for n in busy if rank[n] == place]
        out += [same[i : i + parallel] for i in range(0, len(same), parallel)]
    return out
