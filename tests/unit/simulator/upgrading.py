# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pool that is to be upgraded, served over the wire, and what a client does to it."""

from __future__ import annotations

import contextlib
import json
import typing as t

from ansible_collections.domzero.xen.tests.simulator import evacuation, upgrade_lab
from ansible_collections.domzero.xen.tests.simulator.errors import Fault
from ansible_collections.domzero.xen.tests.simulator.running import InProcess
from ansible_collections.domzero.xen.tests.simulator.world import Machine, World

from .conversation import until
from .wired import Wire

REBOOT = "reboot_host"


class Lab(Wire):
    """Its coordinator, asked by short names: ``lab.ref("lab2")``."""

    @property
    def world(self) -> World:
        """All of it."""
        return self.machine.world

    def ref(self, name: str) -> str:
        """A host."""
        return self.world.machines[name].host_ref

    def named(self, name: str) -> str:
        """A VM."""
        return self.db.one("VM", name_label=name)

    def at(self, name: str) -> Machine:
        """The machine of a host."""
        return self.world.machines[name]

    def plugin(self, host: str, function: str, plugin: str = "updater.py", **args: str) -> t.Any:
        """What a plugin answers; JSON is read."""
        answer = str(self("host.call_plugin", self.ref(host), plugin, function, args))
        with contextlib.suppress(ValueError):
            return json.loads(answer)
        return answer

    def version(self, host: str, key: str = "xen") -> str:
        """What the host says it runs."""
        return str(self.record("host", self.ref(host))["software_version"][key])

    def log_in(self) -> None:
        """After the coordinator's restart."""
        self.session = self.__class__(self.machine).session

    def guests(self, host: str) -> list[str]:
        """VMs on a host."""
        return evacuation.guests(self.db, self.ref(host))

    def halt(self, host: str) -> None:
        """The VMs that can't leave are shut down."""
        for vm, _why in self("host.get_vms_which_prevent_evacuation", self.ref(host)).items():
            self("VM.hard_shutdown", vm)

    def empty(self, host: str) -> None:
        """Disabled and evacuated; what can't move is shut down."""
        self("host.disable", self.ref(host))
        self.halt(host)
        self("host.evacuate", self.ref(host))

    def boot(self, host: str) -> None:
        """It goes and comes back, enabled."""
        machine = self.at(host)
        began = machine.host_record()["other_config"]["boot_time"]
        self("host.reboot", machine.host_ref)
        until(self.world, lambda: machine.host_record()["enabled"] and machine.host_record()["other_config"]["boot_time"] != began)
        with contextlib.suppress(Fault):
            self.log_in()


@contextlib.contextmanager
def lab(kind: str = "packages", *, special: bool = True, speed: float = 0) -> t.Iterator[Lab]:
    """Served in threads; a breach of the invariants is an error."""
    with InProcess(upgrade_lab.build(kind, special=special, speed=speed)) as simulator:
        asked = Lab(simulator.world.machines["lab0"])
        asked.port = simulator.hosts[0].port
        yield asked
