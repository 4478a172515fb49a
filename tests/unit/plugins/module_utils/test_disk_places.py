# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which disk of a VM an entry means, whatever entries and disks there are."""

from __future__ import annotations

import contextlib

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.domzero.xen.plugins.module_utils.errors import XenError
from ansible_collections.domzero.xen.plugins.module_utils.resources.vm.disk_places import Entry, Have, places

NAMES = st.sampled_from(["root", "data", "swap"])
PLACES = st.integers(0, 5)
ENTRIES = st.lists(st.builds(Entry, st.none() | PLACES, st.none() | NAMES), max_size=4)
DISKS = st.dictionaries(PLACES, NAMES, max_size=4).map(lambda rows: [Have(place, name) for place, name in sorted(rows.items())])
DRIVES = st.sets(st.integers(0, 3), max_size=1)


@given(ENTRIES, DISKS, DRIVES, st.booleans())
def test_every_disk_has_a_place_of_its_own(entries: list[Entry], have: list[Have], drives: set[int], making: bool) -> None:
    have = [disk for disk in have if disk.position not in drives]
    with contextlib.suppress(XenError):
        found = places(entries, have, drives, "vm", making=making)
        kept = {disk.position for disk in have} - {means for _place, means in found}
        chosen = [place for place, _means in found]
        assert len(set(chosen)) == len(entries)
        assert not kept & set(chosen) and not drives & set(chosen)
        meant = [means for _place, means in found if means is not None]
        assert len(set(meant)) == len(meant)


@given(ENTRIES, DISKS, DRIVES, st.booleans())
def test_afterwards_the_same_entries_mean_the_same_disks(entries: list[Entry], have: list[Have], drives: set[int], making: bool) -> None:
    have = [disk for disk in have if disk.position not in drives]
    with contextlib.suppress(XenError):
        found = places(entries, have, drives, "vm", making=making)
        by_place = {disk.position: disk for disk in have}
        moved = {means for _place, means in found}
        after = [disk for disk in have if disk.position not in moved]
        for entry, (place, means) in zip(entries, found):
            after.append(Have(place, entry.name or (by_place[means].name if means is not None else f"vm {place}")))
        named = [disk.name for disk in after]
        if len(set(named)) == len(named):  # else a name may have become ambiguous, which is told
            again = places(entries, after, drives, "vm", making=False)
            assert again == [(place, place) for place, _means in found]


def test_a_name_counts_more_than_a_place() -> None:
    have = [Have(0, "root"), Have(1, "data")]
    assert places([Entry(1, "root"), Entry(0, "data")], have, (), "vm", making=False) == [(1, 0), (0, 1)]


def test_a_place_is_renamed_where_nobody_has_the_name() -> None:
    assert places([Entry(0, "system")], [Have(0, "root")], (), "vm", making=False) == [(0, 0)]


def test_a_new_name_is_a_new_disk_except_in_a_vm_that_is_being_made() -> None:
    assert places([Entry(None, "data")], [Have(0, "root")], (3,), "vm", making=False) == [(1, None)]
    assert places([Entry(None, "data")], [Have(0, "root")], (3,), "vm", making=True) == [(0, 0)]


def test_what_says_nothing_means_the_next_disk() -> None:
    have = [Have(0, "a"), Have(1, "b")]
    assert places([Entry(), Entry(), Entry(), Entry()], have, (3,), "vm", making=False) == [(0, 0), (1, 1), (2, None), (4, None)]
