# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How ``ctl`` reaches a running simulator: JSON lines over a unix socket in the state folder."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import socketserver
import threading
import typing as t
from pathlib import Path

from .errors import Refusal

if t.TYPE_CHECKING:
    from .simulation import Simulation

SOCKET = "ctl.sock"


class NotRunning(Exception):
    """Nobody serves this state."""


class _Handler(socketserver.StreamRequestHandler):
    server: Listener

    def handle(self) -> None:
        request = json.loads(self.rfile.readline())
        try:
            answer: dict[str, t.Any] = {"lines": self.server.simulation.ask(request.pop("command"), **request)}
        except (Refusal, LookupError, TypeError, OSError) as e:
            answer = {"error": str(e)}
        self.wfile.write(json.dumps(answer).encode() + b"\n")


class Listener(socketserver.ThreadingUnixStreamServer):
    """Serves ``ctl`` in a thread of its own."""

    daemon_threads = True

    def __init__(self, simulation: Simulation) -> None:
        self.simulation = simulation
        with contextlib.suppress(FileNotFoundError):
            (simulation.folder / SOCKET).unlink()
        with _short(simulation.folder) as path:
            super().__init__(path, _Handler)
        threading.Thread(target=self.serve_forever, daemon=True, name="ctl").start()

    def close(self) -> None:
        """Ends it."""
        self.shutdown()
        self.server_close()
        with contextlib.suppress(FileNotFoundError):
            (self.simulation.folder / SOCKET).unlink()


@contextlib.contextmanager
def _short(folder: Path) -> t.Iterator[str]:
    """A path to the socket that fits into the 108 bytes the kernel allows."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{handle}/{SOCKET}"
    finally:
        os.close(handle)


def ask(folder: Path, command: str, **arguments: t.Any) -> list[str]:
    """Lines of the answer. Raises NotRunning, Refusal."""
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            with _short(folder) as path:
                connection.connect(path)
        except OSError:
            raise NotRunning(f"no simulator runs with state {folder}") from None
        connection.sendall(json.dumps({"command": command, **arguments}).encode() + b"\n")
        with connection.makefile("rb") as stream:
            answer = json.loads(stream.readline())
    if "error" in answer:
        raise Refusal(answer["error"])
    return t.cast("list[str]", answer["lines"])
