# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects for what is plugged into a host: PCI, PGPU with its group and types, PUSB with its group.

Rules: xen-api ocaml/xapi/xapi_pci.ml, xapi_pgpu.ml, xapi_gpu_group.ml, xapi_vgpu_type.ml, xapi_pusb.ml.
"""

from __future__ import annotations

import typing as t
import zlib

if t.TYPE_CHECKING:
    from .database import Database
    from .world import Machine

DEVICES = "devices"  # in Machine.state: as site_devices.py reads them
PASSTHROUGH = "passthrough"


def find_all(machine: Machine) -> None:
    """Every device has its objects; those that are there stay as they are."""
    held, db = machine.state.get(DEVICES, {}), machine.pool.db
    for card in held.get("pci", ()):
        _pci(db, machine.host_ref, card, card["class"])
    for card in held.get("gpus", ()):
        _pgpu(db, machine.host_ref, card)
    for device in held.get("usb", ()):
        _pusb(db, machine.host_ref, device)


def _number(text: str) -> str:
    return f"{zlib.crc32(text.encode()) & 0xFFFF:04x}"


def _pci(db: Database, host: str, card: dict[str, t.Any], kind: str) -> str:
    there = db.find("PCI", host=host, pci_id=card["id"])
    named = {"class_name": kind, "vendor_name": card["vendor"], "device_name": card["name"]}
    numbers = {"class_id": _number(kind), "vendor_id": _number(card["vendor"]), "device_id": _number(card["name"])}
    return there[0] if there else db.create("PCI", host=host, pci_id=card["id"], **named, **numbers)


# graphics cards ------------------------------------------------------------------------------------------------------
def _pgpu(db: Database, host: str, card: dict[str, t.Any]) -> None:
    pci = _pci(db, host, card, "VGA compatible controller")
    if db.find("PGPU", PCI=pci):
        return
    capacities = {_passthrough_type(db): 1}
    capacities |= {_vgpu_type(db, card, each): each["most"] for each in card["types"]}
    kinds = list(capacities)
    pgpu = db.create(
        "PGPU", PCI=pci, host=host, supported_VGPU_types=kinds, enabled_VGPU_types=kinds, supported_VGPU_max_capacities=capacities,
    )  # fmt: skip
    join_group(db, pgpu, _gpu_group(db, pci))


def _passthrough_type(db: Database) -> str:
    there = db.find("VGPU_type", implementation=PASSTHROUGH)
    return there[0] if there else db.create("VGPU_type", model_name=PASSTHROUGH, implementation=PASSTHROUGH, identifier=PASSTHROUGH)


def _vgpu_type(db: Database, card: dict[str, t.Any], each: dict[str, t.Any]) -> str:
    there = db.find("VGPU_type", vendor_name=card["vendor"], model_name=each["name"])
    if there:
        return there[0]
    return db.create(
        "VGPU_type", vendor_name=card["vendor"], model_name=each["name"], framebuffer_size=each["framebuffer"], max_heads=4,
        max_resolution_x=4096, max_resolution_y=2160, implementation="nvidia", identifier=f"0002:{_number(each['name'])}",
    )  # fmt: skip


def gpu_kind(db: Database, pci: str) -> str:
    """Cards of one kind share a group: vendor/device numbers."""
    record = db.get("PCI", pci)
    return f"{record['vendor_id']}/{record['device_id']}"


def _gpu_group(db: Database, pci: str) -> str:
    kind, record = gpu_kind(db, pci), db.get("PCI", pci)
    for group, found in db.all("GPU_group").items():
        if found["GPU_types"] == [kind]:
            return group
    return db.create("GPU_group", name_label=f"Group of {record['vendor_name']} {record['device_name']} GPUs", GPU_types=[kind])


def join_group(db: Database, pgpu: str, group: str) -> None:
    """A card is in a group, which knows what its cards can do."""
    before = db.get("PGPU", pgpu)["GPU_group"]
    db.set("PGPU", pgpu, GPU_group=group)
    for one in (before, group):
        if db.exists("GPU_group", one):
            refresh_group(db, one)


def refresh_group(db: Database, group: str) -> None:
    """What any of its cards supports, and has enabled."""
    cards = [db.get("PGPU", pgpu) for pgpu in db.get("GPU_group", group)["PGPUs"]]
    for field in ("supported_VGPU_types", "enabled_VGPU_types"):
        db.set("GPU_group", group, **{field: list(dict.fromkeys(kind for card in cards for kind in card[field]))})
    db.set("GPU_group", group, GPU_types=list(dict.fromkeys(gpu_kind(db, card["PCI"]) for card in cards)))


# USB -----------------------------------------------------------------------------------------------------------------
def _pusb(db: Database, host: str, device: dict[str, t.Any]) -> None:
    there = db.find("PUSB", host=host, path=device["path"], serial=device["serial"])
    pusb = there[0] if there else db.create(
        "PUSB", host=host, path=device["path"], vendor_id=device["vendor_id"], vendor_desc=device["vendor"],
        product_id=device["product_id"], product_desc=device["product"], serial=device["serial"], version=device["version"], speed=480.0,
        description=f"{device['vendor']}_{device['product']}" + (f"_{device['serial']}" if device["serial"] else ""),
    )  # fmt: skip
    if not db.exists("USB_group", db.get("PUSB", pusb)["USB_group"]):
        db.set("PUSB", pusb, USB_group=_usb_group(db, device))


def _usb_group(db: Database, device: dict[str, t.Any]) -> str:
    """Every device has a group of its own."""
    return db.create("USB_group", name_label=f"Group of {device['vendor_id']} {device['product_id']} USBs")
