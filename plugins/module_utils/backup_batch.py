# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Many backups in one go: the pool's metadata, hosts, the VMs that are chosen. One that fails stops no other."""

from __future__ import annotations

import typing as t
from collections import Counter

from . import backup_choice, backup_room
from .backup.repository import Repository
from .backup_choice import Choice, Missing
from .client import Session
from .errors import InvalidChange, NotFound, XenError
from .many import Entry, Row, carried_out, naming, plain, rehearsed, shown, summary, task_of
from .refs import Objects, Record
from .resources.backup import Backup, snapshots

ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "repository": {"type": "path", "required": True},
    "backups": {"type": "list", "elements": "dict", "default": []},
    "select": {"type": "dict", "options": backup_choice.OPTIONS},
    "pool": {"type": "bool", "default": False},
    "hosts": {"type": "list", "elements": "str", "default": []},
    "options": {"type": "dict", "default": {}},
    "parallel": {"type": "int", "default": 2},
    "check_room": {"type": "bool", "default": True},
}
RULES: dict[str, t.Any] = {"required_one_of": [["backups", "select", "pool", "hosts"]]}
OF_VMS = ("mode", "compression", "consistency", "live", "ignore_disks", "full_every", "cbt", "check_space")
EVERY = "all"
UNREADY = "VM {0!r} is not backed up, as a boot test left it or its restore has not ended. Where it is complete, name it in select.names."


def run(session: Session, params: Record, check: bool) -> Row:
    """Raises InvalidChange, before anything is begun, for what stands in the way of all of it."""
    choice = Choice(session, params["select"]) if params["select"] is not None else None
    entries = entries_of(session, params, choice)
    room = backup_room.look(session, params["repository"], entries, refuse=params["check_room"])
    act = task_of(Backup)
    rows = rehearsed(session, act, entries) if check else carried_out(session, act, [entries], params["parallel"])
    repository = Repository(params["repository"])
    told = [_told(row, repository) for row in rows]
    result = shown(told)
    warnings = [*room.warnings, *result.get("warnings", [])]
    warnings += [UNREADY.format(name) for name in choice.unready] if choice else []
    warnings += _forgotten(session, repository)
    told_of_all = {"backups": plain(told), "room": room._asdict(), **({"warnings": warnings} if warnings else {})}
    return {**result, **told_of_all, **summary(told, "backups")}


def entries_of(session: Session, params: Record, choice: Choice | None) -> list[Entry]:
    """The tasks in their order: the pool, hosts, VMs as they are chosen, then those that are described one by one."""
    if params["parallel"] < 1:
        raise InvalidChange(f"At least one backup has to be made at a time, not {params['parallel']}.")
    common = {"repository": params["repository"], **params["options"]}
    plainer = {option: value for option, value in common.items() if option not in OF_VMS}
    entries = [_entry({**plainer, "kind": "pool"})] if params["pool"] else []
    entries += _hosts(Objects(session), params["hosts"], plainer)
    if choice:
        entries += [_entry({**common, "kind": "vm", "name": vm["name_label"], "uuid": vm["uuid"]}) for vm in choice.chosen]
        entries += [_absent("vm", missing) for missing in choice.missing]
    for described in params["backups"]:
        kind = described.get("kind") or "vm"
        entries.append(_entry({**(common if kind == "vm" else plainer), **described, "kind": kind}))
    if not entries:
        raise InvalidChange("There is nothing to back up: no VM is chosen.", hint="Look at select, or give backups, pool or hosts.")
    _refuse_doubles(entries)
    return entries


def _forgotten(session: Session, repository: Repository) -> list[str]:
    """Snapshots that no backup will remove: their VM is gone."""
    table, known = Objects(session).all("VM"), repository.id
    if not known:
        return []
    left = [vm for vm in table.values() if vm["is_a_snapshot"] and vm["snapshot_of"] not in table and snapshots.stamp_of(vm, known)]
    names = [f"{vm['name_label']!r} ({vm['uuid']})" for vm in sorted(left, key=lambda vm: (vm["name_label"], vm["uuid"]))]
    if not names:
        return []
    return [
        f"Snapshots for backups of VMs that are gone take space, and can be deleted where their VM does not come back: {', '.join(names)}."
    ]


def _hosts(objects: Objects, names: t.Sequence[str], options: Record) -> list[Entry]:
    every = [host["name_label"] for host in objects.all("host").values()]
    entries = []
    for name in sorted(every) if EVERY in names else names:
        try:
            host = objects.get("host", objects.resolve("host", str(name)))
        except NotFound as e:
            entries.append(_absent("host", Missing(str(name), str(e))))
            continue
        entries.append(_entry({**options, "kind": "host", "name": host["name_label"], "uuid": host["uuid"]}))
    return entries


def _entry(options: Row) -> Entry:
    about = {key: str(options[key]) for key in ("kind", "name", "uuid") if options.get(key)}
    label = _label(about["kind"], about.get("name") or about.get("uuid") or "")
    return Entry(label, options, {**about, "label": label})


def _absent(kind: str, missing: Missing) -> Entry:
    label = _label(kind, missing.name)
    return Entry(label, {}, {"kind": kind, "name": missing.name, "label": label}, naming(repr(missing.name), missing.problem))


def _label(kind: str, name: str) -> str:
    return "the pool" if kind == "pool" else f"{'VM' if kind == 'vm' else kind} {name!r}"


def _refuse_doubles(entries: t.Sequence[Entry]) -> None:
    """By uuid, and by name where there is none."""
    named = Counter((e.label, str(e.about.get("uuid") or "")) for e in entries if not e.problem)
    if twice := [label for (label, _uuid), count in named.items() if count > 1]:
        raise InvalidChange(f"{', '.join(twice)} would be backed up twice.", hint="Name it once.")


def _told(row: Row, repository: Repository) -> Row:
    """The result of one, with what there is of it now."""
    made = row.get("backup") or {}
    if "diff" in row:  # what a new one is called and holds is known when it is there
        row = {**row, "diff": {"before": {"newest": row["diff"]["before"].get("stamp", "")}, "after": {"newest": "made by this task"}}}
    names = {key: made[key] for key in ("name", "uuid") if made.get(key)}
    try:
        return {**row, **names, **(_history(repository, row["kind"], names["uuid"]) if "uuid" in names else {})}
    except (OSError, XenError) as e:  # the backup is made, whatever cannot be read of those before
        return {**row, **names, "warnings": [*row.get("warnings", []), f"What there is of {row['label']} could not be counted: {e}"]}


def _history(repository: Repository, kind: str, uuid: str) -> Row:
    """count: of its backups; boot_tested: when one of them was last started (ISO 8601), "" for never."""
    backups = [backup for subject in repository.subjects(kind, name=uuid) for backup in subject.backups()]
    booted = (backup.verdict.when for backup in backups if backup.verdict and backup.verdict.level == "boot")
    return {"count": len(backups), "boot_tested": max(booted, default="")}
