# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The simulated volume groups: state.json in $LVM_SIM_STATE, and a file for each volume in $DM_DEV_DIR/GROUP."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import typing as t
from pathlib import Path

EXTENT = 4 << 20
FRESH: dict[str, t.Any] = {"vg0": {"extent": EXTENT, "size": 1023 * EXTENT, "lvs": {}}}


class Refused(Exception):
    """What LVM says when it does not do something."""


class State:
    """Read and written under a lock. `groups` is the whole of it."""

    def __init__(self, folder: Path, groups: dict[str, t.Any]):
        self.folder, self.groups = folder, groups

    @classmethod
    @contextlib.contextmanager
    def opened(cls, folder: Path | None = None) -> t.Iterator[State]:
        place = folder or Path(os.environ["LVM_SIM_STATE"])
        place.mkdir(parents=True, exist_ok=True)
        with open(place / "state.json", "a+", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            state = cls(place, json.loads(file.read() or json.dumps(FRESH)))
            yield state
            file.truncate(0)
            json.dump(state.groups, file, indent=1)

    def log(self, argv: list[str]) -> None:
        with open(self.folder / "log", "a", encoding="utf-8") as file:
            file.write(json.dumps(argv) + "\n")

    def device(self, group: str, name: str) -> Path:
        return Path(os.environ.get("DM_DEV_DIR", str(self.folder / "dev"))) / group / name

    def group(self, name: str) -> dict[str, t.Any]:
        if name not in self.groups:
            raise Refused(f'Volume group "{name}" not found')
        return t.cast("dict[str, t.Any]", self.groups[name])

    def volume(self, group: str, name: str) -> dict[str, t.Any]:
        found = self.group(group)["lvs"].get(name)
        if not found:
            raise Refused(f'Failed to find logical volume "{group}/{name}"')
        return t.cast("dict[str, t.Any]", found)

    def free(self, group: str) -> int:
        taken = sum(lv["size"] for lv in self.group(group)["lvs"].values() if lv["kind"] != "thin")
        return int(self.group(group)["size"] - taken)

    def take(self, group: str, size: int) -> None:
        extent = self.group(group)["extent"]
        if size > self.free(group):
            free, wanted = self.free(group) // extent, size // extent
            raise Refused(f'Volume group "{group}" has insufficient free space ({free} extents): {wanted} required.')

    def rounded(self, group: str, text: str) -> int:
        """Bytes of "1000b", up to whole extents."""
        extent = self.group(group)["extent"]
        return -(-int(text.removesuffix("b")) // extent) * int(extent)
