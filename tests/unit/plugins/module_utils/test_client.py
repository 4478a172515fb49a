# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import socket
import threading
import time
import typing as t

import pytest

from ansible_collections.domzero.xen.plugins.module_utils import client
from ansible_collections.domzero.xen.plugins.module_utils.client import Session
from ansible_collections.domzero.xen.plugins.module_utils.errors import ApiError, ConnectionFailed, InvalidChange, OutcomeUnknown, Untrusted
from ansible_collections.domzero.xen.plugins.module_utils.transport import Endpoint
from ansible_collections.domzero.xen.tests.simulator.running import InProcess

OTHER = "00:" * 31 + "00"
BIG = 2**53 - 7  # beyond 32 bits, still exact as a JSON number


def connect(sim: InProcess, host: int = 0, **trust: t.Any) -> Session:
    """A session that is logged in; by default it trusts the CA file of that host."""
    session = Session(Endpoint.parse(sim.hosts[host].url, **(trust or {"ca_file": sim.hosts[host].ca_file})))
    session.log_in(sim.username, sim.password)
    return session


def networks(sim: InProcess, name: str) -> int:
    return len(sim.world.pools[0].db.find("network", name_label=name))


# trust ------------------------------------------------------------------------------------------------------------------
def test_a_certificate_is_trusted_through_the_ca_file(simulator):
    assert connect(simulator(1)).call("pool.get_all")


def test_a_certificate_nobody_vouches_for_is_refused(simulator):
    sim = simulator(1)
    with pytest.raises(Untrusted, match=r"certificate .* is not trusted: self.signed.*fingerprint"):
        connect(sim, ca_file=None)
    assert sim.world.pools[0].db.all("session") == {}


def test_a_pinned_certificate_is_accepted_however_it_is_spelled(simulator):
    sim = simulator(1)
    bare = sim.hosts[0].fingerprint_sha256.replace(":", "").lower()
    for spelled in (bare, bare.upper(), ":".join(bare[i : i + 2] for i in range(0, 64, 2))):
        assert connect(sim, fingerprints=(OTHER, spelled)).call("pool.get_all")


def test_another_certificate_than_the_pinned_one_is_refused_and_shown(simulator):
    sim = simulator(1)
    bare = sim.hosts[0].fingerprint_sha256.replace(":", "").upper()
    with pytest.raises(Untrusted) as refused:
        connect(sim, fingerprints=(OTHER,))
    assert ":".join(bare[i : i + 2] for i in range(0, 64, 2)) in str(refused.value)


def test_a_pin_is_not_weakened_by_a_ca_that_would_do(simulator):
    sim = simulator(1)
    with pytest.raises(Untrusted):
        connect(sim, fingerprints=(OTHER,), ca_file=sim.hosts[0].ca_file)


def test_a_certificate_that_is_not_trusted_is_not_asked_for_again(simulator):
    sim = simulator(1)
    handed = Session.resume(Endpoint.parse(sim.hosts[0].url, fingerprints=(OTHER,)), connect(sim).handle)
    with pytest.raises(Untrusted):
        handed.call("pool.get_all")
    assert handed.requests == 1


def test_checking_can_be_turned_off(simulator):
    assert connect(simulator(1), validate_certs=False).call("pool.get_all")


def test_a_ca_file_that_is_none_is_named(simulator, tmp_path):
    (tmp_path / "ca.pem").write_text("no certificate")
    with pytest.raises(InvalidChange, match=r"ca_file '.*ca\.pem' cannot be used"):
        connect(simulator(1), ca_file=str(tmp_path / "ca.pem"))


# logging in -------------------------------------------------------------------------------------------------------------
def test_a_wrong_password_is_one_clear_error(simulator):
    sim = simulator(1)
    session = Session(Endpoint.parse(sim.hosts[0].url, ca_file=sim.hosts[0].ca_file))
    with pytest.raises(ApiError, match="Check username and password") as refused:
        session.log_in("root", "wrong")
    assert refused.value.code == "SESSION_AUTHENTICATION_FAILED"
    assert session.requests == 1, "a refused password was tried again"


def test_a_host_that_is_not_there_is_named_at_once():
    started = time.monotonic()
    with pytest.raises(ConnectionFailed, match=r"Cannot reach https://127\.99\.99\.99:1: Connection refused"):
        Session(Endpoint.parse("127.99.99.99:1")).log_in("root", "x")
    assert time.monotonic() - started < 1


def test_something_that_speaks_no_tls_is_named():
    with listening(lambda connection: connection.sendall(b"220 mail ready\r\n")) as address, pytest.raises(ConnectionFailed) as failed:
        Session(Endpoint.parse(address)).log_in("root", "x")
    assert "Cannot reach" in str(failed.value)
    assert not isinstance(failed.value, Untrusted)


def test_a_web_server_that_is_no_xapi_is_named():
    page = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    with listening(lambda connection: connection.sendall(page)) as address, pytest.raises(ConnectionFailed, match="XCP-ng host"):
        Session(Endpoint.parse(f"http://{address}")).log_in("root", "x")


def test_a_host_that_does_not_answer_is_given_up_in_time():
    with listening(lambda connection: time.sleep(2)) as address, pytest.raises(ConnectionFailed, match="timed out"):
        Session(Endpoint.parse(f"http://{address}", timeout=0.2)).log_in("root", "x")


@pytest.mark.parametrize("text", ["ftp://host", "host:port", "https://host/path", "[::1", ""])
def test_what_is_no_address_is_refused(text):
    with pytest.raises(InvalidChange, match="is not an address"):
        Endpoint.parse(text)


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("xcp00", "https://xcp00:443"),
        ("xcp00:8443", "https://xcp00:8443"),
        ("http://xcp00", "http://xcp00:80"),
        ("[fd00::1]:8443", "https://[fd00::1]:8443"),
        ("https://[fd00::1]/", "https://[fd00::1]:443"),
    ],
)
def test_an_address_is_a_host_a_port_or_a_url(text, url):
    assert Endpoint.parse(text).url == url


def test_a_member_passes_the_login_on_to_its_coordinator(simulator):
    sim = simulator(2)
    pins = tuple(h.fingerprint_sha256 for h in sim.hosts)
    session = connect(sim, host=1, fingerprints=pins)
    assert session.endpoint.url == sim.hosts[0].url
    assert session.call("pool.get_all")


def test_a_member_can_be_told_from_a_coordinator(simulator):
    sim = simulator(2)
    session = Session(Endpoint.parse(sim.hosts[1].url, ca_file=sim.hosts[1].ca_file))
    assert session.log_in_here(sim.username, sim.password) == sim.hosts[0].address
    assert not session.handle


def test_the_session_says_who_opened_it_and_is_closed(simulator):
    sim = simulator(1)
    session = connect(sim)
    (record,) = sim.world.pools[0].db.all("session").values()
    assert record["originator"] == "domzero.xen"
    session.log_out()
    assert sim.world.pools[0].db.all("session") == {}


def test_logging_out_of_a_session_that_is_gone_is_fine(simulator):
    session = connect(simulator(1))
    twin = Session.resume(session.endpoint, session.handle)
    session.log_out()
    twin.log_out()
    with pytest.raises(ApiError):
        twin.call("pool.get_all")


def test_the_ways_of_the_official_package_go_over_the_checked_connection(simulator):
    sim = simulator(1)
    session = Session(Endpoint.parse(sim.hosts[0].url, fingerprints=(sim.hosts[0].fingerprint_sha256,)))
    session.login_with_password(sim.username, sim.password, "1.0", "somebody")
    (pool,) = session.xenapi.pool.get_all()
    # the raw way, for which XenAPI.Session itself would ask for a CA
    assert session.pool.get_all(session.handle) == {"Status": "Success", "Value": [pool]}
    session.xenapi.session.logout()
    assert sim.world.pools[0].db.all("session") == {}


# the wire ---------------------------------------------------------------------------------------------------------------
@pytest.fixture(params=["xcp-ng-8.3", "xenserver-6.5"])
def either(request, simulator):
    """A host that speaks JSON-RPC, and one that speaks XML-RPC only."""
    return simulator(1, release=request.param)


def test_a_release_without_json_rpc_is_spoken_to_in_xml_rpc(simulator):
    sim = simulator(1, release="xenserver-6.5")
    session = connect(sim)
    (host,) = session.call("host.get_all_records").values()
    assert host["software_version"]["product_version"] == "6.5.0"
    assert host["API_version_major"] == "2", "XML-RPC has integers as strings"
    assert session.requests == 2, "each call is one request"


def test_integers_of_64_bits_go_there_and_back(either):
    session = connect(either)
    (vm,) = session.call("VM.get_by_name_label", "Other install media")
    session.call("VM.set_user_version", vm, BIG)
    assert int(session.call("VM.get_user_version", vm)) == BIG
    assert either.world.pools[0].db.get("VM", vm)["user_version"] == BIG


def test_text_maps_sets_and_booleans_are_the_same_on_both_wires(either):
    session = connect(either)
    (pool,) = session.call("pool.get_all")
    odd = {"key <&> \"'": "ünïcödé\n\ttext", "empty": "", "yes": "true"}
    session.call("pool.set_other_config", pool, odd)
    session.call("pool.set_tags", pool, ["b", "a", "ä"])
    record = session.call("pool.get_record", pool)
    assert record["other_config"] == odd
    assert sorted(record["tags"]) == ["a", "b", "ä"]
    assert record["ha_enabled"] is False
    (host,) = session.call("host.get_all_records").values()
    assert isinstance(host["metrics"], str)
    (metrics,) = session.call("host_metrics.get_all_records").values()
    assert metrics["last_updated"][8] == "T", "a date is text"


def test_the_messages_of_a_release_are_listed(either):
    names = connect(either).methods()
    assert "VM.get_all_records" in names
    assert ("VM_group.get_all_records" in names) == (either.world.release is None)


def test_an_error_carries_code_and_parameters_of_either_wire(either):
    with pytest.raises(ApiError) as refused:
        connect(either).call("network.get_record", "OpaqueRef:nothing")
    assert (refused.value.code, refused.value.params) == ("HANDLE_INVALID", ["network", "OpaqueRef:nothing"])
    assert str(refused.value) == "network.get_record was refused: HANDLE_INVALID [network, OpaqueRef:nothing]."


def test_one_connection_serves_all_calls(simulator):
    session = connect(simulator(1))
    first = session._http._connection
    for _turn in range(5):
        session.call("pool.get_all")
    assert session._http._connection is first


# what breaks ------------------------------------------------------------------------------------------------------------
def test_a_read_is_repeated_when_the_connection_breaks(simulator):
    sim = simulator(1)
    session = connect(sim)
    sim.faults.cut_before("pool.get_all")
    assert session.call("pool.get_all")


def test_a_session_is_ended_even_if_the_connection_breaks(simulator):
    sim = simulator(1)
    session = connect(sim)
    sim.faults.cut_before("session.logout")
    session.log_out()
    assert not sim.world.pools[0].db.all("session")


def test_a_changing_call_is_not_repeated_when_the_connection_breaks(simulator):
    sim = simulator(1)
    session = connect(sim)
    sim.faults.cut_after("network.create")
    with pytest.raises(OutcomeUnknown, match="broke before the answer came"):
        session.call("network.create", {"name_label": "once", "name_description": "", "MTU": 1500, "other_config": {}, "tags": []})
    assert networks(sim, "once") == 1


def test_a_changing_call_that_never_got_out_is_made_when_the_host_is_back(simulator):
    sim = simulator(1)
    session = connect(sim)
    endpoint = next(iter(sim.world.machines.values())).endpoint
    session._http.close()
    endpoint.close()
    while listens(sim):
        time.sleep(0.01)
    threading.Timer(0.3, endpoint.open).start()
    session.call("network.create", {"name_label": "once", "name_description": "", "MTU": 1500, "other_config": {}, "tags": []})
    assert networks(sim, "once") == 1


def test_an_idle_connection_the_server_has_closed_is_replaced_even_for_a_changing_call(simulator):
    sim = simulator(1)
    session = connect(sim)
    endpoint = next(iter(sim.world.machines.values())).endpoint
    endpoint.close()
    while listens(sim):
        time.sleep(0.01)
    endpoint.open()
    while not listens(sim):
        time.sleep(0.01)
    session.call("network.create", {"name_label": "once", "name_description": "", "MTU": 1500, "other_config": {}, "tags": []})
    assert networks(sim, "once") == 1


def test_a_session_that_ended_with_a_restart_is_replaced(simulator):
    sim = simulator(1)
    session = connect(sim)
    before = session.handle
    restart(sim)
    session.call("network.create", {"name_label": "once", "name_description": "", "MTU": 1500, "other_config": {}, "tags": []})
    assert session.handle != before
    assert networks(sim, "once") == 1


def test_a_session_of_somebody_else_is_not_replaced(simulator):
    sim = simulator(1)
    session = connect(sim)
    handed = Session.resume(session.endpoint, session.handle)
    restart(sim)
    with pytest.raises(ApiError, match="The session has ended"):
        handed.call("pool.get_all")


def test_a_coordinator_that_became_a_member_is_followed(simulator):
    sim = simulator(2)
    session = connect(sim, fingerprints=tuple(h.fingerprint_sha256 for h in sim.hosts))
    with sim.world.lock:
        pool = sim.world.pools[0]
        other = next(ref for ref in pool.db.all("host") if ref != pool.pool["master"])
        pool.db.set("pool", pool.pool_ref, master=other)
    (record,) = session.call("pool.get_all_records").values()
    assert record["master"] == other
    assert session.endpoint.url == sim.hosts[1].url


@pytest.mark.parametrize("method", ["VM.get_all", "pool.get_all_records_where", "event.from", "VM.assert_can_migrate", "SR.probe_ext"])
def test_reads_are_known(method):
    assert client.is_read(method)


@pytest.mark.parametrize("method", ["VM.start", "Async.VM.get_all", "SR.scan", "session.logout", "task.cancel", "VM.getaway"])
def test_everything_else_may_change_something(method):
    assert not client.is_read(method)


# helpers ----------------------------------------------------------------------------------------------------------------
def restart(sim: InProcess) -> None:
    """The toolstack of the coordinator restarts: its sessions are gone."""
    machine = next(iter(sim.world.machines.values()))
    with sim.world.lock:
        machine.go_down()
    while listens(sim):
        time.sleep(0.01)
    with sim.world.lock:
        machine.come_up()
    while not listens(sim):
        time.sleep(0.01)


def listens(sim: InProcess) -> bool:
    try:
        socket.create_connection((sim.hosts[0].address, sim.hosts[0].port), 1).close()
    except ConnectionError:
        return False
    return True


class listening:
    """Somebody who is no xapi answers every connection once."""

    def __init__(self, answer: t.Callable[[socket.socket], object]):
        self.answer = answer
        self.server = socket.create_server(("127.0.0.1", 0))

    def __enter__(self) -> str:
        threading.Thread(target=self.serve, daemon=True).start()
        return f"127.0.0.1:{self.server.getsockname()[1]}"

    def serve(self) -> None:
        try:
            while True:
                connection, _peer = self.server.accept()
                with connection:
                    connection.recv(65536)
                    self.answer(connection)
        except OSError:
            return

    def __exit__(self, *_exc: object) -> None:
        self.server.close()
