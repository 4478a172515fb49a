# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A pool whose VMs are as different as those of a real one, and an inventory of it."""

from __future__ import annotations

import typing as t
from pathlib import Path

from ansible.inventory.data import InventoryData
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import inventory_loader

from ansible_collections.domzero.xen.tests.simulator import site
from ansible_collections.domzero.xen.tests.simulator.database import Database
from ansible_collections.domzero.xen.tests.simulator.world import World

GIB = 1 << 30
LINUX = {"name": "Debian GNU/Linux 12 (bookworm)", "distro": "debian", "major": "12", "minor": "0", "uname": "6.1.0"}
WINDOWS = {"name": r"Microsoft Windows Server 2022|C:\Windows|\Device\Harddisk0", "distro": "windows", "major": "10", "minor": "0"}


def add_vm(db: Database, name: str, networks: t.Sequence[str] = (), told: dict[str, t.Any] | None = None, **fields: t.Any) -> str:
    """A VM with a disk, a NIC on each of the networks (by reference), and a guest that tells what is given."""
    template = db.get("VM", db.find("VM", name_label="Other install media")[0])
    like = {field: template[field] for field in ("platform", "HVM_boot_params", "recommendations", "actions_after_crash")}
    report = {"guest_metrics": db.create("VM_guest_metrics", **told)} if told is not None else {}
    memory = {f"memory_{limit}": 2 * GIB for limit in ("static_max", "dynamic_max", "dynamic_min", "target")}
    made = {"name_label": name, "is_a_template": False, "VCPUs_max": 2, "VCPUs_at_startup": 2, "metrics": db.create("VM_metrics")}
    vm = db.create("VM", **{**like, **memory, **made, **report, **fields})
    disk = db.create("VDI", name_label=f"{name} disk", SR=db.find("SR", name_label="Local storage")[0], virtual_size=8 * GIB, managed=True)
    db.create("VBD", VM=vm, VDI=disk, userdevice="0", device="xvda", type="Disk", mode="RW", bootable=True)
    db.create("VBD", VM=vm, userdevice="3", type="CD", mode="RO", empty=True)
    for device, network in enumerate(networks):
        db.create("VIF", VM=vm, network=network, device=str(device), MAC=f"02:00:00:00:00:{device:02x}")
    return vm


def lab() -> World:
    """Two hosts, "Guests" and "Management" as networks; web, mail, files (Windows) and old (halted, knows no address)."""
    world = site.build(site.of_hosts(2, joined=True), speed=0)
    db = world.pools[0].db
    db.set("pool", db.find("pool")[0], name_label="lab")
    first, second = (machine.host_ref for machine in world.machines.values())
    db.set("host", second, tags=["web"], other_config={**db.get("host", second)["other_config"], "folder": "/racks/1"})
    guests, management = (db.find("network", bridge=f"xenbr{n}")[0] for n in (0, 1))
    db.set("network", guests, name_label="Guests")
    db.set("network", management, name_label="Management")
    shop = db.create("VM_appliance", name_label="Shop")
    running = {"power_state": "Running", "resident_on": first}
    drivers = {"PV_drivers_version": {"major": "9", "minor": "4", "micro": "0", "build": "1"}, "PV_drivers_up_to_date": True}
    addresses = {"0/ip": "10.1.0.5", "0/ipv4/0": "10.1.0.5", "0/ipv6/0": "fe80::1", "1/ipv4/0": "10.2.0.5", "1/ipv6/0": "2001:db8::5"}
    add_vm(
        db, "web", [guests, management], {"networks": addresses, "os_version": LINUX, "PV_drivers_detected": True, **drivers},
        **running, tags=["web", "prod"], appliance=shop,
        other_config={"folder": "/prod/web front", "XenCenter.CustomFields.role": "frontend", "secret": "hidden"},
    )  # fmt: skip
    add_vm(db, "mail", [guests], {"networks": {"0/ipv6/0": "2001:db8::6"}}, **running, tags=["prod"], other_config={"folder": "/prod"})
    add_vm(db, "files", [management], {"networks": {"0/ip": "169.254.1.1"}, "os_version": WINDOWS}, **{**running, "resident_on": second})
    add_vm(db, "old", [guests])
    add_vm(db, "a template", is_a_template=True)
    add_vm(db, "a snapshot", is_a_snapshot=True, is_a_template=True)
    return world


def parsed(path: Path, *, cache: bool = True) -> InventoryData:
    data = InventoryData()
    plugin = inventory_loader.get("domzero.xen.xen")
    assert plugin.verify_file(str(path))
    plugin.parse(data, DataLoader(), str(path), cache=cache)
    if plugin.get_option("cache"):
        plugin.update_cache_if_changed()  # as Ansible's inventory manager does
    data.reconcile_inventory()
    return data


def hosts_of(data: InventoryData, group: str = "all") -> list[str]:
    return sorted(host.name for host in data.groups[group].get_hosts())


def groups_of(data: InventoryData, host: str) -> set[str]:
    return {group.name for group in data.hosts[host].get_groups()} - {"all"}
