# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A bit of a backup flips. The check finds it, a restore refuses the backup by name, and the next backup builds on nothing of it.

Which places of a file there are is swept without a pool in backup/test_verify_flips.py; here one of each class goes all the way.
"""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.backup.names import MANIFEST
from ansible_collections.domzero.xen.plugins.module_utils.backup.repository import Repository
from ansible_collections.domzero.xen.plugins.module_utils.backup.stored import Backup
from ansible_collections.domzero.xen.plugins.module_utils.formats.compression import Damaged

from ..backup import verify_places
from ..backup.verify_lab import flipped, replaced
from ..conftest import Run
from .backup_lab import Backups

Start = t.Callable[..., t.Any]
VHD = (
    "copy of the footer, cookie", "copy of the footer, uuid", "header, table offset", "header, parent uuid", "block table, an entry",
    "bitmap, a sector that is there", "data, a sector that is there", "footer, size",
)  # fmt: skip
OVA = ("header of ova.xml, name", "ova.xml, middle", "ova.xml, padding")
XVA = (*OVA, "header of a block, size", "a block, beginning", "a checksum, last byte")
ANYTHING = ("first byte", "fourth byte", "middle", "last byte")
FULL: dict[str, dict[str, t.Any]] = {c: {"mode": "full", "compression": c} for c in ("none", "gzip", "zstd")}


@pytest.fixture
def lab(simulator: Start, session_to: t.Any, run: Run, tmp_path: Path) -> Backups:
    sim = simulator(1)
    made = Backups(sim, session_to(sim), run, tmp_path / "backups")
    made.run()
    made.write(1)
    return made


class Story:
    """What is asked of the modules while something of a backup is damaged."""

    def __init__(self, lab: Backups, run: Run, kind: str = "vm", name: str = ""):
        self.lab, self.run = lab, run
        self.about = {"repository": str(lab.folder), "kind": kind, **({"name": name} if name else {})}

    def goes(self, backup: Backup, file: str) -> None:
        """Its file was changed."""
        told = file.replace(".", r"\.")
        if self.about["kind"] == "vm":
            with pytest.raises(Damaged, match=rf"{backup.stamp}.*{told}|{told}|manifest"):
                self.run("xen_restore", check=True, **self.about, backup=backup.stamp, new_name="again")
        with pytest.raises(Damaged, match=rf"{backup.stamp}: {told}"):
            self.run("xen_backup_verify", **self.about, backup=backup.stamp)
        assert not self.again(backup).usable()
        if self.about["kind"] != "host":
            more = {"new_name": "again"} if self.about["kind"] == "vm" else {"dry_run": True}
            with pytest.raises(Damaged, match=backup.stamp):
                self.run("xen_restore", check=True, **self.about, backup=backup.stamp, **more)
        if self.about["kind"] == "vm":
            parent = self.run("xen_backup", check=True, **self.about)["diff"]["after"]["parent"]
            assert parent == "" or backup not in self.again(backup).subject.get(parent).chain()
            assert parent == "" or file == "vm.xva", "the base of what was not damaged is gone"

    def again(self, backup: Backup) -> Backup:
        """As it lies there now."""
        subject = next(one for one in Repository(self.lab.folder).subjects() if one.path == backup.subject.path)
        return next(one for one in subject.backups() if one.stamp == backup.stamp)

    def is_good_again(self, backup: Backup) -> None:
        self.run("xen_backup_verify", **self.about, backup=backup.stamp)
        assert self.again(backup).usable()


def sweep(story: Story, backup: Backup, file: str, names: t.Iterable[str], compression: str = "none") -> int:
    places = verify_places.of(backup.path / file, compression)
    count = 0
    for name in names:
        with flipped(backup.path / file, places[name], count % 8):
            try:
                story.goes(backup, file)
            except BaseException as e:
                e.add_note(f"{file}: {name}")
                raise
        story.is_good_again(backup)
        count += 1
    return count


def test_a_bit_of_an_increment_and_of_what_it_builds_on(lab: Backups, run: Run) -> None:
    """One of each; the sweep is the next one."""
    lab.run()
    story = Story(lab, run, name="web01")
    for backup in lab.backups():
        assert sweep(story, backup, "disk0.vhd", VHD[-2:-1]) == 1
    with flipped(lab.backups()[0].path / "disk0.vhd", -3000):
        with pytest.raises(Damaged):
            run("xen_backup_verify", **story.about)
        lab.write(2)
        lab.run()
        assert lab.manifest().parent == ""
        assert lab.read_back() == lab.contents(lab.web01)


@pytest.mark.slow
def test_a_bit_of_any_class_in_vhds(lab: Backups, run: Run) -> None:
    """8 classes in the whole file and in the increment, 3 in the description."""
    lab.run()
    story = Story(lab, run, name="web01")
    count = sum(sweep(story, backup, "disk0.vhd", VHD) for backup in lab.backups())
    count += sweep(story, lab.backups()[-1], "metadata.xva", OVA)
    assert count == 19


@pytest.mark.slow
@pytest.mark.parametrize("compression", FULL)
def test_a_bit_of_any_class_in_an_xva(lab: Backups, run: Run, compression: str) -> None:
    """6 classes in one that is not packed, 4 in packed ones."""
    lab.run(**FULL[compression])
    story = Story(lab, run, name="web01")
    names = XVA if compression == "none" else ANYTHING
    assert sweep(story, lab.backups()[-1], "vm.xva", names, compression) == len(names)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["pool", "host"])
def test_a_bit_of_a_dump_and_of_a_hosts_archive(lab: Backups, run: Run, kind: str) -> None:
    name = {"host": "xcp00"}.get(kind, "")
    story = Story(lab, run, kind, name)
    run("xen_backup", **story.about)
    (backup,) = next(one for one in Repository(lab.folder).subjects(kind)).backups()
    assert run("xen_backup_verify", **story.about, level="structure")["backups"][0]["ok"]
    run("xen_backup_verify", **story.about)
    (file,) = (stored.name for stored in backup.manifest.files)
    assert sweep(story, backup, file, ANYTHING, "packed") == len(ANYTHING)


@pytest.mark.slow
def test_a_field_of_a_manifest(lab: Backups, run: Run) -> None:
    """One byte of every line that says something; a manifest that is cut, and one of another backup."""
    lab.run()
    story = Story(lab, run, name="web01")
    backup = lab.backups()[-1]
    path = backup.path / MANIFEST
    data, at, count = path.read_bytes(), 0, 0
    for line in data.splitlines(keepends=True):
        if b":" in line and count < 40:
            with flipped(path, at + line.index(b":") + 3, count % 8):
                story.goes(backup, MANIFEST)
            count += 1
        at += len(line)
    story.is_good_again(backup)
    assert count >= 30
    for changed in (b"", data[: len(data) // 2], (lab.backups()[0].path / MANIFEST).read_bytes()):
        with replaced(path, changed):
            story.goes(backup, MANIFEST)
    story.is_good_again(backup)
