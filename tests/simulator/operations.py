# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which operations hosts and the pool allow, and marking the one that runs.

Rules: xen-api ocaml/xapi/xapi_host_helpers.ml, xapi_pool_helpers.ml. Tables: data/allowed_operations.json.
"""

from __future__ import annotations

import contextlib
import functools
import json
import typing as t

from .database import new_ref
from .errors import Fault
from .hosts import is_live
from .schema import DATA

if t.TYPE_CHECKING:
    from .database import Database
    from .dispatch import Call

HOST = ("vm_migrate", "provision", "vm_resume", "apply_updates", "enable", "reboot", "evacuate", "vm_start", "shutdown", "power_on")
POWER_ON_MODES = ("wake-on-lan", "iLO", "DRAC", "IPMI")  # those whose script is installed


@functools.cache
def rules(cls: str) -> dict[str, t.Any]:
    """One class's part of data/allowed_operations.json."""
    loaded: dict[str, t.Any] = json.loads((DATA / "allowed_operations.json").read_text(encoding="utf-8"))[cls]
    return loaded


def pool_of(db: Database) -> tuple[str, dict[str, t.Any]]:
    """Reference and record of the one pool object."""
    return next(iter(db.all("pool").items()))


def upgrading(db: Database) -> bool:
    """Whether a rolling pool upgrade runs."""
    return "rolling_upgrade_in_progress" in pool_of(db)[1]["other_config"]


# host ----------------------------------------------------------------------------------------------------------------
def host_refusal(db: Database, host: str, operation: str) -> Fault | None:
    """Why the host does not allow it now, or None."""
    record = db.get("host", host)
    running = record["current_operations"]
    for task, other in running.items():
        if _exclude(operation, other):
            return Fault("OTHER_OPERATION_IN_PROGRESS", "host", host, other, task)
    if operation in rules("host")["needs_disabled_host"] and record["enabled"]:
        return Fault("HOST_NOT_DISABLED")
    if operation == "power_on":
        return _power_on_refusal(db, host, record["power_on_mode"])
    return None


def _exclude(operation: str, running: str) -> bool:
    left, right = rules("host")["exclusive_groups"]
    across = (operation in left and running in right) or (operation in right and running in left)
    exclusive = rules("host")["mutually_exclusive"]
    both = operation in exclusive and running in exclusive
    updating = {operation, running} == {"apply_updates", "enable"}
    return across or both or updating or operation == running == "provision"


def _power_on_refusal(db: Database, host: str, mode: str) -> Fault | None:
    if is_live(db, host):
        return Fault("HOST_IS_LIVE", host)
    if not mode:
        return Fault("HOST_POWER_ON_MODE_DISABLED")
    return None if mode in POWER_ON_MODES else Fault("XENAPI_MISSING_PLUGIN", mode)


def refresh_host(db: Database, host: str) -> None:
    """host.allowed_operations anew."""
    db.set("host", host, allowed_operations=[op for op in HOST if host_refusal(db, host, op) is None])


# pool ----------------------------------------------------------------------------------------------------------------
def pool_refusal(db: Database, operation: str) -> Fault | None:
    """Why the pool does not allow it now, or None."""
    ref, record = pool_of(db)
    blocking = rules("pool")["blocking"]
    for task, other in record["current_operations"].items():
        if other in blocking:
            return Fault(blocking[other])
        return Fault("OTHER_OPERATION_IN_PROGRESS", "pool", ref, other, task)
    if record["is_psr_pending"]:
        return Fault("POOL_SECRET_ROTATION_PENDING")
    return _ha_refusal(record, operation) or _cluster_refusal(db, record, operation)


def _ha_refusal(record: dict[str, t.Any], operation: str) -> Fault | None:
    if operation in ("ha_enable", "tls_verification_enable") and record["ha_enabled"]:
        return Fault("HA_IS_ENABLED")
    if operation == "ha_disable" and not record["ha_enabled"]:
        return Fault("HA_NOT_ENABLED")
    return None


def _cluster_refusal(db: Database, record: dict[str, t.Any], operation: str) -> Fault | None:
    if operation in ("cluster_create", "tls_verification_enable") and upgrading(db):
        return Fault("NOT_SUPPORTED_DURING_UPGRADE")
    if operation == "cluster_create" and db.all("Cluster"):
        return Fault("CLUSTER_ALREADY_EXISTS")
    if operation == "cluster_create" and record["ha_enabled"]:
        return Fault("INCOMPATIBLE_CLUSTER_STACK_ACTIVE", record["ha_cluster_stack"])
    return None


def refresh_pool(db: Database) -> None:
    """pool.allowed_operations anew."""
    table = rules("pool")
    every = [*table["blocking"], *table["waiting"]]
    db.set("pool", pool_of(db)[0], allowed_operations=[op for op in every if pool_refusal(db, op) is None])


# running -------------------------------------------------------------------------------------------------------------
@contextlib.contextmanager
def running_on_host(call: Call, host: str, operation: str) -> t.Iterator[None]:
    """Raises why the host does not allow it; lists it in current_operations meanwhile."""
    db, task = call.db, call.task or new_ref()
    fault = host_refusal(db, host, operation)
    if fault:
        raise fault
    db.add_to_map("host", host, "current_operations", task, operation)
    refresh_host(db, host)
    try:
        yield
    finally:
        if db.exists("host", host):
            db.remove_from_map("host", host, "current_operations", task)
            refresh_host(db, host)


@contextlib.contextmanager
def running_in_pool(call: Call, operation: str) -> t.Iterator[None]:
    """Raises why the pool does not allow it; lists it in current_operations meanwhile."""
    db, task = call.db, call.task or new_ref()
    fault = pool_refusal(db, operation)
    if fault:
        raise fault
    ref = pool_of(db)[0]
    db.add_to_map("pool", ref, "current_operations", task, operation)
    refresh_pool(db)
    try:
        yield
    finally:
        db.remove_from_map("pool", ref, "current_operations", task)
        refresh_pool(db)
