# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts, pools, cables, storage servers and a clock: everything one simulator process holds."""

from __future__ import annotations

import tempfile
import threading
import typing as t
from dataclasses import dataclass, field
from pathlib import Path

from . import behaviours, invariants, snapshot_schedules, software
from .agenda import ACTIONS, Agenda, scheduled
from .clock import Clock
from .database import Database, Record
from .disks.shelf import Shelf
from .errors import Fault
from .faults import Faults
from .guest_agents import Guests
from .schema import Schema, load
from .storage import Storage
from .traffic import Traffic
from .updates import Catalogue

if t.TYPE_CHECKING:
    from .guest_writes import Writer
    from .nbd_server import NbdServer
    from .store import Store

__all__ = ["ACTIONS", "Machine", "Nic", "Pool", "World", "scheduled"]


class Endpoint(t.Protocol):
    """What listens for a machine; a machine that only lives in-process has none."""

    nbd: NbdServer

    def open(self) -> None:
        """Listen again."""

    def close(self) -> None:
        """Stop listening; open connections end."""

    def present(self, certificate: str, key: str) -> None:
        """Another certificate (PEM) from the next connection on."""

    def present_fresh(self) -> None:
        """A new self-signed one."""

    def show(self) -> None:
        """The pool learns again which one it is."""


@dataclass
class Nic:
    """A network card: its device name, its address, the segment its cable leads to ("" for none)."""

    device: str
    mac: str
    segment: str = ""
    carrier: bool = True


@dataclass
class Pool:
    """One pool: its database and who is in it."""

    world: World = field(repr=False)
    db: Database = field(repr=False)
    name: str = ""  # of its place in the saved state

    @property
    def pool_ref(self) -> str:
        """Reference of the one pool object."""
        return next(iter(self.db.all("pool")))

    @property
    def pool(self) -> Record:
        """The pool record."""
        return self.db.get("pool", self.pool_ref)

    @property
    def machines(self) -> list[Machine]:
        """Its hosts, in the order of the site."""
        return [m for m in self.world.machines.values() if m.pool is self]

    @property
    def coordinator(self) -> Machine:
        """The host the others take orders from."""
        return self.world.machine_of(self, self.pool["master"])


@dataclass(eq=False)
class Machine:
    """A physical host; it survives join, eject and reinstallation. ``cpus`` holds count, sockets, model, ... as the site gives them."""

    world: World = field(repr=False)
    name: str
    address: str
    memory: int
    pool: Pool = field(repr=False)
    cpus: dict[str, t.Any] = field(default_factory=dict)
    vendor: str = ""
    features: str = ""
    nics: list[Nic] = field(default_factory=list)
    product: dict[str, t.Any] = field(default_factory=dict)
    local_storage: str = "ext"
    power_on: str = ""
    host_ref: str = "OpaqueRef:NULL"
    power: str = "on"  # on | off | booting
    state: dict[str, t.Any] = field(default_factory=dict)  # whatever else must survive a restart, JSON values
    local_sessions: set[str] = field(default_factory=set, repr=False)
    endpoint: Endpoint | None = field(default=None, repr=False)

    @property
    def is_coordinator(self) -> bool:
        """Whether its pool's record names it."""
        return bool(self.pool.pool["master"] == self.host_ref)

    @property
    def emergency(self) -> bool:
        """A member that started while its coordinator was away and has not seen it since, or is newer than it."""
        if self.state.get("emergency") and (self.is_coordinator or (self.pool.coordinator.power == "on" and not software.too_new(self))):
            del self.state["emergency"]
        return bool(self.state.get("emergency"))

    @property
    def trouble(self) -> Fault:
        """What it answers to all but emergency calls meanwhile."""
        if self.pool.coordinator.power == "on" and software.too_new(self):
            return Fault("HOST_XAPI_VERSION_HIGHER_THAN_COORDINATOR", self.product["software_version"].get("xapi_build", ""))
        return Fault("HOST_STILL_BOOTING")

    def host_record(self) -> Record:
        """Its host object, read only."""
        return self.pool.db.get("host", self.host_ref)

    def go_down(self) -> None:
        """The toolstack ends and the endpoint closes; sessions and tasks that lived on it are gone."""
        self.power = "off"
        self.local_sessions.clear()
        db = self.pool.db
        for cls, where in (("session", "this_host"), ("task", "resident_on")):
            for ref in db.find(cls, **{where: self.host_ref}):
                db.destroy(cls, ref)
        if self.endpoint:
            self.endpoint.close()

    def come_up(self) -> None:
        """The endpoint listens again, unless a fault keeps the host down."""
        if self.world.faults.stays_down(self.name):
            self.power = "off"
            return
        self.power = "on"
        if not self.is_coordinator and (self.pool.coordinator.power != "on" or software.too_new(self)):
            self.state["emergency"] = True
        if self.endpoint:
            self.endpoint.open()


class World:
    """One lock guards it all; behaviours run with it held and give it back while they wait."""

    def __init__(self, *, speed: float = 1.0, release: str | None = None, username: str = "root", password: str = "xapi-test") -> None:
        behaviours.load()
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)  # some object changed
        self.clock = Clock(speed, self.lock)
        self.release = release
        self.schema: Schema = load(release)
        self.credentials = {"username": username, "password": password}
        self.machines: dict[str, Machine] = {}
        self.pools: list[Pool] = []
        self.segments: list[str] = []
        self.guests = Guests()
        self.storage = Storage()  # servers and what was written to them; kept as its dump()
        self.shelf = Shelf(lambda: self.folder)  # what is on the disks
        self.faults = Faults()
        self.updates = Catalogue()  # what hosts could be brought up to
        self.writer: Writer | None = None  # for guests that write by themselves
        self.nbd_go = False  # whether NBD servers know GO, which real ones do not
        self.traffic = Traffic(self)  # guests on their way
        self.calls: list[dict[str, t.Any]] = []  # every changing call
        self.store: Store | None = None
        self._agenda = Agenda(self)
        self.stopped = False
        self.watch = False  # whether the invariants are checked after every changing call
        self.breaches: list[str] = []  # what was found so
        self._known_breaches: set[str] = set()
        self._temporary: tempfile.TemporaryDirectory[str] | None = None

    # pools and machines ----------------------------------------------------------------------------------------------
    def new_pool(self) -> Pool:
        """An empty pool; the caller fills its database."""
        taken = {p.name for p in self.pools}
        name = next(n for i in range(len(taken) + 1) if (n := f"pool{i}") not in taken)
        pool = Pool(self, Database(self.schema, self.notify), name)
        self.pools.append(pool)
        return pool

    def drop_pool(self, pool: Pool) -> None:
        """A pool whose last host has left."""
        self.pools = [p for p in self.pools if p is not pool]

    def machine_at(self, address: str) -> Machine | None:
        """The machine whose endpoint has this address."""
        return next((m for m in self.machines.values() if m.address == address), None)

    def machine_of(self, pool: Pool, host_ref: str) -> Machine:
        """The machine behind a host object; LookupError if there is none."""
        for machine in self.machines.values():
            if machine.pool is pool and machine.host_ref == host_ref:
                return machine
        raise LookupError(f"no machine is host {host_ref}")

    def notify(self) -> None:
        """Wakes everybody who waits for a change."""
        with self.lock:
            self.changed.notify_all()

    def pause(self, seconds: float) -> None:
        """Real seconds pass; the lock is free meanwhile."""
        threading.Condition(self.lock).wait(seconds)

    def show_release(self, release: str | None) -> None:
        """Classes, fields and messages newer than that release of the data model are hidden. LookupError for an unknown one."""
        self.schema = load(release)
        self.release = release
        for pool in self.pools:
            pool.db.schema = self.schema

    # time ------------------------------------------------------------------------------------------------------------
    def after(self, seconds: float, action: str, **args: t.Any) -> None:
        """Runs a registered action once that many virtual seconds have passed; survives a restart (JSON arguments)."""
        with self.lock:
            self._agenda.add(self.clock.now() + seconds, action, args)

    @property
    def agenda(self) -> list[dict[str, t.Any]]:
        """What is still to happen: due, action, args."""
        return self._agenda.entries

    def resume(self, entries: list[dict[str, t.Any]]) -> None:
        """Goes on with what was still to happen when the state was saved."""
        with self.lock:
            self._agenda.entries = entries
            self._agenda.start()

    def set_speed(self, speed: float) -> None:
        """Changes the clock's speed; waiting calls and due actions notice."""
        with self.lock:
            self.clock.set_speed(speed)
            self._agenda.wake()
            self.traffic.wake()
            if speed and any(pool.db.all("VMSS") for pool in self.pools):
                snapshot_schedules.arm(self)

    def sleep(self, seconds: float) -> None:
        """Virtual seconds pass for the caller; what is due meanwhile happens. Call with the lock held."""
        self._agenda.pass_time(seconds)

    def stop(self) -> None:
        """Nothing happens by itself any more, and nobody waits for it."""
        self._agenda.stop()
        self.stopped = True
        self.notify()
        if self.writer:
            self.writer.join()
        if self._temporary:
            self._temporary.cleanup()

    @property
    def folder(self) -> Path:
        """Where data lies that is too big for a record: the state's folder, or a temporary one."""
        if self.store:
            return self.store.folder
        if self._temporary is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="xapi-sim-")
        return Path(self._temporary.name)

    def record_call(self, entry: dict[str, t.Any]) -> None:
        """A changing call has ended: it is logged, the state is saved and, if somebody watches, looked at for breaches."""
        self.calls.append({"n": len(self.calls) + 1, **entry})
        self.save()
        if self.watch:
            found = invariants.check(self)
            self.breaches += [f"{breach} (after {entry['method']})" for breach in found if breach not in self._known_breaches]
            self._known_breaches = set(found)

    def save(self) -> None:
        """Writes what changed to disk, if there is a place for it; call with the lock held."""
        if self.store:
            self.store.save(self)
