# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The simulator as a process: what it promises on its command line, and what outlives it."""

from __future__ import annotations

import contextlib
import http.client
import json
import signal
import subprocess
import threading
import time
import typing as t
import xmlrpc.client
from collections.abc import Iterator
from pathlib import Path

import pytest
import XenAPI

from ansible_collections.domzero.xen.tests.simulator import site
from ansible_collections.domzero.xen.tests.simulator.running import LAUNCHER, Simulator
from ansible_collections.domzero.xen.tests.simulator.schema import DATA
from ansible_collections.domzero.xen.tests.simulator.store import InUse, Store

from .conversation import Asked


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator("--hosts", "2", "--joined", "--speed", "0") as running:
        yield running


@pytest.fixture(autouse=True)
def no_fault_is_left(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "simulator" in request.fixturenames:
        request.getfixturevalue("simulator").ctl("fault", "clear")


def client(simulator: Simulator, host: int = 0) -> t.Any:
    session = XenAPI.Session(simulator.hosts[host].url, ignore_ssl=True)
    session.login_with_password("root", "xapi-test", "2.0", "tests")
    return session


def ctl(simulator: Simulator, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(LAUNCHER), "ctl", "--state", str(simulator.state), *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True)


def test_the_ready_file_tells_where_the_hosts_answer(simulator: Simulator) -> None:
    assert simulator.ready.keys() == {"username", "password", "hosts"}
    first, second = simulator.ready["hosts"]
    assert first.keys() == {"name", "address", "port", "url", "fingerprint_sha256", "ca_file"}
    assert first["address"] != second["address"]
    assert first["port"] == second["port"]
    assert first["url"] == f"https://{first['address']}:{first['port']}"
    assert Path(first["ca_file"]).read_text().startswith("-----BEGIN CERTIFICATE-----")
    assert json.loads(simulator.ctl("hosts")) == simulator.ready


def test_a_state_belongs_to_one_process(simulator: Simulator) -> None:
    second = subprocess.run([str(LAUNCHER), "up", "--state", str(simulator.state)], check=False, capture_output=True, text=True)
    assert second.returncode == 2
    assert f"is in use by process {t.cast('subprocess.Popen[bytes]', simulator.process).pid}" in second.stderr


def test_calls_are_told_since_a_mark(simulator: Simulator) -> None:
    session = client(simulator)
    mark = int(simulator.ctl("mark"))
    network = session.xenapi.network.create({"name_label": "marked", "other_config": {}})
    (call,) = simulator.calls(mark)
    assert (call["n"], call["method"], call["host"], call["result"]) == (mark + 1, "network.create", "xcp00", network)


def test_a_fault_is_asked_for_from_outside(simulator: Simulator) -> None:
    session = client(simulator)
    simulator.ctl("fault", "fail", "network.create", "HOST_OFFLINE", "OpaqueRef:x", "--nth", "2")
    assert simulator.ctl("fault", "list") == "call 2 from now of network.create: fails with HOST_OFFLINE OpaqueRef:x\n"
    session.xenapi.network.create({"name_label": "n", "other_config": {}})
    with pytest.raises(XenAPI.Failure) as e:
        session.xenapi.network.create({"name_label": "n", "other_config": {}})
    assert e.value.details == ["HOST_OFFLINE", "OpaqueRef:x"]
    assert simulator.ctl("fault", "list") == ""


def test_a_fault_nobody_can_ask_for_is_refused(simulator: Simulator) -> None:
    assert "no message VM.frob in the data model" in ctl(simulator, "fault", "fail", "VM.frob", "X").stderr
    assert "no host nobody; there are xcp00, xcp01" in ctl(simulator, "fault", "stays-down", "nobody").stderr
    assert ctl(simulator, "fault", "fail", "VM.frob", "X").returncode == 2


def test_the_invariants_are_checked_from_outside(simulator: Simulator) -> None:
    assert simulator.ctl("check") == ""


def test_a_host_can_be_switched_off_and_on(simulator: Simulator) -> None:
    session = client(simulator)

    def alive() -> list[bool]:
        return sorted(record["live"] for record in session.xenapi.host_metrics.get_all_records().values())

    def answer() -> list[str]:
        try:
            client(simulator, 1)
        except XenAPI.Failure as failure:
            return t.cast("list[str]", failure.details)
        except OSError:
            return []
        return ["logged in"]

    end = time.monotonic() + 60
    simulator.ctl("power", "xcp01", "off")
    while alive() != [False, True] and time.monotonic() < end:
        time.sleep(0.02)
    assert alive() == [False, True]
    assert answer() == []
    simulator.ctl("power", "xcp01", "on")
    while alive() != [True, True] and time.monotonic() < end:
        time.sleep(0.02)
    assert answer() == ["HOST_IS_SLAVE", simulator.hosts[0].address]


def test_a_database_of_a_real_pool_is_loaded_and_left_again() -> None:
    with Simulator("--hosts", "1", "--speed", "0") as simulator:
        told = json.loads(simulator.ctl("load-db", str(DATA / "state-dbs" / "cowley1.xml")))
        assert [host["name"] for host in told["hosts"]] == ["grimsby", "chester"]
        simulator.ready = told
        session = client(simulator)
        assert {r["name_label"] for r in session.xenapi.host.get_all_records().values()} == {"grimsby", "chester"}
        assert simulator.ctl("check") == ""
        simulator.ctl("reset")
        simulator.ready = json.loads(simulator.ctl("hosts"))
        assert [r["name_label"] for r in client(simulator).xenapi.host.get_all_records().values()] == ["xcp00"]
        assert ctl(simulator, "load-db", __file__).returncode == 2


def test_an_unsound_pool_is_told_with_status_1(tmp_path: Path) -> None:
    dump = tmp_path / "dump.xml"
    networks = "".join(f'<row ref="OpaqueRef:{n}" uuid="{n}" bridge="xenbr0"/>' for n in "ab")
    dump.write_text(
        '<database><table name="pool"><row ref="OpaqueRef:p" master="OpaqueRef:h"/></table>'
        '<table name="host"><row ref="OpaqueRef:h" hostname="h" metrics="OpaqueRef:m"/></table>'
        f'<table name="host_metrics"><row ref="OpaqueRef:m"/></table><table name="network">{networks}</table></database>'
    )
    with Simulator("--hosts", "1", "--speed", "0") as simulator:
        simulator.ctl("load-db", str(dump))
        found = ctl(simulator, "check")
    assert found.returncode == 1
    assert found.stdout == "pool0: 2 networks have the bridge xenbr0\n"


@pytest.mark.parametrize("kill", [False, True])
def test_everything_answered_outlives_the_process(tmp_path: Path, kill: bool) -> None:
    simulator = Simulator("--hosts", "2", "--joined", "--speed", "0", state=tmp_path / "state").start()
    try:
        session = client(simulator)
        network = session.xenapi.network.create({"name_label": "kept", "other_config": {"a": "b"}})
        before, ready, mark = session.xenapi.network.get_record(network), simulator.ready, simulator.ctl("mark")
        simulator.stop(kill=kill)
        simulator.start()
        assert simulator.ready == ready
        again, ended = client(simulator), session._session
        assert again.xenapi.network.get_record(network) == before
        assert simulator.ctl("mark") == mark
        with pytest.raises(XenAPI.Failure) as e:
            again.xenapi.session.get_this_host(ended)
        assert e.value.details == ["HANDLE_INVALID", "session", ended]
    finally:
        simulator.stop()


def test_a_host_that_was_off_or_booting_is_so_after_a_restart(tmp_path: Path) -> None:
    world = site.build(site.of_hosts(3, joined=True), speed=1)
    store = world.store = Store(tmp_path)
    ask = Asked(world.machines["xcp00"])
    world.machines["xcp01"].go_down()
    ask("host.disable", world.machines["xcp02"].host_ref)
    ask("host.reboot", world.machines["xcp02"].host_ref)
    with world.lock:
        agenda = list(world.agenda)
        world.save()
    world.stop()
    store.close()
    world.store = None
    again = Store(tmp_path)
    loaded = again.load()
    assert loaded.machines["xcp01"].power == "off"
    assert [entry["action"] for entry in loaded.agenda] == [entry["action"] for entry in agenda]
    loaded.set_speed(0)
    end = time.monotonic() + 60
    while loaded.agenda and time.monotonic() < end:
        time.sleep(0.02)
    assert loaded.machines["xcp02"].power == "on"
    loaded.stop()
    again.close()


def test_storage_and_its_contents_outlive_a_restart(tmp_path: Path) -> None:
    world = site.build(site.load("homogeneous"), speed=0)
    store = world.store = Store(tmp_path)
    with world.lock:
        world.save()
    before = world.storage.dump()
    store.close()
    again = Store(tmp_path)
    assert again.load().storage.dump() == before
    again.close()


def test_records_come_back_as_they_were(tmp_path: Path) -> None:
    world = site.build(site.of_hosts(1), speed=0)
    db = world.pools[0].db
    metrics = db.create("VM_metrics", VCPUs_utilisation={0: 0.5, 1: 0.25}, VCPUs_flags={0: ["online"]})
    store = world.store = Store(tmp_path)
    with world.lock:
        world.save()
    store.close()
    again = Store(tmp_path)
    loaded = again.load().pools[0].db
    assert loaded.get("VM_metrics", metrics)["VCPUs_utilisation"] == {0: 0.5, 1: 0.25}
    for cls, table in db.tables.items():
        assert list(loaded.all(cls)) == list(table), cls
        assert all(loaded.get(cls, ref).keys() == record.keys() for ref, record in table.items())
    again.close()


def test_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(InUse, match="is in use by process"):
        Store(tmp_path)
    store.close()
    Store(tmp_path).close()


def test_what_can_not_be_started_is_told_in_one_sentence(tmp_path: Path) -> None:
    for arguments, expected in (
        (["--site", "nowhere.yml"], "sites that come along"),
        (["--hosts", "0"], "1 to 100 hosts"),
        (["--release", "windows-95"], "windows-95"),
    ):
        done = subprocess.run(
            [str(LAUNCHER), "up", "--state", str(tmp_path / "s"), *arguments], check=False, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 2, arguments
        assert done.stderr.startswith("xapi-sim: ")
        assert expected in done.stderr
        assert "Traceback" not in done.stderr


def test_a_port_that_is_taken_is_named(simulator: Simulator, tmp_path: Path) -> None:
    done = subprocess.run(
        [str(LAUNCHER), "up", "--state", str(tmp_path), "--hosts", "1", "--port", str(simulator.port)],
        check=False, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 2
    assert simulator.hosts[0].address in done.stderr


def test_sigterm_ends_it_cleanly(tmp_path: Path) -> None:
    simulator = Simulator("--hosts", "1", state=tmp_path / "state").start()
    process = t.cast("subprocess.Popen[bytes]", simulator.process)
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    assert "no simulator runs" in ctl(simulator, "mark").stderr


def test_neither_waiting_clients_nor_slow_calls_hold_up_the_end(tmp_path: Path) -> None:
    simulator = Simulator("--hosts", "1", "--speed", "1", state=tmp_path / "state").start()
    simulator.ctl("fault", "slow", "network.create", "3600")
    waiting = [client(simulator), client(simulator)]
    calls = (("event.from", [["pool"], "", 1.0]), ("event.from", [["vm"], "99999999999999999999,0", 3600.0]))
    threads = [threading.Thread(target=attempt, args=(waiting[0], *calls[1]), daemon=True)]
    threads += [
        threading.Thread(target=attempt, args=(waiting[1], "network.create", [{"name_label": "n", "other_config": {}}]), daemon=True)
    ]
    for thread in threads:
        thread.start()
    client(simulator).xenapi_request(calls[0][0], tuple(calls[0][1]))
    begin = time.monotonic()
    simulator.stop()
    assert time.monotonic() - begin < 30
    for thread in threads:
        thread.join(10)


def attempt(session: t.Any, method: str, params: list[t.Any]) -> None:
    """A call that is cut off when the simulator ends."""
    with contextlib.suppress(OSError, xmlrpc.client.Error, http.client.HTTPException, XenAPI.Failure):
        session.xenapi_request(method, tuple(params))
