# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A pool with VMs of every kind that a task can be wrong about. A task that is refused changes nothing, so many use one pool."""

from __future__ import annotations

import typing as t
from pathlib import Path

from .modules.guest_lab import GIB, NULL, TEMPLATE, Guests

LAN, OTHER = "LAN", "Other LAN"
MAC = "02:00:00:00:00:0a"
STRICT = ("start", "start_on", "clean_shutdown", "hard_shutdown", "suspend", "pool_migrate", "migrate_send", "destroy", "clone", "copy",
          "snapshot", "checkpoint", "export", "revert", "make_into_template", "resume")  # fmt: skip


class BadLab(Guests):
    """What the tasks of bad_input/*.yml are about."""

    def build(self, run: t.Callable[..., t.Any], folder: Path) -> None:
        self._storage(run)
        for name in (LAN, "Twin LAN", "Twin LAN"):
            self.call("network.create", {"name_label": name, "name_description": "", "MTU": 1500, "other_config": {}, "tags": []})
        self._guests()
        self._templates()
        for vm in ("web1", "run1"):
            self.call("VM.snapshot", self.db.one("VM", name_label=vm), "same")
        self.call("VM.snapshot", self.db.one("VM", name_label="run1"), "before")
        appliance = self.call("VM_appliance.create", {"name_label": "shop", "name_description": ""})
        self.call("VM.set_appliance", self.db.one("VM", name_label="member1"), appliance)
        self._files(run, folder)

    def _files(self, run: t.Callable[..., t.Any], folder: Path) -> None:
        (folder / "is-a-file").write_text("x")
        (folder / "no-export.xva").write_text("no export at all")
        (folder / "disk.img").write_bytes(b"data" * (1 << 20))
        (folder / "empty.img").touch()
        root = self.record(self.record(self.named("web1")["VBDs"][0], "VBD")["VDI"], "VDI")
        self.sim.disks.fill(root["uuid"], offset=0, size=5 << 20, seed=1)
        run("xen_vm_export", name="web1", dest=str(folder / "sound.xva"))
        sound = (folder / "sound.xva").read_bytes()
        middle = len(sound) // 2
        (folder / "cut.xva").write_bytes(sound[:middle])
        (folder / "bent.xva").write_bytes(sound[:middle] + bytes([sound[middle] ^ 255]) + sound[middle + 1 :])

    def _storage(self, run: t.Callable[..., t.Any]) -> None:
        nfs = {"type": "nfs", "server": "127.40.0.10"}
        run("xen_sr", name="Filer", path="/export/vms", default=True, **nfs)
        run("xen_sr", name="Detached", path="/export/more", **nfs)
        run("xen_sr", name="ISOs", type="iso", location="127.40.0.10:/export/iso", scan=True)
        run("xen_sr", name="Thick", type="lvmoiscsi", target="127.40.0.10", iqn="iqn.2024-01.lab.example:san.pool", lun=1)

    def _guests(self) -> None:
        self.nic(self.vm("web1", "root", "data"), LAN, MAC)
        self.vm("run1", "run1 root", running=True)
        self.vm("mute1", "mute1 root", agent=False, running=True)
        for name, verb in (("paused1", "pause"), ("suspended1", "suspend")):
            self.call(f"VM.{verb}", self.vm(name, f"{name} root", running=True))
        for _number in range(2):
            self.vm("twin1")
        self.vm("member1", "member1 root")
        blocked = self.vm("blocked1", "blocked1 root")
        self.call("VM.set_blocked_operations", blocked, dict.fromkeys(STRICT, "by Anna"))
        guarded = self.vm("guarded1", "guarded1 root", running=True)
        self.call("VM.snapshot", guarded, "guarded")
        self.call("VM.set_blocked_operations", guarded, dict.fromkeys(STRICT, "by Anna"))
        self._chain(self.vm("long1", "long1 root"))
        self._elsewhere()
        for name in ("half1 (unfinished)", "half1 (unfinished)"):
            self.vm(name)

    def _elsewhere(self) -> None:
        """VMs whose disks one host only has, and in an SR no host has any more."""
        (here,) = [ref for ref, host in self.db.all("host").items() if host["name_label"] == "xcp00"]
        srs = {pbd["SR"] for pbd in self.db.all("PBD").values() if pbd["host"] == here}
        local = next(sr for sr in srs if self.record(sr, "SR")["name_label"] == "Local storage")
        vm = self.vm("local1")
        self.attach(vm, self.call("VDI.create", self._plain("local1 root", local)), 0)
        self.call("VM.start_on", self.vm("local2"), here, False, False)
        running = self.db.one("VM", name_label="local2")
        disk = self.attach(running, self.call("VDI.create", self._plain("local2 root", local)), 0)
        self.call("VBD.plug", disk)
        self.attach(self.vm("lost1"), self.vdi("lost1 root", "Detached"), 0)
        for ref, pbd in self.db.all("PBD").items():
            if pbd["SR"] == self.sr("Detached"):
                self.call("PBD.unplug", ref)

    @staticmethod
    def _plain(name: str, sr: str) -> dict[str, t.Any]:
        record = {"name_label": name, "SR": sr, "virtual_size": GIB, "type": "user", "sharable": False, "read_only": False}
        return {**record, "other_config": {}}

    def _templates(self) -> None:
        for name in ("gold", "twin gold", "twin gold"):
            template = self.vm(name, f"{name} root")
            self.call("VM.set_is_a_template", template, True)
        huge = self.vm("huge")
        self.attach(huge, self.vdi("huge root", size=600 * GIB), 0)
        self.call("VM.set_is_a_template", huge, True)

    def _chain(self, vm: str) -> None:
        """30 images under its disk, as many as there may be."""
        above = self.record(self.record(vm)["VBDs"][0], "VBD")["VDI"]
        plain = self.record(above, "VDI")
        for number in range(29):
            below = self.db.create("VDI", **{**plain, "uuid": f"c{number:07}-0000-0000-0000-000000000000", "managed": False, "VBDs": []})
            self.db.set("VDI", above, sm_config={"vhd-parent": self.record(below, "VDI")["uuid"]})
            above = below

    def nic(self, vm: str, network: str, mac: str) -> None:
        record = {"VM": vm, "network": self.db.one("network", name_label=network), "device": "0", "MAC": mac, "MTU": 1500}
        self.call("VIF.create", {**record, "other_config": {}, "qos_algorithm_type": "", "qos_algorithm_params": {}})


__all__ = ["LAN", "NULL", "TEMPLATE", "BadLab"]
