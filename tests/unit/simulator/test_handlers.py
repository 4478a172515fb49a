# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What hosts answer to plain HTTP requests."""

from __future__ import annotations

import base64
import json
import ssl
import typing as t
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from ansible_collections.domzero.xen.tests.simulator import load_db
from ansible_collections.domzero.xen.tests.simulator.conformance import Answer, Server
from ansible_collections.domzero.xen.tests.simulator.dispatch import dispatch
from ansible_collections.domzero.xen.tests.simulator.running import InProcess
from ansible_collections.domzero.xen.tests.simulator.sessions import ROLES

from .conversation import Asked, build


@pytest.fixture(scope="module")
def simulator() -> Iterator[InProcess]:
    with InProcess(build()) as running:
        yield running


@pytest.fixture
def ask(simulator: InProcess) -> Asked:
    return Asked(simulator.world.machines["xcp00"])


@pytest.fixture
def get(simulator: InProcess, ask: Asked) -> Iterator[t.Callable[..., Answer]]:
    server = Server(simulator.hosts[0].url)

    def request(path: str, method: str = "GET", body: str = "", session: str | None = None, **headers: str) -> Answer:
        path += f"{'&' if '?' in path else '?'}session_id={session if session is not None else ask.session}"
        return server.request(method, path, body, headers)

    yield request
    server.close()


def test_the_database_is_handed_out(get: t.Callable[..., Answer], ask: Asked) -> None:
    dump = load_db.parse(get("/pool/xmldbdump").body)
    assert set(dump.tables["network"]) == set(ask("network.get_all"))
    assert (dump.manifest["schema_major_vsn"], "session" in dump.tables) == ("5", False)


def test_nobody_gets_in_without_session(get: t.Callable[..., Answer]) -> None:
    assert get("/pool/xmldbdump", session="").status == 401
    assert get("/pool/xmldbdump", session="OpaqueRef:x").status == 401


def test_name_and_password_will_do_and_leave_no_session(get: t.Callable[..., Answer], ask: Asked) -> None:
    before = set(ask.db.all("session"))
    for password, status in (("xapi-test", 200), ("wrong", 401)):
        secret = base64.b64encode(f"root:{password}".encode()).decode()
        assert get("/pool/xmldbdump", session="", Authorization=f"Basic {secret}").status == status
    assert set(ask.db.all("session")) == before


def test_a_role_too_low_is_refused(get: t.Callable[..., Answer], ask: Asked) -> None:
    ask("pool.enable_external_auth", ask.machine.pool.pool_ref, {}, "example.com", "AD")
    subject = ask("subject.create", {"subject_identifier": "S-1", "other_config": {"subject-name": "reader"}})
    ask("subject.add_to_roles", subject, f"OpaqueRef:{ROLES['read-only']}")
    reader = dispatch(ask.machine, "session.login_with_password", ["reader", "xapi-test"])
    assert get("/pool/xmldbdump", session=reader).status == 403
    assert get("/host_rrd", session=reader).status == 200


def test_a_task_learns_of_a_refusal(get: t.Callable[..., Answer], ask: Asked) -> None:
    task = ask("task.create", "t", "")
    assert get(f"/pool/xmldbdump?task_id={task}", session="").status == 401
    assert ask("task.get_error_info", task)[0] == "SESSION_AUTHENTICATION_FAILED"


def test_what_is_not_simulated_says_so_by_name(get: t.Callable[..., Answer]) -> None:
    answer = get("/system-status")
    assert answer.status == 500
    assert b"GET /system-status is not simulated" in answer.body


def test_updates_need_hosts_and_a_repository(get: t.Callable[..., Answer], ask: Asked) -> None:
    assert get("/updates?host_refs=OpaqueRef:x").status == 400
    assert get(f"/updates?host_refs={ask.host}").status == 404


def test_statistics_come_as_xml_or_json(get: t.Callable[..., Answer], ask: Asked) -> None:
    assert ElementTree.fromstring(get("/host_rrd").body).tag == "rrd"
    assert json.loads(get("/host_rrd?json=true").body)["step"] == "5"
    now = int(ask.machine.world.clock.now())
    uuid = ask("host.get_uuid", ask.host)
    updates = json.loads(get(f"/rrd_updates?start={now - 60}&host=true&json=true").body)
    assert f"AVERAGE:host:{uuid}:loadavg" in updates["meta"]["legend"]
    assert [row["t"] for row in updates["data"]] == sorted((row["t"] for row in updates["data"]), reverse=True)
    assert ElementTree.fromstring(get(f"/rrd_updates?start={now - 60}").body).tag == "xport"
    assert get("/rrd_updates").status == 400
    assert get("/vm_rrd?uuid=none").status == 404


def test_a_blob_is_written_and_read(get: t.Callable[..., Answer], ask: Asked) -> None:
    private, public = (
        ask("pool.create_new_blob", ask.machine.pool.pool_ref, n, "text/plain", n == "public") for n in ("private", "public")
    )
    for blob in (private, public):
        assert get(f"/blob?ref={blob}", "PUT", "hello").status == 200
        assert get(f"/blob?ref={blob}").body == b"hello"
        assert ask("blob.get_size", blob) == 5
    assert get(f"/blob?ref={public}", session="").body == b"hello"
    assert get(f"/blob?ref={private}", session="").status == 401
    assert get("/blob?ref=OpaqueRef:x").status == 404
    assert ask("pool.get_blobs", ask.machine.pool.pool_ref) == {"private": private, "public": public}


def test_messages_are_told_newest_first_and_cleared_away(ask: Asked) -> None:
    uuid = ask("host.get_uuid", ask.host)
    for name in ("FIRST", "SECOND"):
        ask("message.create", name, "3", "Host", uuid, "body")
        ask.machine.world.clock.sleep(10)
    assert [m["name"] for m in ask("message.get", "Host", uuid, "19700101T00:00:00Z").values()] == ["SECOND", "FIRST"]
    assert ask.refused("message.create", "X", "3", "VM", "nope", "") == ["UUID_INVALID", "VM", "nope"]
    ask("message.destroy_all", {"priority": "3"})
    assert ask("message.get_all") == []


def test_repositories_are_introduced_once(ask: Asked) -> None:
    ref = ask("Repository.introduce", "r", "", "https://u.example.com/x", "", True, "")
    assert ask.refused("Repository.introduce", "r", "", "https://v.example.com", "", True, "") == ["REPOSITORY_ALREADY_EXISTS", ref]
    assert ask.refused("Repository.introduce", "s", "", "ftp://u", "", True, "") == ["INVALID_BASE_URL", "ftp://u"]
    ask("Repository.forget", ref)


def signed(name: str, bits: int = 2048) -> tuple[str, str]:
    """A certificate of an administrator's own, and its key."""
    key = rsa.generate_private_key(65537, bits)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key()).serial_number(1)
    certificate = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=400)).sign(key, hashes.SHA256())
    pem, pkcs8, plain = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return certificate.public_bytes(pem).decode(), key.private_bytes(pem, pkcs8, plain).decode()


def test_a_host_shows_the_certificate_it_was_given(simulator: InProcess, ask: Asked) -> None:
    host = simulator.hosts[0]
    certificate, key = signed(host.name)
    ask("host.install_server_certificate", ask.host, certificate, key, "")
    assert ssl.get_server_certificate((host.address, host.port)).split() == certificate.split()
    assert ask("host.get_server_certificate", ask.host) == certificate
    (shown,) = {ask("Certificate.get_fingerprint_sha256", ref) for ref in ask("host.get_certificates", ask.host)}
    assert shown == x509.load_pem_x509_certificate(certificate.encode()).fingerprint(hashes.SHA256()).hex(":").upper()
    ask("host.reset_server_certificate", ask.host)
    assert ssl.get_server_certificate((host.address, host.port)).split() != certificate.split()


def test_a_certificate_that_will_not_do_is_refused(ask: Asked) -> None:
    certificate, key = signed("a")
    for given, expected in (
        (("x", key, ""), ["SERVER_CERTIFICATE_INVALID"]),
        ((certificate, "x", ""), ["SERVER_CERTIFICATE_KEY_INVALID"]),
        ((certificate, signed("b")[1], ""), ["SERVER_CERTIFICATE_KEY_MISMATCH"]),
        ((certificate, key, "x"), ["SERVER_CERTIFICATE_CHAIN_INVALID"]),
        ((*signed("short", 1024), ""), ["SERVER_CERTIFICATE_KEY_RSA_LENGTH_NOT_SUPPORTED", "1024"]),
    ):
        assert ask.refused("host.install_server_certificate", ask.host, *given) == expected
