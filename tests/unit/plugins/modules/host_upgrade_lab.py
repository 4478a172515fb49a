# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pool that has updates before it, its guests out of the way."""

from __future__ import annotations

import typing as t

from ansible_collections.domzero.xen.plugins.module_utils.client import Session
from ansible_collections.domzero.xen.tests.simulator import evacuation, upgrade_lab
from ansible_collections.domzero.xen.tests.simulator.running import InProcess

HOSTS = ("lab0", "lab1", "lab2", "lab3")
Row = dict[str, t.Any]


class Lab:
    """Four hosts without running guests, over the wire."""

    def __init__(self, sim: InProcess, session: Session):
        self.sim, self.session, self.world = sim, session, sim.world

    @property
    def db(self) -> t.Any:
        return self.world.pools[0].db

    def ref(self, host: str) -> str:
        return self.world.machines[host].host_ref

    def record(self, host: str) -> Row:
        return dict(self.db.get("host", self.ref(host)))

    def version(self, host: str, key: str = "xen") -> str:
        return str(self.record(host)["software_version"][key])

    def guests(self, host: str) -> list[str]:
        return evacuation.guests(self.db, self.ref(host))

    def halt(self, *hosts: str) -> None:
        """Their guests."""
        for host in hosts or HOSTS:
            for vm in self.guests(host):
                self.session.call("VM.hard_shutdown", vm)

    def journal(self, upgrade: str = "u1", run: str = "r1", **more: t.Any) -> None:
        """An upgrade is under way."""
        import json

        now = self.session.call("host.get_servertime", self.ref("lab0"))
        text = json.dumps({"schema": 1, "run": run, "id": upgrade, "since": now, "session": "", "by": "root@control", **more})
        self.session.call("pool.add_to_other_config", self.world.pools[0].pool_ref, "domzero.xen:upgrade-1", text)


def lab(start: t.Callable[..., InProcess], session_to: t.Callable[[InProcess], Session], kind: str, *, guests: bool = False) -> Lab:
    sim = start(upgrade_lab.build(kind, special=False))
    made = Lab(sim, session_to(sim))
    if not guests:
        made.halt()
    return made


def row(result: Row, host: str) -> Row:
    return next(dict(one) for one in result["hosts"] if one["name"] == host)
