# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Migration inside a pool and out of it. Rules: xen-api ocaml/xapi/xapi_vm_migrate.ml, message_forwarding.ml, xapi_host.ml, xapi_vdi.ml."""

from __future__ import annotations

import typing as t

from .. import migration, motion, vdi_operations, vm_operations
from .. import networking as net
from ..errors import Fault
from ..modeltypes import NULL
from ..motion_steps import Journey
from ..vm_running import running
from . import message

if t.TYPE_CHECKING:
    from ..dispatch import Call

Map = dict[str, str]


@message("VM.pool_migrate")
def pool_migrate(call: Call, vm: str, host: str, options: Map) -> None:
    """To a host of the pool, its own among them; storage and networks must be there already."""
    strict = options.get("force") != "true"
    call.db.get("host", host)
    with running(call, vm, "pool_migrate", strict=strict) as task:
        migration.check(call, vm, host, options)
        migration.relocate(call, vm, host, task)


# with disks ----------------------------------------------------------------------------------------------------------
@message("host.migrate_receive")
def migrate_receive(call: Call, host: str, network: str, options: Map) -> Map:
    """How to reach a host that is to take a VM, over one of its networks; holds a session of its own.

    Raises HOST_CANNOT_ATTACH_NETWORK [host, network], PIF_HAS_NO_NETWORK_CONFIGURATION [pif], INTERFACE_HAS_NO_IP [pif].
    """
    db = call.db
    db.get("host", host)
    db.get("network", network)
    pif = net.pif_on(db, host, network)
    if not pif:
        raise Fault("HOST_CANNOT_ATTACH_NETWORK", host, network)
    record = db.get("PIF", pif)
    if record["ip_configuration_mode"] == "None":
        raise Fault("PIF_HAS_NO_NETWORK_CONFIGURATION", pif)
    if not record["IP"]:
        raise Fault("INTERFACE_HAS_NO_IP", pif)
    now = call.world.clock.iso()
    session = db.create(
        "session", this_host=host, last_active=now, validation_time=now, is_local_superuser=True, auth_user_name="", originator="xapi",
    )  # fmt: skip
    services = f"http://{record['IP']}/services"
    return {
        "SM": f"{services}/SM?session_id={session}", "host": host, "xenops": f"{services}/xenops?session_id={session}",
        "session_id": session, "master": f"http://{call.pool.coordinator.address}/",
    }  # fmt: skip


def _options(disks: Map, networks: Map, graphics: Map, options: Map) -> motion.Options:
    return motion.Options(disks, networks, graphics, force=options.get("force") == "true", copy=options.get("copy") == "true")


@message("VM.assert_can_migrate")
def assert_can_migrate(call: Call, vm: str, dest: Map, live: bool, vdi_map: Map, vif_map: Map, options: Map, vgpu_map: Map) -> None:
    """Raises the first reason why the VM can't go there."""
    wanted = _options(vdi_map, vif_map, vgpu_map, options)
    vm_operations.check(call.db, vm, "migrate_send", strict=not wanted.force)
    motion.check(call, vm, motion.target_of(call, dest), wanted)


@message("VM.migrate_send")
def migrate_send(
    call: Call, vm: str, dest: Map, live: bool, vdi_map: Map, vif_map: Map, options: Map, vgpu_map: Map, vdi_format_map: Map
) -> str:
    """The VM with its disks, to another host, other storage or another pool."""
    wanted = _options(vdi_map, vif_map, vgpu_map, options)
    call.db.get("VM", vm)
    with running(call, vm, "migrate_send", strict=not wanted.force) as task:
        target = motion.target_of(call, dest)
        moved = motion.check(call, vm, target, wanted)
        motion.refuse_crowd(call, vm)
        return Journey(call, vm, target, wanted, moved).run(task)


@message("VDI.pool_migrate")
def vdi_pool_migrate(call: Call, vdi: str, sr: str, options: Map) -> str:
    """One disk of a VM to other storage of its host; the new disk."""
    db = call.db
    record = db.get("VDI", vdi)
    db.get("SR", sr)
    users = [db.get("VBD", vbd)["VM"] for vbd in record["VBDs"]]
    guests = [vm for vm in users if db.exists("VM", vm) and not db.get("VM", vm)["is_a_snapshot"]]
    if not guests:
        raise Fault("VDI_NEEDS_VM_FOR_MIGRATE", vdi)
    if record["type"] == "cbt_metadata":
        raise Fault("VDI_INCOMPATIBLE_TYPE", vdi, vdi_operations.type_name("cbt_metadata"))
    if record["cbt_enabled"]:
        raise Fault("VDI_CBT_ENABLED", vdi)
    vm = guests[0]
    with running(call, vm, "migrate_send") as task:
        others = {db.get("VDI", other)["SR"] for other in motion.disks_of(db, vm) if other != vdi}
        target = motion.Target(call, _host_for(call, vm, {sr, *others}), crossing=False)
        moved = motion.check(call, vm, target, motion.Options({vdi: sr}, {}))
        if vdi not in moved:
            return vdi
        motion.refuse_crowd(call, vm)
        journey = Journey(call, vm, target, motion.Options({vdi: sr}, {}), moved)
        journey.run(task)
        return journey.made[vdi]


def _host_for(call: Call, vm: str, storage: set[str]) -> str:
    """A host that has all the storage: the guest's own or the coordinator if possible. Raises NO_HOSTS_AVAILABLE."""
    host = call.db.get("VM", vm)["resident_on"]
    own = host if host != NULL else call.pool.pool["master"]
    for one in (own, *call.db.all("host")):
        if all(motion.visible(call.db, sr, one) for sr in storage):
            return str(one)
    raise Fault("NO_HOSTS_AVAILABLE")
