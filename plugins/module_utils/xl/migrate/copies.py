# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where a domain is, with what an earlier migration may have left of it at either end (xl_migrate.c of Xen names the copies)."""

from __future__ import annotations

import dataclasses
import typing as t

from ...errors import InvalidChange, NotFound, XenError
from ..output.domains import domains
from .ends import End

AWAY, INCOMING = "--migratedaway", "--incoming"  # the copy at the sender, and at the receiver, while neither runs


@dataclasses.dataclass(frozen=True)
class Seen:
    """A domain in a list. state: the letters of `xl list`."""

    domid: int
    state: str

    @property
    def suspended(self) -> bool:
        """Its memory was given away and nothing runs in it: `---ss-`."""
        return self.state[3:5] == "ss"

    @property
    def gone(self) -> bool:
        """It has shut down, and xl takes it away in a moment."""
        return (self.state[3:4] == "s" and not self.suspended) or self.state[5:6] == "d"


@dataclasses.dataclass(frozen=True)
class Where:
    """A domain and its copies at both ends."""

    here: Seen | None
    away: Seen | None
    there: Seen | None
    incoming: Seen | None


def where(name: str, here: End, there: End) -> Where:
    mine, theirs = seen(here), seen(there)
    return Where(mine.get(name), mine.get(name + AWAY), theirs.get(name), theirs.get(name + INCOMING))


def seen(end: End) -> dict[str, Seen]:
    return {row["name"]: Seen(row["domid"], row["state"]) for row in domains(end.table)}


def refused(name: str, address: str, found: Where) -> XenError | None:
    """Why no migration can begin, and none be finished, from what is there; None where it can."""
    if found.incoming:
        left = f"{name}{AWAY} is on this host, " if found.away else ""
        return InvalidChange(
            f"{left}{name}{INCOMING} is on {address}: a migration of it runs, or was cut off.",
            hint=f"If none runs (`ps` at both ends): where {name} runs at neither end, {decide(name, address, found)}",
        )
    if found.away and not found.there:
        return InvalidChange(
            f"A migration of {name} was cut off: {name}{AWAY} on this host is suspended, and nothing of it is on {address}.",
            hint=f"Where this xl has the command resume: `xl rename {name}{AWAY} {name}` and `xl resume {name}`. Otherwise its memory is "
            f"lost: `xl destroy {name}{AWAY}`, then start it again, as after a power failure.",
        )
    if found.here and found.there:
        return InvalidChange(
            f"{name} is on this host and on {address}.", hint="Look which of them is the right one; two domains may not use one disk."
        )
    if found.here and found.here.suspended:
        return InvalidChange(
            f"{name} on this host is suspended, as by a save or a migration that was cut off.",
            hint=f"Where this xl has the command resume: `xl resume {name}`. Otherwise `xl destroy {name}`, and start it again.",
        )
    if found.here and found.here.gone:
        return InvalidChange(f"{name} is just shutting down or ending ({found.here.state}).", hint="Only a domain that runs can migrate.")
    if not found.here and not found.there:
        return NotFound(f"{name} runs neither on this host nor on {address}.", hint="Only a domain that runs can migrate.")
    return None


def decide(name: str, address: str, found: Where) -> str:
    if found.away:
        return f"`xl rename {name}{INCOMING} {name}` and `xl unpause {name}` on {address}, and only then `xl destroy {name}{AWAY}` here."
    return f"`xl destroy {name}{INCOMING}` on {address} and run the task again." + (" It still runs here." if found.here else "")


def outcome(name: str, address: str, found: Where) -> str:
    """After a migration failed: where the domain is."""
    if found.here and not found.here.suspended and not found.there and not found.incoming:
        return f"{name} still runs on this host (domain {found.here.domid})."
    if found.there and not found.here:
        return f"{name} runs on {address} (domain {found.there.domid}) all the same; run the task again to finish the rest."
    told = refused(name, address, found)
    return str(told) if told else f"Look at `xl list` of both hosts: {facts(found)}."


def facts(found: Where) -> str:
    told: t.Iterable[tuple[str, Seen | None]] = (
        ("here", found.here), ("here as migrated away", found.away), ("there", found.there), ("there as incoming", found.incoming),
    )  # fmt: skip
    return ", ".join(f"{words}: domain {one.domid} {one.state}" for words, one in told if one) or "it is in neither"
