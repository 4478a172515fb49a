# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an info module tells is handed back to the module that manages it: in a pool of our own and in those of real databases."""

from __future__ import annotations

import typing as t
from pathlib import Path

from ansible_collections.domzero.xen.tests.simulator import load_db
from ansible_collections.domzero.xen.tests.simulator.schema import DATA
from ansible_collections.domzero.xen.tests.simulator.world import World

Run = t.Callable[..., t.Any]
DUMPS = sorted((DATA / "state-dbs").glob("*.xml"))


def world_of(dump: Path) -> World:
    """The pool a database is of."""
    return load_db.world_of(load_db.parse(dump.read_bytes()), speed=0, release=None, username="root", password="xapi-test")


def handed_back(sim: t.Any, run: Run, module: str, key: str) -> int:
    """How many there are, each of which changes nothing when it is handed back. key: what they stand in."""
    told, mark = run(f"{module}_info")[key], sim.mark()
    for one in told:
        assert run(module, **one)["operations"] == [], one
    assert sim.calls(mark) == []
    return len(told)


def made_and_handed_back(sim: t.Any, run: Run, module: str, key: str, wishes: list[dict[str, t.Any]]) -> None:
    """They are made as wished, found by name and uuid, and handed back."""
    for wish in wishes:
        run(module, **wish)
    assert handed_back(sim, run, module, key) == len(wishes)
    first = wishes[0]["name"]
    (one,) = run(f"{module}_info", name=first)[key]
    assert one["name"] == first
    assert run(f"{module}_info", uuid=one["uuid"])[key] == [one]
    assert run(f"{module}_info", name="nothing")[key] == []
