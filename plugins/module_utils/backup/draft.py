# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A backup in the making."""

from __future__ import annotations

import dataclasses
import typing as t
from pathlib import Path

from ..errors import XenError
from .durable import synced
from .manifest import Manifest
from .stored import Backup, publish, remove_folder

if t.TYPE_CHECKING:
    from .subject import Subject


class Draft:
    """Its folder is there from entering it, and goes on leaving it without commit. number, stamp: for the manifest."""

    def __init__(self, subject: Subject, stamp: str, number: int):
        self.subject, self.stamp, self.number = subject, stamp, number
        self.path: Path = subject.path / stamp
        self._done = False

    def __enter__(self) -> Draft:
        self.subject.need_lock()
        try:
            self.path.mkdir(mode=0o700)  # never one that is there
            synced(self.subject.path)
        except OSError as e:
            raise XenError(f"The folder {self.path} could not be made: {e.strerror}.") from e
        return self

    def commit(self, manifest: Manifest) -> Backup:
        """From now on it is a backup: its files are on the disk, then the manifest. Stamp and number become those of the draft.

        Raises Damaged (files are not as the manifest says, or it cannot be read back), XenError.
        """
        self.subject.need_lock()
        publish(self.subject, self.path, dataclasses.replace(manifest, stamp=self.stamp, number=self.number))
        self._done = True
        self.subject.touched(None)
        return self.subject.get(self.stamp)

    def __exit__(self, kind: type[BaseException] | None, *_error: object) -> None:
        if self._done:
            return
        try:
            remove_folder(self.path)
        except XenError:
            if kind is None:
                raise
            # the error that made an end of it matters more; the next run removes what is left
