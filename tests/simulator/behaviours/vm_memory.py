# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Memory of VMs, in bytes. Rules: xen-api ocaml/xapi/xapi_vm.ml, xapi_vm_memory_constraints.ml, message_forwarding.ml."""

from __future__ import annotations

import typing as t

from .. import memory, vm_operations, vm_records
from ..errors import Fault
from . import message

if t.TYPE_CHECKING:
    from ..dispatch import Call


class Limits(t.NamedTuple):
    """As the fields of a VM, lowest first."""

    static_min: int
    dynamic_min: int
    dynamic_max: int
    static_max: int


def _limits(call: Call, vm: str) -> Limits:
    record = call.db.get("VM", vm)
    return Limits(*(record[f"memory_{name}"] for name in Limits._fields))


def _change(call: Call, vm: str, operation: str, limits: Limits) -> None:
    """Raises why the VM does not allow it, MEMORY_CONSTRAINT_VIOLATION_ORDER when the order is wrong."""
    vm_operations.check(call.db, vm, operation)
    if list(limits) != sorted(limits) or limits.static_min < 0:
        raise Fault("MEMORY_CONSTRAINT_VIOLATION_ORDER")
    call.db.set("VM", vm, memory_target=limits.dynamic_min, **{f"memory_{name}": value for name, value in limits._asdict().items()})
    vm_records.update_overhead(call.db, vm)
    memory.note_free(call.db, call.db.get("VM", vm)["resident_on"])


@message("VM.set_memory_limits")
def set_memory_limits(call: Call, self: str, static_min: int, static_max: int, dynamic_min: int, dynamic_max: int) -> None:
    """All four."""
    _change(call, self, "changing_memory_limits", Limits(static_min, dynamic_min, dynamic_max, static_max))


@message("VM.set_memory")
def set_memory(call: Call, self: str, value: int) -> None:
    """A fixed size."""
    lowest = min(_limits(call, self).static_min, value)
    _change(call, self, "changing_memory_limits", Limits(lowest, value, value, value))


@message("VM.set_memory_static_range")
def set_memory_static_range(call: Call, self: str, low: int, high: int) -> None:
    """What the VM was made for."""
    _change(call, self, "changing_static_range", _limits(call, self)._replace(static_min=low, static_max=high))


@message("VM.set_memory_static_min")
def set_memory_static_min(call: Call, self: str, value: int) -> None:
    """The lower end."""
    _change(call, self, "changing_static_range", _limits(call, self)._replace(static_min=value))


@message("VM.set_memory_static_max")
def set_memory_static_max(call: Call, self: str, value: int) -> None:
    """The upper end."""
    _change(call, self, "changing_static_range", _limits(call, self)._replace(static_max=value))


@message("VM.set_memory_dynamic_range")
def set_memory_dynamic_range(call: Call, self: str, low: int, high: int) -> None:
    """What it gets while it runs."""
    _change(call, self, "changing_dynamic_range", _limits(call, self)._replace(dynamic_min=low, dynamic_max=high))


@message("VM.set_memory_dynamic_min")
def set_memory_dynamic_min(call: Call, self: str, value: int) -> None:
    """The lower end."""
    _change(call, self, "changing_dynamic_range", _limits(call, self)._replace(dynamic_min=value))


@message("VM.set_memory_dynamic_max")
def set_memory_dynamic_max(call: Call, self: str, value: int) -> None:
    """The upper end."""
    _change(call, self, "changing_dynamic_range", _limits(call, self)._replace(dynamic_max=value))


@message("VM.set_memory_target_live")
def set_memory_target_live(call: Call, self: str, target: int) -> None:
    """Accepted without effect; the dynamic range has taken its place."""
    vm_operations.check(call.db, self, "changing_memory_live")


@message("VM.wait_memory_target_live")
def wait_memory_target_live(call: Call, self: str) -> None:
    """It is reached at once."""
    vm_operations.check(call.db, self, "awaiting_memory_live")


@message("VM.set_HVM_shadow_multiplier")
def set_hvm_shadow_multiplier(call: Call, self: str, value: float) -> None:
    """Of a halted VM."""
    _set_multiplier(call, self, "changing_shadow_memory", value)


@message("VM.set_shadow_multiplier_live")
def set_shadow_multiplier_live(call: Call, self: str, multiplier: float) -> None:
    """Of a running one."""
    _set_multiplier(call, self, "changing_shadow_memory_live", multiplier)


def _set_multiplier(call: Call, vm: str, operation: str, value: float) -> None:
    vm_operations.check(call.db, vm, operation)
    if value < 1:
        raise Fault("INVALID_VALUE", "multiplier", memory.told(value))
    call.db.set("VM", vm, HVM_shadow_multiplier=value)
    vm_records.update_overhead(call.db, vm)


@message("VM.compute_memory_overhead")
def compute_memory_overhead(call: Call, vm: str) -> int:
    """What Xen needs beside the guest."""
    record = call.db.get("VM", vm)
    shim = record["domain_type"] == "pv_in_pvh"
    return memory.overhead(record["memory_static_max"], record["VCPUs_max"], shadow_multiplier=record["HVM_shadow_multiplier"], shim=shim)


@message("VM.maximise_memory")
def maximise_memory(call: Call, self: str, total: int, approximate: bool) -> int:
    """The largest static maximum that fits into a total, in whole MiB; the estimate leaves a page per 2 MiB for rounding."""
    record = call.db.get("VM", self)
    low, high = 0, total // memory.MIB
    while low < high:
        middle = (low + high + 1) // 2
        size = middle * memory.MIB
        fits = size + memory.overhead(size, record["VCPUs_max"], shadow_multiplier=record["HVM_shadow_multiplier"]) <= total
        low, high = (middle, high) if fits else (low, middle - 1)
    return low * memory.MIB
