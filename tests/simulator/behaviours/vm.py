# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VMs made and removed. Rules: xen-api ocaml/xapi/xapi_vm.ml, xapi_vm_clone.ml, create_misc.ml, xapi_templates.ml."""

from __future__ import annotations

import typing as t
import uuid

from .. import appliance_operations, cloning, guests, vm_operations, vm_records
from ..errors import Fault
from ..modeltypes import NULL
from ..vm_running import refresh, running
from . import message

if t.TYPE_CHECKING:
    from ..database import Record
    from ..dispatch import Call

FROM_TEMPLATES = frozenset({"is_a_template", "power_state", "suspend_VDI", "other_config", "blocked_operations"})


@message("VM.create")
def create(call: Call, record: Record) -> str:
    """A halted VM; sizes and vCPU numbers are looked at when it starts. A suspended one needs its image."""
    db = call.db
    suspended = record["power_state"] == "Suspended" and db.exists("VDI", record["suspend_VDI"])
    other = {vm_records.MAC_SEED: str(uuid.uuid4()), **record["other_config"]}
    vm = db.create(
        "VM", **{name: value for name, value in record.items() if name not in FROM_TEMPLATES}, other_config=other,
        is_a_template=record["is_a_template"], power_state="Suspended" if suspended else "Halted", domid=-1,
        suspend_VDI=record["suspend_VDI"] if suspended else NULL, metrics=db.create("VM_metrics", VCPUs_utilisation={0: 0.0}),
    )  # fmt: skip
    if db.get("VM", vm)["domain_type"] == "unspecified":
        db.set("VM", vm, domain_type="hvm" if record["HVM_boot_policy"] else "pv")
    vm_records.update_overhead(db, vm)
    refresh(db, vm)
    return vm


@message("VM.destroy")
def destroy(call: Call, self: str) -> None:
    """With its devices and metrics; the disks stay."""
    db = call.db
    vm_operations.check(db, self, "destroy")
    record = db.get("VM", self)
    if vm_operations.is_default_template(record):
        raise Fault("VM_CANNOT_DELETE_DEFAULT_TEMPLATE")
    _refuse_protected(call, self)
    for child in list(record["children"]):
        db.set("VM", child, parent=record["parent"])
    for cls, field in (("VBD", "VBDs"), ("VIF", "VIFs")):
        for device in list(record[field]):
            cloning.drop_device(call, cls, device)
    for cls, field in (("VGPU", "VGPUs"), ("VUSB", "VUSBs"), ("VTPM", "VTPMs"), ("crashdump", "crash_dumps")):
        for device in list(record[field]):
            db.destroy(cls, device)
    guests.forget(db, self)
    db.destroy("VM", self)
    appliance_operations.refresh(db, record["appliance"])


def _refuse_protected(call: Call, vm: str) -> None:
    """Raises VM_IS_PROTECTED [vm] for one that HA keeps running."""
    record = call.db.get("VM", vm)
    if call.pool.pool["ha_enabled"] and record["ha_always_run"] and record["ha_restart_priority"] == "restart":
        raise Fault("VM_IS_PROTECTED", vm)


# copies --------------------------------------------------------------------------------------------------------------
@message("VM.clone")
def clone(call: Call, vm: str, new_name: str) -> str:
    """An independent VM whose disks share their data with the source's."""
    with running(call, vm, "clone"):
        return _copy(call, vm, new_name, lambda vdi: str(call.call("VDI.clone", vdi, {})))


@message("VM.copy")
def copy(call: Call, vm: str, new_name: str, sr: str) -> str:
    """Full copies of the disks, in an SR or where the source's are. Raises VDI_COPY_FAILED [why]."""
    db = call.db
    if db.exists("SR", sr) and db.get("SR", sr)["content_type"] == "iso":
        raise Fault("OPERATION_NOT_ALLOWED", "Cannot copy VMs to an ISO SR")

    def copy_disk(vdi: str) -> str:
        target = sr if db.exists("SR", sr) else db.get("VDI", vdi)["SR"]
        try:
            return str(call.call("VDI.copy", vdi, target, NULL, NULL))
        except Fault as fault:
            why = f"Server_error({fault.code}, [ {'; '.join(fault.params)} ])"
            raise Fault("VDI_COPY_FAILED", why) from fault

    with running(call, vm, "copy"):
        return _copy(call, vm, new_name, copy_disk)


def _copy(call: Call, vm: str, name: str, copy_disk: cloning.CopyDisk) -> str:
    record = dict(call.db.get("VM", vm))
    suspended = record["power_state"] == "Suspended" and not record["is_a_snapshot"]
    disks = cloning.copy_disks(call, vm, copy_disk, image=suspended)
    return cloning.make(
        call, vm, disks, new_macs=True, name_label=name, power_state="Suspended" if suspended else "Halted",
        other_config=vm_records.independent(record),
    )  # fmt: skip
