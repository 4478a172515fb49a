# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A playbook run that ends at one of its changing calls."""

from __future__ import annotations

import os
import signal
import time

from .conftest import Site

BEFORE, AFTER, DIED = "cut before the call took effect", "cut after the call took effect", "the control node died during the call"
WAYS = (BEFORE, AFTER, DIED)


def interrupt(lab: Site, playbook: str, way: str, nth: int) -> None:
    """A first run that is interrupted at its nth changing call."""
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
                os.killpg(process.pid, signal.SIGKILL)
                lab.sim.faults.strike = strike
            return strike(method, changing)

        lab.sim.faults.strike = struck
    process.communicate(timeout=120)
    end = time.monotonic() + 10  # the call goes on when its caller is dead
    while len(lab.sim.calls()) < nth:
        assert time.monotonic() < end, "the run was not interrupted"
        time.sleep(0.01)
