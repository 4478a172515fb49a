# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Why a VM cannot be snapshotted, said before the call. Rules: xen-api ocaml/xapi/xapi_vm_lifecycle.ml, xapi_vdi.ml."""

from __future__ import annotations

import typing as t

from ...chains import LIMIT, NEAR, WAYS_OUT, Chains
from ...client import Session
from ...errors import HINTS, ApiError, InvalidChange
from ...plan import Plan
from ...refs import Objects, Record
from ...storage import Storage
from .disks import Disk, listed

DISK, MEMORY, QUIESCED = "disk", "memory", "quiesced"
METHODS = {DISK: "snapshot", MEMORY: "checkpoint", QUIESCED: "snapshot_with_quiesce"}
# what xapi's codes mean here
REASONS = {
    "VM_LACKS_FEATURE": ("its guest tools do not run", "Install or start them, or take kind: disk."),
    "VM_NON_SUSPENDABLE": ("its guest says that it cannot be suspended", "Take kind: disk."),
    "VM_IS_IMMOBILE": ("it is tied to its host (nomigrate or nested virtualisation)", "Take kind: disk."),
    "VM_HAS_PCI_ATTACHED": ("it uses a PCI device of its host", "Take kind: disk."),
    "VM_HAS_VGPU": ("it has a virtual GPU that cannot be suspended", "Take kind: disk."),
    "VM_HAS_VUSBS": ("it uses a USB device of its host", "Detach the USB device first."),
    "VM_IS_TEMPLATE": ("it is a template", "Clone it instead (xen_template)."),
    "LICENCE_RESTRICTION": ("the licence of this pool does not include it", "Take kind: disk."),
    "OPERATION_BLOCKED": ("the operation is blocked for this VM", "Take it out of the VM's blocked_operations."),
}


def check_kind(vm: Record, label: str, kind: str) -> None:
    """Raises InvalidChange where there is no memory to keep, or nobody to quiesce the guest."""
    state = vm["power_state"]
    if kind == MEMORY and state not in ("Running", "Suspended"):
        remedy = "Unpause it first, or take kind: disk." if state == "Paused" else "Take kind: disk."
        raise InvalidChange(f"VM {label!r} is {state.lower()}: there is no memory that a snapshot would keep.", hint=remedy)
    if kind == QUIESCED and METHODS[QUIESCED] not in vm["allowed_operations"]:
        raise InvalidChange(
            f"VM {label!r} cannot be snapshotted quiesced: releases since 8.1 never do, older ones need the guest's VSS provider.",
            hint="Take kind: memory, or let the guest flush its applications and take kind: disk.",
            code="VM_SNAPSHOT_WITH_QUIESCE_NOT_SUPPORTED",
        )


def check_disks(objects: Objects, vm: Record, label: str, taken: t.Iterable[Disk], everything: t.Iterable[Disk]) -> None:
    """Raises InvalidChange for disks that are never snapshotted."""
    resetting = [d for d in everything if d.record.get("on_boot") == "reset"]
    if resetting:
        raise InvalidChange(
            f"VM {label!r} cannot be snapshotted: {listed(resetting)} is reset at every boot.", hint="Set on_boot of it to persist first."
        )
    storage = Storage(objects)
    shared = [d for d in taken if d.record["sharable"]]
    fixed = [d for d in taken if (features := storage.features(d.sr)) and "VDI_SNAPSHOT" not in features]
    for disks, why in ((shared, "may be used by several VMs at once"), (fixed, "lies on storage that makes no snapshots")):
        if disks:
            raise InvalidChange(f"VM {label!r} cannot be snapshotted: {listed(disks)} {why}.", hint="Leave it out with ignore_disks.")


def check_allowed(session: Session, ref: str, record: Record, label: str, kind: str) -> None:
    """What xapi would say, in words. Raises InvalidChange."""
    operation = METHODS[kind]
    if operation in record["allowed_operations"]:
        return
    try:
        session.call("VM.assert_operation_valid", ref, operation)
    except ApiError as e:
        what = "keep its memory" if kind == MEMORY else "be snapshotted"
        why, remedy = REASONS.get(e.code, (e.message, HINTS.get(e.code, "")))
        raise InvalidChange(f"VM {label!r} cannot {what}: {why}.", hint=remedy, code=e.code, params=e.params) from e


def check_chains(plan: Plan, objects: Objects, disks: t.Iterable[Disk], what: str) -> None:
    """Raises InvalidChange when the chain of a disk is as long as it may be; a warning before that."""
    chains = Chains(objects)
    lengths = {disk: chains.length(disk.vdi) for disk in disks}
    too_long = [disk for disk, length in lengths.items() if length >= LIMIT]
    if too_long:
        raise InvalidChange(f"{what} cannot be: the data of {listed(too_long)} lies in {LIMIT} images already.", hint=WAYS_OUT)
    for disk, length in lengths.items():
        if length >= NEAR:
            plan.warnings.append(f"The data of {disk} lies in {length} images; at {LIMIT} no further snapshot can be taken. {WAYS_OUT}")
