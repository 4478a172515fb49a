# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.errors import InvalidChange, NotFound
from ansible_collections.domzero.xen.plugins.module_utils.joined import MASK, masked

PLAIN_SECRET = "do-not-tell"


@pytest.fixture
def sim(simulator):
    return simulator("homogeneous", joined=True)


@pytest.fixture
def ask(sim, run) -> t.Callable[..., t.Any]:
    return lambda cls, **params: run("xen_info", **{"class": cls}, **params)


@pytest.fixture
def db(sim):
    return sim.world.pools[0].db


def names(result) -> list[str]:
    return [o["name_label"] for o in result["objects"]]


# what is chosen ---------------------------------------------------------------------------------------------------------
def test_all_objects_of_a_class_come_with_their_references(ask, db):
    found = ask("network")["objects"]
    assert {o["ref"] for o in found} == set(db.all("network"))
    assert names({"objects": found}) == sorted(names({"objects": found}))


@pytest.mark.parametrize(
    "cls", ["VM", "host", "pool", "SR", "PBD", "PIF", "SM", "secret", "task", "message", "console", "host_cpu", "VM_group", "Cluster"]
)
def test_any_class_can_be_read(ask, cls):
    assert isinstance(ask(cls)["objects"], list)


@pytest.mark.parametrize(
    ("cls", "near"), [("vm", "VM"), ("hosts", "host"), ("Network", "network"), ("vif_metric", "VIF_metrics"), ("session", "VM")]
)
def test_a_class_that_is_none_is_answered_with_names_like_it(ask, cls, near):
    with pytest.raises(NotFound, match=rf"no class '{cls}'.* There (is|are): .*\b{near}\b"):
        ask(cls)


def test_a_class_newer_than_the_release_is_not_suggested(simulator, run):
    simulator(1, release="xenserver-6.5")
    with pytest.raises(NotFound) as refused:
        run("xen_info", **{"class": "VM_group"})
    assert "VM_group" not in refused.value.hint


@pytest.mark.parametrize(
    ("cls", "conditions", "expected"),
    [
        ("host", {"name_label": "xcp01"}, ["xcp01"]),
        ("host", {"enabled": True, "name_label": "xcp02"}, ["xcp02"]),
        ("host", {"enabled": "true", "name_label": "xcp02"}, ["xcp02"]),
        ("host", {"enabled": False}, []),
        ("host", {"software_version": {"product_brand": "XCP-ng"}, "name_label": "xcp00"}, ["xcp00"]),
        ("host", {"software_version": {"product_brand": "Xen"}}, []),
        ("VM", {"is_control_domain": True, "resident_on": "xcp01"}, ["Control domain on host: xcp01"]),
        ("VM", {"is_control_domain": True, "affinity": None, "resident_on": ["xcp01"]}, []),
        ("network", {"MTU": "1500", "bridge": "xenbr1"}, ["Pool-wide network associated with eth1"]),
        ("network", {"MTU": 1500, "tags": ["a", "b"]}, []),
    ],
)
def test_a_filter_takes_values_as_people_write_them(ask, cls, conditions, expected):
    assert names(ask(cls, filter=conditions)) == expected


def test_a_filter_takes_sets_by_their_members(ask, db):
    ref = db.find("network", bridge="xenbr2")[0]
    db.set("network", ref, tags=["fast", "storage"])
    for tags in ("fast", ["fast"], ["storage", "fast"]):
        assert [o["ref"] for o in ask("network", filter={"tags": tags})["objects"]] == [ref]
    assert ask("network", filter={"tags": ["fast", "slow"]})["objects"] == []


def test_a_filter_takes_null_for_no_object(ask, db):
    assert {o["ref"] for o in ask("VDI", filter={"snapshot_of": None})["objects"]} == set(db.all("VDI"))


def test_an_unknown_field_is_answered_with_fields_like_it(ask):
    with pytest.raises(NotFound, match=r"network has no field 'name_labl' on this host's release\. There is: name_label\."):
        ask("network", filter={"name_labl": "x"})
    with pytest.raises(NotFound, match="no field 'bridg'"):
        ask("network", fields=["bridg"])


def test_only_the_fields_asked_for_come(ask):
    assert all(set(o) == {"ref", "uuid", "enabled"} for o in ask("host", fields=["uuid", "enabled"])["objects"])


# what is joined ---------------------------------------------------------------------------------------------------------
def test_a_query_looks_through_references(ask):
    query = "[].{host: host.name_label, nic: device, network: network.name_label, up: host.enabled}"
    rows = ask("PIF", filter={"management": True}, query=query)["result"]
    shown = [{"host": f"xcp0{n}", "nic": "eth0", "network": "Pool-wide network associated with eth0", "up": True} for n in range(3)]
    assert sorted(rows, key=lambda row: row["host"]) == shown


def test_a_query_looks_through_sets_of_references_over_any_number_of_steps(ask, db):
    query = "[0].PIFs[].host.PBDs[].SR.name_label | sort(@) | [0]"
    assert ask("network", filter={"bridge": "xenbr0"}, query=query)["result"] == "DVD drives"


def test_a_query_filters_on_what_it_joins(ask):
    query = "[?host.name_label == 'xcp01' && metrics.carrier].device | sort(@)"
    assert ask("PIF", query=query)["result"] == ["eth0", "eth1", "eth2"]


def test_a_reference_that_is_not_looked_into_is_itself(ask, db):
    (pool,) = db.all("pool").values()
    assert ask("pool", query="[0].master")["result"] == pool["master"]
    assert ask("pool", query="[0].master.ref")["result"] == pool["master"]


def test_a_reference_to_nothing_is_null(ask):
    assert ask("pool", query="[0].[redo_log_vdi, redo_log_vdi.name_label]")["result"] == [None, None]
    assert ask("pool")["objects"][0]["redo_log_vdi"] == "OpaqueRef:NULL"


def test_a_query_sees_all_fields_whatever_is_returned(ask):
    done = ask("pool", fields=[], query="[0].uuid")
    assert set(done["objects"][0]) == {"ref"}
    assert len(done["result"]) == 36


@pytest.mark.parametrize("query", ["[?", "[].{", "name_label =="])
def test_a_query_that_cannot_be_read_is_refused_before_anything_is_asked(sim, ask, query):
    with pytest.raises(InvalidChange, match="query is not JMESPath"):
        ask("pool", query=query)


def test_a_query_that_cannot_be_answered_is_refused(ask):
    with pytest.raises(InvalidChange, match=r"query 'length\(\[0\].MTU\)' cannot be answered"):
        ask("network", query="length([0].MTU)")


def test_each_class_is_read_once_however_many_objects_there_are(sim, session):
    from ansible_collections.domzero.xen.plugins.module_utils import joined

    before = session.requests
    joined.read(session, "PIF", {"host": "xcp00"}, None, "[].{h: host.name_label, n: network.PIFs[].host.hostname, m: metrics.carrier}")
    assert session.requests == before + 4, "PIF, host, network, PIF_metrics"


def test_integers_are_integers_on_either_wire(simulator, run):
    simulator(1, release="xenserver-6.5")
    assert run("xen_info", **{"class": "network"}, query="[0].MTU")["result"] == 1500


# what nobody is to read -------------------------------------------------------------------------------------------------
def test_secrets_are_returned_as_stars(ask, db, sim):
    (ref, _pbd), *_rest = db.all("PBD").items()
    secret = db.create("secret", value=PLAIN_SECRET)
    uuid = db.get("secret", secret)["uuid"]
    hidden = {"password": PLAIN_SECRET, "chappassword": PLAIN_SECRET, "options": f"-o username=me,password={PLAIN_SECRET},vers=3.0"}
    shown = {"username": "me", "cifspassword_secret": uuid, "server": "filer", "location": f"https://me:{PLAIN_SECRET}@filer/x?a=1"}
    db.set("PBD", ref, device_config={**hidden, **shown})
    (pbd,) = [o for o in ask("PBD")["objects"] if o["ref"] == ref]
    assert pbd["device_config"] == {
        "password": MASK, "chappassword": MASK, "options": f"-o username=me,password={MASK},vers=3.0", "username": "me",
        "cifspassword_secret": uuid, "server": "filer", "location": f"https://me:{MASK}@filer/x?a=1",
    }  # fmt: skip
    assert {o["value"] for o in ask("secret")["objects"]} == {MASK}


def test_no_query_or_filter_reaches_behind_the_stars(ask, db):
    db.create("secret", value=PLAIN_SECRET)
    (ref, _pbd), *_rest = db.all("PBD").items()
    db.set("PBD", ref, device_config={"password": PLAIN_SECRET})
    assert ask("secret", filter={"value": PLAIN_SECRET})["objects"] == []
    assert PLAIN_SECRET not in str(ask("secret", query="[].value"))
    assert PLAIN_SECRET not in str(ask("SR", query="[].PBDs[].device_config"))
    assert PLAIN_SECRET not in str(ask("host", query="[].PBDs[].*"))


@pytest.mark.parametrize(
    ("key", "value", "shown"),
    [
        ("password", "x", False), ("vm-data/db_password", "x", False), ("api_token", "x", False), ("rootPassphrase", "x", False),
        ("password", "", True), ("passthrough", "x", True), ("password_secret", "3f2504e0-4f89-11d3-9a0c-0305e82c3301", True),
        ("my_secret", "hunter2", False), ("note", "password=hunter2", False), ("note", "plain = text", True),
        ("repo", "http://user:hunter2@host/x", False), ("repo", "http://host:80/x", True),
    ],
)  # fmt: skip
def test_keys_and_texts_that_tell_a_password_are_masked(key, value, shown):
    assert (masked("VM", {"other_config": {key: value}})["other_config"][key] == value) is shown
