# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Questions about what a VM could do. Rules: xen-api ocaml/xapi/xapi_vm.ml, xapi_vm_helpers.ml."""

from __future__ import annotations

import typing as t

from .. import failover, placement, vm_operations
from ..device_places import VBD_PLACES, VIF_PLACES, place_of
from ..errors import Fault
from ..vm_running import refresh
from . import message

if t.TYPE_CHECKING:
    from ..dispatch import Call


@message("VM.get_possible_hosts")
def get_possible_hosts(call: Call, vm: str) -> list[str]:
    """Where it could run, memory left out."""
    call.db.get("VM", vm)
    return placement.possible_hosts(call.db, vm, with_memory=False)


@message("VM.assert_can_boot_here")
def assert_can_boot_here(call: Call, self: str, host: str) -> None:
    """Raises the first reason why not."""
    fault = placement.refusal(call.db, self, host)
    if fault:
        raise fault


@message("VM.assert_agile")
def assert_agile(call: Call, self: str) -> None:
    """Raises what ties it to one host: HA_CONSTRAINT_VIOLATION_SR_NOT_SHARED [sr] or ..._NETWORK_NOT_SHARED [network]."""
    db, record = call.db, call.db.get("VM", self)
    if failover.is_agile(db, self):
        return
    for vbd in record["VBDs"]:
        vdi = db.get("VBD", vbd)["VDI"]
        if db.exists("VDI", vdi) and not db.get("SR", db.get("VDI", vdi)["SR"])["shared"]:
            raise Fault("HA_CONSTRAINT_VIOLATION_SR_NOT_SHARED", db.get("VDI", vdi)["SR"])
    for vif in record["VIFs"]:
        raise Fault("HA_CONSTRAINT_VIOLATION_NETWORK_NOT_SHARED", db.get("VIF", vif)["network"])
    raise Fault("VM_NOT_AGILE", self)


@message("VM.get_allowed_VBD_devices")
def get_allowed_vbd_devices(call: Call, vm: str) -> list[str]:
    """Free places for drives."""
    taken = {place_of(call.db.get("VBD", vbd)["userdevice"]) for vbd in call.db.get("VM", vm)["VBDs"]}
    return [str(n) for n in VBD_PLACES if n not in taken]


@message("VM.get_allowed_VIF_devices")
def get_allowed_vif_devices(call: Call, vm: str) -> list[str]:
    """Free places for network cards."""
    taken = {call.db.get("VIF", vif)["device"] for vif in call.db.get("VM", vm)["VIFs"]}
    return [str(n) for n in VIF_PLACES if str(n) not in taken]


@message("VM.assert_operation_valid")
def assert_operation_valid(call: Call, self: str, op: str) -> None:
    """Raises why the VM does not allow it."""
    vm_operations.check(call.db, self, op)


@message("VM.update_allowed_operations")
def update_allowed_operations(call: Call, self: str) -> None:
    """Anew."""
    refresh(call.db, self)


@message("VM.get_cooperative")
def get_cooperative(call: Call, self: str) -> bool:
    """Always."""
    call.db.get("VM", self)
    return True
