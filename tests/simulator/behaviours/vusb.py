# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""USB devices of hosts in guests. Rules: xen-api ocaml/xapi/xapi_vusb.ml, xapi_pusb.ml, xapi_usb_group.ml."""

from __future__ import annotations

import typing as t

from .. import placement, vm_running
from ..errors import Fault
from . import message

if t.TYPE_CHECKING:
    from ..dispatch import Call

MOST = 6  # of one VM


def _refuse_licence(call: Call) -> None:
    if call.pool.pool["restrictions"].get("restrict_usb_passthrough") == "true":
        raise Fault("LICENCE_RESTRICTION", "USB_passthrough")


@message("VUSB.create")
def create(call: Call, vm: str, usb_group: str, other_config: dict[str, str]) -> str:
    """It comes with the VM's next start; a VM that HA restarts has none."""
    _refuse_licence(call)
    db = call.db
    record, group = db.get("VM", vm), db.get("USB_group", usb_group)
    if len(record["VUSBs"]) >= MOST:
        raise Fault("TOO_MANY_VUSBS", str(MOST))
    if group["VUSBs"]:
        raise Fault("USB_GROUP_CONFLICT", usb_group)
    _refuse_place(call, vm, usb_group)
    if record["ha_restart_priority"] == "restart":
        text = f"VM {vm} ha_restart_priority has been set to 'restart', can not create VUSB for it. "
        raise Fault("OPERATION_NOT_ALLOWED", text)
    vusb = db.create("VUSB", VM=vm, USB_group=usb_group, other_config=other_config)
    vm_running.refresh(db, vm)
    return vusb


def _refuse_place(call: Call, vm: str, group: str) -> None:
    """Raises USB_GROUP_CONTAINS_NO_PUSBS [group], PUSB_NOT_IN_POSSIBLE_HOSTS [pusb, hosts] where the VM can't go to the device's host."""
    pusbs = call.db.get("USB_group", group)["PUSBs"]
    if not pusbs:
        raise Fault("USB_GROUP_CONTAINS_NO_PUSBS", group)
    possible = placement.possible_hosts(call.db, vm, with_memory=False)
    if call.db.get("PUSB", pusbs[0])["host"] not in possible:
        raise Fault("PUSB_NOT_IN_POSSIBLE_HOSTS", pusbs[0], ";".join(possible))


@message("VUSB.unplug")
def unplug(call: Call, self: str) -> None:
    """Out of a running VM. Raises DEVICE_ALREADY_DETACHED [vusb], VM_BAD_POWER_STATE."""
    record = call.db.get("VUSB", self)
    state = call.db.get("VM", record["VM"])["power_state"]
    if state != "Running":
        raise Fault("VM_BAD_POWER_STATE", record["VM"], "running", state.lower())
    if not record["currently_attached"]:
        raise Fault("DEVICE_ALREADY_DETACHED", self)
    call.db.set("VUSB", self, currently_attached=False)
    vm_running.refresh(call.db, record["VM"])


@message("VUSB.destroy")
def destroy(call: Call, self: str) -> None:
    """Not while the VM has it."""
    record = call.db.get("VUSB", self)
    if record["currently_attached"]:
        vm = call.db.get("VM", record["VM"])
        raise Fault("OPERATION_NOT_ALLOWED", f"VUSB '{record['uuid']}' still attached to '{vm['uuid']}'")
    call.db.destroy("VUSB", self)
    vm_running.refresh(call.db, record["VM"])


# the host's side -----------------------------------------------------------------------------------------------------
@message("PUSB.scan")
def scan(call: Call, host: str) -> None:
    """Nothing was plugged in meanwhile."""
    call.db.get("host", host)


@message("PUSB.set_passthrough_enabled")
def set_passthrough_enabled(call: Call, self: str, value: bool) -> None:
    """Whether guests may have it; when they may not any more, theirs go. Raises USB_ALREADY_ATTACHED [pusb, vm]."""
    _refuse_licence(call)
    db, group = call.db, call.db.get("PUSB", self)["USB_group"]
    if not value:
        for vusb in list(db.get("USB_group", group)["VUSBs"]):
            record = db.get("VUSB", vusb)
            if record["currently_attached"]:
                raise Fault("USB_ALREADY_ATTACHED", self, record["VM"])
            destroy(call, vusb)
    db.set("PUSB", self, passthrough_enabled=value)


@message("USB_group.create")
def create_group(call: Call, name_label: str, name_description: str, other_config: dict[str, str]) -> str:
    """Without devices."""
    return call.db.create("USB_group", name_label=name_label, name_description=name_description, other_config=other_config)


@message("USB_group.destroy")
def destroy_group(call: Call, self: str) -> None:
    """An empty one."""
    record = call.db.get("USB_group", self)
    for field, code in (("VUSBs", "USB_GROUP_CONTAINS_VUSB"), ("PUSBs", "USB_GROUP_CONTAINS_PUSB")):
        if record[field]:
            raise Fault(code, "[" + "; ".join(record[field]) + "]")
    call.db.destroy("USB_group", self)
