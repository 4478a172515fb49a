# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.domzero.xen.plugins.module_utils.errors import Ambiguous, NotFound
from ansible_collections.domzero.xen.plugins.module_utils.refs import NULL, Objects


@pytest.fixture
def objects(session) -> Objects:
    return Objects(session)


def make(session, name: str) -> str:
    return session.call("network.create", {"name_label": name, "name_description": "", "MTU": 1500, "other_config": {}, "tags": []})


def test_a_class_is_read_once_however_often_it_is_looked_into(session, objects):
    before = session.requests
    for ref in objects.all("network"):
        assert objects.resolve("network", objects.get("network", ref)["uuid"]) == ref
        assert objects.label("network", ref)
    assert session.requests == before + 1


def test_what_changed_is_seen_after_forgetting(session, objects):
    objects.all("network")
    make(session, "new")
    with pytest.raises(NotFound):
        objects.resolve("network", "new")
    objects.forget()
    assert objects.resolve("network", "new")


def test_an_object_is_found_by_name_and_by_uuid(session, objects):
    ref = make(session, "storage")
    assert objects.resolve("network", "storage") == ref
    assert objects.resolve("network", objects.get("network", ref)["uuid"]) == ref
    assert objects.label("network", ref) == "storage"


def test_a_uuid_comes_before_a_name_that_looks_the_same(session, objects):
    first = make(session, "first")
    make(session, session.call("network.get_uuid", first))
    assert objects.resolve("network", session.call("network.get_uuid", first)) == first


def test_an_unknown_name_lists_what_there_is(session, objects):
    make(session, "storage")
    with pytest.raises(NotFound, match=r"No network is named 'storrage'.* There are: .*storage"):
        objects.resolve("network", "storrage")


def test_an_unknown_name_where_there_is_nothing_says_so(objects):
    with pytest.raises(NotFound, match="The pool has no appliance at all"):
        objects.resolve("VM_appliance", "x")


def test_a_long_list_of_names_is_cut(session, objects):
    for n in range(20):
        make(session, f"net{n:02}")
    with pytest.raises(NotFound, match=r"\.\.\.$"):
        objects.resolve("network", "x")


def test_an_ambiguous_name_lists_the_uuids(session, objects):
    twins = [session.call("network.get_uuid", make(session, "twin")) for _twin in range(2)]
    with pytest.raises(Ambiguous, match="2 objects of class network are named 'twin'") as refused:
        objects.resolve("network", "twin")
    assert all(uuid in str(refused.value) for uuid in twins)


def test_the_label_of_an_ambiguous_object_is_its_uuid(session, objects):
    ref = make(session, "twin")
    make(session, "twin")
    assert objects.label("network", ref) == objects.get("network", ref)["uuid"]


def test_the_label_of_nothing_is_empty(objects):
    assert objects.label("SR", NULL) == ""
    assert objects.label("SR", "OpaqueRef:gone") == ""


def test_only_those_asked_for_are_considered(session, objects):
    make(session, "twin")
    wanted = make(session, "twin")
    uuid = session.call("network.get_uuid", wanted)
    assert objects.resolve("network", "twin", lambda record: record["uuid"] == uuid) == wanted


def test_an_object_that_vanished_is_told(objects):
    with pytest.raises(NotFound, match="is not there any more"):
        objects.get("network", "OpaqueRef:gone")


def test_references_in_a_message_become_names(session, objects):
    ref = make(session, "storage")
    objects.all("network")
    assert objects.readable(f"network.x was refused: {ref}, OpaqueRef:gone") == "network.x was refused: network 'storage', OpaqueRef:gone"


def test_integers_are_integers_over_xml_rpc_too(simulator, session_to):
    session = session_to(simulator(1, release="xenserver-6.5"))
    (network, *_rest) = Objects(session).all("network").values()
    assert network["MTU"] == 1500
