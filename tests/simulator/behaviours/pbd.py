# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections of hosts to SRs. Rules: xen-api ocaml/xapi/xapi_pbd.ml."""

from __future__ import annotations

import typing as t

from .. import sr_operations, storage_attach
from ..errors import Fault
from ..hosts import at_host
from ..secrets_of import own
from . import message

if t.TYPE_CHECKING:
    from ..database import Database
    from ..dispatch import Call

INTERNAL_KEY = "SRmaster"


def refuse_internal_key(device_config: t.Mapping[str, str]) -> None:
    """Raises VALUE_NOT_SUPPORTED: xapi adds the key itself."""
    if INTERNAL_KEY in device_config:
        raise Fault("VALUE_NOT_SUPPORTED", INTERNAL_KEY, device_config[INTERNAL_KEY], "This key is for internal use only")


def make(db: Database, sr: str, host: str, device_config: t.Mapping[str, str], other_config: t.Mapping[str, str] | None = None) -> str:
    """An unplugged PBD with secrets of its own. Raises PBD_EXISTS [sr, host, pbd]."""
    for pbd in db.get("SR", sr)["PBDs"]:
        if db.get("PBD", pbd)["host"] == host:
            raise Fault("PBD_EXISTS", sr, host, pbd)
    made = db.create("PBD", SR=sr, host=host, device_config=own(db, device_config), other_config=dict(other_config or {}))
    sr_operations.refresh(db, sr)
    return made


@message("PBD.create")
def create(call: Call, record: dict[str, t.Any]) -> str:
    """Always unplugged."""
    call.db.get("host", record["host"])
    sr_operations.check(call.db, record["SR"], "pbd_create")
    refuse_internal_key(record["device_config"])
    return make(call.db, record["SR"], record["host"], record["device_config"], record["other_config"])


@message("PBD.plug")
def plug(call: Call, self: str) -> None:
    """A second time is fine."""
    record = call.db.get("PBD", self)
    machine = at_host(call, record["host"])
    with sr_operations.running(call, record["SR"], "plug"):
        storage_attach.attach(machine, self)


@message("PBD.unplug")
def unplug(call: Call, self: str) -> None:
    """A second time is fine; refused while HA needs it or a guest on the host uses a disk."""
    record = call.db.get("PBD", self)
    machine = at_host(call, record["host"])
    if not record["currently_attached"]:
        return
    with sr_operations.running(call, record["SR"], "unplug"):
        _refuse_for_ha(call.db, self)
        storage_attach.detach(machine, self)


def _refuse_for_ha(db: Database, pbd: str) -> None:
    pool = next(iter(db.all("pool").values()))
    if not pool["ha_enabled"]:
        return
    record = db.get("PBD", pbd)
    disks = set(db.get("SR", record["SR"])["VDIs"])
    protected = [vm for vm in db.all("VM").values() if vm["ha_always_run"] or vm["ha_restart_priority"] == "restart"]
    used = {db.get("VBD", vbd)["VDI"] for vm in protected for vbd in vm["VBDs"] if db.exists("VBD", vbd)}
    if db.get("host", record["host"])["enabled"] and not pool["ha_allow_overcommit"] and used & disks:
        raise Fault("HA_OPERATION_WOULD_BREAK_FAILOVER_PLAN")
    if disks & set(pool["ha_statefiles"]):
        raise Fault("HA_IS_ENABLED")


@message("PBD.destroy")
def destroy(call: Call, self: str) -> None:
    """Only unplugged; its secrets go with it."""
    record = call.db.get("PBD", self)
    sr_operations.check(call.db, record["SR"], "pbd_destroy")
    if record["currently_attached"]:
        raise Fault("OPERATION_NOT_ALLOWED", "PBD is currently attached")
    storage_attach.destroy_pbd(call.db, self)


@message("PBD.set_device_config")
def set_device_config(call: Call, self: str, value: dict[str, str]) -> None:
    """For the storage drivers only."""
    raise Fault("PERMISSION_DENIED", "")
