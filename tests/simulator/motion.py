# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a VM can move with its disks, in the pool or to another one; checks in xapi's order (xen-api: ocaml/xapi/xapi_vm_migrate.ml)."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from . import evacuation, memory, placement, sr_operations
from . import networking as net
from .dispatch import Call
from .errors import Fault
from .modeltypes import NULL
from .vm_operations import LIVE
from .vm_records import MAC_SEED

if t.TYPE_CHECKING:
    from .database import Database, Record
    from .world import Machine

MOST_AT_ONCE = 3
LIMITED_BEFORE = "7.1"  # product_version
NEEDED_THERE = ("VDI_SNAPSHOT", "VDI_MIRROR_IN")
NEEDED_HERE = ("VDI_SNAPSHOT", "VDI_MIRROR")
IMPLIED = {"VDI_MIRROR_IN": "VDI_MIRROR"}  # a driver that has the one has the other


@dataclass(frozen=True)
class Target:
    """Where a VM goes: a host, and a way to call its pool."""

    call: Call
    host: str
    crossing: bool

    @property
    def db(self) -> Database:
        """That pool's objects."""
        return self.call.db

    @property
    def machine(self) -> Machine:
        """The machine the VM will be on."""
        return self.call.world.machine_of(self.call.pool, self.host)


@dataclass(frozen=True)
class Options:
    """What VM.migrate_send was asked for; ``disks``, ``networks`` and ``graphics`` are its maps."""

    disks: dict[str, str]
    networks: dict[str, str]
    graphics: dict[str, str] = field(default_factory=dict)
    force: bool = False
    copy: bool = False


def target_of(call: Call, dest: t.Mapping[str, str]) -> Target:
    """What host.migrate_receive described. Raises VM_MIGRATE_CONTACT_REMOTE_SERVICE_FAILED, SESSION_INVALID, HANDLE_INVALID."""
    if not {"master", "session_id", "host"} <= set(dest):
        raise Fault("INTERNAL_ERROR", "Not_found")
    machine = call.world.machine_at(urlsplit(dest["master"]).hostname or "")
    if machine is None or machine.power != "on":
        raise Fault("VM_MIGRATE_CONTACT_REMOTE_SERVICE_FAILED")
    there = Call(call.world, machine, dest["session_id"], call.method)
    if not there.db.exists("session", dest["session_id"]):
        raise Fault("SESSION_INVALID", dest["session_id"])
    there.db.get("host", dest["host"])
    return Target(there, dest["host"], there.pool is not call.pool)


def check(call: Call, vm: str, target: Target, wanted: Options) -> dict[str, str]:
    """Where each of the VM's disks goes. Raises the first reason why the VM can't go there."""
    if call.pool.pool["restrictions"].get("restrict_storage_xen_motion") == "true":
        raise Fault("LICENCE_RESTRICTION", "Storage_motion")
    disks = map_disks(call, vm, target, wanted)
    _check_snapshots(call, vm)
    moved = {vdi: sr for vdi, sr in disks.items() if target.crossing or call.db.get("VDI", vdi)["SR"] != sr}
    if target.crossing:
        _check_crossing(call, vm, target, wanted, moved)
    else:
        _check_inside(call, vm, target, wanted, moved)
    for vdi in moved:
        _check_disk(call.db, vdi)
    return moved


def _check_snapshots(call: Call, vm: str) -> None:
    """Before 7.1 at most one snapshot, without memory: VM_HAS_CHECKPOINT [vm], VM_HAS_TOO_MANY_SNAPSHOTS [vm]."""
    version = call.machine.host_record()["software_version"].get("product_version", "")
    if not version or evacuation.as_numbers(version) >= evacuation.as_numbers(LIMITED_BEFORE):
        return
    snapshots = call.db.get("VM", vm)["snapshots"]
    if len(snapshots) > 1:
        raise Fault("VM_HAS_TOO_MANY_SNAPSHOTS", vm)
    if any(call.db.get("VM", snapshot)["power_state"] == "Suspended" for snapshot in snapshots):
        raise Fault("VM_HAS_CHECKPOINT", vm)


# disks ---------------------------------------------------------------------------------------------------------------
def disks_of(db: Database, vm: str) -> list[str]:
    """The VDIs of its drives, discs left out."""
    vbds = (db.get("VBD", vbd) for vbd in db.get("VM", vm)["VBDs"])
    return [vbd["VDI"] for vbd in vbds if vbd["type"] != "CD" and not vbd["empty"] and db.exists("VDI", vbd["VDI"])]


def family(db: Database, vm: str) -> list[str]:
    """The VM and its snapshots."""
    return [vm, *db.get("VM", vm)["snapshots"]]


def visible(db: Database, sr: str, host: str) -> bool:
    """Whether the host has the storage attached."""
    return bool(db.find("PBD", SR=sr, host=host, currently_attached=True))


def map_disks(call: Call, vm: str, target: Target, wanted: Options) -> dict[str, str]:
    """The SR of each disk of the VM, its snapshots and its image. Raises VDI_NOT_IN_MAP [vdi]."""
    db, out = call.db, {}
    for vdi in disks_of(db, vm):
        out[vdi] = wanted.disks.get(vdi) or _stays(db, vdi, target) or ""
        if not out[vdi]:
            raise Fault("VDI_NOT_IN_MAP", vdi)
    default = next(iter([*wanted.disks.values(), *out.values()]), "")
    others = [vdi for snapshot in db.get("VM", vm)["snapshots"] if not wanted.copy for vdi in disks_of(db, snapshot)]
    images = [db.get("VM", one)["suspend_VDI"] for one in family(db, vm)]
    for vdi in (*others, *(image for image in images if db.exists("VDI", image))):
        near = out.get(db.get("VDI", vdi)["snapshot_of"])
        found = out.get(vdi) or wanted.disks.get(vdi) or near or _stays(db, vdi, target) or default
        if not found:
            raise Fault("VDI_NOT_IN_MAP", vdi)
        out[vdi] = found
    for sr in out.values():
        target.db.get("SR", sr)
        if not visible(target.db, sr, target.host):
            raise Fault("SR_NOT_ATTACHED", sr)
    return out


def _stays(db: Database, vdi: str, target: Target) -> str:
    """A disk in storage the target host has needs no place in the map, if it is the pool's own host."""
    sr = str(db.get("VDI", vdi)["SR"])
    return sr if not target.crossing and visible(db, sr, target.host) else ""


def _check_disk(db: Database, vdi: str) -> None:
    record = db.get("VDI", vdi)
    if record["cbt_enabled"]:
        raise Fault("VDI_CBT_ENABLED", vdi)
    if "key_hash" in record["sm_config"]:
        raise Fault("VDI_IS_ENCRYPTED", vdi)
    if record["on_boot"] == "reset":
        raise Fault("VDI_ON_BOOT_MODE_INCOMPATIBLE_WITH_OPERATION")


def _check_storage(call: Call, target: Target, moved: t.Mapping[str, str]) -> None:
    """Raises SR_DOES_NOT_SUPPORT_MIGRATION [sr, what it lacks] for either end."""
    for vdi, sr in moved.items():
        for db, one, needed in ((call.db, call.db.get("VDI", vdi)["SR"], NEEDED_HERE), (target.db, sr, NEEDED_THERE)):
            has = sr_operations.features(db, db.get("SR", one)["type"])
            lacking = [name for name in needed if name not in has and IMPLIED.get(name) not in has]
            if lacking:
                raise Fault("SR_DOES_NOT_SUPPORT_MIGRATION", one, ", ".join(lacking))


# inside of a pool ----------------------------------------------------------------------------------------------------
def _check_inside(call: Call, vm: str, target: Target, wanted: Options, moved: t.Mapping[str, str]) -> None:
    db = call.db
    source = db.get("VM", vm)["resident_on"]
    if evacuation.is_older(db, target.host, source if source != NULL else call.pool.pool["master"]):
        raise Fault("NOT_SUPPORTED_DURING_UPGRADE")
    _check_storage(call, target, moved)
    fault = placement.refusal(db, vm, target.host, with_storage=False, with_features=not wanted.force)
    if fault:
        raise fault
    if wanted.networks:
        raise Fault("OPERATION_NOT_ALLOWED", "VIF mapping is not supported for intra-pool migration")


# to another pool -----------------------------------------------------------------------------------------------------
def _check_crossing(call: Call, vm: str, target: Target, wanted: Options, moved: t.Mapping[str, str]) -> None:
    record = call.db.get("VM", vm)
    _check_version(call, vm, record, target)
    _check_storage(call, target, moved)
    _check_host(vm, record, target, wanted)
    for one in [vm] if wanted.copy else family(call.db, vm):
        for vif in call.db.get("VM", one)["VIFs"]:
            target.db.get("network", network_for(call.db, vm, vif, wanted))
    for group in wanted.graphics.values():
        target.db.get("GPU_group", group)
    _dry_run(record, target, wanted)
    if record["power_state"] in LIVE:
        _check_arrival(call, vm, record, target, wanted)


def _check_version(call: Call, vm: str, record: Record, target: Target) -> None:
    there = target.db.get("host", target.host)["software_version"]
    source = record["resident_on"] if record["resident_on"] != NULL else call.pool.pool["master"]
    if evacuation.older(there, call.db.get("host", source)["software_version"]):
        raise Fault("VM_HOST_INCOMPATIBLE_VERSION_MIGRATE", vm, target.host)


def _check_host(vm: str, record: Record, target: Target, wanted: Options) -> None:
    there = target.db.get("host", target.host)
    if wanted.copy and not wanted.force and record["power_state"] != "Halted":
        raise Fault("VM_BAD_POWER_STATE", vm, "halted", record["power_state"].lower())
    fault = evacuation.lacks_platform(record, vm, there, target.host)
    if fault:
        raise fault
    if not there["enabled"]:
        raise Fault("HOST_DISABLED", target.host)
    fault = None if wanted.force else evacuation.lacks_features(record, vm, there, target.host)
    if fault:
        raise fault
    cpus = int(there["cpu_info"].get("cpu_count", "0"))
    if cpus and record["VCPUs_at_startup"] > cpus and record["platform"].get("vcpu-unrestricted") != "true":
        raise Fault("HOST_NOT_ENOUGH_PCPUS", str(record["VCPUs_at_startup"]), str(cpus))


def network_for(db: Database, vm: str, vif: str, wanted: Options) -> str:
    """Where a card goes; a snapshot's goes with the VM's of the same address. Raises VIF_NOT_IN_MAP [vif]."""
    if vif in wanted.networks:
        return wanted.networks[vif]
    mac = db.get("VIF", vif)["MAC"]
    for own in db.get("VM", vm)["VIFs"]:
        if own in wanted.networks and db.get("VIF", own)["MAC"] == mac and own != vif:
            return wanted.networks[own]
    raise Fault("VIF_NOT_IN_MAP", vif)


def _dry_run(record: Record, target: Target, wanted: Options) -> None:
    """What the import there would say (xen-api: ocaml/xapi/import.ml)."""
    if wanted.copy:
        return
    seed = record["other_config"].get(MAC_SEED)
    for other in target.db.all("VM").values():
        if other["uuid"] != record["uuid"] and seed and other["other_config"].get(MAC_SEED) == seed and not other["is_a_snapshot"]:
            raise Fault("DUPLICATE_MAC_SEED", seed)
    for other_vm in target.db.find("VM", uuid=record["uuid"]):
        version = target.db.get("VM", other_vm)["version"]
        raise Fault("VM_TO_IMPORT_IS_NOT_NEWER_VERSION", other_vm, str(version), str(record["version"]))


def _check_arrival(call: Call, vm: str, record: Record, target: Target, wanted: Options) -> None:
    """A running guest needs its memory and its networks on that very host."""
    needed, available = memory.need(call.db, vm), memory.free(target.db, target.host)
    if needed > available:
        raise Fault("HOST_NOT_ENOUGH_FREE_MEMORY", str(needed), str(available))
    for vif in record["VIFs"]:
        network = network_for(call.db, vm, vif, wanted)
        if target.db.get("network", network)["PIFs"] and not net.pif_on(target.db, target.host, network):
            raise Fault("HOST_CANNOT_ATTACH_NETWORK", target.host, network)


def refuse_crowd(call: Call, vm: str) -> None:
    """Raises TOO_MANY_STORAGE_MIGRATES ["3"] where the host moves as many disks as it may."""
    db = call.db
    host = db.get("VM", vm)["resident_on"]
    moving = [ref for ref, other in db.all("VM").items() if "migrate_send" in other["current_operations"].values() and ref != vm]
    if sum(db.get("VM", ref)["resident_on"] == host for ref in moving) >= MOST_AT_ONCE:
        raise Fault("TOO_MANY_STORAGE_MIGRATES", str(MOST_AT_ONCE))
