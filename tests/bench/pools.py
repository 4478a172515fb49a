# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Large simulated pools."""

from __future__ import annotations

from ansible_collections.domzero.xen.tests.simulator import site
from ansible_collections.domzero.xen.tests.simulator.world import World

GIB = 1 << 30


def with_vms(count: int) -> World:
    """One host, and that many running VMs (vm-0000, ...) with a disk, a NIC and a guest agent each."""
    world = site.build(site.of_hosts(1), speed=0)
    db, machine = world.pools[0].db, next(iter(world.machines.values()))
    storage = db.find("SR", name_label="Local storage")[0]
    network = db.find("network", bridge="xenbr0")[0]
    template = db.get("VM", db.find("VM", name_label="Other install media")[0])
    like = {field: template[field] for field in ("platform", "HVM_boot_params", "other_config", "recommendations", "actions_after_crash")}
    for number in range(count):
        metrics = db.create("VM_metrics", memory_actual=2 * GIB, VCPUs_number=2)
        agent = db.create("VM_guest_metrics", networks={"0/ip": f"10.{number >> 8 & 255}.{number & 255}.2"}, PV_drivers_up_to_date=True)
        vm = db.create(
            "VM", name_label=f"vm-{number:04}", power_state="Running", resident_on=machine.host_ref, affinity=machine.host_ref,
            metrics=metrics, guest_metrics=agent, is_a_template=False, VCPUs_max=2, VCPUs_at_startup=2, memory_static_max=2 * GIB,
            memory_dynamic_max=2 * GIB, memory_dynamic_min=2 * GIB, memory_target=2 * GIB, **like,
        )  # fmt: skip
        disk = db.create("VDI", name_label=f"vm-{number:04} disk", SR=storage, virtual_size=20 * GIB, type="user", managed=True)
        db.create("VBD", VM=vm, VDI=disk, userdevice="0", device="xvda", type="Disk", mode="RW", currently_attached=True, bootable=True)
        db.create("VIF", VM=vm, network=network, device="0", MAC=f"02:00:{number.to_bytes(2).hex(':')}:00:01", currently_attached=True)
    return world
