# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks over NBD: where xapi says they are, what other people's clients read there, and what is refused."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import socket
import struct
import subprocess
import typing as t
from pathlib import Path
from urllib.parse import quote

import pytest

from ansible_collections.domzero.xen.tests.simulator.nbd_server import LIMIT

from .conversation import until
from .wired import Wire, wired

MIB = 1 << 20
Info = dict[str, t.Any]


def needed(tool: str) -> pytest.MarkDecorator:
    """Left out, and said so, where a tool of others is missing."""
    return pytest.mark.skipif(not shutil.which(tool), reason=f"{tool} is not installed")


@pytest.fixture
def pool() -> t.Iterator[Wire]:
    with wired() as asked:
        yield asked


@pytest.fixture
def disk(pool: Wire) -> str:
    vdi = pool.vdi(size=16 * MIB)
    pool.fill(vdi, 3 * MIB - 5, 4 * MIB)
    return vdi


def management(pool: Wire, host: str = "xcp00") -> str:
    """The network the host is managed from."""
    return next(
        r["network"] for r in pool.db.all("PIF").values() if r["management"] and pool.record("host", r["host"])["name_label"] == host
    )


def served(pool: Wire, vdi: str, purpose: str = "nbd") -> Info:
    """Where the disk is once the network is for that."""
    pool("network.add_purpose", management(pool), purpose)
    (info,) = pool("VDI.get_nbd_info", vdi)
    return t.cast("Info", info)


# where ------------------------------------------------------------------------------------
def test_without_a_network_for_it_a_disk_is_served_nowhere(pool: Wire, disk: str) -> None:
    assert pool("VDI.get_nbd_info", disk) == []
    info = served(pool, disk)
    assert info["exportname"] == f"/{pool.uuid(disk)}?session_id={pool.session}"
    assert (info["address"], info["subject"]) == (pool.machine.address, "xcp00")
    assert info["cert"] == pool("host.get_server_certificate", pool.host)
    pool("network.remove_purpose", management(pool), "nbd")
    assert pool("VDI.get_nbd_info", disk) == []


def test_a_disk_without_data_is_not_served(pool: Wire, disk: str) -> None:
    pool("VDI.enable_cbt", disk)
    snapshot = pool("VDI.snapshot", disk, {})
    pool("VDI.data_destroy", snapshot)
    pool("VDI.data_destroy", snapshot)
    assert pool.refused("VDI.get_nbd_info", snapshot) == ["VDI_INCOMPATIBLE_TYPE", snapshot, "CBT metadata"]


def test_every_host_with_the_storage_serves_a_disk() -> None:
    with wired(2) as pool:
        vdi = pool.vdi(size=2 * MIB)
        pool("network.add_purpose", management(pool), "nbd")
        holders = {pool.record("PBD", pbd)["host"] for pbd in pool.record("SR", pool.sr)["PBDs"]}
        expected = {pool.record("host", host)["address"] for host in holders}
        assert {info["address"] for info in pool("VDI.get_nbd_info", vdi)} == expected
        for pbd in pool.record("SR", pool.sr)["PBDs"]:
            pool("PBD.unplug", pbd)
        assert pool("VDI.get_nbd_info", vdi) == []


# other people's clients -----------------------------------------------------------------------
def uri(info: Info, purpose: str, folder: Path) -> str:
    """As libnbd wants it."""
    export = quote(info["exportname"], safe="")
    if purpose == "insecure_nbd":
        return f"nbd://{info['address']}:{info['port']}/{export}"
    (folder / "ca-cert.pem").write_text(info["cert"])
    return f"nbds://{info['address']}:{info['port']}/{export}?tls-certificates={folder}&tls-hostname={info['subject']}"


def tool(*command: str) -> str:
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@needed("nbdinfo")
@pytest.mark.parametrize("purpose", ["nbd", "insecure_nbd"])
def test_libnbd_reads_a_disk(purpose: str, pool: Wire, disk: str, tmp_path: Path) -> None:
    where = uri(served(pool, disk, purpose), purpose, tmp_path)
    told = tool("nbdinfo", where)
    assert f"export-size: {16 * MIB}" in told
    assert "is_read_only: true" in told
    assert "using simple packets" in told
    tool("nbdcopy", where, str(tmp_path / "copy"))
    assert hashlib.sha256((tmp_path / "copy").read_bytes()).hexdigest() == pool.digest(disk)


@needed("qemu-img")
@pytest.mark.parametrize("purpose", ["nbd", "insecure_nbd"])
def test_qemu_reads_a_disk_where_the_server_knows_go(purpose: str, pool: Wire, disk: str, tmp_path: Path) -> None:
    info = served(pool, disk, purpose)
    source = f"driver=nbd,server.type=inet,server.host={info['address']},server.port={info['port']},export={info['exportname']}"
    secrets: list[str] = []
    if purpose == "nbd":
        (tmp_path / "ca-cert.pem").write_text(info["cert"])
        secrets = ["--object", f"tls-creds-x509,id=tls0,endpoint=client,dir={tmp_path}"]
        source += f",tls-creds=tls0,tls-hostname={info['subject']}"
    refused = subprocess.run(["qemu-img", "info", *secrets, "--image-opts", source], check=False, capture_output=True, text=True)
    assert "Denied by server" in refused.stderr, "a real host refuses to list its disks, and qemu asks for that"
    pool.machine.world.nbd_go = True
    tool("qemu-img", "convert", *secrets, "-O", "raw", "--image-opts", source, str(tmp_path / "copy"))
    assert hashlib.sha256((tmp_path / "copy").read_bytes()).hexdigest() == pool.digest(disk)
    assert "read 65536/65536 bytes" in tool("qemu-io", "-r", *secrets, "--image-opts", "-c", "read 3145728 64k", source)


# a client that asks for anything ----------------------------------------------------------------
class Talk:
    """One connection without TLS, by hand."""

    def __init__(self, info: Info) -> None:
        self.sock = socket.create_connection((info["address"], info["port"]), 5)
        self.sock.settimeout(5)

    def hear(self, count: int) -> bytes:
        return self.sock.recv(count, socket.MSG_WAITALL)

    def say(self, form: str, *fields: t.Any) -> None:
        self.sock.sendall(struct.pack(form, *fields))

    def begin(self) -> None:
        assert self.hear(18) == b"NBDMAGICIHAVEOPT\0\1"
        self.say(">I", 1)

    def option(self, number: int, data: bytes = b"") -> int:
        """What kind of reply came."""
        self.say(f">8sII{len(data)}s", b"IHAVEOPT", number, len(data), data)
        magic, option, kind, length = struct.unpack(">QIII", self.hear(20))
        assert (magic, option, length) == (0x3E889045565A9, number, 0)
        return int(kind)

    def choose(self, name: str) -> tuple[int, int]:
        """By its export name: size and flags."""
        data = name.encode()
        self.say(f">8sII{len(data)}s", b"IHAVEOPT", 1, len(data), data)
        told = self.hear(134)
        assert told[10:] == bytes(124)
        return t.cast("tuple[int, int]", struct.unpack(">QH", told[:10]))

    def request(self, kind: int, offset: int, length: int) -> int:
        """The error."""
        self.say(">IHHQQI", 0x25609513, 0, kind, 7, offset, length)
        magic, error, handle = struct.unpack(">IIQ", self.hear(16))
        assert (magic, handle) == (0x67446698, 7)
        return int(error)

    def close(self) -> None:
        self.sock.close()


@contextlib.contextmanager
def talking(info: Info) -> t.Iterator[Talk]:
    talk = Talk(info)
    talk.begin()
    yield talk
    talk.close()


def test_options_of_newer_clients_are_refused(pool: Wire, disk: str) -> None:
    info = served(pool, disk, "insecure_nbd")
    error = 1 << 31
    with talking(info) as talk:
        go = struct.pack(">I", len(info["exportname"])) + info["exportname"].encode() + b"\0\0"
        kinds = {"structured": talk.option(8), "go": talk.option(7, go), "list": talk.option(3), "tls": talk.option(5)}
        assert kinds == {"structured": error + 1, "go": error + 1, "list": error + 2, "tls": error + 2}
        assert talk.choose(info["exportname"]) == (16 * MIB, 3)


def test_nothing_is_told_without_tls_where_that_is_wanted(pool: Wire, disk: str) -> None:
    info = served(pool, disk)
    with talking(info) as talk:
        assert [talk.option(kind) for kind in (8, 3)] == [(1 << 31) + 5] * 2
        talk.say(">8sII", b"IHAVEOPT", 1, 0)
        assert talk.hear(1) == b""


def test_a_disk_is_only_read_and_in_whole_sectors(pool: Wire, disk: str) -> None:
    info = served(pool, disk, "insecure_nbd")
    for kind, offset, length, error in ((1, 0, 512, 1), (3, 0, 0, 22), (4, 0, 512, 22), (0, 1, 512, 22), (0, 0, 100, 22)):
        with talking(info) as talk:
            talk.choose(info["exportname"])
            assert talk.request(kind, offset, length) == error
            with contextlib.suppress(ConnectionResetError):
                assert talk.hear(1) == b"", "every error ends it"
    with talking(info) as talk:
        talk.choose(info["exportname"])
        assert talk.request(0, 16 * MIB - 512, 1024) == 0
        assert talk.hear(1) == b"", "it had said yes already"


def test_a_disk_that_is_read_is_plugged_into_the_control_domain(pool: Wire, disk: str) -> None:
    info = served(pool, disk, "insecure_nbd")
    with talking(info) as talk:
        talk.choose(info["exportname"])
        (vbd,) = pool.record("VDI", disk)["VBDs"]
        record = pool.record("VBD", vbd)
        assert (record["mode"], record["currently_attached"]) == ("RO", True)
        assert pool.record("VM", record["VM"])["is_control_domain"]
        assert pool.refused("VDI.destroy", disk) == ["VDI_IN_USE", disk, "destroy"]
    until(pool.machine.world, lambda: not pool.record("VDI", disk)["VBDs"])
    pool("VDI.destroy", disk)


def test_who_may_not_read_is_hung_up_on(pool: Wire, disk: str) -> None:
    info = served(pool, disk, "insecure_nbd")
    for name in (f"/{pool.uuid(disk)}?session_id=OpaqueRef:none", f"/{pool.uuid(disk)}", info["exportname"].replace("/", "/0")):
        with talking(info) as talk:
            talk.say(f">8sII{len(name)}s", b"IHAVEOPT", 1, len(name), name.encode())
            assert talk.hear(1) == b""
    pool("network.remove_purpose", management(pool), "insecure_nbd")
    assert Talk(info).hear(1) == b"", "no network is for it"


def test_sixteen_clients_are_served_at_once(pool: Wire, disk: str) -> None:
    info = served(pool, disk, "insecure_nbd")
    with contextlib.ExitStack() as open_:
        for _client in range(LIMIT):
            open_.enter_context(talking(info))
        assert Talk(info).hear(1) == b""


def test_a_cut_ends_a_connection_after_so_many_bytes(pool: Wire, disk: str) -> None:
    info = served(pool, disk, "insecure_nbd")
    pool.machine.world.faults.cut_transfer("nbd", 18 + 134 + 16 + 1000)
    with talking(info) as talk:
        talk.choose(info["exportname"])
        assert talk.request(0, 0, MIB) == 0
        assert len(talk.hear(MIB)) == 1000


# snapshots that lose their data -------------------------------------------------------------------
def test_data_that_a_drive_still_has_is_not_destroyed(pool: Wire) -> None:
    vm = pool.vm(disk=True)
    (disk,) = [pool.record("VBD", vbd)["VDI"] for vbd in pool.record("VM", vm)["VBDs"]]
    pool("VDI.enable_cbt", disk)
    snapshot = pool("VM.snapshot", vm, "base")
    (vdi,) = [pool.record("VBD", vbd)["VDI"] for vbd in pool.record("VM", snapshot)["VBDs"]]
    assert pool.refused("VDI.data_destroy", vdi) == ["VDI_IN_USE", vdi, "data_destroy"]
    assert pool.record("VDI", vdi)["type"] == "user"
    pool("VM.destroy", snapshot)
    pool("VDI.data_destroy", vdi)
    assert pool.record("VDI", vdi)["type"] == "cbt_metadata"
