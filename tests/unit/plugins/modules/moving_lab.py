# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Guests that are to move: made over the wire, bent where no call would."""

from __future__ import annotations

import time
import typing as t

from ansible_collections.domzero.xen.plugins.module_utils.client import Session
from ansible_collections.domzero.xen.tests.simulator.running import InProcess

MIB, GIB = 1 << 20, 1 << 30
NULL = "OpaqueRef:NULL"
DISK: dict[str, t.Any] = {
    "name_description": "", "virtual_size": GIB, "type": "user", "sharable": False, "read_only": False, "other_config": {},
    "xenstore_data": {}, "sm_config": {}, "tags": [],
}  # fmt: skip
PLAIN: dict[str, t.Any] = {"qos_algorithm_type": "", "qos_algorithm_params": {}, "other_config": {}}


class Lab:
    """A pool of a simulator; shared: an NFS SR that all hosts have."""

    def __init__(self, sim: InProcess, session: Session, pool: str = "", filer: str = "127.10.0.10"):
        self.sim, self.session, self.filer = sim, session, filer
        self.pool = sim.world.machines[pool].pool if pool else sim.world.pools[0]

    def __call__(self, method: str, *params: t.Any) -> t.Any:
        return self.session.call(method, *params)

    @property
    def db(self) -> t.Any:
        return self.pool.db

    def one(self, cls: str, name: str) -> str:
        """The reference of the object of that name."""
        (ref,) = self(f"{cls}.get_by_name_label", name)
        return str(ref)

    def host(self, name: str) -> str:
        return self.one("host", name)

    def local_sr(self, host: str) -> str:
        """The local storage of a host."""
        db = self.db
        mine = [p["SR"] for p in db.all("PBD").values() if p["host"] == self.host(host)]
        return next(sr for sr in mine if db.get("SR", sr)["content_type"] == "user" and not db.get("SR", sr)["shared"])

    def shared_sr(self, name: str = "NFS", path: str = "/export/vms") -> str:
        found = self("SR.get_by_name_label", name)
        if found:
            return str(found[0])
        where = {"server": self.filer, "serverpath": path}
        master = self("pool.get_master", self("pool.get_all")[0])
        return str(self("SR.create", master, where, 0, name, "", "nfs", "user", True, {}))

    def disk(self, vm: str, sr: str, place: str = "0", **fields: t.Any) -> str:
        """A disk of 1 GiB at that place of the VM."""
        row = {"name_label": f"disk {place}", "name_description": "", "SR": sr, "virtual_size": GIB, "type": "user", "sharable": False}
        vdi = self(
            "VDI.create", {**row, "read_only": False, "other_config": {}, "xenstore_data": {}, "sm_config": {}, "tags": [], **fields}
        )
        self.drive(vm, vdi, place)
        return str(vdi)

    def drive(self, vm: str, vdi: str = NULL, place: str = "0", kind: str = "Disk") -> str:
        row = {"VM": vm, "VDI": vdi, "userdevice": place, "bootable": False, "mode": "RO" if kind == "CD" else "RW", "type": kind}
        return str(self("VBD.create", {**PLAIN, **row, "unpluggable": True, "empty": vdi == NULL}))

    def card(self, vm: str, network: str, device: str = "0") -> str:
        return str(self("VIF.create", {**PLAIN, "VM": vm, "network": network, "device": device, "MAC": "", "MTU": 1500}))

    def vm(self, name: str = "web1", *, memory: int = 512 * MIB, tools: bool = True, sr: str | None = None, disks: int = 0) -> str:
        """A halted VM."""
        vm = self("VM.clone", self.one("VM", "Other install media"), name)
        self("VM.provision", vm)
        self("VM.set_memory_limits", vm, memory, memory, memory, memory)
        self("VM.set_xenstore_data", vm, {"vm-data/sim-agent": "192.0.2.7" if tools else "none"})
        for n in range(disks):
            self.disk(vm, sr or self.shared_sr(), str(n))
        return str(vm)

    def running(self, name: str = "web1", host: str = "xcp00", **options: t.Any) -> str:
        """A VM that runs there."""
        vm = self.vm(name, **options)
        self("VM.start_on", vm, self.host(host), False, False)
        return vm

    def bend(self, cls: str, ref: str, **fields: t.Any) -> None:
        """A state that no call would bring about."""
        with self.sim.world.lock:
            self.db.set(cls, ref, **fields)
        if cls == "VM":
            self("VM.update_allowed_operations", ref)

    def moving(self, vm: str) -> None:
        """Wait until a migration that was asked for has begun."""
        end = time.monotonic() + 60
        while not self("VM.get_current_operations", vm):
            assert time.monotonic() < end
            time.sleep(0.01)

    def where(self, vm: str) -> str:
        return str(self("host.get_name_label", self("VM.get_resident_on", vm)))

    def made(self, mark: int) -> list[str]:
        """The changing calls since."""
        return [call["method"] for call in self.sim.calls(mark)]
