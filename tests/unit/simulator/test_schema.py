# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The data model as tables, and as an older release shows it."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.domzero.xen.tests.simulator import schema
from ansible_collections.domzero.xen.tests.simulator.modeltypes import Type, default_value, parse
from ansible_collections.domzero.xen.tests.simulator.schema import load

from .conversation import Asked, build


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("string", Type("string")),
        ("VM ref", Type("ref", "VM")),
        ("VM ref set", Type("set", items=(Type("ref", "VM"),))),
        ("(string -> VDI ref) map", Type("map", items=(Type("string"), Type("ref", "VDI")))),
        ("(VM ref -> (string -> int) map) map", Type("map", items=(Type("ref", "VM"), parse("(string -> int) map")))),
        ("sr_stat record option", Type("option", items=(Type("record", "sr_stat"),))),
        ("enum vm_operations set", Type("set", items=(Type("enum", "vm_operations"),))),
        ("an event batch", Type("other", "an event batch")),
    ],
)
def test_types_are_parsed(text: str, expected: Type) -> None:
    assert parse(text) == expected


@pytest.mark.parametrize(
    ("type_", "text", "expected"),
    [
        ("string", '"0:0"', "0:0"),
        ("int", "-1", -1),
        ("float", "20.", 20.0),
        ("PIF ref", "Null", "OpaqueRef:NULL"),
        ("int set", "{0}", [0]),
        ("(string -> string) map", '{"address" -> "localhost", "port" -> "27000"}', {"address": "localhost", "port": "27000"}),
    ],
)
def test_defaults_are_read(type_: str, text: str, expected: t.Any) -> None:
    assert default_value(parse(type_), text) == expected


def test_every_default_has_the_type_of_its_field() -> None:
    natives = {"string": str, "int": int, "float": float, "bool": bool, "ref": str, "set": list, "map": dict, "datetime": str}
    for cls in load().classes.values():
        for field in cls.fields.values():
            expected = natives.get(field.type.kind)
            assert expected is None or field.default.__class__ is expected, f"{cls.name}.{field.name}"
            if field.type.kind == "enum":
                assert field.default in load().enums[field.type.name], f"{cls.name}.{field.name}"


def test_emergency_calls_are_messages() -> None:
    known = {m.method for c in load().classes.values() for m in c.messages.values()}
    assert {"session.slave_local_login_with_password", "pool.emergency_transition_to_master"} & load().emergency
    assert "host.local_management_reconfigure" in load().emergency & known


def test_an_older_release_hides_what_is_newer() -> None:
    old = load("tampa")
    assert old.message("VM", "start")
    assert not old.message("PUSB", "get_all")
    assert not old.message("host", "set_https_only")
    assert "https_only" not in (old.visible("host") or ())
    assert "name_label" in (old.visible("host") or ())
    assert load().visible("host") is None


def test_a_release_may_be_called_by_its_product_name() -> None:
    assert load("Citrix Hypervisor 8.2").release == load("stockholm").release
    with pytest.raises(LookupError, match="known: rio"):
        load("windows-95")


def test_a_client_of_an_older_release_does_not_see_newer_fields_and_messages() -> None:
    world = build()
    world.show_release("stockholm")
    ask = Asked(world.machines["xcp00"])
    assert "https_only" not in ask("host.get_record", ask.host)
    assert "https_only" not in ask("host.get_all_records")[ask.host]
    assert ask.refused("host.set_https_only", ask.host, True) == ["MESSAGE_METHOD_UNKNOWN", "host.set_https_only"]
    assert ask.refused("VM_group.get_all") == ["MESSAGE_METHOD_UNKNOWN", "VM_group.get_all"]


def test_an_async_form_exists_where_the_model_has_one() -> None:
    vlan = schema.load().classes["VLAN"].messages
    assert vlan["create"].asynchronous
    assert not vlan["get_tag"].asynchronous
