# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host becomes a member: what it had is written into the pool (xen-api: ocaml/xapi/xapi_pool.ml, join_common)."""

from __future__ import annotations

import typing as t

from . import agent
from . import networking as net
from .dispatch import Call
from .errors import Fault
from .modeltypes import EPOCH, NULL
from .operations import refresh_pool
from .transfer import Transfer

if t.TYPE_CHECKING:
    from .database import Database, Record
    from .join_checks import Join
    from .world import Machine, World

INTERNAL_NETWORK = "is_host_internal_management_network"
OF_COORDINATOR = ("ssh_enabled", "ssh_enabled_timeout", "ssh_auto_mode", "console_idle_timeout", "https_only", "uefi_certificates")


def find_coordinator(world: World, address: str) -> Machine | None:
    """The machine that answers at an address, or says that it does."""
    found = world.machine_at(address)
    shown = (m for m in world.machines.values() if m.pool.db.exists("host", m.host_ref) and m.host_record()["address"] == address)
    machine = found or next(shown, None)
    return machine if machine and machine.power == "on" else None


def become_member(join: Join) -> None:
    """The joiner's objects move, its own pool ends, its toolstack starts again as a member of the new one."""
    joiner, old = join.joiner, join.joiner.pool
    move = Transfer(join.mine, join.theirs)
    for tools in join.theirs.find("SR", is_tools_sr=True):
        for own in join.mine.find("SR", is_tools_sr=True):
            move.same(own, tools)
    for cls in ("secret", "PVS_site"):
        for ref in join.mine.all(cls):
            move.add(cls, ref)
    _host(join, move)
    _networks(join, move)
    _interfaces(join, move)
    _storage(join, move)
    _guests(join, move)
    move.run()
    _certificates(join)
    new_host = move.map[joiner.host_ref]
    joiner.pool = join.coordinator.pool
    joiner.host_ref = new_host
    joiner.state.pop(agent.STAYS_DISABLED, None)
    joiner.world.drop_pool(old)
    refresh_pool(joiner.pool.db)
    agent.restart(joiner)


def _host(join: Join, move: Transfer) -> None:
    """Disabled and not live until its toolstack has started."""
    ref, record = join.joiner.host_ref, join.joiner.host_record()
    coordinator = join.coordinator.host_record()
    like = {name: coordinator[name] for name in OF_COORDINATOR}
    move.add("host", ref, enabled=False, allowed_operations=[], current_operations={}, **like)
    move.add("host_metrics", record["metrics"], live=False, memory_total=0, memory_free=0, last_updated=EPOCH)
    for cls in ("host_cpu", "PCI", "PUSB"):
        move.add_where(cls, "host", [ref])
    move.add_where("Certificate", "host", [ref])


def _networks(join: Join, move: Transfer) -> None:
    """NICs' networks and the internal management network meet by bridge; any other becomes a new internal one."""
    mine, theirs = join.mine, join.theirs
    for ref, record in mine.all("network").items():
        physical = bool(record["PIFs"]) and mine.get("PIF", record["PIFs"][0])["physical"]
        if not physical and record["other_config"].get(INTERNAL_NETWORK) != "true":
            move.same(ref, _new_network(theirs, record, net.free_bridge(theirs)))
            continue
        present = theirs.find("network", bridge=record["bridge"])
        move.same(ref, present[0] if present else _new_network(theirs, record, record["bridge"]))


def _new_network(db: Database, record: Record, bridge: str) -> str:
    kept = ("name_label", "name_description", "MTU", "other_config", "managed", "tags", "purpose")
    return db.create("network", bridge=bridge, **{name: record[name] for name in kept})


def _interfaces(join: Join, move: Transfer) -> None:
    """The NICs with their addresses, and the management VLAN, which goes onto the coordinator's management network."""
    mine = join.mine
    for ref, record in mine.all("PIF").items():
        if record["physical"]:
            move.add("PIF", ref, currently_attached=False, igmp_snooping_status="unknown")
            move.add("PIF_metrics", record["metrics"])
    management = join.management(join.joiner)
    vlan = management["VLAN_master_of"]
    if mine.exists("VLAN", vlan):
        target = join.management(join.coordinator)["network"]
        move.add("PIF", mine.get("VLAN", vlan)["untagged_PIF"], currently_attached=False, network=target)
        move.add("VLAN", vlan)


def _storage(join: Join, move: Transfer) -> None:
    """SRs are the new member's own, their PBDs unplugged."""
    mine, theirs = join.mine, join.theirs
    tools = {ref for ref, sr in mine.all("SR").items() if sr["is_tools_sr"]}
    for ref in mine.all("SR"):
        move.add("SR", ref, shared=False, current_operations={})
    for ref in mine.all("PBD"):
        move.add("PBD", ref, currently_attached=False)
    present = {vdi["location"]: ref for ref, vdi in theirs.all("VDI").items() if theirs.get("SR", vdi["SR"])["is_tools_sr"]}
    for ref, vdi in mine.all("VDI").items():
        if vdi["SR"] in tools and vdi["location"] in present:
            move.same(ref, present[vdi["location"]])
        else:
            move.add("VDI", ref, current_operations={})


def _guests(join: Join, move: Transfer) -> None:
    """VMs, snapshots and templates; a default template the pool has stays the pool's."""
    mine, theirs = join.mine, join.theirs
    known = {vm["name_label"]: ref for ref, vm in theirs.all("VM").items() if is_default_template(vm)}
    moved = []
    for ref, vm in mine.all("VM").items():
        if is_default_template(vm) and vm["name_label"] in known:
            move.same(ref, known[vm["name_label"]])
            continue
        moved.append(ref)
        move.add("VM", ref, current_operations={}, appliance=NULL, protection_policy=NULL, snapshot_schedule=NULL, groups=[])
        move.add("VM_metrics", vm["metrics"])
        move.add("VM_guest_metrics", vm["guest_metrics"])
    for cls in ("VBD", "VIF", "console", "VTPM"):
        move.add_where(cls, "VM", moved)


def is_default_template(vm: Record) -> bool:
    """Whether this is a template every host is installed with."""
    return bool(vm["is_a_template"] and (vm["is_default_template"] or vm["other_config"].get("default_template") == "true"))


def _certificates(join: Join) -> None:
    """CA certificates of both sides are trusted by both."""
    for record in join.mine.all("Certificate").values():
        if record["type"] in ("ca", "pinned") and not join.theirs.find("Certificate", fingerprint_sha256=record["fingerprint_sha256"]):
            join.theirs.create("Certificate", **{**record, "host": NULL})


def log_in(coordinator: Machine, username: str, password: str) -> Call:
    """A session in the pool. Raises HOST_STILL_BOOTING, HOST_IS_SLAVE [coordinator's address], SESSION_AUTHENTICATION_FAILED."""
    if coordinator.emergency:
        raise Fault("HOST_STILL_BOOTING")
    call = Call(coordinator.world, coordinator, "", "session.login_with_password")
    call.session = call.call("session.login_with_password", username, password, "2.0", "xapi")
    return call
