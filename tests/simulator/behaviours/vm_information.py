# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be asked of a running VM. Rules: xen-api ocaml/xapi/xapi_vm.ml. Guests are idle, every value is 0."""

from __future__ import annotations

import math
import typing as t

from .. import implicit, vm_operations
from ..errors import Fault
from . import message

if t.TYPE_CHECKING:
    from ..dispatch import Call

SOURCES = (("memory", "Memory currently allocated to VM", "B"), ("memory_target", "Target of VM balloon driver", "B"))


@message("VM.get_boot_record")
def get_boot_record(call: Call, self: str) -> dict[str, t.Any]:
    """The VM as it is."""
    vm_operations.check(call.db, self, "get_boot_record")
    return implicit.snapshot(call, "VM", call.db.get("VM", self))


@message("VM.query_services")
def query_services(call: Call, self: str) -> dict[str, str]:
    """What a system domain offers; nothing here."""
    vm_operations.check(call.db, self, "query_services")
    return {}


@message("VM.get_data_sources")
def get_data_sources(call: Call, self: str) -> list[dict[str, t.Any]]:
    """Names and units."""
    vm_operations.check(call.db, self, "data_source_op")
    count = call.db.get("VM", self)["VCPUs_at_startup"]
    every = (*((f"cpu{n}", f"CPU{n} usage", "(fraction)") for n in range(count)), *SOURCES)
    return [
        {
            "name_label": name, "name_description": text, "enabled": True, "standard": True, "units": unit, "min": 0.0, "max": math.inf,
            "value": 0.0,
        }
        for name, text, unit in every
    ]  # fmt: skip


@message("VM.query_data_source")
def query_data_source(call: Call, self: str, data_source: str) -> float:
    """Raises INTERNAL_ERROR for an unknown one."""
    if data_source not in [source["name_label"] for source in get_data_sources(call, self)]:
        raise Fault("INTERNAL_ERROR", f'Rrd.Invalid_data_source("{data_source}")')
    return 0.0


@message("VM.record_data_source")
def record_data_source(call: Call, self: str, data_source: str) -> None:
    """All of them are recorded."""
    vm_operations.check(call.db, self, "data_source_op")


@message("VM.forget_data_source_archives")
def forget_data_source_archives(call: Call, self: str, data_source: str) -> None:
    """There is nothing to forget."""
    vm_operations.check(call.db, self, "data_source_op")
