# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Another database becomes the pool's: what is checked, what is rewritten for the machine it comes to, what the next start makes of it.

Rules: xen-api ocaml/xapi/pool_db_backup.ml (restore_from_xml, prepare_database_for_restore), xapi_pif.ml (update_management_flags),
dbsync_master.ml (reset_vms_running_on_missing_hosts, release_locks).
"""

from __future__ import annotations

import typing as t

from . import dump_db, garbage, load_db, operations, power_states, vm_running
from . import networking as net
from .database import Database
from .errors import Fault, NotSimulated
from .modeltypes import NULL

if t.TYPE_CHECKING:
    from pathlib import Path

    from .database import Record
    from .world import Machine

FUSE = 30.0  # virtual seconds until the coordinator reboots (xen-api: ocaml/xapi/xapi_globs.ml, db_restore_fuse_time)
WAITING = "database_to_restore"  # in Machine.state: the next start takes it


def prepared(machine: Machine, body: bytes) -> Database:
    """The database as this coordinator would take it.

    Raises INTERNAL_ERROR for what is none, RESTORE_INCOMPATIBLE_VERSION, RESTORE_TARGET_MISSING_DEVICE [device],
    RESTORE_TARGET_MGMT_IF_NOT_IN_BACKUP [devices of the backup].
    """
    if not machine.is_coordinator:
        raise NotSimulated("PUT /pool/xmldbdump at a member")
    try:
        dump = load_db.parse(body)
        version = tuple(int(dump.manifest[f"schema_{part}_vsn"]) for part in ("major", "minor"))
    except load_db.NoDatabase as e:
        raise Fault("INTERNAL_ERROR", f"Xmlm.Error({e})") from e
    except (KeyError, ValueError) as e:
        raise Fault("INTERNAL_ERROR", "Not_found") from e
    if version != dump_db.version(machine.pool.db):
        raise Fault("RESTORE_INCOMPATIBLE_VERSION")
    db = Database(machine.world.schema)
    load_db.fill(db, dump)
    pool = next(iter(db.all("pool").values()))
    if not db.exists("host", pool["master"]):
        raise Fault("INTERNAL_ERROR", f"Db_exn.DBCache_NotFound(missing row;host;{pool['master']})")
    if pool["ha_enabled"]:
        raise NotSimulated("the restore of a database whose pool has HA")
    _rewrite(machine, db, pool["master"])
    return db


def _rewrite(machine: Machine, db: Database, master: str) -> None:
    """Only the coordinator's record stays, with this machine's identity and cards."""
    here = machine.pool.db
    for host in [ref for ref in db.all("host") if ref != master]:
        garbage.remove_host(db, host)
    db.set("host", master, uuid=machine.host_record()["uuid"])
    mine, its = (held.get("host", host)["control_domain"] for held, host in ((here, machine.host_ref), (db, master)))
    if here.exists("VM", mine) and db.exists("VM", its):
        db.set("VM", its, uuid=here.get("VM", mine)["uuid"])
    _cards(db, master, [here.get("PIF", pif) for pif in machine.host_record()["PIFs"]], _management(here, machine.host_ref))


def _management(db: Database, host: str) -> Record | None:
    found = net.management_pif(db, host)
    return db.get("PIF", found) if found else None


def _cards(db: Database, master: str, present: t.Iterable[Record], management: Record | None) -> None:
    """MAC addresses follow the device; the management interface stays what it is on this machine."""
    by_device: dict[str, str] = {}
    for record in present:
        if record["physical"]:
            by_device.setdefault(record["device"], record["MAC"])
    known: list[str] = []
    found = False
    for pif in list(db.get("host", master)["PIFs"]):
        record = db.get("PIF", pif)
        known.insert(0, record["device"])
        manages = management is not None and record["device"] == management["device"]
        found = found or manages
        db.set("PIF", pif, management=manages)
        if record["physical"]:
            if record["device"] not in by_device:
                raise Fault("RESTORE_TARGET_MISSING_DEVICE", record["device"])
            db.set("PIF", pif, MAC=by_device[record["device"]])
    if management and not found:
        raise Fault("RESTORE_TARGET_MGMT_IF_NOT_IN_BACKUP", *known)
    _one_management(db, master, management)


def _one_management(db: Database, master: str, management: Record | None) -> None:
    """VLANs have the device of their card: the flag stays with one interface, the one with the same tag."""
    flagged = [pif for pif in db.get("host", master)["PIFs"] if db.get("PIF", pif)["management"]]
    kept = [pif for pif in flagged if management and db.get("PIF", pif)["VLAN"] == management["VLAN"]] or flagged
    for pif in flagged:
        db.set("PIF", pif, management=pif == kept[0])


# until the next start ------------------------------------------------------------------------------------------------
def _place(machine: Machine) -> Path:
    return machine.world.folder / f"restored-{machine.name}.xml"


def put_aside(machine: Machine, db: Database) -> None:
    """Waits for the next start; one that waits already is replaced."""
    _place(machine).write_text(dump_db.dump(db), encoding="utf-8")
    machine.state[WAITING] = True


def take_effect(machine: Machine, *, rebooted: bool) -> None:
    """The toolstack starts with the database that waits, if one does. Machines it does not know are out of the pool, and off."""
    if not machine.state.pop(WAITING, False):
        return
    pool, world = machine.pool, machine.world
    for other in [one for one in pool.machines if one is not machine]:
        if other.power == "on":
            other.go_down()
        other.power = "off"
    db, place = pool.db, _place(machine)
    db.clear()
    load_db.fill(db, load_db.parse(place.read_bytes()))
    place.unlink()
    machine.host_ref = pool.pool["master"]
    db.set("host", machine.host_ref, address=machine.address)
    for vm in list(db.all("VM")):
        _settle(db, vm, machine.host_ref if rebooted else NULL)
    for vm in list(db.all("VM")):
        vm_running.refresh(db, vm)
    operations.refresh_pool(db)
    if machine.endpoint:
        machine.endpoint.show()
    world.save()


def _settle(db: Database, vm: str, here: str) -> None:
    """Guests of hosts that are gone, and of this one, which has booted, do not run."""
    record = db.get("VM", vm)
    if record["is_control_domain"]:
        return
    gone = record["power_state"] == "Running" and not db.exists("host", record["resident_on"])
    if gone or (record["resident_on"] == here != NULL):
        power_states.to_halted(db, vm)
    db.set("VM", vm, scheduled_to_be_resident_on=NULL)
