# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fields of an SR, and what it is asked before HA or database replication (xen-api: ocaml/xapi/xapi_sr.ml, xha_statefile.ml)."""

from __future__ import annotations

import typing as t

from .. import sr_operations, storage_attach
from ..errors import Fault
from . import message
from .sr_types import driver_of

if t.TYPE_CHECKING:
    from ..dispatch import Call

HEARTBEAT_DISKS = {"ha_statefile": 4 << 20, "redo_log": 256 << 20}


def _rename(call: Call, sr: str, field: str, value: str) -> None:
    machine, pbd = storage_attach.working_machine(call.machine, sr)
    working = storage_attach.context(machine, pbd)
    driver_of(call.db, working.type).rename(working, **{field: value})
    call.db.set("SR", sr, **{field: value})


@message("SR.set_name_label")
def set_name_label(call: Call, sr: str, value: str) -> None:
    """Passed on to the driver: needs a plugged PBD."""
    _rename(call, sr, "name_label", value)


@message("SR.set_name_description")
def set_name_description(call: Call, sr: str, value: str) -> None:
    """As set_name_label."""
    _rename(call, sr, "name_description", value)


@message("SR.set_shared")
def set_shared(call: Call, sr: str, value: bool) -> None:
    """Always to true; to false only with one PBD."""
    pbds = call.db.get("SR", sr)["PBDs"]
    if not value and len(pbds) > 1:
        raise Fault("SR_HAS_MULTIPLE_PBDS", *pbds)
    call.db.set("SR", sr, shared=value)


@message("SR.set_physical_size")
def set_physical_size(call: Call, self: str, value: int) -> None:
    """For the storage drivers only."""
    raise Fault("PERMISSION_DENIED", "")


def _on_all_hosts(call: Call, sr: str) -> None:
    """Raises SR_HAS_NO_PBDS unless every host has the SR attached."""
    attached = {call.db.get("PBD", pbd)["host"] for pbd in sr_operations.attached_pbds(call.db, sr)}
    if attached != set(call.db.all("host")):
        raise Fault("SR_HAS_NO_PBDS", sr)


@message("SR.assert_can_host_ha_statefile")
def assert_can_host_ha_statefile(call: Call, sr: str) -> None:
    """Attached on every host, with a driver that can attach a disk from a saved configuration, and space for statefile and redo log."""
    _on_all_hosts(call, sr)
    record = call.db.get("SR", sr)
    features = sr_operations.features(call.db, record["type"])
    if "VDI_GENERATE_CONFIG" not in features and "VDI_ATTACH_OFFLINE" not in features:
        raise Fault("SR_OPERATION_NOT_SUPPORTED", sr)
    present = {call.db.get("VDI", vdi)["type"] for vdi in record["VDIs"]}
    needed = sum(size for type_, size in HEARTBEAT_DISKS.items() if type_ not in present)
    if record["physical_size"] - record["physical_utilisation"] < needed:
        raise Fault("SR_SOURCE_SPACE_INSUFFICIENT", sr)


@message("SR.assert_supports_database_replication")
def assert_supports_database_replication(call: Call, sr: str) -> None:
    """Attached on every host, with a driver that keeps metadata."""
    _on_all_hosts(call, sr)
    if "SR_METADATA" not in sr_operations.features(call.db, call.db.get("SR", sr)["type"]):
        raise Fault("SR_OPERATION_NOT_SUPPORTED", sr)
