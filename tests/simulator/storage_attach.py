# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Attaching SRs to a machine: one PBD, those a new member needs, those of a host that leaves.

Rules: xen-api ocaml/xapi/xapi_pbd.ml, create_storage.ml, xapi_host.ml, xapi_pool.ml.
"""

from __future__ import annotations

import typing as t

from . import sr_operations, sr_scan
from .behaviours.sr_types import Context, driver_of
from .errors import Fault
from .modeltypes import NULL
from .secrets_of import clean_out, own

if t.TYPE_CHECKING:
    from .database import Database
    from .world import Machine

NO_SYNC = ("sync_create_pbds", "nosync")


def context(machine: Machine, pbd: str) -> Context:
    """What a storage driver is told when it works for a PBD."""
    record = machine.pool.db.get("PBD", pbd)
    sr = machine.pool.db.get("SR", record["SR"])
    return Context(machine, sr["type"], dict(record["device_config"]), dict(sr["sm_config"]), sr_ref=record["SR"], pbd=pbd)


def is_sr_master(machine: Machine, sr: str) -> bool:
    """Whether the SR's housekeeping is the machine's: the coordinator's for a shared SR, every host's for its own."""
    return machine.is_coordinator or not machine.pool.db.get("SR", sr)["shared"]


def attach(machine: Machine, pbd: str) -> None:
    """Plugs a PBD of this machine; nothing happens if it is plugged.

    Raises SR_NOT_SHARABLE [sr, host], SR_UNKNOWN_DRIVER [type] or what the driver says (SR_BACKEND_FAILURE_...).
    """
    db = machine.pool.db
    record = db.get("PBD", pbd)
    if record["currently_attached"]:
        return
    sr = record["SR"]
    driver = driver_of(db, db.get("SR", sr)["type"])
    if not db.get("SR", sr)["shared"]:
        for other in sr_operations.attached_pbds(db, sr):
            raise Fault("SR_NOT_SHARABLE", sr, db.get("PBD", other)["host"])
    working = context(machine, pbd)
    driver.attach(working)
    db.set("PBD", pbd, currently_attached=True)
    sr_operations.refresh(db, sr)
    if is_sr_master(machine, sr):
        sr_scan.scan(machine, sr, driver, working)


def used_vdis(db: Database, pbd: str) -> list[str]:
    """VDIs of the PBD's SR that guests on its host use."""
    record = db.get("PBD", pbd)
    vdis = set(db.get("SR", record["SR"])["VDIs"])
    found = []
    for vbd in db.all("VBD").values():
        live = (vbd["currently_attached"] or vbd.get("reserved")) and not vbd["empty"] and vbd["VDI"] in vdis
        if live and db.exists("VM", vbd["VM"]) and db.get("VM", vbd["VM"])["resident_on"] == record["host"]:
            found.append(vbd["VDI"])
    return found


def detach(machine: Machine, pbd: str) -> None:
    """Unplugs a PBD; nothing happens if it is unplugged. Raises VDI_IN_USE [vdi, ...] while a guest on the host uses one of its disks."""
    db = machine.pool.db
    record = db.get("PBD", pbd)
    if not record["currently_attached"]:
        return
    used = used_vdis(db, pbd)
    if used:
        raise Fault("VDI_IN_USE", *used)
    db.set("PBD", pbd, currently_attached=False)
    sr_operations.refresh(db, record["SR"])


def pbds_of(machine: Machine) -> list[str]:
    """All PBDs of the machine's host."""
    return list(machine.host_record()["PBDs"])


def create_pbds_for_new_member(machine: Machine) -> list[str]:
    """A member gets a PBD, unplugged, for every shared SR the coordinator has one of; the same device_config with secrets of its own.

    Pool other_config sync_create_pbds=nosync turns it off. The host object must be in the pool's database.
    """
    db = machine.pool.db
    pool = machine.pool.pool
    key, off = NO_SYNC
    if pool["other_config"].get(key) == off:
        return []
    made = []
    for pbd in list(db.get("host", pool["master"])["PBDs"]):
        record = db.get("PBD", pbd)
        if not db.exists("SR", record["SR"]) or not db.get("SR", record["SR"])["shared"]:
            continue
        if not db.find("PBD", SR=record["SR"], host=machine.host_ref):
            config = {k: v for k, v in record["device_config"].items() if k != "SRmaster"}
            made.append(db.create("PBD", SR=record["SR"], host=machine.host_ref, device_config=own(db, config)))
    return made


def forget_for_eject(machine: Machine) -> None:
    """A host leaves its pool: its PBDs go, SRs nobody else is connected to go with their VDI records; what is on the disks stays."""
    db = machine.pool.db
    for pbd in pbds_of(machine):
        sr = db.get("PBD", pbd)["SR"]
        destroy_pbd(db, pbd)
        if db.exists("SR", sr) and not db.get("SR", sr)["PBDs"]:
            forget_sr(db, sr)


def destroy_pbd(db: Database, pbd: str) -> None:
    """The record and the secrets in its device_config."""
    config = db.get("PBD", pbd)["device_config"]
    sr = db.get("PBD", pbd)["SR"]
    db.destroy("PBD", pbd)
    clean_out(db, config)
    if db.exists("SR", sr):
        sr_operations.refresh(db, sr)


def forget_sr(db: Database, sr: str) -> None:
    """Records only: PBDs, VDIs, the SR."""
    for pbd in list(db.get("SR", sr)["PBDs"]):
        destroy_pbd(db, pbd)
    for vdi in list(db.get("SR", sr)["VDIs"]):
        db.destroy("VDI", vdi)
    clean_out(db, db.get("SR", sr)["sm_config"])
    db.destroy("SR", sr)


def working_machine(machine: Machine, sr: str) -> tuple[Machine, str]:
    """A machine of the pool that has the SR attached, the coordinator if it has, and its PBD. Raises SR_HAS_NO_PBDS [sr]."""
    db, pool = machine.pool.db, machine.pool
    plugged = {db.get("PBD", pbd)["host"]: pbd for pbd in sr_operations.attached_pbds(db, sr)}
    for candidate in sorted(pool.machines, key=lambda m: not m.is_coordinator):
        if candidate.host_ref in plugged and candidate.host_ref != NULL and candidate.power == "on":
            return candidate, plugged[candidate.host_ref]
    raise Fault("SR_HAS_NO_PBDS", sr)
