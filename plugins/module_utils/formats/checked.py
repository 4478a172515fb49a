# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A file that is checked while it is sent: its last piece is held back until all of it has been found sound."""

from __future__ import annotations

import threading
import typing as t
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from . import xva
from .compression import Damaged
from .files import PIECE, Readable

AHEAD = 64 << 20  # bytes the check may be ahead, so that the file is read from the disk once


class Checked:
    """An .xva to be read for sending.

    with Checked(path, size, sha256) as source: source.readinto(...) raises Damaged as soon as something is found, in any case
    before the last piece is given out.
    """

    def __init__(self, path: Path, size: int, sha256: str):
        self._path, self._size, self.sha256 = path, size, sha256
        self._given, self._closed, self._moved = 0, False, threading.Condition()
        self._beside = ThreadPoolExecutor(1)

    def __enter__(self) -> Checked:
        self._file = open(self._path, "rb", buffering=0)
        self._check: Future[xva.Contents] = self._beside.submit(xva.verify, self._path, lambda source: _Braked(self, source))
        return self

    def __exit__(self, *_error: object) -> None:
        with self._moved:
            self._closed = True
            self._moved.notify_all()
        self._beside.shutdown()
        self._file.close()

    def readinto(self, buffer: t.Any) -> int | None:
        """Raises Damaged."""
        if self._given + PIECE >= self._size or self._check.done():
            found = self._check.result()
            if found.sha256 != self.sha256:
                raise Damaged(f"{self._path} is another file than before: its SHA-256 is {found.sha256}, not {self.sha256}.")
        count = self._file.readinto(buffer[:PIECE])
        with self._moved:
            self._given += count or 0
            self._moved.notify_all()
        return count

    def wait_for(self, position: int) -> None:
        """Until a check that has come so far may go on. Raises Damaged when nobody wants to know any more."""
        with self._moved:
            self._moved.wait_for(lambda: self._closed or position <= self._given + AHEAD)
            if self._closed:
                raise Damaged("The check was given up.")


class _Braked:
    def __init__(self, checked: Checked, source: Readable):
        self._checked, self._source, self._position = checked, source, 0

    def readinto(self, buffer: t.Any) -> int | None:
        self._checked.wait_for(self._position)
        count = self._source.readinto(buffer)
        self._position += count or 0
        return count
