# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Backups are checked, and what was found is written beside them. With a boot test VMs are restored, started, and removed."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ...backup import verify
from ...backup.repository import Repository
from ...backup.stored import Backup
from ...backup.subject import Subject
from ...backup.verdict import Verdict
from ...backup.verify import Report
from ...client import Session
from ...errors import InvalidChange, NotFound, XenError
from ...formats.compression import Damaged
from ...refs import Record
from . import boot, choosing

BOOT: dict[str, dict[str, t.Any]] = {
    "sr": {"type": "str", "required": True},
    "host": {"type": "str"},
    "wait_for": {"type": "str", "choices": ["tools", "address", "none"], "default": "tools"},
    "timeout": {"type": "int", "default": 600},
}
OPTIONS: dict[str, dict[str, t.Any]] = {
    "repository": {"type": "path", "required": True},
    "kind": {"type": "str", "choices": ["pool", "host", "vm"]},
    "pool": {"type": "str"},
    "name": {"type": "str"},
    "backup": {"type": "str", "default": "newest"},
    "level": {"type": "str", "choices": ["checksum", "structure"], "default": "checksum"},
    "identity": {"type": "path"},
    "boot_test": {"type": "dict", "options": BOOT},
}
TOLD = 12  # findings an error tells


@dataclass
class Outcome:
    """Of the whole task, as it grows."""

    backups: list[dict[str, t.Any]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)  # sentences
    empty: list[str] = field(default_factory=list)  # those of them that say that there is nothing to look at
    damaged: bool = False
    changed: bool = False
    operations: list[str] = field(default_factory=list)
    not_noted: list[str] = field(default_factory=list)  # why verdicts could not be written

    def lacks(self, subject: Subject) -> None:
        """It has no backup at all, such as one whose first run failed."""
        self.empty.append(f"{subject}: there is no backup of it")
        self.wrong.append(self.empty[-1])

    def result(self) -> dict[str, t.Any]:
        told = {"changed": self.changed or bool(self.operations), "backups": self.backups, "operations": self.operations}
        if not self.not_noted:
            return told
        more = f" Nor of {len(self.not_noted) - 1} more." if len(self.not_noted) > 1 else ""
        return {**told, "warnings": [f"What was found could not be noted beside the backup. {self.not_noted[0]}{more}"]}


def run(session: Session, params: Record, check: bool) -> dict[str, t.Any]:
    """Raises Damaged that tells everything that is wrong, XenError for what could not be read, NotFound, Ambiguous, InvalidChange."""
    refuse_bad_options(params)
    task, count = Task(session, params, check), 0
    task.look_at_repository()
    subjects = choosing.subjects(params)
    for subject in subjects:
        try:
            with subject.lock("verify", shared=True):
                looked = task.look_at(subject)
        except XenError as e:  # somebody works on it, or the pool cannot take the copy: the others are looked at
            if len(subjects) == 1:
                raise
            task.outcome.wrong.append(f"{subject}: {e}")
        else:
            count += looked
            if not looked and len(subjects) > 1 and choosing.is_of_each(params):
                task.outcome.lacks(subject)
    if task.outcome.wrong:
        raise _failure(task.outcome)
    choosing.refuse_none(count, params)
    return task.outcome.result()


def refuse_bad_options(params: Record) -> None:
    """Raises InvalidChange."""
    if params.get("boot_test") and params.get("kind") not in (None, "vm"):
        raise InvalidChange(f"A backup of kind {params['kind']} cannot be started.", hint="boot_test is for VMs.")
    if params.get("boot_test") and params["boot_test"]["timeout"] < 1:
        raise InvalidChange(f"timeout is {params['boot_test']['timeout']}: no guest starts in that.", hint="Give the seconds it may take.")


class Task:
    """One thing after another is looked at; outcome grows."""

    def __init__(self, session: Session, params: Record, check: bool):
        self._session, self._params, self._check = session, params, check
        self.outcome = Outcome()

    def look_at_repository(self) -> None:
        """Without its id nobody knows which snapshots on the pools are its own."""
        try:
            _id = Repository(self._params["repository"]).id
        except Damaged as e:
            self.outcome.damaged = True
            self.outcome.wrong.append(str(e))

    def look_at(self, subject: Subject) -> int:
        """How many backups of it were asked for. Its lock is held."""
        there = {backup.stamp: backup for backup in subject.backups()}
        wanted = choosing.chosen(list(there.values()), self._params["backup"])
        before = {stamp: backup.verdict for stamp, backup in there.items()}
        reports: dict[str, Report] = {}
        for backup in verify.closure(wanted, there):
            reports[backup.stamp] = verify.check(backup, self._params["level"], there, self._params.get("identity") or "")
            self._note(reports[backup.stamp])
        for backup in wanted:
            if self._params.get("boot_test") and subject.kind == "vm" and self._sound(backup, reports, there):
                self._boot(reports[backup.stamp])
        self._tell(subject, there, reports, before)
        return len(wanted)

    @staticmethod
    def _sound(backup: Backup, reports: t.Mapping[str, Report], there: t.Mapping[str, Backup]) -> bool:
        return all(one.stamp in reports and reports[one.stamp].ok for one in verify.ancestry(backup, there))

    def _note(self, report: Report) -> None:
        verdict = None if self._check else report.verdict()
        try:
            if verdict:
                report.backup.judge(verdict)
        except XenError as e:  # a copy that nobody may write to can be checked, too
            self.outcome.not_noted.append(str(e))

    def _boot(self, report: Report) -> None:
        operations, why = boot.start(self._session, report.backup, self._params, self._check)
        self.outcome.operations += operations
        if why:
            report.findings.add("boot test", "", why)
        report.level = "boot"
        self._note(report)

    def _tell(
        self, subject: Subject, there: t.Mapping[str, Backup], reports: t.Mapping[str, Report], before: t.Mapping[str, Verdict | None]
    ) -> None:
        outcome, after = self.outcome, {backup.stamp: backup for backup in subject.backups()}
        for stamp, report in reports.items():
            now = after.get(stamp, there[stamp])
            outcome.backups.append({**now.told(), **report.told(), "restorable": self._sound(there[stamp], reports, there)})
            outcome.damaged |= bool(report.findings.damage)
            outcome.wrong += [f"{subject} {stamp}: {finding}" for finding in report.findings]
            outcome.changed |= verify.changes(before[stamp], report.verdict() if self._check else now.verdict)


def _failure(outcome: Outcome) -> XenError:
    lines, more = outcome.wrong[:TOLD], len(outcome.wrong) - TOLD
    text = "; ".join(line.rstrip(".") for line in lines) + (f"; and {more} more" if more > 0 else "")
    facts = outcome.result()
    if outcome.damaged:
        hint = "The next xen_backup makes a whole one; if another copy of the files is good, put it there and check again."
        return Damaged(f"Backups are damaged. {text}.", hint=hint, facts=facts)
    if outcome.empty == outcome.wrong:
        return NotFound(f"Backups are missing. {text}.", hint="Back them up, or remove their folders from the repository.", facts=facts)
    hint = "Look after the disk or the mount and check again: nothing was noted of them."
    return XenError(f"Backups could not be checked. {text}.", hint=hint, facts=facts)
