# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Talking to simulated hosts in-process: sites for tests, a session, errors as code and parameters."""

from __future__ import annotations

import contextlib
import time
import typing as t

from ansible_collections.domzero.xen.tests.simulator import site
from ansible_collections.domzero.xen.tests.simulator.database import Database, Record
from ansible_collections.domzero.xen.tests.simulator.dispatch import dispatch
from ansible_collections.domzero.xen.tests.simulator.errors import Fault
from ansible_collections.domzero.xen.tests.simulator.world import Machine, World


def build(hosts: int = 1, *, joined: bool = False, nics: int = 4, speed: float = 0, **options: t.Any) -> World:
    """Equal hosts with some network cards each; ``options`` maps a host's name to what is special about it."""
    cards = [{"device": f"eth{n}", "segment": "lan" if n == 0 else "storage"} for n in range(nics)]
    named = [(f"xcp{n:02}", f"127.77.0.{1 + n}") for n in range(hosts)]
    described = [{"name": name, "address": address, "nics": cards, **options.get(name, {})} for name, address in named]
    nfs = {"name": "filer", "address": "172.16.0.10", "segment": "storage", "nfs": [{"path": "/export/vms", "size": "1TiB"}]}
    return site.build(site.parse({"segments": ["lan", "storage"], "hosts": described, "storage": [nfs], "joined": joined}), speed=speed)


class Asked:
    """A host that is asked, logged in. ``ask("VLAN.create", pif, 7, network)``; ``refused(...)`` gives the error instead."""

    def __init__(self, machine: Machine, password: str = "xapi-test") -> None:
        self.machine = machine
        self.session = dispatch(machine, "session.login_with_password", ["root", password, "2.0", "tests"])

    @property
    def db(self) -> Database:
        """The objects of the host's pool."""
        return self.machine.pool.db

    @property
    def host(self) -> str:
        """The host's own reference."""
        return self.machine.host_ref

    @property
    def pool(self) -> Record:
        """The pool record."""
        return self.machine.pool.pool

    def __call__(self, method: str, *params: t.Any) -> t.Any:
        return dispatch(self.machine, method, [self.session, *params])

    def refused(self, method: str, *params: t.Any) -> list[str]:
        """Code and parameters of the error; AssertionError if there is none."""
        try:
            value = self(method, *params)
        except Fault as fault:
            return fault.description
        raise AssertionError(f"{method} was not refused, it answered {value!r}")

    def network(self, name: str = "n", **fields: t.Any) -> str:
        """A new network."""
        return str(self("network.create", {"name_label": name, "other_config": {}, **fields}))

    def pif(self, device: str, host: str | None = None, tag: int = -1) -> str:
        """A PIF by device and tag."""
        return self.db.one("PIF", device=device, host=host or self.host, VLAN=tag)

    def record(self, cls: str, ref: str) -> Record:
        """A copy of a record."""
        return dict(self.db.get(cls, ref))


def until(world: World, holds: t.Callable[[], object], seconds: float = 40.0) -> None:
    """Waits, in real seconds, for something the world does by itself."""
    end = time.monotonic() + seconds
    while True:
        with contextlib.suppress(Fault, LookupError), world.lock:
            if holds():
                return
        if time.monotonic() > end:
            raise AssertionError("it did not happen")
        time.sleep(0.005)


def settle(world: World, seconds: float = 40.0) -> None:
    """Waits until nothing is on the agenda."""
    until(world, lambda: not world.agenda, seconds)
    with world.lock:
        pass


COORDINATOR = "127.77.0.1"  # the first host's address


def join(joiner: Asked, *, force: bool = False) -> None:
    """The host joins the first host's pool."""
    joiner("pool.join_force" if force else "pool.join", COORDINATOR, "root", "xapi-test")


def joined(joiner: Asked) -> Asked:
    """The coordinator, once the joiner is up as a member."""
    join(joiner)
    settle(joiner.machine.world)
    return Asked(joiner.machine.pool.coordinator)


def manage_on_vlan(asked: Asked, tag: int) -> None:
    """The management interface becomes a VLAN of the first card."""
    pif = asked.record("VLAN", asked("VLAN.create", asked.pif("eth0"), tag, asked.network("Management VLAN")))["untagged_PIF"]
    address = asked.record("PIF", asked.pif("eth0"))["IP"]
    asked("PIF.reconfigure_ip", pif, "Static", address, "255.255.255.0", "", "")
    asked("host.management_reconfigure", pif)
