# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A pool, host or VM that has backups in the repository, or will have."""

from __future__ import annotations

import contextlib
import functools
import os
import time
import typing as t
from pathlib import Path

from ..errors import InvalidChange, NotFound, XenError
from ..formats.compression import Damaged
from . import clutter, lock
from . import manifest as manifests
from .clutter import Clutter
from .draft import Draft
from .durable import gone, looked_at_anew, made_folder
from .listing import Listing
from .manifest import Manifest, Who
from .names import MANIFEST, free_stamp, is_stamp, subject_parts
from .stored import Backup, contents, remove_folder

__all__ = ["Backup", "Draft", "Subject"]
LOOKS = 5
TITLES = {"pool": "pool", "host": "host", "vm": "VM"}


class Subject:
    """kind: pool, host or vm; path: its folder, which may not be there yet; generation: changes with every change made here.

    by_folder: pool and who bear the names of folders only; those of the newest backup are better.
    """

    def __init__(self, path: Path, kind: str, pool: Who, who: Who, *, by_folder: bool = False):
        self.path, self.kind = path, kind
        self.pool_uuid, self.uuid = pool.uuid, who.uuid
        self._pool, self._who, self._by_folder = pool, who, by_folder
        self.generation = 0
        self._locked = ""

    @functools.cached_property
    def _named(self) -> Manifest | None:
        """The one that says how it is named: that of the latest stamp that can be read; the others are not read for it."""
        if not self._by_folder:
            return None
        for name in sorted((entry.name for entry in folders(self.path) if is_stamp(entry.name)), reverse=True):
            with contextlib.suppress(OSError, Damaged):
                return manifests.parse(contents(self.path / name / MANIFEST))
        return None

    @property
    def who(self) -> Who:
        """With the name it was asked for by, or that of its newest backup."""
        return Who(self.uuid, self._named.subject.name) if self._named else self._who

    @property
    def pool(self) -> Who:
        return Who(self.pool_uuid, self._named.pool.name) if self._named else self._pool

    def __str__(self) -> str:
        return f"{TITLES[self.kind]} {self.who.name!r}"

    def told(self) -> dict[str, t.Any]:
        """pool and name as they are called, uuids beside them."""
        return {"pool": self.pool.name, "pool_uuid": self.pool_uuid, "kind": self.kind, "name": self.who.name, "uuid": self.uuid}

    def listing(self) -> Listing:
        """Read anew: one read for each manifest, one look at each file.

        Without the lock somebody may be removing or merging some of them: what looks bad is looked at again until it stays so.
        """
        found = self._listed()
        for _again in () if self._locked else range(LOOKS):
            before = found.problems()
            if not any(before.values()):
                break
            found = self._listed()
            if found.problems() == before:
                break
        return found

    def _listed(self) -> Listing:
        found = Listing(self.generation)
        for entry in folders(self.path):
            if is_stamp(entry.name) and self._is_there(backup := Backup(self, found, self.path / entry.name)):
                found.add(backup)
        return found

    def _is_there(self, backup: Backup) -> bool:
        """Whether it has a manifest.

        The client of a file server remembers for a while what was not there, and another machine may have made it since. So one looks
        twice before it is taken for a leftover.
        """
        if backup.read():
            return True
        if self._locked != "alone":
            return False
        looked_at_anew(backup.path)
        return backup.read()

    def backups(self) -> list[Backup]:
        """By number, oldest first, those that cannot be used among them."""
        return self.listing().ordered()

    def good(self) -> list[Backup]:
        return [backup for backup in self.backups() if backup.usable()]

    def newest(self) -> Backup | None:
        """The newest that can be used."""
        good = self.good()
        return good[-1] if good else None

    def get(self, text: str) -> Backup:
        """By stamp or id, or the "newest" that can be used. Raises NotFound."""
        backups = self.backups()
        for backup in reversed(backups):
            if text in (backup.stamp, backup.manifest and backup.manifest.id) or (text == "newest" and backup.usable()):
                return backup
        there = ", ".join(backup.stamp if backup.usable() else f"{backup.stamp} ({backup.state})" for backup in backups[-20:])
        wanted = "no backup that can be used" if text == "newest" else f"no backup {text!r}"
        raise NotFound(f"There is {wanted} of {self} in {self.path}.", hint=f"There are: {there}." if there else "There is none at all.")

    def clutter(self, listing: Listing | None = None) -> Clutter:
        """What is no backup: leftovers of killed tasks, and what is somebody else's. Raises XenError."""
        return clutter.of(self.path, listing or self.listing())

    def leftovers(self) -> list[Path]:
        """What killed tasks left: folders without manifest, temporary files, files no manifest names."""
        return self.clutter().leftovers

    def foreign(self) -> list[Path]:
        """What is not ours, and is left alone."""
        return self.clutter().foreign

    def tidy(self) -> list[str]:
        """Removes the leftovers; tells their paths. Needs the lock. Raises XenError."""
        self.need_lock()
        found = self.leftovers()
        for path in found:
            if path.parent == self.path and is_stamp(path.name):
                remove_folder(path)
            else:
                gone(path)
        return [str(path) for path in found]

    @contextlib.contextmanager
    def lock(self, what: str, *, shared: bool = False) -> t.Iterator[None]:
        """Nobody else changes it meanwhile; with shared, others may read as well. what: is told to whom is refused.

        Raises InvalidChange when another task has it, NotFound for a reader of what is not there, XenError.
        """
        if not shared:
            made_folder(self.path.parent)
            made_folder(self.path)
        elif not os.path.isdir(self.path):
            raise NotFound(f"There are no backups of {self} in {self.path.parent}.")
        with lock.held(self.path, what, str(self), shared=shared):
            self.generation += 1
            self._locked = "shared" if shared else "alone"
            if not shared:
                looked_at_anew(self.path)
            try:
                yield
            finally:
                self._locked = ""

    def need_lock(self, *, shared: bool = False) -> None:
        """Raises RuntimeError: a mistake in the program."""
        if self._locked != "alone" and not (shared and self._locked):
            raise RuntimeError(f"the lock of {self.path} is not held")

    def begin(self, now: float | None = None) -> Draft:
        """The next backup. now: seconds since 1970; its stamp is the next free second, its number tells the order. Needs the lock."""
        self.need_lock()
        return Draft(self, free_stamp(self.path, time.time() if now is None else now), self.listing().next_number())

    def touched(self, listing: Listing | None) -> None:
        """Something was changed; the listing it was changed through knows."""
        self.generation += 1
        self.__dict__.pop("_named", None)
        if listing is not None:
            listing.generation = self.generation
            listing.changed()


def folders(path: Path) -> list[os.DirEntry[str]]:
    """The folders in one, no links; [] if it is not there. Raises XenError."""
    try:
        with os.scandir(path) as entries:
            return [entry for entry in entries if entry.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return []
    except OSError as e:
        raise XenError(f"{path} cannot be read: {e.strerror}.") from e


def of_folder(path: Path, pool: Who) -> Subject | None:
    """None if it is not a folder of ours."""
    parts = subject_parts(path.name)
    return Subject(path, parts.kind, pool, Who(parts.uuid, parts.name), by_folder=True) if parts else None


def refuse_kind(kind: str) -> None:
    """Raises InvalidChange."""
    if kind not in TITLES:
        raise InvalidChange(f"There are no backups of kind {kind!r}.", hint=f"There are: {', '.join(TITLES)}.")
