# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VMs started, stopped, paused, suspended. Rules: xen-api ocaml/xapi/xapi_vm.ml, message_forwarding.ml."""

from __future__ import annotations

import typing as t

from .. import evacuation, guest_power, guests, placement, power_states, vm_operations
from ..errors import Fault
from ..hosts import is_live
from ..operations import upgrading
from ..vm_running import refresh, running
from . import message

if t.TYPE_CHECKING:
    from ..dispatch import Call


def _assert_can_boot(call: Call, vm: str, host: str) -> None:
    """Raises why the VM can't start on the host that was asked for."""
    record = call.db.get("host", host)
    if upgrading(call.db) and not evacuation.is_newest(call.db, host):
        raise Fault("NOT_SUPPORTED_DURING_UPGRADE")
    if "evacuate" in record["current_operations"].values():
        raise Fault("HOST_EVACUATE_IN_PROGRESS", host)
    fault = placement.refusal(call.db, vm, host)
    if fault:
        raise fault


def _linger(call: Call, vm: str, delay: str) -> None:
    """Whoever starts or ends several VMs in order waits for those that need it."""
    call.sleep(float(call.db.get("VM", vm)[delay]))


@message("VM.start")
def start(call: Call, vm: str, start_paused: bool, force: bool) -> None:
    """On the host that suits best."""
    with running(call, vm, "start"):
        guest_power.boot(call, vm, placement.choose(call.db, vm), paused=start_paused)
        _linger(call, vm, "start_delay")


@message("VM.start_on")
def start_on(call: Call, vm: str, host: str, start_paused: bool, force: bool) -> None:
    """On that host or not at all."""
    with running(call, vm, "start_on"):
        _assert_can_boot(call, vm, host)
        guest_power.boot(call, vm, host, paused=start_paused)
        _linger(call, vm, "start_delay")


@message("VM.pause")
def pause(call: Call, vm: str) -> None:
    """The processors stop; the rest stays."""
    with running(call, vm, "pause"):
        call.db.set("VM", vm, power_state="Paused")
    guest_power.tell(call, vm, "VM_PAUSED", "paused")


@message("VM.unpause")
def unpause(call: Call, vm: str) -> None:
    """They turn again, or for the first time."""
    with running(call, vm, "unpause"):
        power_states.to_running(call.world, call.db, vm)
    guest_power.tell(call, vm, "VM_UNPAUSED", "unpaused")


# ending --------------------------------------------------------------------------------------------------------------
@message("VM.clean_shutdown")
def clean_shutdown(call: Call, vm: str) -> None:
    """The guest is asked; without an agent that listens the call is refused (VM_LACKS_FEATURE)."""
    with running(call, vm, "clean_shutdown") as task:
        guest_power.leave_cleanly(call, vm, task)
        guest_power.end(call, vm)
        _linger(call, vm, "shutdown_delay")
    guest_power.tell(call, vm, "VM_SHUTDOWN", "shutdown")


@message("VM.hard_shutdown")
def hard_shutdown(call: Call, vm: str) -> None:
    """Nobody is asked; what else is done to the VM ends, the image of a suspended one goes."""
    vm_operations.check(call.db, vm, "hard_shutdown")
    guest_power.cancel_others(call, vm)
    live = call.db.get("VM", vm)["power_state"] in vm_operations.LIVE
    with running(call, vm, "hard_shutdown"):
        guest_power.end(call, vm)
        if live:
            _linger(call, vm, "shutdown_delay")
    guest_power.tell(call, vm, "VM_SHUTDOWN", "shutdown forcibly")


@message("VM.shutdown")
def shutdown(call: Call, vm: str) -> None:
    """Cleanly where the guest can, else by force."""
    cleanly = vm_operations.refusal(call.db, vm, "clean_shutdown") is None
    with running(call, vm, "shutdown") as task:
        if cleanly:
            try:
                guest_power.leave_cleanly(call, vm, task)
            except Fault as fault:
                if fault.code == "TASK_CANCELLED":
                    raise
                cleanly = False
        guest_power.end(call, vm)
        _linger(call, vm, "shutdown_delay")
    guest_power.tell(call, vm, "VM_SHUTDOWN", "shutdown" if cleanly else "shutdown forcibly")


def _reboot(call: Call, vm: str) -> None:
    """The domain is replaced by a new one on the same host."""
    found = guest_power.machine(call, call.db.get("VM", vm)["resident_on"])
    guests.started(found, vm)
    power_states.to_domain(found, vm)
    power_states.renewed(call.db, vm)
    power_states.to_running(call.world, call.db, vm)


@message("VM.clean_reboot")
def clean_reboot(call: Call, vm: str) -> None:
    """The guest is asked to end first."""
    with running(call, vm, "clean_reboot") as task:
        guest_power.leave_cleanly(call, vm, task)
        _reboot(call, vm)
    guest_power.tell(call, vm, "VM_REBOOTED", "rebooted cleanly")


@message("VM.hard_reboot")
def hard_reboot(call: Call, vm: str) -> None:
    """Like the button; a paused VM runs afterwards."""
    vm_operations.check(call.db, vm, "hard_reboot")
    with running(call, vm, "hard_reboot"):
        _reboot(call, vm)
    guest_power.tell(call, vm, "VM_REBOOTED", "rebooted forcibly")


@message("VM.power_state_reset")
def power_state_reset(call: Call, vm: str) -> None:
    """Says Halted about a VM whose domain is lost.

    Raises CANNOT_RESET_CONTROL_DOMAIN [vm], DOMAIN_EXISTS [vm, domid] while its host answers and has the domain.
    """
    record = call.db.get("VM", vm)
    if record["is_control_domain"]:
        raise Fault("CANNOT_RESET_CONTROL_DOMAIN", vm)
    vm_operations.check(call.db, vm, "power_state_reset")
    host = record["resident_on"]
    if record["power_state"] in vm_operations.LIVE and call.db.exists("host", host) and is_live(call.db, host):
        raise Fault("DOMAIN_EXISTS", vm, str(record["domid"]))
    power_states.to_halted(call.db, vm)
    call.db.set("VM", vm, current_operations={})
    refresh(call.db, vm)


# suspending ----------------------------------------------------------------------------------------------------------
@message("VM.suspend")
def suspend(call: Call, vm: str) -> None:
    """Memory goes to a VDI, the host is left."""
    with running(call, vm, "suspend") as task:
        guest_power.sleep_to_disk(call, vm, task)
    guest_power.tell(call, vm, "VM_SUSPENDED", "suspended")


def _resume(call: Call, vm: str, host: str, *, paused: bool) -> None:
    guest_power.wake(call, vm, host, paused=paused)
    guest_power.tell(call, vm, "VM_RESUMED", f"resumed on {guest_power.on_host(call, host)}")


@message("VM.resume")
def resume(call: Call, vm: str, start_paused: bool, force: bool) -> None:
    """On the host that suits best."""
    with running(call, vm, "resume"):
        _resume(call, vm, placement.choose(call.db, vm), paused=start_paused)


@message("VM.resume_on")
def resume_on(call: Call, vm: str, host: str, start_paused: bool, force: bool) -> None:
    """On that host or not at all."""
    with running(call, vm, "resume_on"):
        _assert_can_boot(call, vm, host)
        _resume(call, vm, host, paused=start_paused)
