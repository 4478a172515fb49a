# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""High availability on and off. Rules: xen-api ocaml/xapi/xapi_ha.ml, xha_statefile.ml, xapi_pool.ml."""

from __future__ import annotations

import typing as t

from .. import failover, operations
from ..errors import Fault
from ..hosts import alert, is_live
from ..modeltypes import NULL
from . import message

if t.TYPE_CHECKING:
    from ..database import Database
    from ..dispatch import Call

MIB = 1 << 20
STATEFILE = {"name_label": "Statefile for HA", "name_description": "Used for storage heartbeating", "type": "ha_statefile"}
REDO_LOG = {"name_label": "Metadata for HA", "name_description": "Used for master failover", "type": "redo_log"}
SIZES = {"ha_statefile": 4 * MIB, "redo_log": 256 * MIB}
HOST_SECONDS = 3  # virtual seconds for each host to form the liveset
PRIORITIES = ("restart", "best-effort", "")
DEFAULT_STACK = "xhad"


@message("pool.enable_ha")
def enable_ha(call: Call, heartbeat_srs: list[str], configuration: dict[str, str]) -> None:
    """The first of the SRs takes the statefile; with none given one that can is chosen."""
    db = call.db
    if operations.upgrading(db):
        raise Fault("NOT_SUPPORTED_DURING_UPGRADE")
    with operations.running_in_pool(call, "ha_enable"):
        _check_hosts(call)
        candidates = heartbeat_srs or [sr for sr in db.all("SR") if _statefile_fault(db, sr) is None]
        if not candidates:
            raise Fault("CANNOT_CREATE_STATE_FILE")
        fault = _statefile_fault(db, candidates[0])
        if fault:
            raise fault
        statefile, log = _find_or_create(call, candidates[0], STATEFILE), _find_or_create(call, candidates[0], REDO_LOG)
        for number, _host in enumerate(db.all("host"), 1):
            call.sleep(HOST_SECONDS)
            call.progress(number / len(db.all("host")))
        _switch_on(db, call.pool.pool_ref, [statefile, log], configuration)


def _check_hosts(call: Call) -> None:
    db = call.db
    down = [ref for ref, pif in db.all("PIF").items() if pif["disallow_unplug"] and not pif["currently_attached"]]
    if down:
        raise Fault("REQUIRED_PIF_IS_UNPLUGGED", *down)
    _warn_of_loose_interfaces(call)
    for host in db.all("host"):
        if not is_live(db, host):
            raise Fault("HOST_OFFLINE", host)


def _warn_of_loose_interfaces(call: Call) -> None:
    """A storage interface that anybody may unplug is a risk, not an error."""
    db = call.db
    loose = [p for p in db.all("PIF").values() if p["ip_configuration_mode"] != "None" and not (p["disallow_unplug"] or p["management"])]
    if loose:
        named = [f"{db.get('host', p['host'])['name_label']}: {p['device']} (uuid: {p['uuid']})" for p in loose]
        text = "\n".join(["Interfaces with an address that may be unplugged:", *named])
        alert(db, call.world.clock.iso(), "IP_CONFIGURED_PIF_CAN_UNPLUG", "Pool", call.pool.pool["uuid"], text)


def _statefile_fault(db: Database, sr: str) -> Fault | None:
    """Why the SR can't hold the statefile, or None: a plugged PBD on every host, a driver that can attach early, and room."""
    record = db.get("SR", sr)
    pbds = [db.get("PBD", pbd) for pbd in record["PBDs"]]
    if {pbd["host"] for pbd in pbds} != set(db.all("host")) or not all(pbd["currently_attached"] for pbd in pbds):
        return Fault("SR_HAS_NO_PBDS", sr)
    drivers = db.find("SM", type=record["type"])
    features = db.get("SM", drivers[0])["features"] if drivers else {}
    if not features.keys() & {"VDI_GENERATE_CONFIG", "VDI_ATTACH_OFFLINE"}:
        return Fault("SR_OPERATION_NOT_SUPPORTED", sr)
    present = {db.get("VDI", vdi)["type"] for vdi in record["VDIs"]}
    if SIZES.keys() - present and record["physical_size"] - record["physical_utilisation"] < sum(SIZES.values()):
        return Fault("SR_SOURCE_SPACE_INSUFFICIENT", sr)
    return None


def _find_or_create(call: Call, sr: str, what: dict[str, str]) -> str:
    for vdi in call.db.get("SR", sr)["VDIs"]:
        if call.db.get("VDI", vdi)["type"] == what["type"]:
            return str(vdi)
    record = {
        **what, "SR": sr, "virtual_size": SIZES[what["type"]], "sharable": True, "read_only": False, "other_config": {},
        "xenstore_data": {}, "sm_config": {"type": "raw"}, "tags": [],
    }  # fmt: skip
    return str(call.call("VDI.create", record))


def _switch_on(db: Database, pool: str, vdis: list[str], configuration: dict[str, str]) -> None:
    hosts = [host["uuid"] for host in db.all("host").values()]
    db.set("pool", pool, ha_enabled=True, ha_statefiles=vdis[:1], ha_configuration=configuration, ha_cluster_stack=DEFAULT_STACK)
    for host in db.all("host"):
        db.set("host", host, ha_statefiles=vdis[:1], ha_network_peers=hosts)
    failover.update_pool(db)


@message("pool.disable_ha")
def disable_ha(call: Call) -> None:
    """The statefile stays for the next time."""
    db = call.db
    with operations.running_in_pool(call, "ha_disable"):
        db.set("pool", call.pool.pool_ref, ha_enabled=False, ha_statefiles=[], ha_overcommitted=False, ha_plan_exists_for=0)
        for host in db.all("host"):
            db.set("host", host, ha_statefiles=[], ha_network_peers=[])


@message("pool.set_ha_host_failures_to_tolerate")
def set_ha_host_failures_to_tolerate(call: Call, self: str, value: int) -> None:
    """A number for which there is no plan is refused while there is one."""
    db = call.db
    if value < 0:
        raise Fault("INVALID_VALUE", "ha_host_failures_to_tolerate", str(value))
    pool = db.get("pool", self)
    keeps_plan = failover.plan_exists(db, value, failover.protected(db))
    if pool["ha_enabled"] and pool["ha_plan_exists_for"] > 0 and not pool["ha_allow_overcommit"] and not keeps_plan:
        raise Fault("HA_OPERATION_WOULD_BREAK_FAILOVER_PLAN")
    db.set("pool", self, ha_host_failures_to_tolerate=value)
    failover.update_pool(db)


@message("pool.ha_failover_plan_exists")
def ha_failover_plan_exists(call: Call, n: int) -> bool:
    """For the VMs protected now."""
    vms = failover.protected(call.db)
    return all(failover.is_agile(call.db, vm) for vm in vms) and failover.plan_exists(call.db, n, vms)


@message("pool.ha_compute_max_host_failures_to_tolerate")
def ha_compute_max_host_failures_to_tolerate(call: Call) -> int:
    """Notes it in the pool while HA is on."""
    if call.pool.pool["ha_enabled"]:
        failover.update_pool(call.db)
    return failover.most_failures(call.db)


@message("pool.ha_compute_hypothetical_max_host_failures_to_tolerate")
def ha_compute_hypothetical_max(call: Call, configuration: dict[str, str]) -> int:
    """With other restart priorities."""
    for priority in configuration.values():
        if priority not in PRIORITIES:
            raise Fault("INVALID_VALUE", "ha_restart_priority", priority)
    return failover.most_failures(call.db, [vm for vm, priority in configuration.items() if priority == "restart"])


@message("pool.ha_compute_vm_failover_plan")
def ha_compute_vm_failover_plan(call: Call, failed_hosts: list[str], failed_vms: list[str]) -> dict[str, dict[str, str]]:
    """For each VM the host it would start on, or the code of the error that keeps it down."""
    db = call.db
    live = [host for host in db.all("host") if is_live(db, host) and host not in failed_hosts]
    agile = [vm for vm in failed_vms if failover.is_agile(db, vm)]
    placed = failover.place(db, agile, live)
    errors = {vm: "HOST_NOT_ENOUGH_FREE_MEMORY" if vm in agile else "HA_CONSTRAINT_VIOLATION_SR_NOT_SHARED" for vm in failed_vms}
    return {vm: {"host": placed[vm]} if vm in placed else {"error_code": errors[vm]} for vm in failed_vms}


@message("pool.ha_prevent_restarts_for")
def ha_prevent_restarts_for(call: Call, seconds: int) -> None:
    """Raises HA_NOT_ENABLED."""
    if not call.pool.pool["ha_enabled"]:
        raise Fault("HA_NOT_ENABLED")


@message("pool.enable_redo_log")
def enable_redo_log(call: Call, sr: str) -> None:
    """The database's changes also go to a disk on a shared SR."""
    pool = call.pool.pool
    if pool["ha_enabled"]:
        raise Fault("HA_IS_ENABLED")
    if pool["redo_log_enabled"]:
        raise Fault("REDO_LOG_IS_ENABLED")
    fault = _statefile_fault(call.db, sr)
    if fault:
        raise fault
    call.db.set("pool", call.pool.pool_ref, redo_log_enabled=True, redo_log_vdi=_find_or_create(call, sr, REDO_LOG))


@message("pool.disable_redo_log")
def disable_redo_log(call: Call) -> None:
    """Its disk stays."""
    if call.pool.pool["ha_enabled"]:
        raise Fault("HA_IS_ENABLED")
    call.db.set("pool", call.pool.pool_ref, redo_log_enabled=False, redo_log_vdi=NULL)
