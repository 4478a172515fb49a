# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""TPMs of VMs. Rules: xen-api ocaml/xapi/xapi_vtpm.ml."""

from __future__ import annotations

import typing as t

from .. import vm_operations, vm_running
from ..errors import Fault
from . import message

if t.TYPE_CHECKING:
    from ..dispatch import Call


@message("VTPM.create")
def create(call: Call, vm: str, is_unique: bool) -> str:
    """One for each halted VM."""
    vm_operations.check(call.db, vm, "create_vtpm")
    if call.pool.pool["restrictions"].get("restrict_vtpm") == "true":
        raise Fault("LICENCE_RESTRICTION", "VTPM")
    vtpm = call.db.create("VTPM", VM=vm, is_unique=is_unique)
    vm_running.refresh(call.db, vm)
    return vtpm


@message("VTPM.destroy")
def destroy(call: Call, self: str) -> None:
    """Of a halted VM. Raises VM_BAD_POWER_STATE."""
    vm = call.db.get("VTPM", self)["VM"]
    state = call.db.get("VM", vm)["power_state"]
    if state != "Halted":
        raise Fault("VM_BAD_POWER_STATE", vm, "halted", state.lower())
    call.db.destroy("VTPM", self)
    vm_running.refresh(call.db, vm)
