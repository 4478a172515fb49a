# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Graphics cards, whole or in parts. Rules: xen-api ocaml/xapi/xapi_vgpu.ml, xapi_pgpu.ml, xapi_gpu_group.ml."""

from __future__ import annotations

import typing as t

from .. import host_devices, passthrough, vm_running
from ..errors import Fault
from ..modeltypes import NULL
from . import message

if t.TYPE_CHECKING:
    from ..dispatch import Call


def _listed(refs: t.Iterable[str]) -> str:
    return "[" + "; ".join(refs) + "]"


def _refuse_running(call: Call, vm: str) -> None:
    """Raises VM_BAD_POWER_STATE [vm, "halted", actual]."""
    state = call.db.get("VM", vm)["power_state"]
    if state != "Halted":
        raise Fault("VM_BAD_POWER_STATE", vm, "halted", state.lower())


@message("VGPU.create")
def create(call: Call, vm: str, gpu_group: str, device: str, other_config: dict[str, str], type_: str) -> str:
    """A part of a card, or a whole one (no type). Only for a halted VM."""
    db = call.db
    record, group = db.get("VM", vm), db.get("GPU_group", gpu_group)
    if call.pool.pool["restrictions"].get("restrict_gpu") == "true":
        raise Fault("LICENCE_RESTRICTION", "GPU")
    _refuse_running(call, vm)
    if not device.isdigit():
        raise Fault("INVALID_DEVICE", device)
    if any(db.get("VGPU", vgpu)["device"] == device for vgpu in record["VGPUs"]):
        raise Fault("DEVICE_ALREADY_EXISTS", device)
    kind = type_ if type_ != NULL else next(iter(db.find("VGPU_type", implementation=host_devices.PASSTHROUGH)), NULL)
    if not group["PGPUs"]:
        raise Fault("GPU_GROUP_CONTAINS_NO_PGPUS", gpu_group)
    db.get("VGPU_type", kind)
    if kind not in group["supported_VGPU_types"]:
        raise Fault("VGPU_TYPE_NOT_SUPPORTED", kind, _listed(group["supported_VGPU_types"]))
    vgpu = db.create("VGPU", VM=vm, GPU_group=gpu_group, device=device, other_config=other_config, type=kind)
    vm_running.refresh(db, vm)
    return vgpu


@message("VGPU.destroy")
def destroy(call: Call, self: str) -> None:
    """Of a halted VM."""
    record = call.db.get("VGPU", self)
    if record["currently_attached"]:
        raise Fault("OPERATION_NOT_ALLOWED", "vGPU currently attached to a running VM")
    _refuse_running(call, record["VM"])
    call.db.destroy("VGPU", self)
    vm_running.refresh(call.db, record["VM"])


# cards ---------------------------------------------------------------------------------------------------------------
@message("PGPU.get_remaining_capacity")
def get_remaining_capacity(call: Call, self: str, vgpu_type: str) -> int:
    """How many more vGPUs of the type fit."""
    return passthrough.capacity(call.db, self, vgpu_type)


@message("GPU_group.get_remaining_capacity")
def get_remaining_capacity_of_group(call: Call, self: str, vgpu_type: str) -> int:
    """Of all its cards."""
    return sum(passthrough.capacity(call.db, pgpu, vgpu_type) for pgpu in call.db.get("GPU_group", self)["PGPUs"])


@message("PGPU.set_GPU_group")
def set_gpu_group(call: Call, self: str, value: str) -> None:
    """To a group of its kind, or an empty one. Raises PGPU_IN_USE_BY_VM, PGPU_NOT_COMPATIBLE_WITH_GPU_GROUP."""
    db, record, group = call.db, call.db.get("PGPU", self), call.db.get("GPU_group", value)
    users = [db.get("VGPU", vgpu)["VM"] for vgpu in record["resident_VGPUs"]]
    if users:
        raise Fault("PGPU_IN_USE_BY_VM", _listed(users))
    kind = host_devices.gpu_kind(db, record["PCI"])
    if group["GPU_types"] not in ([], [kind]):
        raise Fault("PGPU_NOT_COMPATIBLE_WITH_GPU_GROUP", kind, _listed(group["GPU_types"]))
    host_devices.join_group(db, self, value)


def _enable(call: Call, pgpu: str, kinds: list[str]) -> None:
    record = call.db.get("PGPU", pgpu)
    for kind in kinds:
        if kind not in record["supported_VGPU_types"]:
            raise Fault("VGPU_TYPE_NOT_SUPPORTED", kind, _listed(record["supported_VGPU_types"]))
    for vgpu in record["resident_VGPUs"]:
        if call.db.get("VGPU", vgpu)["type"] not in kinds:
            raise Fault("PGPU_IN_USE_BY_VM", _listed([call.db.get("VGPU", vgpu)["VM"]]))
    call.db.set("PGPU", pgpu, enabled_VGPU_types=kinds)
    host_devices.refresh_group(call.db, record["GPU_group"])


@message("PGPU.set_enabled_VGPU_types")
def set_enabled_vgpu_types(call: Call, self: str, value: list[str]) -> None:
    """Which parts the card is given out in."""
    _enable(call, self, value)


@message("PGPU.add_enabled_VGPU_types")
def add_enabled_vgpu_types(call: Call, self: str, value: str) -> None:
    """One more."""
    _enable(call, self, list(dict.fromkeys([*call.db.get("PGPU", self)["enabled_VGPU_types"], value])))


@message("PGPU.remove_enabled_VGPU_types")
def remove_enabled_vgpu_types(call: Call, self: str, value: str) -> None:
    """One less."""
    _enable(call, self, [kind for kind in call.db.get("PGPU", self)["enabled_VGPU_types"] if kind != value])


@message("GPU_group.create")
def create_group(call: Call, name_label: str, name_description: str, other_config: dict[str, str]) -> str:
    """Without cards."""
    return call.db.create("GPU_group", name_label=name_label, name_description=name_description, other_config=other_config)


@message("GPU_group.destroy")
def destroy_group(call: Call, self: str) -> None:
    """An empty one."""
    record = call.db.get("GPU_group", self)
    if record["VGPUs"]:
        raise Fault("GPU_GROUP_CONTAINS_VGPU", _listed(record["VGPUs"]))
    if record["PGPUs"]:
        raise Fault("GPU_GROUP_CONTAINS_PGPU", _listed(record["PGPUs"]))
    call.db.destroy("GPU_group", self)


def _dom0_access(cls: str, enabled: bool) -> t.Callable[..., str]:
    def change(call: Call, self: str) -> str:
        """Takes effect when the host boots."""
        call.db.get(cls, self)
        access = "enable_on_reboot" if enabled else "disable_on_reboot"
        if cls == "PGPU":
            call.db.set("PGPU", self, dom0_access=access)
        return access

    return change


for _cls in ("PGPU", "PCI"):
    message(f"{_cls}.enable_dom0_access")(_dom0_access(_cls, True))
    message(f"{_cls}.disable_dom0_access")(_dom0_access(_cls, False))


@message("PCI.get_dom0_access_status")
def get_dom0_access_status(call: Call, self: str) -> str:
    """That of its PGPU, else what all cards have."""
    call.db.get("PCI", self)
    found = call.db.find("PGPU", PCI=self)
    return str(call.db.get("PGPU", found[0])["dom0_access"]) if found else "enabled"
