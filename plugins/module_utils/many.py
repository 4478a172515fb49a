# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tasks of one module, many of them at once, each over a connection of its own. One that fails stops no other."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .client import Session
from .errors import XenError
from .module import failure, perform
from .refs import Record
from .resource import Resource
from .side import Sides
from .still import Still

Row = dict[str, t.Any]
Perform = t.Callable[[Session, Record, bool], Row]


@dataclass(frozen=True)
class Entry:
    """One task. label: what it is of, as in "VM 'web01'"; about: told of it whatever happens; problem: why it cannot even be tried."""

    label: str
    options: Record
    about: Record
    problem: str = ""


def task_of(resource: type[Resource]) -> Perform:
    def act(session: Session, options: Record, check: bool) -> Row:
        return perform(resource, session, options, check=check)

    return act


def rehearsed(session: Session, act: Perform, entries: t.Sequence[Entry], coming: Record | None = None) -> list[Row]:
    """What each would do, the pool being read once for all. coming: names of what is made before, as Still has them."""
    kept, session.mirror = session.mirror, Still(session, coming or {})
    try:
        return [_tried(session, act, entry, check=True) for entry in entries]
    finally:
        session.mirror = kept


def carried_out(
    session: Session,
    act: Perform,
    rounds: t.Sequence[t.Sequence[Entry]],
    parallel: int,
    between: t.Callable[[list[Row]], None] | None = None,
) -> list[Row]:
    """What each did, in order. Those of one round at once, at most so many; the next round begins when all of it has ended.

    between: told what was done, before each further round.
    """
    sides, rows = Sides(session), list[Row]()
    try:
        for entries in rounds:
            if rows and between:
                between(rows)
            rows += sides.each(entries, parallel, _name, lambda side, entry: _tried(side, act, entry, check=False))
    finally:
        sides.end()
    return rows


def done(session: Session, act: Perform, entry: Entry) -> Row:
    """What one did, over this very session."""
    return _tried(session, act, entry, check=False)


def _tried(session: Session, act: Perform, entry: Entry, *, check: bool) -> Row:
    """The result of one; a failure is told, not raised."""
    if entry.problem:
        return {**entry.about, "changed": False, "operations": [], "failed": True, "msg": entry.problem}
    try:
        return {**entry.about, **act(session, entry.options, check)}
    except XenError as e:
        return {**failure(e), **entry.about, "changed": bool(e.done), "operations": e.done, "msg": naming(entry.label, str(e))}
    except Exception as e:  # what nobody has foreseen must not lose what the others did
        msg = f"{entry.label} failed unexpectedly: {e.__class__.__name__}: {e}"
        return {**entry.about, "changed": not check, "operations": [], "failed": True, "msg": msg}


def _name(entry: Entry) -> str:
    return str(entry.about.get("name") or entry.label)


def naming(label: str, said: str) -> str:
    """The sentence begins with what it is about, unless it tells that anyway."""
    return said if label in said else f"{label}: {said}"


def summary(rows: t.Sequence[Row], noun: str) -> Row:
    """What the whole task says beside its rows: a failure that names each that failed, or nothing."""
    failed = [row["msg"] for row in rows if row.get("failed")]
    if not failed:
        return {}
    return {"failed": True, "msg": f"{len(failed)} of {len(rows)} {noun} failed. {' '.join(failed)}"}


def shown(rows: t.Sequence[Row]) -> Row:
    """changed, diff and warnings of all, and the rows without them."""
    differing = [row for row in rows if row["changed"] and "diff" in row]
    diffs = [{"before_header": row["label"], "after_header": row["label"], **row["diff"]} for row in differing]
    warnings = [warning for row in rows for warning in row.get("warnings", [])]
    return {"changed": any(row["changed"] for row in rows), "diff": diffs, **({"warnings": warnings} if warnings else {})}


def plain(rows: t.Sequence[Row]) -> list[Row]:
    return [{key: value for key, value in row.items() if key not in ("diff", "warnings", "label")} for row in rows]
