# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A pool that has updates before it, and plans for it that are carried out by hand, one action after another."""

from __future__ import annotations

import typing as t

from ansible_collections.domzero.xen.plugins.module_utils.upgrade import marks
from ansible_collections.domzero.xen.tests.simulator import upgrade_lab
from ansible_collections.domzero.xen.tests.simulator.running import InProcess
from ansible_collections.domzero.xen.tests.unit.simulator.upgrading import Lab

from ..conftest import Start

HOSTS = ("lab0", "lab1", "lab2", "lab3")
SPECIAL = ("special-deaf", "special-local", "special-pci", "special-toolless")  # what cannot move
Row = dict[str, t.Any]


class Planned(Lab):
    """What is asked about hosts and VMs by name, and done to them."""

    sim: InProcess

    def where(self) -> dict[str, str]:
        """The host of every VM that runs."""
        names = {machine.host_ref: name for name, machine in self.world.machines.items()}
        rows = self.db.all("VM").values()
        return {vm["name_label"]: names[vm["resident_on"]] for vm in rows if vm["resident_on"] in names and not vm["is_control_domain"]}

    def vm_record(self, name: str) -> Row:
        return dict(self.db.get("VM", self.named(name)))

    def uuid_of_host(self, host: str) -> str:
        return str(self.db.get("host", self.ref(host))["uuid"])

    def mark(self, vm: str, key: str, value: str) -> None:
        self("VM.add_to_other_config", self.named(vm), key, value)

    def do(self, action: Row) -> None:
        """One action of a plan, by the call it stands for."""
        vm, host = self("VM.get_by_uuid", action["vm"]), self("host.get_by_uuid", action["host"])
        does = action["action"]
        if does == "migrate":
            assert self.record("VM", vm)["resident_on"] == self("host.get_by_uuid", action["source"])
            self("VM.pool_migrate", vm, host, {"live": "true"})
        elif does in ("shutdown", "suspend"):
            self("VM.add_to_other_config", vm, marks.STOPPED, f"{does} {action['host']}")
            self("VM.hard_shutdown" if does == "shutdown" else "VM.suspend", vm)
        else:
            self("VM.start_on" if does == "start" else "VM.resume_on", vm, host, False, False)
            self("VM.remove_from_other_config", vm, marks.STOPPED)

    def carry_out(self, step: Row, update: t.Callable[[Lab, str], object]) -> None:
        """The next step of a plan; update: what is done to a host that is empty, before its reboot."""
        for action in step["actions"]:
            self.do(action)
        for uuid in step["hosts"]:
            name = self("host.get_name_label", self("host.get_by_uuid", uuid))
            self("host.disable", self.ref(name))
            assert self.guests(name) == [], "the plan did not empty it"
            update(self, name)
            self.boot(name)
        for action in step["starts"]:
            self.do(action)


def lab(start: Start, kind: str = "packages", *, special: bool = False) -> Planned:
    sim = start(upgrade_lab.build(kind, special=special))
    found = Planned(sim.world.machines["lab0"])
    found.port, found.sim = sim.hosts[0].port, sim
    return found


def packages(pool: Lab, host: str) -> None:
    pool.plugin(host, "update")


def installer(pool: Lab, host: str) -> None:
    pool.plugin(host, "main", "prepare_host_upgrade.py", url=upgrade_lab.INSTALLER)
