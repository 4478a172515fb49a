# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The note beside an export that says what it is: <file>.manifest.json."""

from __future__ import annotations

import json
import os
import typing as t
from dataclasses import asdict, dataclass
from pathlib import Path

from .files import Landing, sha256_of

SCHEMA = 1


@dataclass(frozen=True)
class Manifest:
    """uuid, name: of the VM; size (bytes) and sha256 (hex): of the file; release: of the pool it came from; exported: ISO 8601, UTC."""

    uuid: str
    name: str
    compression: str
    metadata_only: bool
    size: int
    sha256: str
    release: dict[str, str]
    exported: str
    schema: int = SCHEMA

    def told(self) -> dict[str, t.Any]:
        return asdict(self)


def place(target: Path) -> Path:
    return target.with_name(f"{target.name}.manifest.json")


def pending_place(target: Path) -> Path:
    """Where the manifest of a file lies that is about to get its name: without one, a file there is somebody else's."""
    return target.with_name(f".{target.name}.manifest.json.new")


def read(path: Path) -> Manifest | None:
    """None where there is none, or one we do not understand."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["schema"] != SCHEMA:
            return None
        kinds = {"metadata_only": bool, "size": int, "release": dict}
        fields = {name: found[name] for name in Manifest.__dataclass_fields__}
        return Manifest(**fields) if all(isinstance(value, kinds.get(name, (str, int))) for name, value in fields.items()) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def of(target: Path) -> Manifest | None:
    """Of a file that is there in the size its manifest tells."""
    found = read(place(target))
    try:
        return found if found and target.stat().st_size == found.size else None
    except OSError:
        return None


def is_whole(target: Path, sha256: str) -> bool:
    """Whether it is the file its note tells of. One that is newer than the note, so that it may have been changed, is read."""
    try:
        return target.stat().st_mtime_ns <= place(target).stat().st_mtime_ns or sha256_of(target) == sha256
    except OSError:
        return False


def is_ours(target: Path) -> str:
    """The uuid of the VM whose export lies or was about to be laid there; "" if nobody says so."""
    found = read(place(target)) or read(pending_place(target))
    return found.uuid if found else ""


def announce(target: Path, manifest: Manifest) -> None:
    """Said before the file gets its name: from here on there is no manifest of a file that was there before. Raises XenError."""
    text = json.dumps(manifest.told(), indent=2, sort_keys=True) + "\n"
    with Landing(pending_place(target)) as file:
        file.write(text.encode())
        file.finish()
    place(target).unlink(missing_ok=True)


def publish(target: Path) -> None:
    """The file has its name. Its note is the newer of the two."""
    os.utime(pending_place(target))
    os.replace(pending_place(target), place(target))
