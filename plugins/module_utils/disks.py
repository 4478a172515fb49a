# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is done to disks, as steps of a plan: for disks on their own and for those of a VM.

Marks in other_config make each of them safe to interrupt: a disk that a run has begun is known by the next one, and finished.
Rules: xen-api ocaml/xapi/xapi_vdi.ml, xapi_vbd.ml, xapi_vbd_helpers.ml, xapi_vm_migrate.ml.
"""

from __future__ import annotations

import typing as t

from .errors import InvalidChange
from .formats.sizes import readable_size
from .plan import Handle, Later, Plan
from .refs import Objects, Record
from .storage import VHD_BLOCK, Storage
from .vms import domain_type

PREFIX = "domzero.xen/"
COPYING = f"{PREFIX}copying"  # uuid of the disk whose content is to come
MOVING = f"{PREFIX}moving"  # the same, of one that goes when it has come
SNAPSHOT = f"{PREFIX}snapshot"  # of the source and of the snapshot: the name the latter is to have
MOVED = f"{PREFIX}moved_from"  # the uuids it had in other SRs, separated by commas
IMPORTED = f"{PREFIX}imported"  # SHA-256 of the file its content came from
IMPORTING = f"{PREFIX}importing"  # the same, while it comes
FOR_VM = f"{PREFIX}for/"  # with the place: uuid of the VM it was made for, until it is attached
PLUGGING = f"{PREFIX}plugging"  # of a VBD: it is to be plugged at once
CONFIG_DRIVE = f"{PREFIX}config_drive"  # a disk that holds nothing but a guest's first configuration: its VM looks after it

PLACES = range(255)  # xen-api: xapi_vbd_helpers.ml
ROUNDING = 2 * VHD_BLOCK  # a driver makes disks so much larger at most
MOVING_FEATURES = (("VDI_SNAPSHOT", "VDI_MIRROR"), ("VDI_SNAPSHOT",))  # of the SR it is in, and of the one it goes to
OWNER = "owner"  # key of VBD.other_config: the disk goes when the VM does (xe vm-uninstall, XenCenter)


def theirs(other_config: t.Mapping[str, str]) -> dict[str, str]:
    """other_config without our marks."""
    return {key: value for key, value in other_config.items() if not key.startswith(PREFIX)}


def change_map(plan: Plan, method: tuple[str, str], ref: Handle, have: t.Mapping[str, str], want: t.Mapping[str, str], what: str) -> None:
    """A map of strings key by key, so that nobody else's keys are lost. method: class and field."""
    cls, field = method
    for key in sorted({*have, *want}):
        if have.get(key) == want.get(key):
            continue
        if key in have:
            plan.add(f"{cls}.remove_from_{field}", ref, key, what=f"{what}: {key}")
        if key in want:
            plan.add(f"{cls}.add_to_{field}", ref, key, want[key], what=f"{what}: {key}")


def mark(plan: Plan, vdi: Handle, key: str, value: str | None, there: bool, label: str) -> None:
    """Sets a mark of ours (None: removes it). there: the disk has that mark now."""
    if there:
        plan.add("VDI.remove_from_other_config", vdi, key, what=f"unmark disk {label!r}")
    if value is not None:
        plan.add("VDI.add_to_other_config", vdi, key, value, what=f"mark disk {label!r}")


def same_size(have: int, want: int) -> bool:
    """Whether a disk has the size wanted, as its driver rounded it up."""
    return want <= have < want + ROUNDING


# attaching --------------------------------------------------------------------
def hotplug_refusal(objects: Objects, vm: Record) -> str:
    """Why a running VM takes no disk now; "" if it does (xapi_vbd_helpers.ml)."""
    if vm["power_state"] != "Running":
        return "" if vm["power_state"] == "Halted" else f"it is {vm['power_state'].lower()}"
    if not is_hvm(vm):
        return ""
    metrics = objects.all("VM_guest_metrics").get(vm["guest_metrics"], {})
    can = metrics.get("can_use_hotplug_vbd", "unspecified")
    if can == "no":
        return "its guest does not take disks while it runs"
    if can == "yes" or metrics.get("PV_drivers_detected", bool(metrics.get("PV_drivers_version"))):
        return ""
    return "its guest has no drivers for it (guest tools)"


def is_hvm(vm: Record) -> bool:
    """Whether a VM runs with emulated devices."""
    return domain_type(vm) in ("hvm", "pv_in_pvh")


def free_place(taken: t.Container[int], label: str) -> int:
    """Raises InvalidChange: a VM has only so many places."""
    for place in PLACES:
        if place not in taken:
            return place
    raise InvalidChange(f"VM {label!r} has no place left for a disk.")


def place_of(vbd: Record) -> int:
    """The place of a drive as a number: hda and xvda are 0; -1 for what has none (a floppy)."""
    text = str(vbd["userdevice"])
    if text.isdecimal():
        return int(text)
    return ord(text[-1]) - ord("a") if text[:2] in ("hd", "sd", "xv") and text[-1:].isalpha() else -1


def vbd_record(vm: Handle, vdi: Handle, place: int, mode: str, *, bootable: bool, **more: t.Any) -> dict[str, t.Any]:
    """For VBD.create."""
    record: dict[str, t.Any] = {
        "VM": vm, "VDI": vdi, "userdevice": str(place), "bootable": bootable, "mode": mode.upper(), "type": "Disk", "empty": False,
        "unpluggable": True, "other_config": {}, "qos_algorithm_type": "", "qos_algorithm_params": {},
    }  # fmt: skip
    return {**record, **more}


# growing ----------------------------------------------------------------------
def grows_online(storage: Storage, vdi: Record) -> bool:
    return "VDI_RESIZE_ONLINE" in storage.features(vdi["SR"]) or "resize_online" in vdi["allowed_operations"]


def refuse_shrink(have: int, want: int, label: str) -> None:
    if want < have and not same_size(have, want):
        raise InvalidChange(
            f"Disk {label!r} is {readable_size(have)} large and cannot shrink to {readable_size(want)}.",
            hint="Make a smaller disk and copy the files inside the guest.",
        )


def grow(plan: Plan, vdi: Handle, size: int, label: str, *, online: bool) -> None:
    method = "VDI.resize_online" if online else "VDI.resize"
    plan.add(method, vdi, size, what=f"grow disk {label!r} to {readable_size(size)}", slow=True)


# moving -----------------------------------------------------------------------
def refuse_move(storage: Storage, vdi: Record, target: str, label: str) -> None:
    """Raises InvalidChange for a disk of a VM that cannot go to another SR where it is (xapi_vm_migrate.ml)."""
    for sr, wanted in zip((vdi["SR"], target), MOVING_FEATURES):
        lacking = sorted(set(wanted) - storage.features(sr))
        if lacking:
            raise InvalidChange(
                f"Disk {label!r} cannot be moved while a VM has it: SR {storage.name(sr)!r} has no {' and no '.join(lacking)}.",
                hint="Detach it, move it on its own (xen_vdi), and attach it again.",
            )
    if vdi.get("on_boot") == "reset":
        raise InvalidChange(f"Disk {label!r} cannot be moved while it is reset at each start.", hint="Set on_boot: persist first.")
    if vdi.get("sharable") and len(storage.vbds(storage.objects.resolve("VDI", vdi["uuid"]))) > 1:
        raise InvalidChange(f"Disk {label!r} is shared by several VMs and cannot be moved.", hint="Detach it from all but one.")


def migrate(
    plan: Plan, ref: Handle, vdi: Record, vbd: tuple[Handle, Record] | None, target: tuple[str, str], label: str, *, tracked: bool
) -> Later:  # fmt: skip
    """A disk of a VM to another SR, whether the VM runs or not; its data is copied while it is used. The new one has another uuid.

    vbd: stays, so it bears the old uuid until the new disk does, and a task that means the disk by its uuid still finds it; None
    where nobody can mean it yet. target: the SR, and its name; tracked: its changes are tracked, now and afterwards.
    """
    if tracked:
        plan.add("VDI.disable_cbt", ref, what=f"stop tracking changes of disk {label!r}")
    if vbd and MOVED in vbd[1]["other_config"]:
        plan.add("VBD.remove_from_other_config", vbd[0], MOVED, what=f"mark disk {label!r}")
    if vbd:
        plan.add("VBD.add_to_other_config", vbd[0], MOVED, vdi["uuid"], what=f"mark disk {label!r}")
    moved = plan.add("VDI.pool_migrate", ref, target[0], {}, what=f"move disk {label!r} to SR {target[1]!r}", slow=True)
    what = f"keep the settings of disk {label!r}"
    plan.add("VDI.set_other_config", moved, kept_config(vdi) if vbd else theirs(vdi["other_config"]), what=what)
    # a storage driver carries neither over, they are in xapi's records
    if vdi.get("tags"):
        plan.add("VDI.set_tags", moved, list(vdi["tags"]), what=what)
    if tracked:
        plan.add("VDI.enable_cbt", moved, what=f"track changes of disk {label!r}")
    return moved


def kept_config(old: Record) -> dict[str, str]:
    """other_config of a disk in its new place."""
    config = dict(old["other_config"])
    history = [uuid for uuid in (config.get(MOVED), old["uuid"]) if uuid]
    return {**{k: v for k, v in config.items() if k not in (COPYING, MOVING)}, MOVED: ",".join(history)}


def moved_to(objects: Objects, uuid: str) -> str:
    """The disk that had this uuid before it was moved; "" if there is none."""
    there = {vdi["uuid"] for vdi in objects.all("VDI").values()}
    for ref, vdi in objects.all("VDI").items():
        config = vdi["other_config"]
        if uuid in config.get(MOVED, "").split(",") and config.get(MOVING) not in there and not vdi["is_a_snapshot"]:
            return ref
    for vbd in objects.all("VBD").values():
        if vbd["other_config"].get(MOVED) == uuid and vbd["VDI"] in objects.all("VDI"):
            return t.cast(str, vbd["VDI"])
    return ""
