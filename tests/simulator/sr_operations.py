# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which operations an SR allows, and marking the one that runs (xen-api: ocaml/xapi/xapi_sr_operations.ml)."""

from __future__ import annotations

import contextlib
import functools
import json
import typing as t

from .database import new_ref
from .errors import Fault
from .schema import DATA

if t.TYPE_CHECKING:
    from .database import Database
    from .dispatch import Call

NOT_DURING_UPGRADE = frozenset(
    {"vdi_mirror", "vdi_enable_cbt", "vdi_disable_cbt", "vdi_data_destroy", "vdi_list_changed_blocks", "vdi_set_on_boot", "vdi_revert"}
)
NOT_ON_TOOLS = frozenset({"vdi_create", "vdi_destroy"})


@functools.cache
def rules(cls: str) -> dict[str, t.Any]:
    """One class's part of data/allowed_operations.json."""
    loaded: dict[str, t.Any] = json.loads((DATA / "allowed_operations.json").read_text(encoding="utf-8"))[cls]
    return loaded


def features(db: Database, type_: str) -> t.Mapping[str, int]:
    """What the pool's driver for a storage type can do; nothing for an unknown one."""
    found = db.find("SM", type=type_)
    features_: t.Mapping[str, int] = db.get("SM", found[0])["features"] if found else {}
    return features_


def upgrading(db: Database) -> bool:
    """Whether a rolling pool upgrade runs."""
    return any("rolling_upgrade_in_progress" in pool["other_config"] for pool in db.all("pool").values())


def attached_pbds(db: Database, sr: str) -> list[str]:
    """The SR's plugged PBDs."""
    return [pbd for pbd in db.get("SR", sr)["PBDs"] if db.get("PBD", pbd)["currently_attached"]]


def refusal(db: Database, sr: str, operation: str) -> Fault | None:
    """Why the SR does not allow it now, or None."""
    record = db.get("SR", sr)
    if operation in NOT_DURING_UPGRADE and upgrading(db):
        return Fault("NOT_SUPPORTED_DURING_UPGRADE")
    feature = rules("SR")["sm_feature"].get(operation)
    if (feature and feature not in features(db, record["type"])) or (record["is_tools_sr"] and operation in NOT_ON_TOOLS):
        return Fault("SR_OPERATION_NOT_SUPPORTED", sr)
    if operation in ("destroy", "forget") and attached_pbds(db, sr):
        return Fault("SR_HAS_PBD", sr)
    if operation == "destroy" and not record["PBDs"]:
        return Fault("SR_HAS_NO_PBDS", sr)
    if operation == "destroy" and any(vdi["managed"] and vdi["type"] != "rrd" for vdi in (db.get("VDI", v) for v in record["VDIs"])):
        return Fault("SR_NOT_EMPTY")
    if operation != "plug":
        for task, running in record["current_operations"].items():
            return Fault("OTHER_OPERATION_IN_PROGRESS", "SR", sr, running, task)
    return None


def refresh(db: Database, sr: str) -> None:
    """allowed_operations anew."""
    db.set("SR", sr, allowed_operations=[op for op in rules("SR")["operations"] if refusal(db, sr, op) is None])


def check(db: Database, sr: str, operation: str) -> None:
    """Raises why the SR does not allow the operation."""
    fault = refusal(db, sr, operation)
    if fault:
        raise fault


@contextlib.contextmanager
def running(call: Call, sr: str, operation: str) -> t.Iterator[None]:
    """Checks, then lists the operation while the block runs."""
    db = call.db
    check(db, sr, operation)
    task = call.task or new_ref()
    db.add_to_map("SR", sr, "current_operations", task, operation)
    refresh(db, sr)
    try:
        yield
    finally:
        if db.exists("SR", sr):
            db.remove_from_map("SR", sr, "current_operations", task)
            refresh(db, sr)
