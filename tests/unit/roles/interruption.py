# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A playbook run that ends at one of its changing calls."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

from .conftest import Site

BEFORE, AFTER, DIED = "cut before the call took effect", "cut after the call took effect", "the control node died during the call"
WAYS = (BEFORE, AFTER, DIED)


def die(pid: int) -> None:
    """The process ends, and all it has begun: workers of Ansible have left its group and its terminal."""
    parents = {int(path.parent.name): _parent(path) for path in Path("/proc").glob("[0-9]*/stat")}
    family = [pid]
    for known in family:
        family += [child for child, parent in parents.items() if parent == known]
    for known in family:
        with contextlib.suppress(ProcessLookupError):
            os.kill(known, signal.SIGKILL)


def _parent(stat: Path) -> int:
    try:
        return int(stat.read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0  # it has ended meanwhile


def interrupt(lab: Site, playbook: str, way: str, nth: int) -> None:
    """A first run that is interrupted at its nth changing call."""
    mark = len(lab.sim.calls())
    if way == BEFORE:
        lab.sim.faults.cut_before_change(nth)
    elif way == AFTER:
        lab.sim.faults.cut_after_change(nth)
    process = lab.start(playbook)
    if way == DIED:
        strike, left = lab.sim.faults.strike, [nth]

        def struck(method: str, changing: bool) -> object:
            left[0] -= changing
            if left[0] == 0 and changing:
                die(process.pid)
                lab.sim.faults.strike = strike
            return strike(method, changing)

        lab.sim.faults.strike = struck
    process.communicate(timeout=120)
    end = time.monotonic() + 60  # the call goes on when its caller is dead
    while len(lab.sim.calls()) < mark + nth:
        assert time.monotonic() < end, "the run was not interrupted"
        time.sleep(0.01)
