# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Many VMs brought back from a repository, in the order in which they start. One that fails stops no other."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import itertools
import time
import typing as t

from .backup.repository import Repository
from .backup.subject import Backup, Subject
from .client import Session
from .errors import Ambiguous, InvalidChange, NotFound, XenError
from .formats import db_dump
from .many import Entry, Perform, Row, carried_out, done, naming, plain, rehearsed, shown, summary, task_of
from .refs import Objects, Record, told_names
from .resource import Resource
from .resources.appliance import Appliance
from .resources.restore import Restore
from .resources.vm_group import VmGroup
from .vms import guests

START = ("as_before", "always", "never")
ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "repository": {"type": "path", "required": True},
    "pool": {"type": "str"},
    "names": {"type": "list", "elements": "str", "default": []},
    "exclude": {"type": "list", "elements": "str", "default": []},
    "start": {"type": "str", "choices": list(START), "default": "as_before"},
    "options": {"type": "dict", "default": {}},
    "parallel": {"type": "int", "default": 2},
}
RESTORED = "domzero.xen:restored"  # in other_config: the id of the backup comes first (resources/restore)
RESTORING = "domzero.xen:restoring"  # in other_config of a VM that is not complete yet (resources/restore)
Placed = tuple[int, Entry]


def run(session: Session, params: Record, check: bool) -> Row:
    """Raises InvalidChange, before anything is begun, for what stands in the way of all of it."""
    choice = Choice(session, params)
    rounds = choice.rounds()
    act = task_of(Restore)
    around = choice.around.restored(session, check)
    entries = [entry for entries in rounds for entry in entries]
    rows = (
        rehearsed(session, act, entries, choice.around.coming)
        if check
        else carried_out(session, act, rounds, params["parallel"], choice.wait)
    )
    told = {"restores": plain([{**row, **_about(row)} for row in rows]), "there": choice.there, "without_backup": choice.without}
    unsaved = [f"VM {row['name']!r} is not brought back: {row['why'].rstrip('.')}." for row in choice.without]
    result = shown([*around, *(_short(row) for row in rows)])
    warnings = [*result.get("warnings", []), *(row["msg"] for row in around if row.get("failed")), *unsaved]
    told["around"] = plain(around)
    return {**result, **told, **({"warnings": warnings} if warnings else {}), **summary(rows, "restores")}


def _about(row: Row) -> Row:
    made = row.get("vm") or {}
    return {key: made[key] for key in ("uuid",) if made.get(key)}


def _short(row: Row) -> Row:
    """What differs is that it is there."""
    if "diff" not in row:
        return row
    return {**row, "diff": {"before": {"there": False}, "after": {"there": True, "stamp": row["stamp"]}}}


class Around:
    """Appliances and VM groups that the VMs were in, by name; an import puts a VM into none."""

    def __init__(self) -> None:
        self._appliances, self._groups = dict[str, str](), dict[str, Row]()

    def note(self, backup: Backup) -> None:
        around = (backup.manifest.details if backup.manifest else {}).get("around") or {}
        self._appliances |= {str(name): str(description) for name, description in around.get("appliances", {}).items()}
        self._groups |= {str(name): dict(told) for name, told in around.get("groups", {}).items()}

    @property
    def coming(self) -> dict[str, list[str]]:
        return {"appliances": sorted(self._appliances), "groups": sorted(self._groups)}

    def restored(self, session: Session, check: bool) -> list[Row]:
        """Those the pool has not are made, empty, for the VMs to come. One that cannot be made is told, and the VMs come nevertheless."""
        entries: list[tuple[str, type[Resource], Row]] = []
        for name, description in sorted(self._appliances.items()):
            entries.append(("appliance", Appliance, {"name": name, "description": description}))
        for name, told in sorted(self._groups.items()):
            entries.append(("VM group", VmGroup, {"name": name, **told}))
        rows = []
        for kind, resource, options in entries:
            label = f"{kind} {options['name']!r}"
            entry = Entry(label, {"name": options["name"]}, {"kind": kind, "name": options["name"], "label": label})
            rows += one(session, task_of(resource), entry, options, check)
        return rows


def one(session: Session, act: Perform, entry: Entry, options: Record, check: bool) -> list[Row]:
    """What making it did; [] if it is there, however it is."""
    there = rehearsed(session, act, [entry])[0]
    if not there.get("failed") and not there["changed"]:
        return []
    entry = dataclasses.replace(entry, options=options)
    return rehearsed(session, act, [entry]) if check else [done(session, act, entry)]


class Choice:
    """there: names of VMs the pool has already, which are left alone; without: of VMs that no backup can bring back, and why.

    Raises InvalidChange, NotFound, Ambiguous.
    """

    def __init__(self, session: Session, params: Record):
        if params["parallel"] < 1:
            raise InvalidChange(f"At least one VM has to be restored at a time, not {params['parallel']}.")
        self.params, self.there, self.without = params, list[str](), list[Row]()
        self._guests = list(guests(Objects(session)).values())
        repository = Repository(params["repository"])
        self._pool = _pool_of(repository, str(params["pool"] or ""))
        self._subjects = repository.subjects("vm", self._pool)
        self._entries: list[Placed] = []
        self.around, self._delays = Around(), dict[str, tuple[int, int]]()
        for subject in self._wanted():
            self._look_at(subject)
        self._name_unsaved(repository)

    def rounds(self) -> list[list[Entry]]:
        """Those of lower order before those of higher, each round in order of names."""
        placed = sorted(self._entries, key=lambda row: (row[0], row[1].label))
        return [[entry for _order, entry in group] for _order, group in itertools.groupby(placed, key=lambda row: row[0])]

    def _wanted(self) -> list[Subject]:
        out = {str(name) for name in self.params["exclude"]}
        if not self.params["names"]:
            return [s for s in self._subjects if not out & {s.uuid, s.who.name}]
        found: list[Subject] = []
        for name in map(str, self.params["names"]):
            named = [s for s in self._subjects if name in (s.uuid, s.who.name)]
            if len(named) == 1:
                found += [s for s in named if s not in found and not out & {s.uuid, s.who.name}]
            else:
                self._missing(name, len(named))
        return found

    def _missing(self, name: str, count: int) -> None:
        known = sorted({s.who.name for s in self._subjects})
        if count:
            said = f"There are backups of {count} VMs named {name!r}. Tell them apart with the uuid."
        else:
            said = f"There is no backup of {name!r}. {told_names(name, known) if known else 'There is none of any VM.'}"
            self.without.append({"name": name, "why": "it has no backup"})
        self._entries.append((0, Entry(f"VM {name!r}", {}, {"name": name, "label": f"VM {name!r}"}, said)))

    def _look_at(self, subject: Subject) -> None:
        name, options = subject.who.name, self.params["options"]
        label = f"VM {name!r}"
        if self._has(subject, str(options.get("new_name") or name)):
            self.there.append(name)
            return
        about = {"name": name, "label": label}
        try:
            backup = subject.get(str(options.get("backup") or "newest"))
        except NotFound as e:
            self.without.append({"name": name, "why": str(e)})
            self._entries.append((0, Entry(label, {}, about, naming(label, str(e)))))
            return
        self.around.note(backup)
        order, start, delay = self._of_start(backup)
        self._delays[subject.uuid] = (order, delay if start else 0)
        named = {"kind": "vm", "name": subject.uuid, "pool": subject.pool_uuid, "start": start, "backup": backup.stamp}
        full = {"repository": self.params["repository"], **options, **named, "networks": _of_its_own(backup, options.get("networks") or {})}
        self._entries.append((order, Entry(label, full, {**about, "source": subject.uuid, "stamp": backup.stamp})))

    def _of_start(self, backup: Backup) -> tuple[int, bool, int]:
        """Its place in the order of starts, whether it is to run, and seconds to wait after that."""
        details = backup.manifest.details if backup.manifest else {}
        ran = details.get("power_state") in ("Running", "Paused")
        start = {"as_before": ran, "always": True, "never": False}[self.params["start"]]
        order = details.get("order", 0)
        delay = details.get("start_delay", 0)
        return (order if isinstance(order, int) else 0), start, (delay if isinstance(delay, int) else 0)

    def wait(self, rows: t.Sequence[Row]) -> None:
        """Before those of the next place are begun: as long as those of this one want it (xen-api: xapi_vm_appliance.ml does the same)."""
        started = [self._delays[row["source"]] for row in rows if row["changed"] and not row.get("failed")]
        last = max((order for order, _delay in started), default=0)
        time.sleep(max((delay for order, delay in started if order == last), default=0))

    def _has(self, subject: Subject, name: str) -> bool:
        """Whether the pool has the VM, or one of its name that is not known as another. One not restored in whole does not count."""
        complete = [vm for vm in self._guests if RESTORING not in vm["other_config"]]
        return any(vm["uuid"] == subject.uuid or (vm["name_label"] == name and self._known_as(vm) in ("", subject.uuid)) for vm in complete)

    def _known_as(self, vm: Record) -> str:
        """The uuid of the VM in the repository that this one is, or was restored from; "" if nothing tells."""
        if any(vm["uuid"] == s.uuid for s in self._subjects):
            return str(vm["uuid"])
        origin = str(vm["other_config"].get(RESTORED, "")).partition(" ")[0]
        return self._origins.get(origin, "") if origin else ""

    @functools.cached_property
    def _origins(self) -> dict[str, str]:
        """Of all backups the VM they are of, by their ids."""
        return {backup.manifest.id: s.uuid for s in self._subjects for backup in s.backups() if backup.manifest}

    def _name_unsaved(self, repository: Repository) -> None:
        """VMs the last dump of the pool's database tells of, and nothing can bring back."""
        if self.params["names"]:
            return
        saved, out = {s.uuid for s in self._subjects}, {str(name) for name in self.params["exclude"]}
        for row in _vms_in_dump(repository, self._pool):
            if row["uuid"] not in saved and not out & {row["name"], row["uuid"]} and not self._is_there(row["uuid"]):
                self.without.append({"name": row["name"], "why": "it was in the pool when its database was saved, and has no backup"})

    def _is_there(self, uuid: str) -> bool:
        return any(vm["uuid"] == uuid for vm in self._guests)


def _of_its_own(backup: Backup, networks: Record) -> Row:
    """Of the networks that are mapped for all VMs those that this one is on."""
    cards = backup.manifest.details.get("networks", []) if backup.manifest else []
    own = {str(card["network"]) for card in cards if isinstance(card, dict) and "network" in card}
    return {name: there for name, there in networks.items() if name in own}


def _vms_in_dump(repository: Repository, pool: str) -> list[Row]:
    """[] where there is none that can be read as it lies there (it may be encrypted)."""
    for subject in repository.subjects("pool", pool):
        newest = subject.newest()
        if newest and newest.manifest and newest.manifest.form == "dump" and not newest.manifest.encryption:
            with contextlib.suppress(XenError, OSError):
                return db_dump.vms(db_dump.read(newest.file(newest.manifest.files[0])))
    return []


def _pool_of(repository: Repository, wanted: str) -> str:
    """The uuid of the pool whose backups are meant. Raises InvalidChange, NotFound, Ambiguous."""
    pools = {s.pool_uuid: s.pool.name for s in repository.subjects(pool=wanted)}
    if not pools:
        raise NotFound(
            f"There are no backups{f' of a pool {wanted!r}' if wanted else ''} in {repository.root}.",
            hint="Check repository and pool.",
        )
    if len(pools) > 1:
        names = ", ".join(f"{name} ({uuid})" for uuid, name in sorted(pools.items()))
        raise Ambiguous(f"{repository.root} holds backups of several pools: {names}.", hint="Give pool.")
    return next(iter(pools))
