# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A folder for what nobody else may see and nobody may find later."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
import typing as t
from pathlib import Path

from ..errors import XenError

PREFIX = "domzero-private-"


@contextlib.contextmanager
def private_folder(parent: Path) -> t.Iterator[Path]:
    """Made for a while; what killed tasks left in such folders goes first. Raises XenError."""
    place, fd = _made(parent)
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)
        os.close(fd)


def _made(parent: Path) -> tuple[Path, int]:
    """The folder and its lock, which ends with us."""
    try:
        _sweep(parent)
        while True:
            place = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))  # only its owner may enter
            fd = _locked(place)
            if fd is not None:
                return place, fd
    except OSError as e:
        raise XenError(f"No temporary folder can be made in {parent}: {e.strerror}.", hint="Set TMPDIR where the task runs.") from e


def _locked(place: Path) -> int | None:
    """None where somebody who swept took it for left. Raises OSError."""
    with contextlib.ExitStack() as stack:
        try:
            fd = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        stack.callback(os.close, fd)
        fcntl.flock(fd, fcntl.LOCK_EX)
        if not place.is_dir():
            return None
        stack.pop_all()
        return fd


def _sweep(parent: Path) -> None:
    with os.scandir(parent) as entries:
        found = [entry for entry in entries if entry.name.startswith(PREFIX) and entry.is_dir(follow_symlinks=False)]
    for entry in found:
        with contextlib.suppress(OSError):
            if entry.stat(follow_symlinks=False).st_uid == os.getuid():
                _remove_if_left(entry.path)


def _remove_if_left(path: str) -> None:
    """Raises BlockingIOError while somebody works in it, OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(path, ignore_errors=True)
    finally:
        os.close(fd)
