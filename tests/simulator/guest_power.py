# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starting and ending a VM's domain: the parts start, resume, reboot, checkpoint and revert share.

Rules: xen-api ocaml/xapi/xapi_vm.ml, xapi_xenops.ml, message_forwarding.ml. Times are virtual seconds.
"""

from __future__ import annotations

import contextlib
import typing as t
import uuid

from . import device_operations, guest_agents, guests, hosts, memory, operations, passthrough, power_states
from . import networking as net
from .errors import Fault
from .modeltypes import NULL

if t.TYPE_CHECKING:
    from .database import Database
    from .dispatch import Call
    from .world import Machine

BUILD = 2.0  # a new domain; without a hypervisor there is nothing to build
IMAGE_SPEED = 1024 * memory.MIB  # bytes of guest memory written, read or sent in a second
STEPS = 5
ENDED_BY_FORCE = ("clean_shutdown", "clean_reboot", "hard_reboot", "pool_migrate", "call_plugin", "shutdown", "suspend")


def tell(call: Call, vm: str, name: str, text: str) -> None:
    """A message about the VM: ``VM 'name' (uuid: ...) <text>``."""
    record = call.db.get("VM", vm)
    body = f"VM '{record['name_label']}' (uuid: {record['uuid']}) {text}"
    hosts.alert(call.db, call.world.clock.iso(), name, "VM", record["uuid"], body, priority=5)


def on_host(call: Call, host: str) -> str:
    """A host as messages name it."""
    record = call.db.get("host", host)
    return f"host: {record['name_label']} (uuid: {record['uuid']})"


def machine(call: Call, host: str) -> Machine:
    """Where the host's work is done. Raises HOST_OFFLINE or CANNOT_CONTACT_HOST."""
    return hosts.at_host(call, host)


def wait(call: Call, seconds: float, *, start: float = 0.0, share: float = 1.0) -> None:
    """Time passes in steps that tell how far the task is. Raises TASK_CANCELLED."""
    for step in range(1, STEPS + 1):
        call.sleep(seconds / STEPS)
        call.progress(start + share * step / STEPS)


def image_size(db: Database, vm: str) -> float:
    """Bytes of the guest's memory; never so few that they take no time."""
    return max(float(IMAGE_SPEED), float(db.get("VM", vm)["memory_dynamic_max"]))


def image_seconds(db: Database, vm: str) -> float:
    """How long the guest's memory takes to be copied."""
    return image_size(db, vm) / IMAGE_SPEED


@contextlib.contextmanager
def reserved(call: Call, vm: str, host: str, operation: str) -> t.Iterator[Machine]:
    """The VM counts on the host already, which lists the operation; when the block fails it does no more."""
    found = machine(call, host)
    with operations.running_on_host(call, host, operation):
        call.db.set("VM", vm, scheduled_to_be_resident_on=host)
        try:
            yield found
        finally:
            if call.db.exists("VM", vm):
                call.db.set("VM", vm, scheduled_to_be_resident_on=NULL)


def attach_devices(call: Call, vm: str, found: Machine) -> None:
    """Raises why a disk can't be used; networks come up on the host."""
    record = call.db.get("VM", vm)
    passthrough.check_pci(call.db, vm, found.host_ref)
    for vbd in record["VBDs"]:
        device_operations.check(call.db, "VBD", vbd, "attach")
        fault = device_operations.sharing_refusal(call.db, vbd)
        if fault:
            raise fault
    for vif in record["VIFs"]:
        device_operations.check(call.db, "VIF", vif, "attach")
        attach_network(call.db, found, call.db.get("VIF", vif)["network"])


def attach_network(db: Database, found: Machine, network: str) -> None:
    """A guest's network is brought up where the guest is."""
    pif = net.pif_on(db, found.host_ref, network)
    if pif and not db.get("PIF", pif)["currently_attached"]:
        net.bring_up(db, found, pif)


def refuse_down(found: Machine) -> None:
    """Raises HOST_OFFLINE [host] for one that went away meanwhile."""
    if found.power != "on":
        raise Fault("HOST_OFFLINE", found.host_ref)


def boot(call: Call, vm: str, host: str, *, paused: bool) -> None:
    """A new domain on the host."""
    with reserved(call, vm, host, "vm_start") as found:
        attach_devices(call, vm, found)
        wait(call, 0.0 if found.state.get(guests.NO_HYPERVISOR) else BUILD)
        refuse_down(found)
        enter(call, vm, found, paused=paused)
    if call.db.get("VM", vm)["ha_restart_priority"] == "restart":
        call.db.set("VM", vm, ha_always_run=True)
    tell(call, vm, "VM_STARTED", f"started on {on_host(call, host)}")


def enter(call: Call, vm: str, found: Machine, *, paused: bool) -> None:
    """The domain is there with all its devices; it runs unless it is to be paused."""
    guests.started(found, vm)
    power_states.to_domain(found, vm)
    if not paused:
        power_states.to_running(call.world, call.db, vm)


def wake(call: Call, vm: str, host: str, *, paused: bool) -> None:
    """A suspended guest goes on there; its image goes."""
    with reserved(call, vm, host, "vm_resume") as found:
        wait(call, image_seconds(call.db, vm))
        refuse_down(found)
        power_states.to_domain(found, vm)
        guests.relocated(found, vm)
        if not paused:
            power_states.to_running(call.world, call.db, vm)
    drop_image(call, vm)


def drop_image(call: Call, vm: str) -> None:
    """The suspend image is removed from its storage, as far as that works."""
    image = call.db.get("VM", vm)["suspend_VDI"]
    call.db.set("VM", vm, suspend_VDI=NULL)
    if call.db.exists("VDI", image):
        with contextlib.suppress(Fault):
            call.call("VDI.destroy", image)


def suspend_sr(call: Call, vm: str) -> str:
    """Where the image goes: the VM's own SR, the pool's, the host's, the first the host has a PBD for. Raises VM_NO_SUSPEND_SR [vm]."""
    db, record = call.db, call.db.get("VM", vm)
    host = record["resident_on"]
    wanted = (record["suspend_SR"], call.pool.pool["suspend_image_SR"], db.get("host", host)["suspend_image_sr"])
    for sr in wanted:
        if db.exists("SR", sr) and db.find("PBD", SR=sr, host=host):
            return str(sr)
    raise Fault("VM_NO_SUSPEND_SR", vm)


def sleep_to_disk(call: Call, vm: str, task: str) -> None:
    """Memory goes to a new VDI, the domain ends."""
    record = call.db.get("VM", vm)
    size = int(record["memory_static_max"] * 1.2 * 1.05) + 100 * memory.MIB
    named = {"name_label": "Suspend image", "name_description": "Suspend image", "SR": suspend_sr(call, vm), "virtual_size": size}
    plain: dict[str, t.Any] = {"sharable": False, "read_only": False, "other_config": {}, "xenstore_data": {}, "tags": []}
    image = call.call("VDI.create", {**named, **plain, "type": "suspend", "sm_config": {"vmhint": record["uuid"]}})
    call.db.set("VM", vm, suspend_VDI=image)
    try:
        with same_domain(call, vm, task):
            guest_agents.hear(call, vm)
            wait(call, image_seconds(call.db, vm))
    except Fault:
        drop_image(call, vm)
        raise
    power_states.to_suspended(call.db, vm)


@contextlib.contextmanager
def same_domain(call: Call, vm: str, task: str) -> t.Iterator[None]:
    """Raises TASK_CANCELLED [task] when somebody else ended the domain meanwhile."""
    before = call.db.get("VM", vm)["domid"], call.db.get("VM", vm)["resident_on"]
    yield
    if not call.db.exists("VM", vm) or (call.db.get("VM", vm)["domid"], call.db.get("VM", vm)["resident_on"]) != before:
        raise Fault("TASK_CANCELLED", task)


def leave_cleanly(call: Call, vm: str, task: str) -> None:
    """The guest shuts itself down, which takes it some time. Raises why it did not."""
    seconds, fault = guest_agents.waited_for(call.db.get("VM", vm), vm)
    with same_domain(call, vm, task):
        wait(call, seconds)
    if fault:
        raise fault


def cancel_others(call: Call, vm: str) -> None:
    """A forced shutdown ends what else is done to the VM."""
    for task, operation in call.db.get("VM", vm)["current_operations"].items():
        if operation in ENDED_BY_FORCE and task != call.task and call.db.exists("task", task):
            call.db.add_to_map("task", task, "current_operations", f"DummyRef:|{uuid.uuid4()}|task.cancel", "cancel")


def end(call: Call, vm: str) -> None:
    """The domain, or the image of a suspended one, goes."""
    if call.db.get("VM", vm)["power_state"] == "Suspended":
        drop_image(call, vm)
    power_states.to_halted(call.db, vm)
