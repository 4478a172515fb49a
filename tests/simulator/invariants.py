# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What must hold in every pool at any time; each breach in one sentence."""

from __future__ import annotations

import typing as t
from collections import Counter

from .modeltypes import NULL, Type

if t.TYPE_CHECKING:
    from .database import Database
    from .schema import Schema
    from .world import Pool, World

Breaches = t.Iterator[str]
# ends that may be missing without anybody's fault: what has not happened yet, what is empty, what was there once
_MAY_DANGLE = {
    "VBD": ("VDI",),
    "VM": ("snapshot_of", "parent", "resident_on", "protection_policy", "snapshot_schedule", "appliance"),
    "VDI": ("snapshot_of", "metadata_of_pool"),
    "SR": ("introduced_by",),
    "PIF": ("bond_slave_of",),
    "task": ("session", "subtask_of"),
    "crashdump": ("VDI",),
    "PCI": ("physical_function",),
    "Caller": ("rate_limit",),
    "PUSB": ("USB_group",),
    "VGPU": ("resident_on", "type"),
    "PGPU": ("GPU_group",),
    "Certificate": ("host",),
}
_NATIVE = {"string": str, "int": int, "float": float, "bool": bool, "datetime": str, "ref": str, "enum": str, "set": list, "map": dict}


def check(world: World) -> list[str]:
    """Everything that is wrong at this moment, nothing if all is well."""
    with world.lock:
        out = list(_machines(world))
        for pool in world.pools:
            for part in (_pool, _references, _uuids, _interfaces, _vlans, _bonds, _storage, _guests, _memory):
                out += [f"{pool.name}: {breach}" for breach in part(pool)]
            out += [f"{pool.name}: {breach}" for breach in _types(pool.db, world.schema)]
        return out + list(_disks(world))


def _disks(world: World) -> Breaches:
    """Data belongs to a disk, and what a disk stands on is there."""
    held = world.shelf.names()
    known = {vdi["location"] for pool in world.pools for vdi in pool.db.all("VDI").values()}
    for place in world.storage.places():
        known |= {place.path, *place.contents.values()}
        for repository in place.repositories.values():
            known |= set(repository.disks)
            for disk in repository.disks.values():
                parent = disk.sm_config.get("vhd-parent")
                if parent and parent not in repository.disks and disk.location in held:
                    yield f"disk {disk.location} stands on {parent}, which is gone"
    for name in sorted(held - known):
        yield f"there is data of {name}, which is no disk"


def _machines(world: World) -> Breaches:
    for machine in world.machines.values():
        if machine.pool not in world.pools:
            yield f"machine {machine.name} is in a pool that is gone"
        elif not machine.pool.db.exists("host", machine.host_ref) and machine.power == "on":
            yield f"machine {machine.name} answers but is no host of its pool"


def _pool(pool: Pool) -> Breaches:
    db = pool.db
    if len(db.all("pool")) != 1:
        yield f"{len(db.all('pool'))} pool objects"
        return
    if not db.exists("host", pool.pool["master"]):
        yield "the pool has no coordinator"
    for ref, host in db.all("host").items():
        live = db.all("host_metrics").get(host["metrics"], {}).get("live", True)
        if live and not any(m.host_ref == ref for m in pool.machines):
            yield f"host {host['name_label']} has no machine"
        if not db.exists("host_metrics", host["metrics"]):
            yield f"host {host['name_label']} has no metrics"


def _references(pool: Pool) -> Breaches:
    """The one side exists, and the many side holds exactly those that name it."""
    db = pool.db
    for cls, field, other, back in db.schema.relations:
        fields = db.schema.classes[cls].fields
        if field not in fields or fields[field].type.kind != "ref" or back not in db.schema.classes[other].fields:
            continue
        held: dict[str, set[str]] = {ref: set() for ref in db.all(other)}
        for ref, record in db.all(cls).items():
            if record[field] in held:
                held[record[field]].add(ref)
            elif field not in _MAY_DANGLE.get(cls, ()):
                yield f"{cls} {record.get('uuid', ref)}: {field} leads nowhere ({record[field]})"
        for ref, expected in held.items():
            if set(db.get(other, ref)[back]) != expected:
                yield f"{other} {ref}: {back} does not hold what names it"


def _uuids(pool: Pool) -> Breaches:
    for cls, table in pool.db.tables.items():
        for uuid, times in Counter(r["uuid"] for r in table.values() if r.get("uuid")).items():
            if times > 1:
                yield f"{times} objects of class {cls} have the uuid {uuid}"


def _interfaces(pool: Pool) -> Breaches:
    db = pool.db
    keys = Counter((r["host"], r["device"], r["VLAN"]) for r in db.all("PIF").values() if not r["tunnel_access_PIF_of"])
    places = Counter((r["host"], r["network"]) for r in db.all("PIF").values())
    for (host, device, vlan), times in keys.items():
        if times > 1:
            yield f"{times} PIFs for {device} VLAN {vlan} of {_name(db, host)}"
    for (host, network), times in places.items():
        if times > 1:
            yield f"{times} PIFs of {_name(db, host)} on network {db.all('network').get(network, {}).get('name_label', network)}"
    for ref, host in db.all("host").items():
        management = db.find("PIF", host=ref, management=True)
        if len(management) > 1:
            yield f"{host['name_label']} has {len(management)} management interfaces"
    for bridge, times in Counter(r["bridge"] for r in db.all("network").values() if r["bridge"]).items():
        if times > 1:
            yield f"{times} networks have the bridge {bridge}"


def _name(db: Database, host: str) -> str:
    return str(db.all("host").get(host, {}).get("name_label", host))


def _vlans(pool: Pool) -> Breaches:
    db = pool.db
    for ref, vlan in db.all("VLAN").items():
        above, below = db.all("PIF").get(vlan["untagged_PIF"]), db.all("PIF").get(vlan["tagged_PIF"])
        if above is None or below is None:
            yield f"VLAN {vlan['uuid']} lacks one of its PIFs"
        elif (above["VLAN"], above["VLAN_master_of"], above["host"]) != (vlan["tag"], ref, below["host"]):
            yield f"VLAN {vlan['uuid']} and its PIF disagree"


def _bonds(pool: Pool) -> Breaches:
    db = pool.db
    for bond in db.all("Bond").values():
        master = db.all("PIF").get(bond["master"])
        slaves = [db.get("PIF", slave) for slave in bond["slaves"]]
        if master is None or not slaves:
            yield f"bond {bond['uuid']} lacks its interface or its members"
        elif {s["host"] for s in slaves} != {master["host"]}:
            yield f"bond {bond['uuid']} spans hosts"
        elif any(s["currently_attached"] or s["ip_configuration_mode"] != "None" for s in slaves) and master["currently_attached"]:
            yield f"a member of bond {bond['uuid']} is up or has an address of its own"


def _storage(pool: Pool) -> Breaches:
    db = pool.db
    for (host, sr), times in Counter((r["host"], r["SR"]) for r in db.all("PBD").values()).items():
        if times > 1:
            yield f"{times} PBDs connect {_name(db, host)} with SR {db.all('SR').get(sr, {}).get('name_label', sr)}"
    for sr_record in db.all("SR").values():
        plugged = [p for p in sr_record["PBDs"] if db.get("PBD", p)["currently_attached"]]
        if not sr_record["shared"] and len(plugged) > 1:
            yield f"SR {sr_record['name_label']} is not shared and plugged {len(plugged)} times"


def _guests(pool: Pool) -> Breaches:
    db = pool.db
    for vm in db.all("VM").values():
        runs = vm["power_state"] in ("Running", "Paused")
        if runs and not db.exists("host", vm["resident_on"]):
            yield f"VM {vm['name_label']} is {vm['power_state']} nowhere"
        if not runs and vm["resident_on"] != NULL and not vm["is_control_domain"]:
            yield f"VM {vm['name_label']} is {vm['power_state']} but resident on a host"


def _memory(pool: Pool) -> Breaches:
    """Guests fit into their hosts, each with its smallest size."""
    db = pool.db
    for host in db.all("host").values():
        total = db.get("host_metrics", host["metrics"])["memory_total"] if db.exists("host_metrics", host["metrics"]) else 0
        guests = (db.get("VM", vm) for vm in host["resident_VMs"])
        used = host["memory_overhead"] + sum(vm["memory_dynamic_min"] + vm["memory_overhead"] for vm in guests)
        if 0 < total < used:
            yield f"the guests of {host['name_label']} take {used} bytes of {total}"


def _types(db: Database, schema: Schema) -> Breaches:
    for cls, table in db.tables.items():
        fields = schema.classes[cls].fields
        for ref, record in table.items():
            for name, value in record.items():
                if not _fits(fields[name].type, value):
                    yield f"{cls} {ref}: {name} holds {value!r:.60}"


def _fits(type_: Type, value: t.Any) -> bool:
    if type_.kind == "option":
        return value is None or _fits(type_.items[0], value)
    expected = _NATIVE.get(type_.kind)
    if expected is None:
        return True
    if expected in (int, float) and isinstance(value, bool):
        return False
    if type_.kind == "map":
        return isinstance(value, dict) and all(_fits(type_.items[0], k) and _fits(type_.items[1], v) for k, v in value.items())
    if type_.kind == "set":
        return isinstance(value, list) and all(_fits(type_.items[0], v) for v in value)
    return isinstance(value, expected) or (expected is float and isinstance(value, int))
