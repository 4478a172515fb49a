# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Simulated volume groups for a test: ``with lvm(tmp_path / "lvm") as groups: ...``."""

from __future__ import annotations

import contextlib
import json
import os
import typing as t
from pathlib import Path

from .state import State

PROGRAMS = Path(__file__).parent / "bin"
REPORTS = ("vgs", "lvs")


class Groups:
    """vg0 of 1023 extents (4 MiB each), and whatever is made in it."""

    def __init__(self, folder: Path):
        self.folder = folder

    def change(self) -> contextlib.AbstractContextManager[State]:
        """``with groups.change() as state: state.volume("vg0", "web")["open"] = True``."""
        return State.opened(self.folder)

    def volume(self, name: str) -> dict[str, t.Any]:
        """The kept state of a volume in vg0; empty for none."""
        with self.change() as state:
            return dict(state.group("vg0")["lvs"].get(name, {}))

    def names(self) -> list[str]:
        with self.change() as state:
            return sorted(state.group("vg0")["lvs"])

    def path(self, name: str) -> Path:
        return self.folder / "dev/vg0" / name

    def calls(self) -> list[str]:
        """The commands so far that change something."""
        log = self.folder / "log"
        lines = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
        return [" ".join(line) for line in lines if line[0] not in REPORTS]


@contextlib.contextmanager
def lvm(folder: Path) -> t.Iterator[Groups]:
    """In the block this process, and what it starts, meets these groups."""
    own = {"PATH": f"{PROGRAMS}:{os.environ['PATH']}", "LVM_SIM_STATE": str(folder), "DM_DEV_DIR": str(folder / "dev")}
    before = {key: os.environ.get(key) for key in own}
    os.environ.update(own)
    try:
        yield Groups(folder)
    finally:
        for key, value in before.items():
            if value is None:
                del os.environ[key]
            else:
                os.environ[key] = value
