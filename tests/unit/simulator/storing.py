# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A pool of two hosts with a storage network, and how its SRs are made."""

from __future__ import annotations

import typing as t
import xml.etree.ElementTree as ET
from dataclasses import replace

from ansible_collections.domzero.xen.tests.simulator import site
from ansible_collections.domzero.xen.tests.simulator.storage import Place
from ansible_collections.domzero.xen.tests.unit.simulator.conversation import Asked

IQN = "iqn.2024-01.lab.example:san.pool"
NFS = {"server": "172.16.0.10", "serverpath": "/export/vms"}
SMB = {"server": r"\\127.20.0.10\disks", "username": "vmwriter", "password": "disk-secret"}
CIFS_ISO = {"location": "//127.20.0.10/iso", "type": "cifs", "username": "isoreader", "cifspassword": "iso-secret"}
NFS_ISO = {"location": "172.16.0.10:/export/iso", "type": "nfs_iso"}


class Storing(Asked):
    """A coordinator with shorter ways to its storage."""

    @property
    def san(self) -> list[Place]:
        """The LUNs of the SAN."""
        server = self.machine.world.storage.server_at("san")
        assert server
        return server.targets[0].luns

    @property
    def iscsi(self) -> dict[str, str]:
        """device_config of its first LUN."""
        return {"target": "172.16.0.20", "targetIQN": IQN, "SCSIid": self.san[0].path}

    def address(self, host: str, address: str) -> None:
        """The host gets an address on the storage network."""
        pif = self.pif("eth2", host)
        self("PIF.reconfigure_ip", pif, "Static", address, "255.255.255.0", "", "")
        self("PIF.plug", pif)

    def sr_args(self, type_: str, config: dict[str, str], **more: t.Any) -> list[t.Any]:
        """Parameters of SR.create."""
        content = "iso" if type_ == "iso" else "user"
        shared, sm_config = more.get("shared", True), more.get("sm_config", {})
        return [more.get("host", self.host), config, 0, more.get("name", type_), "", type_, content, shared, sm_config]

    def sr(self, type_: str, config: dict[str, str], **more: t.Any) -> str:
        """A new SR."""
        return str(self("SR.create", *self.sr_args(type_, config, **more)))

    def no_sr(self, type_: str, config: dict[str, str], **more: t.Any) -> list[str]:
        """Why there is none; nothing of it is left."""
        before = [set(self.db.all(cls)) for cls in ("SR", "PBD", "secret")]
        error = self.refused("SR.create", *self.sr_args(type_, config, **more))
        assert [set(self.db.all(cls)) for cls in ("SR", "PBD", "secret")] == before
        return error

    def probe(self, type_: str, config: dict[str, str], sm_config: dict[str, str] | None = None) -> ET.Element:
        """What a probe finds."""
        return ET.fromstring(self("SR.probe", self.host, config, type_, sm_config or {}))

    def pbds(self, sr: str) -> dict[str, bool]:
        """Which hosts have the SR attached, by name."""
        found = (self.record("PBD", pbd) for pbd in self.record("SR", sr)["PBDs"])
        return {self.record("host", pbd["host"])["name_label"]: pbd["currently_attached"] for pbd in found}

    def detach(self, sr: str) -> None:
        """Every PBD is unplugged."""
        for pbd in self.record("SR", sr)["PBDs"]:
            self("PBD.unplug", pbd)

    def vdi(self, sr: str, size: int = 1 << 30, **fields: t.Any) -> str:
        """A new disk."""
        record = {"SR": sr, "virtual_size": size, "type": "user", "sharable": False, "read_only": False, "other_config": {}}
        return str(self("VDI.create", {"name_label": "disk", **record, **fields}))


def text(element: ET.Element, path: str) -> list[str]:
    """Stripped texts of all elements there, as clients read them."""
    return [(found.text or "").strip() for found in element.findall(path)]


def pool(hosts: int = 2, *, addresses: bool = True) -> Storing:
    """The first hosts of the homogeneous site as a pool, with storage addresses 172.16.0.200 and on."""
    described = site.load("homogeneous")
    world = site.build(replace(described, hosts=described.hosts[:hosts], joined=True), speed=0)
    asked = Storing(next(iter(world.machines.values())))
    for number, machine in enumerate(world.machines.values()):
        if addresses:
            asked.address(machine.host_ref, f"172.16.0.{200 + number}")
    return asked
