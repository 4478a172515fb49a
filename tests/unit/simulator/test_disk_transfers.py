# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VMs travel with their bytes; what ends in the middle leaves nothing."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import http.client
import io
import socket
import ssl
import struct
import tarfile
import typing as t

import pytest
import zstandard
from dissect.archive.xva import XVA

from ansible_collections.domzero.xen.tests.simulator.disks import tar

from .conversation import settle, until
from .wired import Wire, wired

MIB = 1 << 20
KEPT = ("VM", "VDI", "VBD", "VIF", "VBD_metrics", "VM_metrics", "network")


@pytest.fixture
def pool() -> t.Iterator[Wire]:
    with wired() as asked:
        yield asked


@pytest.fixture
def guest(pool: Wire) -> str:
    """A VM with three disks: one with data here and there, one empty, one full."""
    vm = pool.vm("traveller")
    for number, (size, written) in enumerate([(32, [(0, 5), (3 * MIB - 7, 6 * MIB), (32 * MIB - 1, 1)]), (8, []), (4, [(0, 4 * MIB)])]):
        vdi = pool.vdi(size=size * MIB)
        pool.vbd(vm, vdi, userdevice=str(number))
        for offset, count in written:
            pool.fill(vdi, offset, count, f"{number} {offset}")
    return vm


def disks(pool: Wire, vm: str) -> list[str]:
    """The VM's, in their order."""
    vbds = (pool.record("VBD", vbd) for vbd in pool.record("VM", vm)["VBDs"])
    return [vbd["VDI"] for vbd in sorted(vbds, key=lambda vbd: vbd["userdevice"])]


def digests(pool: Wire, vm: str) -> list[str]:
    """Of its disks, in their order."""
    return [pool.digest(vdi) for vdi in disks(pool, vm)]


def counts(pool: Wire) -> dict[str, t.Any]:
    """How many objects there are, and layers of data."""
    return {**{cls: len(pool.db.all(cls)) for cls in KEPT}, "data": pool.machine.world.shelf.names()}


def export(pool: Wire, vm: str, **query: str) -> bytes:
    status, body, task = pool.http("GET", "/export", ref=vm, **query)
    assert (status, pool.record("task", task)["status"]) == (200, "success")
    return body


@pytest.mark.parametrize("packed", ["", "gzip", "zstd", "true"])
def test_an_imported_vm_has_the_bytes_of_the_exported_one(pool: Wire, guest: str, packed: str) -> None:
    body = export(pool, guest, **({"use_compression": packed} if packed else {}))
    assert body[:4] == {"": b"ova.", "zstd": b"\x28\xb5\x2f\xfd"}.get(packed, b"\x1f\x8b\x08\0")
    (made,) = pool.put("/import", body)
    assert digests(pool, made) == digests(pool, guest)
    assert not any(pool.record("VDI", vdi)["VBDs"] == [] for vdi in disks(pool, made))
    assert len(pool.db.find("VBD", VM=pool.db.one("VM", is_control_domain=True))) == 0


def test_an_exported_vm_is_read_by_dissect(pool: Wire, guest: str) -> None:
    archive = XVA(io.BytesIO(export(pool, guest)))
    assert len(archive.disks()) == 3
    found = {
        hashlib.sha256(archive.open(disk).read()[:-MIB]).hexdigest() for disk in archive.disks()
    }  # its XVAStream forgets the last chunk
    held = [pool.disks.read(pool.uuid(vdi))[:-MIB] for vdi in disks(pool, guest)]
    assert found == {hashlib.sha256(data).hexdigest() for data in held}


def test_zeros_are_left_out_and_each_chunk_has_its_checksum(pool: Wire, guest: str) -> None:
    with tarfile.open(fileobj=io.BytesIO(export(pool, guest))) as archive:
        names = archive.getnames()
        folders = sorted({name.partition("/")[0] for name in names[1:]})
        chunks = {f: [int(n[-8:]) for n in names if n.startswith(f) and "." not in n] for f in folders}
        assert sorted(chunks.values()) == [[0, 1, 2, 3], [0, 2, 3, 4, 5, 6, 7, 8, 31], [0, 7]]
        assert [name.partition("/")[0] for name in names[1:]] == sorted(name.partition("/")[0] for name in names[1:])
        for name in [name for name in names if name.endswith(".xxhash")]:
            chunk, digest = archive.extractfile(name.partition(".")[0]), archive.extractfile(name)
            assert chunk and digest
            assert tar.DIGESTS["xxhash"](chunk.read()).encode() == digest.read()


def test_the_checksums_of_old_exports_are_read_too(pool: Wire, guest: str) -> None:
    with tarfile.open(fileobj=io.BytesIO(export(pool, guest))) as archive:
        files = {info.name: found.read() for info in archive if (found := archive.extractfile(info))}
    for name in [name for name in files if name.endswith(".xxhash")]:
        chunk = name.removesuffix(".xxhash")
        files.pop(name)
        files[f"{chunk}.checksum"] = hashlib.sha1(files[chunk]).hexdigest().encode()
    ordered = ["ova.xml", *sorted(name for name in files if name != "ova.xml")]
    (made,) = pool.put("/import", b"".join(tar.entry(name, files[name]) for name in ordered) + tar.END)
    assert digests(pool, made) == digests(pool, guest)


def test_empty_chunks_are_patience_and_stand_for_no_data(pool: Wire) -> None:
    vm = pool.vm("one")
    pool.vbd(vm, pool.vdi(size=4 * MIB))
    pool.fill(disks(pool, vm)[0], 0, 4 * MIB)
    with tarfile.open(fileobj=io.BytesIO(export(pool, vm))) as archive:
        files = [(info.name, found.read()) for info in archive if (found := archive.extractfile(info))]
    folder = files[1][0].partition("/")[0]
    late = [(f"{folder}/{int(name[-8:]) + 1:08d}", data) for name, data in files[1:] if "." not in name and not name.endswith("00000000")]
    sent = [files[0], files[1], (f"{folder}/{1:08d}", b""), *late]
    (made,) = pool.put("/import", b"".join(tar.entry(name, data) for name, data in sent) + tar.END)
    assert digests(pool, made) == digests(pool, vm)


@pytest.mark.parametrize("packed", ["", "gzip", "zstd"])
@pytest.mark.parametrize("damage", ["cut", "cut at a file", "changed"])
def test_a_damaged_file_leaves_nothing(pool: Wire, guest: str, packed: str, damage: str) -> None:
    body = bytearray(export(pool, guest))
    if damage == "cut":
        del body[len(body) // 2 :]
    elif damage == "cut at a file":
        del body[-1024:]
    else:
        body[len(body) // 2] ^= 0xFF
    sent = {"": bytes, "gzip": gzip.compress, "zstd": zstandard.compress}[packed](bytes(body))
    before = counts(pool)
    error = pool.put("/import", sent)
    assert error == (["IMPORT_ERROR_SOME_CHECKSUMS_FAILED"] if damage == "changed" else ["IMPORT_ERROR_PREMATURE_EOF"])
    assert counts(pool) == before


@pytest.mark.parametrize("packed", ["gzip", "zstd"])
def test_a_packed_file_that_is_cut_or_broken_leaves_nothing(pool: Wire, guest: str, packed: str) -> None:
    body, before = export(pool, guest, use_compression=packed), counts(pool)
    assert pool.put("/import", body[: len(body) // 2]) == ["IMPORT_ERROR_PREMATURE_EOF"]
    broken = bytearray(body)
    broken[100:5000] = bytes(4900)
    assert pool.put("/import", bytes(broken))[0] in ("IMPORT_ERROR", "IMPORT_ERROR_PREMATURE_EOF", "IMPORT_ERROR_UNEXPECTED_FILE")
    assert counts(pool) == before


def test_a_file_without_one_of_its_disks_is_refused(pool: Wire, guest: str) -> None:
    with tarfile.open(fileobj=io.BytesIO(export(pool, guest))) as archive:
        files = [(info.name, found.read()) for info in archive if (found := archive.extractfile(info))]
    last, before = files[-1][0].partition("/")[0], counts(pool)
    less = [(name, data) for name, data in files if not name.startswith(last)]
    body = b"".join(tar.entry(name, data) for name, data in less) + tar.END
    assert pool.put("/import", body) == ["IMPORT_ERROR_ATTACHED_DISKS_NOT_FOUND"]
    assert counts(pool) == before


def test_a_full_sr_takes_no_vm(pool: Wire, guest: str) -> None:
    body, before = export(pool, guest), counts(pool)
    place = next(p for p in pool.machine.world.storage.places() if any(r.disks for r in p.repositories.values()))
    place.size = place.used + 3 * MIB
    assert pool.put("/import", body)[0] == "SR_BACKEND_FAILURE_44"
    assert counts(pool) == before
    place.size += 1 << 40
    assert len(pool.put("/import", body)) == 1


# what is cut off -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("size", [0, 100, MIB + 5, 7 * MIB])
def test_an_export_is_cut_where_it_was_asked_for(pool: Wire, guest: str, size: int) -> None:
    whole = export(pool, guest)
    pool.machine.world.faults.cut_transfer("/export", size)
    status, body, task = pool.http("GET", "/export", ref=guest)
    assert (status, len(body)) == (200, size)
    assert body == whole[:size]
    assert pool.finished(task)["status"] == "failure"
    until(pool.machine.world, lambda: pool.record("VM", guest)["current_operations"] == {})
    assert not any(pool.record("VDI", vdi)["VBDs"][1:] for vdi in disks(pool, guest))
    assert len(export(pool, guest)) == len(whole)


@pytest.mark.parametrize("size", [0, 100, 5 * MIB])
def test_an_import_that_is_cut_off_leaves_nothing(pool: Wire, guest: str, size: int) -> None:
    body, before = export(pool, guest), counts(pool)
    pool.machine.world.faults.cut_transfer("/import", size)
    task = pool("task.create", "i", "")
    with contextlib.suppress(OSError, http.client.HTTPException):
        pool.http("PUT", "/import", body, task_id=task)
    assert pool.finished(task)["error_info"] == ["IMPORT_ERROR_PREMATURE_EOF"]
    assert counts(pool) == before
    (made,) = pool.put("/import", body)
    assert digests(pool, made) == digests(pool, guest)


def test_a_disk_whose_import_was_cut_off_can_be_imported_again(pool: Wire) -> None:
    vdi, data = pool.vdi(size=8 * MIB), bytes(range(256)) * (8 * MIB // 256)
    pool.machine.world.faults.cut_transfer("/import_raw_vdi", 3 * MIB)
    assert pool.up(data, vdi=vdi) == ["VDI_IO_ERROR", "Device I/O errors"]
    assert pool.record("VDI", vdi)["VBDs"] == []
    assert pool.up(data, vdi=vdi) == []
    assert pool.down(vdi) == data


def test_a_client_that_goes_away_ends_the_transfer(pool: Wire, guest: str) -> None:
    body, before = export(pool, guest), counts(pool)
    task = pool("task.create", "i", "")
    with _connected(pool) as stream:
        head = f"PUT /import?session_id={pool.session}&task_id={task} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        stream.sendall(head.encode() + body[: len(body) // 2])
        assert stream.recv(12) == b"HTTP/1.1 200", "the status comes before the body has"
    assert pool.finished(task)["error_info"] == ["IMPORT_ERROR_PREMATURE_EOF"]
    assert counts(pool) == before
    task = pool("task.create", "e", "")
    pool.fill(disks(pool, guest)[0], 0, 30 * MIB)
    with _connected(pool) as stream:
        stream.sendall(f"GET /export?session_id={pool.session}&task_id={task}&ref={guest} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert stream.recv(100)
    assert pool.finished(task)["status"] == "failure"
    until(pool.machine.world, lambda: pool.record("VM", guest)["current_operations"] == {})


@pytest.mark.parametrize(("path", "ended"), [("/import", "IMPORT_ERROR_PREMATURE_EOF"), ("/import_raw_vdi", "VDI_IO_ERROR")])
def test_a_client_that_goes_away_before_it_is_answered_ends_the_transfer_too(pool: Wire, path: str, ended: str) -> None:
    task, vdi, before = pool("task.create", "i", ""), pool.vdi(size=8 * MIB), counts(pool)
    with pool.machine.world.lock:  # what answers has to wait
        with _connected(pool) as stream:
            head = f"PUT {path}?session_id={pool.session}&task_id={task}&vdi={vdi} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n"
            stream.sendall(f"{head}Expect: 100-continue\r\n\r\n".encode())
            assert stream.recv(12) == b"HTTP/1.1 100"
        until(pool.machine.world, lambda: not pool.connected())
    assert pool.finished(task)["error_info"][0] == ended
    assert counts(pool) == before


@pytest.mark.parametrize("path", ["/import", "/import_raw_vdi"])
def test_an_import_may_come_without_its_length(pool: Wire, guest: str, path: str) -> None:
    task, vdi = pool("task.create", "i", ""), pool.vdi(size=8 * MIB)
    frames = struct.pack("<QI", MIB, 5) + b"bytes" + bytes(12)
    body, query = (export(pool, guest), "") if path == "/import" else (frames, f"&vdi={vdi}&chunked=true")
    with _connected(pool) as stream:
        stream.sendall(f"PUT {path}?session_id={pool.session}&task_id={task}{query} HTTP/1.0\r\nHost: x\r\n\r\n".encode() + body)
        assert stream.recv(12) == b"HTTP/1.0 200"
        while stream.recv(1000):
            pass
    assert pool.finished(task)["error_info"] == []
    if path == "/import_raw_vdi":
        assert pool.disks.read(pool.uuid(vdi), MIB, 6) == b"bytes\0"


@contextlib.contextmanager
def _connected(pool: Wire) -> t.Iterator[ssl.SSLSocket]:
    plain = socket.create_connection((pool.machine.address, pool.port), timeout=20)
    with ssl._create_unverified_context().wrap_socket(plain) as stream:
        yield stream


def test_a_transfer_has_neither_length_nor_chunks(pool: Wire, guest: str) -> None:
    with _connected(pool) as stream:
        stream.sendall(f"GET /export_raw_vdi?session_id={pool.session}&vdi={disks(pool, guest)[1]} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        answer = http.client.HTTPResponse(stream)
        answer.begin()
        assert (answer.getheader("Content-Length"), answer.getheader("Transfer-Encoding")) == (None, None)
        assert answer.getheader("Content-Disposition") == f'attachment; filename="{pool.uuid(disks(pool, guest)[1])}.raw"'
        assert len(answer.read()) == 8 * MIB


def test_a_running_snapshot_of_a_vm_is_exported(pool: Wire, guest: str) -> None:
    before = digests(pool, guest)
    pool("VM.start", guest, False, False)
    snapshot = pool("VM.snapshot", guest, "live")
    pool.fill(disks(pool, guest)[0], 0, MIB, "while it runs")
    body = export(pool, snapshot)
    (made,) = pool.put("/import", body)
    assert digests(pool, made) == before
    pool("VM.destroy", snapshot)
    settle(pool.machine.world)
