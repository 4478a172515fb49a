# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host does at the end of its start-up: interfaces, the coordinator's bonds, VLANs and tunnels, PBDs.

Rules: xen-api ocaml/xapi/xapi_pif.ml (start_of_day_best_effort_bring_up), sync_networking.ml, create_storage.ml, storage_access.ml.
"""

from __future__ import annotations

import contextlib
import typing as t

from . import host_devices, hosts, storage_attach
from . import networking as net
from .behaviours import bond as bonds
from .dispatch import Call
from .errors import Fault

if t.TYPE_CHECKING:
    from .database import Database, Record
    from .world import Machine


def run(machine: Machine, *, rebooted: bool) -> None:
    """Everything best effort; plugging that failed leaves a message."""
    call = Call(machine.world, machine.pool.coordinator, "", "host.start")
    if rebooted:
        _forget_attached(machine)
    _raise_interfaces(machine)
    host_devices.find_all(machine)
    if not machine.is_coordinator:
        _copy_bonds(call, machine)
        _copy_vlans(call, machine)
        _copy_tunnels(call, machine)
        for cluster in machine.pool.db.find("Cluster", pool_auto_join=True):
            with contextlib.suppress(Fault):
                call.call("Cluster.pool_resync", cluster)
        storage_attach.create_pbds_for_new_member(machine)
    _plug_pbds(machine)


def _forget_attached(machine: Machine) -> None:
    """Nothing is up after a boot but what the host needs itself."""
    db = machine.pool.db
    for pif, record in list(db.all("PIF").items()):
        if record["host"] == machine.host_ref and not _needed_by_host(db, record):
            net.bring_down(db, pif)
    for pbd in db.get("host", machine.host_ref)["PBDs"]:
        db.set("PBD", pbd, currently_attached=False)


def _needed_by_host(db: Database, record: Record) -> bool:
    """Physical or bond, or with an address; never a bond's member."""
    own = record["physical"] or record["bond_master_of"] or record["ip_configuration_mode"] != "None" or record["management"]
    return bool(own) and not net.is_member(db, record)


def _raise_interfaces(machine: Machine) -> None:
    db = machine.pool.db
    for pif, record in list(db.all("PIF").items()):
        if record["host"] == machine.host_ref and _needed_by_host(db, record) and not record["currently_attached"]:
            net.bring_up(db, machine, pif)


# the coordinator's networks ------------------------------------------------------------------------------------------
def _coordinators(machine: Machine, cls: str, pif_field: str) -> list[Record]:
    """Bonds, VLANs or tunnels whose PIF is the coordinator's."""
    db = machine.pool.db
    master = machine.pool.pool["master"]
    found = db.all(cls).values()
    return [record for record in found if db.exists("PIF", record[pif_field]) and db.get("PIF", record[pif_field])["host"] == master]


def _network_of(db: Database, pif: str) -> str:
    return str(db.get("PIF", pif)["network"])


def _copy_bonds(call: Call, machine: Machine) -> None:
    """Members are the host's PIFs on the networks of the coordinator's; a bond with other members is made anew."""
    db = machine.pool.db
    for bond in _coordinators(machine, "Bond", "master"):
        network = _network_of(db, bond["master"])
        ordered = sorted(bond["slaves"], key=lambda pif, first=bond["primary_slave"]: pif != first)  # type: ignore[misc]
        mine = [pif for slave in ordered if (pif := net.pif_on(db, machine.host_ref, _network_of(db, slave)))]
        present = net.pif_on(db, machine.host_ref, network)
        if not mine or (present and not db.get("PIF", present)["bond_master_of"]):
            continue
        if present:
            own = db.get("PIF", present)["bond_master_of"][0]
            if set(db.get("Bond", own)["slaves"]) == set(mine):
                continue
            bonds.unmake(db, machine, own)
        with contextlib.suppress(Fault):
            call.call("Bond.create", network, mine, "", bond["mode"], bond["properties"])


def _copy_vlans(call: Call, machine: Machine) -> None:
    db = machine.pool.db
    for vlan in _coordinators(machine, "VLAN", "tagged_PIF"):
        network = _network_of(db, vlan["untagged_PIF"])
        base = net.pif_on(db, machine.host_ref, _network_of(db, vlan["tagged_PIF"]))
        if base and not net.pif_on(db, machine.host_ref, network):
            with contextlib.suppress(Fault):
                call.call("VLAN.create", base, vlan["tag"], network)


def _copy_tunnels(call: Call, machine: Machine) -> None:
    db = machine.pool.db
    for tunnel in _coordinators(machine, "tunnel", "transport_PIF"):
        network = _network_of(db, tunnel["access_PIF"])
        transport = net.pif_on(db, machine.host_ref, _network_of(db, tunnel["transport_PIF"]))
        if transport and not net.pif_on(db, machine.host_ref, network):
            with contextlib.suppress(Fault):
                call.call("tunnel.create", transport, network, tunnel["protocol"])


# storage -------------------------------------------------------------------------------------------------------------
def _plug_pbds(machine: Machine) -> None:
    db, failed = machine.pool.db, False
    broken = machine.name in machine.world.faults.unplugged
    machine.world.faults.unplugged.discard(machine.name)
    for pbd in storage_attach.pbds_of(machine):
        try:
            if broken:
                raise Fault("SR_BACKEND_FAILURE_73", "", "NFS mount error", "")
            storage_attach.attach(machine, pbd)
        except Fault:
            failed = True
    if failed:
        hosts.alert(db, machine.world.clock.iso(), "PBD_PLUG_FAILED_ON_SERVER_START", "Host", machine.host_record()["uuid"], "")
