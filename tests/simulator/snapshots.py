# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Snapshots of VMs and the way back (xen-api: ocaml/xapi/xapi_vm_snapshot.ml, xapi_vm_clone.ml)."""

from __future__ import annotations

import typing as t

from . import cloning, db_text, guests, power_states, vm_running
from .errors import Fault
from .modeltypes import NULL, Type
from .vm_records import OTHER_SIDE, copied, fresh_generation

if t.TYPE_CHECKING:
    from .database import Database, Record
    from .dispatch import Call

# not taken from the row a snapshot kept: what is the VM's own whatever happens, and what follows from elsewhere
KEPT_ON_REVERT = frozenset({
    *OTHER_SIDE, "tags", "affinity", "groups", "protection_policy", "snapshot_schedule", "ha_always_run", "metrics", "guest_metrics",
    "power_state", "resident_on", "scheduled_to_be_resident_on", "domid", "suspend_VDI", "current_operations", "allowed_operations",
    "parent", "blobs", "attached_PCIs", "memory_target",
})  # fmt: skip
_PAIRS = Type("map", items=(Type("string"), Type("string")))


def metadata(db: Database, vm: str) -> str:
    """The VM's row as a snapshot keeps it: pairs of column and text."""
    record = db.get("VM", vm)
    return db_text.written([[db_text.column("VM", name), db_text.write(value)] for name, value in record.items()])


def kept_row(db: Database, text: str) -> Record:
    """The fields in such a row. Raises Unreadable."""
    columns = dict(db_text.read(_PAIRS, text)) if text else {}
    fields = db.schema.classes["VM"].fields
    named = {db_text.column("VM", name): name for name in fields}
    return {named[c]: db_text.read(fields[named[c]].type, value) for c, value in columns.items() if c in named}


def take(call: Call, vm: str, name: str, *, ignored: t.Container[str] = (), image: bool = False) -> str:
    """A record that stays as the VM is now, with snapshots of its disks."""
    db = call.db
    disks = cloning.copy_disks(call, vm, lambda vdi: str(call.call("VDI.snapshot", vdi, {})), ignored=ignored, image=image)
    record = dict(db.get("VM", vm))
    state = "Suspended" if image else "Halted"
    others = {key: value for key, value in record["other_config"].items() if key not in ("default_template", "xensource_internal")}
    made = cloning.make(
        call, vm, disks, new_macs=False, name_label=name, power_state=state, other_config=others, is_a_template=True, is_a_snapshot=True,
        snapshot_of=vm, snapshot_time=call.world.clock.iso(), parent=record["parent"], snapshot_metadata=metadata(db, vm),
    )  # fmt: skip
    db.set("VM", vm, parent=made)
    return made


def note_kind(call: Call, snapshot: str, power_state: str) -> None:
    """How the VM was when it was taken."""
    call.db.set("VM", snapshot, snapshot_info={"power-state-at-snapshot": power_state, "disk-snapshot-type": "crash_consistent"})


# the way back --------------------------------------------------------------------------------------------------------
def bring_back(call: Call, snapshot: str) -> str:
    """A VM for a snapshot whose own is gone. Raises VM_REVERT_FAILED [snapshot, vm] where nothing tells what it was."""
    db, record = call.db, call.db.get("VM", snapshot)
    gone = record["snapshot_of"]
    try:
        row = kept_row(db, record["snapshot_metadata"])
    except db_text.Unreadable:
        row = {}
    if not row:
        raise Fault("VM_REVERT_FAILED", snapshot, gone)
    uuid = {} if db.find("VM", uuid=row["uuid"]) else {"uuid": row["uuid"]}
    fields = copied({**record, **{k: v for k, v in row.items() if k not in KEPT_ON_REVERT}}, power_state="Halted", **uuid)
    vm = db.create("VM", **{**fields, "metrics": NULL, "guest_metrics": NULL})
    for sibling in [ref for ref, other in db.all("VM").items() if other["snapshot_of"] == gone and other["is_a_snapshot"]]:
        db.set("VM", sibling, snapshot_of=vm)
    return vm


def put_back(call: Call, snapshot: str, vm: str) -> None:
    """The VM becomes what the snapshot kept."""
    db = call.db
    taken = dict(db.get("VM", snapshot))
    _replace_devices(call, snapshot, vm)
    row = {name: value for name, value in kept_row(db, taken["snapshot_metadata"]).items() if name not in KEPT_ON_REVERT}
    generation = fresh_generation() if taken["generation_id"] else ""
    guests.forget(db, vm)
    db.set(
        "VM", vm, **{**row, "generation_id": generation}, **guests.copied_reports(db, taken), parent=snapshot, ha_always_run=False,
        power_state=taken["power_state"], resident_on=NULL, domid=-1,
    )  # fmt: skip
    if taken["power_state"] == "Halted":
        power_states.detach(db, vm)
    vm_running.refresh(db, vm)


def _replace_devices(call: Call, snapshot: str, vm: str) -> None:
    """Drives and cards of the snapshot take the place of the VM's; nothing goes before all disks have their clone."""
    db, record = call.db, call.db.get("VM", vm)
    adopted: dict[str, str] = {}  # an old disk and the clone of its snapshot

    def clone(vdi: str) -> str:
        made = str(call.call("VDI.clone", vdi, {}))
        adopted[db.get("VDI", vdi)["snapshot_of"]] = made
        return made

    disks = cloning.copy_disks(call, snapshot, clone, image=True)
    used = [db.get("VBD", vbd)["VDI"] for vbd in record["VBDs"] if db.get("VBD", vbd)["type"] != "CD"]
    goes = [vdi for vdi in (*used, record["suspend_VDI"]) if vdi in adopted or vdi == record["suspend_VDI"]]
    for vbd in list(record["VBDs"]):
        cloning.drop_device(call, "VBD", vbd)
    for old, new in adopted.items():
        _adopt(db, old, new)
    for vbd_record, vdi in disks.vbds:
        cloning.copy_vbd(call, vbd_record, vm, vdi)
    db.set("VM", vm, suspend_VDI=disks.suspend_image)
    cloning.discard(call, (vdi for vdi in goes if db.exists("VDI", vdi)))
    for vif in list(record["VIFs"]):
        cloning.drop_device(call, "VIF", vif)
    for vif in db.get("VM", snapshot)["VIFs"]:
        cloning.copy_vif(call, db.get("VIF", vif), vm, new_mac=False)
    for cls, field in (("VUSB", "VUSBs"), ("VGPU", "VGPUs")):
        for device in list(record[field]):
            db.destroy(cls, device)
    for vgpu in db.get("VM", snapshot)["VGPUs"]:
        cloning.copy_vgpu(call, vgpu, vm)


def _adopt(db: Database, old: str, new: str) -> None:
    """All snapshots of the old disk are the new one's."""
    for vdi in [ref for ref, other in db.all("VDI").items() if other["snapshot_of"] == old and other["is_a_snapshot"] and old != NULL]:
        db.set("VDI", vdi, snapshot_of=new)
