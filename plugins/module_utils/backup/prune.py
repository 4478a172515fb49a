# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Backups that no rule keeps go; those in the middle of a chain are merged into what builds on them before.

Interrupted at any moment, nothing that was to stay is lost, and the next run finishes.
"""

from __future__ import annotations

import datetime as dt
import typing as t
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..errors import InvalidChange, XenError
from . import absorb, sealing
from .info import point
from .repository import Repository
from .retention import UTC, Choice, Rules, plan, zone_of
from .stored import Backup
from .subject import Subject

Told = dict[str, t.Any]


class Asked(t.NamedTuple):
    """What a run is to do. identity: file of age's private key, "" = none."""

    rules: Rules
    zone: dt.tzinfo
    now: dt.datetime
    identity: str = ""

    @classmethod
    def of(cls, params: t.Mapping[str, t.Any]) -> Asked:
        """From the options of a module. Raises InvalidChange where no rule is given."""
        rules = Rules.of(params)
        if not rules:
            raise InvalidChange("No rule says which backups are to stay.", hint="Give at least one, such as keep_daily: 7.")
        return cls(rules, zone_of(params["time_zone"]), dt.datetime.now(UTC), params.get("identity") or "")


class Merge(t.NamedTuple):
    """child takes in those of run, the nearest first, and builds on parent ("" = on nothing) then."""

    child: Backup
    run: tuple[Backup, ...]
    parent: str


@dataclass(frozen=True)
class Work:
    """What there is to do for one subject. removals: what builds on others before them; freed: in bytes, by all of it."""

    subject: Subject
    backups: list[Backup]
    choices: list[Choice]
    merges: list[Merge]
    removals: list[Backup]
    unsettled: list[Backup]
    leftovers: list[Path]
    freed: int
    grown: int = 0  # of which the files that are merged will take so much more

    @property
    def operations(self) -> list[str]:
        return [
            *(self.tidying(path) for path in self.leftovers),
            *(self.operation("rename", backup) for backup in self.unsettled),
            *(self.operation("merge", gone, f" into {merge.child.stamp}") for merge in self.merges for gone in merge.run),
            *(self.operation("remove", backup) for backup in self.removals),
        ]

    def tidying(self, path: Path) -> str:
        return f"repository/tidy {self.subject.kind} {self.subject.who.name} {path.relative_to(self.subject.path)}"

    def operation(self, what: str, backup: Backup, more: str = "") -> str:
        return f"repository/{what} {self.subject.kind} {self.subject.who.name} {backup.stamp}{more}"


@dataclass
class Outcome:
    """Of all subjects, as the module returns it."""

    removed: list[Told] = field(default_factory=list)
    merged: list[Told] = field(default_factory=list)
    kept: list[Told] = field(default_factory=list)
    tidied: list[str] = field(default_factory=list)
    operations: list[str] = field(default_factory=list)
    failed: list[Told] = field(default_factory=list)
    before: dict[str, list[str]] = field(default_factory=dict)
    after: dict[str, list[str]] = field(default_factory=dict)
    freed: int = 0

    def add(self, work: Work) -> None:
        subject, reasons = work.subject.told(), {choice.stamp: list(choice.why) for choice in work.choices}
        gone = {backup.stamp for backup in work.removals}
        stamps = [backup.stamp for backup in work.backups]
        for backup in work.backups:
            row = {**subject, "stamp": backup.stamp, "why": reasons[backup.stamp]}
            if backup.stamp in gone:
                self.removed.append({**row, "size": _size(backup)})
            else:
                self.kept.append(row)
        self.merged += [{**subject, "stamp": one.child.stamp, "with": [gone.stamp for gone in one.run]} for one in work.merges]
        self.tidied += [str(path) for path in work.leftovers]
        self.operations += work.operations
        self.freed += work.freed
        place = str(work.subject.path)
        self.before[place], self.after[place] = stamps, [stamp for stamp in stamps if stamp not in gone]

    def told(self) -> Told:
        rows = ("removed", "merged", "kept", "tidied", "freed", "operations", "failed")
        return {
            "changed": bool(self.operations),
            **{key: getattr(self, key) for key in rows},
            "diff": {"before": self.before, "after": self.after},
        }


def prune(repository: Repository, asked: Asked, *, check: bool, kind: str = "", pool: str = "", name: str = "") -> Told:
    """All subjects that are meant, each by itself. check: only tell what would be done.

    Raises XenError when one of them failed, with what was done for the others in its facts; NotFound where there is none of that name.
    """
    outcome = Outcome()
    subjects = repository.subjects(kind, pool, name)
    if not subjects and (pool or name):
        repository.find(kind, pool, name)  # says what there is
    for subject in subjects:
        done: list[str] = []
        try:
            outcome.add(_one(subject, asked, check, done))
        except (XenError, OSError) as e:
            outcome.operations += done
            message = str(e) if isinstance(e, XenError) else f"{e.filename or subject.path}: {e.strerror}."
            outcome.failed.append({**subject.told(), "msg": message})
    if outcome.failed:
        names = "; ".join(f"{row['kind']} {row['name']!r}: {row['msg']}" for row in outcome.failed)
        others = f" The other {len(subjects) - len(outcome.failed)} were done." if len(subjects) > len(outcome.failed) else ""
        raise XenError(f"The backups of {len(outcome.failed)} could not be pruned: {names}{others}", facts=outcome.told())
    return outcome.told()


def _one(subject: Subject, asked: Asked, check: bool, done: list[str]) -> Work:
    with subject.lock("prune", shared=check):
        work = look(subject, asked)
        return work if check else carry_out(work, asked, done)


def look(subject: Subject, asked: Asked) -> Work:
    """What is to be done; nothing is changed. Raises XenError, OSError."""
    backups = subject.backups()
    choices = plan([point(backup) for backup in backups], asked.rules, asked.now, asked.zone)
    stay = {choice.stamp for choice in choices if choice.keep}
    known = {backup.stamp: backup for backup in backups}
    merges = [merge for backup in backups if backup.stamp in stay for merge in _merge(backup, known, stay)]
    removals = [backup for backup in reversed(backups) if backup.stamp not in stay]
    for merge in merges:
        _refuse_missing_keys(merge, asked.identity)
    grown = sum(absorb.grown(merge.child, merge.run, asked.identity) for merge in merges)
    leftovers = subject.leftovers()
    freed = sum(map(_size, removals)) - grown + sum(map(_size_of_path, leftovers))
    unsettled = [backup for backup in backups if backup.stamp in stay and absorb.is_unsettled(backup)]
    return Work(subject, backups, choices, merges, removals, unsettled, leftovers, freed, grown)


def _merge(child: Backup, known: t.Mapping[str, Backup], stay: set[str]) -> t.Iterator[Merge]:
    """What a backup that stays has to take in, if anything. One that is not usable keeps its parent (retention.plan)."""
    run: list[Backup] = []
    parent = child.manifest.parent if child.manifest else ""
    while parent in known and parent not in stay:
        run.append(known[parent])
        parent = absorb.manifest_of(known[parent]).parent
    if run and child.usable():
        yield Merge(child, tuple(run), parent)


def _refuse_missing_keys(merge: Merge, identity: str) -> None:
    """Raises InvalidChange."""
    for backup in (merge.child, *merge.run):
        sealing.refuse_missing_key(
            f"{merge.child.path}, into which others are to be merged,", absorb.manifest_of(backup).encryption, identity
        )


def carry_out(work: Work, asked: Asked, done: list[str]) -> Work:
    """The work as it turned out: what encrypted files take is known now. done: operations that were carried out, also when it fails.

    What is not needed any more goes at once, so that there is room for what is written. Needs the lock. Raises XenError, OSError.
    """
    work.subject.tidy()
    done += map(work.tidying, work.leftovers)
    for backup in work.unsettled:
        absorb.settle(backup)
        done.append(work.operation("rename", backup))
    left = _removed(work, work.removals, done)
    freed = work.freed + work.grown
    for merge in work.merges:
        before = _size(merge.child)
        absorb.absorb(merge.child, merge.run, merge.parent, asked.identity)
        freed -= _size(merge.child) - before
        done += (work.operation("merge", gone, f" into {merge.child.stamp}") for gone in merge.run)
        left = _removed(work, left, done)
    return replace(work, freed=freed)


def _removed(work: Work, backups: t.Sequence[Backup], done: list[str]) -> list[Backup]:
    """Those that could not go yet, since others build on them."""
    left = []
    for backup in backups:
        if backup.children():
            left.append(backup)
        else:
            backup.remove()
            done.append(work.operation("remove", backup))
    return left


def _size(backup: Backup) -> int:
    """Bytes of its files."""
    return absorb.manifest_of(backup).size


def _size_of_path(path: Path) -> int:
    files = [path] if not path.is_dir() or path.is_symlink() else [one for one in path.rglob("*") if one.is_file()]
    return sum(one.lstat().st_size for one in files)
