# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors of the storage drivers: SR_BACKEND_FAILURE_<number> ["", message, text] (numbers: xapi-project/sm XE_SR_ERRORCODES.xml)."""

from __future__ import annotations

from .errors import Fault

TEXTS = {
    19: "No such device",
    20: "No such secret.",
    38: "The requested method is not supported/implemented",
    42: "The SR already exists",
    44: "There is insufficient space",
    46: "The VDI is not available",
    47: "The SR is not available",
    52: "Logical Volume mount/activate error",
    61: "File SR creation error",
    68: "ISCSI login failed - check access settings for the initiator on the storage, if CHAP is used verify CHAP credentials",
    73: "NFS mount error",
    78: "VDI Creation failed",
    79: "VDI Invalid size",
    83: "ISCSI discovery failed",
    90: "The request is missing the device parameter",
    91: "The device is not a valid path",
    94: "The request is missing the location parameter",
    95: "The request is missing the target parameter",
    96: "The request is missing or has an incorrect target IQN parameter",
    97: "Unable to retrieve the host configuration ISCSI IQN parameter",
    101: "The request is missing the serverpath parameter",
    102: "The request is missing the server parameter",
    105: "Root system device, cannot be used for VM storage",
    107: "The SCSIid parameter is missing or incorrect",
    108: "Unable to detect an NFS service on this target.",
    109: "The snapshot chain is too long",
    110: "VDI resize failed",
    111: "SMB mount error",
    140: "Incorrect DNS name, unable to resolve.",
    141: "Unable to connect to ISCSI service on target",
    142: "Incorrect value for iSCSI port, must be a number between 1 and 65535",
    202: "General backend error",
    222: "Could not mount the directory specified in Device Configuration",
    225: "Incorrect Location string format. String must be in the format SERVER:PATH for NFS targets, or \\\\SERVER\\PATH for CIFS targets",
    226: "Invalid local path",
    227: "Given SMB version is not allowed. Choose either 1.0 or 3.0",
    460: "Failed to calculate changed blocks for given VDIs.",
    461: "The file system for SR cannot be written to.",
    5000: "ZFS SR creation error",
    5004: "The request is missing the group-name parameter",
    5005: "The request is missing the redundancy parameter",
    5006: "LINSTOR SR creation error",
}
SPECIAL = {16: "SR_DEVICE_IN_USE", 24: "VDI_IN_USE", 39: "SR_NOT_EMPTY"}


def backend(code: int, detail: str = "", output: str = "") -> Fault:
    """The fault a driver's error becomes; ``output`` is what the driver printed, where probes put their lists."""
    if code in SPECIAL:
        return Fault(SPECIAL[code])
    text = TEXTS[code] + (f" [opterr={detail}]" if detail else "")
    return Fault(f"SR_BACKEND_FAILURE_{code}", "", text, output)
