# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What xapi says against a migration, in words: for what records alone do not tell, and for what goes wrong on the way."""

from __future__ import annotations

import contextlib
import typing as t

from ...errors import ApiError
from ...reasons import Reason
from ...refs import Objects

# code: (what it says, what to do); {} stand for the parameters
WORDS: dict[str, tuple[str, str]] = {
    "HA_OPERATION_WOULD_BREAK_FAILOVER_PLAN": (
        "High availability could no longer restart every protected VM after it.",
        "Lower ha_host_failures_to_tolerate, protect fewer VMs or choose another host.",
    ),
    "HOST_EVACUATE_IN_PROGRESS": ("The host is being emptied.", "Choose another host."),
    "HOST_NOT_ENOUGH_FREE_MEMORY": ("The host has too little memory: {0} bytes are needed, {1} are free.", "Choose another host."),
    "INTERFACE_HAS_NO_IP": ("The interface it would go through has no address ({0}).", "Give it an address (xen_pif)."),
    "MEMORY_CONSTRAINT_VIOLATION": ("Its memory limits contradict each other.", "Put them in order with xen_vm."),
    "MIRROR_FAILED": ("The copy of a disk broke off ({0}); the disk is still where it was.", "Look at the storage and run the task again."),
    "NETWORK_SRIOV_INSUFFICIENT_CAPACITY": ("An SR-IOV network ({0}) has no virtual function left there.", "Choose another host."),
    "SR_BACKEND_FAILURE_44": ("There is not enough space for its disks.", "Make room in the SR or choose another."),
    "SR_DOES_NOT_SUPPORT_MIGRATION": ("SR {0} cannot take part in a storage migration.", "Choose another SR, or copy the VM while halted."),
    "SR_FULL": ("There is not enough space for its disks ({0} of {1} bytes).", "Make room in the SR or choose another."),
    "TOO_MANY_STORAGE_MIGRATES": ("{0} storage migrations are running on its host already.", "Run the task again when one has finished."),
    "VM_BAD_POWER_STATE": ("It is {2}; for this it must be {1}.", "Change its power state first."),
    "VM_HAS_CHECKPOINT": ("It has a snapshot with memory.", "Delete that snapshot first."),
    "VM_HAS_TOO_MANY_SNAPSHOTS": ("It has more than one snapshot.", "Delete all but one first."),
    "VM_INCOMPATIBLE_WITH_THIS_HOST": ("The host's CPUs do not suit it: {2}", "Move it while it is halted."),
    "VM_MIGRATE_FAILED": (
        "The guest could not go on at the target: {3}",
        "It is still where it was; look at its console and run the task again.",
    ),
    "VM_MIGRATE_CONTACT_REMOTE_SERVICE_FAILED": ("The target host could not be reached.", "Let the hosts reach each other by HTTPS."),
    "VM_REQUIRES_GPU": ("It needs a GPU that the host does not have free.", "Choose another host."),
    "VM_REQUIRES_IOMMU": ("It needs an IOMMU, which the host has not turned on.", "Turn it on in the firmware or choose another host."),
    "VM_REQUIRES_NETWORK": ("It needs network {1}, which the host is not connected to.", "Connect it or choose another host."),
    "VM_REQUIRES_SR": (
        "It needs SR {1}, which the host does not have.",
        "Attach it there or say with sr or disks where the disk is to go.",
    ),
    "VM_REQUIRES_VGPU": ("It needs a virtual GPU of a kind the host does not have free.", "Choose another host."),
}


def said(e: ApiError, *objects: Objects) -> Reason:
    """The refusal as a reason; what has no words here keeps xapi's."""
    sentence, remedy = WORDS.get(e.code, ("", ""))
    with contextlib.suppress(IndexError):
        sentence = sentence.format(*e.params)
    text = sentence or e.message
    for one in objects:
        text = one.readable(text)
    return Reason(e.code, text, remedy or e.hint)


def explain(e: ApiError, *objects: Objects) -> ApiError:
    """The same error in words."""
    reason = said(e, *objects)
    e.message, e.hint = reason.text, reason.remedy
    return e


def told(reasons: t.Iterable[Reason]) -> list[dict[str, str]]:
    """For a result."""
    return [{"code": r.code, "reason": r.text, "remedy": r.remedy} for r in reasons]
