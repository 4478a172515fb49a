# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Asking a storage server through SR.probe, and reading its answers.

A driver that lacks a key of device_config fails and tells what there is to choose from in the third parameter of the
error; with all keys it answers with the SRs it found (xcp-ng/sm: drivers/NFSSR.py, BaseISCSI.py, LVMoISCSISR.py, devscan.py).
"""

from __future__ import annotations

import typing as t
import xml.etree.ElementTree as ET
from dataclasses import asdict, dataclass, field

from ...client import Session
from ...errors import ApiError, XenError

# what is missing is told with the list: path of an export, IQN, SCSI id
LISTING = {"SR_BACKEND_FAILURE_101", "SR_BACKEND_FAILURE_96", "SR_BACKEND_FAILURE_107"}
ANY_IQN = "*"
TIMEOUT = 600.0  # seconds; a driver waits for servers that do not answer


@dataclass(frozen=True)
class Export:
    server: str
    path: str
    access: str


@dataclass(frozen=True)
class Iqn:
    iqn: str
    address: str
    port: int


@dataclass(frozen=True)
class Lun:
    """size in bytes"""

    lun: int
    scsi_id: str
    size: int
    vendor: str
    serial: str


@dataclass(frozen=True)
class Device:
    """A LUN behind a host bus adapter, or a disk; size as the driver tells it."""

    path: str
    scsi_id: str
    size: str
    vendor: str
    serial: str
    adapter: str


@dataclass(frozen=True)
class Existing:
    """An SR on the target. name is empty where the medium does not tell it, size 0; devices are those it lies on."""

    uuid: str
    name: str = ""
    description: str = ""
    size: int = 0
    devices: str = ""
    type: str = ""


@dataclass(frozen=True)
class Answer:
    exports: list[Export] = field(default_factory=list)
    iqns: list[Iqn] = field(default_factory=list)
    luns: list[Lun] = field(default_factory=list)
    devices: list[Device] = field(default_factory=list)
    srs: list[Existing] = field(default_factory=list)

    def told(self) -> dict[str, list[dict[str, t.Any]]]:
        """Plain lists."""
        return t.cast("dict[str, list[dict[str, t.Any]]]", asdict(self))


def _number(text: str) -> int:
    return int(text) if text.isdigit() else 0


def parse(text: str) -> Answer:
    """The answer in any of its five forms; an empty one means nothing was found. Raises XenError for no XML."""
    if not text.strip():
        return Answer()
    try:
        root = ET.fromstring(text.strip())
    except ET.ParseError as e:
        raise XenError(f"The storage driver's answer to a probe is no XML ({e}).") from e

    def rows(tag: str) -> list[dict[str, str]]:
        return [{child.tag: (child.text or "").strip() for child in row} for row in root.iter(tag)]

    return Answer(
        [Export(r.get("Target", ""), r.get("Path", ""), r.get("Accesslist", "")) for r in rows("Export")],
        [
            Iqn(r["TargetIQN"], r.get("IPAddress", ""), int(r.get("Port") or 3260))
            for r in rows("TGT")
            if r.get("TargetIQN", ANY_IQN) != ANY_IQN
        ],
        [
            Lun(_number(r.get("LUNid", "")), r.get("SCSIid", ""), _number(r.get("size", "")), r.get("vendor", ""), r.get("serial", ""))
            for r in rows("LUN")
        ],
        [Device(*(r.get(tag, "") for tag in ("path", "SCSIid", "size", "vendor", "serial", "adapter"))) for r in rows("BlockDevice")],
        [
            Existing(r["UUID"], r.get("name_label", ""), r.get("name_description", ""), _number(r.get("size", "")), r.get("Devlist", ""))
            for r in rows("SR")
            if r.get("UUID")
        ],
    )


def ask(session: Session, host: str, type_: str, config: t.Mapping[str, str], sm_config: t.Mapping[str, str] | None = None) -> Answer:
    """What the host (a reference) sees on the target. Raises ApiError as the driver does where it is no list to choose from."""
    try:
        return parse(session.call("SR.probe", host, dict(config), type_, dict(sm_config or {}), timeout=TIMEOUT))
    except ApiError as e:
        if e.code in LISTING and len(e.params) > 2 and e.params[2].strip():
            return parse(e.params[2])
        raise


def reason(error: ApiError) -> str:
    """Why a driver refused, in its own words."""
    if error.code.startswith("SR_BACKEND_FAILURE") and len(error.params) > 1 and error.params[1]:
        return f"{error.params[1].rstrip('.')} ({error.code})"
    return error.message.rstrip(".")
