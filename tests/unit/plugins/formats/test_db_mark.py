# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A mark in the dump of a pool's database: it is read by others, and all else is as it was."""

from __future__ import annotations

import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.domzero.xen.plugins.module_utils.formats.compression import Damaged
from ansible_collections.domzero.xen.plugins.module_utils.formats.db_mark import marked
from ansible_collections.domzero.xen.tests.simulator import db_text, load_db
from ansible_collections.domzero.xen.tests.simulator.schema import DATA

DUMPS = sorted((DATA / "state-dbs").glob("*.xml"))
KEY, VALUE = "domzero.xen:restored", "0d7a1c1e-5d0f-4f64-9d55-9e5a3f1f9a11"


def tables(data: bytes) -> tuple[dict[str, t.Any], dict[str, str]]:
    """All of it, and pool.other_config by itself."""
    found = load_db.parse(data).tables
    (pool,) = found["pool"].values()
    return found, pool.pop("other_config", {})


@pytest.mark.parametrize("path", DUMPS, ids=lambda path: path.stem)
def test_a_real_database_is_marked_and_marked_again(path: t.Any) -> None:
    data = path.read_bytes()
    before, config = tables(data)
    once = marked(data, KEY, "another")
    twice = marked(once, KEY, VALUE)
    assert tables(twice) == (before, {**config, KEY: VALUE})
    assert len(twice) - len(once) == len(VALUE) - len("another")


TEXT = st.text("ab %._t'\"\\()\n<&>")


@given(st.dictionaries(TEXT, TEXT), st.booleans(), st.sampled_from("\"'"))
def test_whatever_the_pool_has_it_stays(config: dict[str, str], again: bool, quote: str) -> None:
    spelled = db_text.protect(db_text.write({**config, **({KEY: "old"} if again else {})}))
    for sign, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), (quote, "&quot;" if quote == '"' else "&apos;")):
        spelled = spelled.replace(sign, entity)
    text = (
        f'<database><table name="pool"><row ref="p" a=">" other_config={quote}{spelled}{quote} z="1"/></table>'
        '<table name="host"><row ref="h" other_config="()"/></table></database>'
    )
    assert tables(marked(text.encode(), KEY, VALUE))[1] == {**config, KEY: VALUE}


def test_a_pool_without_any_gets_it() -> None:
    text = '<database><table name="pool"><row ref="p"/></table><table name="host"><row ref="h"/></table></database>'
    assert tables(marked(text.encode(), KEY, VALUE))[1] == {KEY: VALUE}


@pytest.mark.parametrize("text", ["<database/>", "<database", '<database><table name="host"><row ref="p"/></table></database>'])
def test_what_has_no_pool_is_refused(text: str) -> None:
    with pytest.raises(Damaged):
        marked(text.encode(), KEY, VALUE)
