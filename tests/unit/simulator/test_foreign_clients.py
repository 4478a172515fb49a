# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people's scripts do with the official XenAPI package (XML-RPC), and what JSON-RPC clients of other languages send."""

from __future__ import annotations

import http.client
import itertools
import json
import ssl
import threading
import time
import typing as t
import xmlrpc.client

import pytest
import XenAPI

from ansible_collections.domzero.xen.tests.simulator import site
from ansible_collections.domzero.xen.tests.simulator.running import Host, InProcess

NFS = {"server": "127.30.0.10", "serverpath": "/volume1/vms"}


@pytest.fixture
def simulator() -> t.Iterator[InProcess]:
    """Two single hosts and a filer that both reach."""
    with InProcess(site.build(site.load("heterogeneous"), speed=0)) as running:
        yield running


@pytest.fixture
def session(simulator: InProcess) -> t.Any:
    return logged_in(simulator.hosts[0])


@pytest.fixture
def api(session: t.Any) -> t.Any:
    return session.xenapi


def logged_in(host: Host) -> t.Any:
    session = XenAPI.Session(host.url, ignore_ssl=True)
    session.xenapi.login_with_password("root", "xapi-test", "1.0", "a script")
    return session


def refused(call: t.Callable[..., t.Any], *params: t.Any) -> list[str]:
    """Code and parameters of the error."""
    with pytest.raises(XenAPI.Failure) as failed:
        call(*params)
    return t.cast("list[str]", failed.value.details)


def ended(api: t.Any, task: str) -> dict[str, t.Any]:
    """The record of a task, polled as scripts do."""
    end = time.monotonic() + 60
    while api.task.get_status(task) == "pending":
        assert time.monotonic() < end
        time.sleep(0.02)
    return t.cast("dict[str, t.Any]", api.task.get_record(task))


# the official package -------------------------------------------------------------------------------------------------
def test_a_login_takes_two_three_or_four_parameters_and_tells_the_version_of_the_api(simulator: InProcess) -> None:
    for more in ((), ("1.0",), ("1.0", "a script")):
        session = XenAPI.Session(simulator.hosts[0].url, ignore_ssl=True)
        session.xenapi.login_with_password("root", "xapi-test", *more)
        assert session.API_version == "2.23"
        session.xenapi.session.logout()
        assert session.handle is None or refused(session.xenapi.pool.get_all)[0] == "SESSION_INVALID"


def test_a_wrong_password_is_refused(simulator: InProcess) -> None:
    session = XenAPI.Session(simulator.hosts[0].url, ignore_ssl=True)
    assert refused(session.xenapi.login_with_password, "root", "wrong")[:2] == ["SESSION_AUTHENTICATION_FAILED", "root"]


def test_records_have_integers_as_strings_and_dates_as_dates(api: t.Any) -> None:
    domain = next(r for r in api.VM.get_all_records().values() if r["is_control_domain"])
    assert domain["power_state"] == "Running"
    assert domain["is_a_template"] is False
    assert int(domain["memory_static_max"]) > 0
    assert isinstance(domain["memory_static_max"], str)
    assert isinstance(domain["HVM_shadow_multiplier"], float)
    assert isinstance(domain["snapshot_time"], xmlrpc.client.DateTime)
    assert isinstance(api.host.get_servertime(domain["resident_on"]), xmlrpc.client.DateTime)


def test_a_host_tells_its_software(api: t.Any) -> None:
    version = api.host.get_software_version(api.pool.get_master(api.pool.get_all()[0]))
    assert {"product_brand", "product_version", "platform_version", "build_number", "xapi"} <= set(version)


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ('field "name_label" = "xcpA"', {"xcpA"}),
        ('field "name__label"="xcpA"', {"xcpA"}),
        ('not (field "name_label" = "xcpA")', set()),
        ('field "enabled" = "true" and field "name_label" = "xcpA"', {"xcpA"}),
        ('field "name_label" = "no" or field "edition" = "no"', set()),
        ("true", {"xcpA"}),
        ("false", set()),
    ],
)
def test_records_can_be_asked_for_with_an_expression(api: t.Any, expression: str, names: set[str]) -> None:
    assert {r["name_label"] for r in api.host.get_all_records_where(expression).values()} == names


def test_an_expression_that_is_none_is_refused(api: t.Any) -> None:
    assert refused(api.host.get_all_records_where, "name = xcpA")[0] == "INVALID_VALUE"


@pytest.mark.parametrize("size", ["0", 0])
def test_an_sr_is_created_attached_scanned_and_forgotten(api: t.Any, size: str | int) -> None:
    host = api.host.get_by_name_label("xcpA")[0]
    sr = api.SR.create(host, NFS, size, "Filer", "", "nfs", "user", True, {})
    (pbd,) = api.SR.get_PBDs(sr)
    assert api.PBD.get_currently_attached(pbd) is True
    assert api.PBD.get_device_config(pbd)["server"] == NFS["server"]
    api.SR.scan(sr)
    api.pool.set_default_SR(api.pool.get_all()[0], sr)
    assert refused(api.SR.forget, sr)[0] == "SR_HAS_PBD"
    api.PBD.unplug(pbd)
    api.SR.forget(sr)
    assert api.SR.get_by_name_label("Filer") == []
    assert refused(api.SR.get_record, sr) == ["HANDLE_INVALID", "SR", sr]


def test_a_network_is_made_with_integers_or_strings_and_gets_a_vlan(api: t.Any) -> None:
    (pif,) = [ref for ref, r in api.PIF.get_all_records().items() if r["device"] == "eth0" and r["VLAN"] == "-1"]
    for tag, mtu in (("7", "9000"), (8, 9000)):
        network = api.network.create({"name_label": f"VLAN {tag}", "name_description": "", "MTU": mtu, "other_config": {}})
        assert api.network.get_MTU(network) == "9000"
        vlan = api.VLAN.create(pif, tag, network)
        assert api.VLAN.get_tag(vlan) == str(tag)
        assert api.PIF.get_VLAN(api.VLAN.get_untagged_PIF(vlan)) == str(tag)


def test_a_task_is_polled_and_its_result_unwrapped(api: t.Any) -> None:
    done = ended(api, task := api.Async.network.create({"name_label": "N", "name_description": "", "other_config": {}}))
    assert (done["status"], done["progress"], done["error_info"]) == ("success", 1.0, [])
    ref = done["result"].removeprefix("<value>").removesuffix("</value>")
    assert api.network.get_name_label(ref) == "N"
    api.task.destroy(task)
    assert refused(api.task.get_status, task) == ["HANDLE_INVALID", "task", task]


def test_a_task_that_fails_tells_the_error_and_others_are_refused_at_once(api: t.Any) -> None:
    done = ended(api, api.Async.SR.forget(api.SR.get_by_name_label("Local storage")[0]))
    assert (done["status"], done["result"], done["error_info"][0]) == ("failure", "", "SR_HAS_PBD")
    assert refused(api.Async.network.get_all)[0] == "Fault"
    assert refused(api.Async.network.nope) == ["MESSAGE_METHOD_UNKNOWN", "Async.network.nope"]


def test_a_loop_over_events_sees_each_change_once(simulator: InProcess, api: t.Any) -> None:
    batch = api.event_from(["network", "pool"], "", 5.0)
    cache = {event["ref"]: event["snapshot"] for event in batch["events"]}
    assert {r["name_label"] for r in cache.values()} >= {"Pool-wide network associated with eth0"}
    assert {event["operation"] for event in batch["events"]} == {"add"}
    assert batch["valid_ref_counts"]["network"] == len(api.network.get_all())
    start = time.monotonic()
    nothing = api.event_from(["network", "pool"], batch["token"], 0.3)
    assert nothing["events"] == []
    assert time.monotonic() - start >= 0.3

    other = logged_in(simulator.hosts[0]).xenapi
    timer = threading.Timer(0.2, lambda: other.network.create({"name_label": "N", "name_description": "", "other_config": {}}))
    timer.start()
    told = api.event_from(["network", "pool"], nothing["token"], 10.0)
    timer.join()
    assert [(e["class"], e["operation"], e["snapshot"]["name_label"]) for e in told["events"]] == [("network", "add", "N")]
    api.network.destroy(told["events"][0]["ref"])
    gone = api.event_from(["network", "pool"], told["token"], 10.0)
    assert [(e["operation"], e["ref"], "snapshot" in e) for e in gone["events"]] == [("del", told["events"][0]["ref"], False)]


def test_a_task_is_waited_for_with_events(api: t.Any) -> None:
    task, token = api.Async.SR.scan(api.SR.get_by_name_label("Local storage")[0]), ""
    for _turn in itertools.repeat(None, 50):
        batch = api.event_from([f"task/{task}"], token, 5.0)
        token = batch["token"]
        if any(event["snapshot"]["status"] != "pending" for event in batch["events"]):
            break
    assert api.task.get_status(task) == "success"


def test_registered_events_come_with_next(api: t.Any) -> None:
    assert refused(api.event.next)[0] == "SESSION_NOT_REGISTERED"
    api.event.register(["pool"])
    pool = api.pool.get_all()[0]
    api.pool.set_name_label(pool, "Lab")
    (event,) = api.event.next()
    assert (event["class"], event["operation"], event["ref"], event["snapshot"]["name_label"]) == ("pool", "mod", pool, "Lab")
    api.event.unregister(["pool"])


def test_a_host_joins_and_its_address_then_points_to_the_coordinator(simulator: InProcess, api: t.Any) -> None:
    first, second = simulator.hosts
    joiner = logged_in(second).xenapi
    assert refused(joiner.pool.join, first.address, "root", "xapi-test")[0] == "HOSTS_NOT_HOMOGENEOUS"
    joiner.pool.join_force(first.address, "root", "xapi-test")
    end = time.monotonic() + 60
    while len([h for h in api.host.get_all_records().values() if h["enabled"]]) < 2:
        assert time.monotonic() < end
        time.sleep(0.02)
    assert refused(XenAPI.Session(second.url, ignore_ssl=True).xenapi.login_with_password, "root", "xapi-test") == [
        "HOST_IS_SLAVE",
        first.address,
    ]


def test_maps_sets_and_null_references_are_handled_as_scripts_expect(api: t.Any) -> None:
    network = api.network.create({"name_label": "N", "name_description": "", "other_config": {}})
    api.network.add_to_other_config(network, "key", "value")
    assert refused(api.network.add_to_other_config, network, "key", "value")[0] == "MAP_DUPLICATE_KEY"
    api.network.remove_from_other_config(network, "key")
    api.network.remove_from_other_config(network, "key")
    assert api.network.get_other_config(network) == {}
    api.network.add_tags(network, "a")
    api.network.add_tags(network, "a")
    assert api.network.get_tags(network) == ["a"]
    assert api.VM.get_suspend_VDI(api.VM.get_all()[0]) == "OpaqueRef:NULL"
    assert api.network.get_by_name_label("nope") == []
    assert refused(api.network.get_by_uuid, "nope") == ["UUID_INVALID", "network", "nope"]


def test_text_of_every_kind_comes_back_as_it_went(api: t.Any) -> None:
    text = "<b>&amp; \"'ünï 日本 😀 ]]>\n\ttab"
    network = api.network.create({"name_label": text, "name_description": "", "other_config": {text: text}})
    assert api.network.get_name_label(network) == text
    assert api.network.get_record(network)["other_config"] == {text: text}


def test_the_certificate_a_host_tells_of_is_the_one_it_shows(simulator: InProcess, api: t.Any) -> None:
    told = api.host.get_server_certificate(api.host.get_all()[0])
    host = simulator.hosts[0]
    assert told.strip() == ssl.get_server_certificate((host.address, host.port)).strip()


# JSON-RPC with the standard library ---------------------------------------------------------------------------------------
Post = t.Callable[..., t.Any]


@pytest.fixture
def post(simulator: InProcess) -> t.Iterator[Post]:
    """post(body): status and decoded answer, over one connection."""
    host = simulator.hosts[0]
    connection = http.client.HTTPSConnection(host.address, host.port, context=ssl._create_unverified_context())

    def post(body: t.Any) -> tuple[int, t.Any]:
        connection.request("POST", "/jsonrpc", json.dumps(body), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if answer.status == 200 else text.decode()

    yield post
    connection.close()


@pytest.mark.parametrize("version", [{}, {"jsonrpc": "2.0"}])
@pytest.mark.parametrize("number", [0, 7, "seven"])
def test_json_clients_log_in_read_and_log_out(post: Post, version: dict[str, str], number: t.Any) -> None:
    def ask(method: str, *params: t.Any) -> t.Any:
        status, answer = post({"method": method, "params": params, "id": number, **version})
        assert (status, answer["id"]) == (200, number)
        assert set(answer) == ({"jsonrpc", "result", "id"} if version else {"result", "error", "id"})
        return answer["result"]

    session = ask("session.login_with_password", "root", "xapi-test")
    (record,) = ask("host.get_all_records", session).values()
    assert record["API_version_major"] == 2
    assert record["enabled"] is True
    assert ask("host.get_servertime", session, ask("host.get_all", session)[0]).endswith("Z")
    assert ask("event.from", session, ["host"], "", 1)["events"][0]["snapshot"]["uuid"] == record["uuid"]
    assert ask("session.logout", session) == ""


def test_json_clients_learn_which_classes_there_are(post: Post) -> None:
    names = post({"jsonrpc": "2.0", "method": "system.listMethods", "params": [], "id": 1})[1]["result"]
    assert {"VM.get_all_records", "pool.get_all_records", "Async.VM.start"} <= set(names)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"id": None}, "Invalid field &apos;id&apos; in request body"),
        ({"id": 1.5}, "Invalid field &apos;id&apos; in request body"),
        ({"id": True}, "Invalid field &apos;id&apos; in request body"),
        ({"jsonrpc": "1.0"}, "Invalid field &apos;jsonrpc&apos; in request body"),
        ({"method": 7}, "Invalid field &apos;method&apos; in request body"),
        ({"params": "x"}, "Invalid field &apos;params&apos; in request body"),
        ({"params": {"session": "x"}}, "Invalid field &apos;params&apos; in request body"),
    ],
)
def test_requests_of_another_shape_are_http_errors(post: Post, change: dict[str, t.Any], complaint: str) -> None:
    status, page = post({"method": "pool.get_all", "params": [], "id": 1, **change})
    assert status == 500
    assert complaint in page


def test_version_1_needs_params_and_version_2_does_not(post: Post) -> None:
    status, page = post({"method": "pool.get_all", "id": 1})
    assert (status, "Required field params is missing" in page) == (500, True)
    status, answer = post({"jsonrpc": "2.0", "method": "pool.get_all", "id": 1})
    assert (status, answer["error"]["message"]) == (200, "MESSAGE_PARAMETER_COUNT_MISMATCH")


def test_named_parameters_are_one_parameter(post: Post) -> None:
    named = {"uname": "root", "pwd": "xapi-test"}
    _status, answer = post({"jsonrpc": "2.0", "method": "session.login_with_password", "params": named, "id": 1})
    assert answer["error"]["data"] == ["session.login_with_password", "2", "1"]


def test_text_that_xml_cannot_carry_is_refused_before_the_call_is_looked_at(post: Post, session: t.Any) -> None:
    _status, answer = post({"jsonrpc": "2.0", "method": "pool.nope", "params": [session.handle, "a\u0001b"], "id": 9})
    assert answer == {"jsonrpc": "2.0", "error": ["INVALID_VALUE", "Invalid UTF-8 string in parameter", "S(a\u0001b)"], "id": 0}


def test_integers_of_64_bits_survive(post: Post, api: t.Any, session: t.Any) -> None:
    sr = api.SR.get_by_name_label("Local storage")[0]
    size = (5 << 30) + 1
    record = {
        "name_label": "d",
        "name_description": "",
        "SR": sr,
        "virtual_size": size,
        "type": "user",
        "sharable": False,
        "read_only": False,
    }
    _status, answer = post({"jsonrpc": "2.0", "method": "VDI.create", "params": [session.handle, {**record, "other_config": {}}], "id": 1})
    assert int(api.VDI.get_virtual_size(answer["result"])) >= size
