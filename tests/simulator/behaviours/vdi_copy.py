# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copying a disk block by block, which takes its time (xen-api: ocaml/xapi/xapi_vdi.ml, sm_fs_ops.ml)."""

from __future__ import annotations

import typing as t

from .. import tasks, vdi_operations
from ..disks import access
from ..errors import Fault
from ..modeltypes import NULL
from . import message

if t.TYPE_CHECKING:
    from ..dispatch import Call

BYTES_PER_SECOND = 200 << 20
STEPS = 20
BREATH = 0.002  # real seconds in each step: even where time does not count, a copy can be cancelled


def copy_data(call: Call, size: int, start: float = 0.0, share: float = 1.0) -> None:
    """Lets the time pass that so many bytes take, in steps that report progress. Raises TASK_CANCELLED [task]."""
    for step in range(1, STEPS + 1):
        call.sleep(size / BYTES_PER_SECOND / STEPS)
        call.world.pause(BREATH)
        call.progress(start + share * step / STEPS)


def copy_bytes(call: Call, vdi: str, target: str) -> None:
    """The target gets the source's bytes."""

    def breathe(_done: float) -> None:
        """Others go on meanwhile, and may cancel it."""
        call.world.pause(0)
        tasks.check_cancelled(call)

    with access.writing(call.machine, target) as writer:
        access.copy(access.chain(call.machine, vdi), writer, breathe)


@message("VDI.copy")
def copy(call: Call, vdi: str, sr: str, base_vdi: str, into_vdi: str) -> str:
    """A full copy in an SR, or over a disk that is there; what was made is removed when it fails."""
    record = call.db.get("VDI", vdi)
    with vdi_operations.running(call, vdi, "copy"):
        target = into_vdi if into_vdi not in (NULL, "") else _make(call, record, sr)
        try:
            _refuse(call, target, record["virtual_size"])
            copy_data(call, record["virtual_size"])
            copy_bytes(call, vdi, target)
        except Fault:
            if target != into_vdi and call.db.exists("VDI", target):
                call.call("VDI.destroy", target)
            raise
    return target


def _make(call: Call, record: dict[str, t.Any], sr: str) -> str:
    fields = {name: record[name] for name in ("name_label", "name_description", "virtual_size", "type", "other_config", "xenstore_data")}
    made: str = call.call("VDI.create", {"SR": sr, "sharable": False, "read_only": False, "sm_config": {}, "tags": [], **fields})
    return made


def _refuse(call: Call, target: str, size: int) -> None:
    record = call.db.get("VDI", target)
    if record["read_only"]:
        raise Fault("VDI_READONLY", target)
    if record["virtual_size"] < size:
        raise Fault("VDI_TOO_SMALL", target, str(size))
