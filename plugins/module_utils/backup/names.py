# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names of folders, and the moments in them."""

from __future__ import annotations

import re
import time
import typing as t
from datetime import datetime, timezone
from pathlib import Path

KINDS = ("pool", "host", "vm")
MANIFEST = "manifest.json"
VERIFIED = "verified.json"
LOCK = ".lock"
NAME_LENGTH = 60  # bytes of a name; with kind and uuid still short for every file system
_UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_POOL = re.compile(rf"(?P<name>.*)_(?P<uuid>{_UUID})")
_SUBJECT = re.compile(rf"(?P<kind>{'|'.join(KINDS)})_(?P<name>.*)_(?P<uuid>{_UUID})")
_STAMP = re.compile(r"[0-9]{8}T[0-9]{6}Z")
_UUID_ALONE = re.compile(_UUID)


class Parts(t.NamedTuple):
    """What a folder's name says; kind: "" for a pool's."""

    kind: str
    name: str
    uuid: str


def safe(name: str) -> str:
    """A name as part of a folder's: letters, digits, dot, dash, underscore, all of ASCII; others become dashes.

    In front neither a dot nor a dash, which would hide the folder, or make an option of it.
    """
    text = re.sub(r"[^A-Za-z0-9._-]", "-", name)[:NAME_LENGTH]
    return re.sub(r"\A[.-]", "_", text) or "unnamed"


def pool_folder(name: str, uuid: str) -> str:
    return f"{safe(name)}_{uuid}"


def subject_folder(kind: str, name: str, uuid: str) -> str:
    return f"{kind}_{safe(name)}_{uuid}"


def pool_parts(folder: str) -> Parts | None:
    """None for a folder that is not ours."""
    found = _POOL.fullmatch(folder)
    return Parts("", found["name"], found["uuid"]) if found else None


def subject_parts(folder: str) -> Parts | None:
    """None for a folder that is not ours."""
    found = _SUBJECT.fullmatch(folder)
    return Parts(found["kind"], found["name"], found["uuid"]) if found else None


def is_uuid(text: str) -> bool:
    return bool(_UUID_ALONE.fullmatch(text))


def is_stamp(text: str) -> bool:
    return bool(_STAMP.fullmatch(text))


def is_plain_file(name: str) -> bool:
    """Whether it may be the name of a backup's file: visible, in its folder, not one of ours about the backup."""
    return bool(re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,200}", name)) and name not in (MANIFEST, VERIFIED)


def stamp_of(now: float) -> str:
    """now: seconds since 1970."""
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))


def moment_of(stamp: str) -> datetime:
    """The beginning of time for one that is no time, such as of a 31st of February."""
    try:
        return datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc)  # noqa: UP017
    except ValueError:
        return datetime.min.replace(tzinfo=timezone.utc)  # noqa: UP017


def free_stamp(folder: Path, now: float) -> str:
    """The first second from now on of which there is no folder yet (nor anything else of that name)."""
    second, taken = int(now), {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    while stamp_of(second) in taken:
        second += 1
    return stamp_of(second)


def iso(now: float) -> str:
    """ISO 8601 in UTC, of seconds since 1970."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))


def moment(text: str) -> datetime:
    """Of ISO 8601 text with a time zone. Raises ValueError."""
    found = datetime.fromisoformat(f"{text[:-1]}+00:00" if text.endswith("Z") else text)
    if found.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    return found.astimezone(timezone.utc)  # noqa: UP017 - its short name is too new for some
