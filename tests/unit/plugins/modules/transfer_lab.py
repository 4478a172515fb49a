# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A pool with a VM whose disks hold something, to be exported and imported."""

from __future__ import annotations

import typing as t

from .guest_lab import Guests

MIB = 1 << 20
SIZES = (6 * MIB, 10 * MIB)


class Estate(Guests):
    """web01 with two small disks, the first of which has data at its beginning and in its middle, and a NIC."""

    def __init__(self, sim: t.Any, session: t.Any):
        super().__init__(sim, session)
        self.web01 = self.vm("web01")
        for place, size in enumerate(SIZES):
            self.attach(self.web01, self.vdi(f"disk {place}", size=size), place)
        self.network = str(self.db.one("network", bridge="xenbr0"))
        self.nic(self.web01, self.network)
        self.write(0)

    def nic(self, vm: str, network: str, device: str = "0") -> str:
        record = {"VM": vm, "network": network, "device": device, "MAC": "", "MTU": 1500, "other_config": {}}
        return str(self.call("VIF.create", {**record, "qos_algorithm_type": "", "qos_algorithm_params": {}}))

    def write(self, seed: int) -> None:
        """Something else on the first disk."""
        first = self.disk_uuids(self.web01)["0"]
        self.sim.disks.fill(first, 0, 2 * MIB, f"begin {seed}")
        self.sim.disks.fill(first, 4 * MIB + 5000, 100_000, f"middle {seed}")

    def disk_uuids(self, vm: str) -> dict[str, str]:
        vbds = [self.record(ref, "VBD") for ref in self.record(vm)["VBDs"]]
        return {vbd["userdevice"]: self.record(vbd["VDI"], "VDI")["uuid"] for vbd in vbds if vbd["type"] == "Disk"}

    def contents(self, vm: str) -> list[str]:
        """SHA-256 of the disks in order."""
        return [self.sim.disks.digest(uuid) for _device, uuid in sorted(self.disk_uuids(vm).items())]

    def start(self) -> None:
        self.call("VM.start", self.web01, False, False)

    def everything(self) -> tuple[list[str], list[str], list[str]]:
        """Names of all VMs and disks, and of the tasks that are there: what must be the same after a failure."""
        vms = [r for r in self.db.all("VM").values() if not r["is_default_template"]]
        names = [sorted(r["name_label"] for r in rows) for rows in (vms, self.db.all("VDI").values(), self.db.all("task").values())]
        return names[0], names[1], names[2]

    def local_sr(self, *, of_a_member: bool) -> str:
        """A host's own storage."""
        master = next(iter(self.db.all("pool").values()))["master"]
        for ref, sr in self.db.all("SR").items():
            hosts = {self.record(pbd, "PBD")["host"] for pbd in sr["PBDs"]}
            if sr["type"] in ("ext", "lvm") and len(hosts) == 1 and (master not in hosts) == of_a_member:
                return str(ref)
        raise LookupError("no such SR")
