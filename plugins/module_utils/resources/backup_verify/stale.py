# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What boot tests of a VM left in the pool. Its copies are known by their name, which is in the marks that a restore sets from the
first moment on, and which nobody changes by renaming.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import typing as t
from dataclasses import dataclass, field

from ...backup.repository import Repository
from ...backup.subject import Subject
from ...errors import InvalidChange, XenError
from ...plan import Plan
from ...refs import Objects, Record
from ...tasks import quietly
from ..restore.description import RESTORED, RESTORING
from ..vm_import import unfinished

PREFIX = "domzero.xen boot test"


def name_of(subject: Subject, stamp: str) -> str:
    """What the copy is called; its end tells whose it is. Raises Damaged (repository.json)."""
    return f"{PREFIX} {subject.who.name} {stamp} {_owner(subject)}"


def _owner(subject: Subject) -> str:
    """The same VM may have backups in other repositories, which are tested at the same time."""
    return f"{subject.uuid} {Repository(subject.path.parents[1]).id[:8]}"


@dataclass
class Stale:
    """References. vms: that are complete or became so; vdis: theirs, and those of no VM; tasks: of uploads; networks: made for a test."""

    vms: dict[str, Record] = field(default_factory=dict)
    vdis: list[str] = field(default_factory=list)
    tasks: list[str] = field(default_factory=list)
    networks: list[str] = field(default_factory=list)


def look_for(objects: Objects, subject: Subject, uploads: t.Sequence[str] = ()) -> Stale:
    """uploads: tasks that are known to be those of boot tests of this thing."""
    made, owner = unfinished.made_by(objects, uploads), _owner(subject)
    vbds, vdis = objects.all("VBD"), objects.all("VDI")

    def is_of(text: str) -> bool:
        return PREFIX in text and owner in text

    def ours(cls: str, ref: str, row: Record) -> bool:
        """A clone of a copy inherits its marks, but has a uuid and a name of its own."""
        done, under_way = (str(row["other_config"].get(key, "")) for key in (RESTORED, RESTORING))
        named = cls == "VDI" or (row["name_label"].startswith(PREFIX) and row["name_label"].endswith(owner))
        is_it = (is_of(done) and done.endswith(f" {row['uuid']}")) or (is_of(under_way) and named)
        return ((cls, ref) in made or is_it) and not row["is_a_snapshot"]

    def theirs(vdi: str) -> bool:
        """Not of another VM, too."""
        return vdi in vdis and all(vbds[vbd]["VM"] in found.vms for vbd in vdis[vdi]["VBDs"] if vbd in vbds)

    found = Stale({ref: row for ref, row in objects.all("VM").items() if ours("VM", ref, row)})
    held = [vbds[ref]["VDI"] for row in found.vms.values() for ref in row["VBDs"] if ref in vbds and vbds[ref]["type"] == "Disk"]
    held += [row["suspend_VDI"] for row in found.vms.values()]
    loose = [ref for ref, row in vdis.items() if ours("VDI", ref, row) and not any(vbd in vbds for vbd in row["VBDs"])]
    found.vdis = [ref for ref in dict.fromkeys([*held, *loose]) if theirs(ref)]
    found.networks = [ref for ref, row in objects.all("network").items() if is_of(row["name_label"])]
    for ref, row in objects.session.call("task.get_all_records").items():
        mine = row["name_description"].startswith(RESTORED) and is_of(row["name_description"])
        if ref in uploads or (mine and row["status"] not in ("pending", "cancelling")):
            found.tasks.append(ref)
    return found


def plan_removal(plan: Plan, stale: Stale, whose: str) -> None:
    what = f"remove what a boot test of {whose} left"
    for ref, row in stale.vms.items():
        if row["blocked_operations"]:
            plan.add("VM.set_blocked_operations", ref, {}, what=what)
        if row["power_state"] != "Halted":
            plan.add("VM.hard_shutdown", ref, what=what, slow=True)
    for ref in stale.vdis:
        plan.add("VDI.destroy", ref, what=what, slow=True)
    for ref in stale.vms:
        plan.add("VM.destroy", ref, what=what, slow=True)
    for ref in stale.networks:
        plan.add("network.destroy", ref, what=what)
    for ref in stale.tasks:
        plan.add("task.destroy", ref, what=what)


def remove(objects: Objects, subject: Subject) -> list[str]:
    """At once, whatever else fails. What is left, for the next run to remove, by name. Raises XenError when the pool does not answer."""
    session, stale = objects.session, look_for(objects, subject)
    for ref, row in stale.vms.items():
        if row["blocked_operations"]:
            quietly(session, "VM.set_blocked_operations", ref, {})
        if row["power_state"] != "Halted":
            quietly(session, "VM.hard_shutdown", ref)
    for cls, refs in (("VDI", stale.vdis), ("VM", stale.vms), ("network", stale.networks), ("task", stale.tasks)):
        for ref in refs:
            quietly(session, f"{cls}.destroy", ref)
    objects.forget()
    rest = look_for(objects, subject)
    vdis = objects.all("VDI")
    return [f"VM {row['name_label']!r}" for row in rest.vms.values()] + [f"disk {vdis[ref]['name_label']!r}" for ref in rest.vdis]


@contextlib.contextmanager
def alone(subject: Subject) -> t.Iterator[None]:
    """One boot test of a thing at a time: what another one left is nobody's then. Raises InvalidChange, XenError."""
    path = subject.path / ".boot-test.part"
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as e:
        raise XenError(f"{path} could not be made: {e.strerror}.", hint="A boot test needs to write to the repository.") from e
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InvalidChange(f"Another task runs a boot test of {subject}.", hint="Wait for it.") from None
        except OSError as e:
            raise XenError(f"{path} could not be locked: {e.strerror}.") from e
        yield
        path.unlink(missing_ok=True)
    finally:
        os.close(fd)
