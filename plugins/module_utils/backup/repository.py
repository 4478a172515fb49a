# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The whole of it: a folder of pools, in which are folders of what has backups."""

from __future__ import annotations

import os
import re
import time
import uuid
from pathlib import Path

from ..errors import Ambiguous, InvalidChange, NotFound, XenError
from ..formats.compression import Damaged
from . import checked_json, lock
from .checked_json import Newer
from .durable import landed
from .manifest import Who
from .names import LOCK, is_uuid, iso, pool_folder, pool_parts, subject_folder
from .stored import contents
from .subject import TITLES, Subject, folders, of_folder, refuse_kind

SCHEMA = 1
FILE = "repository.json"
_OURS = re.compile(rf"{re.escape(FILE)}|{re.escape(LOCK)}|\.{re.escape(FILE)}\.part|report_.*")


class Repository:
    """root: the folder; nothing is made in it before the first backup. Raises InvalidChange, Damaged (made by a newer release)."""

    def __init__(self, root: Path | str):
        self.root = Path(root)
        try:
            self.root.stat()
        except FileNotFoundError:
            hint = "Make the folder, or mount it, where the task runs."
            raise InvalidChange(f"The repository {self.root} is not there.", hint=hint) from None
        except OSError as e:
            raise InvalidChange(f"The repository {self.root} cannot be looked at: {e.strerror}.") from None
        if not self.root.is_dir():
            raise InvalidChange(f"The repository {self.root} is no folder.")
        if not os.access(self.root, os.R_OK | os.X_OK):
            raise InvalidChange(f"The repository {self.root} cannot be read by the user the task runs as.")
        try:
            _id = self.id
        except Newer as e:
            raise Newer(f"{self.root} cannot be used. {e.message}", hint=e.hint) from None
        except Damaged:
            return  # the backups can be read without

    @property
    def id(self) -> str:
        """Empty before the first backup. Raises Damaged."""
        path = self.root / FILE
        try:
            return str(checked_json.parse(contents(path)).get("id", ""))
        except FileNotFoundError:
            return ""
        except Newer:
            raise
        except (OSError, Damaged) as e:
            why = e.message if isinstance(e, Damaged) else f"It cannot be read: {e.strerror}."
            raise Damaged(f"{path} does not say which repository it is. {why}", hint="Put it back from a copy of the repository.") from None

    def establish(self) -> str:
        """Its id; made, if it has none yet. Raises InvalidChange, XenError, Damaged."""
        if not self.id:
            if not os.access(self.root, os.W_OK | os.X_OK):
                raise InvalidChange(f"The repository {self.root} is not writable for the user the task runs as.")
            with lock.turn(self.root):
                if not self.id:
                    made = {"id": str(uuid.uuid4()), "created": iso(time.time())}
                    landed(self.root / FILE, checked_json.dump(made))
        return self.id

    def _pools(self) -> list[tuple[Path, Who]]:
        found = ((self.root / entry.name, pool_parts(entry.name)) for entry in folders(self.root))
        return [(path, Who(parts.uuid, parts.name)) for path, parts in found if parts]

    def _all(self) -> list[Subject]:
        found = (of_folder(path / entry.name, pool) for path, pool in self._pools() for entry in folders(path))
        return [subject for subject in found if subject]

    def subjects(self, kind: str = "", pool: str = "", name: str = "") -> list[Subject]:
        """What has backups, in order of pool, kind and name. pool, name: name or uuid; "" = all."""
        if kind:
            refuse_kind(kind)
        found = [one for one in self._all() if kind in ("", one.kind) and _is(pool, one.pool) and _is(name, one.who)]
        return sorted(found, key=lambda one: (one.pool.name, one.pool_uuid, list(TITLES).index(one.kind), one.who.name, one.uuid))

    def subject(self, kind: str, pool: Who, who: Who) -> Subject:
        """Its folder, whatever it was named when that was made; or the one that would be made. Raises InvalidChange."""
        refuse_kind(kind)
        if not is_uuid(pool.uuid) or not is_uuid(who.uuid):
            raise InvalidChange(f"{pool.uuid!r} and {who.uuid!r} have to be uuids.")
        there = [path for path, known in self._pools() if known.uuid == pool.uuid]
        found = [one for path in there for one in (of_folder(Path(e.path), pool) for e in folders(path)) if one]
        found = [one for one in found if (one.kind, one.uuid) == (kind, who.uuid)]
        if len(found) > 1 or (not found and len(there) > 1):
            names = ", ".join(str(path) for path in (sorted(one.path for one in found) or sorted(there)))
            raise InvalidChange(f"Several folders are of the same {TITLES[kind] if found else 'pool'}: {names}.", hint="Leave one of them.")
        folder = found[0].path if found else (there or [self.root / pool_folder(*_named(pool))])[0] / subject_folder(kind, *_named(who))
        return Subject(folder, kind, pool, who)

    def find(self, kind: str, pool: str, name: str) -> Subject:
        """The one of that name or uuid. pool: name or uuid, "" = any. Raises NotFound, Ambiguous."""
        found = self.subjects(kind, pool, name)
        what = f"{TITLES.get(kind, 'pool, host or VM')} {name!r}" if name else TITLES.get(kind, "anything")
        where = f" of pool {pool!r}" if pool else ""
        if not found:
            others = [one.who.name for one in self.subjects(kind)]
            more = f", and {len(others) - 10} more" if len(others) > 10 else ""
            hint = f"There are backups of: {', '.join(others[:10])}{more}." if others else "There are none of that kind."
            raise NotFound(f"There are no backups of {what}{where} in {self.root}.", hint=hint)
        if len(found) > 1:
            names = ", ".join(f"{one} ({one.uuid}) of pool {one.pool.name!r} ({one.pool_uuid})" for one in found[:10])
            raise Ambiguous(f"There are backups of more than one {what}{where} in {self.root}: {names}.", hint="Give the uuid.")
        return found[0]

    def strangers(self) -> list[Path]:
        """What is not ours beside the folders of pools, and in them beside those of what has backups; in order. Raises XenError."""
        pools, ours = {path for path, _who in self._pools()}, {one.path for one in self._all()}
        try:
            found = [path for path in self.root.iterdir() if path not in pools and not _OURS.fullmatch(path.name)]
            found += [path for pool in pools for path in pool.iterdir() if path not in ours]
        except OSError as e:
            raise XenError(f"{e.filename} cannot be read: {e.strerror}.") from e
        return sorted(found)

    def foreign(self) -> list[Path]:
        """The same with what is among the backups."""
        return sorted(self.strangers() + [path for one in self._all() for path in one.foreign()])


def _is(wanted: str, who: Who) -> bool:
    return wanted in ("", who.uuid, who.name)


def _named(who: Who) -> tuple[str, str]:
    return who.name, who.uuid
