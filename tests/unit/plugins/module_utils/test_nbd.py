# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The NBD client against a server of others (qemu-nbd), against the simulator, and against servers that misbehave."""

from __future__ import annotations

import contextlib
import random
import socket
import struct
import threading
import typing as t
from pathlib import Path

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.errors import ConnectionFailed, Untrusted
from ansible_collections.domzero.xen.plugins.module_utils.nbd import Client, Refused, Server
from ansible_collections.domzero.xen.tests.simulator import certs
from ansible_collections.domzero.xen.tests.unit.plugins.module_utils.nbd_export import needed, qemu_nbd
from ansible_collections.domzero.xen.tests.unit.simulator.wired import Wire, wired

MIB = 1 << 20
GREETING = b"NBDMAGICIHAVEOPT" + struct.pack(">H", 3)
OPTION_REPLY = 0x3E889045565A9
GONE = struct.pack(">QIIIHQH", OPTION_REPLY, 7, 3, 12, 0, 4096, 3) + struct.pack(">QIII", OPTION_REPLY, 7, 1, 0)


# others' server -------------------------------------------------------------------------
@needed("qemu-nbd")
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_what_qemu_serves_is_read(tls: bool, tmp_path: Path) -> None:
    data = random.Random(1).randbytes(5 * MIB + 512)
    image = tmp_path / "disk.raw"
    image.write_bytes(data)
    with qemu_nbd(image, tls=tls) as server, Client(server) as client:
        assert client.size == len(data)
        pieces = [(at, min(MIB, len(data) - at)) for at in range(0, len(data), MIB)]
        assert b"".join(bytes(piece) for _offset, piece in client.read(pieces, ahead=3)) == data
        some = [(4 * MIB, 512), (512, 1024), (0, 512)]
        assert [(at, bytes(piece)) for at, piece in client.read(some)] == [(at, data[at : at + count]) for at, count in some]


@needed("qemu-nbd")
def test_refusals_of_qemu_are_told(tmp_path: Path) -> None:
    image = tmp_path / "disk.raw"
    image.write_bytes(bytes(MIB))
    with qemu_nbd(image, tls=False) as server:
        with pytest.raises(Refused, match="it has no such disk"):
            Client(server._replace(export="another"))
        with pytest.raises(Refused, match="does not speak TLS"):
            Client(server._replace(cert="some"))
        with Client(server) as client, pytest.raises(Refused, match="could not read the disk at 1048576: EINVAL"):
            list(client.read([(MIB, 512)]))


@needed("qemu-nbd")
def test_tls_is_wanted_where_qemu_wants_it(tmp_path: Path) -> None:
    image = tmp_path / "disk.raw"
    image.write_bytes(bytes(MIB))
    with qemu_nbd(image, tls=True) as server:
        with pytest.raises(Refused, match="it wants TLS"):
            Client(server._replace(cert=""))
        other, _key = certs.make("other", "127.0.0.1")
        with pytest.raises(Untrusted, match="does not show the certificate"):
            Client(server._replace(cert=other))
        Client(server._replace(cert=other + server.cert)).__exit__()


# the simulator's ------------------------------------------------------------------------
@pytest.fixture
def pool() -> t.Iterator[Wire]:
    with wired() as asked:
        yield asked


def served(pool: Wire, vdi: str, purpose: str = "nbd") -> Server:
    """Where a pool says the disk is."""
    management = next(r for r in pool.db.all("PIF").values() if r["management"])
    pool("network.add_purpose", management["network"], purpose)
    (told,) = pool("VDI.get_nbd_info", vdi)
    cert = told["cert"] if purpose == "nbd" else ""
    return Server(told["address"], told["port"], told["exportname"], cert, told["subject"], timeout=10)


@pytest.mark.parametrize("purpose", ["nbd", "insecure_nbd"])
@pytest.mark.parametrize("go", [False, True], ids=["by export name", "by go"])
def test_a_disk_of_a_host_is_read(purpose: str, go: bool, pool: Wire) -> None:
    vdi = pool.vdi(size=6 * MIB)
    pool.fill(vdi, 3 * MIB - 700, 2 * MIB)
    pool.machine.world.nbd_go = go
    with Client(served(pool, vdi, purpose)) as client:
        data = b"".join(bytes(piece) for _offset, piece in client.read((at, MIB) for at in range(0, client.size, MIB)))
    assert data == pool.disks.read(pool.uuid(vdi))


def test_a_host_hangs_up_on_those_who_may_not_read(pool: Wire) -> None:
    server = served(pool, pool.vdi(size=2 * MIB))
    name, _question, session = server.export.partition("?")
    for export in (f"/{'0' * 36}?{session}", f"{name}?session_id=OpaqueRef:none", name, ""):
        with pytest.raises(ConnectionFailed, match="ended the connection"):
            Client(server._replace(export=export))
    with Client(server) as client, pytest.raises(Refused, match="EINVAL"):
        list(client.read([(1, 512)]))


def test_what_is_told_holds_no_session(pool: Wire) -> None:
    server = served(pool, pool.vdi(size=2 * MIB))
    session = server.export.partition("=")[2]
    with pytest.raises(ConnectionFailed) as failed:
        Client(server._replace(export=f"/none?session_id={session}"))
    assert session not in str(failed.value)


# servers that misbehave -----------------------------------------------------------------
@contextlib.contextmanager
def answering(*words: tuple[bytes, int], then: str = "close") -> t.Iterator[Server]:
    """A server that says this, and hears so many bytes after each word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        done = threading.Event()

        def talk() -> None:
            client, _address = listener.accept()
            with client, contextlib.suppress(OSError):
                for word, hears in words:
                    client.sendall(word)
                    client.recv(hears, socket.MSG_WAITALL)
                done.wait(5 if then == "hang" else 0)

        threading.Thread(target=talk, daemon=True).start()
        yield Server("127.0.0.1", listener.getsockname()[1], "x", timeout=0.3)
        done.set()


GO = 16 + 7  # bytes of that option, for an export called x
BEGUN = ((GREETING, 4), (b"", GO))
STRANGE = {
    "is no NBD server": [(b"SSH-2.0-OpenSSH_9.2 and a little more", 0)],
    "or one that is too old": [(b"NBDMAGIC" + bytes.fromhex("00420281861253") + bytes(30), 0)],
    "ended the connection": [(GREETING[:9], 0)],
    "answered what nobody asked": [*BEGUN, (bytes(20), 0)],
    "does not serve the disk: it is shutting down": [*BEGUN, (struct.pack(">QIII", OPTION_REPLY, 7, (1 << 31) + 7, 0), 0)],
    "does not serve the disk: its answer was 0x800000ff": [*BEGUN, (struct.pack(">QIII", OPTION_REPLY, 7, (1 << 31) + 255, 0), 0)],
}


@pytest.mark.parametrize("told", STRANGE)
def test_what_is_wrong_with_a_server_is_told(told: str) -> None:
    with answering(*STRANGE[told]) as server, pytest.raises((ConnectionFailed, Refused), match=told):
        Client(server)


def test_a_server_that_says_nothing_is_not_waited_for_for_ever() -> None:
    with answering((GREETING, 4), then="hang") as server, pytest.raises(ConnectionFailed, match=r"said nothing for 0\.3 seconds"):
        Client(server)


def test_answers_may_come_in_any_order_but_only_to_what_was_asked() -> None:
    first, second = (struct.pack(">IIQ", 0x67446698, 0, n) + bytes([n]) * 512 for n in (0, 1))
    with answering(*BEGUN, (GONE, 56), (second + first, 28)) as server, Client(server) as client:
        assert [(at, bytes(data)) for at, data in client.read([(0, 512), (512, 512)])] == [(0, bytes(512)), (512, b"\1" * 512)]
    with answering(*BEGUN, (GONE, 28), (second, 28)) as server, Client(server) as client, pytest.raises(ConnectionFailed) as refused:
        list(client.read([(0, 512)]))
    assert "answered what nobody asked" in refused.value.message


def test_nobody_listening_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with pytest.raises(ConnectionFailed, match=rf"Cannot reach nbd://127\.0\.0\.1:{port}"):
        Client(Server("127.0.0.1", port, "x"))
