# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal of an upgrade: small, and readable whatever an interruption leaves of it."""

from __future__ import annotations

import json
import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.domzero.xen.plugins.module_utils.errors import InvalidChange, XenError
from ansible_collections.domzero.xen.plugins.module_utils.plan import Plan
from ansible_collections.domzero.xen.plugins.module_utils.upgrade import journal, journal_life
from ansible_collections.domzero.xen.plugins.module_utils.upgrade.journal import LIMIT, PREFIX, Note

Pool = dict[str, t.Any]
words = st.text(max_size=300)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | words, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=4)
)
maps = st.dictionaries(words, values, max_size=6)
notes = st.builds(
    Note, run=st.text("abc123-", min_size=1, max_size=64), id=st.text("0123456789abcdef", min_size=8, max_size=8), session=words, by=words,
    since=words, phase=words, method=words, options=maps, aside=maps, disabled=st.lists(words, max_size=5),
)  # fmt: skip
others = st.dictionaries(words, words, max_size=4).map(lambda rows: {k: v for k, v in rows.items() if not k.startswith(PREFIX)})


def fits(note: Note) -> bool:
    try:
        note.text()
    except InvalidChange:
        return False
    return True


def shown(note: Note) -> Note | None:
    """As it is read again: what people are told is cut."""
    return journal.of_pool({"other_config": {f"{PREFIX}1": note.text()}})


def after(pool: Pool, plan: Plan, count: int) -> Pool:
    """The pool when so many calls were made; XenAPI refuses to add a key that is there."""
    config = dict(pool["other_config"])
    for step in plan.operations[:count]:
        if step.method == "pool.add_to_other_config":
            assert step.params[1] not in config
            config[step.params[1]] = step.params[2]
        else:
            config.pop(step.params[1], None)
    return {"other_config": config}


@given(notes)
def test_a_journal_is_below_four_kibibytes_or_refused(note: Note) -> None:
    if not fits(note):
        with pytest.raises(InvalidChange, match="4095 are allowed"):
            note.text()
        return
    text = note.text()
    assert len(text.encode()) < LIMIT
    assert text.isprintable()
    found = shown(note)
    assert found is not None
    assert (found.run, found.id, found.options, found.aside) == (note.run, note.id, note.options, note.aside)


@given(notes.filter(fits), notes.filter(fits), others)
def test_whatever_call_is_the_last_the_old_version_is_read_or_the_new_one(old: Note, new: Note, config: dict[str, str]) -> None:
    pool: Pool = {"other_config": config}
    first = Plan({}, {})
    journal.plan_write(first, "pool", pool, old)
    pool = after(pool, first, 1)
    plan = Plan({}, {})
    journal.plan_write(plan, "pool", pool, new)
    for count in range(len(plan.operations) + 1):
        left = after(pool, plan, count)
        assert journal.of_pool(left) == (shown(new) if count else shown(old))
        # and whoever comes after an interruption goes on from there
        again = Plan({}, {})
        journal.plan_write(again, "pool", left, old)
        tidy = after(left, again, len(again.operations))
        assert (journal.of_pool(tidy), len(journal.versions(tidy))) == (shown(old), 1)
        end = Plan({}, {})
        journal.plan_removal(end, "pool", left)
        newest = journal.of_pool(left)
        for removed in range(len(end.operations)):
            assert journal.of_pool(after(left, end, removed)) == newest
        assert after(left, end, len(end.operations)) == {"other_config": config}


@given(st.lists(st.integers(1, 10**6), unique=True, min_size=1, max_size=5), others)
def test_the_highest_number_counts(numbers: list[int], config: dict[str, str]) -> None:
    versions = {f"{PREFIX}{number}": Note(f"run-{number}", "0").text() for number in numbers}
    found = journal.of_pool({"other_config": {**config, **versions, f"{PREFIX}x": "no number"}})
    assert found is not None
    assert found.run == f"run-{max(numbers)}"


def test_the_same_note_again_is_no_call() -> None:
    plan, note = Plan({}, {}), Note("a", "b")
    journal.plan_write(plan, "pool", {"other_config": {f"{PREFIX}7": note.text()}}, note)
    assert plan.operations == []


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"schema": "x"}', '{"schema": 1, "run": "a", "id": "b", "colour": "red"}'])
def test_what_cannot_be_read_is_told_by_its_key(text: str) -> None:
    with pytest.raises(XenError, match=r"domzero\.xen:upgrade-3"):
        journal.of_pool({"other_config": {f"{PREFIX}3": text}})


def test_a_journal_of_a_newer_release_is_left_alone() -> None:
    with pytest.raises(XenError, match="newer release"):
        journal.of_pool({"other_config": {f"{PREFIX}1": json.dumps({"schema": 2, "run": "a"})}})


@pytest.mark.parametrize("date", ["20260901T20:00:00Z", "2026-09-01T20:00:00Z", "20260901T20:00:00.5Z"])
def test_dates_are_read_in_every_spelling(date: str) -> None:
    assert journal_life.seconds(date) == 1788292800
