# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changed block tracking: each disk's log names the one before it in time (xapi-project/sm libs/sm VDI.py, cbtutil.py)."""

from __future__ import annotations

import typing as t

from ...disks.tracking import Log, bitmap, merged
from ...sm_errors import backend
from .base import Context, Driver

if t.TYPE_CHECKING:
    from ...storage import Disk, Repository


class Tracking(Driver):
    """A driver with logs."""

    def log(self, ctx: Context, location: str) -> Log | None:
        """What changes of a disk are noted in, if they are."""
        disk = self.repository(ctx).disks.get(location)
        return Log(ctx.shelf.folder, location) if disk and disk.tracked else None

    def vdi_track(self, ctx: Context, location: str, on: bool) -> None:
        """From now on, or not any more: then those after it begin anew."""
        disks = self.repository(ctx).disks
        if disks[location].tracked == on:
            return
        disks[location].tracked, disks[location].tracked_since = on, ""
        with ctx.shelf.lock:
            ctx.shelf.changes += 1  # who has it open looks again
        Log(ctx.shelf.folder, location).remove()
        for other in disks.values():
            if other.tracked_since == location:
                other.tracked_since = ""

    def _hand_over(self, ctx: Context, disk: Disk, copy: Disk) -> None:
        """A snapshot takes the log, the disk starts another one."""
        if disk.tracked:
            Log(ctx.shelf.folder, disk.location).become(Log(ctx.shelf.folder, copy.location))
            copy.tracked, copy.tracked_since, disk.tracked_since = True, disk.tracked_since, copy.location

    def _pass_on(self, ctx: Context, repository: Repository, gone: Disk) -> None:
        """What a deleted disk knew the one after it knows."""
        own = Log(ctx.shelf.folder, gone.location)
        for after in repository.disks.values():
            if gone.tracked and after.tracked_since == gone.location:
                Log(ctx.shelf.folder, after.location).add(own)
                after.tracked_since = gone.tracked_since
        own.remove()

    def vdi_changed(self, ctx: Context, start: str, end: str) -> str:
        """A bit for each 64 KiB that changed from one disk to a later one; 460 when the one does not follow the other."""
        if start == end:
            raise backend(460, "Source and target VDI are same")
        disks = self.repository(ctx).disks
        found, at = b"", disks.get(end)
        while at is not None and at.location != start and at.tracked:
            found, at = merged(found, Log(ctx.shelf.folder, at.location).parts()), disks.get(at.tracked_since)
        if at is None or not at.tracked:
            raise backend(460, "Source and target VDI are unrelated")
        return bitmap(found, disks[end].virtual_size)
