# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What lies in the folders and is no backup: leftovers of killed tasks, which go, and what is somebody else's, which stays."""

from __future__ import annotations

import os
import re
import typing as t
from pathlib import Path

from ..errors import XenError
from .listing import Listing
from .names import LOCK, MANIFEST, VERIFIED, is_stamp
from .stored import Backup

# Landing's and workshop's names, and the kinds of files backups are made of
_TEMPORARY = re.compile(r"\..+\.(part|work|new)")
_OURS = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*\.(vhd|xva|dump|xml|db|xbk|tar|archive|bin|gz|zst|age|gpg|part)")


class Clutter(t.NamedTuple):
    leftovers: list[Path]
    foreign: list[Path]


def of(folder: Path, listing: Listing) -> Clutter:
    """In the folder of one thing."""
    found = Clutter([], [])
    parents = listing.parents()
    for path, is_folder in _entries(folder):
        backup = listing.get(path.name)
        if is_stamp(path.name) and is_folder and backup:
            _within(backup, found)
        elif is_stamp(path.name) and is_folder:
            # what a backup builds on has lost its manifest: its data may be wanted still
            (found.foreign if path.name in parents else found.leftovers).append(path)
        elif path.name != LOCK:
            (found.leftovers if _TEMPORARY.fullmatch(path.name) else found.foreign).append(path)
    return found


def _within(backup: Backup, found: Clutter) -> None:
    """In the folder of a backup; of one whose manifest cannot be read nothing is known of its files."""
    known = {MANIFEST, VERIFIED, *(file.name for file in (backup.manifest.files if backup.manifest else ()))}
    for path, is_folder in _entries(backup.path):
        if path.name in known:
            continue
        unnamed = backup.manifest is not None and not is_folder and _OURS.fullmatch(path.name)
        if _TEMPORARY.fullmatch(path.name) or unnamed:
            found.leftovers.append(path)
        elif backup.manifest is not None:
            found.foreign.append(path)


def _entries(folder: Path) -> list[tuple[Path, bool]]:
    """With whether it is a folder, no link. Raises XenError."""
    try:
        with os.scandir(folder) as entries:
            return sorted((Path(entry.path), entry.is_dir(follow_symlinks=False)) for entry in entries)
    except FileNotFoundError:
        return []  # somebody has just removed it
    except OSError as e:
        raise XenError(f"{folder} cannot be read: {e.strerror}.") from e
