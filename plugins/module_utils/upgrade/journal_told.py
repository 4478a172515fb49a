# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where an upgrade stands, for people and for the run that continues it."""

from __future__ import annotations

import typing as t

from .. import hosts
from ..refs import Objects
from . import aside_discs, aside_left, journal, journal_life

NOTHING: dict[str, t.Any] = {
    "run": "", "id": "", "by": "", "since": "", "phase": "", "method": "", "options": {}, "aside": {}, "alive": False,
}  # fmt: skip


def told(objects: Objects, patience: float) -> dict[str, t.Any]:
    """What the journal, the marks and the hosts tell. patience: seconds without a call after which a run does not live any more."""
    note = journal.read(objects)
    noted = dict(NOTHING)
    if note:
        noted = {key: getattr(note, key) for key in NOTHING if key != "alive"}
        noted["alive"] = journal_life.was_heard(objects, note, patience)
    return {
        "begun": note is not None,
        **noted,
        "discs": aside_discs.told(objects, aside_discs.ejected(objects)),
        "home": aside_left.away(objects),
        "stopped": aside_left.stopped(objects),
        "hosts_down": hosts.down(objects),
        "hosts_disabled": aside_left.names(objects, aside_left.disabled(objects)),
    }
