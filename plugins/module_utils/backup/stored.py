# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One backup as it lies there."""

from __future__ import annotations

import errno
import os
import stat
import typing as t
from pathlib import Path

from ..errors import InvalidChange
from ..formats.compression import Damaged
from . import manifest as manifests
from . import verdict as verdicts
from .durable import gone, landed, synced
from .listing import Listing
from .manifest import Manifest, Stored
from .names import MANIFEST, VERIFIED
from .verdict import Verdict

if t.TYPE_CHECKING:
    from .subject import Subject

LARGEST = 64 << 20  # bytes of a manifest


class Backup:
    """manifest: None if it cannot be read; damage: what is wrong with it or its files, "" = nothing; verdict: of the last check."""

    def __init__(self, subject: Subject, listing: Listing, path: Path):
        self.subject, self.path, self.stamp = subject, path, path.name
        self._listing = listing
        self.manifest: Manifest | None = None
        self.verdict: Verdict | None = None
        self.damage = ""
        self._unreadable_verdict = False
        self.unseen = False  # its damage is that it could not be looked at

    def read(self) -> bool:
        """From the disk; False if there is no manifest, hence no backup."""
        self.manifest, self.verdict, self.damage, self._unreadable_verdict, self.unseen = None, None, "", False, False
        try:
            found = manifests.parse(contents(self.path / MANIFEST))
        except FileNotFoundError:
            return False
        except OSError as e:
            self.damage, self.unseen = f"Its manifest cannot be read: {e.strerror}.", True
        except Damaged as e:
            self.damage, self.unseen = f"Its manifest cannot be used. {e}", True
        else:
            self.manifest = found
            self.damage = misplaced(self.subject, self.path, found) or self._missing(found)
            self._read_verdict(found)
        return True

    def _missing(self, found: Manifest) -> str:
        for file in found.files:
            try:
                there = os.lstat(self.path / file.name)
            except (FileNotFoundError, NotADirectoryError) as e:
                return f"Its file {file.name} is not there: {e.strerror}."
            except OSError as e:
                self.unseen = True
                return f"Its file {file.name} cannot be looked at: {e.strerror}."
            if not stat.S_ISREG(there.st_mode):
                return f"Its file {file.name} is no file any more."
            if there.st_size != file.size:
                return f"Its file {file.name} has {there.st_size} bytes, not {file.size}."
        return ""

    def _read_verdict(self, found: Manifest) -> None:
        try:
            self.verdict = verdicts.parse(contents(self.path / VERIFIED), found)
        except FileNotFoundError:
            pass
        except (OSError, Damaged):
            self._unreadable_verdict = True

    @property
    def own_problem(self) -> str:
        """What is wrong with it, whatever it builds on."""
        if self.damage or not (self._unreadable_verdict or (self.verdict and not self.verdict.ok)):
            return self.damage
        return self.verdict.problem or "The last check failed." if self.verdict else f"{VERIFIED} cannot be read: check the backup again."

    @property
    def doubt(self) -> str:
        """Why what is wrong with it may not be so: its data may be good. "" where it is known to be bad, or nothing is wrong with it."""
        if self.damage:
            return "it could not be looked at" if self.unseen else ""
        if self._unreadable_verdict:
            return "what its last check said cannot be read: check it again"
        started = self.verdict and not self.verdict.ok and self.verdict.level == "boot"
        return "its boot test failed: look at it, and remove it by hand" if started else ""

    @property
    def broken_link(self) -> str:
        """What is wrong between it and what it builds on."""
        return self._listing.link(self)

    @property
    def problem(self) -> str:
        """Why it cannot be used; "" = it can: manifest sound, files there in their sizes, chain complete, no bad verdict."""
        return self._listing.problem(self)

    @property
    def state(self) -> str:
        """good, damaged, bad (by its last check), or broken chain."""
        if self.damage or not self.problem:
            return "damaged" if self.damage else "good"
        return "bad" if self.own_problem else "broken chain"

    def usable(self) -> bool:
        return not self.problem

    def chain(self) -> list[Backup]:
        """Itself first, then its parent, up to the whole one; verdicts are not asked. Raises Damaged where it is broken."""
        return self._listing.chain(self)

    def children(self) -> list[Backup]:
        """What builds on it directly."""
        return self._listing.children(self.stamp)

    def file(self, file: Stored | str) -> Path:
        return self.path / (file if isinstance(file, str) else file.name)

    def replace(self, manifest: Manifest) -> None:
        """Another manifest in one rename; the files it names are there already. Needs the lock. Raises XenError, Damaged."""
        self.subject.need_lock()
        publish(self.subject, self.path, manifest)
        self.read()
        self.subject.touched(self._listing)

    def judge(self, verdict: Verdict) -> None:
        """What a check said. Needs the lock, be it shared. Raises XenError."""
        self.subject.need_lock(shared=True)
        if self.manifest is None:
            return  # says so itself
        landed(self.path / VERIFIED, verdicts.dump(verdict, self.manifest))
        self.verdict, self._unreadable_verdict = verdict, False
        self.subject.touched(self._listing)

    def remove(self) -> None:
        """The manifest first: from then on it is no backup. May be repeated. Needs the lock.

        Raises InvalidChange while others build on it, XenError.
        """
        self.subject.need_lock()
        if self._listing.generation != self.subject.generation:
            self._listing = self.subject.listing()
        if children := self.children():
            names = ", ".join(child.stamp for child in children)
            raise InvalidChange(f"{self.path} cannot be removed: {names} builds on it.", hint="Merge it, or remove those first.")
        remove_folder(self.path)
        self._listing.forget(self.stamp)
        self.subject.touched(self._listing)

    def told(self) -> dict[str, t.Any]:
        """What modules return of it; sizes in bytes."""
        return {**self._place(), **(self._contents(self.manifest) if self.manifest else _NO_CONTENTS)}

    def _place(self) -> dict[str, t.Any]:
        return {
            **self.subject.told(),
            "stamp": self.stamp,
            "path": str(self.path),
            "state": self.state,
            "problem": self.problem,
            "verified": self.verdict.told() if self.verdict else None,
        }

    def _contents(self, m: Manifest) -> dict[str, t.Any]:
        return {
            "name": m.subject.name,
            "id": m.id,
            "number": m.number,
            "created": m.created,
            "form": m.form,
            "parent": m.parent,
            "depth": self._listing.depth(self),
            "size": m.size,
            "disks": [_disk(disk) for disk in m.disks],
            "left_out": [dict(one) for one in m.left_out],
            "keep": m.keep,
            "encrypted": bool(m.encryption),
        }


_NO_CONTENTS: dict[str, t.Any] = {
    **dict.fromkeys(("id", "created", "form", "parent"), ""),
    "number": 0,
    "depth": 0,
    "size": 0,
    "disks": [],
    "left_out": [],
    "keep": False,
    "encrypted": False,
}


def _disk(disk: manifests.Disk) -> dict[str, t.Any]:
    told = {key: getattr(disk, key) for key in ("device", "name", "vdi", "virtual_size", "file", "data", "how")}
    return {**told, "sr": disk.sr.name}


def contents(path: Path) -> bytes:
    """Of a small file; no link is followed. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(fd, "rb", buffering=0) as file:
        there = os.fstat(fd)
        if not stat.S_ISREG(there.st_mode) or there.st_size > LARGEST:
            raise OSError(errno.EINVAL, "it is no file of ours")
        return file.readall()


def misplaced(subject: Subject, folder: Path, found: Manifest) -> str:
    """Why a manifest does not belong into a folder, such as a copy that was renamed; "" if it does."""
    if (found.stamp, found.kind) != (folder.name, subject.kind):
        return f"Its manifest is of another backup ({found.kind} {found.stamp})."
    if subject.uuid != found.subject.uuid or subject.pool_uuid != found.pool.uuid:
        return f"Its manifest is of another {found.kind} ({found.subject.name}, {found.subject.uuid})."
    return ""


def publish(subject: Subject, folder: Path, manifest: Manifest) -> None:
    """The manifest gets its place, when all it names is on the disk. Raises Damaged if that is not so, XenError."""
    if wrong := misplaced(subject, folder, manifest):
        raise Damaged(f"{folder}: {wrong}")
    data = manifests.dump(manifest)
    for file in manifests.parse(data).files:
        try:
            there = os.lstat(folder / file.name)
            if not stat.S_ISREG(there.st_mode) or there.st_size != file.size:
                raise Damaged(f"{folder / file.name} is not the file of {file.size} bytes that was written.")
            synced(folder / file.name)
        except OSError as e:
            raise Damaged(f"{folder / file.name} is not there any more: {e.strerror}.") from e
    synced(folder)
    landed(folder / MANIFEST, data)


def remove_folder(path: Path) -> None:
    """A backup or what is left of one. Raises XenError."""
    gone(path / MANIFEST)
    gone(path)
