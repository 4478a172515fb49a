# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, is_trusted_as_template
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.domzero.xen.plugins.plugin_utils.trust import Marked

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20
)


@pytest.mark.parametrize("text", ["", "web-01", "10.1.0.5", "fe80::1", "c2b41a1e-0d11-4ee4-9b3e-4d1d5c0a2c11", "Pool-wide network", "50%"])
def test_plain_text_is_shown_plainly(text):
    assert is_trusted_as_template(Marked().all(text))


@pytest.mark.parametrize("text", ["{{ 7 * 6 }}", "{% raw %}", "lookup('pipe', 'id')", "a | b", "vars[0]", "{#", "x\n", "`id`"])
def test_what_could_do_something_is_not_trusted(text):
    assert not is_trusted_as_template(Marked().all(text))


@given(JSON)
def test_the_values_stay_what_they_are(value):
    assert Marked().all(value) == value


@given(st.text())
def test_no_text_is_ever_evaluated(text):
    marked = Marked().all(text)
    assert Templar(loader=DataLoader(), variables={"told": marked}).template(marked) == text
