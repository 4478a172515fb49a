# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A running simulator: the world, the wire, the state on disk, and what ``ctl`` may ask of them."""

from __future__ import annotations

import json
import threading
import typing as t
from pathlib import Path

from . import host_archive, invariants, load_db, releases, schema, site
from .disks.guest import Disks
from .errors import Fault, Refusal
from .server import Server
from .store import Store
from .world import World


class Options(t.NamedTuple):
    """How ``up`` was called; what is None keeps what the state has."""

    site: str | None = None
    hosts: int | None = None
    joined: bool = False
    port: int = 8443
    speed: float | None = None
    release: str | None = None
    ready_file: Path | None = None


def build(options: Options) -> World:
    """A fresh world. Raises SiteError or LookupError."""
    product = options.release if options.release in releases.names() else None
    if options.site:
        described = site.load(options.site)
    else:
        described = site.of_hosts(1 if options.hosts is None else options.hosts)
    if product:
        described = site.with_release(described, product)
    if options.joined:
        described = described.__class__(**{**vars(described), "joined": True})
    world = site.build(described, speed=1.0 if options.speed is None else options.speed)
    if options.release and not product:
        world.show_release(options.release)
    return world


class Simulation:
    """Everything ``up`` keeps alive."""

    def __init__(self, folder: Path, options: Options) -> None:
        self.folder, self.options = folder, options
        self.stop_asked = threading.Event()
        self.store = Store(folder)
        try:
            self.world = self.store.load() if not self.store.empty else self._fresh()
            if options.speed is not None:
                self.world.set_speed(options.speed)
            self.server = self._serve()
        except BaseException:
            self.store.close()
            raise

    def _fresh(self) -> World:
        """A new world; how to make it again is remembered for ``reset``."""
        o = self.options
        file = str(Path(o.site).resolve()) if o.site and Path(o.site).exists() else o.site
        world = build(o)
        made_from = {"site": file, "hosts": o.hosts, "joined": o.joined, "speed": o.speed, "release": o.release}
        (self.folder / "site.json").write_text(json.dumps(made_from))
        self.store.wipe()
        world.store = self.store
        return world

    def _serve(self) -> Server:
        server = Server(self.world, self.folder / "certs", self.options.port)
        server.start()
        with self.world.lock:
            self.world.save()
        self._tell(server)
        return server

    def _tell(self, server: Server) -> None:
        """Writes the ready file, whole or not at all."""
        if self.options.ready_file:
            draft = self.options.ready_file.with_suffix(".new")
            draft.write_text(json.dumps(self.ready(server), indent=1))
            draft.replace(self.options.ready_file)

    def ready(self, server: Server | None = None) -> dict[str, t.Any]:
        """What the ready file holds."""
        return {**self.world.credentials, "hosts": (server or self.server).hosts()}

    def _replace(self, world: World) -> None:
        """Another world on the same port and state."""
        port = self.server.port
        self.world.stop()
        self.server.stop()
        self.store.wipe()
        self.world, world.store = world, self.store
        self.options = self.options._replace(port=port)
        self.server = self._serve()

    def close(self) -> None:
        """Ends it, state saved."""
        self.world.stop()
        self.server.stop()
        with self.world.lock:
            self.world.save()
            self.world.store = None
        self.store.close()

    # what ctl asks ---------------------------------------------------------------------------------------------------
    def ask(self, command: str, **arguments: t.Any) -> list[str]:
        """Lines to print. Raises Refusal."""
        method = getattr(self, f"ctl_{command}", None)
        if method is None:
            raise Refusal(f"no such request: {command}")
        return t.cast("list[str]", method(**arguments))

    def ctl_hosts(self) -> list[str]:
        """As in the ready file."""
        return [json.dumps(self.ready())]

    def ctl_calls(self, since: int = 0) -> list[str]:
        """The changing calls after a mark."""
        with self.world.lock:
            return [json.dumps(entry) for entry in self.world.calls if entry["n"] > since]

    def ctl_mark(self) -> list[str]:
        """A place in that log."""
        return [str(len(self.world.calls))]

    def ctl_set_clock_speed(self, factor: float) -> list[str]:
        """0 for no waiting at all."""
        self.world.set_speed(factor)
        return []

    def ctl_reset(self) -> list[str]:
        """The site as it was at first; faults and log are empty."""
        self._replace(build(Options(**json.loads((self.folder / "site.json").read_text()))))
        return []

    def ctl_load_db(self, file: str) -> list[str]:
        """The pool of a database dump instead of what there is."""
        try:
            dump = load_db.parse(Path(file).read_bytes())
        except (OSError, load_db.NoDatabase) as e:
            raise Refusal(f"{file}: {e}") from e
        world = load_db.world_of(dump, speed=self.world.clock.speed, release=self.world.release, **self.world.credentials)
        self._replace(world)
        return [json.dumps(self.ready())]

    def ctl_check(self) -> list[str]:
        """What is wrong with the pools; nothing, it is hoped."""
        with self.world.lock:
            return invariants.check(self.world)

    def ctl_write(self, vdi: str, offset: int, size: int, seed: str) -> list[str]:
        """A guest writes to its disk."""
        try:
            Disks(self.world).fill(vdi, offset, size, seed)
        except Fault as e:
            raise Refusal(" ".join(e.description)) from e
        return []

    def ctl_digest(self, vdi: str) -> list[str]:
        """What is on a disk."""
        try:
            return [Disks(self.world).digest(vdi)]
        except Fault as e:
            raise Refusal(" ".join(e.description)) from e

    def ctl_power(self, host: str, on: bool) -> list[str]:
        """Pulls a host's plug, or puts it back (it boots at once)."""
        machine = self.world.machines.get(host)
        if machine is None:
            raise Refusal(f"no host {host}; there are {', '.join(self.world.machines)}")
        if on and machine.power == "off":
            self.world.after(0, "agent starts", machine=host, rebooted=True)
        elif not on and machine.power == "on":
            self.world.after(0, "agent leaves", machine=host, back=None, rebooted=True)
        return []

    def ctl_medium(self, host: str, choice: str) -> list[str]:
        """Boots a host from the installation medium."""
        with self.world.lock:
            host_archive.from_medium(self.world.machines[self._known_host(host)], restore=choice == "restore")
        return []

    def ctl_fault(
        self, kind: str, method: str | None = None, nth: int = 1, error: t.Sequence[str] = (), seconds: float = 0.0, size: int = 0
    ) -> list[str]:
        """Something is to go wrong."""
        faults = self.world.faults
        with self.world.lock:
            if kind == "list":
                return faults.listed()
            if kind == "clear":
                faults.clear()
            elif kind == "cut-transfer":
                faults.cut_transfer(method or "", size)
            elif kind == "fail-transfer":
                faults.fail_transfer(method or "", *error)
            elif kind == "unplugged":
                faults.leave_unplugged(self._known_host(method))
            elif kind == "late":
                faults.slow_boot(self._known_host(method), seconds)
            elif kind == "migration":
                faults.fail_migration(*error, vm=method or "", nth=nth)
            elif kind == "stays-down":
                faults.keep_down(self._known_host(method))
            else:
                faults.add(kind, self._known_method(method), nth=nth, error=error, seconds=seconds)
        return []

    def _known_host(self, name: str | None) -> str:
        if name not in self.world.machines:
            raise Refusal(f"no host {name}; there are {', '.join(self.world.machines)}")
        return name

    def _known_method(self, name: str | None) -> str | None:
        cls, _dot, message = (name or "").removeprefix("Async.").partition(".")
        if name and schema.load().message(cls, message.partition(":")[0]) is None:
            raise Refusal(f"no message {name} in the data model")
        return name
