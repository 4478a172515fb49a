# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A pool with guests: VMs from a template, with or without an agent, disks and cards; what a refusal must say."""

from __future__ import annotations

import typing as t

from ansible_collections.domzero.xen.tests.simulator.modeltypes import NULL

from .conversation import Asked, build

GIB = 1 << 30
TEMPLATE = "Other install media"
AGENT = {"vm-data/sim-agent": "10.0.0.60"}


class Hosting(Asked):
    """A coordinator with shorter ways to its guests."""

    @property
    def sr(self) -> str:
        """The default SR."""
        return str(self.pool["default_SR"])

    @property
    def template(self) -> str:
        """One that ships without disks."""
        return self.db.one("VM", name_label=TEMPLATE)

    def vm(self, name: str = "guest", *, agent: bool = True, disk: bool = False, **fields: t.Any) -> str:
        """A halted VM."""
        vm = str(self("VM.clone", self.template, name))
        self("VM.provision", vm)
        if agent:
            self("VM.set_xenstore_data", vm, AGENT)
        if disk:
            self.vbd(vm, self.vdi())
        if fields:
            self.db.set("VM", vm, **fields)
            self("VM.update_allowed_operations", vm)
        return vm

    def running(self, name: str = "guest", **options: t.Any) -> str:
        """A VM that runs."""
        vm = self.vm(name, **options)
        self("VM.start", vm, False, False)
        return vm

    def vdi(self, size: int = GIB, **fields: t.Any) -> str:
        """A disk in the default SR."""
        record = {"name_label": "disk", "SR": self.sr, "virtual_size": size, "type": "user", "sharable": False, "read_only": False}
        return str(self("VDI.create", {**record, "other_config": {}, **fields}))

    def vbd_record(self, vm: str, vdi: str = NULL, **fields: t.Any) -> dict[str, t.Any]:
        """What VBD.create takes."""
        plain = {"userdevice": "0", "bootable": False, "mode": "RW", "type": "Disk", "unpluggable": True, "other_config": {}}
        return {"VM": vm, "VDI": vdi, "empty": vdi == NULL, "qos_algorithm_type": "", "qos_algorithm_params": {}, **plain, **fields}

    def vbd(self, vm: str, vdi: str = NULL, **fields: t.Any) -> str:
        """A drive."""
        return str(self("VBD.create", self.vbd_record(vm, vdi, **fields)))

    def drive(self, vm: str, vdi: str = NULL, **fields: t.Any) -> str:
        """A CD drive."""
        return self.vbd(vm, vdi, **{"type": "CD", "mode": "RO", "userdevice": "3", **fields})

    def vif_record(self, vm: str, **fields: t.Any) -> dict[str, t.Any]:
        """What VIF.create takes."""
        network = self.record("PIF", self.pif("eth1"))["network"]
        plain = {"device": "0", "network": network, "MAC": "", "MTU": 1500, "other_config": {}}
        return {"VM": vm, "qos_algorithm_type": "", "qos_algorithm_params": {}, **plain, **fields}

    def vif(self, vm: str, **fields: t.Any) -> str:
        """A card."""
        return str(self("VIF.create", self.vif_record(vm, **fields)))

    def state(self, vm: str) -> str:
        """Its power state."""
        return str(self.db.get("VM", vm)["power_state"])

    def allowed(self, vm: str) -> set[str]:
        """allowed_operations."""
        return set(self.db.get("VM", vm)["allowed_operations"])

    def why_not(self, vm: str, operation: str) -> list[str]:
        """What VM.assert_operation_valid says."""
        return self.refused("VM.assert_operation_valid", vm, operation)

    def told(self, vm: str) -> list[str]:
        """Names of the messages about a VM, oldest first."""
        uuid = self.db.get("VM", vm)["uuid"]
        return [m["name"] for m in self.db.all("message").values() if m["obj_uuid"] == uuid]


def hosting(hosts: int = 1, **options: t.Any) -> Hosting:
    """The coordinator of a pool; every breach of the invariants is kept."""
    world = build(hosts, joined=hosts > 1, **options)
    world.watch = True
    return Hosting(next(iter(world.machines.values())))
