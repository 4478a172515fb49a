# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Devices of a host a guest has for itself: whether there is one, and taking it.

Rules: xen-api ocaml/xapi/xapi_vm_helpers.ml (assert_gpus_available, assert_usbs_available), vgpuops.ml, pciops.ml.
"""

from __future__ import annotations

import typing as t

from .errors import Fault
from .host_devices import PASSTHROUGH
from .modeltypes import NULL

if t.TYPE_CHECKING:
    from .database import Database, Record


def refusal(db: Database, vm: str, host: str) -> Fault | None:
    """Why the host has not what the VM needs: VM_REQUIRES_GPU, VM_REQUIRES_VGPU, VM_REQUIRES_VUSB; None if it has."""
    record = db.get("VM", vm)
    return next((f for vgpu in record["VGPUs"] if (f := _no_gpu(db, vm, vgpu, host))), None) or next(
        (Fault("VM_REQUIRES_VUSB", vm, group) for group in _usb_groups(db, record) if _free_usb(db, group, host) is None), None
    )


# graphics ------------------------------------------------------------------------------------------------------------
def capacity(db: Database, pgpu: str, kind: str) -> int:
    """How many more vGPUs of a type the card takes; those it has must be of the same type."""
    record = db.get("PGPU", pgpu)
    residents = [db.get("VGPU", vgpu)["type"] for vgpu in record["resident_VGPUs"]]
    if kind not in record["enabled_VGPU_types"] or any(other != kind for other in residents):
        return 0
    return max(0, int(record["supported_VGPU_max_capacities"].get(kind, 0)) - len(residents))


def _no_gpu(db: Database, vm: str, vgpu: str, host: str) -> Fault | None:
    record = db.get("VGPU", vgpu)
    if record["resident_on"] != NULL and db.exists("PGPU", record["resident_on"]) and db.get("PGPU", record["resident_on"])["host"] == host:
        return None
    if _free_card(db, record, host) is not None:
        return None
    if db.get("VGPU_type", record["type"])["implementation"] == PASSTHROUGH:
        return Fault("VM_REQUIRES_GPU", vm, record["GPU_group"])
    return Fault("VM_REQUIRES_VGPU", vm, record["GPU_group"], record["type"])


def _free_card(db: Database, vgpu: Record, host: str) -> str | None:
    """A card of the group on the host; the fullest one or the emptiest, as the group wants it."""
    group = db.get("GPU_group", vgpu["GPU_group"])
    rooms: dict[str, int] = {pgpu: capacity(db, pgpu, vgpu["type"]) for pgpu in group["PGPUs"] if db.get("PGPU", pgpu)["host"] == host}
    fitting = sorted((pgpu for pgpu, room in rooms.items() if room), key=lambda pgpu: rooms[pgpu])
    if not fitting:
        return None
    return fitting[0 if group["allocation_algorithm"] == "depth_first" else -1]


# USB -----------------------------------------------------------------------------------------------------------------
def _usb_groups(db: Database, vm: Record) -> list[str]:
    return [db.get("VUSB", vusb)["USB_group"] for vusb in vm["VUSBs"]]


def _free_usb(db: Database, group: str, host: str) -> str | None:
    here = (pusb for pusb in db.get("USB_group", group)["PUSBs"] if db.get("PUSB", pusb)["host"] == host)
    return next((pusb for pusb in here if db.get("PUSB", pusb)["passthrough_enabled"]), None)


# taking --------------------------------------------------------------------------------------------------------------
def pci_wanted(record: Record) -> list[str]:
    """PCI ids of other_config:pci, as ``0/0000:04:00.0,1/0000:05:00.0``."""
    text = record["other_config"].get("pci", "")
    return [part.partition("/")[2].strip() for part in text.split(",") if "/" in part]


def check_pci(db: Database, vm: str, host: str) -> None:
    """Raises INTERNAL_ERROR for a PCI card the host has not."""
    for pci_id in pci_wanted(db.get("VM", vm)):
        if not db.find("PCI", host=host, pci_id=pci_id):
            raise Fault("INTERNAL_ERROR", f"xenopsd internal error: Cannot_add({pci_id}, no such device)")


def attach(db: Database, vm: str, host: str) -> None:
    """The domain has its cards."""
    record = db.get("VM", vm)
    db.set("VM", vm, attached_PCIs=[ref for pci_id in pci_wanted(record) for ref in db.find("PCI", host=host, pci_id=pci_id)])
    for vgpu in record["VGPUs"]:
        if db.get("VGPU", vgpu)["resident_on"] == NULL:
            card = _free_card(db, db.get("VGPU", vgpu), host) or NULL
            pci = db.get("PGPU", card)["PCI"] if card != NULL else NULL
            db.set("VGPU", vgpu, resident_on=card, PCI=pci)


def detach(db: Database, vm: str) -> None:
    """The host has them again."""
    for vgpu in db.get("VM", vm)["VGPUs"]:
        db.set("VGPU", vgpu, resident_on=NULL, scheduled_to_be_resident_on=NULL, PCI=NULL)
