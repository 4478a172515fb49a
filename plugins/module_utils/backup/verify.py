# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Is a backup what was written, and can it be restored? Everything that is wrong is told at once; memory does not depend on sizes.

checksum: the SHA-256 of every file. structure: checksum, and what the files hold fits together and with the manifest.
A verdict says what was found. Where a file could not be read, none is given: nobody knows then.
"""

from __future__ import annotations

import hashlib
import os
import stat
import time
import typing as t
from dataclasses import dataclass, field
from pathlib import Path

from ..formats.files import PIECE, forget_cached
from . import manifest as manifests
from .findings import Findings
from .manifest import Manifest, Stored
from .names import MANIFEST, iso
from .stored import Backup, contents
from .verdict import Verdict
from .verify_structure import Structure

TOLD = 6  # findings a verdict names
LEVELS = ("checksum", "structure", "boot")  # each says what those before it say


@dataclass
class Report:
    """What was found of one backup; bytes: how much was read."""

    backup: Backup
    level: str
    findings: Findings = field(default_factory=Findings)
    bytes: int = 0

    @property
    def ok(self) -> bool:
        return not self.findings

    def verdict(self, now: float | None = None) -> Verdict | None:
        """What is to be written. None where a file could not be read and no damage is known, where it has no manifest to judge,
        and where a higher level found it to be bad, which a lower one cannot take back.
        """
        damage, before = self.findings.damage, self.backup.verdict
        if (self.findings and not damage) or self.backup.manifest is None:
            return None
        if not damage and before and not before.ok and _rank(before.level) > _rank(self.level):
            return None
        when = iso(time.time() if now is None else now)
        more = f"; and {len(damage) - TOLD} more" if len(damage) > TOLD else ""
        return Verdict(when, self.level, not damage, "; ".join(map(str, damage[:TOLD])) + more)

    def told(self) -> dict[str, t.Any]:
        return {"level": self.level, "ok": self.ok, "bytes": self.bytes, "findings": [finding.told() for finding in self.findings]}


def check(backup: Backup, level: str, among: t.Mapping[str, Backup], identity: str = "") -> Report:
    """One backup by itself, without those it builds on. Changes nothing.

    level: checksum or structure; among: the backups of its subject by stamp; identity: of age, for the structure of encrypted files.
    """
    backup.read()
    report = Report(backup, level)
    manifest = _manifest(backup, report.findings)
    if manifest is None or _is_of_another(backup, manifest, report.findings):
        return report
    if manifest.parent and manifest.parent not in among:
        report.findings.add(MANIFEST, "parent", f"it builds on {manifest.parent}, which is not there")
    structure = Structure(backup, manifest, among.get(manifest.parent), report.findings, identity) if level != "checksum" else None
    for stored in manifest.files:
        known = structure.look_at(stored) if structure else ""
        report.bytes += _checksum(backup.file(stored), stored, report.findings, known)
    if structure:
        structure.finish()
    if not report.findings and backup.damage:
        (report.findings.could_not_look if backup.unseen else report.findings.add)(MANIFEST, "", backup.damage)
    if not report.findings and (broken := backup.broken_link):
        report.findings.add(MANIFEST, "parent", broken)
    return report


def _rank(level: str) -> int:
    return LEVELS.index(level) if level in LEVELS else -1


def changes(before: Verdict | None, after: Verdict | None) -> bool:
    """Whether a verdict says something else than the one before."""
    return after is not None and (before is None or (before.level, before.ok, before.problem) != (after.level, after.ok, after.problem))


def _manifest(backup: Backup, findings: Findings) -> Manifest | None:
    """Read anew: what was known of it may be old."""
    with findings.of(MANIFEST):
        return manifests.parse(contents(backup.path / MANIFEST))
    return None


def _is_of_another(backup: Backup, manifest: Manifest, findings: Findings) -> bool:
    """Whether somebody put it there from elsewhere: its files are others then."""
    subject = backup.subject
    wanted = (backup.stamp, subject.kind, subject.uuid, subject.pool_uuid)
    if wanted == (manifest.stamp, manifest.kind, manifest.subject.uuid, manifest.pool.uuid):
        return False
    findings.add(MANIFEST, "", f"it is of another backup: {manifest.stamp} of {manifest.kind} {manifest.subject.name!r}")
    return True


def _checksum(path: Path, stored: Stored, findings: Findings, known: str = "") -> int:
    """known: its SHA-256, if somebody has read it already. How many bytes were read."""
    size = digest = None
    with findings.of(stored.name):
        size, digest = _size_and_digest(path, stored, findings, known)
    if size is not None and size != stored.size:
        what = "it is cut off" if size < stored.size else "something was added"
        findings.add(stored.name, f"end, at {min(size, stored.size)}", f"it has {size} bytes, not {stored.size}: {what}")
    elif digest is not None and digest != stored.sha256:
        findings.add(stored.name, "", f"its SHA-256 is {digest}, not {stored.sha256}: it was changed")
    return size or 0


def _size_and_digest(path: Path, stored: Stored, findings: Findings, known: str) -> tuple[int | None, str | None]:
    """Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        about = os.fstat(fd)
        if not stat.S_ISREG(about.st_mode):
            findings.add(stored.name, "", "it is no file")
            return None, None
        if about.st_size != stored.size or known:
            return about.st_size, known or None
        return about.st_size, from_disk(fd)
    finally:
        os.close(fd)


def from_disk(fd: int) -> str:
    """SHA-256 of a file: what lies on the disk, not what is remembered of it where that is there already. Raises OSError."""
    forget_cached(fd)
    digest, buffer = hashlib.sha256(), memoryview(bytearray(PIECE))
    while count := os.readv(fd, [buffer]):
        digest.update(buffer[:count])
    return digest.hexdigest()


# several of them --------------------------------------------------------------------
def closure(backups: t.Iterable[Backup], among: t.Mapping[str, Backup]) -> list[Backup]:
    """These and all they build on, as far as that is there, each once: without its parents an increment is nothing."""
    found: dict[str, Backup] = {}
    for backup in backups:
        found.update({one.stamp: one for one in ancestry(backup, among) if one.stamp not in found})
    return sorted(found.values(), key=lambda one: list(among).index(one.stamp))


def ancestry(backup: Backup, among: t.Mapping[str, Backup]) -> list[Backup]:
    """Itself and what it builds on, the nearest first; ends where the chain is broken."""
    found = [backup]
    while (last := found[-1].manifest) and last.parent in among and among[last.parent] not in found:
        found.append(among[last.parent])
    return found
