# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Everything this collection raises on purpose. Only module.py turns it into a failed task."""

from __future__ import annotations

import typing as t

# What to do about the XenAPI errors an administrator meets most; the sentence before it names the object.
HINTS: dict[str, str] = {
    "HOST_IS_SLAVE": "This host is a member of a pool; address the coordinator.",
    "SESSION_AUTHENTICATION_FAILED": "Check username and password.",
    "SESSION_INVALID": "The session has ended; log in again.",
    "RBAC_PERMISSION_DENIED": "Log in as a user with a higher role.",
    "HOST_STILL_BOOTING": "Wait until the host has started and run the task again.",
    "HA_IS_ENABLED": "Turn high availability off first (xen_pool with ha: {enabled: false}).",
    "HOST_NOT_DISABLED": "Put the host into maintenance first (xen_host with enabled: false).",
    "LICENCE_RESTRICTION": "The licence of this pool does not include the feature.",
    "MESSAGE_METHOD_UNKNOWN": "The host's release does not have this call.",
    "OTHER_OPERATION_IN_PROGRESS": "Something else is working on the object; run the task again when it has finished.",
    "SR_BACKEND_FAILURE_73": "The NFS server refused the mount: check server, path and export rules.",
    "SR_BACKEND_FAILURE_141": "The iSCSI target cannot be reached or is not there: check address and IQN.",
    "SR_HAS_PBD": "The SR is still attached to a host.",
    "VLAN_TAG_INVALID": "A VLAN tag lies between 1 and 4094.",
    "NO_HOSTS_AVAILABLE": "No host can run it: every one lacks memory, an SR or a network that it needs, or is disabled.",
    "HOST_NOT_ENOUGH_FREE_MEMORY": "Give it less memory, or move or halt other VMs first.",
    "VM_REQUIRES_SR": "That host does not have the SR of one of its disks or discs attached: start it elsewhere, or eject the disc.",
    "VM_REQUIRES_NETWORK": "That host is not on one of its networks: start it elsewhere, or connect the network there.",
    "VM_LACKS_FEATURE": "Its guest tools do not run, or do not allow it.",
    "OPERATION_BLOCKED": "Somebody blocked the operation for this VM (blocked_operations).",
    "SR_BACKEND_FAILURE_44": "The SR is full: remove disks or snapshots, or choose another SR.",
    "SR_BACKEND_FAILURE_109": "The chain of images is too long: make a full copy, move the disk to another SR, or delete snapshots.",
    "VM_REVERT_FAILED": "The VM is halted, with its disks as they were; the host's log tells why. The task may be run again.",
    "OPERATION_PARTIALLY_FAILED": "The VMs it names did not get there; try with one of them to learn why.",
    "IMPORT_ERROR_PREMATURE_EOF": "The file is cut off: check it (xen_xva_info), and export or copy it again.",
    "IMPORT_ERROR_FAILED_TO_FIND_OBJECT": "The file is damaged: check it (xen_xva_info), and export or copy it again.",
    "VDI_IN_USE": "A virtual disk of it is in use by a running VM.",
}


class XenError(Exception):
    """A refusal or failure in one sentence, with what to do.

    Attributes: code (XenAPI's error code or ""), params (its parameters), done (methods already carried out), facts (further
    keys of the failed result).
    """

    def __init__(
        self, message: str, *, hint: str = "", code: str = "", params: t.Sequence[str] = (), facts: dict[str, t.Any] | None = None
    ):
        self.message, self.hint, self.code, self.params = message.rstrip(), hint, code, list(params)
        self.done: list[str] = []
        self.facts = facts or {}
        super().__init__(message)

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".rstrip()


class ApiError(XenError):
    """The server said no: XenAPI's code first, its parameters after."""

    def __init__(self, method: str, description: t.Sequence[str]):
        code, *params = [str(p) for p in description] or ["UNKNOWN_ERROR"]
        self.method = method
        told = f" [{', '.join(p for p in params if p)}]" if any(params) else ""
        super().__init__(f"{method} was refused: {code}{told}.", hint=HINTS.get(code, ""), code=code, params=params)


class ConnectionFailed(XenError):
    """Nobody answered, or not in a way that can be trusted. Nothing was changed by the call."""


class Untrusted(ConnectionFailed):
    """Somebody answered whose certificate is not one to trust; asking again will not help."""


class OutcomeUnknown(XenError):
    """The connection ended after a changing call was sent: it may or may not have taken effect."""


class NotFound(XenError):
    """No object of that name or uuid."""


class Ambiguous(XenError):
    """More than one object of that name."""


class InvalidChange(XenError):
    """What the task asks for cannot be, or is not allowed by the task; said before anything is changed."""


class Timeout(XenError):
    """It did not happen in time; the message tells what was reached."""
