# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a freshly installed host has after its first boot (xen-api: ocaml/xapi/dbsync_slave.ml, create_misc.ml, create_networks.ml)."""

from __future__ import annotations

import typing as t

from . import fresh_storage, host_devices, networking
from .fresh_pool import create_drivers, create_pool, create_templates, level_cpus, licence, values
from .memory import MIB

if t.TYPE_CHECKING:
    from .database import Database
    from .world import Machine, Nic

DOM0_MEMORY = 1 << 30
HYPERVISOR_MEMORY = 512 * MIB
MEMORY: dict[str, t.Any] = dict.fromkeys(
    ("memory_static_max", "memory_static_min", "memory_dynamic_max", "memory_dynamic_min", "memory_target"), DOM0_MEMORY
)
NIC_PCI: dict[str, t.Any] = {
    "class_id": "0200", "class_name": "Ethernet controller", "vendor_id": "8086", "vendor_name": "Intel Corporation",
    "device_id": "1572", "device_name": "Ethernet Controller X710 for 10GbE SFP+", "driver_name": "i40e",
}  # fmt: skip


def install(machine: Machine, management: t.Mapping[str, str] | None = None) -> None:
    """Fills the machine's empty pool as the first boot after an installation does; sets ``host_ref``.

    ``management`` are PIF fields of the management interface (device, ip_configuration_mode, IP, netmask, gateway, DNS) that survived;
    without it the first card has the machine's address.
    """
    db = machine.pool.db
    create_pool(db, machine)
    create_drivers(db, machine)
    _create_host(db, machine)
    db.set("pool", machine.pool.pool_ref, master=machine.host_ref)
    _create_interfaces(db, machine, management or _first_card(machine))
    create_templates(db, machine)
    level_cpus(db)
    fresh_storage.create_all(machine)
    host_devices.find_all(machine)


def add_member(machine: Machine) -> None:
    """A host that has always been a member of its pool: the coordinator's networks by bridge, own local storage, all cards up."""
    db = machine.pool.db
    create_drivers(db, machine)
    _create_host(db, machine)
    _create_interfaces(db, machine, _first_card(machine))
    for pif in db.find("PIF", host=machine.host_ref):
        networking.bring_up(db, machine, pif)
    level_cpus(db)
    fresh_storage.create_all(machine)
    host_devices.find_all(machine)


# the host ------------------------------------------------------------------------------------------------------------
def _create_host(db: Database, machine: Machine) -> None:
    product, clock = machine.product, machine.world.clock
    free = machine.memory - DOM0_MEMORY - HYPERVISOR_MEMORY
    metrics = db.create("host_metrics", memory_total=machine.memory, memory_free=max(0, free), live=True, last_updated=clock.iso())
    started = f"{clock.now():.0f}."
    other = {"agent_start_time": started, "boot_time": started}
    if machine.local_storage not in ("ext", "lvm"):
        other["no_local_storage"] = "true"
    if initiator := _initiator(machine):
        other["iscsi_iqn"] = initiator  # where releases before the field have it, and newer ones still write it (xapi_host.ml)
    major, minor = product["api_version"]
    machine.host_ref = db.create(
        "host", **values()["host"], name_label=machine.name, hostname=machine.name, address=machine.address, metrics=metrics,
        memory_overhead=HYPERVISOR_MEMORY, API_version_major=major, API_version_minor=minor, other_config=other,
        software_version={**product["software_version"], "hostname": machine.name}, edition=product["edition"],
        editions=[product["edition"]], license_params=licence(), cpu_info=_cpu_info(machine), power_on_mode=machine.power_on,
        iscsi_iqn=initiator,
    )  # fmt: skip
    _create_cpus(db, machine)
    _create_control_domain(db, machine)


def _initiator(machine: Machine) -> str:
    chosen = machine.state.get("iscsi_iqn")
    return chosen if chosen is not None else f"iqn.2024-01.com.example:{machine.name}"


def _cpu_info(machine: Machine) -> dict[str, str]:
    features = machine.features
    return {
        "cpu_count": str(machine.cpus["count"]), "socket_count": str(machine.cpus["sockets"]), "threads_per_core": "2", "nr_nodes": "1",
        "vendor": machine.vendor, "speed": machine.cpus["speed"], "modelname": machine.cpus["model"], **values()["cpu"][machine.vendor],
        "flags": values()["cpu_flags"], "features_pv": features, "features_hvm": features, "features_hvm_host": features,
        "features_pv_host": features,
    }  # fmt: skip


def _create_cpus(db: Database, machine: Machine) -> None:
    info = _cpu_info(machine)
    for number in range(machine.cpus["count"]):
        db.create(
            "host_cpu", host=machine.host_ref, number=number, vendor=info["vendor"], speed=int(float(info["speed"])),
            stepping=info["stepping"], modelname=info["modelname"], family=int(info["family"]), model=int(info["model"]),
            flags=info["flags"], features=machine.features,
        )  # fmt: skip


def _create_control_domain(db: Database, machine: Machine) -> None:
    common = values()["control_domain"]
    metrics = db.create(
        "VM_metrics", memory_actual=DOM0_MEMORY, VCPUs_number=common["VCPUs_max"], state=["running"], current_domain_type="pv",
        start_time=machine.world.clock.iso(),
    )  # fmt: skip
    domain = db.create(
        "VM", **common, **MEMORY, name_label=f"Control domain on host: {machine.name}", resident_on=machine.host_ref,
        affinity=machine.host_ref, metrics=metrics, memory_overhead=12 * MIB, domid=0,
    )  # fmt: skip
    db.set("host", machine.host_ref, control_domain=domain)
    for protocol in ("rfb", "vt100"):
        console = db.create("console", protocol=protocol, VM=domain)
        db.set("console", console, location=f"https://{machine.address}/console?ref={console}")


# its cards -----------------------------------------------------------------------------------------------------------
def _first_card(machine: Machine) -> dict[str, str]:
    lan = machine.state.get("management", {})
    return {
        "device": machine.nics[0].device, "ip_configuration_mode": "Static", "IP": machine.address,
        "netmask": lan.get("netmask", "255.255.255.0"), "gateway": lan.get("gateway", ""), "DNS": lan.get("gateway", ""),
    }  # fmt: skip


def _create_interfaces(db: Database, machine: Machine, management: t.Mapping[str, str]) -> None:
    for nic in machine.nics:
        pif = networking.introduce_physical(db, machine.host_ref, nic)
        _plug_in(db, machine, nic, pif)
        if nic.device == management["device"]:
            db.set("PIF", pif, management=True, **{k: v for k, v in management.items() if k != "device"})
            networking.bring_up(db, machine, pif)
        elif nic.device in machine.state.get("attached", ()):
            networking.bring_up(db, machine, pif)


def _plug_in(db: Database, machine: Machine, nic: Nic, pif: str) -> None:
    slot = machine.state.get("pci", {}).get(nic.device)
    if slot:
        db.set("PIF", pif, PCI=db.create("PCI", host=machine.host_ref, pci_id=slot, **NIC_PCI))
