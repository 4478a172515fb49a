# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which backups are looked at. The newest one is the newest there is, good or not: an older good one is no answer to whether it is."""

from __future__ import annotations

import typing as t

from ...backup.repository import Repository
from ...backup.stored import Backup
from ...backup.subject import Subject
from ...errors import NotFound
from ...refs import Record


def subjects(params: Record) -> list[Subject]:
    """Raises NotFound, Ambiguous, InvalidChange."""
    repository = Repository(params["repository"])
    kind, pool, name = (str(params.get(option) or "") for option in ("kind", "pool", "name"))
    if kind and name:
        return [repository.find(kind, pool, name)]
    found = repository.subjects(kind, pool, name)
    return found or [repository.find(kind, pool, name)]


def chosen(backups: t.Sequence[Backup], wanted: str) -> list[Backup]:
    """Of one subject. wanted: newest, all, a stamp or an id."""
    if wanted == "all":
        return list(backups)
    if wanted == "newest":
        return list(backups[-1:])
    return [backup for backup in backups if wanted in (backup.stamp, backup.manifest.id if backup.manifest else backup.stamp)]


def is_of_each(params: Record) -> bool:
    """Whether something is to be looked at of every subject; a stamp or an id is that of one."""
    return params["backup"] in ("newest", "all")


def refuse_none(found: int, params: Record) -> None:
    """Looking at nothing is no proof of anything. Raises NotFound."""
    if not found:
        what = "no backup" if is_of_each(params) else f"no backup {params['backup']}"
        raise NotFound(f"{params['repository']} holds {what} of what the task names.", hint="xen_backup_info tells what is there.")
