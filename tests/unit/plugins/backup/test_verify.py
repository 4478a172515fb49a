# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a check of the structure finds though every checksum is right: as if it had come like that from the pool."""

from __future__ import annotations

import dataclasses
import io
import struct
import tarfile
import typing as t
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.domzero.xen.plugins.module_utils.backup.findings import Findings
from ansible_collections.domzero.xen.plugins.module_utils.backup.repository import Repository
from ansible_collections.domzero.xen.plugins.module_utils.backup.stored import Backup
from ansible_collections.domzero.xen.plugins.module_utils.backup.subject import Subject
from ansible_collections.domzero.xen.plugins.module_utils.backup.verify_tar import check_tar
from ansible_collections.domzero.xen.plugins.module_utils.backup.verify_vhd import VhdCheck, Wanted
from ansible_collections.domzero.xen.plugins.module_utils.formats import vhd_write
from ansible_collections.domzero.xen.plugins.module_utils.formats.compression import Damaged

from . import shelf
from . import verify_lab as lab
from .chain_lab import BLOCK, SECTOR, Piece, uuid_of, write


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    return lab.build(tmp_path_factory.mktemp("verify") / "backups")


@pytest.fixture
def subject(tmp_path: Path) -> Subject:
    return shelf.vm(tmp_path)


def made(subject: Subject, files: dict[str, bytes], **more: t.Any) -> Backup:
    with subject.lock("backup"), subject.begin(shelf.NOON) as draft:
        return draft.commit(shelf.described(draft, [shelf.put(draft.path, *file) for file in files.items()], **more))


def findings(backup: Backup, level: str = "structure") -> list[str]:
    return [str(finding) for finding in lab.look(backup, level).findings]


@pytest.mark.parametrize("level", ["checksum", "structure"])
def test_what_was_written_is_good(repository: Repository, level: str) -> None:
    for subject in repository.subjects():
        for backup in subject.backups():
            report = lab.look(backup, level)
            assert report.findings == []
            assert backup.manifest and report.bytes == backup.manifest.size


# disks and their description ----------------------------------------------------------
def test_a_vm_without_its_description_cannot_be_made_again(subject: Subject) -> None:
    row = lab.disk_row("0", 0, None, file="", vhd="")
    backup = made(subject, {"vm.xva": lab.xva("none")}, form="xva", disks=(row,))
    assert findings(backup) == ["manifest.json (files): there is no metadata.xva: the VM cannot be made again"]


def test_disks_have_to_be_those_of_the_description(subject: Subject) -> None:
    rows = (lab.disk_row("0", 0, None, file="", vhd="", vdi="another"), lab.disk_row("5", 0, None, file="", vhd=""))
    files = {"metadata.xva": lab.metadata(2), "vm.xva": lab.xva("none")}
    told = findings(made(subject, files, form="xva", disks=rows, details={"compression": "gzip"}))
    assert told == [
        "vm.xva (beginning): its compression is none, the manifest says gzip",
        "vm.xva (ova.xml): it knows no disk 5 ('disk 5'), which the manifest has",
        "metadata.xva (ova.xml): its disk 0 is vdi-0, the manifest's is another",
        "metadata.xva (ova.xml): it knows no disk 5 ('disk 5'), which the manifest has",
        "metadata.xva (ova.xml): its disk 1 is neither in the manifest nor among the disks left out",
    ]


def test_a_disk_that_was_left_out_is_no_finding(subject: Subject) -> None:
    out = ({"device": "1", "name": "scratch", "vdi": "vdi-1", "why": "ignore_disks"},)
    row = lab.disk_row("0", 0, None, file="", vhd="")
    assert (
        findings(made(subject, {"metadata.xva": lab.metadata(2), "vm.xva": lab.xva("none")}, form="xva", disks=(row,), left_out=out)) == []
    )


def test_an_xva_without_the_data_of_its_disks_is_no_backup_of_them(subject: Subject) -> None:
    row = lab.disk_row("0", 0, None, file="", vhd="")
    backup = made(subject, {"metadata.xva": lab.metadata(), "vm.xva": lab.metadata()}, form="xva", disks=(row,))
    assert findings(backup) == ["vm.xva: it describes the VM only: the data of its disks is missing"]


def test_a_block_that_is_not_what_its_checksum_says_is_told_with_its_place(subject: Subject) -> None:
    data = bytearray(lab.xva("none"))
    data[data.index(lab.noise("xva", 1 << 20)[:64])] ^= 1
    row = lab.disk_row("0", 0, None, file="", vhd="")
    backup = made(subject, {"metadata.xva": lab.metadata(), "vm.xva": bytes(data)}, form="xva", disks=(row,))
    assert findings(backup) == ["vm.xva: Block 0 of disk 'disk 0' (Ref:9) is not what its checksum says (Ref:9/00000000)"]
    assert findings(backup, "checksum") == []


def test_a_vhd_that_is_another_than_the_manifest_says(subject: Subject, tmp_path: Path) -> None:
    disk = lab.laid_out(lab.SIZE, lab.LAYERS[0])
    file = write(tmp_path / "x.vhd", disk, lab.LAYERS[0], 7, vhd_write.Parent(uuid_of(6), "../x/disk0.vhd"))
    row = lab.disk_row("0", 8, None, virtual_size=lab.SIZE * 2)
    told = findings(made(subject, {"metadata.xva": lab.metadata(), "disk0.vhd": file.read_bytes()}, disks=(row,)))
    assert told == [
        f"disk0.vhd (uuid in the footer): it is {uuid_of(7)}, the manifest says {uuid_of(8)}",
        f"disk0.vhd (size in the footer): it is {lab.SIZE}, the manifest says {lab.SIZE * 2}",
        "disk0.vhd (type in the footer): it holds changes only, the manifest says that it is whole",
        f"disk0.vhd (header at 512): its parent is {uuid_of(6)}, the manifest says none",
        f"metadata.xva (ova.xml): its disk 0 has {lab.SIZE} bytes, the manifest's {lab.SIZE * 2}",
    ]


def test_a_disk_builds_on_what_the_parent_has(subject: Subject) -> None:
    backups = lab.add_vhds(subject)
    newest = backups[-1]
    assert newest.manifest
    row = dataclasses.replace(newest.manifest.disks[0], parent_vhd=uuid_of(99))
    with subject.lock("backup"):
        newest.replace(dataclasses.replace(newest.manifest, disks=(row,)))
    told = findings(newest)
    assert f"manifest.json (disk 0): it builds on the VHD {uuid_of(99)}, which the backup {backups[1].stamp} does not have" in told
    assert f"disk0.vhd (header at 512): its parent is {uuid_of(1)}, the manifest says {uuid_of(99)}" in told


@pytest.mark.parametrize("level", ["checksum", "structure"])
def test_a_backup_whose_parent_was_exchanged_is_not_good(subject: Subject, level: str) -> None:
    """Every file is what it was, and the disk is another one."""
    whole, middle, _newest = lab.add_vhds(subject)
    assert whole.manifest
    row = dataclasses.replace(whole.manifest.disks[0], vhd=uuid_of(99))
    with subject.lock("backup"):
        whole.replace(dataclasses.replace(whole.manifest, disks=(row,)))
    report = lab.look(subject.backups()[1], level)
    assert [finding.file for finding in report.findings.damage] == ["manifest.json"]
    verdict = report.verdict()
    assert verdict and not verdict.ok
    assert middle.stamp == report.backup.stamp


# the block table ------------------------------------------------------------------------
def checked(path: Path) -> list[str]:
    found = Findings()
    VhdCheck(path, path.name, Wanted(8 * BLOCK, uuid_of(0), ""), found).check()
    return [str(finding) for finding in found]


@pytest.fixture
def full(tmp_path: Path) -> Path:
    """Eight blocks."""
    parts = [Piece(n * BLOCK // SECTOR, 8, n + 1) for n in range(8)]
    return write(tmp_path / "x.vhd", lab.laid_out(8 * BLOCK, parts), parts)


def test_every_entry_that_is_wrong_is_told(full: Path) -> None:
    data = bytearray(full.read_bytes())
    first = struct.unpack_from(">I", data, 1536)[0]
    for number, entry in ((1, first), (2, first + 1), (3, 2), (4, 1 << 30)):
        struct.pack_into(">I", data, 1536 + 4 * number, entry)
    full.write_bytes(data)
    told = checked(full)
    assert [line.partition(": ")[2].partition(" ")[2] for line in told] == [
        f"place {first * 512} overlaps with that of block 0", f"place {(first + 1) * 512} overlaps with that of block 0",
        "place 1024 lies where something else does", f"place {512 << 30} reaches beyond the end of the file",
    ]  # fmt: skip
    assert [line.partition(": ")[0] for line in told] == [f"x.vhd (block table, entry {n} at {1536 + 4 * n})" for n in (1, 2, 3, 4)]


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(entries=st.lists(st.one_of(st.integers(0, 40000), st.just(0xFFFFFFFF)), min_size=8, max_size=8))
def test_blocks_overlap_as_a_slow_look_at_all_of_them_says(full: Path, entries: list[int]) -> None:
    data = bytearray(full.read_bytes())
    struct.pack_into(">8I", data, 1536, *entries)
    full.write_bytes(data)
    taken = (SECTOR + BLOCK) // SECTOR
    last = len(data) // SECTOR - 1
    places: list[tuple[int, int]] = [(0, 4)]
    wrong = 0
    for entry in entries:
        if entry == 0xFFFFFFFF:
            continue
        bad = entry + taken > last or any(entry < end and start < entry + taken for start, end in places)
        wrong += bad
        places += [] if bad else [(entry, entry + taken)]
    assert len(checked(full)) == wrong


def test_a_table_of_nonsense_is_told_in_few_words(full: Path) -> None:
    data = bytearray(full.read_bytes())
    size = 4096 * BLOCK
    plan = vhd_write.plan(size, [(n * BLOCK, SECTOR) for n in range(4096)], uuid=uuid_of(0))
    pieces = plan.pieces(lambda _offset, length: bytes(length))
    head = b"".join([next(pieces), next(pieces)])
    data = bytearray(head + bytes(1 << 20) + head[:512])
    full.write_bytes(data)
    told = checked(full)
    assert len(told) == 22  # the size, twenty entries, and how many more
    assert "more of its entries are wrong" in told[-1]


# archives ----------------------------------------------------------------------------------
def tarred(count: int = 3) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for number in range(count):
            info = tarfile.TarInfo(f"file{number}")
            info.size = 700
            archive.addfile(info, io.BytesIO(lab.noise(str(number), 700)))
    return out.getvalue()


def reader(data: bytes) -> t.Callable[[memoryview], int]:
    return t.cast("t.Callable[[memoryview], int]", io.BytesIO(data).readinto)


def test_an_archive_is_read_to_its_end() -> None:
    data = tarred()
    assert check_tar(reader(data)) == 3
    second = 512 + 1024
    for changed in (data[: second + 100], data[:second], data[: second + 512 + 700], data + b"x", tarred(0), b"", b"x" * 2000):
        with pytest.raises(Damaged):
            check_tar(reader(changed))
    for at in (second, second + 124, second + 148):
        with pytest.raises(Damaged, match="What follows file0 is no entry"):
            check_tar(reader(data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :]))


def test_an_archive_of_a_host_that_was_cut_before_it_was_stored_is_found(tmp_path: Path) -> None:
    host = Repository(tmp_path).subject("host", shelf.POOL, lab.HOST)
    backup = lab.add_plain(host, "host.tar.gz", lab.archive()[:-20], "archive")
    assert findings(backup, "checksum") == []
    assert findings(backup) == ["host.tar.gz: The file ends too early"]


def test_an_archive_that_cannot_be_unpacked_is_damaged_and_not_unreadable(tmp_path: Path) -> None:
    """What gzip says of its checksum is an error of reading by its class only."""
    host = Repository(tmp_path).subject("host", shelf.POOL, lab.HOST)
    data = bytearray(lab.archive())
    data[-6] ^= 1
    report = lab.look(lab.add_plain(host, "host.tar.gz", bytes(data), "archive"), "structure")
    assert [(finding.file, finding.unreadable) for finding in report.findings] == [("host.tar.gz", False)]
    verdict = report.verdict()
    assert verdict and not verdict.ok


def test_a_dump_of_another_pool_is_found(tmp_path: Path) -> None:
    pool = Repository(tmp_path).subject("pool", shelf.POOL, shelf.POOL)
    other = lab.DUMP.replace(shelf.POOL.uuid.encode(), lab.HOST.uuid.encode())
    assert "it is of the pool" in findings(lab.add_plain(pool, "pool.xml", other, "dump"))[0]
    cut = lab.add_plain(pool, "pool.xml", lab.DUMP[:-20], "dump")
    assert "It is no whole XML document: line" in findings(cut)[0]
