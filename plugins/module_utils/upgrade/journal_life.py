# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether the run that owns the journal is still at work: XenAPI notes of each session when it made its last call (session_check.ml)."""

from __future__ import annotations

import calendar
import re
import time

from .. import host_return, hosts
from ..refs import Objects
from . import journal
from .journal import Note

PAUSE = 1.0  # seconds between two looks, at most: XenAPI counts whole ones


def seconds(date: str) -> float:
    """A date of XenAPI, in any of its spellings, as seconds since the epoch. 0 for what is none."""
    digits = "".join(re.findall(r"\d+", date))[:14]
    try:
        return float(calendar.timegm(time.strptime(digits, "%Y%m%d%H%M%S")))
    except ValueError:
        return 0.0


def now(objects: Objects) -> str:
    """The coordinator's time, as XenAPI writes it."""
    return str(objects.session.call("host.get_servertime", hosts.coordinator(objects)))


def idle(objects: Objects, note: Note) -> float:
    """Seconds since the last sign of life. A session that has ended counts from the start of the coordinator's toolstack, which ends all:
    the run will log in again."""
    active = journal.last_active(objects.session, note.session)
    since = seconds(active) if active else host_return.agent_time(objects.get("host", hosts.coordinator(objects)))
    return seconds(now(objects)) - since


def lives(objects: Objects, note: Note, patience: float) -> bool:
    """Whether a run that is not ours makes calls: looked at until it makes one, or has made none for patience seconds.

    A run that logs in by itself for each task (no session in the journal) does not count as alive between them.
    """
    if not note.session:
        return False
    seen = ""
    while True:
        quiet = idle(objects, note)
        if quiet >= patience:
            return False
        active = f"{note.session} {journal.last_active(objects.session, note.session)}"
        if seen not in ("", active):
            return True
        seen = active
        time.sleep(min(PAUSE, max(0.1, patience / 10), max(0.1, patience - quiet)))
        objects = Objects(objects.session)
        found = journal.read(objects)
        if found is None:
            return False
        if found.run != note.run:
            return True
        note = found
