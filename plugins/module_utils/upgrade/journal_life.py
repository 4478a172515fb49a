# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether the run that owns the journal is still at work: XenAPI notes of each session when it made its last call (session_check.ml)."""

from __future__ import annotations

import calendar
import re
import time

from .. import hosts
from ..refs import Objects
from . import journal
from .journal import COMMAND, RESTING, Note

PAUSE = 1.0  # seconds between two looks, at most: XenAPI counts whole ones

UNHEARD = 40  # so many times longer a run is waited for that carries out tasks of the user's own


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


def allowed(note: Note, patience: float) -> float:
    """Seconds a run may go without a call: tasks of the user's own know nothing of XenAPI."""
    return patience * (UNHEARD if note.phase.startswith(COMMAND) else 1)


def idle(objects: Objects, note: Note) -> float | None:
    """Seconds since the last call of the run; None when its session has ended."""
    active = journal.last_active(objects.session, note.session)
    return seconds(now(objects)) - seconds(active) if active else None


def was_heard(objects: Objects, note: Note, patience: float) -> bool:
    """Whether a run made a call in the last patience seconds, at one look."""
    if note.phase in RESTING:
        return False
    quiet = idle(objects, note)
    return quiet is not None and quiet < allowed(note, patience)


def lives(objects: Objects, note: Note, patience: float) -> bool:
    """Whether a run that is not ours makes calls: looked at until it makes one, or has made none for patience seconds.

    A run that logs in by itself for each task (no session in the journal) does not count as alive between them. One whose session has ended
    may be about to log in again, since a restart of the coordinator ends all sessions: its journal is watched for that long.
    """
    if not note.session or note.phase in RESTING:
        return False
    patience, began, seen = allowed(note, patience), time.monotonic(), ""
    while True:
        active = f"{note.session} {journal.last_active(objects.session, note.session)}"
        if seen not in ("", active):
            return True
        seen, quiet = active, idle(objects, note)
        if quiet is None:
            quiet = time.monotonic() - began
        if quiet >= patience:
            return False
        time.sleep(min(PAUSE, max(0.1, patience / 10), max(0.1, patience - quiet)))
        objects = Objects(objects.session)
        found = journal.read(objects)
        if found is None:
            return False
        if found.run != note.run:
            return True
        note = found
