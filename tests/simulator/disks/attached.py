# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A VDI plugged into the control domain while its bytes are read or written (xen-api: ocaml/xapi/sm_fs_ops.ml, attach_helpers.ml)."""

from __future__ import annotations

import contextlib
import typing as t

from .. import device_operations, vdi_operations
from ..cloning import drop_device
from ..errors import Fault
from . import access

if t.TYPE_CHECKING:
    from ..database import Database
    from ..dispatch import Call
    from .chain import Chain

TASK = "task_id"  # in other_config: for which task it is there


def attach(call: Call, vdi: str, mode: str) -> str:
    """The VBD (mode RO or RW). Raises VDI_IN_USE [vdi], VDI_READONLY [vdi], VDI_NOT_MANAGED [vbd], OTHER_OPERATION_IN_PROGRESS."""
    db = call.db
    dom0 = control_domain(db, call.machine.host_ref)
    taken = {db.get("VBD", vbd)["userdevice"] for vbd in db.get("VM", dom0)["VBDs"]}
    place = next(str(number) for number in range(len(taken) + 1) if str(number) not in taken)
    vbd = db.create(
        "VBD", VM=dom0, VDI=vdi, userdevice=place, device=f"sm/backend/{vdi[-8:]}", type="Disk", mode=mode, bootable=False, empty=False,
        unpluggable=True, other_config={TASK: call.task or ""}, metrics=db.create("VBD_metrics"),
    )  # fmt: skip
    try:
        device_operations.check(db, "VBD", vbd, "plug")
        if fault := device_operations.sharing_refusal(db, vbd):
            raise fault
    except Fault:
        drop_device(call, "VBD", vbd)
        raise
    db.set("VBD", vbd, currently_attached=True)
    vdi_operations.refresh(db, vdi)
    return vbd


def detach(call: Call, vbd: str) -> None:
    """The VBD goes."""
    db = call.db
    if db.exists("VBD", vbd):
        vdi = db.get("VBD", vbd)["VDI"]
        drop_device(call, "VBD", vbd)
        if db.exists("VDI", vdi):
            vdi_operations.refresh(db, vdi)


@contextlib.contextmanager
def reading(call: Call, vdi: str) -> t.Iterator[Chain]:
    """A disk to be read; the world's lock is held at both ends only."""
    with call.world.lock:
        vbd = attach(call, vdi, "RO")
        chain = access.chain(call.machine, vdi)
    try:
        yield chain
    finally:
        with call.world.lock:
            detach(call, vbd)


@contextlib.contextmanager
def writing(call: Call, vdi: str) -> t.Iterator[access.Writer]:
    """A disk to be written to; the world's lock is held at both ends only."""
    with call.world.lock:
        vbd = attach(call, vdi, "RW")
    try:
        with access.writing(call.machine, vdi) as writer:
            yield writer
    finally:
        with call.world.lock:
            detach(call, vbd)


def control_domain(db: Database, host: str) -> str:
    """Of a host."""
    return next(vm for vm in db.find("VM", is_control_domain=True) if db.get("VM", vm)["resident_on"] == host)


def forget_leaked(db: Database) -> None:
    """Those of transfers that ended with the process go (xapi: Attach_helpers.has_vbd_leaked)."""
    for vbd, record in list(db.all("VBD").items()):
        if TASK in record["other_config"] and not db.exists("task", record["other_config"][TASK]):
            if db.exists("VBD_metrics", record["metrics"]):
                db.destroy("VBD_metrics", record["metrics"])
            db.destroy("VBD", vbd)
