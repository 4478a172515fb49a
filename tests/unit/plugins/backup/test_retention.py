# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which backups stay: examples from restic's documentation, and what has to hold for any backups and rules."""

from __future__ import annotations

import datetime as dt
import typing as t
import zoneinfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.domzero.xen.plugins.module_utils.backup.retention import ALL, BUCKETS, Point, Rules, Within, plan, zone_of
from ansible_collections.domzero.xen.plugins.module_utils.errors import InvalidChange

UTC = dt.UTC
NOW = dt.datetime(2026, 11, 21, 23, tzinfo=UTC)
BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")


def at(*moments: dt.datetime) -> list[Point]:
    """A usable whole backup at each of them."""
    return [Point(f"{number:05}", moment) for number, moment in enumerate(moments)]


def kept(backups: list[Point], rules: Rules, now: dt.datetime = NOW, zone: dt.tzinfo = UTC) -> set[str]:
    return {choice.stamp for choice in plan(backups, rules, now, zone) if choice.keep}


def moments_kept(moments: list[dt.datetime], rules: Rules, zone: dt.tzinfo = UTC, now: dt.datetime = NOW) -> list[dt.datetime]:
    backups = at(*moments)
    stays = kept(backups, rules, now, zone)
    return [p.created for p in backups if p.stamp in stays]


def reason(backups: list[Point], rules: Rules, stamp: str) -> tuple[str, ...]:
    return next(c.why for c in plan(backups, rules, NOW) if c.stamp == stamp)


# restic's worked examples ---------------------------------------------------------------------------------------
def test_four_dailies_of_twelve_sundays_are_the_last_four_sundays() -> None:
    sundays = [dt.datetime(2019, 9, 1, 11, tzinfo=UTC) + dt.timedelta(weeks=n) for n in range(12)]
    assert moments_kept(sundays, Rules(daily=4)) == sundays[-4:]


def test_a_hundred_years_of_daily_backups_thin_out() -> None:
    """The last day is a Sunday: 7 dailies, 4 more weeklies, 11 more monthlies, and of the 75 yearlies two are there already."""
    last = dt.datetime(2026, 11, 15, tzinfo=UTC)
    stay = moments_kept([last - dt.timedelta(n) for n in range(36524, -1, -1)], Rules(daily=7, weekly=5, monthly=12, yearly=75))
    dailies, sundays = [last - dt.timedelta(n) for n in range(7)], [last - dt.timedelta(weeks=n) for n in range(5)]
    assert {*dailies, *sundays} <= set(stay)
    rest = sorted(set(stay) - {*dailies, *sundays})
    assert all((day + dt.timedelta(1)).day == 1 for day in rest)
    assert [(day.year, day.month) for day in rest[-11:]] == [(2025, 12), *((2026, month) for month in range(1, 11))]
    assert [(day.year, day.month) for day in rest[:-11]] == [(year, 12) for year in range(1952, 2025)]


def test_a_rule_that_is_not_filled_keeps_the_oldest_one_too() -> None:
    """From restic's forum: --keep-monthly 4 with four snapshots of one month keeps the newest and the oldest."""
    january = [dt.datetime(2024, 1, day, hour, tzinfo=UTC) for day, hour in ((2, 13), (3, 1), (4, 20), (4, 21))]
    assert moments_kept(january, Rules(monthly=4)) == [january[0], january[-1]]
    assert reason(at(*january), Rules(monthly=4), "00000") == ("oldest monthly",)
    assert moments_kept(january, Rules(monthly=1)) == [january[-1]]


def test_keep_within_counts_from_the_newest_backup() -> None:
    days = [dt.datetime(2020, 5, 1, tzinfo=UTC) + dt.timedelta(n) for n in range(30)]
    assert moments_kept(days, Rules(within=Within(days=3))) == days[-4:]
    assert moments_kept(days, Rules(within=Within.parse("1m2d"))) == days


def test_hours_days_weeks_months_and_years_are_those_of_the_calendar() -> None:
    around_new_year = [dt.datetime(2020, 12, 31, 23, 59, tzinfo=UTC), dt.datetime(2021, 1, 1, 0, 1, tzinfo=UTC)]
    for name in ("hourly", "daily", "monthly", "yearly"):
        assert moments_kept(around_new_year, Rules(**{name: 2})) == around_new_year, name
        assert moments_kept(around_new_year, Rules(**{name: 1})) == around_new_year[1:], name
    # both lie in week 53 of 2020
    later = [*around_new_year, dt.datetime(2021, 1, 4, tzinfo=UTC)]
    assert moments_kept(later, Rules(weekly=2)) == later[1:]


# time zones -----------------------------------------------------------------------------------------------------
def test_a_day_ends_at_midnight_of_the_time_zone() -> None:
    evening = [dt.datetime(2026, 7, 1, 21, 30, tzinfo=UTC), dt.datetime(2026, 7, 1, 22, 30, tzinfo=UTC)]
    assert moments_kept(evening, Rules(daily=1)) == evening[1:]
    assert moments_kept(evening, Rules(daily=2), BERLIN) == evening
    assert moments_kept([*evening, evening[0] + dt.timedelta(2)], Rules(daily=2)) == [evening[1], evening[0] + dt.timedelta(2)]


def test_the_hour_that_is_there_twice_when_summer_ends_is_two_hours() -> None:
    hours = [dt.datetime(2026, 10, 24, 23, 30, tzinfo=UTC) + dt.timedelta(hours=n) for n in range(5)]
    assert moments_kept(hours, Rules(hourly=5), BERLIN) == hours
    assert moments_kept(hours, Rules(hourly=4), BERLIN) == hours[1:]


def test_a_day_has_23_or_25_hours_when_clocks_change() -> None:
    for day in (dt.datetime(2026, 3, 29, tzinfo=BERLIN), dt.datetime(2026, 10, 25, tzinfo=BERLIN)):
        end = day + dt.timedelta(1) - dt.timedelta(seconds=1)  # by the clock on the wall
        inside = [day.astimezone(UTC), end.astimezone(UTC)]
        assert moments_kept(inside, Rules(daily=1), BERLIN) == inside[1:]
        before = [(day - dt.timedelta(seconds=1)).astimezone(UTC), *inside]
        assert moments_kept(before, Rules(daily=2), BERLIN) == [before[0], before[2]]


def test_a_zone_that_nobody_knows_is_refused() -> None:
    for name in ("Europe/Nowhere", "../etc/passwd", ""):
        with pytest.raises(InvalidChange, match="is not known where the task runs"):
            zone_of(name)


@pytest.mark.parametrize(
    ("text", "moment", "expected"),
    [
        ("1m", "2026-03-31T12:00", "2026-02-28T12:00"),
        ("1y", "2024-02-29T00:00", "2023-02-28T00:00"),
        ("11m", "2026-11-30T00:00", "2025-12-30T00:00"),
        ("14d", "2026-01-03T05:00", "2025-12-20T05:00"),
        ("36h", "2026-01-03T05:00", "2026-01-01T17:00"),
        ("2y5m7d3h", "2026-11-21T22:00", "2024-06-14T19:00"),
    ],
)
def test_a_length_of_time_goes_by_the_calendar(text: str, moment: str, expected: str) -> None:
    begin = dt.datetime.fromisoformat(moment).replace(tzinfo=UTC)
    assert Within.parse(text).before(begin, UTC) == dt.datetime.fromisoformat(expected).replace(tzinfo=UTC)


def test_a_length_of_time_across_a_change_of_clocks_keeps_the_time_of_day() -> None:
    noon = dt.datetime(2026, 3, 30, 12, tzinfo=BERLIN)
    assert Within(days=2).before(noon, BERLIN) == dt.datetime(2026, 3, 28, 12, tzinfo=BERLIN)
    assert Within(hours=48).before(noon, BERLIN) == dt.datetime(2026, 3, 28, 11, tzinfo=BERLIN)


def test_longer_than_time_itself_keeps_all() -> None:
    assert moments_kept([NOW, NOW], Rules(within=Within(years=9999))) == [NOW, NOW]
    assert moments_kept([NOW, NOW], Rules(within=Within(days=10**12))) == [NOW, NOW]


@pytest.mark.parametrize("text", ["", "14", "d", "2w", "7d2y", "-3d", "1d "])
def test_what_is_no_length_of_time_is_refused(text: str) -> None:
    with pytest.raises(InvalidChange, match="is no length of time"):
        Within.parse(text)


def test_rules_come_from_the_options() -> None:
    assert Rules.of({"keep_last": 3, "keep_daily": None, "keep_within": "14d"}) == Rules(last=3, within=Within(days=14))
    assert not Rules.of({"keep_last": 0, "keep_weekly": None})
    assert Rules.of({"keep_within": "0d"})
    with pytest.raises(InvalidChange, match="keep_weekly is -2"):
        Rules.of({"keep_weekly": -2})


# what never goes ------------------------------------------------------------------------------------------------
def test_without_rules_everything_stays() -> None:
    assert kept(at(NOW, NOW, NOW), Rules()) == {"00000", "00001", "00002"}


def test_one_from_the_future_stays_and_does_not_count() -> None:
    """The clock was years ahead for one night."""
    ahead = dt.datetime(2036, 1, 1, tzinfo=UTC)
    backups = at(NOW - dt.timedelta(2), ahead, NOW - dt.timedelta(1), NOW)
    assert kept(backups, Rules(last=1)) == {"00001", "00003"}
    assert reason(backups, Rules(last=1), "00001")[0].startswith("from the future")


def test_when_all_are_from_the_future_all_stay() -> None:
    """The clock is years behind today."""
    assert kept(at(NOW, NOW, NOW), Rules(last=1), now=dt.datetime(2001, 1, 1, tzinfo=UTC)) == {"00000", "00001", "00002"}


def test_the_newest_stays_though_the_clock_said_it_was_old() -> None:
    backups = at(NOW - dt.timedelta(2), NOW - dt.timedelta(1), dt.datetime(1970, 1, 1, tzinfo=UTC))
    assert kept(backups, Rules(last=1)) == {"00001", "00002"}
    assert reason(backups, Rules(last=1), "00002") == ("the newest usable one",)


def test_what_is_not_usable_goes_when_a_newer_one_is_and_takes_nobodys_place() -> None:
    day = dt.timedelta(1)
    backups = [Point("1", NOW - 3 * day), Point("2", NOW - 2 * day, usable=False), Point("3", NOW - day), Point("4", NOW, usable=False)]
    assert kept(backups, Rules(last=2)) == {"1", "3", "4"}
    assert reason(backups, Rules(last=2), "2") == ("not usable, and a newer one is",)
    assert reason(backups, Rules(last=2), "4") == ("not usable, but none that is newer is",)


def test_one_whose_manifest_cannot_be_read_stays() -> None:
    """It may have been marked to be kept, be of a newer release, or the disk may answer tomorrow."""
    backups = [Point("1", NOW - dt.timedelta(1), usable=False, readable=False), Point("2", NOW)]
    assert kept(backups, Rules(last=1)) == {"1", "2"}
    assert reason(backups, Rules(last=1), "1")[0].startswith("its manifest cannot be read")


def test_what_a_damaged_one_builds_on_stays_with_it() -> None:
    """It can't be merged into it; and a copy of the damaged one may be had from elsewhere."""
    day = dt.timedelta(1)
    chain = [Point("1", NOW - 4 * day), Point("2", NOW - 3 * day, parent="1"), Point("3", NOW - 2 * day, False, True, "2"), Point("4", NOW)]
    assert kept(chain, Rules(last=1)) == {"2", "3", "4"}
    assert reason(chain, Rules(last=1), "2") == ("3 builds on it, and is not usable",)
    both = [chain[0], chain[1]._replace(usable=False), *chain[2:]]
    assert kept(both, Rules(last=1)) == {"1", "2", "3", "4"}


# for any backups and any rules ----------------------------------------------------------------------------------
counts = st.integers(min_value=ALL, max_value=6)
lengths = st.builds(Within, st.integers(0, 1), st.integers(0, 3), st.integers(0, 40), st.integers(0, 30))
all_rules = st.builds(Rules, counts, counts, counts, counts, counts, counts, st.none() | lengths)
zones = st.sampled_from(["UTC", "Europe/Berlin", "America/St_Johns", "Pacific/Apia", "Asia/Kathmandu", "Australia/Lord_Howe"]).map(zone_of)


@st.composite
def histories(draw: st.DrawFn) -> list[Point]:
    """Backups of some years, some a few minutes apart, a few with a wrong clock; damage spreads to what builds on it, as it does."""
    steps = st.one_of(st.integers(1, 90), st.integers(60, 60 * 24 * 3), st.integers(0, 60 * 24 * 90))
    moment, points = NOW, []
    for step in draw(st.lists(steps, max_size=25)):
        moment -= dt.timedelta(minutes=step)
        points.append(moment)
    points.reverse()
    told: list[Point] = []
    for number, created in enumerate(points):
        wrong = draw(st.sampled_from([0] * 15 + [-9000, 400, 9000]))
        parent = told[-1] if told and draw(st.booleans()) else None
        sound = draw(st.sampled_from([True] * 5 + [False])) and (parent is None or parent.usable)
        marked = draw(st.sampled_from([False] * 8 + [True]))
        told.append(Point(f"{number:05}", created + dt.timedelta(days=wrong), sound, marked, parent.stamp if parent else ""))
    return told


@settings(max_examples=25, deadline=None)
@given(histories(), all_rules, zones)
def test_the_newest_usable_one_never_goes(backups: list[Point], rules: Rules, zone: dt.tzinfo) -> None:
    usable = [point.stamp for point in backups if point.usable]
    assert set(usable[-1:]) <= kept(backups, rules, zone=zone)


@settings(max_examples=25, deadline=None)
@given(histories(), all_rules, zones)
def test_what_is_marked_and_what_is_from_the_future_never_goes(backups: list[Point], rules: Rules, zone: dt.tzinfo) -> None:
    assert {p.stamp for p in backups if p.keep or p.created > NOW} <= kept(backups, rules, zone=zone)


@settings(max_examples=25, deadline=None)
@given(histories(), all_rules, all_rules, zones)
def test_more_rules_never_delete_more(backups: list[Point], some: Rules, others: Rules, zone: dt.tzinfo) -> None:
    both = Rules(*(more(getattr(some, name), getattr(others, name)) for name in BUCKETS), within=some.within or others.within)
    if some:
        assert kept(backups, some, zone=zone) <= kept(backups, both, zone=zone)


def more(one: int, other: int) -> int:
    return ALL if ALL in (one, other) else max(one, other)


@settings(max_examples=25, deadline=None)
@given(histories(), all_rules, zones)
def test_pruning_twice_is_pruning_once(backups: list[Point], rules: Rules, zone: dt.tzinfo) -> None:
    once = kept(backups, rules, zone=zone)
    assert kept(merged(backups, once), rules, zone=zone) == once


def merged(backups: list[Point], stay: set[str]) -> list[Point]:
    """What is left when the others are gone: each builds on the nearest one that is left."""
    known = {point.stamp: point for point in backups}

    def parent(point: Point) -> str:
        stamp = point.parent
        while stamp and stamp not in stay:
            stamp = known[stamp].parent
        return stamp

    return [point._replace(parent=parent(point)) for point in backups if point.stamp in stay]


@settings(max_examples=25, deadline=None)
@given(histories(), all_rules, zones)
def test_a_kept_one_that_is_not_usable_keeps_what_it_builds_on(backups: list[Point], rules: Rules, zone: dt.tzinfo) -> None:
    stay = kept(backups, rules, zone=zone)
    assert {p.parent for p in backups if p.stamp in stay and not p.usable and p.parent} <= stay


@settings(max_examples=25, deadline=None)
@given(histories(), all_rules, zones)
def test_every_choice_has_its_reason_and_its_place(backups: list[Point], rules: Rules, zone: dt.tzinfo) -> None:
    choices = plan(backups, rules, NOW, zone)
    assert [c.stamp for c in choices] == [p.stamp for p in backups]
    assert all(c.why for c in choices)


@settings(max_examples=25, deadline=None)
@given(histories(), all_rules, zones)
def test_it_is_what_restic_does(backups: list[Point], rules: Rules, zone: dt.tzinfo) -> None:
    """Written down a second time, as restic goes about it: one pass from the newest to the oldest, each rule with the last value it saw.

    Where clocks went right; hours are told apart as restic does not where they are there twice.
    """
    sound = [p._replace(parent="") for p in backups if p.usable and p.created <= NOW]
    sound.sort(key=lambda p: p.created)
    assert kept(sound, rules, zone=zone) == (
        {p.stamp for p in sound} if not rules else restic(sound, rules, zone) | {p.stamp for p in sound if p.keep}
    )


def restic(backups: list[Point], rules: Rules, zone: dt.tzinfo) -> set[str]:
    stay, left = set(), {name: getattr(rules, name) for name in BUCKETS}
    last: dict[str, t.Any] = {}
    newest_first = list(reversed(backups))
    for number, point in enumerate(newest_first):
        local = point.created.astimezone(zone)
        year, week, _weekday = local.isocalendar()
        values = {
            "last": number,
            "hourly": (local.year, local.month, local.day, local.hour, local.utcoffset()),
            "daily": (local.year, local.month, local.day),
            "weekly": (year, week),
            "monthly": (local.year, local.month),
            "yearly": local.year,
        }
        if rules.within and point.created >= rules.within.before(newest_first[0].created, zone):
            stay.add(point.stamp)
        for name, value in values.items():
            if left[name] and (last.get(name) != value or number == len(backups) - 1):
                stay.add(point.stamp)
                last[name] = value
                left[name] -= left[name] > 0
    return stay
