# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an upgrade keeps in the pool's other_config: whose it is, how far it is, what it set aside.

Its key bears a number. A newer version is added under the next number before the older one is removed, so whoever is interrupted leaves
one or both, and the highest number counts. Adding a key that is there is refused by XenAPI: of two runs at once one wins.
"""

from __future__ import annotations

import json
import typing as t
from dataclasses import asdict, dataclass, field, replace

from .. import hosts
from ..client import Session
from ..errors import ApiError, InvalidChange, OutcomeUnknown, XenError
from ..plan import Plan
from ..refs import Objects, Record

PREFIX = "domzero.xen:upgrade-"
SCHEMA = 1
LIMIT = 4096  # bytes a journal stays below
SHOWN = 100  # characters of what is told to people only
PAUSED, GIVING_BACK, COMMAND = "paused", "giving back", "command"  # phases that mean something; the last with a host's name
RESTING = (PAUSED, GIVING_BACK)  # nobody is at work
ATTEMPTS = 3  # to renew the note while connections break
GONE = ("UUID_INVALID", "HANDLE_INVALID")


@dataclass(frozen=True)
class Note:
    """The journal.

    run: id of the run that owns it; id: of the upgrade, whoever runs it; session: uuid of the run's login, "" if it has none that lasts;
    by: user and control node; since: the coordinator's time as XenAPI writes it; options: of the role, to resume it; aside: what was set
    aside, before it is; disabled: uuids of hosts that were disabled when it began.
    """

    run: str
    id: str
    session: str = ""
    by: str = ""
    since: str = ""
    phase: str = "begun"
    method: str = ""
    options: dict[str, t.Any] = field(default_factory=dict)
    aside: dict[str, t.Any] = field(default_factory=dict)
    disabled: list[str] = field(default_factory=list)

    def text(self) -> str:
        """As it is kept. Raises InvalidChange when it is too long."""
        shown = replace(self, by=self.by[:SHOWN], phase=self.phase[:SHOWN])
        told = {"schema": SCHEMA, **{key: value for key, value in asdict(shown).items() if value}}
        text = json.dumps(told, separators=(",", ":"), sort_keys=True)
        if len(text) >= LIMIT:
            raise InvalidChange(
                f"The upgrade cannot be noted in the pool: that would take {len(text)} bytes, {LIMIT - 1} are allowed.",
                hint="Give fewer or shorter options; name what is to be installed by fewer names.",
            )
        return text


def versions(pool: Record) -> dict[int, str]:
    """The texts of the journal there are, by number."""
    numbered = {key[len(PREFIX) :]: text for key, text in pool["other_config"].items() if key.startswith(PREFIX)}
    return {int(number): text for number, text in sorted(numbered.items()) if number.isascii() and number.isdecimal()}


def of_pool(pool: Record) -> Note | None:
    """The journal in a pool's record. Raises XenError for one that this release cannot read."""
    found = versions(pool)
    if not found:
        return None
    key = f"{PREFIX}{max(found)}"
    try:
        told = json.loads(found[max(found)])
        schema = int(told.pop("schema"))
        if schema == SCHEMA:
            return Note(**told)
    except (ValueError, TypeError, AttributeError, KeyError) as e:
        raise XenError(f"The note of an upgrade in the pool ({key} in its other_config) cannot be read.", hint="Remove that key.") from e
    raise XenError(
        f"The upgrade of this pool was begun by a newer release of this collection (schema {schema} of {key}).", hint="Use that release."
    )


def read(objects: Objects) -> Note | None:
    """The journal of the pool, if an upgrade was begun. Raises as of_pool."""
    return of_pool(hosts.pool_of(objects)[1])


def must_own(objects: Objects, run: str | None) -> None:
    """Raises InvalidChange when the upgrade is not the run's any more. run: its id; nothing is looked at without one."""
    if not run:
        return
    note = read(objects)
    if note is None:
        raise InvalidChange(f"No upgrade of this pool is under way, so it is not one of run {run!r}.", hint="Begin one (xen_upgrade).")
    if note.run != run:
        raise InvalidChange(
            f"The upgrade of this pool was taken over by {note.by}: it belongs to run {note.run!r}, not to {run!r} any more.",
            hint="Leave it to that run.",
        )


# planning --------------------------------------------------------------------------
def plan_write(plan: Plan, ref: str, pool: Record, note: Note) -> None:
    """A new version unless that is the one there is; what is older goes. Raises InvalidChange for one that is too long."""
    found, text = versions(pool), note.text()
    newest = max(found, default=0)
    if found.get(newest) != text:
        plan.add("pool.add_to_other_config", ref, f"{PREFIX}{newest + 1}", text, what="note the upgrade in the pool")
        newest += 1
    for number in sorted(number for number in found if number < newest):
        plan.add("pool.remove_from_other_config", ref, f"{PREFIX}{number}", what="remove the older note of the upgrade")


def written(plan: Plan, pool: Record) -> dict[str, str]:
    """The pool's other_config after the steps of a plan."""
    config = dict(pool["other_config"])
    for step in plan.operations:
        if step.method == "pool.add_to_other_config":
            config[step.params[1]] = step.params[2]
        elif step.method == "pool.remove_from_other_config":
            config.pop(step.params[1], None)
    return config


def plan_removal(plan: Plan, ref: str, pool: Record) -> None:
    """The oldest first: what is left by whoever is interrupted is the one that counts."""
    for number in sorted(versions(pool)):
        plan.add("pool.remove_from_other_config", ref, f"{PREFIX}{number}", what="remove the note of the upgrade")


# sessions --------------------------------------------------------------------------
def last_active(session: Session, uuid: str) -> str:
    """When the session with that uuid made its last call, as XenAPI writes dates; "" for one that has ended."""
    if not uuid:
        return ""
    try:
        return str(session.call("session.get_last_active", session.call("session.get_by_uuid", uuid)))
    except ApiError as e:
        if e.code in GONE:
            return ""
        raise


def renew(session: Session, run: str | None) -> None:
    """After the coordinator's restart: the run's new session is noted, so that others see that it lives. Raises as must_own."""
    for attempt in range(ATTEMPTS):
        objects = Objects(session)
        must_own(objects, run)
        note = read(objects)
        if not run or note is None:
            return
        plan, (ref, pool) = Plan({}, {}), hosts.pool_of(objects)
        plan_write(plan, ref, pool, replace(note, session=str(session.call("session.get_uuid", session.handle))))
        try:
            for operation in plan.operations:
                session.call(operation.method, *operation.params)
            return
        except OutcomeUnknown:
            if attempt == ATTEMPTS - 1:
                raise
