# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is in a repository and how the last run went, as data for JSON and for a page (page.py)."""

from __future__ import annotations

import typing as t

from .names import iso, moment
from .repository import Repository
from .subject import Subject

SCHEMA = 1
Told = dict[str, t.Any]
OF_BACKUP = ("stamp", "created", "form", "parent", "size", "state", "problem", "verified", "keep", "encrypted")
OF_ROW = ("kind", "name", "uuid", "changed", "failed", "msg")


def report(
    repository: Repository, pool: str, rows: t.Sequence[t.Mapping[str, t.Any]], problems: t.Sequence[str], now: float, free: int
) -> Told:
    """pool: name or uuid, "" for all; rows: of xen_backups; problems: sentences about what else went wrong; now: seconds since 1970."""
    subjects = [of_subject(subject, now) for subject in repository.subjects(pool=pool)]
    return {
        "schema": SCHEMA,
        "made": iso(now),
        "pools": [dict(pair) for pair in sorted({tuple(sorted(subject["pool"].items())) for subject in subjects})],
        "run": [{key: row[key] for key in OF_ROW if key in row} for row in rows],
        "problems": list(problems),
        "ok": not problems and not any(row.get("failed") for row in rows),
        "subjects": subjects,
        "size": sum(subject["size"] for subject in subjects),
        "free": free,
    }


def of_subject(subject: Subject, now: float) -> Told:
    """age: seconds since the moment the newest usable backup stands for, None without one."""
    backups: list[Told] = [{key: told.get(key) for key in OF_BACKUP} for told in (backup.told() for backup in subject.backups())]
    usable = [backup for backup in backups if backup["state"] == "good"]
    return {
        "pool": {"name": subject.pool.name, "uuid": subject.pool.uuid},
        "kind": subject.kind,
        "name": subject.who.name,
        "uuid": subject.who.uuid,
        "count": len(backups),
        "bad": len(backups) - len(usable),
        "size": sum(int(backup["size"] or 0) for backup in backups),
        "newest": usable[-1]["created"] if usable else "",
        "age": max(0, int(now - moment(usable[-1]["created"]).timestamp())) if usable else None,
        "backups": backups,
    }


def without_times(told: t.Mapping[str, t.Any]) -> Told:
    """What is the same when a report is made again and nothing else has happened."""
    subjects = [{key: value for key, value in subject.items() if key != "age"} for subject in told.get("subjects", ())]
    # whether the last run had something to do is how it went, not what there is
    rows = [{key: value for key, value in row.items() if key != "changed"} for row in told.get("run", ())]
    return {**{key: value for key, value in told.items() if key not in ("made", "free")}, "subjects": subjects, "run": rows}
