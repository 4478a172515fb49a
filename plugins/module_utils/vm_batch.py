# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A list of VMs, carried out: round by round, those of one round at once, each over a connection of its own."""

from __future__ import annotations

import typing as t

from .client import Session
from .errors import InvalidChange, XenError
from .module import failure, perform
from .resources.vm import Vm
from .side import Side, Sides
from .vm_list import Looked, Options, label, look_at, naming, row_of, taken

ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "vms": {"type": "list", "elements": "dict", "required": True},
    "absent": {"type": "list", "elements": "dict", "default": []},
    "appliances": {"type": "list", "elements": "str", "default": []},
    "groups": {"type": "list", "elements": "str", "default": []},
    "templates": {"type": "list", "elements": "str", "default": []},
    "parallel": {"type": "int", "default": 4},
}
Row = dict[str, t.Any]


def look(session: Session, params: Options) -> Batch:
    """Everything looked at, nothing begun. Raises InvalidChange if nothing could ever be done; what is wrong with the VMs is told."""
    if params["parallel"] < 1:
        raise InvalidChange(f"At least one VM has to be made at a time, not {params['parallel']}.")
    vms, absent = taken(params["vms"]), taken(params["absent"])
    return Batch(session, vms, absent, look_at(session, vms, absent, params["parallel"], params), params["parallel"])


class Batch:
    """vms, absent: of each entry what its task would do, and when it is done what it did; problems: why it cannot be done."""

    def __init__(self, session: Session, vms: t.Sequence[Options], absent: t.Sequence[Options], looked: Looked, parallel: int):
        self.session, self.problems, self.rounds = session, looked.problems, looked.rounds
        self.vms, self.absent = list(looked.vms), list(looked.absent)
        self._entries, self._leaving = vms, [{**entry, "state": "absent"} for entry in absent]
        busy = [n for n, row in enumerate(self.absent) if row["changed"]]
        self._removals = [busy[i : i + parallel] for i in range(0, len(busy), parallel)]
        self._waiting: list[str] = []
        self._sides = Sides(session)

    def carry_out(self) -> None:
        """Removes first, since that makes room. Nothing is begun after a round in which something failed."""
        try:
            self._carry_out()
        finally:
            self._sides.end()

    def _carry_out(self) -> None:
        for entries, rows, rounds in ((self._leaving, self.absent, self._removals), (self._entries, self.vms, self.rounds)):
            for places in rounds:
                if self.failures():
                    self._waiting += [rows[n]["name"] for n in places]
                    done = [{"name": rows[n]["name"], "changed": False, "operations": []} for n in places]
                else:
                    done = self._sides.each([entries[n] for n in places], len(places), label, _one)
                for n, row in zip(places, done):
                    rows[n] = row

    def failures(self) -> list[str]:
        return [row["msg"] for row in (*self.absent, *self.vms) if row.get("failed")]

    def told(self) -> dict[str, t.Any]:
        """What a task says of it; as a failure where it failed, or cannot be done."""
        vms, absent = ([{key: row[key] for key in row if key != "diff"} for row in rows] for rows in (self.vms, self.absent))
        lists = {"problems": self.problems, "vms": vms, "absent": absent, "rounds": self.rounds}
        if self.problems:
            return {**lists, "failed": True, "msg": "The VMs cannot be made as described: " + " ".join(self.problems)}
        rest = f" Not begun: {', '.join(self._waiting)}." if self._waiting else ""
        return {**lists, **({"failed": True, "msg": " ".join(self.failures()) + rest} if self.failures() else {})}

    def changed(self) -> bool:
        return any(row["changed"] for row in (*self.absent, *self.vms))

    def diffs(self) -> list[Row]:
        return [row["diff"] for row in (*self.absent, *self.vms) if "diff" in row]


def _one(side: Side, entry: Options) -> Row:
    """The task of one VM; a failure is told, not raised."""
    name = label(entry)
    try:
        done = perform(Vm, side, entry)
    except XenError as e:
        return {**failure(e), "name": name, "changed": bool(e.done), "operations": e.done, "msg": naming(name, str(e))}
    return row_of(name, done)
