# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How one disk comes into the repository: as a VHD from its host, whole or what has changed since the base; or by changed blocks."""

from __future__ import annotations

import contextlib
import functools
import time
import typing as t

from ...backup import sealing
from ...backup.manifest import Disk, Who
from ...backup.names import iso
from ...backup.verdict import Verdict
from ...errors import Timeout, XenError
from ...formats import vhd_read
from ...formats.compression import Damaged
from ...formats.vhd_rebase import Rebase
from ...formats.vhd_write import Parent
from ...refs import Objects
from ...shown import Shown
from . import reading_back
from .changed import Changes, NotByChanges, Unserved, insecure
from .drives import Drive
from .grounds import Base

if t.TYPE_CHECKING:
    from .base import Backup

GET = "http/get_export_raw_vdi"  # as xapi calls the permission
READ = "nbd/read"  # in the list of operations: what has changed of a disk, by changed blocks


def file_of(drive: Drive) -> str:
    return f"disk{drive.place}.vhd"


def parent_of(base: Base) -> Parent:
    """The file of the backup before, as the header names it: from the folder of the new one."""
    return Parent(base.disk.vhd, f"../{base.stamp}/{sealing.plain_name(base.disk.file)}")


def fetch(work: Backup, drive: Drive, base: Base | None, vdi: str, label: str) -> Disk:
    """One disk of the snapshot. vdi: reference of the snapshot's disk; what is told in the manifest. Raises as stream.download, Damaged."""
    if base and not base.otherwise:
        try:
            if work.unserved:
                raise NotByChanges(work.unserved)
            return _changes(work, drive, base, vdi, label)
        except NotByChanges as e:
            work.unserved = e.message if isinstance(e, Unserved) else work.unserved
            other = "The whole disk is read instead." if base.empty else "What has changed is found out from the data instead."
            work.warn(f"Disk {drive} of VM {label!r} could not be read by changed blocks: {e.message} {other}")
            base = None if base.empty else base
    came: list[Rebase] = []
    parent = parent_of(base) if base else None

    def through(write: t.Callable[[memoryview], None]) -> Rebase:
        came.append(Rebase(write, parent))
        return came[-1]

    query = {"vdi": vdi, "format": "vhd", **({"base": base.vdi} if base else {})}
    check = functools.partial(_check, work.params["verify"])
    what = f"Backup of {label}: disk {drive.disk.device}"
    work.receive("/export_raw_vdi", query, file_of(drive), what=what, through=through, check=check)
    return told(work.session.call, work.objects, drive, came[-1], base, vdi)


def _check(thoroughly: bool, file: t.Any) -> None:
    """The structure of what lies on the disk now; all bitmaps, too, where the task says verify."""
    if thoroughly:
        reading_back.same(file)
        vhd_read.verify(file.temporary)
    else:
        vhd_read.Vhd(file.temporary).close()


def _changes(work: Backup, drive: Drive, base: Base, vdi: str, label: str) -> Disk:
    """By what the host noted as changed. Raises NotByChanges."""
    timeout, what = work.session.endpoint.timeout, f"Backup of {label}: disk {drive.disk.device}"
    with Changes(work.session, base.vdi, vdi, drive.size, plain=insecure(work.objects), timeout=timeout) as changes, _below(base) as below:
        plan = changes.plan(parent_of(base), whole=below is not None)

        def fill(file: t.Any) -> None:
            done, end = 0, time.monotonic() + float(work.params["wait_timeout"])
            with Shown(work.session, what, work.stale.note) as shown:
                for piece in changes.pieces(plan, below.read if below else None):
                    file.write(memoryview(piece))
                    done += len(piece)
                    shown.far(done, plan.length)
                    if time.monotonic() > end:
                        raise Timeout(f"{what} had moved {done} bytes after {work.params['wait_timeout']} seconds and was ended.")

        work.land(file_of(drive), fill, functools.partial(_check, work.params["verify"]))
        snapshot = str(work.session.call("VDI.get_uuid", vdi))
        return _told(drive, snapshot, vhd=plan.uuid, parent_vhd=base.disk.vhd, data=changes.data, how="cbt")


@contextlib.contextmanager
def _below(base: Base) -> t.Iterator[vhd_read.Chain | None]:
    """What the disk was before: there are readers of VHDs that take whole blocks only. None where that is encrypted. Raises Damaged."""
    if base.backup.manifest is None or base.backup.manifest.encryption:
        yield None
        return
    paths, wanted = [], base.disk.vhd
    for one in base.backup.chain():
        known = next((disk for disk in one.manifest.disks if wanted and disk.vhd == wanted), None) if one.manifest else None
        if known:
            paths.append(one.path / known.file)
            wanted = known.parent_vhd
    try:
        chain = vhd_read.Chain(paths)
    except OSError as e:
        raise XenError(f"Backup {base.stamp}, on which this one builds, cannot be read: {e.strerror}.") from e
    except Damaged as e:
        base.backup.judge(Verdict(iso(time.time()), "structure", ok=False, problem=e.message))
        e.hint = f"Backup {base.stamp}, on which this one would build, is marked as bad: the next one will be a whole one."
        raise
    with chain:
        yield chain


def told(call: t.Callable[..., t.Any], objects: Objects, drive: Drive, came: Rebase, base: Base | None, vdi: str) -> Disk:
    delta = bool(base) and came.differencing
    parent = base.disk.vhd if base and delta else ""
    vhd = came.footer.uuid if came.footer else ""
    snapshot = str(call("VDI.get_uuid", vdi))
    return _told(drive, snapshot, vhd=vhd, parent_vhd=parent, data=came.data, how="delta" if delta else "full")


def _told(drive: Drive, snapshot: str, **more: t.Any) -> Disk:
    sr = drive.disk.sr_record
    return Disk(
        device=drive.place,
        vdi=drive.uuid,
        name=str(drive.disk.record["name_label"]),
        sr=Who(sr["uuid"], sr["name_label"]),
        virtual_size=drive.size,
        file=file_of(drive),
        snapshot=snapshot,
        **more,
    )
