# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every row of every table is held against the published data model."""

from __future__ import annotations

import importlib
import pkgutil

import pytest

from ansible_collections.domzero.xen.plugins.module_utils import fields, model, resources
from ansible_collections.domzero.xen.plugins.module_utils.fields import Field, Table
from ansible_collections.domzero.xen.plugins.module_utils.refs import NULL
from ansible_collections.domzero.xen.plugins.module_utils.resource import Resource
from ansible_collections.domzero.xen.tests.simulator import schema
from ansible_collections.domzero.xen.tests.simulator.modeltypes import Type
from ansible_collections.domzero.xen.tests.tools import generate_model

CLASSES = schema.load().classes
ENUMS = schema.load().enums
KINDS = {
    "str": {"string", "enum"},
    "int": {"int"},
    "size": {"int"},
    "bool": {"bool"},
    "dict": {"map of string to string", "map of enum to string"},
    "tags": {"set of string"},
    "set": {"set of string", "set of enum"},
    "ref": {"ref"},
}


def every_table() -> dict[str, Table]:
    """The tables of all resources, also of those that are made of parts."""
    for module in pkgutil.walk_packages(resources.__path__, f"{resources.__name__}."):
        importlib.import_module(module.name)
    found, todo = {}, [Resource]
    while todo:
        cls = todo.pop()
        todo += cls.__subclasses__()
        if "table" in vars(cls) and cls.__module__.startswith(resources.__name__):
            found[cls.__name__] = cls.table
    return found


TABLES = every_table()
ROWS = [pytest.param(table.cls, row, id=f"{name}-{row.option}") for name, table in TABLES.items() for row in table.fields]


def kind(type_: Type) -> str:
    parts = [kind(item) for item in type_.items]
    return f"{type_.kind} of {' to '.join(parts)}" if parts else type_.kind


def test_there_are_tables():
    assert "Network" in TABLES


@pytest.mark.parametrize(("cls", "row"), ROWS)
def test_a_row_names_a_field_of_its_kind(cls: str, row: Field):
    assert row.api in CLASSES[cls].fields
    assert kind(CLASSES[cls].fields[row.api].type) in KINDS[row.type]


@pytest.mark.parametrize(("cls", "row"), ROWS)
def test_a_writable_row_has_a_call_that_writes_it(cls: str, row: Field):
    if row.writable:
        message = CLASSES[cls].messages.get(row.setter or f"set_{row.api}")
        assert message, "no such call"
        assert message.mandatory <= 2, "the call takes more than the object and the value"


@pytest.mark.parametrize(("cls", "row"), ROWS)
def test_a_row_that_create_takes_is_taken_by_create(cls: str, row: Field):
    if row.creatable and "create" in CLASSES[cls].messages and CLASSES[cls].constructor:
        assert row.api in CLASSES[cls].constructor


@pytest.mark.parametrize(("cls", "row"), ROWS)
def test_a_default_is_the_servers(cls: str, row: Field):
    if row.default is None or not row.creatable:
        return
    if CLASSES[cls].fields[row.api].type.kind == "enum" and row.api in CLASSES[cls].constructor:
        return  # create is always told, and the model's default is no more than the first value
    given = NULL if row.type == "ref" and not row.default else row.default
    server = CLASSES[cls].fields[row.api].default
    assert (list(given) if row.type in ("tags", "set") else given) == server


@pytest.mark.parametrize(("cls", "row"), ROWS)
def test_choices_are_values_of_the_enumeration(cls: str, row: Field):
    type_ = CLASSES[cls].fields[row.api].type
    inner = type_.items[0] if type_.kind == "set" else type_
    if row.choices and inner.kind == "enum":
        assert set(row.choices) <= set(ENUMS[inner.name])
    if row.type == "ref":
        assert row.ref == type_.name


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_no_option_stands_in_two_rows(table: Table):
    options = [row.option for row in table.fields]
    assert len(options) == len(set(options))


def test_every_type_of_option_is_covered_here():
    assert set(fields.ANSIBLE_TYPES) == set(KINDS)


def test_what_is_known_of_references_and_integers_is_what_the_data_model_says():
    assert generate_model.MODEL.read_text() == generate_model.model(), "run generate_model"
    assert model.REFERENCES["VBD"]["VDI"] == "VDI"
    assert "virtual_size" in model.INTEGERS["VDI"]
