# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a VM's change of power state does to it and its devices (xen-api: ocaml/xapi/xapi_vm_lifecycle.ml, force_state_reset)."""

from __future__ import annotations

import typing as t

from . import guest_agents, guest_ends, guests, memory, passthrough
from .modeltypes import NULL

if t.TYPE_CHECKING:
    from .database import Database
    from .world import Machine, World

DEVICES = (("VBD", "VBDs"), ("VIF", "VIFs"), ("VUSB", "VUSBs"), ("VGPU", "VGPUs"))
OF_THE_DOMAIN = ("restart_device_model", "restart_vm")  # guidances a new domain fulfils
GUIDANCES = ("pending_guidances", "pending_guidances_recommended", "pending_guidances_full")


def _drop_guidances(db: Database, vm: str, done: t.Collection[str]) -> None:
    record = db.get("VM", vm)
    db.set("VM", vm, **{field: [g for g in record[field] if g not in done] for field in GUIDANCES})


def renewed(db: Database, vm: str) -> None:
    """A new domain fulfils what updates asked of the VM."""
    _drop_guidances(db, vm, OF_THE_DOMAIN)


def detach(db: Database, vm: str) -> None:
    """No device is in use any more."""
    record = db.get("VM", vm)
    for cls, field in DEVICES:
        for device in record[field]:
            known = db.schema.classes[cls].fields
            wanted = {"currently_attached": False, "reserved": False, "current_operations": {}}
            db.set(cls, device, **{name: value for name, value in wanted.items() if name in known})


def attach(db: Database, vm: str) -> None:
    """All devices come with the domain; disks get the names the guest knows them by."""
    record = db.get("VM", vm)
    for vbd in record["VBDs"]:
        db.set("VBD", vbd, currently_attached=True, device=device_name(db.get("VBD", vbd)["userdevice"]))
    for cls, field in DEVICES[1:]:
        for device in record[field]:
            if "currently_attached" in db.schema.classes[cls].fields:
                db.set(cls, device, currently_attached=True)


def device_name(userdevice: str) -> str:
    """The disk in the guest: 0 is xvda, 26 is xvdaa; a name stays what it is."""
    if not userdevice.isdigit():
        return userdevice
    number, letters = int(userdevice), ""
    while number >= 0:
        letters, number = chr(ord("a") + number % 26) + letters, number // 26 - 1
    return f"xvd{letters}"


def to_halted(db: Database, vm: str) -> None:
    """The domain is gone."""
    detach(db, vm)
    passthrough.detach(db, vm)
    guests.drop_consoles(db, vm)
    host = db.get("VM", vm)["resident_on"]
    db.set(
        "VM", vm, power_state="Halted", resident_on=NULL, scheduled_to_be_resident_on=NULL, domid=-1, requires_reboot=False,
        attached_PCIs=[], memory_target=0,
    )  # fmt: skip
    _drop_guidances(db, vm, OF_THE_DOMAIN)
    memory.note_free(db, host)


def to_suspended(db: Database, vm: str) -> None:
    """The domain is gone, its devices stay its own."""
    guests.drop_consoles(db, vm)
    host = db.get("VM", vm)["resident_on"]
    db.set("VM", vm, power_state="Suspended", resident_on=NULL, scheduled_to_be_resident_on=NULL, domid=-1)
    _drop_guidances(db, vm, OF_THE_DOMAIN[:1])
    memory.note_free(db, host)


def to_domain(machine: Machine, vm: str) -> None:
    """The VM is on the machine, paused, with its devices."""
    db = machine.pool.db
    attach(db, vm)
    passthrough.attach(db, vm, machine.host_ref)
    target = db.get("VM", vm)["memory_dynamic_max"]
    db.set(
        "VM", vm, power_state="Paused", resident_on=machine.host_ref, scheduled_to_be_resident_on=NULL, memory_target=target,
    )  # fmt: skip
    memory.note_free(db, machine.host_ref)


def to_host(machine: Machine, vm: str) -> None:
    """A running guest goes on there."""
    db = machine.pool.db
    source = db.get("VM", vm)["resident_on"]
    db.set("VM", vm, resident_on=machine.host_ref, scheduled_to_be_resident_on=NULL)
    guests.relocated(machine, vm)
    for host in (source, machine.host_ref):
        memory.note_free(db, host)
    _drop_guidances(db, vm, OF_THE_DOMAIN[:1])


def to_running(world: World, db: Database, vm: str) -> None:
    """The guest's processors turn."""
    db.set("VM", vm, power_state="Running")
    guest_agents.woken(world, db, vm)
    guest_ends.awaited(world, db, vm)
