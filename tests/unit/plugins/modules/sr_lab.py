# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A pool with storage of every kind, for the tests of the SR modules."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

LAB = str(Path(__file__).parents[1] / "storage_lab.yml")
NFS = {"name": "VMs", "type": "nfs", "server": "127.60.0.10", "path": "/export/vms"}
FAR = {"name": "Far", "type": "nfs", "server": "172.16.0.10", "path": "/export/vms"}
ISOS = {"name": "ISOs", "type": "iso", "location": "//127.60.0.10/isos", "smb_username": "reader", "smb_password": "read-it"}
CHAP = {
    "name": "San", "type": "lvmoiscsi", "target": "127.60.0.10", "iqn": "iqn.2024-01.lab:one", "scsi_id": "lun-c",
    "chap_user": "us", "chap_password": "open-it",
}  # fmt: skip
Run = Start = t.Any


@pytest.fixture
def lab(simulator: Start) -> t.Any:
    return simulator(LAB)


def db_of(sim: t.Any) -> t.Any:
    return sim.world.pools[0].db


def sr_of(sim: t.Any, name: str) -> dict[str, t.Any]:
    db = db_of(sim)
    return t.cast("dict[str, t.Any]", db.get("SR", db.one("SR", name_label=name)))


def pbds(sim: t.Any, name: str) -> dict[str, dict[str, t.Any]]:
    """By host."""
    db = db_of(sim)
    found = [db.get("PBD", ref) for ref in sr_of(sim, name)["PBDs"]]
    return {db.get("host", pbd["host"])["name_label"]: pbd for pbd in found}


def attached(sim: t.Any, name: str) -> dict[str, bool]:
    return {host: pbd["currently_attached"] for host, pbd in pbds(sim, name).items()}


def unplug(sim: t.Any, name: str, *hosts: str) -> None:
    db = db_of(sim)
    for host in hosts:
        db.set("PBD", db.one("PBD", SR=db.one("SR", name_label=name), host=db.one("host", name_label=host)), currently_attached=False)


def forget_pbd(sim: t.Any, name: str, *hosts: str) -> None:
    db = db_of(sim)
    for host in hosts:
        db.destroy("PBD", db.one("PBD", SR=db.one("SR", name_label=name), host=db.one("host", name_label=host)))


def give_address(sim: t.Any, *hosts: str) -> None:
    """An address on the storage side."""
    db = db_of(sim)
    for host in hosts:
        pif = db.one("PIF", host=db.one("host", name_label=host), device="eth1")
        db.set(
            "PIF",
            pif,
            currently_attached=True,
            ip_configuration_mode="Static",
            IP=f"172.16.0.{200 + int(host[-1])}",
            netmask="255.255.255.0",
        )


def running_vm(sim: t.Any, sr: str, host: str = "xcp00") -> None:
    """With a disk on the SR, in use."""
    db = db_of(sim)
    vm = db.create("VM", name_label="web1", resident_on=db.one("host", name_label=host), power_state="Running")
    vdi = db.create("VDI", SR=db.one("SR", name_label=sr), name_label="root", virtual_size=10 << 30, managed=True, type="system")
    db.create("VBD", VM=vm, VDI=vdi, currently_attached=True, type="Disk", userdevice="0")


def forget_sr(sim: t.Any, converges: Run, task: dict[str, t.Any], **more: t.Any) -> str:
    """Makes an SR and lets the pool forget it: its uuid. The data stays."""
    uuid = converges("xen_sr", **task, **more)["sr"]["uuid"]
    converges("xen_sr", name=task["name"], state="forgotten")
    return t.cast("str", uuid)
