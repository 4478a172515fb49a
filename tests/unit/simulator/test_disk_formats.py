# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks travel as raw data, VHD and tar, and other people's tools read them."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import struct
import subprocess
import tarfile
import typing as t
from pathlib import Path

import pytest
from dissect.hypervisor.disk.vhd import VHD

from ansible_collections.domzero.xen.tests.simulator.disks import vhd_parts

from .wired import Wire, wired

MIB = 1 << 20
SIZE = 64 * MIB


@pytest.fixture(scope="module")
def lab() -> t.Iterator[Wire]:
    with wired() as asked:
        yield asked


@pytest.fixture
def disk(lab: Wire) -> str:
    """A disk with data here and there, at block borders and in the last sector."""
    vdi = lab.vdi(SIZE)
    lab.fill(vdi, 0, 100, 1)
    lab.fill(vdi, 4 * MIB - 777, 3 * MIB, 2)
    lab.fill(vdi, 33 * MIB + 5, 1, 3)
    lab.fill(vdi, SIZE - 512, 512, 4)
    return vdi


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def qemu_img(*arguments: str) -> str:
    tool = shutil.which("qemu-img")
    assert tool, "qemu-img is missing: these tests hold VHD files against it; install it (Debian: apt-get install qemu-utils)"
    return subprocess.run([tool, *arguments], check=True, capture_output=True, text=True).stdout


def test_raw_data_comes_as_it_is(lab: Wire, disk: str) -> None:
    body = lab.down(disk)
    assert body == lab.disks.read(lab.uuid(disk))
    assert (len(body), sha(body)) == (SIZE, lab.digest(disk))
    assert not body[10 * MIB : 33 * MIB].strip(b"\0")


@pytest.mark.parametrize("format_", ["raw", "vhd", "tar"])
def test_every_format_comes_back_to_the_same_bytes(lab: Wire, disk: str, format_: str) -> None:
    body = lab.down(disk, format_)
    other = lab.vdi(SIZE)
    lab.fill(other, 5 * MIB, 20 * MIB, "what was there before")
    assert lab.up(body, format_, vdi=other) == []
    assert lab.digest(other) == lab.digest(disk)
    assert lab.record("VDI", other)["VBDs"] == []


def test_dissect_reads_an_exported_vhd(lab: Wire, disk: str) -> None:
    body = lab.down(disk, "vhd")
    assert len(body) < 16 * MIB
    assert sha(VHD(io.BytesIO(body)).read()) == lab.digest(disk)


def test_qemu_img_reads_an_exported_vhd(lab: Wire, disk: str, tmp_path: Path) -> None:
    (tmp_path / "disk.vhd").write_bytes(lab.down(disk, "vhd"))
    told = json.loads(qemu_img("info", "--output=json", str(tmp_path / "disk.vhd")))
    assert (told["format"], told["virtual-size"]) == ("vpc", SIZE)
    qemu_img("convert", "-f", "vpc", "-O", "raw", str(tmp_path / "disk.vhd"), str(tmp_path / "disk.raw"))
    assert sha((tmp_path / "disk.raw").read_bytes()) == lab.digest(disk)


@pytest.mark.parametrize("options", [[], ["-o", "force_size=on"]])
def test_a_vhd_of_qemu_img_is_imported(lab: Wire, disk: str, tmp_path: Path, options: list[str]) -> None:
    (tmp_path / "disk.raw").write_bytes(lab.down(disk))
    qemu_img("convert", "-f", "raw", "-O", "vpc", *options, str(tmp_path / "disk.raw"), str(tmp_path / "disk.vhd"))
    other = lab.vdi(SIZE + 4 * MIB)  # without force_size the geometry rounds up
    assert lab.up((tmp_path / "disk.vhd").read_bytes(), "vhd", vdi=other) == []
    assert sha(lab.disks.read(lab.uuid(other), 0, SIZE)) == lab.digest(disk)


def test_a_difference_holds_what_changed_and_makes_the_whole_of_its_base(lab: Wire, disk: str) -> None:
    base = lab("VDI.snapshot", disk, {})
    before = lab.down(base)
    lab.fill(disk, 20 * MIB, 5, "new")
    lab.disks.write(lab.uuid(disk), 4 * MIB, bytes(MIB))
    delta = lab.down(disk, "vhd", base=lab.uuid(base))
    assert len(delta) < 5 * MIB
    told = vhd_parts.read_footer(delta[:512])
    assert told.kind == vhd_parts.DIFFERENCING
    (entries,) = struct.unpack(">I", delta[512 + 28 : 512 + 32])
    table = struct.unpack(f">{entries}I", delta[1536 : 1536 + 4 * entries])
    assert [n for n, place in enumerate(table) if place != vhd_parts.NOWHERE] == [2, 10]
    assert f"{lab.uuid(base)}.vhd".encode("utf-16-be") in delta[:1536]
    other = lab.vdi(SIZE)
    assert lab.up(before, vdi=other) == []
    assert lab.digest(other) != lab.digest(disk)
    assert lab.up(delta, "vhd", vdi=other) == []
    assert lab.digest(other) == lab.digest(disk)


def test_a_difference_to_an_unrelated_disk_is_right_too(lab: Wire, disk: str) -> None:
    unrelated = lab.vdi(SIZE)
    lab.fill(unrelated, 50 * MIB, 3 * MIB)
    delta = lab.down(disk, "vhd", base=unrelated)
    assert lab.up(delta, "vhd", vdi=unrelated) == []
    assert lab.digest(unrelated) == lab.digest(disk)


def test_a_tar_has_sparse_chunks_with_checksums(lab: Wire, disk: str) -> None:
    with tarfile.open(fileobj=io.BytesIO(lab.down(disk, "tar"))) as archive:
        names = archive.getnames()
    chunks = [f"vdi/{n:08d}" for n in (0, 3, 4, 5, 6, 33, 63)]
    assert names == [name for chunk in chunks for name in (chunk, f"{chunk}.xxhash")]


def test_raw_data_may_come_in_frames(lab: Wire) -> None:
    vdi = lab.vdi(SIZE)
    frames = [(3 * MIB, b"x" * 100), (40 * MIB - 3, b"yyyyyy"), (0, b"z")]
    body = b"".join(struct.pack("<QI", offset, len(data)) + data for offset, data in frames) + bytes(12)
    assert lab.up(body, vdi=vdi, chunked="true") == []
    for offset, data in frames:
        assert lab.disks.read(lab.uuid(vdi), offset, len(data) + 1) == data + b"\0"
    assert lab.up(body[:-12], vdi=vdi, chunked="true") == ["VDI_IO_ERROR", "Device I/O errors"]


def test_raw_data_of_known_length_makes_a_disk_of_its_own(lab: Wire) -> None:
    data = b"boot" * 1000
    task = lab("task.create", "i", "")
    assert lab.http("PUT", "/import_raw_vdi", data, sr_id=lab.sr, task_id=task)[0] == 200
    made = lab.finished(task)["result"].removeprefix("<value>").removesuffix("</value>")
    record = lab.record("VDI", made)
    assert (record["name_label"], record["virtual_size"]) == ("Imported VDI", 2 * MIB)
    assert lab.disks.read(record["uuid"], 0, len(data)) == data


def test_what_is_too_large_or_damaged_is_refused(lab: Wire, disk: str) -> None:
    small = lab.vdi(2 * MIB)
    for format_ in ("raw", "vhd", "tar"):
        assert lab.up(lab.down(disk, format_), format_, vdi=small)[:2] == ["VDI_TOO_SMALL", small]
    vhd = bytearray(lab.down(disk, "vhd"))
    other = lab.vdi(SIZE)
    assert lab.up(bytes(vhd[: len(vhd) // 2]), "vhd", vdi=other) == ["VDI_IO_ERROR", "Device I/O errors"]
    vhd[530] ^= 1
    assert lab.up(bytes(vhd), "vhd", vdi=other) == ["INTERNAL_ERROR", "no dynamic disk header"]
    assert lab.up(b"nothing of that kind" * 1000, "vhd", vdi=other) == ["INTERNAL_ERROR", "no VHD footer at the beginning"]
    tar = lab.down(disk, "tar")
    assert lab.up(tar.replace(b"vdi/00000005.xxhash", b"vdi/00000004.xxhash"), "tar", vdi=other)[0] == "INTERNAL_ERROR"
    damaged = tar[:600] + b"?" + tar[601:]
    assert lab.up(damaged, "tar", vdi=other) == ["IMPORT_ERROR_SOME_CHECKSUMS_FAILED"]


def test_requests_that_cannot_be_met(lab: Wire, disk: str) -> None:
    assert lab.http("GET", "/export_raw_vdi", vdi=disk, format="floppy")[0] == 404
    assert lab.http("GET", "/export_raw_vdi")[0] == 500
    assert lab.http("GET", "/export_raw_vdi", vdi="nope")[:2][0] == 500
    assert b"qcow2 is not simulated" in lab.http("GET", "/export_raw_vdi", vdi=disk, format="qcow2")[1]
    assert lab.http("PUT", "/import_raw_vdi", b"x", format="vhd")[0] == 400
    assert lab.up(b"x") == ["VDI_MISSING", "OpaqueRef:NULL", ""]


def test_a_disk_in_use_is_left_alone(lab: Wire, disk: str) -> None:
    vm = lab.vm("uses")
    lab.vbd(vm, disk)
    lab("VM.start", vm, False, False)
    digest = lab.digest(disk)
    assert lab.up(b"x" * MIB, vdi=disk) == ["VDI_IN_USE", disk]
    assert lab.http("GET", "/export_raw_vdi", vdi=disk)[0] == 500
    assert lab.digest(disk) == digest
    snapshot = lab("VDI.snapshot", disk, {})
    assert sha(lab.down(snapshot)) == digest


def test_a_host_that_does_not_see_the_storage_sends_to_one_that_does() -> None:
    with wired(2) as pool:
        first, second = pool.machine.world.machines.values()
        assert second.pool is first.pool
        sr = next(
            ref for ref, sr in pool.db.all("SR").items() if sr["type"] == "ext" and pool.db.get("PBD", sr["PBDs"][0])["host"] == pool.host
        )
        vdi = pool.vdi(SR=sr)
        pool.machine = second
        assert pool.http("GET", "/export_raw_vdi", vdi=vdi)[0] == 302
        assert pool.http("PUT", "/import_raw_vdi", b"x", vdi=vdi)[0] == 302
        assert pool.http("PUT", "/import", b"x", sr_id=sr)[0] == 302
