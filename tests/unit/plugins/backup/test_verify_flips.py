# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A bit flips in a stored file, or a file is cut, extended, exchanged, lost: it is found, and the backup is never called good.

The repository has a whole backup and two increments in VHDs, an .xva in each compression, a pool's database, a host's archive.
"""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.domzero.xen.plugins.module_utils.backup.findings import Findings
from ansible_collections.domzero.xen.plugins.module_utils.backup.names import MANIFEST, VERIFIED
from ansible_collections.domzero.xen.plugins.module_utils.backup.repository import Repository
from ansible_collections.domzero.xen.plugins.module_utils.backup.stored import Backup
from ansible_collections.domzero.xen.plugins.module_utils.backup.verdict import Verdict
from ansible_collections.domzero.xen.plugins.module_utils.backup.verify_vhd import VhdCheck, Wanted
from ansible_collections.domzero.xen.plugins.module_utils.formats.compression import Damaged

from . import verify_lab as lab
from . import verify_places as places

LEVELS = ("checksum", "structure")
BOTH = ["checksum", pytest.param("structure", marks=pytest.mark.slow)]


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    return lab.build(tmp_path_factory.mktemp("flips") / "backups")


@pytest.fixture(scope="module")
def backups(repository: Repository) -> list[Backup]:
    return [backup for subject in repository.subjects() for backup in subject.backups()]


def files(backups: t.Iterable[Backup]) -> list[tuple[Backup, str]]:
    return [(backup, stored.name) for backup in backups if backup.manifest for stored in backup.manifest.files]


def compression_of(backup: Backup, name: str) -> str:
    return str(backup.manifest.details.get("compression", "none")) if backup.manifest and name == "vm.xva" else "none"


def is_found(backup: Backup, file: str, level: str) -> bool:
    """By name, as damage, and the verdict says so."""
    report = lab.look(backup, level)
    verdict = report.verdict()
    return file in {one.file for one in report.findings.damage} and bool(verdict and not verdict.ok and file in verdict.problem)


@pytest.mark.parametrize("level", BOTH)
def test_a_bit_flipped_in_any_class_of_bytes_is_found(backups: list[Backup], level: str) -> None:
    """262 places in 14 files: 53 in each VHD (footers, header, table, bitmap, data), 8 to 19 in each .xva, 9 in packed files."""
    count = 0
    for backup, name in files(backups):
        for what, at in places.of(backup.path / name, compression_of(backup, name)).items():
            count += 1
            with lab.flipped(backup.path / name, at, count % 8):
                assert is_found(backup, name, level), f"{name} of {backup.stamp}: {what} ({at})"
    assert (count, len(files(backups))) == (262, 14)


def test_a_flip_in_a_vhds_structure_is_found_even_when_its_checksum_fits(backups: list[Backup]) -> None:
    """As if it had come like that from the pool: 48 places in each of 3 VHDs are found by what the file says of itself, with the place."""
    count = 0
    for backup in backups:
        path = backup.path / "disk0.vhd"
        if not path.exists():
            continue
        for what, at in places.of_vhd(path).items():
            if not what.startswith(places.STRUCTURE):
                continue
            count += 1
            disk = backup.manifest.disks[0] if backup.manifest else lab.disk_row("0", 0, None)
            with lab.flipped(path, at, 2):
                findings = Findings()
                VhdCheck(path, path.name, Wanted(disk.virtual_size, disk.vhd, disk.parent_vhd), findings).check()
                assert findings, f"{what} ({at})"
                assert all(one.where and one.file == path.name for one in findings), findings
    assert count == 3 * 48


@pytest.mark.parametrize("level", BOTH)
def test_a_file_that_was_cut_extended_exchanged_or_lost_is_found(backups: list[Backup], level: str) -> None:
    """7 ways for each of 14 files."""
    count = 0
    for backup, name in files(backups):
        path = backup.path / name
        data = path.read_bytes()
        other = bytes(reversed(data))
        for changed in (b"", data[:1], data[: len(data) // 2], data[:-1], data + b"\0", other, None):
            count += 1
            with lab.replaced(path, changed):
                assert is_found(backup, name, level), f"{name}: {'lost' if changed is None else len(changed)} of {len(data)}"
    assert count == 7 * 14


def test_files_that_changed_places_are_found(backups: list[Backup]) -> None:
    first, second = [backup for backup in backups if (backup.path / "disk0.vhd").exists()][1:]
    with lab.replaced(first.path / "disk0.vhd", (second.path / "disk0.vhd").read_bytes()):
        assert is_found(first, "disk0.vhd", "checksum")
    with lab.replaced(first.path / MANIFEST, (second.path / MANIFEST).read_bytes()):
        report = lab.look(first, "checksum")
        assert not report.ok
        assert first.subject.get(second.stamp) is not None


@pytest.mark.parametrize("step", [7, pytest.param(1, marks=pytest.mark.slow)])
def test_every_byte_of_a_manifest_counts(backups: list[Backup], step: int) -> None:
    """One bit of each byte (of every seventh where time is short) of an increment's: whatever it is of, the backup is not good."""
    backup = next(one for one in backups if one.manifest and one.manifest.parent)
    path = backup.path / MANIFEST
    size = path.stat().st_size
    assert size > 1300
    for at in range(0, size, step):
        with lab.flipped(path, at, at % 8):
            assert is_found_in_manifest(backup), f"byte {at}"
    for changed in (b"", path.read_bytes()[:-1], path.read_bytes() + b" ", path.read_bytes() * 2, b"{}", b"[]", b"null"):
        with lab.replaced(path, changed):
            assert is_found_in_manifest(backup)
    backup.read()


def is_found_in_manifest(backup: Backup) -> bool:
    report = lab.look(backup, "checksum")
    return [one.file for one in report.findings.damage] == [MANIFEST] and bool(backup.damage)


@pytest.mark.parametrize("ok", [True, False])
def test_every_byte_of_a_verdict_counts(backups: list[Backup], ok: bool) -> None:
    """A bad backup never becomes good by a flipped bit; one whose verdict cannot be read waits for another check."""
    subject = next(backup for backup in backups if backup.manifest and backup.manifest.form == "dump").subject
    with subject.lock("verify", shared=True):
        subject.backups()[0].judge(Verdict("2026-11-21T00:00:00Z", "checksum", ok, "" if ok else "it was bad"))
    path = subject.path / subject.backups()[0].stamp / VERIFIED
    assert subject.backups()[0].usable() is ok
    for at in range(path.stat().st_size):
        with lab.flipped(path, at, at % 8):
            assert not subject.backups()[0].usable()
    path.unlink()


def test_every_byte_of_the_repositorys_own_file_counts(repository: Repository) -> None:
    path = repository.root / "repository.json"
    known = repository.id
    for at in range(path.stat().st_size):
        with lab.flipped(path, at, at % 8):
            try:
                assert Repository(repository.root).id == known, f"byte {at}"
            except Damaged:
                continue
            pytest.fail(f"byte {at} is not missed")


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_bit_anywhere_in_any_file_is_found(backups: list[Backup], data: st.DataObject) -> None:
    backup, name = data.draw(st.sampled_from(files(backups)))
    path: Path = backup.path / name
    at, bit = data.draw(st.integers(0, path.stat().st_size - 1)), data.draw(st.integers(0, 7))
    with lab.flipped(path, at, bit):
        assert is_found(backup, name, data.draw(st.sampled_from(LEVELS)))
