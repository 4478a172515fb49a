# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.domzero.xen.plugins.module_utils.errors import Ambiguous, InvalidChange
from ansible_collections.domzero.xen.plugins.module_utils.fields import Field, Table, text_map
from ansible_collections.domzero.xen.plugins.module_utils.formats.sizes import size
from ansible_collections.domzero.xen.plugins.module_utils.plan import Plan
from ansible_collections.domzero.xen.plugins.module_utils.refs import NULL, Objects

TABLE = Table(
    "pool",
    (
        Field("name_label", "name"),
        Field("ha_enabled", "ha", "bool", writable=False),
        Field("other_config", "other_config", "dict"),
        Field("tags", "tags", "tags"),
        Field("default_SR", "default_sr", "ref", ref="SR"),
        Field("suspend_image_SR", "suspend_sr", "ref", ref="SR"),
    ),
)
ANY = t.cast("Objects", None)  # for fields that look at no object
KEYS = st.text(min_size=1, max_size=3)
MAPS = st.dictionaries(KEYS, st.text(max_size=3))
WISHES = st.dictionaries(KEYS, st.none() | st.booleans() | st.integers() | st.text(max_size=3))


@pytest.fixture
def objects(session) -> Objects:
    return Objects(session)


def plan_for(objects: Objects, **params: t.Any) -> Plan:
    (record,) = objects.all("pool").values()
    before = TABLE.observe(record, objects)
    plan = Plan(before, TABLE.desire(before, params, objects))
    (ref,) = objects.all("pool")
    TABLE.changes(plan, ref, objects, record, "Lab")
    return plan


# sizes ------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "bytes_"),
    [
        ("20 GiB", 20 << 30), ("20GB", 20 << 30), ("20g", 20 << 30), (" 512 M ", 512 << 20), ("1.5 TiB", 3 << 39), ("4k", 4096),
        ("2PiB", 2 << 50), ("0", 0), (1073741824, 1 << 30), ("1073741824", 1 << 30), ("7 b", 7),
    ],
)  # fmt: skip
def test_a_size_is_spelled_as_people_do(text, bytes_):
    assert size(text) == bytes_


@pytest.mark.parametrize("text", ["", "GiB", "-1", "20 XB", "20 GiB left", "1,5 GiB", "1e3"])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(InvalidChange, match="is not a size"):
        size(text)


@given(st.integers(0, 2**62))
def test_bytes_are_taken_to_the_last_one(number):
    assert size(number) == size(str(number)) == size(f"{number} B") == number


# maps and sets ----------------------------------------------------------------------------------------------------------
def test_values_of_maps_are_written_as_xenapi_writes_them():
    assert text_map({"yes": True, "no": False, "n": 5, "x": 1.5, "gone": None, 1: "a"}) == {
        "yes": "true", "no": "false", "n": "5", "x": "1.5", "gone": None, "1": "a",
    }  # fmt: skip


@given(MAPS, WISHES)
def test_keys_of_others_are_kept_and_null_removes(have, want):
    after = Field("other_config", "other_config", "dict").wanted(have, want, ANY)
    assert {k: v for k, v in after.items() if k not in want} == {k: v for k, v in have.items() if k not in want}
    assert all((key in after) == (value is not None) for key, value in want.items())
    assert all(isinstance(value, str) for value in after.values())


@given(MAPS, WISHES)
def test_a_map_that_is_as_wanted_is_left_alone(have, want):
    row = Field("other_config", "other_config", "dict")
    after = row.wanted(have, want, ANY)
    assert row.wanted(after, want, ANY) == after


@given(st.lists(st.text(max_size=3)), st.randoms())
def test_the_order_of_a_set_does_not_matter(want, random):
    row = Field("tags", "tags", "tags")
    shuffled = [*want, *want]
    random.shuffle(shuffled)
    assert row.wanted([], shuffled, ANY) == row.wanted(None, want, ANY) == row.read({"tags": set(want)}, ANY)


# rows together ----------------------------------------------------------------------------------------------------------
def test_an_option_left_out_is_not_managed(objects):
    plan = plan_for(objects)
    assert plan.operations == []
    assert plan.before == plan.after


def test_only_what_differs_is_called(objects):
    (host,) = [ref for ref, r in objects.all("SR").items() if r["name_label"] == "XCP-ng Tools"]
    plan = plan_for(objects, name="Lab", other_config={"a": 1}, default_sr="XCP-ng Tools", ha=False, tags=[])
    (ref,) = objects.all("pool")
    other = {**plan.before["other_config"], "a": "1"}
    assert [(o.method, o.params) for o in plan.operations] == [
        ("pool.set_name_label", (ref, "Lab")),
        ("pool.set_other_config", (ref, other)),
        ("pool.set_default_SR", (ref, host)),
    ]
    assert plan.operations[0].what == "set name of pool 'Lab'"


def test_an_empty_reference_stands_for_none(objects, session):
    (ref,) = objects.all("pool")
    session.call("pool.set_default_SR", ref, next(iter(objects.all("SR"))))
    objects.forget()
    plan = plan_for(objects, default_sr="")
    assert [(o.method, o.params) for o in plan.operations] == [("pool.set_default_SR", (ref, NULL))]


def test_an_ambiguous_reference_is_refused_while_planning(objects):
    with pytest.raises(Ambiguous, match="2 objects of class SR are named 'Local storage'"):
        plan_for(objects, default_sr="Local storage")


def test_a_fixed_field_is_refused_with_both_values(objects):
    with pytest.raises(InvalidChange, match=r"ha of pool 'Lab' is fixed when it is created: it is False, the task wants True"):
        plan_for(objects, ha=True)


def test_a_field_this_release_lacks_is_named_and_not_touched(simulator, session_to):
    objects = Objects(session_to(simulator(1, release="xenserver-6.5")))
    new = Table("pool", (Field("name_label", "name"), Field("migration_compression", "migration_compression", "bool")))
    (ref, record), *_rest = objects.all("pool").items()
    before = new.observe(record, objects)
    assert before["migration_compression"] is None
    quiet = Plan(before, new.desire(before, {"name": None, "migration_compression": None}, objects))
    new.changes(quiet, ref, objects, record)
    assert quiet.operations == []
    asked = Plan(before, new.desire(before, {"migration_compression": True}, objects))
    with pytest.raises(InvalidChange, match=r"not known to this host's release.*no pool\.migration_compression"):
        new.changes(asked, ref, objects, record)


TEXTS = st.none() | st.text(max_size=5)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    name=TEXTS,
    other_config=st.none() | WISHES,
    tags=st.none() | st.lists(st.text(max_size=3)),
    sr=st.sampled_from([None, "", "XCP-ng Tools"]),
)
def test_what_a_plan_leads_to_needs_no_further_plan(objects, name, other_config, tags, sr):
    params = {"name": name, "other_config": other_config, "tags": tags, "default_sr": sr}
    plan = plan_for(objects, **params)
    assert TABLE.desire(plan.after, params, objects) == plan.after
    assert bool(plan.operations) == (plan.before != plan.after)
