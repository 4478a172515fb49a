# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""verified.json: what the last check of a backup said. It counts for the files it was made of only."""

from __future__ import annotations

import dataclasses
import hashlib
import typing as t
from dataclasses import dataclass

from . import checked_json
from .manifest import Manifest


@dataclass(frozen=True)
class Verdict:
    """when: ISO 8601, UTC; level: checksum, structure or boot; problem: a sentence, "" if ok."""

    when: str
    level: str
    ok: bool
    problem: str = ""

    def told(self) -> dict[str, t.Any]:
        return dataclasses.asdict(self)


def dump(verdict: Verdict, manifest: Manifest) -> bytes:
    return checked_json.dump({**verdict.told(), "of": fingerprint(manifest)})


def parse(data: bytes, manifest: Manifest) -> Verdict | None:
    """None if it is of other files (those before a merge). Raises Damaged."""
    found = checked_json.parse(data)
    if found.pop("of", "") != fingerprint(manifest):
        return None
    return Verdict(str(found.get("when")), str(found.get("level")), found.get("ok") is True, str(found.get("problem")))


def fingerprint(manifest: Manifest) -> str:
    """Of the backup and its files."""
    text = "".join(f"{file.name} {file.size} {file.sha256}\n" for file in manifest.files)
    return hashlib.sha256(f"{manifest.id}\n{text}".encode()).hexdigest()
