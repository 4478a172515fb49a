# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What travels: XML-RPC and JSON-RPC as ocaml-rpc has them, over HTTPS with a certificate for each host."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import math
import ssl
import time
import typing as t
import xmlrpc.client
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
import XenAPI
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.domzero.xen.tests.simulator import wire_xml
from ansible_collections.domzero.xen.tests.simulator.conformance import Server
from ansible_collections.domzero.xen.tests.simulator.decode import WireDate
from ansible_collections.domzero.xen.tests.simulator.modeltypes import parse
from ansible_collections.domzero.xen.tests.simulator.running import InProcess
from ansible_collections.domzero.xen.tests.simulator.schema import load

from .conversation import build


@pytest.fixture(scope="module")
def simulator() -> Iterator[InProcess]:
    with InProcess(build(2, joined=True)) as running:
        yield running


@pytest.fixture
def server(simulator: InProcess) -> Iterator[Server]:
    server = Server(simulator.hosts[0].url)
    yield server
    server.close()


def xml(server: Server, method: str, *params: t.Any, path: str = "/") -> str:
    """The body of an answer."""
    answer = server.request("POST", path, xmlrpc.client.dumps(params, method, allow_none=True), {"Content-Type": "text/xml"})
    assert answer.status == 200
    return answer.body.decode()


def login(server: Server) -> str:
    (value,), _method = xmlrpc.client.loads(xml(server, "session.login_with_password", "root", "xapi-test"))
    return str(value["Value"])  # type: ignore[index,call-overload]


def json_rpc(server: Server, body: t.Any) -> t.Any:
    answer = server.request("POST", "/jsonrpc", json.dumps(body), {"Content-Type": "application/json"})
    return json.loads(answer.body) if answer.status == 200 else answer.status


# XML-RPC -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("type_", "value", "text"),
    [
        ("string", "a<b>&c", "a&lt;b&gt;&amp;c"),
        ("int", 2**40, "1099511627776"),
        ("bool", True, "<boolean>1</boolean>"),
        ("float", 0.1, "<double>0.1</double>"),
        ("float", math.inf, "<double>inf</double>"),
        ("datetime", "20250319T04:16:24Z", "<dateTime.iso8601>20250319T04:16:24Z</dateTime.iso8601>"),
        ("void", "", ""),
        ("sr_stat record option", None, "<nil/>"),
        ("string set", [], "<array><data></data></array>"),
        ("VM ref set", ["OpaqueRef:a"], "<array><data><value>OpaqueRef:a</value></data></array>"),
        ("(int -> float) map", {0: 1.0}, "<struct><member><name>0</name><value><double>1</double></value></member></struct>"),
    ],
)
def test_values_are_written_without_needless_tags(type_: str, value: t.Any, text: str) -> None:
    assert wire_xml.value(parse(type_), value, load()) == f"<value>{text}</value>"


def test_records_hold_their_fields_in_order() -> None:
    record = load().blank_record("VLAN")
    text = wire_xml.value(parse("VLAN record"), record, load())
    assert text.startswith("<value><struct><member><name>uuid</name><value></value></member><member><name>tagged_PIF</name>")
    assert "<member><name>tag</name><value>-1</value></member>" in text


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**31), 2**31 - 1) | st.floats(allow_nan=False) | st.text("abcäö <>&'\"%\\\n"),
    lambda inner: st.lists(inner) | st.dictionaries(st.text("abc"), inner),
)


@given(VALUES)
@settings(deadline=None, max_examples=60)
def test_what_pythons_own_client_sends_is_understood(value: t.Any) -> None:
    body = xmlrpc.client.dumps((value,), "any.method", allow_none=True)
    assert wire_xml.decode_call(body.encode()) == ("any.method", [value])


def test_dates_arrive_as_dates() -> None:
    _method, (date,) = wire_xml.decode_call(xmlrpc.client.dumps((xmlrpc.client.DateTime("20250319T04:16:24Z"),), "m").encode())
    assert isinstance(date, WireDate)
    assert date == "20250319T04:16:24Z"


def test_an_answer_is_wrapped_and_an_error_too(server: Server) -> None:
    assert xml(server, "VM.get_all", "OpaqueRef:x") == (
        '<?xml version="1.0"?><methodResponse><params><param><value><struct><member><name>Status</name><value>Failure</value></member>'
        "<member><name>ErrorDescription</name><value><array><data><value>SESSION_INVALID</value><value>OpaqueRef:x</value></data></array>"
        "</value></member></struct></value></param></params></methodResponse>"
    )
    assert "<member><name>Status</name><value>Success</value></member>" in xml(server, "host.get_all", login(server), path="/RPC2")


def test_only_valid_ref_counts_are_tagged_integers(server: Server) -> None:
    text = xml(server, "event.from", login(server), ["pool"], "", 1.0)
    assert "<name>host</name><value><i4>2</i4></value>" in text
    assert text.count("<i4>") == len(load().classes)
    assert "<name>id</name><value>" in text
    assert "<int>" not in text


def test_methods_are_listed_without_status(server: Server) -> None:
    (methods,), _method = xmlrpc.client.loads(xml(server, "system.listMethods"))
    assert {"VM.start", "Async.VM.start", "session.login_with_password"} <= set(t.cast("list[str]", methods))


def test_a_body_that_is_no_call_is_an_http_error(server: Server) -> None:
    for body in ("", "<methodCall><methodName>x", "<other/>"):
        answer = server.request("POST", "/", body)
        assert answer.status == 500
        assert b"HTTP 500 internal server error" in answer.body


def test_the_official_client_gets_along(simulator: InProcess) -> None:
    session = XenAPI.Session(simulator.hosts[0].url, ignore_ssl=True)
    session.login_with_password("root", "xapi-test", "2.0", "tests")
    assert len(session.xenapi.host.get_all()) == 2
    with pytest.raises(XenAPI.Failure) as e:
        session.xenapi.VM.get_record("OpaqueRef:x")
    assert e.value.details == ["HANDLE_INVALID", "VM", "OpaqueRef:x"]
    session.xenapi.session.logout()


# JSON-RPC ------------------------------------------------------------------------------------------------------------
def test_json_has_numbers_and_booleans(server: Server) -> None:
    ref = json_rpc(server, {"method": "session.login_with_password", "params": ["root", "xapi-test"], "id": 7, "jsonrpc": "2.0"})
    assert ref.keys() == {"jsonrpc", "result", "id"}
    assert ref["id"] == 7
    networks = json_rpc(server, {"method": "network.get_all_records", "params": [ref["result"]], "id": 1, "jsonrpc": "2.0"})["result"]
    record = next(iter(networks.values()))
    assert record["MTU"] == 1500
    assert record["managed"] is True
    assert isinstance(record["uuid"], str)


def test_json_errors_have_the_shape_of_their_version(server: Server) -> None:
    call = {"method": "VM.get_all", "params": ["OpaqueRef:x"], "id": 1}
    assert json_rpc(server, call) == {"result": None, "error": ["SESSION_INVALID", "OpaqueRef:x"], "id": 1}
    assert json_rpc(server, {**call, "jsonrpc": "2.0"}) == {
        "jsonrpc": "2.0",
        "error": {"code": 1, "message": "SESSION_INVALID", "data": ["OpaqueRef:x"]},
        "id": 1,
    }


def test_neither_batches_nor_notifications_nor_other_versions_are_understood(server: Server) -> None:
    call = {"method": "VM.get_all", "params": ["OpaqueRef:x"], "id": 1}
    assert json_rpc(server, [call]) == 500
    assert json_rpc(server, {**call, "id": None}) == 500
    assert json_rpc(server, {**call, "jsonrpc": "1.0"}) == 500
    assert server.request("POST", "/jsonrpc", "{").status == 500


# HTTP ----------------------------------------------------------------------------------------------------------------
def test_unknown_paths_and_methods_are_refused(server: Server) -> None:
    assert server.request("GET", "/nope").status == 403
    assert server.request("DELETE", "/").status == 501


def test_options_allow_other_origins(server: Server) -> None:
    answer = server.request("OPTIONS", "/")
    assert (answer.status, answer.body) == (200, b"")


def test_each_host_has_a_certificate_of_its_own_that_its_pool_knows(simulator: InProcess) -> None:
    fingerprints = set()
    for host in simulator.hosts:
        pem = ssl.get_server_certificate((host.address, urlsplit(host.url).port or 0), ca_certs=host.ca_file)
        digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).digest().hex(":").upper()
        assert digest == host.fingerprint_sha256
        known = simulator.world.machines[host.name].host_record()["certificates"]
        db = simulator.world.pools[0].db
        assert digest in {db.get("Certificate", ref)["fingerprint_sha256"] for ref in known}
        fingerprints.add(digest)
    assert len(fingerprints) == 2


def test_a_connection_that_is_cut_gives_no_answer(simulator: InProcess, server: Server) -> None:
    session = login(server)
    host = urlsplit(simulator.hosts[0].url)
    body = xmlrpc.client.dumps((session, {"name_label": "cut", "other_config": {}}), "network.create")
    for fault, effect in ((simulator.faults.cut_before_change, 0), (simulator.faults.cut_after_change, 1)):
        fault(1)
        connection = http.client.HTTPSConnection(host.netloc, context=ssl._create_unverified_context(), timeout=10)
        connection.request("POST", "/", body)
        with pytest.raises((http.client.HTTPException, OSError)):
            connection.getresponse()
        connection.close()
        made = [r for r in simulator.world.pools[0].db.all("network").values() if r["name_label"] == "cut"]
        assert len(made) == effect


def test_a_host_that_goes_down_ends_its_connections(simulator: InProcess) -> None:
    member, host = simulator.world.machines["xcp01"], simulator.hosts[1]
    idle = Server(host.url)
    assert b"HOST_IS_SLAVE" in xml(idle, "session.login_with_password", "root", "xapi-test").encode()
    with simulator.world.lock:
        member.go_down()
    end = time.monotonic() + 60
    with pytest.raises(OSError):  # noqa: PT012
        while time.monotonic() < end:
            xml(idle, "session.login_with_password", "root", "xapi-test")
    with simulator.world.lock:
        member.come_up()
    while time.monotonic() < end:
        with contextlib.suppress(OSError):
            assert b"HOST_IS_SLAVE" in xml(idle, "session.login_with_password", "root", "xapi-test").encode()
            return
        time.sleep(0.02)
    raise AssertionError("the host does not answer")


def test_all_records_of_a_large_pool_are_there_at_once(simulator: InProcess, server: Server) -> None:
    db, count = simulator.world.pools[0].db, 2000
    vms = [db.create("VM", name_label=f"vm{i}") for i in range(count)]
    session = login(server)
    begin = time.process_time()
    answer = json_rpc(server, {"method": "VM.get_all_records", "params": [session], "id": 1, "jsonrpc": "2.0"})
    spent = time.process_time() - begin
    assert len(answer["result"]) >= count
    assert spent < 5
    for vm in vms:
        db.destroy("VM", vm)
