# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A VM's description as it is to be imported: the VM itself, whatever was exported in its place, with those disks that are wanted.

Rules: xen-api ocaml/xapi/export.ml, import.ml. What is restored bears a mark until all is done (RESTORING): an import that xapi
forgets, since it was restarted meanwhile, is found again by it.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ...formats.compression import Damaged
from ...formats.ova import NULL
from ...formats.ova_edit import Description

RESTORED = "domzero.xen:restored"  # other_config: id of the backup and the wanted name
RESTORING = "domzero.xen:restoring"  # the same, while something is left to be done
# what marks another state of the thing: it came from an import, is a snapshot for a backup or an export
PASSING = (RESTORED, RESTORING, "domzero.xen:import", "domzero.xen:backup", "domzero.xen:export", "import_task")
# of a snapshot these say something else than of its VM
OWN = (
    "uuid", "name_label", "name_description", "is_a_template", "other_config", "tags", "blocked_operations", "ha_restart_priority",
    "ha_always_run", "order", "start_delay", "shutdown_delay", "version",
)  # fmt: skip
NOT_A_SNAPSHOT = {"is_a_snapshot": "0", "snapshot_of": NULL, "transportable_snapshot_id": "", "snapshot_metadata": "", "parent": NULL}


@dataclass(frozen=True)
class Wishes:
    """devices: of the disks that are wanted; sizes: of disks by device, where the description is not to be trusted; name: "" as it was.

    own: the description of the VM itself, where the other one is of its snapshot; awake: a suspended VM is halted instead;
    bare: without NICs.
    """

    devices: t.Collection[str]
    mark: str
    name: str = ""
    sizes: t.Mapping[str, int] = field(default_factory=dict)
    own: bytes = b""
    awake: bool = False
    bare: bool = False


def edited(text: bytes, wishes: Wishes) -> bytes:
    """The ova.xml to be sent. Raises Damaged."""
    work = Description(text)
    vm = main(work)
    others = [ref for ref in work.refs("VM") if ref != vm]
    gone = {ref for cls in ("VBD", "VIF", "VTPM", "VGPU") for ref in work.refs(cls) if work.get(ref, "VM") in others}
    gone |= {ref for ref in work.refs("VBD") if _is_left_out(work, ref, wishes.devices)}
    gone |= {ref for ref in work.refs("VIF") if wishes.bare}
    work.remove([*others, *gone])
    if wishes.own:
        own = Description(wishes.own)
        for name in OWN:
            work.take(vm, name, own, main(own))
    _restful(work, vm, wishes.awake)
    _drop_disks_of_nobody(work, vm)
    _sized(work, wishes.sizes)
    _marked(work, vm, wishes)
    return work.dump()


def on_stand_ins(text: bytes, names: t.Mapping[str, str]) -> bytes:
    """An ova.xml whose networks are called otherwise, so that the import finds those that were made for it alone. Raises Damaged."""
    if not names:
        return text
    work = Description(text)
    for ref in work.refs("network"):
        if (old := work.get(ref, "name_label")) in names:
            work.put(ref, "name_label", names[old])
    return work.dump()


def main(work: Description) -> str:
    """The VM it is about. Raises Damaged."""
    vms = sorted(work.refs("VM"), key=lambda ref: work.get(ref, "is_a_snapshot") == "1")
    if not vms:
        raise Damaged("The description in it (ova.xml) holds no VM.")
    return vms[0]


def devices(work: Description) -> dict[str, str]:
    """The disks of the VM: their names in the description (Ref:N) by device."""
    vm = main(work)
    rows = [ref for ref in work.refs("VBD") if work.get(ref, "VM") == vm and work.get(ref, "type") == "Disk"]
    return {work.get(ref, "userdevice"): work.get(ref, "VDI") for ref in rows if work.get(ref, "VDI") in work.objects}


def _is_left_out(work: Description, vbd: str, devices_: t.Collection[str]) -> bool:
    return work.get(vbd, "type") == "Disk" and work.get(vbd, "userdevice") not in devices_


def _restful(work: Description, vm: str, awake: bool) -> None:
    for name, value in NOT_A_SNAPSHOT.items():
        work.put(vm, name, value)
    for name in ("snapshots", "children", "snapshot_info", "current_operations", "allowed_operations"):
        work.empty(vm, name)
    if work.get(vm, "power_state") != "Suspended" or awake:
        work.put(vm, "power_state", "Halted")
        work.put(vm, "suspend_VDI", NULL)
        for ref in [*work.refs("VBD"), *work.refs("VIF")]:
            work.put(ref, "currently_attached", "0")


def _drop_disks_of_nobody(work: Description, vm: str) -> None:
    used = {work.get(ref, "VDI") for ref in work.refs("VBD")} | {work.get(vm, "suspend_VDI")}
    work.remove([ref for ref in work.refs("VDI") if ref not in used])


def _sized(work: Description, sizes: t.Mapping[str, int]) -> None:
    for device, ref in devices(work).items():
        if device in sizes:
            work.put(ref, "virtual_size", str(sizes[device]))


def _marked(work: Description, vm: str, wishes: Wishes) -> None:
    for ref in [vm, *work.refs("VDI")]:
        for key in PASSING:
            work.put_key(ref, "other_config", key, None)
    for ref in [vm, work.get(vm, "suspend_VDI"), *devices(work).values()]:
        if ref in work.objects:
            work.put_key(ref, "other_config", RESTORING, wishes.mark)
    if wishes.name:
        work.put(vm, "name_label", wishes.name)
