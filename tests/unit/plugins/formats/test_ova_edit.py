# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A description is changed where it is told to be, and nowhere else."""

from __future__ import annotations

import re
import typing as t

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.domzero.xen.plugins.module_utils.formats import ova
from ansible_collections.domzero.xen.plugins.module_utils.formats.compression import Damaged
from ansible_collections.domzero.xen.plugins.module_utils.formats.ova_edit import Description

from . import exports

texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc", "Cn"], exclude_characters="\ufffe\uffff"), max_size=20)
VM = "Ref:0"


def described(**fields: t.Any) -> bytes:
    """As xapi writes it: texts and numbers without a type."""
    vm = {"name_label": "web01", "uuid": "u", "suspend_VDI": ova.NULL, "is_a_template": True, "VBDs": ["Ref:2"], "other_config": {"a": "1"}}
    objects = [
        {"class": "VM", "id": VM, "snapshot": {**vm, **fields}},
        {"class": "VDI", "id": "Ref:1", "snapshot": {"virtual_size": "512", "uuid": "d", "VBDs": ["Ref:2"]}},
        {"class": "VBD", "id": "Ref:2", "snapshot": {"VM": VM, "VDI": "Ref:1", "type": "Disk", "userdevice": "0"}},
    ]
    text = exports.xmlrpc.client.dumps(({"version": exports.VERSION, "objects": objects},))
    return re.sub(r"</?(string|params|param)>", "", text).strip().encode()


def vm_of(text: bytes) -> dict[str, t.Any]:
    return ova.parse(text).get("VM", VM)


def test_what_nobody_changes_stays_as_it_is() -> None:
    text = described()
    assert ova.parse(Description(text).dump()) == ova.parse(text)
    assert b"<boolean>1</boolean>" in Description(text).dump()


@settings(max_examples=50, deadline=None)
@given(name=texts, key=texts, value=texts)
def test_any_text_can_be_put(name: str, key: str, value: str) -> None:
    made = Description(described())
    made.put(VM, "name_label", name + "\r\n\t<&>")
    made.put_key(VM, "other_config", key, value)
    found = vm_of(made.dump())
    assert (found["name_label"], found["other_config"]) == (name + "\r\n\t<&>", {"a": "1", key: value})
    assert Description(made.dump()).map(VM, "other_config") == found["other_config"]


def test_values_keep_their_types() -> None:
    made = Description(described())
    made.put(VM, "is_a_template", "0")
    made.put(VM, "what this release does not have", "1")
    made.put_key(VM, "other_config", "a", None)
    made.empty(VM, "VBDs")
    assert vm_of(made.dump()) == {**vm_of(described()), "is_a_template": False, "other_config": {}, "VBDs": []}
    assert made.get(VM, "name_label") == "web01"


def test_what_refers_to_an_object_that_goes_forgets_it() -> None:
    made = Description(described(suspend_VDI="Ref:1"))
    made.remove(["Ref:1"])
    found = ova.parse(made.dump())
    assert (found.all("VDI"), found.get("VBD", "Ref:2")["VDI"], found.get("VM", VM)["suspend_VDI"]) == ({}, ova.NULL, ova.NULL)
    made.remove(["Ref:2"])
    assert ova.parse(made.dump()).get("VM", VM)["VBDs"] == []
    assert made.refs("VBD") == []


@pytest.mark.parametrize("text", [b"", b"<value>", b"<value><struct></struct></value>", b"<value>x</value>"])
def test_what_is_no_description_is_refused(text: bytes) -> None:
    with pytest.raises(Damaged):
        Description(text)
