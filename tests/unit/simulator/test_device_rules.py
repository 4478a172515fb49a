# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever a VM's drive or card is and its guest does: what it allows follows from the published rules alone.

They are written down a second time here, in the order xapi looks at them
(xen-api: ocaml/xapi/xapi_vbd_helpers.ml, xapi_vif_helpers.ml).
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.domzero.xen.tests.simulator import device_operations
from ansible_collections.domzero.xen.tests.simulator.modeltypes import NULL
from ansible_collections.domzero.xen.tests.simulator.operations import rules

from .hosting import Hosting, hosting

SHARED: list[tuple[Hosting, str, dict[str, str]]] = []  # a pool, its VM, a device of each class
HOTPLUG = {"VBD": "can_use_hotplug_vbd", "VIF": "can_use_hotplug_vif"}


@dataclass(frozen=True)
class Device:
    """All that matters for the rules."""

    state: str
    hvm: bool
    drivers: bool
    hotplug: str
    vm_does: str
    does: str
    plugged: bool
    cd: bool
    empty: bool
    unpluggable: bool
    managed: bool
    disk_does: str


def devices() -> st.SearchStrategy[Device]:
    mostly = st.sampled_from([True, True, True, False])
    return st.builds(
        Device, state=st.sampled_from(["Halted", "Paused", "Running", "Running", "Suspended"]), hvm=st.booleans(), drivers=st.booleans(),
        hotplug=st.sampled_from(["yes", "no", "unspecified"]), vm_does=st.sampled_from(["", "", "suspend", "snapshot"]),
        does=st.sampled_from(["", "", "pause", "plug"]), plugged=st.booleans(), cd=st.booleans(), empty=st.booleans(),
        unpluggable=mostly, managed=mostly, disk_does=st.sampled_from(["", "", "copy", "resize"]),
    )  # fmt: skip


def expected(cls: str, device: Device, operation: str) -> str:
    """The code of the first thing that is in the way, or nothing."""
    plugs, unplugs, pauses = ("plug", "unplug", "unplug_force"), ("unplug", "unplug_force"), ("pause", "unpause")
    drive, running = cls == "VBD", device.state == "Running"
    cd, empty = drive and device.cd, drive and device.empty and device.cd
    media = operation in ("insert", "eject")
    hot = operation in plugs and running and device.hvm
    checks = (
        (bool(device.does) and not (operation in pauses and device.does in pauses), "OTHER_OPERATION_IN_PROGRESS"),
        (drive and operation in unplugs and not device.unpluggable, "VBD_NOT_UNPLUGGABLE"),
        (media and not cd, "VBD_NOT_REMOVABLE_MEDIA"),
        (operation == "eject" and empty, "VBD_IS_EMPTY"),
        (operation == "insert" and not empty, "VBD_NOT_EMPTY"),
        (running and operation == "plug" and device.plugged, "DEVICE_ALREADY_ATTACHED"),
        (running and operation in unplugs and not device.plugged, "DEVICE_ALREADY_DETACHED"),
        (not running and operation in plugs, "VM_BAD_POWER_STATE"),
        (device.state not in ("Running", "Paused") and operation in pauses, "VM_BAD_POWER_STATE"),
        (operation in plugs and device.vm_does == "suspend", "OPERATION_NOT_ALLOWED"),
        (hot and device.hotplug == "no", "OPERATION_NOT_ALLOWED"),
        (hot and device.hotplug == "unspecified" and not device.drivers, "VM_MISSING_PV_DRIVERS"),
        (hot and cd, "OPERATION_NOT_ALLOWED"),
        (media and device.state == "Suspended", "VM_BAD_POWER_STATE"),
        (drive and not empty and not device.managed, "VDI_NOT_MANAGED"),
        (
            drive and not empty and device.disk_does == "resize" and operation in ("attach", "plug", "insert"),
            "OTHER_OPERATION_IN_PROGRESS",
        ),
    )
    return next((code for wrong, code in checks if wrong), "")


def bend(device: Device, cls: str) -> tuple[Hosting, str, str]:
    if not SHARED:
        pool = hosting()
        vm = pool.vm()
        made = {"VBD": pool.vbd(vm, pool.vdi()), "VIF": pool.vif(vm)}
        pool("VM.start", vm, False, False)
        pool.machine.world.watch = False  # the records are bent on purpose
        SHARED.append((pool, vm, {**made, "VDI": pool.record("VBD", made["VBD"])["VDI"]}))
    pool, vm, made = SHARED[0]
    db, record = pool.db, pool.db.get("VM", vm)
    where = pool.host if device.state in ("Running", "Paused") else NULL
    busy = {"OpaqueRef:vm": device.vm_does} if device.vm_does else {}
    db.set("VM", vm, power_state=device.state, domain_type="hvm" if device.hvm else "pv", resident_on=where, current_operations=busy)
    db.set(
        "VM_guest_metrics", record["guest_metrics"], PV_drivers_detected=device.drivers, **dict.fromkeys(HOTPLUG.values(), device.hotplug)
    )
    does = {"OpaqueRef:own": device.does} if device.does else {}
    db.set(cls, made[cls], currently_attached=device.plugged, current_operations=does)
    if cls == "VBD":
        empty = device.empty and device.cd
        medium = {"type": "CD" if device.cd else "Disk", "empty": empty, "VDI": NULL if empty else made["VDI"]}
        db.set("VBD", made["VBD"], unpluggable=device.unpluggable, **medium)
        db.set(
            "VDI", made["VDI"], managed=device.managed, current_operations={"OpaqueRef:disk": device.disk_does} if device.disk_does else {}
        )
    return pool, vm, made[cls]


@pytest.mark.parametrize("cls", ["VBD", "VIF"])
@settings(max_examples=120, deadline=None)
@given(device=devices())
def test_what_a_device_allows_follows_from_the_rules(cls: str, device: Device) -> None:
    pool, vm, ref = bend(device, cls)
    operations = rules(cls)["operations"]
    want = {operation: expected(cls, device, operation) for operation in operations}
    faults = {operation: device_operations.refusal(pool.db, cls, ref, operation) for operation in operations}
    assert {operation: fault.code if fault else "" for operation, fault in faults.items()} == want
    device_operations.refresh(pool.db, cls, ref)
    assert set(pool.db.get(cls, ref)["allowed_operations"]) == {operation for operation, code in want.items() if not code}
    for operation, fault in faults.items():
        if fault and fault.code.startswith(("VBD_", "DEVICE_", "VDI_")):
            assert fault.params == (ref,)
        elif fault and fault.code == "VM_BAD_POWER_STATE":
            needed = "halted, running" if operation in ("insert", "eject") else "running"
            assert fault.params == (vm, needed, device.state.lower())
