# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The note beside an exported disk that says what it is, at the place of an export's manifest: <file>.manifest.json."""

from __future__ import annotations

import json
import typing as t
from dataclasses import asdict, dataclass
from pathlib import Path

from .files import Landing
from .manifest import is_whole, pending_place, place, publish

KIND = "disk"


@dataclass(frozen=True)
class Note:
    """vdi, name: of the disk; base: uuid of the disk it is the difference to ("" if it is whole); sizes in bytes; sha256 of the file."""

    vdi: str
    name: str
    format: str
    base: str
    size: int
    sha256: str
    virtual_size: int
    exported: str
    kind: str = KIND

    def told(self) -> dict[str, t.Any]:
        return {key: value for key, value in asdict(self).items() if key != "kind"}


def of(target: Path) -> Note | None:
    """Of a file that is there in the size its note tells."""
    found = _read(place(target))
    try:
        return found if found and target.stat().st_size == found.size else None
    except OSError:
        return None


def is_ours(target: Path) -> str:
    """The uuid of the disk whose export lies or was about to be laid there; "" if nobody says so."""
    found = _read(place(target)) or _read(pending_place(target))
    return found.vdi if found else ""


def announce(target: Path, note: Note) -> None:
    """Said before the file gets its name. Raises XenError."""
    with Landing(pending_place(target)) as file:
        file.write((json.dumps(asdict(note), indent=2, sort_keys=True) + "\n").encode())
        file.finish()
    place(target).unlink(missing_ok=True)


def _read(path: Path) -> Note | None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        note = Note(**{name: found[name] for name in Note.__dataclass_fields__})
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return note if note.kind == KIND and isinstance(note.size, int) else None


__all__ = ["Note", "announce", "is_ours", "is_whole", "of", "place", "publish"]
