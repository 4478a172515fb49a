# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The data of a backup's snapshot goes once the backup is complete, where the next one will be told what changed since."""

from __future__ import annotations

import typing as t

from ... import tasks
from ...errors import XenError
from ...plan import Handle, Plan
from ...resource import TASK
from . import changed
from .changed import NotByChanges, Source
from .snapshots import MARK

if t.TYPE_CHECKING:
    from .vm import VmBackup


class Purge:
    """What remains are its disks, marked, without data and without the snapshot: nobody may revert to one that has lost a disk.

    So this is for snapshots all of whose disks can lose their data. Nothing goes where no host can be read from now.
    """

    def __init__(self, work: VmBackup):
        self._work = work
        self._possible: bool | None = None

    def steps(self, plan: Plan, snapshot: Handle, vdis: t.Mapping[str, Handle], label: str, inherited: t.Collection[str]) -> None:
        """vdis: all of the snapshot's disks, by name; inherited: those that bear a mark already, for the VM's disk does."""
        for name, vdi in vdis.items():
            if name in inherited:
                plan.add("VDI.remove_from_other_config", vdi, MARK, what=f"remove the mark that the snapshot of disk {name} has inherited")
            plan.add("VDI.add_to_other_config", vdi, MARK, what=f"mark the snapshot of disk {name}", run=self._mark)
        plan.add("VM.destroy", snapshot, what=f"remove the snapshot of VM {label!r}", run=self._leave)
        for name, vdi in vdis.items():
            self.finish(plan, vdi, name)

    def finish(self, plan: Plan, vdi: Handle, name: str) -> None:
        """The last step, for one disk."""
        plan.add("VDI.data_destroy", vdi, what=f"remove the data of the snapshot of disk {name}", run=self._forget)

    def _mark(self, vdi: str, key: str) -> None:
        if self._possible is None:
            self._possible = self._reaches(vdi)
        if self._possible:
            self._work.session.call("VDI.add_to_other_config", vdi, key, self._work.single_mark(vdi))

    def _reaches(self, vdi: str) -> bool:
        """Whether a host serves the disk to us."""
        work, why = self._work, self._work.unserved
        try:
            if not why:
                timeout, plain = work.session.endpoint.timeout, changed.insecure(work.objects)
                Source(work.session, vdi, 0, plain=plain, timeout=timeout).reached().__exit__()
                return True
        except NotByChanges as e:
            why = e.message
        work.warn(f"The snapshot keeps its data until the next backup, as that could not be read by changed blocks: {why}")
        return False

    def _leave(self, snapshot: str) -> None:
        if self._possible:
            tasks.run(self._work.session, "VM.destroy", (snapshot,), timeout=TASK)

    def _forget(self, vdi: str) -> None:
        """The backup is complete: what cannot be done now is told, and the next one does without."""
        if self._possible is False:
            return
        try:
            tasks.run(self._work.session, "VDI.data_destroy", (vdi,), timeout=TASK)
        except XenError as e:
            self._work.warn(f"The data of a snapshot could not be removed and stays until the next backup: {e.message}")
