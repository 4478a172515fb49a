# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which operations a VDI allows, and marking the one that runs (xen-api: ocaml/xapi/xapi_vdi.ml)."""

from __future__ import annotations

import contextlib
import typing as t

from . import sr_operations
from .database import new_ref
from .errors import Fault
from .sr_operations import rules

if t.TYPE_CHECKING:
    from .database import Database, Record
    from .dispatch import Call

NOT_DURING_UPGRADE = frozenset({"mirror", "enable_cbt", "disable_cbt", "data_destroy", "list_changed_blocks", "set_on_boot"})
TYPE_NAMES = {
    "ha_statefile": "HA statefile", "redo_log": "Redo log", "rrd": "rrd", "pvs_cache": "PVS cache", "cbt_metadata": "CBT metadata"
}  # fmt: skip
HA_TYPES = ("ha_statefile", "redo_log")
WRONG_BOOT_MODE = "VDI_ON_BOOT_MODE_INCOMPATIBLE_WITH_OPERATION"


def type_name(vdi_type: str) -> str:
    """VDI types as error parameters spell them (ocaml/libs/records: record_util)."""
    return TYPE_NAMES.get(vdi_type, vdi_type.capitalize())


def refusal(db: Database, vdi: str, operation: str) -> Fault | None:
    """Why the VDI does not allow it now, or None; checks in xapi's order."""
    record = db.get("VDI", vdi)
    if operation in NOT_DURING_UPGRADE and sr_operations.upgrading(db):
        return Fault("NOT_SUPPORTED_DURING_UPGRADE")
    for check in (_busy, _unplugged, _in_use, _unsupported, _cbt):
        fault = check(db, vdi, record, operation)
        if fault:
            return fault
    special = _SPECIAL.get(operation)
    return special(db, vdi, record) if special else None


def _busy(db: Database, vdi: str, record: Record, operation: str) -> Fault | None:
    for task, running in record["current_operations"].items():
        if (running, operation) not in (("copy", "copy"), ("mirror", "destroy")):
            return Fault("OTHER_OPERATION_IN_PROGRESS", "VDI", vdi, running, task)
    return None


def _unplugged(db: Database, vdi: str, record: Record, operation: str) -> Fault | None:
    if operation == "resize" and not sr_operations.attached_pbds(db, record["SR"]):
        return Fault("SR_HAS_NO_PBDS", record["SR"])
    return None


def _in_use(db: Database, vdi: str, record: Record, operation: str) -> Fault | None:
    vbds = [db.get("VBD", vbd) for vbd in record["VBDs"] if db.exists("VBD", vbd)]
    live = [vbd for vbd in vbds if vbd["currently_attached"] or vbd.get("reserved")]
    if operation == "list_changed_blocks":
        live = [vbd for vbd in live if not (db.exists("VM", vbd["VM"]) and db.get("VM", vbd["VM"])["is_a_snapshot"])]
    passes = operation in rules("VDI")["ok_while_attached"] or (operation == "copy" and all(vbd["mode"] == "RO" for vbd in live))
    if live and not passes:
        return Fault("VDI_IN_USE", vdi, operation)
    for vbd in vbds if operation != "data_destroy" else []:
        for task, running in vbd["current_operations"].items():
            return Fault("OTHER_OPERATION_IN_PROGRESS", "VDI", vdi, running, task)
    return None


def _unsupported(db: Database, vdi: str, record: Record, operation: str) -> Fault | None:
    feature = rules("VDI")["sm_feature"].get(operation)
    type_ = db.get("SR", record["SR"])["type"]
    if feature and feature not in sr_operations.features(db, type_) and not (operation == "destroy" and type_ == "udev"):
        return Fault("SR_OPERATION_NOT_SUPPORTED", record["SR"])
    return None


def _cbt(db: Database, vdi: str, record: Record, operation: str) -> Fault | None:
    if record["type"] == "cbt_metadata" and operation not in rules("VDI")["cbt_metadata_type_ok"]:
        return Fault("VDI_INCOMPATIBLE_TYPE", vdi, type_name(record["type"]))
    if record["cbt_enabled"] and operation in ("mirror", "set_on_boot"):
        return Fault("VDI_CBT_ENABLED", vdi)
    return None


def _ha_on(db: Database) -> bool:
    return any(pool["ha_enabled"] for pool in db.all("pool").values())


def _destroy(db: Database, vdi: str, record: Record) -> Fault | None:
    sr = db.get("SR", record["SR"])
    if sr["type"] == "udev":
        return Fault("VDI_IS_A_PHYSICAL_DEVICE", vdi)
    if sr["is_tools_sr"]:
        return Fault("SR_OPERATION_NOT_SUPPORTED", record["SR"])
    if record["type"] == "rrd":
        return Fault("VDI_HAS_RRDS", vdi)
    return Fault("HA_IS_ENABLED") if record["type"] in HA_TYPES and _ha_on(db) else None


def _data_destroy(db: Database, vdi: str, record: Record) -> Fault | None:
    if not record["is_a_snapshot"]:
        return Fault("OPERATION_NOT_ALLOWED", f"VDI is not a snapshot: {vdi}")
    return None if record["cbt_enabled"] else Fault("VDI_NO_CBT_METADATA", vdi)


def _snapshot(db: Database, vdi: str, record: Record) -> Fault | None:
    if record["sharable"]:
        return Fault("VDI_IS_SHARABLE", vdi)
    if record["on_boot"] == "reset":
        return Fault(WRONG_BOOT_MODE)
    if "copy" in record["current_operations"].values():
        return Fault("OPERATION_NOT_ALLOWED", "Snapshot operation not allowed during copy.")
    return None


def _copy(db: Database, vdi: str, record: Record) -> Fault | None:
    if record["on_boot"] == "reset":
        return Fault(WRONG_BOOT_MODE)
    text = "VDI containing HA statefile or redo log cannot be copied (check the VDI's allowed operations)."
    return Fault("OPERATION_NOT_ALLOWED", text) if record["type"] in HA_TYPES else None


def _tracking(db: Database, vdi: str, record: Record) -> Fault | None:
    if record["is_a_snapshot"]:
        return Fault("OPERATION_NOT_ALLOWED", f"VDI is a snapshot: {vdi}")
    if record["type"] not in ("user", "system"):
        return Fault("VDI_INCOMPATIBLE_TYPE", vdi, type_name(record["type"]))
    return Fault(WRONG_BOOT_MODE) if record["on_boot"] == "reset" else None


def _revert(db: Database, vdi: str, record: Record) -> Fault | None:
    return None if record["is_a_snapshot"] else Fault("REVERT_ONLY_ALLOWED_ON_SNAPSHOT")


_SPECIAL: dict[str, t.Callable[[Database, str, Record], Fault | None]] = {
    "destroy": _destroy,
    "data_destroy": _data_destroy,
    "snapshot": _snapshot,
    "copy": _copy,
    "enable_cbt": _tracking,
    "disable_cbt": _tracking,
    "revert_to": _revert,
}


def refresh(db: Database, vdi: str) -> None:
    """allowed_operations anew."""
    db.set("VDI", vdi, allowed_operations=[op for op in rules("VDI")["in_allowed_operations"] if refusal(db, vdi, op) is None])


def check(db: Database, vdi: str, operation: str) -> None:
    """Raises why the VDI does not allow the operation."""
    fault = refusal(db, vdi, operation)
    if fault:
        raise fault


@contextlib.contextmanager
def running(call: Call, vdi: str, operation: str, *, force: bool = False) -> t.Iterator[None]:
    """Checks (unless forced), then lists the operation while the block runs."""
    db = call.db
    if not force:
        check(db, vdi, operation)
    task = call.task or new_ref()
    db.add_to_map("VDI", vdi, "current_operations", task, operation)
    refresh(db, vdi)
    try:
        yield
    finally:
        if db.exists("VDI", vdi):
            db.remove_from_map("VDI", vdi, "current_operations", task)
            refresh(db, vdi)
