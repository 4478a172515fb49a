# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts come and go. Rules: xen-api ocaml/xapi/xapi_pool.ml."""

from __future__ import annotations

import typing as t

from .. import agent, fresh, fresh_pool, garbage, join_checks, joining, operations, storage_attach
from .. import networking as net
from ..errors import Fault
from ..hosts import at_host
from ..modeltypes import NULL
from . import message, vlan

if t.TYPE_CHECKING:
    from ..dispatch import Call
    from ..world import Machine

SURVIVES = ("ip_configuration_mode", "IP", "netmask", "gateway", "DNS")


@message("pool.join")
def join(call: Call, master_address: str, master_username: str, master_password: str) -> None:
    """Asked of the joiner. Returns before it is up as a member."""
    _join(call, master_address, master_username, master_password, force=False)


@message("pool.join_force")
def join_force(call: Call, master_address: str, master_username: str, master_password: str) -> None:
    """Other software of the same version and other CPUs are no obstacle."""
    _join(call, master_address, master_username, master_password, force=True)


def _join(call: Call, address: str, username: str, password: str, *, force: bool) -> None:
    if call.pool.pool["restrictions"].get("restrict_pooling") == "true":
        raise Fault("LICENCE_RESTRICTION", "Pooling")
    coordinator = joining.find_coordinator(call.world, address)
    if not coordinator:
        raise Fault("JOINING_HOST_CONNECTION_FAILED")
    remote = joining.log_in(coordinator, username, password)
    wanted = join_checks.Join(call.machine, coordinator)
    try:
        join_checks.check(wanted, force=force)
        joining.become_member(wanted)
    finally:
        if remote.db.exists("session", remote.session):
            remote.db.destroy("session", remote.session)


@message("pool.eject")
def eject(call: Call, host: str) -> None:
    """The member reboots as a freshly installed host; what it had locally is gone from the pool. Returns before the reboot is over."""
    db = call.db
    db.get("host", host)
    if host == call.pool.pool["master"]:
        raise Fault("INTERNAL_ERROR", "Xapi_pool.Cannot_eject_master")
    if call.pool.pool["ha_enabled"]:
        raise Fault("HA_IS_ENABLED")
    if "apply_updates" in call.pool.pool["current_operations"].values():
        raise Fault("NOT_SUPPORTED_DURING_UPGRADE")
    with operations.running_in_pool(call, "eject"):
        machine = at_host(call, host)
        for vm in db.get("host", host)["resident_VMs"]:
            if not db.get("VM", vm)["is_control_domain"] and db.get("VM", vm)["power_state"] != "Halted":
                raise Fault("OPERATION_NOT_ALLOWED", "VM resident on host")
        for pbd in storage_attach.pbds_of(machine):
            storage_attach.detach(machine, pbd)
        management = _surviving(call, host)
        storage_attach.forget_for_eject(machine)
        _destroy_control_domains(call, host)
        garbage.remove_host(db, host)
        fresh_pool.level_cpus(db)
    _install_anew(machine, management)


def _surviving(call: Call, host: str) -> dict[str, t.Any]:
    """The management interface as the first boot finds it: by the NIC below it, with its address and VLAN."""
    pif = net.management_pif(call.db, host)
    record = call.db.get("PIF", str(pif))
    base = record
    if call.db.exists("VLAN", record["VLAN_master_of"]):
        base = call.db.get("PIF", call.db.get("VLAN", record["VLAN_master_of"])["tagged_PIF"])
    if base["bond_master_of"]:
        base = call.db.get("PIF", call.db.get("Bond", base["bond_master_of"][0])["primary_slave"])
    return {"device": base["device"], "VLAN": record["VLAN"], **{name: record[name] for name in SURVIVES}}


def _destroy_control_domains(call: Call, host: str) -> None:
    """Those that run on the host, and halted ones with disks nobody else reaches."""
    db = call.db
    for ref, vm in list(db.all("VM").items()):
        disks = [db.get("VBD", vbd)["VDI"] for vbd in vm["VBDs"]]
        orphan = vm["resident_on"] == NULL and any(d != NULL and not db.exists("VDI", d) for d in disks)
        if vm["is_control_domain"] and (vm["resident_on"] == host or orphan):
            db.destroy("VM", ref)


def _install_anew(machine: Machine, management: dict[str, t.Any]) -> None:
    """The machine's own pool, ready for the moment the host has rebooted."""
    tag = management.pop("VLAN")
    machine.pool = machine.world.new_pool()
    machine.host_ref = NULL
    fresh.install(machine, management)
    if tag >= 0:
        _management_on_vlan(machine, tag)
    agent.reboot(machine)


def _management_on_vlan(machine: Machine, tag: int) -> None:
    db = machine.pool.db
    base = str(net.management_pif(db, machine.host_ref))
    network = db.create("network", name_label=f"VLAN {tag}", bridge=net.free_bridge(db))
    _vlan, untagged = vlan.make(db, base, tag, network)
    net.move_configuration(db, base, untagged)
    net.move_management(db, machine, base, untagged)
