# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A full backup of a VM: the .xva that its host makes, of the VM itself when it rests, else of a snapshot that goes again."""

from __future__ import annotations

import functools
import time
import typing as t

from ... import stream
from ...backup.manifest import Disk, Who
from ...errors import InvalidChange, XenError
from ...formats import xva
from ...formats.compression import compression_of
from ...plan import Later, Plan
from ...resource import Found
from ..vm_export import COMPRESSION, GET
from . import drives, reading_back
from .drives import Drives

if t.TYPE_CHECKING:
    from .vm import VmBackup

FILE = "vm.xva"


class Packed:
    """Looks at the first bytes: is it packed as it should be? Hosts that do not know a compression send the file without."""

    def __init__(self, wanted: str, write: stream.Write):
        self._wanted, self._write = wanted, write
        self._head = b""
        self.length = 0  # nobody knows

    def write(self, piece: memoryview) -> None:
        if len(self._head) < 4:
            self._head += bytes(piece[: 4 - len(self._head)])
        self._write(piece)

    def finish(self) -> None:
        """Raises XenError."""
        came = compression_of(self._head)
        if came != self._wanted:
            raise XenError(
                f"The export came with compression {came}, not {self._wanted}.",
                hint="The host's release does not know that compression; choose another one.",
            )


def steps(work: VmBackup, plan: Plan, found: Found, chosen: Drives) -> None:
    plan.after.update(form="xva", parent="", disks=[drive.place for drive in chosen.taken])
    work.note([_disk(drive) for drive in chosen.taken])
    state, label = found.record["power_state"], found.record["name_label"]
    if state in ("Halted", "Suspended") and not chosen.skipped and not (state == "Halted" and work.params["consistency"] != "disk"):
        _refuse_blocked(found)
        fetch = functools.partial(_fetch, work, chosen, label, keep_state=state == "Suspended")
        plan.add(GET, found.ref, what=f"back up VM {label!r}", run=fetch)
        work.add_metadata(plan, found)
        work.add_commit(plan, found, chosen, form="xva")
        return
    snapshot = work.add_snapshot(plan, found, chosen)
    plan.add("VM.set_is_a_template", snapshot, False, what=f"make the snapshot of VM {label!r} a VM")
    plan.add("VM.set_name_label", snapshot, label, what=f"name the snapshot of VM {label!r} as it")
    work.add_metadata(plan, found)
    fetch = functools.partial(_fetch, work, chosen, label, keep_state=work.params["consistency"] == "memory")
    plan.add(GET, snapshot, what=f"back up VM {label!r}", run=fetch)
    work.add_commit(plan, found, chosen, form="xva")
    _remove(work, plan, snapshot, chosen, label)


def _remove(work: VmBackup, plan: Plan, snapshot: Later, chosen: Drives, label: str) -> None:
    disks = [plan.find("VBD", "VDI", VM=snapshot, userdevice=drive.place) for drive in chosen.taken]
    if work.params["consistency"] == "memory":  # else it is halted, also that of a VM that is suspended
        plan.add("VM.hard_shutdown", snapshot, what=f"discard the memory in the snapshot of VM {label!r}", slow=True)
    for vdi in disks:
        plan.add("VDI.destroy", vdi, what=f"remove a disk of the snapshot of VM {label!r}", slow=True)
    plan.add("VM.destroy", snapshot, what=f"remove the snapshot of VM {label!r}", slow=True)


def _refuse_blocked(found: Found) -> None:
    label = f"VM {found.record['name_label']!r}"
    if "export" in found.record["blocked_operations"]:
        raise InvalidChange(f"{label} blocks the operation export.", hint="Take it out of its blocked_operations.")
    busy = sorted(set(found.record["current_operations"].values()))
    if busy:
        raise InvalidChange(f"{label} is busy ({', '.join(busy)}).", hint="Run the task again when that has finished.")


def _disk(drive: t.Any) -> Disk:
    sr = drive.disk.sr_record
    return Disk(
        device=drive.place, vdi=drive.uuid, name=str(drive.disk.record["name_label"]), sr=Who(sr["uuid"], sr["name_label"]),
        virtual_size=drive.size, file="", vhd="", parent_vhd="", data=0, how="full", snapshot="",
    )  # fmt: skip


def _fetch(work: VmBackup, chosen: Drives, label: str, vm: str, *, keep_state: bool) -> None:
    drives.refuse_others(work.session, vm, chosen, label)
    work.created = work.created or time.time()
    query = {"ref": vm, "use_compression": COMPRESSION[work.params["compression"]]}
    if keep_state:  # else a VM with an image of its memory comes back halted
        query["preserve_power_state"] = "true"
    through = functools.partial(Packed, work.params["compression"])
    check = functools.partial(_check, work.params["verify"])
    work.receive("/export", query, FILE, what=f"Backup of {label}", through=through, check=check)


def _check(verify: bool, file: t.Any) -> None:
    if verify:
        reading_back.same(file)
        xva.verify(file.temporary)
