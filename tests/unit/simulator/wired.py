# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A pool with guests whose HTTP handlers are asked over the wire."""

from __future__ import annotations

import contextlib
import http.client
import ssl
import typing as t

from ansible_collections.domzero.xen.tests.simulator.disks.guest import Disks
from ansible_collections.domzero.xen.tests.simulator.running import InProcess

from .conversation import until
from .hosting import Hosting, hosting


def trusting() -> ssl.SSLContext:
    """Takes any certificate."""
    return ssl._create_unverified_context()


class Wire(Hosting):
    """A host whose HTTP handlers are asked."""

    port = 0

    def http(self, method: str, path: str, body: bytes = b"", **query: str) -> tuple[int, bytes, str]:
        """Status, body and task of an exchange."""
        text = "&".join(f"{k}={v}" for k, v in {"session_id": self.session, **query}.items())
        connection = http.client.HTTPSConnection(self.machine.address, self.port, context=trusting(), timeout=30)
        connection.request(method, f"{path}?{text}", body or None)
        answer = connection.getresponse()
        found = answer.status, answer.read(), answer.getheader("task-id") or ""
        connection.close()
        return found

    def put(self, path: str, body: bytes, **query: str) -> t.Any:
        """The VMs an import made, or its error."""
        task = self("task.create", "import", "")
        status, _body, _task = self.http("PUT", path, body, task_id=task, **query)
        record = self.record("task", task)
        if record["status"] == "success":
            assert status == 200
            return [ref for ref in self.db.all("VM") if ref in record["result"]]
        return record["error_info"]

    def connected(self) -> int:
        """How many connections the host has whose client is not gone."""
        endpoint = self.machine.endpoint
        assert endpoint and endpoint._protocol
        return sum(not (one.transport is None or one.transport.is_closing()) for one in endpoint._protocol.connections)

    @property
    def disks(self) -> Disks:
        """What is on the disks."""
        return Disks(self.machine.world)

    def uuid(self, vdi: str) -> str:
        """Of a VDI."""
        return str(self.record("VDI", vdi)["uuid"])

    def digest(self, vdi: str) -> str:
        """Of all bytes of a VDI."""
        return self.disks.digest(self.uuid(vdi))

    def fill(self, vdi: str, offset: int, size: int, seed: int | str = 0) -> None:
        """A guest writes."""
        self.disks.fill(self.uuid(vdi), offset, size, seed)

    def down(self, vdi: str, format_: str = "raw", **query: str) -> bytes:
        """The disk in some format."""
        status, body, task = self.http("GET", "/export_raw_vdi", vdi=vdi, format=format_, **query)
        assert (status, self.record("task", task)["status"]) == (200, "success")
        return body

    def up(self, body: bytes, format_: str = "raw", **query: str) -> list[str]:
        """What became of an upload: nothing to say, or the error."""
        task = self("task.create", "up", "")
        with contextlib.suppress(OSError, http.client.HTTPException):  # how a cut is felt depends on who is faster
            self.http("PUT", "/import_raw_vdi", body, format=format_, task_id=task, **query)
        return list(self.finished(task)["error_info"])

    def finished(self, task: str) -> dict[str, t.Any]:
        """The task, once it has ended."""
        until(self.machine.world, lambda: self.db.get("task", task)["status"] != "pending")
        return self.record("task", task)


@contextlib.contextmanager
def wired(hosts: int = 1, **options: t.Any) -> t.Iterator[Wire]:
    """Served in threads; a breach of the invariants is an error."""
    with InProcess(hosting(hosts, **options).machine.world) as simulator:
        first, *_others = simulator.world.machines.values()
        asked = Wire(first)
        asked.port = simulator.hosts[0].port
        yield asked
