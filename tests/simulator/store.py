# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The world on disk: one sqlite file, written at the end of every changing call, so that a killed process loses nothing it answered.

Sessions and tasks do not outlive a process, as those of a restarted xapi do not.
"""

from __future__ import annotations

import fcntl
import json
import os
import pickle
import shutil
import sqlite3
import typing as t
from dataclasses import asdict
from pathlib import Path

from . import guest_writes
from .clock import Clock
from .database import Database
from .disks import attached
from .disks.shelf import DISKS
from .guest_agents import Guests
from .modeltypes import NULL
from .storage import Storage
from .traffic import Motion
from .updates import BUSY, restore
from .world import Machine, Nic, Pool, World

FLEETING = frozenset({"session", "task", "event"})  # xen-api: PersistNothing
_TABLES = """
CREATE TABLE IF NOT EXISTS object (n INTEGER PRIMARY KEY, pool TEXT, class TEXT, ref TEXT, record TEXT, UNIQUE (pool, class, ref));
CREATE TABLE IF NOT EXISTS part (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS call (n INTEGER PRIMARY KEY, entry TEXT);
"""
_UPSERT = """
INSERT INTO object (pool, class, ref, record) VALUES (?, ?, ?, ?)
ON CONFLICT (pool, class, ref) DO UPDATE SET record = excluded.record
"""
_MACHINE = ("name", "address", "memory", "cpus", "vendor", "features", "product", "local_storage", "power_on", "host_ref", "power", "state")


class InUse(Exception):
    """Another living process works with this state."""


class Store:
    """The state in one folder, held for this process alone. Raises InUse."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._lock = (folder / "lock").open("a+")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.seek(0)
            pid = self._lock.read().strip()
            self._lock.close()
            raise InUse(f"{folder} is in use by process {pid}") from None
        self._lock.truncate(0)
        self._lock.write(str(os.getpid()))
        self._lock.flush()
        self._storage = b""  # as it was saved last
        self._calls = 0
        self._db = sqlite3.connect(folder / "state.sqlite", check_same_thread=False, isolation_level=None)
        self._db.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;" + _TABLES)

    @property
    def empty(self) -> bool:
        """Whether nothing was saved yet."""
        return self._db.execute("SELECT 1 FROM part WHERE name = 'world'").fetchone() is None

    def close(self) -> None:
        """Lets go of the folder."""
        self._db.close()
        self._lock.close()

    # saving ----------------------------------------------------------------------------------------------------------
    def save(self, world: World) -> None:
        """Writes what changed since the last time, in one transaction."""
        self._db.execute("BEGIN")
        try:
            for pool in world.pools:
                self._save_objects(pool)
            self._save_parts(world)
            self._save_calls(world)
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def _save_objects(self, pool: Pool) -> None:
        db, rows, gone = pool.db, [], []
        for cls, ref in db.dirty:
            if cls in FLEETING:
                continue
            if db.exists(cls, ref):
                rows.append((pool.name, cls, ref, json.dumps(db.get(cls, ref))))
            else:
                gone.append((pool.name, cls, ref))
        self._db.executemany(_UPSERT, rows)
        self._db.executemany("DELETE FROM object WHERE pool = ? AND class = ? AND ref = ?", gone)
        db.dirty.clear()

    def _save_parts(self, world: World) -> None:
        self._put("world", json.dumps(_world(world)))
        pickled = pickle.dumps(world.storage)  # quicker to compare than its JSON is to make
        if pickled != self._storage:
            self._put("storage", json.dumps(world.storage.dump()))
            self._storage = pickled
        names = [pool.name for pool in world.pools]
        marks = ",".join("?" * len(names))
        self._db.execute(f"DELETE FROM object WHERE pool NOT IN ({marks})", names)

    def _put(self, name: str, text: str) -> None:
        self._db.execute("INSERT OR REPLACE INTO part VALUES (?, ?)", (name, text))

    def _save_calls(self, world: World) -> None:
        fresh = world.calls[self._calls :]
        self._db.executemany("INSERT INTO call VALUES (?, ?)", [(c["n"], json.dumps(c)) for c in fresh])
        self._calls = len(world.calls)

    def wipe(self) -> None:
        """Forgets everything."""
        for table in ("object", "part", "call"):
            self._db.execute(f"DELETE FROM {table}")
        self._storage = b""
        self._calls = 0
        shutil.rmtree(self.folder / DISKS, ignore_errors=True)

    # loading ---------------------------------------------------------------------------------------------------------
    def load(self) -> World:
        """The world as it was saved last; it goes on saving here."""
        parts = {name: json.loads(text) for name, text in self._db.execute("SELECT name, value FROM part")}
        kept = parts["world"]
        world = World(speed=kept["speed"], release=kept["release"], **kept["credentials"])
        world.clock = Clock(kept["speed"], world.lock, start=max(kept["now"], world.clock.now()))
        world.segments = kept["segments"]
        world.guests = Guests(**kept["guests"])
        world.traffic.motion = Motion(**kept.get("motion", {}))
        world.updates = restore(kept["updates"]) if "updates" in kept else world.updates
        world.faults.absent.update(kept["absent"])
        world.storage = Storage.restore(parts["storage"])
        pools = {name: self._load_pool(world, name, generation) for name, generation in kept["pools"].items()}
        for saved in kept["machines"]:
            machine = _machine(world, saved, pools)
            world.machines[machine.name] = machine
        world.calls = [json.loads(entry) for (entry,) in self._db.execute("SELECT entry FROM call ORDER BY n")]
        self._calls = len(world.calls)
        world.store = self
        world.resume(kept["agenda"])
        guest_writes.go_on(world)
        return world

    def _load_pool(self, world: World, name: str, generation: int) -> Pool:
        pool = Pool(world, Database(world.schema, world.notify), name)
        world.pools.append(pool)
        for cls, ref, text in self._db.execute("SELECT class, ref, record FROM object WHERE pool = ? ORDER BY n", (name,)):
            pool.db.put(cls, ref, _restored(pool.db, cls, json.loads(text)))
        pool.db.derive()
        attached.forget_leaked(pool.db)
        pool.db.generation = max(pool.db.generation, generation)
        pool.db.dirty.clear()
        return pool


def _world(world: World) -> dict[str, t.Any]:
    """All but the objects and the storage."""
    machines = [
        {**{name: getattr(m, name) for name in _MACHINE}, "nics": [asdict(n) for n in m.nics], "pool": m.pool.name}
        for m in world.machines.values()
    ]
    return {
        "speed": world.clock.speed, "now": world.clock.now(), "release": world.release, "credentials": world.credentials,
        "segments": world.segments, "guests": world.guests._asdict(), "motion": world.traffic.motion._asdict(),
        "updates": world.updates.dump(), "agenda": world.agenda, "absent": sorted(world.faults.absent),
        "machines": machines,
        "pools": {pool.name: pool.db.generation for pool in world.pools},
    }  # fmt: skip


def _machine(world: World, saved: dict[str, t.Any], pools: dict[str, Pool]) -> Machine:
    nics = [Nic(**nic) for nic in saved["nics"]]
    saved["state"].pop(BUSY, None)  # whoever did it is gone
    return Machine(world, pool=pools[saved["pool"]], nics=nics, **{name: saved[name] for name in _MACHINE})


def _restored(db: Database, cls: str, record: dict[str, t.Any]) -> dict[str, t.Any]:
    """A record whose integer keys are integers again, which JSON does not know."""
    fields = db.schema.classes[cls].fields
    for name, value in record.items():
        type_ = fields[name].type
        if type_.kind == "map" and type_.items[0].kind == "int":
            record[name] = {int(k): v for k, v in value.items()}
    if "current_operations" in record:
        record["current_operations"] = {}  # whoever did them is gone
    if cls == "VM":
        record["scheduled_to_be_resident_on"] = NULL
    return record
