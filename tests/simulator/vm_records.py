# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VM records made from others: clones, copies, snapshots (xen-api: ocaml/xapi/xapi_vm_clone.ml, xapi_vm.ml: create)."""

from __future__ import annotations

import hashlib
import typing as t
import uuid

from . import memory
from .modeltypes import EPOCH, NULL
from .vm_operations import TEMPLATE_KEY

if t.TYPE_CHECKING:
    from .database import Database, Record

MAC_SEED = "mac_seed"
NOT_COPIED = (TEMPLATE_KEY, "xensource_internal")  # keys of other_config
FRESH: dict[str, t.Any] = {
    "allowed_operations": [], "current_operations": {}, "is_default_template": False, "resident_on": NULL, "domid": -1,
    "scheduled_to_be_resident_on": NULL, "blocked_operations": {}, "appliance": NULL, "protection_policy": NULL, "snapshot_schedule": NULL,
    "suspend_SR": NULL, "suspend_VDI": NULL, "groups": [], "order": 0, "start_delay": 0, "shutdown_delay": 0, "ha_always_run": False,
    "is_snapshot_from_vmpp": False, "is_vmss_snapshot": False, "is_a_snapshot": False, "snapshot_of": NULL, "snapshot_time": EPOCH,
    "snapshot_info": {}, "snapshot_metadata": "", "transportable_snapshot_id": "", "parent": NULL, "attached_PCIs": [], "blobs": {},
    "requires_reboot": False, "pending_guidances": [], "pending_guidances_recommended": [], "pending_guidances_full": [],
    "is_control_domain": False, "version": 0,
}  # fmt: skip
OTHER_SIDE = ("uuid", "consoles", "VIFs", "VBDs", "VUSBs", "VGPUs", "VTPMs", "crash_dumps", "snapshots", "children")


def copied(record: Record, **different: t.Any) -> Record:
    """Fields of a VM made from another: what belongs to the one is not the other's."""
    fields = {name: value for name, value in record.items() if name not in OTHER_SIDE}
    other = {key: value for key, value in record["other_config"].items() if key not in NOT_COPIED}
    generation = fresh_generation() if record["generation_id"] else ""
    return {**fields, **FRESH, "other_config": other, "generation_id": generation, **different}


def fresh_generation() -> str:
    """Tells a guest that it is another one now."""
    number = uuid.uuid4().int
    return f"{(number >> 64) - (1 << 63)}:{(number & ((1 << 64) - 1)) - (1 << 63)}"


def independent(record: Record) -> dict[str, str]:
    """other_config of a clone: other addresses, and which template it came from."""
    other = {**record["other_config"], MAC_SEED: str(uuid.uuid4())}
    if record["is_a_template"]:
        other.setdefault("base_template_name", record["name_label"])
    return {key: value for key, value in other.items() if key not in NOT_COPIED}


def mac_from_seed(seed: str, device: str) -> str:
    """The address a VIF without one gets: always the same for seed and device, locally administered."""
    digest = hashlib.md5(f"{seed}-{device}".encode(), usedforsecurity=False).digest()
    return ":".join(f"{byte:02x}" for byte in ((digest[0] & 0xFE) | 0x02, *digest[1:6]))


def update_overhead(db: Database, vm: str) -> None:
    """memory_overhead follows from size, vCPUs and shadow multiplier."""
    record = db.get("VM", vm)
    shim = record["domain_type"] == "pv_in_pvh"
    overhead = memory.overhead(
        record["memory_static_max"], record["VCPUs_max"], shadow_multiplier=record["HVM_shadow_multiplier"], shim=shim
    )
    db.set("VM", vm, memory_overhead=overhead)
