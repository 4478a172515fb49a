# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template

from ansible_collections.domzero.xen.plugins.filter.pick import FilterModule
from ansible_collections.domzero.xen.tests.tools.checkout import CHECKOUT

pick = FilterModule().filters()["pick"]
HOSTS = [{"name": "xcp00", "rack": 7, "password": None}, {"name": "xcp01", "force": True}]


def test_only_the_named_keys_stay_in_the_order_of_the_rows():
    assert pick(HOSTS, "name") == [{"name": "xcp00"}, {"name": "xcp01"}]


def test_a_key_that_a_row_lacks_or_has_as_null_is_left_out():
    assert pick(HOSTS, "name", "password", "force") == [{"name": "xcp00"}, {"name": "xcp01", "force": True}]


def test_a_default_stands_where_a_row_has_nothing():
    assert pick(HOSTS, "name", "password", "force", password="p", force=False) == [
        {"name": "xcp00", "password": "p", "force": False},
        {"name": "xcp01", "password": "p", "force": True},
    ]


def test_a_default_that_is_null_is_none():
    assert pick(HOSTS, "name", ca_file=None) == [{"name": "xcp00"}, {"name": "xcp01"}]


@pytest.mark.parametrize("value", [False, 0, "", []])
def test_a_value_that_only_looks_empty_is_kept(value):
    assert pick([{"a": value}], "a", a="default") == [{"a": value}]


def test_no_rows_are_no_rows_and_the_given_ones_stay_as_they_were():
    assert pick([], "name") == []
    rows = [{"name": "xcp00"}]
    pick(rows, "name", force=True)[0]["name"] = "changed"
    assert rows == [{"name": "xcp00"}]


def test_its_documented_example_is_true():
    example = yaml.safe_load((CHECKOUT / "plugins/filter/pick.yml").read_text())["EXAMPLES"]
    expected = yaml.safe_load(example.splitlines()[0].removeprefix("# "))
    template = yaml.safe_load(example)["members"]
    assert Templar(DataLoader()).template(trust_as_template(template)) == expected
