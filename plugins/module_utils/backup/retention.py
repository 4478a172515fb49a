# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which backups of one VM (host, pool) stay. Only counting and calendars: nothing is read and nothing is removed here.

The rules are restic's ("Removing snapshots according to a policy", doc/060_forget.rst): a backup stays when one of them keeps it. They
count hours, days, weeks, months and years that have a backup, by the calendar of a time zone. Where the backups do not fill a rule,
the oldest one stays as well.
"""

from __future__ import annotations

import datetime as dt
import re
import typing as t
import zoneinfo
from dataclasses import dataclass

from ..errors import InvalidChange

ALL = -1
UTC = dt.timezone.utc  # noqa: UP017 - its short name is too new for some
_WITHIN = re.compile(r"(?:(\d+)y)?(?:(\d+)m)?(?:(\d+)d)?(?:(\d+)h)?")


# The options of modules that ask for rules
OPTIONS: dict[str, dict[str, t.Any]] = {
    **{f"keep_{name}": {"type": "int"} for name in ("last", "hourly", "daily", "weekly", "monthly", "yearly")},
    "keep_within": {"type": "str"},
    "time_zone": {"type": "str", "default": "UTC"},
}


class Point(t.NamedTuple):
    """One backup as the rules see it.

    parent: stamp of the one it builds on, "" if it is whole; readable: whether its manifest is; doubt: why it may be good though it is
    not usable, "" where that is known.
    """

    stamp: str
    created: dt.datetime  # with a time zone
    usable: bool = True
    keep: bool = False
    parent: str = ""
    readable: bool = True
    doubt: str = ""


class Choice(t.NamedTuple):
    """Whether a backup stays, and why; at least one reason is given either way."""

    stamp: str
    keep: bool
    why: tuple[str, ...]


class Within(t.NamedTuple):
    """A length of time by the calendar."""

    years: int = 0
    months: int = 0
    days: int = 0
    hours: int = 0

    @classmethod
    def parse(cls, text: str) -> Within:
        """Of "2y5m7d3h" or any part of it. Raises InvalidChange."""
        found = _WITHIN.fullmatch(text)
        if not text or not found:
            raise InvalidChange(
                f"keep_within {text!r} is no length of time.", hint="Say years, months, days and hours, such as 14d or 2y5m7d3h."
            )
        return cls(*(int(number or 0) for number in found.groups()))

    def before(self, moment: dt.datetime, zone: dt.tzinfo) -> dt.datetime:
        """So long before that moment; where a month has no such day, its last one. The beginning of time where that is before it."""
        local = moment.astimezone(zone)
        months = local.year * 12 + local.month - 1 - self.years * 12 - self.months
        year, month = divmod(months, 12)
        try:
            last = (dt.date(year + month // 11, (month + 1) % 12 + 1, 1) - dt.timedelta(1)).day
            wall = local.replace(year=year, month=month + 1, day=min(local.day, last)) - dt.timedelta(self.days)
            return wall.astimezone(UTC) - dt.timedelta(hours=self.hours)
        except (ValueError, OverflowError):
            return dt.datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Rules:
    """How many backups stay: 0 says nothing of it, ALL (-1) keeps them all. within: those so long before the newest one."""

    last: int = 0
    hourly: int = 0
    daily: int = 0
    weekly: int = 0
    monthly: int = 0
    yearly: int = 0
    within: Within | None = None

    @classmethod
    def of(cls, params: t.Mapping[str, t.Any]) -> Rules:
        """From the options keep_last ... keep_within of a module. Raises InvalidChange."""
        counts = {name: params.get(f"keep_{name}") or 0 for name in BUCKETS}
        for name, count in counts.items():
            if count < ALL:
                raise InvalidChange(f"keep_{name} is {count}.", hint="Say how many backups stay, or -1 for all of them.")
        text = params.get("keep_within")
        return cls(**counts, within=Within.parse(text) if text else None)

    def __bool__(self) -> bool:
        return self.within is not None or any(getattr(self, name) for name in BUCKETS)


def _hour(local: dt.datetime) -> object:
    return local.date(), local.hour, local.utcoffset()  # the hour that is there twice when summer ends is two


# What two backups have in common of which the newer one is enough. Weeks are those of ISO 8601.
BUCKETS: dict[str, t.Callable[[dt.datetime], object]] = {
    "last": lambda _local: object(),
    "hourly": _hour,
    "daily": lambda local: local.date(),
    "weekly": lambda local: local.isocalendar()[:2],
    "monthly": lambda local: (local.year, local.month),
    "yearly": lambda local: local.year,
}


def zone_of(name: str) -> dt.tzinfo:
    """The time zone of that name. Raises InvalidChange."""
    if name == "UTC":
        return UTC  # also where no time zones are installed
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidChange(
            f"The time zone {name!r} is not known where the task runs.",
            hint="Give a name such as Europe/Berlin; the system's package tzdata has them.",
        ) from None


def plan(backups: t.Sequence[Point], rules: Rules, now: dt.datetime, zone: dt.tzinfo = UTC) -> list[Choice]:
    """What becomes of each backup, in the order given: the oldest first, by their numbers.

    Without rules everything stays. The newest usable one never goes, nor what is marked to be kept. One from the future (a clock was
    wrong) stays and is not counted, since nobody can say how old it is. One that is not usable is not counted either, and goes when
    a newer one is usable; unless its manifest cannot be read (then nobody knows whether it was to be kept), or it may still be good.
    """
    why: dict[str, list[str]] = {point.stamp: [] for point in backups}
    for point in backups:
        if point.keep:
            why[point.stamp].append("marked to be kept")
        if not point.readable:
            why[point.stamp].append("its manifest cannot be read: look at it, and remove it by hand")
        if point.doubt:
            why[point.stamp].append(point.doubt)
        if point.created > now:
            why[point.stamp].append("from the future: when it was made, the clock was wrong, or is now")
    for point, reason in _protected(backups, now):
        why[point.stamp].append(reason)
    # the sort is stable: of two from the same moment the one with the higher number comes first
    counted = sorted((p for p in reversed(backups) if p.usable and p.created <= now), key=lambda p: p.created, reverse=True)
    for point, reason in _kept(counted, rules, zone) if rules else [(point, "no rule is given") for point in backups]:
        why[point.stamp].append(reason)
    _keep_what_may_be_good(backups, why)
    _keep_parents_of_damaged(backups, why)
    gone = {point.stamp: "no rule keeps it" if point.usable else "not usable, and a newer one is" for point in backups}
    return [Choice(p.stamp, bool(why[p.stamp]), tuple(why[p.stamp] or [gone[p.stamp]])) for p in backups]


def _protected(backups: t.Sequence[Point], now: dt.datetime) -> t.Iterator[tuple[Point, str]]:
    """The newest usable one by number, and by the clock of today; what is newer than both may be mended yet."""
    usable = [point for point in backups if point.usable]
    newest = {point.stamp: point for point in [*usable[-1:], *[p for p in usable if p.created <= now][-1:]]}
    for point in newest.values():
        yield point, "the newest usable one"
    for point in reversed(backups):
        if point.usable:
            break
        yield point, "not usable, but none that is newer is"


def _kept(counted: list[Point], rules: Rules, zone: dt.tzinfo) -> t.Iterator[tuple[Point, str]]:
    """By each rule; the newest first."""
    if counted and rules.within:
        since = rules.within.before(counted[0].created, zone)
        yield from ((point, "within the time before the newest one") for point in counted if point.created >= since)
    local = [(point, point.created.astimezone(zone)) for point in counted]
    for name, bucket in BUCKETS.items():
        left: int = getattr(rules, name)
        seen: set[object] = set()
        for number, (point, moment) in enumerate(local, start=1):
            if not left:
                break
            key = bucket(moment)
            if key in seen and number < len(local):
                continue
            yield point, f"oldest {name}" if key in seen else name
            seen.add(key)
            left -= left > 0


def _keep_what_may_be_good(backups: t.Sequence[Point], why: dict[str, list[str]]) -> None:
    """What builds on one that is in doubt; and, without its manifest, whatever that one may build on."""
    doubtful, parents = set[str](), {point.parent for point in backups}
    for at, point in enumerate(backups):  # what others build on comes first
        if not point.readable or point.doubt:
            doubtful.add(point.stamp)
        elif not point.usable and point.parent in doubtful:
            doubtful.add(point.stamp)
            why[point.stamp].append("what it builds on stays, and may be good")
        for older in () if point.readable else backups[:at]:
            if older.stamp not in parents:
                why[older.stamp].append(f"{point.stamp} may build on it, and cannot be read")


def _keep_parents_of_damaged(backups: t.Sequence[Point], why: dict[str, list[str]]) -> None:
    """What is merged must be sound: a backup stays as long as one that stays and is not usable builds on it."""
    for point in reversed(backups):  # those that build on others come first
        if why[point.stamp] and not point.usable and not why.get(point.parent, ["none"]):
            why[point.parent].append(f"{point.stamp} builds on it, and is not usable")
