# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A list of VMs, looked at as a whole before anything is changed: what is wrong with it, what would change, and what comes first."""

from __future__ import annotations

import copy
import typing as t
from collections import Counter
from dataclasses import dataclass

from . import capacity, hosts
from .client import Session
from .errors import XenError
from .formats.sizes import readable_size
from .module import rehearse
from .refs import Objects, Record
from .resources.vm import Vm, is_guest
from .still import Still
from .vms import guests

Options = t.Mapping[str, t.Any]
SECRET = ("user_data", "meta_data", "network_config")
STARTS = frozenset({"VM.start", "VM.start_on", "VM.resume", "VM.resume_on"})


@dataclass
class Looked:
    """problems: one sentence each; vms: of every VM what its task would do; rounds: places in the list, each round after the one before."""

    problems: list[str]
    vms: list[dict[str, t.Any]]
    absent: list[dict[str, t.Any]]
    rounds: list[list[int]]


def label(entry: Options) -> str:
    return str(entry.get("name") or entry.get("uuid") or "without a name")


def taken(entries: t.Sequence[dict[str, t.Any]]) -> list[dict[str, t.Any]]:
    """The entries, to work with. An ordinary module tells its parameters: what guests read at their first start is blotted out there."""
    out = copy.deepcopy(list(entries))
    for entry in entries:
        config = entry.get("cloud_init")
        if isinstance(config, dict):
            config.update({text: None for text in SECRET if text in config})
    return out


def look_at(session: Session, vms: t.Sequence[Options], absent: t.Sequence[Options], parallel: int, coming: Options) -> Looked:
    """coming: names of appliances, groups and templates that are made before the VMs are. parallel: how many VMs of a round at most."""
    kept, session.mirror = session.mirror, (still := Still(session, coming))
    try:
        return _look(session, still, vms, absent, parallel, coming.get("templates") or ())
    finally:
        session.mirror = kept


def _look(
    session: Session, still: Still, vms: t.Sequence[Options], absent: t.Sequence[Options], parallel: int, templates: t.Sequence[str]
) -> Looked:
    rows = Objects(session).all("VM").values()
    there = {r["name_label"] for r in rows if is_guest(r)}
    coming = set(templates) - {r["name_label"] for r in rows if r["is_a_template"]}
    problems = contradictions(vms, absent)
    sources = {n: first for n, entry in enumerate(vms) if (first := _source(entry, vms, there)) is not None}
    gone = [_tried(session, {**entry, "state": "absent"}, problems) for entry in absent]
    if any(row["changed"] for row in gone):
        still.without({row["name"] for row in gone if row["changed"]})
    told = []
    for n, entry in enumerate(vms):
        if n in sources or (str(entry.get("template")) in coming and str(entry.get("name")) not in there):
            # made from what is not there yet: nothing can be said of it
            told.append({"name": label(entry), "changed": True, "operations": []})
        else:
            told.append(_tried(session, entry, problems))
    problems += shortage(session, told)
    busy = [n for n, row in enumerate(told) if row["changed"] or vms[n].get("wait_for")]
    return Looked(problems, told, gone, rounds(vms, busy, sources, parallel))


def contradictions(vms: t.Sequence[Options], absent: t.Sequence[Options]) -> list[str]:
    """What is wrong with the list whatever the pool is like."""
    names = Counter(str(e["name"]) for e in vms if e.get("name"))
    out = [f"VM {name!r} is described {count} times." for name, count in names.items() if count > 1]
    out += [f"VM {e['name']!r} is described, and is to be absent too." for e in absent if str(e.get("name")) in names]
    macs: dict[str, list[str]] = {}
    for entry in vms:
        for nic in entry["nics"] if isinstance(entry.get("nics"), list) else ():
            if isinstance(nic, dict) and nic.get("mac"):
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


def shortage(session: Session, rows: t.Sequence[Record]) -> list[str]:
    """Each may find room where all together do not: the VMs that start, and what the hosts have for them when others have gone or halted.

    How they go into which host is not looked at, so none that fit are refused.
    """
    starting = [row for row in rows if STARTS.intersection(row["operations"])]
    if not starting:
        return []
    objects = Objects(session)
    counted = [row for row in rows if "diff" in row and (row in starting or row["diff"]["after"].get("power_state") != "running")]
    changing = {key for row in counted for key in (row["name"], row.get("uuid"))}
    places = [ref for ref, host in objects.all("host").items() if host["enabled"] and hosts.is_live(objects, ref)]
    staying = [vm for vm in guests(objects).values() if vm["resident_on"] in places and not changing & {vm["uuid"], vm["name_label"]}]
    room = sum(capacity.memory_capacity(objects, ref) for ref in places) - sum(capacity.memory_held(vm) for vm in staying)
    need = sum(int(row["diff"]["after"]["memory_dynamic_min"]) for row in starting)
    if need <= room:
        return []
    names = ", ".join(row["name"] for row in starting)
    free, wanted = readable_size(max(room, 0)), readable_size(need)
    return [
        f"The VMs that are to start ({names}) need {wanted} of memory, and the hosts have {free} for them. Start less, or give them less."
    ]


def _first_named(name: t.Any, vms: t.Sequence[Options]) -> int | None:
    return next((n for n, entry in enumerate(vms) if name and str(entry.get("name")) == str(name)), None)


def _source(entry: Options, vms: t.Sequence[Options], there: t.Collection[str]) -> int | None:
    """The place of the VM it is made from, where that has to be made first."""
    name = str(entry.get("from_vm") or "")
    return None if name in there or str(entry.get("name")) in there else _first_named(name, vms)


def _tried(session: Session, entry: Options, problems: list[str]) -> dict[str, t.Any]:
    """What xen_vm would do, in its own words where it would refuse."""
    name = label(entry)
    try:
        done: Record = rehearse(Vm, session, entry)
    except XenError as e:
        problems.append(naming(name, str(e)))
        return {"name": name, "changed": False, "operations": []}
    return row_of(name, done)


def row_of(name: str, done: Record) -> dict[str, t.Any]:
    """The result of a VM's task in short; diff says what it is of."""
    uuid = {"uuid": done["vm"]["uuid"]} if done["vm"].get("uuid") else {}
    warnings = {"warnings": done["warnings"]} if done.get("warnings") else {}
    diff = {"diff": {"before_header": f"VM {name}", "after_header": f"VM {name}", **done["diff"]}} if done["changed"] else {}
    return {"name": name, **uuid, "changed": done["changed"], "operations": done["operations"], **warnings, **diff}


def naming(name: str, said: str) -> str:
    return said if name in said else f"VM {name!r}: {said}"


def _order(entry: Options) -> int:
    """Which options are wrong is told elsewhere."""
    try:
        return int(entry.get("order") or 0)
    except (TypeError, ValueError):
        return 0


def rounds(vms: t.Sequence[Options], busy: t.Sequence[int], sources: t.Mapping[int, int], parallel: int) -> list[list[int]]:
    """Sources before what is made from them, lower order before higher, as many at once as is allowed."""

    def depth(n: int, left: int) -> int:
        return 1 + depth(sources[n], left - 1) if n in sources and left else 0

    rank = {n: (depth(n, len(vms)), _order(vms[n])) for n in busy}
    out: list[list[int]] = []
    for place in sorted(set(rank.values())):
        same = [n for n in busy if rank[n] == place]
        out += [same[i : i + parallel] for i in range(0, len(same), parallel)]
    return out
