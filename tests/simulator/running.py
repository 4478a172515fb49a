# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A simulator for a test: in this process (``InProcess``) or as a process of its own (``Simulator``)."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import tempfile
import time
import typing as t
from dataclasses import dataclass
from pathlib import Path

if t.TYPE_CHECKING:
    from .disks.guest import Disks
    from .faults import Faults
    from .world import World

LAUNCHER = Path(__file__).parent / "xapi-sim"


@dataclass(frozen=True)
class Host:
    """Where a host answers and how to know it."""

    name: str
    address: str
    port: int
    url: str
    fingerprint_sha256: str
    ca_file: str


class InProcess:
    """Serves a world in threads of this process: ``with InProcess(world) as simulator: ... simulator.hosts[0].url``.

    ``watch``: the invariants are checked after every changing call; a breach ends the ``with`` block with an AssertionError.
    """

    def __init__(self, world: World, port: int = 0, *, watch: bool = True) -> None:
        from .server import Server

        self.world = world
        world.watch = watch
        self._folder = Path(tempfile.mkdtemp(prefix="xapi-sim-"))
        self._server = Server(world, self._folder / "certs", port)
        self.hosts: list[Host] = []

    @property
    def username(self) -> str:
        """Of the superuser."""
        return self.world.credentials["username"]

    @property
    def password(self) -> str:
        """Of the superuser."""
        return self.world.credentials["password"]

    @property
    def faults(self) -> Faults:
        """What is to go wrong."""
        return self.world.faults

    @property
    def disks(self) -> Disks:
        """What is on the disks: to be written, read, compared."""
        from .disks.guest import Disks

        return Disks(self.world)

    @property
    def received(self) -> int:
        """Calls of any kind that reached the hosts so far."""
        return self._server.received

    def start(self) -> InProcess:
        """All hosts answer when this returns."""
        self._server.start()
        self.hosts = [Host(**h) for h in self._server.hosts()]
        return self

    def stop(self) -> None:
        """Nothing answers any more."""
        self.world.stop()
        self._server.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def mark(self) -> int:
        """A place in the log of changing calls."""
        return len(self.world.calls)

    def calls(self, since: int = 0) -> list[dict[str, t.Any]]:
        """The changing calls after a mark."""
        with self.world.lock:
            return self.world.calls[since:]

    def __enter__(self) -> InProcess:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, *_exc: object) -> None:
        self.stop()
        if kind is None and self.world.breaches:
            raise AssertionError("; ".join(self.world.breaches))


class Simulator:
    """``xapi-sim up`` as a process; its state lasts as long as ``state`` does (a temporary folder unless given)."""

    def __init__(self, *arguments: str, state: str | Path | None = None, port: int | None = None) -> None:
        self._temporary = None if state else tempfile.mkdtemp(prefix="xapi-sim-")
        self.state = Path(state or t.cast("str", self._temporary)).resolve()
        self.arguments = arguments
        self.port = port
        self.ready: dict[str, t.Any] = {}
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def hosts(self) -> list[Host]:
        """Where they answer."""
        return [Host(**h) for h in self.ready["hosts"]]

    def start(self, timeout: float = 60.0) -> Simulator:
        """All hosts answer when this returns; RuntimeError tells what the process said instead."""
        ready_file = self.state / "ready.json"
        self.state.mkdir(parents=True, exist_ok=True)
        ready_file.unlink(missing_ok=True)
        port = ["--port", str(self.port if self.port is not None else 0)]
        with (self.state / "log").open("ab") as log:
            command = [str(LAUNCHER), "up", "--state", str(self.state), *port, "--ready-file", str(ready_file), *self.arguments]
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        end = time.monotonic() + timeout
        while not ready_file.exists():
            if self.process.poll() is not None or time.monotonic() > end:
                self.stop(remove=False)
                raise RuntimeError((self.state / "log").read_text(errors="replace"))
            time.sleep(0.02)
        self.ready = json.loads(ready_file.read_text())
        self.port = self.ready["hosts"][0]["port"]
        return self

    def stop(self, *, kill: bool = False, remove: bool = True) -> None:
        """SIGTERM or SIGKILL; a temporary state goes unless ``remove`` is false."""
        if self.process:
            self.process.kill() if kill else self.process.terminate()
            self.process.wait(30)
            self.process = None
        if remove and self._temporary:
            shutil.rmtree(self._temporary, ignore_errors=True)

    def ctl(self, *arguments: str) -> str:
        """What ``xapi-sim ctl`` prints; RuntimeError tells why it refuses."""
        command = [str(LAUNCHER), "ctl", "--state", str(self.state), *arguments]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(done.stdout + done.stderr)
        return done.stdout

    def calls(self, since: int = 0) -> list[dict[str, t.Any]]:
        """The changing calls after a mark."""
        return [json.loads(line) for line in self.ctl("calls", "--since", str(since)).splitlines()]

    def __enter__(self) -> Simulator:
        return self.start()

    def __exit__(self, *_exc: object) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.stop()
