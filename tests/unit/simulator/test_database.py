# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records, what is derived from them, and what waiting clients are told."""

from __future__ import annotations

import pytest

from ansible_collections.domzero.xen.tests.simulator.database import Database, Stamp
from ansible_collections.domzero.xen.tests.simulator.errors import Fault
from ansible_collections.domzero.xen.tests.simulator.modeltypes import NULL


@pytest.fixture
def db() -> Database:
    return Database()


def test_a_new_object_has_the_defaults_of_the_model(db: Database) -> None:
    record = db.get("network", db.create("network", name_label="n"))
    assert (record["name_label"], record["MTU"], record["managed"], record["default_locking_mode"]) == ("n", 1500, True, "unlocked")
    assert record["other_config"] == {}
    assert record["tags"] == []
    assert len(record["uuid"]) == 36


def test_defaults_are_not_shared_between_objects(db: Database) -> None:
    first, second = (db.get("network", db.create("network")) for _time in range(2))
    assert first["tags"] is not second["tags"]


def test_the_many_side_follows_the_one_side(db: Database) -> None:
    old, new = db.create("network"), db.create("network")
    pif = db.create("PIF", network=old)
    assert db.get("network", old)["PIFs"] == [pif]
    db.set("PIF", pif, network=new)
    assert db.get("network", old)["PIFs"] == []
    assert db.get("network", new)["PIFs"] == [pif]
    db.destroy("PIF", pif)
    assert db.get("network", new)["PIFs"] == []


def test_sets_on_both_sides_follow_each_other(db: Database) -> None:
    update, host = db.create("pool_update"), db.create("host")
    db.set("host", host, updates=[update])
    assert db.get("pool_update", update)["hosts"] == [host]
    db.set("pool_update", update, hosts=[])
    assert db.get("host", host)["updates"] == []


def test_a_derived_set_can_not_be_set(db: Database) -> None:
    with pytest.raises(TypeError, match="follows from the other side"):
        db.create("network", PIFs=["OpaqueRef:x"])


def test_an_unknown_field_is_refused(db: Database) -> None:
    with pytest.raises(TypeError, match="network has no field frob"):
        db.create("network", frob=1)


def test_an_unknown_object_is_named(db: Database) -> None:
    with pytest.raises(Fault) as e:
        db.get("VM", "OpaqueRef:x")
    assert e.value.description == ["HANDLE_INVALID", "VM", "OpaqueRef:x"]


def test_a_caller_keeps_no_handle_on_a_record(db: Database) -> None:
    tags = ["a"]
    ref = db.create("network", tags=tags)
    tags.append("b")
    assert db.get("network", ref)["tags"] == ["a"]


def test_map_keys_come_and_go(db: Database) -> None:
    ref = db.create("network", other_config={"a": "1"})
    db.add_to_map("network", ref, "other_config", "b", "2")
    db.remove_from_map("network", ref, "other_config", "a")
    db.remove_from_map("network", ref, "other_config", "never there")
    assert db.get("network", ref)["other_config"] == {"b": "2"}


def test_one_object_is_meant_or_none(db: Database) -> None:
    ref = db.create("network", name_label="a")
    assert db.one("network", name_label="a") == ref
    db.create("network", name_label="a")
    for name in ("a", "b"):
        with pytest.raises(LookupError):
            db.one("network", name_label=name)


def test_a_change_is_told_and_the_same_value_again_is_none(db: Database) -> None:
    told: list[int] = []
    db.changed = lambda: told.append(db.generation)
    ref = db.create("network", name_label="a")
    before = db.stamps["network"][ref]
    db.set("network", ref, name_label="a")
    assert db.stamps["network"][ref] == before
    db.set("network", ref, name_label="b")
    assert db.stamps["network"][ref] == Stamp(before.created, db.generation)
    assert told[-1] == db.generation


def test_changes_are_kept_in_their_order(db: Database) -> None:
    first, second = db.create("network"), db.create("network")
    db.set("network", first, name_label="later")
    assert list(db.stamps["network"]) == [second, first]


def test_a_holder_changes_with_what_it_holds(db: Database) -> None:
    network = db.create("network")
    before = db.stamps["network"][network].modified
    db.create("PIF", network=network)
    assert db.stamps["network"][network].modified > before


def test_a_deleted_object_is_remembered(db: Database) -> None:
    ref = db.create("network")
    created = db.stamps["network"][ref].created
    db.destroy("network", ref)
    gone = db.gone[-1]
    assert (gone.cls, gone.ref, gone.created, gone.deleted) == ("network", ref, created, db.generation)
    assert not db.exists("network", ref)


def test_rows_put_in_from_elsewhere_get_their_back_references(db: Database) -> None:
    db.put("VIF", "OpaqueRef:vif", {"network": "OpaqueRef:net", "VM": NULL})
    db.put("network", "OpaqueRef:net", {"VIFs": ["OpaqueRef:stale"]})
    db.derive()
    assert db.get("network", "OpaqueRef:net")["VIFs"] == ["OpaqueRef:vif"]
    assert db.get("VIF", "OpaqueRef:vif")["locking_mode"] == "network_default"
