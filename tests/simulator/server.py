# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The wire: one HTTPS endpoint for each machine, on its own address, all on one port."""

from __future__ import annotations

import asyncio
import concurrent.futures
import random
import socket
import threading
import typing as t
from pathlib import Path

from . import certs, handlers
from .endpoint import GRACE, Endpoint
from .streaming import keep_memory
from .world import Machine, World

THREADS = 400  # each blocked event.from holds one
PORTS = range(20000, 32768)  # below those that the kernel hands out by itself, to NBD servers of another simulator for one
HELD_AT = "127.10.255.254"  # whoever has a port of this address has it on all addresses of simulated hosts
T = t.TypeVar("T")


def _hold_a_port() -> socket.socket:
    """A port that no other simulator of this machine takes while the socket is open; OSError if there is none."""
    for port in random.sample(PORTS, len(PORTS)):
        held = socket.socket()
        try:
            held.bind((HELD_AT, port))
        except OSError:
            held.close()
        else:
            return held
    raise OSError(f"No port from {PORTS.start} to {PORTS.stop - 1} is free on {HELD_AT}.")


class Server:
    """All endpoints of a world, in an event loop of its own thread."""

    def __init__(self, world: World, folder: Path, port: int = 0) -> None:
        self.world, self.folder, self.port = world, folder, port
        self.endpoints: dict[str, Endpoint] = {}
        self._held: socket.socket | None = None
        self._loop = asyncio.new_event_loop()
        self._threads = concurrent.futures.ThreadPoolExecutor(THREADS, "call")
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True, name="wire")

    def later(self, work: t.Coroutine[t.Any, t.Any, T]) -> concurrent.futures.Future[T]:
        """Runs it in the loop, from whatever thread."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    async def thread(self, function: t.Callable[..., T], *args: t.Any) -> T:
        """A blocking call, off the loop."""
        return await self._loop.run_in_executor(self._threads, lambda: function(*args))

    def start(self) -> None:
        """All machines that are on listen when this returns. OSError if an address can't be had."""
        handlers.load()
        keep_memory()
        self._thread.start()
        for machine in self.world.machines.values():
            self.add(machine)
        try:
            self.later(self._open_all()).result()
        except BaseException:
            self.stop()
            raise

    def add(self, machine: Machine) -> Endpoint:
        """An endpoint, not open yet."""
        certificate = certs.of_host(self.folder, machine.name, machine.address)
        endpoint = self.endpoints[machine.name] = Endpoint(self, machine, certificate)
        machine.endpoint = endpoint
        with self.world.lock:
            certs.show(machine, certificate)
        return endpoint

    async def _open_all(self) -> None:
        if self.port == 0:
            self._held = _hold_a_port()
            self.port = self._held.getsockname()[1]
        for endpoint in self.endpoints.values():
            if endpoint.machine.power == "on":
                await endpoint.listen()

    def stop(self) -> None:
        """Nobody listens any more."""
        for endpoint in self.endpoints.values():
            endpoint.machine.endpoint = None
        self.later(self._shut_all()).result(GRACE * 5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(GRACE * 5)
        self._threads.shutdown(wait=False, cancel_futures=True)
        if self._held:
            self._held.close()

    async def _shut_all(self) -> None:
        await asyncio.gather(*(endpoint.shut(0.0) for endpoint in self.endpoints.values()))

    @property
    def received(self) -> int:
        """Calls that reached any host since the start."""
        return sum(endpoint.calls for endpoint in self.endpoints.values())

    def hosts(self) -> list[dict[str, t.Any]]:
        """Where the hosts answer and how to know them."""
        return [
            {
                "name": e.machine.name, "address": e.machine.address, "port": self.port, "url": f"https://{e.machine.address}:{self.port}",
                "fingerprint_sha256": e.certificate.fingerprint(), "ca_file": str(e.certificate.cert),
            }
            for e in self.endpoints.values()
        ]  # fmt: skip
