# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is in a repository, as data."""

from __future__ import annotations

import datetime as dt
import os
import typing as t
from pathlib import Path

from ..formats import db_dump
from ..formats.compression import Damaged
from . import retention
from .names import moment, moment_of
from .repository import Repository
from .stored import Backup
from .subject import Subject

Told = dict[str, t.Any]


class Plans(t.NamedTuple):
    """What a run of xen_backup_prune with these rules would remove; none are asked for without rules."""

    rules: retention.Rules
    zone: dt.tzinfo
    now: dt.datetime

    def of(self, backups: t.Sequence[Backup]) -> dict[str, Told]:
        """By stamp: removed, why."""
        if not self.rules:
            return {}
        chosen = retention.plan([point(backup) for backup in backups], self.rules, self.now, self.zone)
        return {choice.stamp: {"removed": not choice.keep, "why": list(choice.why)} for choice in chosen}


def point(backup: Backup) -> retention.Point:
    """A backup as the rules see it; of one whose manifest cannot be read the folder says when it was made."""
    found = backup.manifest
    if found is None:
        return retention.Point(backup.stamp, moment_of(backup.stamp), usable=False, readable=False)
    return retention.Point(backup.stamp, moment(found.created), backup.usable(), found.keep, found.parent, doubt=backup.doubt)


def tell(repository: Repository, plans: Plans, kind: str = "", pool: str = "", name: str = "", *, contents: bool = False) -> Told:
    """backups and subjects in order of pool, kind, name and number; what is somebody else's. contents: of dumps as well."""
    listed = [(subject, subject.listing()) for subject in repository.subjects(kind, pool, name)]
    subjects = [(subject, listing.ordered()) for subject, listing in listed]
    clutter = [subject.clutter(listing) for subject, listing in listed]
    rows = [row for _subject, backups in subjects for row in rows_of(backups, plans.of(backups))]
    warnings: list[str] = []
    if contents:
        for row, backup in zip(rows, (backup for _subject, backups in subjects for backup in backups)):
            row["contents"], warning = contents_of(backup)
            warnings += [warning] if warning else []
    return {
        "backups": rows,
        "subjects": [{**of_subject(*one), "leftovers": _shown(its.leftovers)} for one, its in zip(subjects, clutter)],
        "foreign": _shown(sorted([*repository.strangers(), *(path for its in clutter for path in its.foreign)])),
        **({"warnings": warnings} if warnings else {}),
    }


def _shown(paths: t.Iterable[Path]) -> list[str]:
    """Names that are no UTF-8 as well as can be."""
    return [os.fsencode(path).decode("utf-8", "replace") for path in paths]


def rows_of(backups: t.Sequence[Backup], plans: t.Mapping[str, Told]) -> t.Iterator[Told]:
    for backup in backups:
        yield {**backup.told(), **({"next_deletion": plans[backup.stamp]} if backup.stamp in plans else {})}


def contents_of(backup: Backup) -> tuple[Told | None, str]:
    """What the dump of a pool holds, or why that cannot be told; neither for other backups."""
    found = backup.manifest
    file = next((file for file in found.files if file.name.startswith("pool.xml")), None) if found and found.form == "dump" else None
    if not found or not file:
        return None, ""
    if backup.damage or found.encryption:
        return None, f"What {backup.path} holds is not told: {backup.damage or 'it is encrypted.'}"
    try:
        return db_dump.contents(db_dump.read(backup.file(file))), ""
    except OSError as e:
        return None, f"What {backup.path} holds is not told: {e.strerror}."
    except Damaged as e:
        return None, f"What {backup.path} holds is not told: {e.message}"


def of_subject(subject: Subject, backups: t.Sequence[Backup]) -> Told:
    """newest: stamp of the newest that can be used; state: good, damaged (some cannot be used), lost (none can), empty (there are none)."""
    usable = [backup for backup in backups if backup.usable()]
    state = "good" if len(usable) == len(backups) else "damaged" if usable else "lost"
    newest = usable[-1] if usable else None
    return {
        **subject.told(),
        "path": str(subject.path),
        "newest": newest.stamp if newest else "",
        "created": newest.manifest.created if newest and newest.manifest else "",
        "count": len(backups),
        "usable": len(usable),
        "size": sum(backup.manifest.size for backup in backups if backup.manifest),
        "state": state if backups else "empty",
    }
