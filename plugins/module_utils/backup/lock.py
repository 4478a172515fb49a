# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One task at a time changes the backups of a thing, any number read them; the lock of a killed task is free at once (flock)."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import socket
import time
import typing as t
from pathlib import Path

from ..errors import InvalidChange, XenError
from .names import LOCK, iso

ROOM = 1 << 16  # bytes of notes of readers; more are cut off
PATIENCE = 30.0  # seconds for what others do in a moment
_NO_LOCKS = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL, errno.EBADF}


@contextlib.contextmanager
def held(folder: Path, what: str, whose: str, *, shared: bool = False) -> t.Iterator[None]:
    """The lock of a folder while something is done: alone, or (shared) beside other readers.

    what: what is done ("backup"); whose: "VM 'web01'", both for the refusal others get. Raises InvalidChange when another task has it,
    XenError where there are no locks.
    """
    fd = _opened(folder / LOCK, shared)
    if fd < 0:
        yield  # nobody can change anything there
        return
    try:
        try:
            fcntl.flock(fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InvalidChange(f"Another task ({_owner(fd)}) works on the backups of {whose}.", hint="Wait for it.") from None
        except OSError as e:
            raise _no_lock(folder, e) from e
        with _signed(fd, what, shared):
            yield
    finally:
        os.close(fd)


@contextlib.contextmanager
def turn(folder: Path, patience: float = PATIENCE) -> t.Iterator[None]:
    """Wait for one's turn, for what takes a moment only. patience: seconds. Raises XenError."""
    fd, end = _opened(folder / LOCK, False), time.monotonic() + patience
    try:
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > end:
                    raise XenError(f"Something holds {folder / LOCK} for more than {patience:g} seconds.", hint="End it.") from None
                time.sleep(0.02)
            except OSError as e:
                raise _no_lock(folder, e) from e
        yield
    finally:
        os.close(fd)


def _opened(path: Path, shared: bool) -> int:
    """-1 for a reader on a file system that nobody can write to, and which has no lock file."""
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as e:
        if shared and e.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
            with contextlib.suppress(OSError):
                return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        if shared and e.errno == errno.EROFS and not path.exists():
            return -1
        raise _no_lock(path.parent, e) from e


def _no_lock(folder: Path, error: OSError) -> XenError:
    hint = "The file system has to know locks (flock): mount NFS without nolock, CIFS without nobrl." if error.errno in _NO_LOCKS else ""
    return XenError(f"{folder} could not be locked: {error.strerror}.", hint=hint)


@contextlib.contextmanager
def _signed(fd: int, what: str, shared: bool) -> t.Iterator[None]:
    """Who has it; only a note for others, among those of other readers: the lock holds without."""
    note = {"host": socket.gethostname(), "pid": os.getpid(), "since": iso(time.time()), "what": what}
    line, at = json.dumps(note).encode() + b"\n", 0
    with contextlib.suppress(OSError):
        at = os.fstat(fd).st_size
        if not shared or at > ROOM:
            os.ftruncate(fd, 0)
            at = 0
        os.pwrite(fd, line, at)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            os.pwrite(fd, b" " * (len(line) - 1), at)


def _owner(fd: int) -> str:
    """Whoever signed last and lives, as far as one can tell."""
    notes: list[dict[str, t.Any]] = []
    with contextlib.suppress(OSError):
        for line in os.pread(fd, 2 * ROOM, 0).splitlines():
            with contextlib.suppress(ValueError):
                notes.append(dict(json.loads(line)))
    living = [note for note in notes if _may_live(note)] or notes
    if not living:
        return "of which nothing is known"
    note = living[-1]
    return f"pid {note.get('pid')} on {note.get('host')} since {note.get('since')}, {note.get('what')}"


def _may_live(note: dict[str, t.Any]) -> bool:
    if note.get("host") != socket.gethostname():
        return True
    try:
        os.kill(int(note["pid"]), 0)
    except PermissionError:
        return True
    except (OSError, KeyError, ValueError, TypeError, OverflowError):
        return False
    return True
