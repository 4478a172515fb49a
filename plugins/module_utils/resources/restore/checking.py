# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Are the files still what was written? Asked before anything is done, or while they are sent."""

from __future__ import annotations

import typing as t
from concurrent.futures import Future, ThreadPoolExecutor

from ...backup.verify import from_disk
from ...formats.compression import Damaged
from ...formats.files import PIECE, Readable
from .files import Part

if t.TYPE_CHECKING:
    from ...backup.subject import Backup, Subject


class Checks:
    """Of the files of a restore, each read once at most."""

    def __init__(self, subject: Subject, backup: Backup):
        self._subject, self._backup = subject, backup
        self._sound: set[str] = set()

    def check(self, parts: t.Iterable[Part]) -> None:
        """Raises Damaged: which file, and which backup could be restored instead."""
        for part in parts:
            path = str(part[0].file(part[1]))
            if path in self._sound:
                continue
            if problem := problem_of(part):
                raise Damaged(
                    f"The backup {self._backup.stamp} of {self._subject} is damaged: {path}: {problem}.", hint=self._instead(part)
                )
            self._sound.add(path)

    def _instead(self, bad: Part) -> str:
        """The newest one that does not need the damaged file, and whose files are sound."""
        for backup in reversed(self._subject.backups()):
            if not backup.usable() or bad[0].stamp in [one.stamp for one in backup.chain()]:
                continue
            if not any(problem_of((one, stored)) for one in backup.chain() for stored in (one.manifest.files if one.manifest else ())):
                return f"The newest good one is {backup.stamp}."
        return "There is no other that is sound."


def problem_of(part: Part) -> str:
    """What is wrong with a file; "" if it is what was written."""
    backup, stored = part
    path = backup.file(stored)
    try:
        with open(path, "rb", buffering=0) as file:
            digest = from_disk(file.fileno())
    except OSError as e:
        return f"it cannot be read: {e.strerror}"
    return "" if digest == stored.sha256 else f"its SHA-256 is {digest}, not {stored.sha256}"


class Held:
    """Something of that many bytes to be sent, whose last piece is held back until a check that runs beside has found all sound.

    with Held(source, size, check) as source: source.readinto(...) raises what check raises, in any case before the last piece.
    """

    def __init__(self, source: Readable, size: int, check: t.Callable[[], object]):
        self._source, self._size, self._check, self._given = source, size, check, 0
        self._beside = ThreadPoolExecutor(1)

    def __enter__(self) -> Held:
        self._checked: Future[object] = self._beside.submit(self._check)
        return self

    def __exit__(self, *_error: object) -> None:
        self._beside.shutdown()

    def readinto(self, buffer: t.Any) -> int | None:
        """Raises Damaged."""
        if self._given + PIECE >= self._size or self._checked.done():
            self._checked.result()
        count = self._source.readinto(buffer[:PIECE])
        self._given += count or 0
        return count
