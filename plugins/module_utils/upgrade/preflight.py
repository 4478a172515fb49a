# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a pool is ready to be upgraded: everything that is in the way, found at once and before anything is touched."""

from __future__ import annotations

import typing as t

from .. import hosts
from ..refs import Objects, Record
from . import journal, journal_life, preflight_guests, preflight_hosts
from .journal import Note
from .preflight_look import Finding, Look

CHECKS = (
    preflight_hosts.state, preflight_hosts.versions, preflight_hosts.storage, preflight_hosts.space, preflight_hosts.guidances,
    preflight_hosts.control_domains, preflight_guests.set_aside, preflight_guests.under_way, preflight_guests.care,
    preflight_guests.on_a_host,
)  # fmt: skip


def examine(objects: Objects, options: Record, session: str) -> dict[str, t.Any]:
    """Problems and warnings, one sentence with its remedy each. session: uuid of the session that lasts, "" for none. Raises NotFound."""
    only = frozenset(hosts.resolve(objects, text) for text in options["hosts"]) or frozenset(objects.all("host"))
    note = journal.read(objects)
    findings = list(_earlier(objects, note, options, session))
    look = Look(objects, only, note, options)
    for check in CHECKS:
        findings += check(look)
    control_node, found = preflight_guests.control_node(look)
    findings += found
    return {
        "problems": [str(finding) for finding in findings if finding.bad],
        "warnings": [str(finding) for finding in findings if not finding.bad],
        "control_node": control_node,
        "resumes": look.resumes,
    }


def _earlier(objects: Objects, note: Note | None, options: Record, session: str) -> t.Iterator[Finding]:
    """Another run, at work or left behind."""
    if note is None or note.run == options.get("run") or (session and note.session == session):
        return
    what = f"upgrading this pool, since {note.since} (run {note.run!r}, phase {note.phase!r})."
    if journal_life.lives(objects, note, options["takeover_after"]):
        yield Finding(True, f"{note.by} is {what}", "Wait until that has ended.")
    else:
        yield Finding(False, f"{note.by} was {what}", "The upgrade goes on from there.")
