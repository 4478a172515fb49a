# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VMs of a simulated pool for tests, made through a session; and short ways to look at them."""

from __future__ import annotations

import time
import typing as t

GIB = 1 << 30
NULL = "OpaqueRef:NULL"
TEMPLATE = "Other install media"
AGENT = {"vm-data/sim-agent": "10.0.0.60"}


class Guests:
    """A pool's VMs. sim: its simulator, session: one to it."""

    def __init__(self, sim: t.Any, session: t.Any):
        self.sim, self.session = sim, session

    @property
    def db(self) -> t.Any:
        return self.sim.world.pools[0].db

    def call(self, method: str, *params: t.Any) -> t.Any:
        return self.session.call(method, *params)

    def sr(self, name: str = "") -> str:
        """By name, or the pool's default."""
        return str(self.db.one("SR", name_label=name) if name else self.sim.world.pools[0].pool["default_SR"])

    def vm(self, name: str, *disks: str, agent: bool = True, sr: str = "", running: bool = False) -> str:
        """A VM with a GiB disk for each name, in that order."""
        ref = str(self.call("VM.clone", self.db.one("VM", name_label=TEMPLATE), name))
        self.call("VM.provision", ref)
        self.call("VM.set_xenstore_data", ref, AGENT if agent else {**AGENT, "vm-data/sim-agent": "none"})
        for place, disk in enumerate(disks):
            self.attach(ref, self.vdi(disk, sr), place)
        if running:
            self.call("VM.start", ref, False, False)
        return ref

    def vdi(self, name: str, sr: str = "", size: int = GIB, **more: t.Any) -> str:
        record = {"name_label": name, "SR": self.sr(sr), "virtual_size": size, "type": "user", "sharable": False, "read_only": False}
        return str(self.call("VDI.create", {**record, "other_config": {}, **more}))

    def attach(self, vm: str, vdi: str, place: int) -> str:
        plain = {"userdevice": str(place), "bootable": False, "mode": "RW", "type": "Disk", "unpluggable": True, "other_config": {}}
        qos = {"qos_algorithm_type": "", "qos_algorithm_params": {}}
        return str(self.call("VBD.create", {"VM": vm, "VDI": vdi, "empty": False, **qos, **plain}))

    def record(self, ref: str, cls: str = "VM") -> dict[str, t.Any]:
        return t.cast("dict[str, t.Any]", self.db.get(cls, ref))

    def named(self, name: str) -> dict[str, t.Any]:
        return self.record(self.db.one("VM", name_label=name))

    def snapshots(self, vm: str) -> list[str]:
        """Names, the oldest first."""
        found = [r for r in self.db.all("VM").values() if r["snapshot_of"] == vm and r["is_a_snapshot"]]
        return [r["name_label"] for r in sorted(found, key=lambda r: str(r["snapshot_time"]))]

    def disks(self, vm: str) -> dict[str, str]:
        """Names of the disks by place."""
        vbds = [self.record(ref, "VBD") for ref in self.record(vm)["VBDs"]]
        return {vbd["userdevice"]: self.record(vbd["VDI"], "VDI")["name_label"] for vbd in vbds if vbd["type"] == "Disk"}

    def vdis(self) -> list[str]:
        """Names of all disks the pool shows, without hidden images."""
        return sorted(r["name_label"] for r in self.db.all("VDI").values() if r["managed"])

    def used(self, sr: str) -> int:
        """Bytes taken of an SR."""
        return int(self.record(self.sr(sr), "SR")["physical_utilisation"])

    def wait_for_tools(self, *names: str) -> None:
        """Until the guests can be asked to shut down."""
        end = time.monotonic() + 60
        while any("clean_shutdown" not in self.named(name)["allowed_operations"] for name in names):
            assert time.monotonic() < end, "the tools did not start"
            time.sleep(0.05)
