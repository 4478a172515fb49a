# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a call is answered before any behaviour looks at it, and what follows from the fields alone."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.domzero.xen.tests.simulator.dispatch import dispatch, is_changing
from ansible_collections.domzero.xen.tests.simulator.errors import Fault

from .conversation import Asked, build


@pytest.fixture(scope="module")
def ask() -> Asked:
    return Asked(build().machines["xcp00"])


def refusal(ask: Asked, method: str, *params: t.Any) -> list[str]:
    """The error of a call as it is, without a session put before its parameters."""
    with pytest.raises(Fault) as e:
        dispatch(ask.machine, method, params)
    return e.value.description


def test_a_method_nobody_knows_is_named(ask: Asked) -> None:
    for method in ("VM.frobnicate", "Nonsense.get_all", "nonsense", "Async.VM.frobnicate"):
        assert ask.refused(method) == ["MESSAGE_METHOD_UNKNOWN", method]


def test_the_number_of_parameters_is_counted_without_the_session(ask: Asked) -> None:
    assert ask.refused("VM.get_record") == ["MESSAGE_PARAMETER_COUNT_MISMATCH", "VM.get_record", "1", "0"]
    assert ask.refused("VM.get_record", "a", "b") == ["MESSAGE_PARAMETER_COUNT_MISMATCH", "VM.get_record", "1", "2"]
    assert refusal(ask, "VM.get_all") == ["MESSAGE_PARAMETER_COUNT_MISMATCH", "VM.get_all", "0", "-1"]
    assert ask.refused("SR.create", ask.host, {}, "0", "x") == ["MESSAGE_PARAMETER_COUNT_MISMATCH", "SR.create", "8", "4"]
    assert refusal(ask, "session.login_with_password", "root")[:3] == [
        "MESSAGE_PARAMETER_COUNT_MISMATCH",
        "session.login_with_password",
        "2",
    ]


def test_wrong_types_are_refused_in_xapis_words(ask: Asked) -> None:
    new = {"name_label": "x", "other_config": {}}
    assert refusal(ask, "VM.get_all", 5) == ["INTERNAL_ERROR", "Failure(\"Expected string, got 'I(5)'\")"]
    assert ask.refused("network.create", {**new, "MTU": "lots"}) == ["INTERNAL_ERROR", 'Failure("Int64.of_string")']
    assert ask.refused("network.create", {**new, "MTU": str(2**63)}) == ["INTERNAL_ERROR", 'Failure("Int64.of_string")']
    assert ask.refused("network.create", {**new, "tags": "a"}) == ["INTERNAL_ERROR", "Failure(\"Expected array, got 'S(a)'\")"]
    assert ask.refused("network.create", {**new, "managed": "yes"}) == ["INTERNAL_ERROR", "Failure(\"Expected bool, got 'S(yes)'\")"]
    assert ask.refused("network.set_default_locking_mode", ask.network("m"), "open") == [
        "INTERNAL_ERROR",
        'Failure("Unknown tag/contents")',
    ]


def test_integers_may_be_text_or_numbers(ask: Asked) -> None:
    for value in (9000, "9000"):
        network = ask.network("i", MTU=value)
        assert ask("network.get_MTU", network) == 9000


def test_a_record_lacks_nothing_it_must_have(ask: Asked) -> None:
    assert ask.refused("PBD.create", {"host": ask.host}) == ["INTERNAL_ERROR", 'Server_helpers.Dispatcher_FieldNotFound("SR")']
    assert ask("network.create", {"name_label": "u", "other_config": {}, "frob": "1"}).startswith("OpaqueRef:")


def test_an_unknown_reference_or_uuid_is_named_with_its_class(ask: Asked) -> None:
    other = ask.db.find("network")[0]
    for ref in ("OpaqueRef:12345", "OpaqueRef:NULL", other):
        assert ask.refused("VM.get_record", ref) == ["HANDLE_INVALID", "VM", ref]
        assert ask.refused("VM.set_name_label", ref, "x") == ["HANDLE_INVALID", "VM", ref]
    assert ask.refused("VM.get_by_uuid", "nope") == ["UUID_INVALID", "VM", "nope"]
    assert ask("VM.get_by_name_label", "no such vm") == []


def test_class_and_message_may_be_joined_by_an_underscore(ask: Asked) -> None:
    assert ask("host_get_all") == [ask.host]
    assert ask("host_cpu_get_all") == ask("host_cpu.get_all")


def test_a_message_without_async_form_is_refused_by_name(ask: Asked) -> None:
    code, text = ask.refused("Async.network.get_all")
    assert code == "Fault"
    assert "network.get_all" in text


def test_what_is_not_built_fails_by_name(ask: Asked) -> None:
    assert ask.refused("SR.enable_database_replication", "OpaqueRef:x") == [
        "NOT_IMPLEMENTED",
        "SR.enable_database_replication is not simulated",
    ]


def test_calls_for_the_hosts_of_a_pool_are_not_for_clients(ask: Asked) -> None:
    assert ask.refused("VDI.set_virtual_size", "OpaqueRef:x", "1") == ["PERMISSION_DENIED", ""]


def test_a_message_that_was_removed_says_so(ask: Asked) -> None:
    assert ask.refused("VM.snapshot_with_quiesce", "OpaqueRef:x", "n") == ["MESSAGE_REMOVED"]


def test_sets_and_maps_grow_and_shrink_by_element(ask: Asked) -> None:
    network = ask.network("t")
    for tag in ("a", "b", "a"):
        ask("network.add_tags", network, tag)
    ask("network.remove_tags", network, "b")
    ask("network.remove_tags", network, "never there")
    assert ask("network.get_tags", network) == ["a"]
    ask("network.add_to_other_config", network, "k", "v")
    assert ask.refused("network.add_to_other_config", network, "k", "w") == ["MAP_DUPLICATE_KEY", "network", "other_config", network, "k"]
    ask("network.remove_from_other_config", network, "k")
    ask("network.remove_from_other_config", network, "k")
    assert ask("network.get_other_config", network) == {}


def test_records_are_copies(ask: Asked) -> None:
    network = ask.network("c")
    ask("network.get_record", network)["name_label"] = "changed"
    ask("network.get_all_records")[network]["name_label"] = "changed"
    assert ask("network.get_name_label", network) == "c"


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ('field "name__label" = "q1"', {"q1"}),
        ('field "name_label" = "q1"', {"q1"}),
        ('field "name_label" = "q1" or field "name_label" = "q2"', {"q1", "q2"}),
        ('field "MTU" = "1500" and (field "name_label" = "q1" or field "name_label" = "q2")', {"q1"}),
        ('not (field "managed" = "true") and field "name_label" = "q1"', set()),
        ('field "managed" = "true" and field "name_label" = "q2"', {"q2"}),
        ("false", set()),
        ("false or field 'name_label' = 'q2'", {"q2"}),
    ],
)
def test_records_are_found_by_an_expression(ask: Asked, expression: str, names: set[str]) -> None:
    if not ask("network.get_by_name_label", "q1"):
        ask.network("q1"), ask.network("q2", MTU=9000)
    found = ask("network.get_all_records_where", expression)
    assert {record["name_label"] for record in found.values()} == names


@pytest.mark.parametrize("expression", ["field frob", 'field "nope" = "1"', '(field "MTU" = "1"', "", 'true "x"'])
def test_an_expression_that_makes_no_sense_is_refused(ask: Asked, expression: str) -> None:
    code, text, _reason = ask.refused("network.get_all_records_where", expression)
    assert (code, text) == ("INVALID_VALUE", expression)


def test_only_changing_calls_are_logged() -> None:
    ask = Asked(build().machines["xcp00"])
    network = ask.network("logged")
    ask("network.get_record", network)
    ask.refused("network.destroy", "OpaqueRef:x")
    first, second = ask.machine.world.calls
    assert (first["n"], first["method"], first["host"], first["result"]) == (1, "network.create", "xcp00", network)
    assert (second["method"], second["params"], second["error"]) == (
        "network.destroy",
        ["OpaqueRef:x"],
        ["HANDLE_INVALID", "network", "OpaqueRef:x"],
    )


@pytest.mark.parametrize(
    ("method", "changing"),
    [
        ("VLAN.create", True),
        ("SR.scan", True),
        ("host.call_plugin", True),
        ("VM.get_record", False),
        ("SR.probe_ext", False),
        ("VM.assert_can_migrate", False),
        ("task.cancel", False),
        ("session.logout", False),
        ("event.from", False),
    ],
)
def test_what_counts_as_a_change(method: str, changing: bool) -> None:
    assert is_changing(method) is changing
