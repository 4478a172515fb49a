# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is changed on the disk is there after a power failure, too."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

from ..errors import XenError
from ..formats.files import Landing, sync_folder


def synced(path: Path) -> None:
    """A file's data, or a folder's names, to the disk. Raises OSError."""
    if path.is_dir() and not path.is_symlink():
        sync_folder(path)
        return
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def looked_at_anew(folder: Path) -> None:
    """What a client of a file server remembers of a folder is void once the folder was changed by others and is touched here."""
    with contextlib.suppress(OSError):
        os.utime(folder)


def made_folder(path: Path) -> None:
    """A folder that only its owner may read; it may be there. Raises XenError."""
    try:
        with contextlib.suppress(FileExistsError):
            path.mkdir(mode=0o700)
            synced(path.parent)
        if path.is_symlink() or not path.is_dir():
            raise XenError(f"{path} is not a folder of this repository.", hint="Move away what has its name.")
    except OSError as e:
        raise XenError(f"The folder {path} could not be made: {e.strerror}.") from e


def landed(path: Path, data: bytes) -> None:
    """A small file, whole or not at all. Raises XenError."""
    with Landing(path) as file:
        file.write(data)
        file.finish()


def gone(path: Path) -> None:
    """A file, a link or a folder with all that is in it; links are not followed. May be gone already. Raises XenError."""
    try:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
        synced(path.parent)
    except FileNotFoundError:
        return
    except OSError as e:
        raise XenError(f"{e.filename or path} could not be removed: {e.strerror}.") from e
